//! What callbacks do in a training.

use serde_json::json;

use super::model;
use crate::callbacks::{
    Callback, Control, EpochLogs, GRADIENT_NORM, LambdaCallback, LearningRateScheduler,
    ModelCheckpoint, Note, ReduceLROnPlateau, SaveFrequency, StepLogs, StopAtConvergence,
    SwapEMAWeights, TerminateOnNaN, from_json, names, register_callback,
};
use crate::optimizers::schedules::ExponentialDecay;
use crate::prelude::*;
use crate::{Error, Model, Result};

fn data() -> (Tensor, Tensor) {
    let x = (0..8).map(|i| i as f32 / 4.0 - 1.0).collect();
    let y = (0..8).map(|i| i as f32 / 2.0 - 1.0).collect();
    let shape = [8, 1];
    (
        Tensor::from_f32(&shape, x).unwrap(),
        Tensor::from_f32(&shape, y).unwrap(),
    )
}

fn quiet<'a>() -> FitOptions<'a> {
    FitOptions::new().verbose(false).batch_size(4)
}

#[test]
fn a_training_converges_by_its_loss_or_by_its_gradient() {
    let mut first = model(0.1);
    let stop = StopAtConvergence::new().min_change(1e-4).patience(3);
    let history = first
        .fit(data(), quiet().epochs(500).callback(stop))
        .unwrap();
    assert_eq!(history.ended_by.as_deref(), Some("StopAtConvergence"));
    assert!(!history.stopped && history.epochs.len() < 500);
    let losses = history.get("loss").unwrap();
    let changes: Vec<f64> = losses
        .windows(2)
        .map(|two| (two[0] - two[1]).abs())
        .collect();
    let (before, last) = changes.split_at(changes.len() - 3);
    assert!(last.iter().all(|&change| change < 1e-4), "{losses:?}");
    assert!(
        before
            .windows(3)
            .all(|three| three.iter().any(|&change| change >= 1e-4))
    );
    assert!(history.get(GRADIENT_NORM).is_none());
    assert!(
        history.notes[0].text.contains("converged"),
        "{:?}",
        history.notes
    );

    let mut second = model(0.1);
    let stop = StopAtConvergence::new().min_gradient_norm(1e-2);
    let options = quiet().epochs(500).validation_split(0.5).callback(stop);
    let history = second.fit(data(), options).unwrap();
    let norms = history.get(GRADIENT_NORM).unwrap();
    assert_eq!(norms.len(), history.epochs.len());
    let (last, before) = norms.split_last().unwrap();
    assert!(
        *last < 1e-2 && before.iter().all(|&norm| norm >= 1e-2),
        "{norms:?}"
    );
    let names: Vec<&str> = history
        .metrics
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names[..4], ["loss", "accuracy", "mae", GRADIENT_NORM]);
    assert_eq!(names[4], "val_loss");
}

#[test]
fn the_norm_is_that_of_the_gradient_before_clipping_and_changes_no_bit() {
    let fitted = |norm: bool| {
        let mut model = model(0.1);
        let optimizer = SGD::new(0.1)
            .clipping(Clipping::GlobalNorm(0.01))
            .loss_scale_factor(8.0);
        model.compile(optimizer, "mse", ["mae"]).unwrap();
        let kernel = Tensor::from_f32(&[1, 1], vec![0.5]).unwrap();
        let bias = Tensor::from_f32(&[1], vec![-0.25]).unwrap();
        model.set_weights(&[kernel, bias]).unwrap();
        let mut options = quiet().batch_size(8);
        if norm {
            options = options.callback(StopAtConvergence::new().min_gradient_norm(1e-9));
        }
        let history = model.fit(data(), options).unwrap();
        let norm = history.get(GRADIENT_NORM).map(|norms| norms[0]);
        (model.weights().unwrap(), norm)
    };
    let (weights, norm) = fitted(true);
    let (x, y) = data();
    let residuals = (0..8).map(|i| (x.get_f64(i), 0.5 * x.get_f64(i) - 0.25 - y.get_f64(i)));
    let (kernel, bias) = residuals.fold((0.0, 0.0), |(kernel, bias), (x, residual)| {
        (kernel + residual * x / 4.0, bias + residual / 4.0)
    });
    let expected = f64::hypot(kernel, bias);
    assert!(
        (norm.unwrap() - expected).abs() < 1e-6,
        "{norm:?}, {expected}"
    );
    assert_eq!(fitted(false), (weights, None));
}

