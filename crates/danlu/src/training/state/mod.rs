//! All that a training needs to go on from a batch or an epoch, as if it had never been cut.

mod checkpoint;
mod folder;
mod json;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use danlu_graph::Tensor;
use serde_json::{Value, json};

use super::History;
use super::feed::FeedPlace;
use super::fit::{Progressed, Run};
use super::running::RunningState;
use crate::callbacks::CallbackState;
use crate::{Error, Model, Result};

/// A training as it stands after a batch or an epoch: weights, optimizer state, where the data stands, the running sums of
/// loss and metrics, the history and what callbacks keep.
///
/// A callback gets one where it [asks](crate::callbacks::Callback::wants_state);
/// [`FitOptions::resume`](super::FitOptions::resume) goes on from it: with the same model, compiled in the same way, and the
/// same data and options it ends in the same bits as a training that was never cut, with any number of threads. Nothing in it
/// depends on the clock, on paths or on threads. [`save`](Self::save) keeps it in a folder.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingState {
    pub(super) epoch: usize,
    pub(super) step: usize,
    pub(super) examples: usize,
    pub(super) iteration: u64,
    /// Whether a callback took the training for done.
    pub(super) done: bool,
    pub(super) batch_size: usize,
    /// Examples of the data, where known.
    pub(super) size: Option<usize>,
    pub(super) place: FeedPlace,
    /// In the middle of an epoch.
    pub(super) running: Option<RunningState>,
    /// As the host keeps it, in 64 bits.
    pub(super) learning_rate: f64,
    /// Whether the moving averages stand in the parameters' place.
    pub(super) averages_swapped: bool,
    pub(super) history: History,
    pub(super) callbacks: Vec<(String, CallbackState)>,
    /// Configuration, compile settings and metadata of the model.
    pub(super) model: Value,
    pub(super) weights: Vec<(String, Tensor)>,
    pub(super) optimizer: Vec<(String, Tensor)>,
}

impl TrainingState {
    /// Epochs that were finished: the number, counted from 0, of the epoch that goes on.
    pub fn epoch(&self) -> usize {
        self.epoch
    }

    /// Steps that were done in the epoch that goes on; 0 between two epochs.
    pub fn step(&self) -> usize {
        self.step
    }

    /// Optimizer steps since the optimizer was made.
    pub fn iteration(&self) -> u64 {
        self.iteration
    }

    /// Loss and metrics of the finished epochs, and what callbacks did in them.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// Whether nothing is left to be done in a training of so many epochs: they are finished, or a callback, such as early
    /// stopping, took the training for done.
    pub fn is_done(&self, epochs: usize) -> bool {
        self.done || self.epoch >= epochs
    }

    /// The parameters by name.
    pub fn weights(&self) -> &[(String, Tensor)] {
        &self.weights
    }

    /// The optimizer's state by name.
    pub fn optimizer(&self) -> &[(String, Tensor)] {
        &self.optimizer
    }
}

impl Model {
    /// Gives the callbacks that ask for it the state of the training.
    pub(super) fn offer_state(&self, run: &mut Run) -> Result<()> {
        if !run.callbacks.wants_state() {
            return Ok(());
        }
        let progress = run.progress;
        let mut history = run.history.clone();
        run.callbacks.complete(&mut history);
        let compiled = self.require_compiled("fit")?;
        let state = Arc::new(TrainingState {
            epoch: progress.epoch,
            step: progress.step,
            examples: progress.examples,
            iteration: self.iteration()?,
            done: progress.done,
            batch_size: run.training.batch_size(),
            size: run.training.examples(),
            place: run.training.place(),
            running: (progress.step > 0).then(|| compiled.running.state()),
            learning_rate: compiled.learning_rate,
            averages_swapped: compiled.averages_swapped,
            history,
            callbacks: run.callbacks.states()?,
            model: json!({
                "config": self.to_keras(),
                "compile_config": self.compile_config(),
                "danlu": self.metadata(),
            }),
            weights: self.named_weights()?,
            optimizer: self.optimizer_state()?,
        });
        run.callbacks.give_state(&state, self)
    }

    /// Puts a training where a state says: the model, the data, the history and the callbacks.
    pub(super) fn go_on(&mut self, run: &mut Run, state: &TrainingState) -> Result<()> {
        check_data(run, state)?;
        if state.step > 0 {
            // What callbacks then do to the model, the state undoes: the epoch began long ago.
            run.callbacks.epoch_begin(state.epoch, self)?;
        }
        self.stand(run, state)?;
        run.history = state.history.clone();
        run.callbacks.restore(&state.callbacks, &mut run.history)
    }

    /// Puts the model and the data where a state says, and nothing else.
    pub(super) fn stand(&mut self, run: &mut Run, state: &TrainingState) -> Result<()> {
        run.progress = Progressed {
            epoch: state.epoch,
            step: state.step,
            examples: state.examples,
            done: state.done,
        };
        self.set_named_weights(&state.weights)?;
        self.set_named_optimizer_state(&state.optimizer)?;
        if let Some(compiled) = &mut self.compiled {
            compiled.learning_rate = state.learning_rate;
            compiled.averages_swapped = state.averages_swapped;
        }
        if let Some(running) = &state.running {
            self.restore_running(running)?;
        }
        run.training.seek(state.place)
    }

    /// The running sums of loss and metrics.
    pub(super) fn running_state(&self) -> RunningState {
        let compiled = self.compiled.as_ref();
        compiled.map_or_else(RunningState::default, |compiled| compiled.running.state())
    }

    /// Puts them back.
    pub(super) fn restore_running(&mut self, state: &RunningState) -> Result<()> {
        let compiled = self.compiled.as_mut();
        if compiled.is_some_and(|compiled| !compiled.running.restore(state)) {
            return Err(Error::mismatch(
                "the state of the training",
                "the running sums of this model's loss and metrics",
                "those of others",
                "compile the model with the loss and metrics that the training began with",
            ));
        }
        Ok(())
    }
}

/// Fails unless the data has the size, and the batches, of the training that the state is of.
pub(super) fn check_data(run: &Run, state: &TrainingState) -> Result<()> {
    let own = [Some(run.training.batch_size()), run.training.examples()];
    let expected = [
        ("batches of", Some(state.batch_size)),
        ("examples:", state.size),
    ];
    for ((what, there), own) in expected.into_iter().zip(own) {
        if there != own {
            let say = |count: Option<usize>| match count {
                Some(count) => format!("{what} {count}"),
                None => format!("{what} a number that is not known"),
            };
            return Err(Error::mismatch(
                "fit's data",
                say(there),
                say(own),
                "a training goes on with the data and the batch size that it began with",
            ));
        }
    }
    Ok(())
}
