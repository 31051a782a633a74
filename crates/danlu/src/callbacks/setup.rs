//! What a training will report, so that callbacks can be checked before it begins.

use super::{GRADIENT_NORM, LEARNING_RATE, MonitorMode};
use crate::metrics::{Direction, is_key_of};
use crate::{Error, Model, Result};

/// A training that is about to begin: the model, and what there will be in the logs of its epochs.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    model: &'a Model,
    validation: bool,
    /// What callbacks have in the logs beside it.
    added: &'a [&'static str],
}

impl<'a> Setup<'a> {
    pub(crate) fn new(model: &'a Model, validation: bool, added: &'a [&'static str]) -> Setup<'a> {
        Setup {
            model,
            validation,
            added,
        }
    }

    /// The model, compiled and built.
    pub fn model(&self) -> &'a Model {
        self.model
    }

    /// The names in the logs of an epoch: `loss`, metrics, and, where there is validation, the same with `val_` before them; what callbacks
    /// have there beside these, the norm of the gradient and the learning rate, comes last.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.model.metric_names();
        if self.validation {
            let validated: Vec<String> = names.iter().map(|name| format!("val_{name}")).collect();
            names.extend(validated);
        }
        names.extend(self.added.iter().map(|&name| name.to_owned()));
        names
    }

    /// Fails where there will be no such name in the logs; `owner` is who asks.
    ///
    /// # Errors
    /// There will be none.
    pub fn require(&self, owner: &str, monitor: &str) -> Result<()> {
        let names = self.names();
        if names.iter().any(|name| name == monitor) {
            return Ok(());
        }
        if let Some(name) = monitor.strip_prefix("val_")
            && names.iter().any(|own| own == name)
        {
            return Err(Error::mismatch(
                format!("{owner} with the monitor `{monitor}`"),
                "validation data",
                "none",
                &format!("give validation data or a validation split, or monitor `{name}`"),
            ));
        }
        let asked_for = match monitor {
            GRADIENT_NORM => {
                "monitor another metric, or have a StopAtConvergence ask for it (min_gradient_norm)"
            }
            LEARNING_RATE => {
                "monitor another metric, or use LearningRateScheduler or ReduceLROnPlateau, which set it"
            }
            _ => "",
        };
        if !asked_for.is_empty() {
            return Err(Error::mismatch(
                format!("{owner} with the monitor `{monitor}`"),
                "a callback that puts it into the logs",
                "none",
                asked_for,
            ));
        }
        let names = names.iter().map(String::as_str);
        Err(Error::unknown("metric to monitor", monitor, names))
    }

    /// Which way a metric in the logs improves.
    ///
    /// # Errors
    /// There will be no such metric, or nobody can say which way it improves.
    pub fn direction(&self, owner: &str, monitor: &str, mode: MonitorMode) -> Result<Direction> {
        self.require(owner, monitor)?;
        let name = monitor.strip_prefix("val_").unwrap_or(monitor);
        let own = self.model.compiled.as_ref().and_then(|compiled| {
            let mut entries = compiled.entries.iter();
            let entry = entries.find(|entry| is_key_of(name, &entry.name))?;
            compiled.metric(entry)
        });
        let direction = match (mode, own) {
            (MonitorMode::Min, _) => Some(Direction::Down),
            (MonitorMode::Max, _) => Some(Direction::Up),
            (MonitorMode::Auto, Some(metric)) => metric.direction(),
            (MonitorMode::Auto, None) => Some(Direction::Down),
        };
        direction.ok_or_else(|| {
            let expected =
                format!("`min` or `max`, since nobody knows whether more of `{name}` is better");
            Error::argument(owner, "mode", expected, "auto")
        })
    }
}
