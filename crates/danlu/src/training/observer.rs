//! Who watches a training: progress bars, logs, checkpoints, Ctrl-C.

use super::History;
use crate::{Model, Result};

/// Whether to go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    #[default]
    Continue,
    /// Stop after this batch or epoch: `fit` returns the history of the epochs that were finished.
    Stop,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Training steps of `fit`.
    Training,
    /// Validation at the end of an epoch.
    Validation,
    /// `evaluate`.
    Evaluation,
    /// `predict`.
    Prediction,
}

/// Names and values: the loss, then the metrics, as running means.
#[derive(Clone, Copy, Debug)]
pub struct Logs<'a> {
    /// The names, `loss` first.
    pub names: &'a [String],
    /// The values, in the order of the names.
    pub values: &'a [f64],
}

impl Logs<'_> {
    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        let place = self.names.iter().position(|own| own == name)?;
        self.values.get(place).copied()
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        let names = self.names.iter().map(String::as_str);
        names.zip(self.values.iter().copied())
    }
}

/// What is known when a training begins.
#[derive(Clone, Copy, Debug)]
pub struct TrainingStart {
    /// The number of the first epoch, counted from 0.
    pub initial_epoch: usize,
    /// The number of the last epoch plus one.
    pub epochs: usize,
    /// Steps of an epoch, where known.
    pub steps: Option<usize>,
    /// Examples that are trained on, where known.
    pub examples: Option<usize>,
    /// Examples that are validated on, where known.
    pub validation_examples: Option<usize>,
}

/// The state after a step.
#[derive(Clone, Copy, Debug)]
pub struct StepLogs<'a> {
    /// What the step is part of.
    pub phase: Phase,
    /// The epoch, counted from 0.
    pub epoch: usize,
    /// Steps done in this pass, this one included.
    pub step: usize,
    /// Steps of a pass, where known.
    pub steps: Option<usize>,
    /// Examples in this step.
    pub examples: usize,
    /// Running means over the pass so far.
    pub logs: Logs<'a>,
}

/// The state after an epoch.
#[derive(Clone, Copy, Debug)]
pub struct EpochLogs<'a> {
    /// The epoch, counted from 0.
    pub epoch: usize,
    /// The number of the last epoch plus one.
    pub epochs: usize,
    /// Loss and metrics, and, where there was validation, the same with `val_` before their names.
    pub logs: Logs<'a>,
    /// Optimizer steps since the optimizer was made.
    pub iteration: u64,
    /// Whether early stopping takes this epoch for the best so far; `None` where nothing is watched.
    pub improved: Option<bool>,
}

/// Watches a training, and can stop it. Every method may be left out.
///
/// [`on_batch_end`](Self::on_batch_end) is called with borrowed numbers; between the third step of an epoch and its last
/// nothing is allocated but what an observer allocates.
pub trait Observer {
    /// A training begins: configuration and data were found good.
    fn on_train_begin(&mut self, start: &TrainingStart) {
        let _ = start;
    }

    /// Something that the user should know; said before the training begins.
    fn on_warning(&mut self, warning: &str) {
        let _ = warning;
    }

    /// An epoch begins.
    fn on_epoch_begin(&mut self, epoch: usize) {
        let _ = epoch;
    }

    /// A step was done.
    fn on_batch_end(&mut self, step: &StepLogs<'_>) -> Control {
        let _ = step;
        Control::Continue
    }

    /// An epoch was finished, validation included. The model may be saved, and its learning rate changed.
    ///
    /// # Errors
    /// What the observer reports ends the training.
    fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, model: &mut Model) -> Result<Control> {
        let _ = (epoch, model);
        Ok(Control::Continue)
    }

    /// The training ended without an error.
    fn on_train_end(&mut self, history: &History) {
        let _ = history;
    }
}

/// An observer that does nothing.
pub(super) struct Silent;

impl Observer for Silent {}
