//! Closures as a callback.

use super::{Callback, Control, EpochLogs, StepLogs, TrainingStart};
use crate::training::History;
use crate::{Model, Result};

type OnTrainBegin<'a> = Box<dyn FnMut(&TrainingStart<'_>, &mut Model) -> Result<()> + 'a>;
type OnEpochBegin<'a> = Box<dyn FnMut(usize, &mut Model) -> Result<()> + 'a>;
type OnBatchEnd<'a> = Box<dyn FnMut(&StepLogs<'_>, &mut Model) -> Result<Control> + 'a>;
type OnEpochEnd<'a> = Box<dyn FnMut(&EpochLogs<'_>, &mut Model) -> Result<Control> + 'a>;
type OnTrainEnd<'a> = Box<dyn FnMut(&History, &mut Model) -> Result<()> + 'a>;

/// A callback of closures (Keras' `LambdaCallback`), for what is not worth a type.
///
/// ```
/// # use danlu::prelude::*;
/// use danlu::callbacks::LambdaCallback;
/// let mut losses = Vec::new();
/// let notes = LambdaCallback::new().on_epoch_end(|epoch, _| {
///     losses.push(epoch.logs.get("loss"));
///     Ok(Control::Continue)
/// });
/// # drop(notes);
/// ```
#[derive(Default)]
pub struct LambdaCallback<'a> {
    train_begin: Option<OnTrainBegin<'a>>,
    epoch_begin: Option<OnEpochBegin<'a>>,
    batch_end: Option<OnBatchEnd<'a>>,
    epoch_end: Option<OnEpochEnd<'a>>,
    train_end: Option<OnTrainEnd<'a>>,
}

impl<'a> LambdaCallback<'a> {
    /// One that does nothing.
    pub fn new() -> LambdaCallback<'a> {
        LambdaCallback::default()
    }

    /// When a training begins.
    #[must_use]
    pub fn on_train_begin(
        mut self,
        call: impl FnMut(&TrainingStart<'_>, &mut Model) -> Result<()> + 'a,
    ) -> Self {
        self.train_begin = Some(Box::new(call));
        self
    }

    /// When an epoch begins.
    #[must_use]
    pub fn on_epoch_begin(
        mut self,
        call: impl FnMut(usize, &mut Model) -> Result<()> + 'a,
    ) -> Self {
        self.epoch_begin = Some(Box::new(call));
        self
    }

    /// After a step of training, validation, evaluation or prediction.
    #[must_use]
    pub fn on_batch_end(
        mut self,
        call: impl FnMut(&StepLogs<'_>, &mut Model) -> Result<Control> + 'a,
    ) -> Self {
        self.batch_end = Some(Box::new(call));
        self
    }

    /// After an epoch.
    #[must_use]
    pub fn on_epoch_end(
        mut self,
        call: impl FnMut(&EpochLogs<'_>, &mut Model) -> Result<Control> + 'a,
    ) -> Self {
        self.epoch_end = Some(Box::new(call));
        self
    }

    /// When a training ended.
    #[must_use]
    pub fn on_train_end(
        mut self,
        call: impl FnMut(&History, &mut Model) -> Result<()> + 'a,
    ) -> Self {
        self.train_end = Some(Box::new(call));
        self
    }
}

impl Callback for LambdaCallback<'_> {
    fn name(&self) -> &str {
        "LambdaCallback"
    }

    fn watches_batches(&self) -> bool {
        self.batch_end.is_some()
    }

    fn on_train_begin(&mut self, start: &TrainingStart<'_>, model: &mut Model) -> Result<()> {
        match &mut self.train_begin {
            Some(call) => call(start, model),
            None => Ok(()),
        }
    }

    fn on_epoch_begin(&mut self, epoch: usize, model: &mut Model) -> Result<()> {
        match &mut self.epoch_begin {
            Some(call) => call(epoch, model),
            None => Ok(()),
        }
    }

    fn on_batch_end(&mut self, step: &StepLogs<'_>, model: &mut Model) -> Result<Control> {
        match &mut self.batch_end {
            Some(call) => call(step, model),
            None => Ok(Control::Continue),
        }
    }

    fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, model: &mut Model) -> Result<Control> {
        match &mut self.epoch_end {
            Some(call) => call(epoch, model),
            None => Ok(Control::Continue),
        }
    }

    fn on_train_end(&mut self, history: &History, model: &mut Model) -> Result<()> {
        match &mut self.train_end {
            Some(call) => call(history, model),
            None => Ok(()),
        }
    }
}
