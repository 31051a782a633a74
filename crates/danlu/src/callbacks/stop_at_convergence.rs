//! Stopping where a training has converged.

use super::monitor::count;
use super::{
    Callback, CallbackState, Control, EpochLogs, GRADIENT_NORM, Logs, Note, Setup, TrainingStart,
};
use crate::{Arguments, Error, Model, Result};

const OWNER: &str = "StopAtConvergence";

/// Ends a training that has converged: the loss changes by less than a bound from epoch to epoch, or the gradient is smaller than
/// one. With both bounds, either will do.
///
/// [`EarlyStopping`](super::EarlyStopping) asks whether a metric got better; this asks whether anything still happens. Keras has no
/// such callback. The size of the gradient is the mean over the epoch's steps of the norm of all trained parameters' gradients
/// together, before clipping; where it is asked for, training steps compute it, and it is in the logs as `gradient_norm`.
#[derive(Clone, Debug, PartialEq)]
pub struct StopAtConvergence {
    monitor: String,
    min_change: Option<f64>,
    min_gradient_norm: Option<f64>,
    patience: usize,
    last: Option<f64>,
    still: usize,
    notes: Vec<Note>,
}

impl StopAtConvergence {
    /// Without a bound: give one.
    pub fn new() -> StopAtConvergence {
        StopAtConvergence {
            monitor: "loss".to_owned(),
            min_change: None,
            min_gradient_norm: None,
            patience: 1,
            last: None,
            still: 0,
            notes: Vec::new(),
        }
    }

    /// The name in the logs whose changes are watched. Default `loss`.
    #[must_use]
    pub fn monitor(mut self, monitor: &str) -> StopAtConvergence {
        self.monitor = monitor.to_owned();
        self
    }

    /// A change from one epoch to the next, up or down, that is less than this counts as none.
    #[must_use]
    pub fn min_change(mut self, min_change: f64) -> StopAtConvergence {
        self.min_change = Some(min_change);
        self
    }

    /// A gradient whose norm is less than this counts as none.
    #[must_use]
    pub fn min_gradient_norm(mut self, min_gradient_norm: f64) -> StopAtConvergence {
        self.min_gradient_norm = Some(min_gradient_norm);
        self
    }

    /// Epochs in a row that must be below a bound. Default 1.
    #[must_use]
    pub fn patience(mut self, patience: usize) -> StopAtConvergence {
        self.patience = patience;
        self
    }

    pub(super) fn from_config(arguments: &mut Arguments) -> Result<StopAtConvergence> {
        let mut made = StopAtConvergence::new();
        if let Some(monitor) = arguments.string("monitor")? {
            made.monitor = monitor;
        }
        made.min_change = arguments.number("min_change")?;
        made.min_gradient_norm = arguments.number("min_gradient_norm")?;
        made.patience = count(arguments, "patience")?.unwrap_or(1);
        made.check_arguments()?;
        Ok(made)
    }

    fn check_arguments(&self) -> Result<()> {
        let bounds = [
            ("min_change", self.min_change),
            ("min_gradient_norm", self.min_gradient_norm),
        ];
        for (argument, bound) in bounds {
            let bad = |bound: &f64| !(bound.is_finite() && *bound > 0.0);
            if let Some(bound) = bound.filter(bad) {
                return Err(Error::argument(OWNER, argument, "a number above 0", bound));
            }
        }
        if self.patience == 0 {
            return Err(Error::argument(OWNER, "patience", "at least 1", 0));
        }
        match bounds.iter().all(|(_, bound)| bound.is_none()) {
            true => Err(Error::mismatch(
                OWNER,
                "min_change or min_gradient_norm",
                "neither",
                "say below which change of the loss, or below which gradient, training has converged",
            )),
            false => Ok(()),
        }
    }

    /// What is below its bound, where enough epochs were.
    fn judge(&mut self, logs: Logs<'_>) -> Option<String> {
        let mut reason = None;
        if let (Some(bound), Some(norm)) = (self.min_gradient_norm, logs.get(GRADIENT_NORM))
            && norm < bound
        {
            reason = Some(format!(
                "the norm of the gradient is {norm:.3e}, below {bound:e}"
            ));
        }
        if let (Some(bound), Some(value)) = (self.min_change, logs.get(&self.monitor)) {
            if let Some(change) = self.last.map(|last| (value - last).abs())
                && change < bound
            {
                let monitor = &self.monitor;
                reason = Some(format!(
                    "{monitor} changes by {change:.3e}, less than {bound:e}"
                ));
            }
            self.last = Some(value);
        } else if self.min_gradient_norm.is_none() {
            // An epoch without validation says nothing.
            return None;
        }
        self.still = match reason {
            Some(_) => self.still + 1,
            None => 0,
        };
        reason.filter(|_| self.still >= self.patience)
    }
}

impl Default for StopAtConvergence {
    fn default() -> StopAtConvergence {
        StopAtConvergence::new()
    }
}

impl Callback for StopAtConvergence {
    fn name(&self) -> &str {
        OWNER
    }

    fn wants_gradient_norm(&self) -> bool {
        self.min_gradient_norm.is_some() || self.monitor == GRADIENT_NORM
    }

    fn check(&mut self, setup: &Setup<'_>) -> Result<()> {
        self.check_arguments()?;
        match self.min_change {
            Some(_) => setup.require(OWNER, &self.monitor),
            None => Ok(()),
        }
    }

    fn on_train_begin(&mut self, _: &TrainingStart<'_>, _: &mut Model) -> Result<()> {
        (self.last, self.still) = (None, 0);
        Ok(())
    }

    fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, _: &mut Model) -> Result<Control> {
        let Some(reason) = self.judge(epoch.logs) else {
            return Ok(Control::Continue);
        };
        let text = format!("converged after epoch {}: {reason}", epoch.epoch + 1);
        self.notes.push(Note::new(OWNER, epoch.epoch, text));
        Ok(Control::Finish)
    }

    fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    fn state(&self) -> Result<CallbackState> {
        let state = CallbackState::default().with_number("last", self.last);
        Ok(state.with("still", self.still))
    }

    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        let read = state.read(OWNER);
        self.last = read.number("last")?;
        self.still = read.count("still")?.unwrap_or(0);
        Ok(())
    }
}
