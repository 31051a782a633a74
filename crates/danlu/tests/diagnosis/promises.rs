//! What the diagnosis promises beside being right.

use std::sync::Arc;

use danlu::Model;
use danlu::diagnosis::{Diagnose, Kind};
use danlu::prelude::*;
use danlu::training::{Callback, TrainingState};

use super::material::*;

fn weights(model: &Sequential) -> Vec<Vec<f64>> {
    model
        .weights()
        .unwrap()
        .iter()
        .map(Tensor::to_f64)
        .collect()
}

fn net() -> Sequential {
    let mut net = model([
        Input::new([8, 8, 1]).into(),
        Conv2D::new(8, [3, 3]).activation("relu").into(),
        BatchNormalization::new().into(),
        Dropout::new(0.3).into(),
        Flatten::new().into(),
        Dense::new(10).activation("softmax").into(),
    ]);
    net.compile(Adam::default(), CLASSES, ["accuracy"]).unwrap();
    net
}

#[test]
fn a_training_is_the_same_bit_for_bit_with_and_without() {
    let examples = digits(200);
    let mut plain = net();
    let options = || {
        FitOptions::new()
            .epochs(3)
            .batch_size(32)
            .validation_split(0.2)
            .verbose(false)
    };
    let history = plain.fit((&examples.x, &examples.y), options()).unwrap();
    let mut watched = net();
    let outcome = train(&mut watched, &examples, (3, 0.2), 32);
    assert_eq!(outcome.history.unwrap(), history);
    assert_eq!(weights(&watched), weights(&plain));
}

#[test]
fn a_source_of_batches_is_refused() {
    let examples = digits(8);
    let dataset = ArrayDataset::new(examples.x, examples.y).unwrap();
    let mut batches = danlu::data::Batches::new(std::sync::Arc::new(dataset), 4, None).unwrap();
    let error = Diagnose::new(&mut batches).err().unwrap().to_string();
    assert!(
        error.contains("give it some examples as tensors"),
        "{error}"
    );
}

#[test]
fn what_was_found_can_be_written_as_json() {
    let examples = clouds(64, 4, 2, 0.5);
    let mut model = model([
        Input::new([4]).into(),
        Dense::new(8)
            .activation("relu")
            .bias_initializer(Initializer::Constant { value: -90.0 })
            .name("dead"),
        Dense::new(2).activation("softmax").into(),
    ]);
    model
        .compile(Adam::default(), CLASSES, ["accuracy"])
        .unwrap();
    let outcome = train(&mut model, &examples, (3, 0.0), 32);
    assert_eq!(
        outcome.kinds(),
        [(Kind::DeadUnits, Some("dead"))],
        "once, and no more"
    );
    let json = outcome.found[0].to_json();
    assert_eq!(
        (&json["kind"], &json["layer"], &json["epoch"], &json["step"]),
        (&"dead_units".into(), &"dead".into(), &1.into(), &2.into())
    );
}

/// Keeps the state after the first epoch.
#[derive(Default)]
struct Keep(Option<Arc<TrainingState>>);

impl Callback for Keep {
    fn wants_state(&self) -> bool {
        self.0.is_none()
    }
    fn on_state(&mut self, state: &Arc<TrainingState>, _: &Model) -> danlu::Result<()> {
        self.0 = Some(state.clone());
        Ok(())
    }
}

#[test]
fn a_training_goes_on_with_and_without_it() {
    let examples = digits(200);
    let data = (&examples.x, &examples.y);
    let fit = |looked: bool, state: Option<Arc<TrainingState>>| {
        let (mut model, mut keep) = (net(), Keep::default());
        let mut diagnose = Diagnose::new(data).unwrap();
        let mut options = FitOptions::new().epochs(3).verbose(false);
        if looked {
            options = options.callback(&mut diagnose);
        }
        options = options.callback(&mut keep);
        if let Some(state) = state {
            options = options.resume(state);
        }
        let history = model.fit(data, options).unwrap();
        (weights(&model), history.get("loss").unwrap().to_vec(), keep)
    };
    for (before, after) in [(true, false), (false, true), (true, true)] {
        let (whole, losses, keep) = fit(before, None);
        assert!(keep.0.is_some());
        let (again, losses_again, _) = fit(after, keep.0);
        assert_eq!((whole, losses), (again, losses_again), "{before} {after}");
    }
}
