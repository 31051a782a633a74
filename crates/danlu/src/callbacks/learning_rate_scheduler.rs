//! A learning rate for each epoch.

use std::sync::Arc;

use super::reduce_lr_on_plateau::require_settable_rate;
use super::{Callback, Note, Setup};
use crate::optimizers::schedules::{self, Schedule};
use crate::{Arguments, Error, Model, Result};

const OWNER: &str = "LearningRateScheduler";

/// Where rates come from.
enum Rule<'a> {
    Function(Box<dyn FnMut(usize, f64) -> f64 + 'a>),
    Schedule(Arc<dyn Schedule>),
}

/// Sets the learning rate when an epoch begins (Keras' `LearningRateScheduler`): from the epoch, counted from 0, and the rate of
/// now, or from a [schedule](crate::optimizers::schedules) whose steps are epochs. The optimizer's learning rate must be a number.
///
/// ```
/// # use danlu::callbacks::LearningRateScheduler;
/// let scheduler = LearningRateScheduler::new(|epoch, rate| if epoch < 10 { rate } else { rate * 0.9 });
/// # drop(scheduler);
/// ```
pub struct LearningRateScheduler<'a> {
    rule: Rule<'a>,
    verbose: bool,
    notes: Vec<Note>,
}

impl<'a> LearningRateScheduler<'a> {
    /// Of a function of the epoch and the rate.
    pub fn new(schedule: impl FnMut(usize, f64) -> f64 + 'a) -> LearningRateScheduler<'a> {
        LearningRateScheduler::of(Rule::Function(Box::new(schedule)))
    }

    /// Of a schedule: its rate after as many steps as there were epochs.
    pub fn of_schedule(schedule: impl Schedule) -> LearningRateScheduler<'a> {
        LearningRateScheduler::of(Rule::Schedule(Arc::new(schedule)))
    }

    fn of(rule: Rule<'a>) -> LearningRateScheduler<'a> {
        LearningRateScheduler {
            rule,
            verbose: false,
            notes: Vec::new(),
        }
    }

    /// Whether every epoch's rate is told of. Default `false`.
    #[must_use]
    pub fn verbose(mut self, verbose: bool) -> LearningRateScheduler<'a> {
        self.verbose = verbose;
        self
    }

    pub(super) fn from_config(arguments: &mut Arguments) -> Result<LearningRateScheduler<'a>> {
        let schedule = arguments.take("schedule");
        let schedule = arguments.required("schedule", schedule)?;
        if !schedule.is_object() {
            let expected = "a table such as { type = \"ExponentialDecay\", initial_learning_rate = 0.01, decay_steps = 10, decay_rate = 0.5 }, whose steps are epochs";
            return Err(arguments.wrong("schedule", expected, &schedule));
        }
        let schedule = schedules::from_json(OWNER, &schedule)?;
        let mut made = LearningRateScheduler::of(Rule::Schedule(schedule));
        made.verbose = super::monitor::verbose(arguments)?;
        Ok(made)
    }

    fn rate(&mut self, epoch: usize, rate: f64) -> Result<f64> {
        match &mut self.rule {
            // The optimizer keeps the rate in 32 bits.
            Rule::Function(function) => Ok(function(epoch, f64::from(rate as f32))),
            Rule::Schedule(schedule) => schedules::rate_at(&**schedule, epoch as u64),
        }
    }
}

impl Callback for LearningRateScheduler<'_> {
    fn name(&self) -> &str {
        OWNER
    }

    fn sets_learning_rate(&self) -> bool {
        true
    }

    fn check(&mut self, setup: &Setup<'_>) -> Result<()> {
        require_settable_rate(OWNER, setup)
    }

    fn on_epoch_begin(&mut self, epoch: usize, model: &mut Model) -> Result<()> {
        let rate = self.rate(epoch, model.learning_rate().unwrap_or(0.0))?;
        if !rate.is_finite() || rate < 0.0 {
            let expected = format!("rates of at least 0, also for epoch {epoch}");
            return Err(Error::argument(OWNER, "schedule", expected, rate));
        }
        model.set_learning_rate(rate)?;
        if self.verbose {
            let shown = rate as f32;
            let text = format!("epoch {}: learning rate {shown}", epoch + 1);
            let note = Note::new(OWNER, epoch, text);
            self.notes.push(note.fact("learning_rate", rate));
        }
        Ok(())
    }

    fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }
}
