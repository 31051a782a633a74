//! Options of fit, evaluate and predict, with Keras' defaults.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Callback, Data, EarlyStopping, IntoData, LearningRateSet, TrainingState};
use crate::{Error, Result};

/// Options of [`Model::fit`](crate::Model::fit).
#[must_use]
pub struct FitOptions<'a> {
    pub(super) epochs: usize,
    pub(super) initial_epoch: usize,
    pub(super) batch_size: usize,
    pub(super) validation_split: f64,
    pub(super) validation_data: Option<Result<Data<'a>>>,
    pub(super) validation_batch_size: Option<usize>,
    pub(super) validation_steps: Option<usize>,
    pub(super) validation_freq: usize,
    pub(super) shuffle: bool,
    pub(super) seed: Option<u64>,
    pub(super) steps_per_epoch: Option<usize>,
    pub(super) class_weight: Option<Vec<f32>>,
    pub(super) early_stopping: Option<EarlyStopping>,
    pub(super) verbose: bool,
    pub(super) callbacks: Vec<Box<dyn Callback + 'a>>,
    pub(super) folder: Option<PathBuf>,
    pub(super) resume: Option<Arc<TrainingState>>,
    pub(super) learning_rates: Vec<LearningRateSet>,
}

impl<'a> FitOptions<'a> {
    /// Keras' defaults: one epoch, batches of 32, shuffled, no validation, progress on stderr.
    pub fn new() -> FitOptions<'a> {
        FitOptions {
            epochs: 1,
            initial_epoch: 0,
            batch_size: 32,
            validation_split: 0.0,
            validation_data: None,
            validation_batch_size: None,
            validation_steps: None,
            validation_freq: 1,
            shuffle: true,
            seed: None,
            steps_per_epoch: None,
            class_weight: None,
            early_stopping: None,
            verbose: true,
            callbacks: Vec::new(),
            folder: None,
            resume: None,
            learning_rates: Vec::new(),
        }
    }

    /// The number of the last epoch plus one (the number of epochs, where `initial_epoch` is 0).
    pub fn epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs;
        self
    }

    /// The number of the first epoch, counted from 0. Default 0.
    pub fn initial_epoch(mut self, initial_epoch: usize) -> Self {
        self.initial_epoch = initial_epoch;
        self
    }

    /// Examples of a step; with as many as there are, gradient descent is full batch. Default 32. A source of batches has
    /// its own.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// The share, from 0 up to, without, 1, of the examples that is kept for validation: the last ones, as they stand,
    /// before any shuffling. Default 0.
    pub fn validation_split(mut self, validation_split: f64) -> Self {
        self.validation_split = validation_split;
        self
    }

    /// What is validated on after an epoch; it goes before `validation_split`.
    pub fn validation_data(mut self, data: impl IntoData<'a>) -> Self {
        self.validation_data = Some(data.into_data());
        self
    }

    /// Examples of a validation step. Default: `batch_size`.
    pub fn validation_batch_size(mut self, batch_size: usize) -> Self {
        self.validation_batch_size = Some(batch_size);
        self
    }

    /// Batches of a validation. Default: all.
    pub fn validation_steps(mut self, steps: usize) -> Self {
        self.validation_steps = Some(steps);
        self
    }

    /// Validates after every so many epochs. Default 1.
    pub fn validation_freq(mut self, epochs: usize) -> Self {
        self.validation_freq = epochs;
        self
    }

    /// Whether every epoch sees the examples in a new order. Default `true`.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// The seed of shuffling and dropout. Default: the model's.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Batches of an epoch; the next epoch goes on where this one stopped. Default: all.
    pub fn steps_per_epoch(mut self, steps: usize) -> Self {
        self.steps_per_epoch = Some(steps);
        self
    }

    /// A weight for each class, by index; targets must be class indices.
    pub fn class_weight(mut self, weights: &[f32]) -> Self {
        self.class_weight = Some(weights.to_vec());
        self
    }

    /// Stops training when a metric no longer improves: as a [`callback`](Self::callback) before all others. Default: never.
    pub fn early_stopping(mut self, early_stopping: EarlyStopping) -> Self {
        self.early_stopping = Some(early_stopping);
        self
    }

    /// Whether progress is written to stderr. Default `true`.
    pub fn verbose(mut self, verbose: bool) -> Self {
        self.verbose = verbose;
        self
    }

    /// One more callback, called after those that were given before. A `&mut` to one will do.
    pub fn callback(mut self, callback: impl Callback + 'a) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// More callbacks, called in this order after those that were given before.
    pub fn callbacks(
        mut self,
        callbacks: impl IntoIterator<Item = Box<dyn Callback + 'a>>,
    ) -> Self {
        self.callbacks.extend(callbacks);
        self
    }

    /// The folder that relative paths of callbacks are relative to. Default: the process's.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Goes on from a state of a training that was cut, as if it had not been: give the same data and the same options; only
    /// `epochs` may be others, which is as if they had been planned so from the start. It goes before `initial_epoch`. A source of
    /// batches that nobody has read from is brought to its place by [`BatchSource::seek`](danlu_data::BatchSource::seek).
    pub fn resume(mut self, state: impl Into<Arc<TrainingState>>) -> Self {
        self.resume = Some(state.into());
        self
    }

    /// The [learning rates](crate::Model::learning_rates) of the training that
    /// [`find_non_finite`](crate::Model::find_non_finite) runs once more; `fit` does not use them.
    pub fn learning_rates(mut self, learning_rates: &[LearningRateSet]) -> Self {
        self.learning_rates = learning_rates.to_vec();
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        let at_least_one = [
            ("epochs", Some(self.epochs)),
            ("batch_size", Some(self.batch_size)),
            ("validation_batch_size", self.validation_batch_size),
            ("validation_steps", self.validation_steps),
            ("validation_freq", Some(self.validation_freq)),
            ("steps_per_epoch", self.steps_per_epoch),
        ];
        for (argument, value) in at_least_one {
            if value == Some(0) {
                return Err(Error::argument("fit", argument, "at least 1", 0));
            }
        }
        if !(0.0..1.0).contains(&self.validation_split) {
            let expected = "from 0 up to, without, 1";
            let received = self.validation_split;
            return Err(Error::argument(
                "fit",
                "validation_split",
                expected,
                received,
            ));
        }
        Ok(())
    }
}