#[test]
fn a_loss_that_is_no_number_is_an_error_or_an_end() {
    let diverges = |callback: TerminateOnNaN| {
        let mut model = model(1e20);
        model.fit(data(), quiet().epochs(9).callback(callback))
    };
    let history = diverges(TerminateOnNaN::new()).unwrap();
    assert_eq!(history.ended_by.as_deref(), Some("TerminateOnNaN"));
    assert!(history.epochs.len() < 9 && !history.stopped);
    assert!(
        history.notes[0].text.contains("the loss is"),
        "{:?}",
        history.notes
    );
    let error = diverges(TerminateOnNaN::new().raise_error(true)).unwrap_err();
    assert!(matches!(error, Error::NotFinite { .. }), "{error}");
}

/// Writes down in which order things happen.
struct Order<'a>(&'static str, &'a std::cell::RefCell<Vec<String>>);

impl Order<'_> {
    fn note(&self, what: &str) {
        self.1.borrow_mut().push(format!("{} {what}", self.0));
    }
}

impl Callback for Order<'_> {
    fn watches_batches(&self) -> bool {
        self.0 == "b"
    }
    fn on_epoch_begin(&mut self, _: usize, _: &mut Model) -> Result<()> {
        self.note("begins");
        Ok(())
    }
    fn on_batch_end(&mut self, step: &StepLogs<'_>, model: &mut Model) -> Result<Control> {
        self.note(&format!(
            "{:?} {} {}",
            step.phase, step.step, step.iteration
        ));
        assert_eq!(model.iteration()?, step.iteration);
        Ok(Control::Continue)
    }
    fn on_epoch_end(&mut self, _: &EpochLogs<'_>, _: &mut Model) -> Result<Control> {
        self.note("ends");
        Ok(Control::Continue)
    }
    fn take_notes(&mut self) -> Vec<Note> {
        match self.1.borrow().last().is_some_and(|last| last == "a ends") {
            true => vec![Note::new("a", 0, "said")],
            false => Vec::new(),
        }
    }
    fn on_note(&mut self, note: &Note) {
        self.note(&note.text);
    }
}

#[test]
fn callbacks_are_called_in_the_order_in_which_they_were_given_and_at_batches_where_they_watch() {
    let seen = std::cell::RefCell::default();
    let (a, mut b) = (Order("a", &seen), Order("b", &seen));
    let options = quiet().validation_split(0.5).callback(a).callback(&mut b);
    let history = model(0.1).fit(data(), options).unwrap();
    assert_eq!(history.notes.len(), 1);
    let expected = [
        "a begins",
        "b begins",
        "b Training 1 1",
        "b Validation 1 1",
        "a ends",
        "a said",
        "b said",
        "b ends",
    ];
    assert_eq!(*seen.borrow(), expected);
}

#[test]
fn closures_are_callbacks() {
    let (mut epochs, mut steps, mut ended) = (Vec::new(), 0, false);
    let callback = LambdaCallback::new()
        .on_train_begin(|start, _| {
            assert_eq!(start.epochs, 3);
            Ok(())
        })
        .on_epoch_begin(|epoch, model| model.set_learning_rate(0.1 / (epoch as f64 + 1.0)))
        .on_batch_end(|_, _| {
            steps += 1;
            Ok(Control::Continue)
        })
        .on_epoch_end(|epoch, model| {
            epochs.push(model.learning_rate());
            Ok(match epoch.epoch {
                1 => Control::Stop,
                _ => Control::Continue,
            })
        })
        .on_train_end(|history, _| {
            ended = history.stopped;
            Ok(())
        });
    let history = model(0.1)
        .fit(data(), quiet().epochs(3).callback(callback))
        .unwrap();
    assert!(history.stopped && ended);
    assert_eq!(epochs, [Some(0.1), Some(0.05)]);
    assert_eq!(steps, 4);
}

