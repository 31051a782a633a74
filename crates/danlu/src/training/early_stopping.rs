//! Stopping when a metric no longer improves.

use danlu_graph::Tensor;
use serde_json::Value;

use crate::metrics::{Direction, is_key_of};
use crate::{Arguments, Error, Model, Result};

use super::Compiled;

const OWNER: &str = "EarlyStopping";

/// Which way a metric improves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MonitorMode {
    /// As the metric says: less of a loss, more of an accuracy.
    #[default]
    Auto,
    /// Less is better.
    Min,
    /// More is better.
    Max,
}

/// Stops a training when a metric has not improved for some epochs (Keras' `EarlyStopping`).
///
/// Epochs are counted from 0. Epochs without the metric, as with `validation_freq`, do not count.
#[derive(Clone, Debug, PartialEq)]
pub struct EarlyStopping {
    monitor: String,
    min_delta: f64,
    patience: usize,
    mode: MonitorMode,
    baseline: Option<f64>,
    restore_best_weights: bool,
    start_from_epoch: usize,
}

impl EarlyStopping {
    /// Keras' defaults: `val_loss`, patience 0.
    pub fn new() -> EarlyStopping {
        EarlyStopping {
            monitor: "val_loss".to_owned(),
            min_delta: 0.0,
            patience: 0,
            mode: MonitorMode::Auto,
            baseline: None,
            restore_best_weights: false,
            start_from_epoch: 0,
        }
    }

    /// The name in logs and history that is watched. Default `val_loss`.
    #[must_use]
    pub fn monitor(mut self, monitor: &str) -> EarlyStopping {
        self.monitor = monitor.to_owned();
        self
    }

    /// What is no more than this is no improvement; its sign does not count. Default 0.
    #[must_use]
    pub fn min_delta(mut self, min_delta: f64) -> EarlyStopping {
        self.min_delta = min_delta;
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
        self.mode = mode;
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
        let mut options = EarlyStopping::new();
        if let Some(monitor) = arguments.string("monitor")? {
            options.monitor = monitor;
        }
        let whole = |arguments: &mut Arguments, name: &str| -> Result<usize> {
            let number = arguments.integer(name)?.unwrap_or(0);
            let expected = "a whole number of 0 or above";
            usize::try_from(number).map_err(|_| arguments.wrong(name, expected, &number.into()))
        };
        options.patience = whole(&mut arguments, "patience")?;
        options.start_from_epoch = whole(&mut arguments, "start_from_epoch")?;
        options.min_delta = arguments.number("min_delta")?.unwrap_or(0.0);
        options.baseline = arguments.number("baseline")?;
        options.restore_best_weights = arguments.boolean("restore_best_weights")?.unwrap_or(false);
        options.mode = match arguments.string("mode")?.as_deref() {
            None | Some("auto") => MonitorMode::Auto,
            Some("min") => MonitorMode::Min,
            Some("max") => MonitorMode::Max,
            Some(other) => {
                return Err(arguments.wrong("mode", "`auto`, `min` or `max`", &other.into()));
            }
        };
        // That it stopped is said anyway.
        arguments.unsupported("verbose", &[0.into(), 1.into()])?;
        arguments.finish()?;
        options.check()?;
        Ok(options)
    }

    fn check(&self) -> Result<()> {
        let numbers = [
            ("min_delta", Some(self.min_delta)),
            ("baseline", self.baseline),
        ];
        for (argument, number) in numbers {
            if let Some(number) = number.filter(|number| !number.is_finite()) {
                return Err(Error::argument(OWNER, argument, "a finite number", number));
            }
        }
        Ok(())
    }