impl Default for FitOptions<'_> {
    fn default() -> Self {
        Self::new()
    }
}

macro_rules! pass_options {
    ($(#[$meta:meta])* $name:ident, $method:literal) => {
        $(#[$meta])*
        #[must_use]
        pub struct $name<'a> {
            pub(super) batch_size: usize,
            pub(super) steps: Option<usize>,
            pub(super) callbacks: Vec<Box<dyn Callback + 'a>>,
        }

        impl<'a> $name<'a> {
            /// Batches of 32, nobody watches.
            pub fn new() -> $name<'a> {
                $name {
                    batch_size: 32,
                    steps: None,
                    callbacks: Vec::new(),
                }
            }

            /// Examples of a step; it does not change the result. Default 32.
            pub fn batch_size(mut self, batch_size: usize) -> Self {
                self.batch_size = batch_size;
                self
            }

            /// Batches of the pass. Default: all.
            pub fn steps(mut self, steps: usize) -> Self {
                self.steps = Some(steps);
                self
            }

            /// One more callback, called after those that were given before. A `&mut` to one will do.
            pub fn callback(mut self, callback: impl Callback + 'a) -> Self {
                self.callbacks.push(Box::new(callback));
                self
            }

            pub(super) fn check(&self) -> Result<()> {
                for (argument, value) in [("batch_size", Some(self.batch_size)), ("steps", self.steps)] {
                    if value == Some(0) {
                        return Err(Error::argument($method, argument, "at least 1", 0));
                    }
                }
                Ok(())
            }
        }

        impl Default for $name<'_> {
            fn default() -> Self {
                Self::new()
            }
        }
    };
}

pass_options! {
    /// Options of [`Model::evaluate`](crate::Model::evaluate).
    EvaluateOptions, "evaluate"
}
pass_options! {
    /// Options of [`Model::predict`](crate::Model::predict).
    PredictOptions, "predict"
}