#[test]
fn what_a_callback_cannot_do_is_said_before_the_training() {
    let text = |callback: Box<dyn Callback>| {
        let mut model = model(0.1);
        let before = model.weights().unwrap();
        let options = quiet().validation_split(0.5).callback(callback);
        let error = model.fit(data(), options).unwrap_err().to_string();
        assert_eq!(model.weights().unwrap(), before);
        error
    };
    let checkpoint = |path: &str| Box::new(ModelCheckpoint::new(path));
    for (callback, word) in [
        (checkpoint("a.safetensors"), "ends in .keras or .h5"),
        (checkpoint("a.weights.h5"), "ends in .keras or .h5"),
        (
            checkpoint("{val_los:.2f}.keras"),
            "did you mean `val_loss`?",
        ),
        (checkpoint("{epoch.keras"), "pairs of braces"),
        (checkpoint("{loss:03d}.keras"), "numbers with decimals"),
        (checkpoint("{batch}.keras"), "`batch`"),
        (
            Box::new(
                ModelCheckpoint::new("a.keras")
                    .save_best_only(true)
                    .save_freq(SaveFrequency::Batches(2)),
            ),
            "`val_loss`",
        ),
        (
            Box::new(ModelCheckpoint::new("a.keras").save_freq(SaveFrequency::Batches(0))),
            "save_freq",
        ),
    ] {
        let error = text(callback);
        assert!(error.contains(word), "{error}");
    }
    let error = text(Box::new(ReduceLROnPlateau::new().monitor("val_acuracy")));
    assert!(error.contains("did you mean `val_accuracy`?"), "{error}");
    let error = text(Box::new(ReduceLROnPlateau::new().factor(1.0)));
    assert!(error.contains("factor"), "{error}");
    let error = text(Box::<StopAtConvergence>::default());
    assert!(error.contains("min_change or min_gradient_norm"), "{error}");
    let error = text(Box::new(SwapEMAWeights::new()));
    assert!(error.contains("use_ema"), "{error}");
    let error = text(Box::new(LearningRateScheduler::new(|_, _| f64::NAN)));
    assert!(error.contains("schedule"), "{error}");
    let mut scheduled = model(0.1);
    let schedule = ExponentialDecay::new(0.1, 10.0, 0.5);
    scheduled
        .compile(SGD::new(schedule), "mse", Vec::<&str>::new())
        .unwrap();
    let callback = LearningRateScheduler::new(|_, rate| rate);
    let error = scheduled
        .fit(data(), quiet().callback(callback))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("leave out the callback or the schedule"),
        "{error}"
    );
}

