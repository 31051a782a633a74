//! Four trainings whose loss becomes infinite or NaN, each traced to the operation that made it so.

use danlu::diagnosis::{Diagnosis, Kind};
use danlu::graph::{Shape, Value};
use danlu::layers::{BuildContext, CallContext};
use danlu::prelude::*;
use danlu::{Arguments, Config, Error};

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
