//! Stopping when a metric no longer improves.

use danlu_graph::Tensor;
use serde_json::Value;

use super::monitor::Monitor;
use super::monitor::count;
use super::{Callback, CallbackState, Control, EpochLogs, MonitorMode, Note, Setup, TrainingStart};
use crate::training::History;
use crate::{Arguments, Error, Model, Result};

const OWNER: &str = "EarlyStopping";

/// Stops a training when a metric has not improved for some epochs (Keras' `EarlyStopping`).
///
/// Epochs are counted from 0. Epochs without the metric, as with `validation_freq`, do not count.
#[derive(Clone, Debug, PartialEq)]
pub struct EarlyStopping {
    monitor: Monitor,
    patience: usize,
    baseline: Option<f64>,
    restore_best_weights: bool,
    start_from_epoch: usize,
    wait: usize,
    kept: Option<(usize, Vec<Tensor>)>,
    result: EarlyStopped,
    notes: Vec<Note>,
}

impl EarlyStopping {
    /// Keras' defaults: `val_loss`, patience 0.
    pub fn new() -> EarlyStopping {
        EarlyStopping {
            monitor: Monitor::new(OWNER, "val_loss"),
            patience: 0,
            baseline: None,
            restore_best_weights: false,
            start_from_epoch: 0,
            wait: 0,
            kept: None,
            result: EarlyStopped::default(),
            notes: Vec::new(),
        }
    }

    /// The name in logs and history that is watched. Default `val_loss`.
    #[must_use]
    pub fn monitor(mut self, monitor: &str) -> EarlyStopping {
        self.monitor.name = monitor.to_owned();
        self
    }

    /// What is no more than this is no improvement; its sign does not count. Default 0.
    #[must_use]
    pub fn min_delta(mut self, min_delta: f64) -> EarlyStopping {
        self.monitor.min_delta = min_delta;
        self
    }

    /// Epochs without improvement after which training stops. Default 0: the first one stops it.
    #[must_use]
    pub fn patience(mut self, patience: usize) -> EarlyStopping {
        self.patience = patience;
        self
    }

    /// Which way the metric improves. Default: as the metric says.
    #[must_use]
    pub fn mode(mut self, mode: MonitorMode) -> EarlyStopping {
        self.monitor.mode = mode;
        self
    }

    /// A value that must be reached as well for an epoch to count as improved. Default: none.
    #[must_use]
    pub fn baseline(mut self, baseline: f64) -> EarlyStopping {
        self.baseline = Some(baseline);
        self
    }

    /// Whether the weights are those of the best epoch when training ends, whatever ended it. Default `false`: those of the
    /// last.
    #[must_use]
    pub fn restore_best_weights(mut self, restore: bool) -> EarlyStopping {
        self.restore_best_weights = restore;
        self
    }

    /// The first epoch that is watched. Default 0.
    #[must_use]
    pub fn start_from_epoch(mut self, epoch: usize) -> EarlyStopping {
        self.start_from_epoch = epoch;
        self
    }

    /// Of arguments by Keras' names, as a recipe holds them.
    ///
    /// # Errors
    /// There is no such argument, or it has a value that it cannot have.
    pub fn from_json(value: &Value) -> Result<EarlyStopping> {
        let Value::Object(config) = value else {
            let expected = "a table of arguments, such as { monitor = \"val_loss\", patience = 3 }";
            return Err(Error::argument("fit", "early_stopping", expected, value));
        };
        let mut arguments = Arguments::new(OWNER, config.clone());
        let options = EarlyStopping::from_config(&mut arguments)?;
        arguments.finish()?;
        Ok(options)
    }

    /// Of arguments by Keras' names.
    pub(super) fn from_config(arguments: &mut Arguments) -> Result<EarlyStopping> {
        let options = EarlyStopping {
            monitor: Monitor::take(OWNER, arguments, 0.0)?,
            patience: count(arguments, "patience")?.unwrap_or(0),
            start_from_epoch: count(arguments, "start_from_epoch")?.unwrap_or(0),
            baseline: arguments.number("baseline")?,
            restore_best_weights: arguments.boolean("restore_best_weights")?.unwrap_or(false),
            ..EarlyStopping::new()
        };
        // That it stopped is said anyway.
        super::monitor::verbose(arguments)?;
        options.check_numbers()?;
        Ok(options)
    }

    fn check_numbers(&self) -> Result<()> {
        self.monitor.check_numbers()?;
        match self.baseline.filter(|number| !number.is_finite()) {
            Some(number) => Err(Error::argument(
                OWNER,
                "baseline",
                "a finite number",
                number,
            )),
            None => Ok(()),
        }
    }

    /// Keras' rule; the order of its steps counts.
    fn judge(&mut self, epoch: usize, value: Option<f64>) -> Judgement {
        let Some(value) = value.filter(|_| epoch >= self.start_from_epoch) else {
            return Judgement::default();
        };
        let restores = self.restore_best_weights;
        self.wait += 1;
        if self.monitor.improves(value, self.result.best) {
            self.result.best = Some(value);
            self.result.best_epoch = Some(epoch);
            if self.baseline.is_none() || self.monitor.improves(value, self.baseline) {
                self.wait = 0;
            }
            return Judgement {
                keep: restores,
                stop: false,
            };
        }
        let stop = self.wait >= self.patience && epoch > 0;
        if stop {
            self.result.stopped_epoch = Some(epoch);
        }
        Judgement {
            keep: restores && self.kept.is_none(),
            stop,
        }
    }
}

impl Default for EarlyStopping {
    fn default() -> EarlyStopping {
        EarlyStopping::new()
    }
}

