//! A smaller learning rate where a metric no longer improves.

use super::monitor::{Monitor, count};
use super::{Callback, CallbackState, Control, EpochLogs, MonitorMode, Note, Setup, TrainingStart};
use crate::optimizers::{LearningRate, check_rate};
use crate::{Arguments, Error, Model, Result};

const OWNER: &str = "ReduceLROnPlateau";

/// Multiplies the learning rate by a factor when a metric has not improved for some epochs (Keras' `ReduceLROnPlateau`).
///
/// Epochs without the metric, as with `validation_freq`, do not count. The optimizer's learning rate must be a number.
#[derive(Clone, Debug, PartialEq)]
pub struct ReduceLROnPlateau {
    monitor: Monitor,
    factor: f64,
    patience: usize,
    cooldown: usize,
    min_lr: f64,
    best: Option<f64>,
    wait: usize,
    cooling: usize,
    notes: Vec<Note>,
}

impl ReduceLROnPlateau {
    /// Keras' defaults: a tenth after 10 epochs in which `val_loss` is not less by more than 0.0001.
    pub fn new() -> ReduceLROnPlateau {
        let mut monitor = Monitor::new(OWNER, "val_loss");
        monitor.min_delta = 1e-4;
        ReduceLROnPlateau {
            monitor,
            factor: 0.1,
            patience: 10,
            cooldown: 0,
            min_lr: 0.0,
            best: None,
            wait: 0,
            cooling: 0,
            notes: Vec::new(),
        }
    }

    /// The name in the logs that is watched. Default `val_loss`.
    #[must_use]
    pub fn monitor(mut self, monitor: &str) -> ReduceLROnPlateau {
        self.monitor.name = monitor.to_owned();
        self
    }

    /// By what the learning rate is multiplied; below 1. Default 0.1.
    #[must_use]
    pub fn factor(mut self, factor: f64) -> ReduceLROnPlateau {
        self.factor = factor;
        self
    }

    /// Epochs without improvement after which the rate is reduced. Default 10.
    #[must_use]
    pub fn patience(mut self, patience: usize) -> ReduceLROnPlateau {
        self.patience = patience;
        self
    }

    /// Which way the metric improves. Default: as the metric says.
    #[must_use]
    pub fn mode(mut self, mode: MonitorMode) -> ReduceLROnPlateau {
        self.monitor.mode = mode;
        self
    }

    /// What is no more than this is no improvement; its sign does not count. Default 0.0001.
    #[must_use]
    pub fn min_delta(mut self, min_delta: f64) -> ReduceLROnPlateau {
        self.monitor.min_delta = min_delta;
        self
    }

    /// Epochs after a reduction in which nothing is counted. Default 0.
    #[must_use]
    pub fn cooldown(mut self, cooldown: usize) -> ReduceLROnPlateau {
        self.cooldown = cooldown;
        self
    }

    /// The rate below which it is not reduced. Default 0.
    #[must_use]
    pub fn min_lr(mut self, min_lr: f64) -> ReduceLROnPlateau {
        self.min_lr = min_lr;
        self
    }

    pub(super) fn from_config(arguments: &mut Arguments) -> Result<ReduceLROnPlateau> {
        let mut made = ReduceLROnPlateau {
            monitor: Monitor::take(OWNER, arguments, 1e-4)?,
            ..ReduceLROnPlateau::new()
        };
        made.factor = arguments.number("factor")?.unwrap_or(made.factor);
        made.patience = count(arguments, "patience")?.unwrap_or(made.patience);
        made.cooldown = count(arguments, "cooldown")?.unwrap_or(0);
        made.min_lr = arguments.number("min_lr")?.unwrap_or(0.0);
        super::monitor::verbose(arguments)?;
        made.check_numbers()?;
        Ok(made)
    }

    fn check_numbers(&self) -> Result<()> {
        self.monitor.check_numbers()?;
        if !(0.0..1.0).contains(&self.factor) {
            let expected = "from 0 up to, without, 1";
            return Err(Error::argument(OWNER, "factor", expected, self.factor));
        }
        check_rate(OWNER, "min_lr", self.min_lr)
    }

    /// Keras' rule: the new learning rate, where the rate of now is to be reduced.
    fn judge(&mut self, value: Option<f64>, rate: f64) -> Option<f64> {
        let value = value?;
        if self.cooling > 0 {
            self.cooling -= 1;
            self.wait = 0;
        }
        if self.monitor.improves(value, self.best) {
            self.best = Some(value);
            self.wait = 0;
            return None;
        }
        if self.cooling > 0 {
            return None;
        }
        self.wait += 1;
        // The optimizer keeps the rate in 32 bits.
        let rate = f64::from(rate as f32);
        if self.wait < self.patience || rate <= f64::from(self.min_lr as f32) {
            return None;
        }
        self.cooling = self.cooldown;
        self.wait = 0;
        Some((rate * self.factor).max(self.min_lr))
    }
}

impl Default for ReduceLROnPlateau {
    fn default() -> ReduceLROnPlateau {
        ReduceLROnPlateau::new()
    }
}

/// Fails where the optimizer's learning rate is a schedule, which a callback that sets the rate would fight.
pub(super) fn require_settable_rate(owner: &str, setup: &Setup<'_>) -> Result<()> {
    let optimizer = setup.model().optimizer();
    match optimizer.map(|optimizer| &optimizer.options().learning_rate) {
        Some(LearningRate::Schedule(schedule)) => Err(Error::mismatch(
            owner,
            "an optimizer whose learning rate is a number",
            format!("the schedule {}", schedule.class_name()),
            "leave out the callback or the schedule",
        )),
        _ => Ok(()),
    }
}

impl Callback for ReduceLROnPlateau {
    fn name(&self) -> &str {
        OWNER
    }

    fn sets_learning_rate(&self) -> bool {
        true
    }

    fn check(&mut self, setup: &Setup<'_>) -> Result<()> {
        self.check_numbers()?;
        require_settable_rate(OWNER, setup)?;
        self.monitor.check(setup)
    }

    fn on_train_begin(&mut self, _: &TrainingStart<'_>, _: &mut Model) -> Result<()> {
        (self.best, self.wait, self.cooling) = (None, 0, 0);
        Ok(())
    }

    fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, model: &mut Model) -> Result<Control> {
        let value = epoch.logs.get(&self.monitor.name);
        let rate = model.learning_rate().unwrap_or(0.0);
        if let Some(new) = self.judge(value, rate) {
            model.set_learning_rate(new)?;
            let text = format!(
                "epoch {}: {} no longer improves: learning rate reduced from {} to {}",
                epoch.epoch + 1,
                self.monitor.name,
                rate as f32,
                new as f32,
            );
            let note = Note::new(OWNER, epoch.epoch, text);
            self.notes.push(note.fact("learning_rate", new));
        }
        Ok(Control::Continue)
    }

    fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    fn state(&self) -> Result<CallbackState> {
        let state = CallbackState::default().with_number("best", self.best);
        Ok(state.with("wait", self.wait).with("cooling", self.cooling))
    }

    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        let read = state.read(OWNER);
        self.best = read.number("best")?;
        self.wait = read.count("wait")?.unwrap_or(0);
        self.cooling = read.count("cooling")?.unwrap_or(0);
        Ok(())
    }
}
