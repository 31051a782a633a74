//! The callbacks of a training, one after the other.

use super::{
    Callback, CallbackState, Control, EarlyStopped, EpochLogs, Logs, Note, Phase, StepLogs,
    TrainingStart,
};
use std::path::Path;
use std::sync::Arc;

use crate::training::{History, TrainingState};
use crate::{Error, Model, Result};

/// Which pass over data a step belongs to.
#[derive(Clone, Copy)]
pub(crate) struct Pass {
    pub phase: Phase,
    pub epoch: usize,
    pub steps: Option<usize>,
    /// Optimizer steps before the pass.
    pub iteration: u64,
}

/// Callbacks in the order in which they are called.
pub(crate) struct CallbackList<'a> {
    callbacks: Vec<Box<dyn Callback + 'a>>,
    /// Which of them watch batches.
    watching: Vec<usize>,
    /// Copies of the running means, since callbacks may change the model that they stand in.
    names: Vec<String>,
    values: Vec<f64>,
    notes: Vec<Note>,
    ended_by: Option<String>,
}

impl<'a> CallbackList<'a> {
    pub fn new(callbacks: Vec<Box<dyn Callback + 'a>>) -> CallbackList<'a> {
        let watching = |place: &usize| callbacks[*place].watches_batches();
        CallbackList {
            watching: (0..callbacks.len()).filter(watching).collect(),
            callbacks,
            names: Vec::new(),
            values: Vec::new(),
            notes: Vec::new(),
            ended_by: None,
        }
    }

    /// Passes what a callback has to say to all of them.
    fn tell(&mut self, place: usize) {
        for note in self.callbacks[place].take_notes() {
            for callback in &mut self.callbacks {
                callback.on_note(&note);
            }
            self.notes.push(note);
        }
    }

    /// Calls a method of each, the first error ends it.
    fn each(
        &mut self,
        mut call: impl FnMut(&mut Box<dyn Callback + 'a>) -> Result<()>,
    ) -> Result<()> {
        for place in 0..self.callbacks.len() {
            call(&mut self.callbacks[place])?;
            self.tell(place);
        }
        Ok(())
    }

    pub fn train_begin(&mut self, start: &TrainingStart<'_>, model: &mut Model) -> Result<()> {
        for warning in &model.warnings {
            for callback in &mut self.callbacks {
                callback.on_warning(warning);
            }
        }
        self.each(|callback| callback.on_train_begin(start, model))
    }

    pub fn epoch_begin(&mut self, epoch: usize, model: &mut Model) -> Result<()> {
        self.each(|callback| callback.on_epoch_begin(epoch, model))
    }

    pub fn test_begin(&mut self, phase: Phase, model: &mut Model) -> Result<()> {
        self.each(|callback| callback.on_test_begin(phase, model))
    }

    pub fn test_end(&mut self, phase: Phase, model: &mut Model) -> Result<()> {
        self.each(|callback| callback.on_test_end(phase, model))
    }

    /// A step of a pass was done. Allocates nothing from the second step on.
    pub fn batch_end(
        &mut self,
        pass: Pass,
        step: usize,
        examples: usize,
        model: &mut Model,
    ) -> Result<Control> {
        if self.watching.is_empty() {
            return Ok(Control::Continue);
        }
        self.values.clear();
        if pass.phase != Phase::Prediction {
            let logs = model.running_logs();
            if self.names != logs.names {
                self.names = logs.names.to_vec();
            }
            self.values.extend_from_slice(logs.values);
        }
        let trained = match pass.phase {
            Phase::Training => step as u64,
            _ => 0,
        };
        let mut control = Control::Continue;
        for index in 0..self.watching.len() {
            let place = self.watching[index];
            let report = StepLogs {
                phase: pass.phase,
                epoch: pass.epoch,
                step,
                steps: pass.steps,
                examples,
                iteration: pass.iteration + trained,
                logs: Logs {
                    names: &self.names[..self.values.len()],
                    values: &self.values,
                },
            };
            let asked = self.callbacks[place].on_batch_end(&report, model)?;
            control = self.strongest(control, asked, place);
            self.tell(place);
        }
        Ok(control)
    }

    pub fn epoch_end(&mut self, report: &EpochLogs<'_>, model: &mut Model) -> Result<Control> {
        let mut report = *report;
        let mut control = Control::Continue;
        for place in 0..self.callbacks.len() {
            let asked = self.callbacks[place].on_epoch_end(&report, model)?;
            control = self.strongest(control, asked, place);
            if let Some(did) = self.callbacks[place].early_stopped() {
                let improved = did.best_epoch == Some(report.epoch);
                report.improved.get_or_insert(improved);
            }
            self.tell(place);
        }
        Ok(control)
    }

    /// The state that a callback has kept of a training that was cut, where one has.
    pub fn saved_state(&mut self, folder: Option<&Path>) -> Result<Option<TrainingState>> {
        for callback in &mut self.callbacks {
            if let Some(state) = callback.saved_state(folder)? {
                return Ok(Some(state));
            }
        }
        Ok(None)
    }

    /// Whether somebody asks for the state of the training.
    pub fn wants_state(&self) -> bool {
        self.callbacks.iter().any(|callback| callback.wants_state())
    }

    /// Gives it to those that ask.
    pub fn give_state(&mut self, state: &Arc<TrainingState>, model: &Model) -> Result<()> {
        let mut asking = self.callbacks.iter_mut();
        asking.try_for_each(|callback| match callback.wants_state() {
            true => callback.on_state(state, model),
            false => Ok(()),
        })
    }

    /// What callbacks keep, with their names; those that keep nothing are left out.
    pub fn states(&self) -> Result<Vec<(String, CallbackState)>> {
        let mut states = Vec::new();
        for callback in &self.callbacks {
            let state = callback.state()?;
            if state != CallbackState::default() {
                states.push((callback.name().to_owned(), state));
            }
        }
        Ok(states)
    }

    /// Puts states back, by name and, of one name, by order; what the history of the training holds of the callbacks goes on, too.
    pub fn restore(
        &mut self,
        states: &[(String, CallbackState)],
        history: &mut History,
    ) -> Result<()> {
        self.notes = std::mem::take(&mut history.notes);
        self.ended_by = history.ended_by.take();
        let mut left: Vec<&(String, CallbackState)> = states.iter().collect();
        for callback in &mut self.callbacks {
            let own = left.iter().position(|(name, _)| name == callback.name());
            if let Some(place) = own {
                callback.restore(&left.remove(place).1)?;
            }
        }
        left.retain(|(_, state)| !state.is_optional());
        match left.first() {
            None => Ok(()),
            Some((name, _)) => Err(Error::mismatch(
                "fit's callbacks",
                format!("the ones that the training began with, {name} among them"),
                format!("none named {name}"),
                "give the same callbacks in the same order",
            )),
        }
    }

    /// Adds to a history what the callbacks have done so far.
    pub fn complete(&self, history: &mut History) {
        history.notes.extend_from_slice(&self.notes);
        history.ended_by.clone_from(&self.ended_by);
    }

    /// The training has ended; completes the history with what the callbacks did.
    pub fn train_end(&mut self, history: &mut History, model: &mut Model) -> Result<()> {
        history.ended_by = self.ended_by.take().filter(|_| !history.stopped);
        for place in 0..self.callbacks.len() {
            history.early_stopping = self.early_stopped();
            self.callbacks[place].on_train_end(history, model)?;
            self.tell(place);
            history.notes.append(&mut self.notes);
        }
        history.early_stopping = self.early_stopped();
        Ok(())
    }

    fn early_stopped(&self) -> Option<EarlyStopped> {
        let mut callbacks = self.callbacks.iter();
        callbacks.find_map(|callback| callback.early_stopped().cloned())
    }

    /// An interruption goes before an end: what is interrupted is gone on with, and ends then.
    fn strongest(&mut self, now: Control, asked: Control, place: usize) -> Control {
        if asked == Control::Finish && self.ended_by.is_none() {
            self.ended_by = Some(self.callbacks[place].name().to_owned());
        }
        match (now, asked) {
            (Control::Stop, _) | (_, Control::Stop) => Control::Stop,
            (Control::Finish, _) | (_, Control::Finish) => Control::Finish,
            _ => Control::Continue,
        }
    }
}