    /// What watches one training.
    ///
    /// # Errors
    /// There will be no such metric, or nobody can say which way it improves.
    pub(super) fn watch(self, compiled: &Compiled, validation: bool) -> Result<Watch> {
        self.check()?;
        let names = compiled.names();
        let name = self.monitor.strip_prefix("val_").unwrap_or(&self.monitor);
        let known = names.iter().any(|other| other == name);
        if known && name != self.monitor && !validation {
            return Err(Error::mismatch(
                format!("{OWNER} with the monitor `{}`", self.monitor),
                "validation data",
                "none",
                &format!("give validation data or a validation split, or monitor `{name}`"),
            ));
        }
        if !known {
            let validated = names.iter().map(|name| format!("val_{name}"));
            let all: Vec<String> = match validation {
                true => names.iter().cloned().chain(validated).collect(),
                false => names.to_vec(),
            };
            let all = all.iter().map(String::as_str);
            return Err(Error::unknown("metric to monitor", &self.monitor, all));
        }
        let mut entries = compiled.entries.iter();
        let own = entries.find(|entry| is_key_of(name, &entry.name));
        let own = own.and_then(|entry| compiled.metric(entry));
        let direction = match (self.mode, own) {
            (MonitorMode::Min, _) => Some(Direction::Down),
            (MonitorMode::Max, _) => Some(Direction::Up),
            (MonitorMode::Auto, Some(metric)) => metric.direction(),
            (MonitorMode::Auto, None) => Some(Direction::Down),
        };
        let Some(direction) = direction else {
            let expected =
                format!("`min` or `max`, since nobody knows whether more of `{name}` is better");
            return Err(Error::argument(OWNER, "mode", expected, "auto"));
        };
        Ok(Watch::new(self, direction))
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
    /// It is the best so far.
    improved: bool,
    /// Its weights are to be kept.
    keep: bool,
}

/// Early stopping in one training.
pub(super) struct Watch {
    options: EarlyStopping,
    direction: Direction,
    wait: usize,
    kept: Option<(usize, Vec<Tensor>)>,
    result: EarlyStopped,
}

impl Watch {
    fn new(options: EarlyStopping, direction: Direction) -> Watch {
        Watch {
            options,
            direction,
            wait: 0,
            kept: None,
            result: EarlyStopped::default(),
        }
    }

    pub fn monitor(&self) -> &str {
        &self.options.monitor
    }

    pub fn has_stopped(&self) -> bool {
        self.result.stopped_epoch.is_some()
    }

    fn is_better(&self, value: f64, than: f64) -> bool {
        let delta = self.options.min_delta.abs();
        match self.direction {
            Direction::Up => value - delta > than,
            Direction::Down => value + delta < than,
        }
    }

    /// Keras' rule; the order of its steps counts.
    fn judge(&mut self, epoch: usize, value: Option<f64>, kept: bool) -> Judgement {
        let Some(value) = value.filter(|_| epoch >= self.options.start_from_epoch) else {
            return Judgement::default();
        };
        let restores = self.options.restore_best_weights;
        self.wait += 1;
        if self
            .result
            .best
            .is_none_or(|best| self.is_better(value, best))
        {
            self.result.best = Some(value);
            self.result.best_epoch = Some(epoch);
            let baseline = self.options.baseline;
            if baseline.is_none_or(|baseline| self.is_better(value, baseline)) {
                self.wait = 0;
            }
            return Judgement {
                improved: true,
                keep: restores,
            };
        }
        if self.wait >= self.options.patience && epoch > 0 {
            self.result.stopped_epoch = Some(epoch);
        }
        Judgement {
            improved: false,
            keep: restores && !kept,
        }
    }

    /// An epoch has ended with this value; gives whether it is the best so far.
    pub fn epoch_ended(&mut self, epoch: usize, value: Option<f64>, model: &Model) -> Result<bool> {
        let judgement = self.judge(epoch, value, self.kept.is_some());
        if judgement.keep {
            self.kept = Some((epoch, model.weights()?));
        }
        Ok(judgement.improved)
    }

    /// The training has ended: the best weights are put back where that is asked for.
    pub fn end(mut self, model: &mut Model) -> Result<EarlyStopped> {
        if let Some((epoch, weights)) = self.kept.take() {
            model.set_weights(&weights)?;
            self.result.restored_epoch = Some(epoch);
        }
        Ok(self.result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{list, load, text};

    #[test]
    fn it_stops_where_keras_stops_and_keeps_the_same_epoch() {
        for case in list(&load("early_stopping"), "cases") {
            let name = text(case, "name");
            let options = EarlyStopping::from_json(&case["arguments"]).unwrap();
            let direction = match (options.mode, options.monitor.ends_with("accuracy")) {
                (MonitorMode::Max, _) | (MonitorMode::Auto, true) => Direction::Up,
                _ => Direction::Down,
            };
            let mut watch = Watch::new(options, direction);
            let first = case["first_epoch"].as_u64().unwrap() as usize;
            let (mut kept, mut ran) = (None, 0);
            for (epoch, value) in list(case, "values").iter().enumerate() {
                let epoch = epoch + first;
                ran += 1;
                if watch.judge(epoch, value.as_f64(), kept.is_some()).keep {
                    kept = Some(epoch);
                }
                if watch.has_stopped() {
                    break;
                }
            }
            assert_eq!(Some(ran), case["epochs_run"].as_u64(), "{name}: epochs");
            assert_eq!(
                Some(watch.has_stopped()),
                case["stopped"].as_bool(),
                "{name}"
            );
            assert_eq!(watch.result.best, case["best"].as_f64(), "{name}: best");
            let best = watch.result.best_epoch.map(|epoch| epoch as u64);
            assert_eq!(best, case["best_epoch"].as_u64(), "{name}: best epoch");
            let left = kept.unwrap_or(first + ran as usize - 1) as u64;
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
