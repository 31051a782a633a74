//! Callbacks against Keras, what they keep, and what they do in a training.

mod backup;
mod golden;
mod states;
mod training;

use std::path::Path;

use super::{Callback, Control, EpochLogs, Logs, Phase, Setup, StepLogs, TrainingStart};
use crate::prelude::{Dense, Input, SGD, Sequential};
use crate::{Model, Result};

/// A small model with metrics that improve in both directions.
fn model(learning_rate: f64) -> Model {
    let mut model = Sequential::new();
    model.add(Input::new([1]));
    model.add(Dense::new(1));
    let metrics = ["accuracy", "mae"];
    model
        .compile(SGD::new(learning_rate), "mse", metrics)
        .unwrap();
    model.into_model()
}

/// A callback that is told of epochs that did not take place.
struct EpochRun<'a> {
    callback: Box<dyn Callback + 'a>,
}

impl<'a> EpochRun<'a> {
    fn begin(
        mut callback: Box<dyn Callback + 'a>,
        model: &mut Model,
        folder: Option<&Path>,
    ) -> EpochRun<'a> {
        callback.check(&Setup::new(model, true, &[])).unwrap();
        let start = TrainingStart {
            initial_epoch: 0,
            epochs: 100,
            steps: None,
            examples: None,
            validation_examples: None,
            folder,
            resumed: false,
        };
        callback.on_train_begin(&start, model).unwrap();
        EpochRun { callback }
    }

    fn logs(
        &mut self,
        epoch: usize,
        names: &[String],
        values: &[f64],
        model: &mut Model,
    ) -> Result<Control> {
        let logs = EpochLogs {
            epoch,
            epochs: 100,
            logs: Logs { names, values },
            iteration: epoch as u64,
            improved: None,
        };
        self.callback.on_epoch_end(&logs, model)
    }

    fn epoch(
        &mut self,
        epoch: usize,
        name: &str,
        value: Option<f64>,
        model: &mut Model,
    ) -> Result<Control> {
        let names = [name.to_owned()];
        match value {
            Some(value) => self.logs(epoch, &names, &[value], model),
            None => self.logs(epoch, &[], &[], model),
        }
    }

    fn step(&mut self, epoch: usize, step: usize, name: &str, value: f64, model: &mut Model) {
        let logs = StepLogs {
            phase: Phase::Training,
            epoch,
            step: step + 1,
            steps: None,
            examples: 1,
            iteration: 0,
            logs: Logs {
                names: &[name.to_owned()],
                values: &[value],
            },
        };
        self.callback.on_batch_end(&logs, model).unwrap();
    }
}
