//! Trainings whose loss becomes infinite or NaN, each traced to the operation that made it so.

use std::sync::Arc;

use danlu::diagnosis::{Diagnosis, Kind};
use danlu::graph::{Shape, Value};
use danlu::layers::{BuildContext, CallContext};
use danlu::prelude::*;
use danlu::training::{Callback, Control, StepLogs, TrainingState};
use danlu::{Arguments, Config, Error, Model};

use super::material::*;

/// A function of each element, as a layer.
#[derive(Debug)]
struct Function(fn(&Value) -> danlu::graph::Result<Value>);

impl Layer for Function {
    fn class_name(&self) -> &str {
        "Function"
    }
    fn build(&mut self, _: &mut BuildContext, _: &[Shape]) -> danlu::Result<()> {
        Ok(())
    }
    fn call(&self, _: &CallContext, inputs: &[Value]) -> danlu::Result<Value> {
        Ok(self.0(&inputs[0])?)
    }
    fn config(&self) -> Config {
        Config::new()
    }
    fn from_config(_: &mut Arguments) -> danlu::Result<Function> {
        Ok(Function(|x| Ok(x.clone())))
    }
}

/// Trains until the loss is not finite, and runs it once more to find where.
fn non_finite(make: impl Fn() -> Sequential, examples: &Examples, epochs: usize) -> Diagnosis {
    let options = || FitOptions::new().epochs(epochs).verbose(false);
    let data = (&examples.x, &examples.y);
    let error = make().fit(data, options()).unwrap_err();
    let Error::NotFinite {
        epoch, diagnosis, ..
    } = error
    else {
        panic!("{error}");
    };
    if let Some(diagnosis) = diagnosis {
        return *diagnosis;
    }
    let found = make()
        .find_non_finite(data, options().epochs(epoch))
        .unwrap();
    let found = found.expect("it happens again");
    println!("{found}");
    found
}

