//! The metric that a callback watches, and when it has improved.

use super::Setup;
use crate::metrics::Direction;
use crate::{Arguments, Error, Result};

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

/// Keras' `MonitorCallback`: a name in the logs, and what counts as an improvement.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Monitor {
    owner: &'static str,
    pub name: String,
    pub mode: MonitorMode,
    /// What is no more than this is no improvement; its sign does not count.
    pub min_delta: f64,
    /// Found out by [`check`](Self::check).
    pub direction: Direction,
}

impl Monitor {
    /// Of a metric of this name, as `owner` watches it.
    pub fn new(owner: &'static str, name: &str) -> Monitor {
        Monitor {
            owner,
            name: name.to_owned(),
            mode: MonitorMode::Auto,
            min_delta: 0.0,
            direction: Direction::Down,
        }
    }

    /// Of `monitor`, `mode` and `min_delta`.
    pub fn take(owner: &'static str, arguments: &mut Arguments, min_delta: f64) -> Result<Monitor> {
        let name = arguments.string("monitor")?;
        let mut monitor = Monitor::new(owner, name.as_deref().unwrap_or("val_loss"));
        monitor.min_delta = arguments.number("min_delta")?.unwrap_or(min_delta);
        monitor.take_mode(arguments)?;
        Ok(monitor)
    }

    /// `mode`.
    pub fn take_mode(&mut self, arguments: &mut Arguments) -> Result<()> {
        self.mode = match arguments.string("mode")?.as_deref() {
            None | Some("auto") => MonitorMode::Auto,
            Some("min") => MonitorMode::Min,
            Some("max") => MonitorMode::Max,
            Some(other) => {
                return Err(arguments.wrong("mode", "`auto`, `min` or `max`", &other.into()));
            }
        };
        Ok(())
    }

    pub fn check_numbers(&self) -> Result<()> {
        match self.min_delta.is_finite() {
            true => Ok(()),
            false => {
                let received = self.min_delta;
                Err(Error::argument(
                    self.owner,
                    "min_delta",
                    "a finite number",
                    received,
                ))
            }
        }
    }

    /// Finds out which way the metric improves.
    ///
    /// # Errors
    /// There will be no such metric, or nobody can say which way it improves.
    pub fn check(&mut self, setup: &Setup<'_>) -> Result<()> {
        self.direction = setup.direction(self.owner, &self.name, self.mode)?;
        Ok(())
    }

    /// Whether a value is better than this one; any is better than none.
    pub fn improves(&self, value: f64, than: Option<f64>) -> bool {
        let Some(than) = than else {
            return true;
        };
        let delta = self.min_delta.abs();
        // Keras compares in 32 bits, in which its metrics are: what differs in digits beyond them is the same.
        let than = than as f32;
        match self.direction {
            Direction::Up => (value - delta) as f32 > than,
            Direction::Down => ((value + delta) as f32) < than,
        }
    }
}

/// A whole number of 0 or above.
pub(super) fn count(arguments: &mut Arguments, name: &str) -> Result<Option<usize>> {
    let Some(number) = arguments.integer(name)? else {
        return Ok(None);
    };
    let count = usize::try_from(number);
    let wrong = |_| arguments.wrong(name, "a whole number of 0 or above", &number.into());
    count.map(Some).map_err(wrong)
}

/// Keras' `verbose`: 0 or 1, or a truth value.
pub(super) fn verbose(arguments: &mut Arguments) -> Result<bool> {
    match arguments.take("verbose") {
        None => Ok(false),
        Some(value) if value == 0 || value == false => Ok(false),
        Some(value) if value == 1 || value == true => Ok(true),
        Some(value) => Err(arguments.wrong("verbose", "0 or 1", &value)),
    }
}
