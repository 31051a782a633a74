//! What callbacks are told, and what they answer.

use std::path::{Path, PathBuf};

use crate::Config;

/// Whether to go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Control {
    /// Go on.
    #[default]
    Continue,
    /// Interrupt the training after this batch or epoch: `fit` returns the history of the epochs that were finished, with
    /// [`stopped`](crate::training::History::stopped) set. It is to be gone on with.
    Stop,
    /// The training is done, as if this epoch had been the last one; after a batch, as if the epoch before had been.
    Finish,
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
pub struct TrainingStart<'a> {
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
    /// The folder that relative paths of callbacks are relative to, where `fit` was given
    /// [one](crate::training::FitOptions::folder).
    pub folder: Option<&'a Path>,
    /// Whether it goes on from a state: callbacks then get back what they [kept](super::Callback::restore).
    pub resumed: bool,
}

impl TrainingStart<'_> {
    /// Where a callback's file is: under [`folder`](Self::folder), unless the path is absolute.
    pub fn resolve(&self, path: &str) -> PathBuf {
        self.folder
            .map_or_else(|| PathBuf::from(path), |folder| folder.join(path))
    }
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
    /// Optimizer steps since the optimizer was made, this one included.
    pub iteration: u64,
    /// Running means over the pass so far. In training, the loss is not finite where that of a batch was not.
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
    /// Whether early stopping takes this epoch for the best so far; `None` where nothing is watched, and for callbacks that
    /// stand before the one that watches.
    pub improved: Option<bool>,
}

/// Something that a callback did or found, in words that are shown and numbers that are kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Note {
    /// Who says it.
    pub callback: String,
    /// In which epoch, counted from 0.
    pub epoch: usize,
    /// One line, without its end.
    pub text: String,
    /// The same for programs, such as `{ "learning_rate": 0.0001 }`.
    pub facts: Config,
}

impl Note {
    /// What a callback says of an epoch, counted from 0.
    pub fn new(callback: &str, epoch: usize, text: impl Into<String>) -> Note {
        Note {
            callback: callback.to_owned(),
            epoch,
            text: text.into(),
            facts: Config::new(),
        }
    }

    /// With one more fact.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Into<serde_json::Value>) -> Note {
        self.facts.insert(name.to_owned(), value.into());
        self
    }
}