/// What early stopping did in a training. Epochs are counted from 0.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EarlyStopped {
    /// The epoch after which it stopped the training, if it did.
    pub stopped_epoch: Option<usize>,
    /// The best epoch, if any was watched.
    pub best_epoch: Option<usize>,
    /// The watched value of the best epoch.
    pub best: Option<f64>,
    /// The epoch whose weights were put back when training ended, if any were.
    pub restored_epoch: Option<usize>,
}

/// What an epoch means to early stopping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Judgement {
    /// Its weights are to be kept.
    keep: bool,
    /// It is the last one.
    stop: bool,
}

impl Callback for EarlyStopping {
    fn name(&self) -> &str {
        OWNER
    }

    fn check(&mut self, setup: &Setup<'_>) -> Result<()> {
        self.check_numbers()?;
        self.monitor.check(setup)
    }

    fn on_train_begin(&mut self, _: &TrainingStart<'_>, _: &mut Model) -> Result<()> {
        self.wait = 0;
        self.kept = None;
        self.result = EarlyStopped::default();
        Ok(())
    }

    fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, model: &mut Model) -> Result<Control> {
        let value = epoch.logs.get(&self.monitor.name);
        let judgement = self.judge(epoch.epoch, value);
        if judgement.keep {
            self.kept = Some((epoch.epoch, model.weights()?));
        }
        if !judgement.stop {
            return Ok(Control::Continue);
        }
        let best = self.result.best_epoch.map_or(0, |epoch| epoch + 1);
        let text = format!(
            "stopped early after epoch {}; the best was epoch {best}",
            epoch.epoch + 1
        );
        self.notes.push(Note::new(OWNER, epoch.epoch, text));
        Ok(Control::Finish)
    }

    /// The best weights are put back where that is asked for.
    fn on_train_end(&mut self, history: &History, model: &mut Model) -> Result<()> {
        if let Some((epoch, weights)) = self.kept.take() {
            model.set_weights(&weights)?;
            self.result.restored_epoch = Some(epoch);
            let last = history.epochs.last().copied().unwrap_or(epoch);
            let text = format!("the weights are those of epoch {}", epoch + 1);
            self.notes.push(Note::new(OWNER, last, text));
        }
        Ok(())
    }

    fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    fn early_stopped(&self) -> Option<&EarlyStopped> {
        Some(&self.result)
    }

    fn state(&self) -> Result<CallbackState> {
        let result = &self.result;
        let mut state = CallbackState::default()
            .with("wait", self.wait)
            .with("best_epoch", result.best_epoch)
            .with("stopped_epoch", result.stopped_epoch)
            .with_number("best", result.best);
        if let Some((epoch, weights)) = &self.kept {
            state = state.with("kept_epoch", *epoch);
            let numbered = weights.iter().enumerate();
            let named = numbered.map(|(place, tensor)| (place.to_string(), tensor.clone()));
            state.tensors = named.collect();
        }
        Ok(state)
    }

    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        let read = state.read(OWNER);
        self.wait = read.count("wait")?.unwrap_or(0);
        self.result = EarlyStopped {
            best: read.number("best")?,
            best_epoch: read.count("best_epoch")?,
            stopped_epoch: read.count("stopped_epoch")?,
            restored_epoch: None,
        };
        let weights = state.tensors.iter().map(|(_, tensor)| tensor.clone());
        let kept = read.count("kept_epoch")?;
        self.kept = kept.map(|epoch| (epoch, weights.collect()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{list, load, text};
    use crate::metrics::Direction;

    #[test]
    fn it_stops_where_keras_stops_and_keeps_the_same_epoch() {
        for case in list(&load("early_stopping"), "cases") {
            let name = text(case, "name");
            let options = EarlyStopping::from_json(&case["arguments"]).unwrap();
            let up = options.monitor.name.ends_with("accuracy");
            let mut watch = options;
            watch.monitor.direction = match watch.monitor.mode {
                MonitorMode::Max => Direction::Up,
                MonitorMode::Auto if up => Direction::Up,
                _ => Direction::Down,
            };
            let first = case["first_epoch"].as_u64().unwrap() as usize;
            let mut ran = 0;
            for (epoch, value) in list(case, "values").iter().enumerate() {
                let epoch = epoch + first;
                ran += 1;
                let judgement = watch.judge(epoch, value.as_f64());
                if judgement.keep {
                    watch.kept = Some((epoch, Vec::new()));
                }
                if judgement.stop {
                    break;
                }
            }
            assert_eq!(Some(ran), case["epochs_run"].as_u64(), "{name}: epochs");
            assert_eq!(
                Some(watch.result.stopped_epoch.is_some()),
                case["stopped"].as_bool(),
                "{name}"
            );
            assert_eq!(watch.result.best, case["best"].as_f64(), "{name}: best");
            let best = watch.result.best_epoch.map(|epoch| epoch as u64);
            assert_eq!(best, case["best_epoch"].as_u64(), "{name}: best epoch");
            let left = watch
                .kept
                .map_or(first + ran as usize - 1, |(epoch, _)| epoch) as u64;
            assert_eq!(
                Some(left),
                case["weights_of_epoch"].as_u64(),
                "{name}: weights"
            );
        }
    }

    #[test]
    fn bad_arguments_are_refused() {
        use serde_json::json;
        for (bad, word) in [
            (json!({ "patience": -1 }), "patience"),
            (json!({ "mode": "up" }), "mode"),
            (json!({ "patiense": 3 }), "did you mean `patience`?"),
            (json!({ "min_delta": "none" }), "min_delta"),
            (json!(3), "early_stopping"),
        ] {
            let error = EarlyStopping::from_json(&bad).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