#[test]
fn callbacks_are_made_by_name() {
    for (bad, word) in [
        (
            json!({ "type": "EarlyStoping" }),
            "did you mean `EarlyStopping`?",
        ),
        (
            json!({ "type": "ReduceLROnPlateau", "patiense": 3 }),
            "did you mean `patience`?",
        ),
        (
            json!({ "type": "ReduceLROnPlateau", "factor": 2 }),
            "factor",
        ),
        (json!({ "type": "ModelCheckpoint" }), "filepath"),
        (
            json!({ "type": "ModelCheckpoint", "filepath": "a.keras", "save_freq": 0 }),
            "save_freq",
        ),
        (
            json!({ "type": "ModelCheckpoint", "filepath": "a.keras", "save_freq": "batch" }),
            "save_freq",
        ),
        (
            json!({ "type": "CSVLogger", "filename": "a", "separator": ", " }),
            "one character",
        ),
        (json!({ "type": "CSVLogger", "filename": "" }), "filename"),
        (json!({ "type": "LearningRateScheduler" }), "schedule"),
        (
            json!({ "type": "LearningRateScheduler", "schedule": 0.1 }),
            "a table such as",
        ),
        (
            json!({ "type": "StopAtConvergence", "min_change": 0 }),
            "min_change",
        ),
        (
            json!({ "type": "TerminateOnNaN", "raise_error": 1 }),
            "raise_error",
        ),
        (json!({ "type": "LambdaCallback" }), "register_callback"),
    ] {
        let error = from_json(&bad).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    assert!(names().contains(&"ReduceLROnPlateau".to_owned()));
    struct Own(usize);
    impl Callback for Own {
        fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, _: &mut Model) -> Result<Control> {
            Ok(match epoch.epoch + 1 == self.0 {
                true => Control::Finish,
                false => Control::Continue,
            })
        }
    }
    let make = |arguments: &mut crate::Arguments| {
        let epochs = arguments.positive("epochs")?.unwrap_or(1);
        Ok(Box::new(Own(epochs)) as Box<dyn Callback>)
    };
    register_callback("OwnEnd", make).unwrap();
    let own = from_json(&json!({ "type": "OwnEnd", "epochs": 2 })).unwrap();
    assert_eq!(own.name(), "Own");
    let history = model(0.1)
        .fit(data(), quiet().epochs(5).callback(own))
        .unwrap();
    assert_eq!(
        (history.epochs.len(), history.ended_by.as_deref()),
        (2, Some("Own"))
    );
    let error = register_callback("EarlyStopping", make)
        .unwrap_err()
        .to_string();
    assert!(error.contains("choose another name"), "{error}");
}

#[test]
fn the_learning_rate_is_in_the_logs_where_a_callback_sets_it() {
    let names = |history: &History| {
        let names = history.metrics.iter().map(|(name, _)| name.clone());
        names.collect::<Vec<String>>()
    };
    // Keras' numbers for the same callbacks: the rate that an epoch trained with, after everything else.
    let schedule = LearningRateScheduler::new(|epoch, _| if epoch < 2 { 0.1 } else { 0.05 });
    let options = quiet().epochs(4).validation_split(0.25).validation_freq(2);
    let history = model(0.1).fit(data(), options.callback(schedule)).unwrap();
    assert_eq!(
        history.get("learning_rate").unwrap(),
        [0.1, 0.1, 0.05, 0.05]
    );
    assert_eq!(history.get("val_loss").unwrap().len(), 2);
    let reduce = || {
        let reduce = ReduceLROnPlateau::new().monitor("loss").patience(1);
        reduce.factor(0.5).min_delta(100.0)
    };
    let options = quiet().epochs(4).validation_split(0.25);
    let history = model(0.1).fit(data(), options.callback(reduce())).unwrap();
    let rates = history.get("learning_rate").unwrap();
    let expected = [0.1, 0.1, 0.05, 0.025];
    assert!(
        rates
            .iter()
            .zip(expected)
            .all(|(one, other)| (one - other).abs() < 1e-7),
        "{rates:?}"
    );
    assert_eq!(names(&history).last().unwrap(), "learning_rate");
    let history = model(0.1).fit(data(), quiet()).unwrap();
    assert!(history.get("learning_rate").is_none());

    // It can be watched, and so can the norm of the gradient.
    let stop = || EarlyStopping::new().monitor("learning_rate").patience(1);
    let options = quiet().epochs(9).callback(reduce()).callback(stop());
    let history = model(0.1).fit(data(), options).unwrap();
    assert_eq!(history.ended_by.as_deref(), Some("EarlyStopping"));
    let stop = StopAtConvergence::new()
        .monitor(GRADIENT_NORM)
        .min_change(100.0);
    let history = model(0.1).fit(data(), quiet().epochs(9).callback(stop));
    let history = history.unwrap();
    assert_eq!(history.epochs.len(), 2);
    assert_eq!(history.get(GRADIENT_NORM).unwrap().len(), 2);
    for (monitor, word) in [
        ("learning_rate", "ReduceLROnPlateau"),
        (GRADIENT_NORM, "min_gradient_norm"),
    ] {
        let stop = EarlyStopping::new().monitor(monitor);
        let error = model(0.1).fit(data(), quiet().callback(stop)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(monitor) && text.contains(word), "{text}");
    }
}