fn is(found: &Diagnosis, epoch: usize, step: u64, layer: &str, words: &[&str]) {
    assert_eq!(found.kind, Kind::NonFinite);
    assert_eq!((found.epoch, found.step), (epoch, step), "{found}");
    assert_eq!(found.layer.as_deref().unwrap_or(""), layer, "{found}");
    let text = found.to_string();
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn a_learning_rate_that_is_far_too_large_overflows_in_the_loss() {
    let examples = curve(64, 4, 1.0, 0.1);
    let make = || {
        let mut model = model([
            Input::new([4]).into(),
            Dense::new(8).activation("relu").into(),
            Dense::new(1).into(),
        ]);
        model
            .compile(SGD::new(1e4), "mse", Vec::<&str>::new())
            .unwrap();
        model
    };
    let found = non_finite(make, &examples, 9);
    assert_eq!(found.kind, Kind::NonFinite);
    assert!(found.to_string().contains("kernel has grown to"), "{found}");
    assert!(
        found.to_string().contains("learning rate (now 10000)"),
        "{found}"
    );
}

#[test]
fn the_logarithm_of_zero_is_named() {
    let examples = curve(64, 4, 1.0, 0.1);
    let make = || {
        let mut model = model([
            Input::new([4]).into(),
            Dense::new(8).activation("relu").into(),
            Function(|x| x.log()).name("logarithm"),
            Dense::new(1).into(),
        ]);
        model
            .compile(Adam::default(), "mse", Vec::<&str>::new())
            .unwrap();
        model
    };
    is(
        &non_finite(make, &examples, 1),
        1,
        1,
        "logarithm",
        &["log of 0", "forward"],
    );
}

#[test]
fn an_infinite_number_in_the_data_is_named_by_its_example() {
    let mut examples = clouds(64, 4, 3, 0.3);
    examples.x.as_f32_mut().unwrap()[37 * 4 + 2] = f32::NAN;
    let make = || {
        let mut model = model([
            Input::new([4]).into(),
            Dense::new(3).activation("softmax").into(),
        ]);
        model
            .compile(Adam::default(), CLASSES, Vec::<&str>::new())
            .unwrap();
        model
    };
    let found = non_finite(make, &examples, 1);
    assert!(found.to_string().contains("`x` of example 37"), "{found}");
}

#[test]
fn a_gradient_that_is_infinite_where_the_loss_is_not_is_named() {
    // The square root of 0 is 0, and its slope infinite.
    let x = Tensor::from_f32(
        &[64, 2],
        numbers(128, 1)
            .iter()
            .enumerate()
            .map(|(place, x)| if place / 2 == 40 { 0.0 } else { *x })
            .collect(),
    )
    .unwrap();
    let y = Tensor::from_f32(&[64, 1], numbers(64, 2)).unwrap();
    let make = || {
        let mut model = model([
            Input::new([2]).into(),
            Dense::new(4)
                .use_bias(false)
                .kernel_initializer(Initializer::Ones)
                .name("first"),
            Function(|x| x.sqrt()).name("root"),
            Dense::new(1).name("last"),
        ]);
        model
            .compile(SGD::new(0.01), "mse", Vec::<&str>::new())
            .unwrap();
        model
    };
    let found = non_finite(make, &Examples { x, y }, 2);
    is(
        &found,
        1,
        found.step,
        "root",
        &["backward", "division by 0"],
    );
    assert!((1..=2).contains(&found.step), "{found}");
}

/// Sets the learning rate at these epochs and steps, both counted from 0.
struct Rates(Vec<((usize, usize), f64)>);

impl Callback for Rates {
    fn watches_batches(&self) -> bool {
        true
    }
    fn on_epoch_begin(&mut self, epoch: usize, model: &mut Model) -> danlu::Result<()> {
        self.set((epoch, 0), model)
    }
    fn on_batch_end(&mut self, step: &StepLogs<'_>, model: &mut Model) -> danlu::Result<Control> {
        self.set((step.epoch, step.step), model)?;
        Ok(Control::Continue)
    }
}

impl Rates {
    fn set(&self, now: (usize, usize), model: &mut Model) -> danlu::Result<()> {
        match self.0.iter().find(|(place, _)| *place == now) {
            Some((_, rate)) => model.set_learning_rate(*rate),
            None => Ok(()),
        }
    }
}

/// Keeps the state after a step of an epoch, both counted from 0.
#[derive(Default)]
struct Keep {
    at: (usize, usize),
    now: bool,
    kept: Option<Arc<TrainingState>>,
}

impl Callback for Keep {
    fn watches_batches(&self) -> bool {
        true
    }
    fn on_batch_end(&mut self, step: &StepLogs<'_>, _: &mut Model) -> danlu::Result<Control> {
        self.now = (step.epoch, step.step) == self.at;
        Ok(Control::Continue)
    }
    fn wants_state(&self) -> bool {
        self.now
    }
    fn on_state(&mut self, state: &Arc<TrainingState>, _: &Model) -> danlu::Result<()> {
        self.kept = Some(state.clone());
        Ok(())
    }
}

/// A line that is fitted by 8 steps an epoch.
fn line(rate: f64) -> Sequential {
    let mut model = model([
        Input::new([4]).into(),
        Dense::new(8).activation("relu").name("hidden"),
        Dense::new(1).name("answer"),
    ]);
    model
        .compile(SGD::new(rate), "mse", Vec::<&str>::new())
        .unwrap();
    model
}

fn options<'a>() -> FitOptions<'a> {
    FitOptions::new().epochs(4).verbose(false)
}

fn place_of(error: Error) -> (usize, u64) {
    match error {
        Error::NotFinite {
            epoch,
            step: Some(step),
            ..
        } => (epoch, step as u64),
        error => panic!("{error}"),
    }
}

#[test]
fn learning_rates_that_callbacks_set_are_taken_again() {
    let examples = curve(256, 4, 1.0, 0.1);
    let data = (&examples.x, &examples.y);
    // In the third epoch, after the first step, far too large; before, a step's rate alone would give other bits.
    let rates = vec![((0, 5), 0.002), ((1, 0), 0.02), ((2, 1), 1e25)];
    let mut broken = line(0.01);
    let error = broken.fit(data, options().callback(Rates(rates)));
    let (epoch, step) = place_of(error.unwrap_err());
    assert_eq!(epoch, 3);
    assert!((3..=4).contains(&step), "{step}");
    let set = broken.learning_rates().to_vec();
    let places: Vec<_> = set.iter().map(|set| (set.epoch, set.step)).collect();
    assert_eq!(places, [(0, 0), (0, 5), (1, 0), (2, 1)]);
    let without = line(0.01).find_non_finite(data, options()).unwrap();
    assert_eq!(without, None, "nothing happens at the first rate");
    let found = line(0.01).find_non_finite(data, options().learning_rates(&set));
    let found = found.unwrap().expect("it happens again");
    assert_eq!(found.epoch, epoch);
    assert!((2..=step).contains(&found.step), "{found}");
    assert!(found.to_string().contains("(now 1.0e25)"), "{found}");
}

#[test]
fn a_learning_rate_that_breaks_its_own_step_is_taken_again() {
    // Gradients of large targets, so that the step itself is more than float32 holds.
    let examples = curve(256, 4, 1e4, 0.1);
    let data = (&examples.x, &examples.y);
    let mut broken = line(1e-9);
    let error = broken.fit(data, options().callback(Rates(vec![((1, 3), 1e38)])));
    assert_eq!(place_of(error.unwrap_err()), (2, 5), "the loss shows it");
    let again = options().learning_rates(broken.learning_rates());
    let found = line(1e-9).find_non_finite(data, again).unwrap();
    let found = found.expect("it happens again");
    assert_eq!((found.epoch, found.step), (2, 4), "{found}");
}

#[test]
fn what_breaks_in_the_middle_of_an_epoch_after_going_on_is_found_from_the_state() {
    let examples = curve(256, 4, 1.0, 0.1);
    let data = (&examples.x, &examples.y);
    let rates = || Rates(vec![((1, 2), 0.02), ((1, 5), 1e25)]);
    let mut keep = Keep {
        at: (1, 3),
        ..Keep::default()
    };
    let whole = line(0.01).fit(data, options().callback(rates()).callback(&mut keep));
    let whole = place_of(whole.unwrap_err());
    assert_eq!(whole.0, 2);
    let state = keep.kept.unwrap();
    assert_eq!((state.epoch(), state.step()), (1, 3));
    let mut broken = line(0.01);
    let again = options().callback(rates()).resume(state.clone());
    assert_eq!(place_of(broken.fit(data, again).unwrap_err()), whole);
    let again = options()
        .resume(state)
        .learning_rates(broken.learning_rates());
    let found = line(0.01).find_non_finite(data, again).unwrap();
    let found = found.expect("it happens again");
    assert_eq!(found.epoch, 2);
    // The first step at that rate is the sixth, and the loss shows it in the step after next at the latest.
    assert!((6..=whole.1).contains(&found.step), "{found}");
    assert!((6..8).contains(&whole.1), "{whole:?}");
}
