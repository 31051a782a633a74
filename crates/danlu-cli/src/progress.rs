//! What watches a training: progress, the run folder, the time, Ctrl-C.

use std::time::{Duration, Instant};

use danlu::training::{
    Control, EpochLogs, History, Observer, Phase, Progress, StepLogs, TrainingStart,
};
use danlu::{Model, Result};

use crate::interrupt;
use crate::run_folder::RunFolder;

/// The observer of `danlu train`.
pub struct Watcher<'a> {
    /// The progress bar, where there is one.
    pub progress: Option<Progress>,
    /// Where every epoch is kept.
    pub folder: &'a mut RunFolder,
    /// Time spent in training steps.
    pub training: Duration,
    /// Examples of these steps.
    pub examples: usize,
    began: Instant,
}

impl<'a> Watcher<'a> {
    /// A watcher that writes to a run folder.
    pub fn new(progress: Option<Progress>, folder: &'a mut RunFolder) -> Watcher<'a> {
        Watcher {
            progress,
            folder,
            training: Duration::ZERO,
            examples: 0,
            began: Instant::now(),
        }
    }
}

impl Observer for Watcher<'_> {
    fn on_train_begin(&mut self, start: &TrainingStart) {
        if let Some(progress) = &mut self.progress {
            progress.on_train_begin(start);
        }
    }

    fn on_epoch_begin(&mut self, epoch: usize) {
        if let Some(progress) = &mut self.progress {
            progress.on_epoch_begin(epoch);
        }
        self.began = Instant::now();
    }

    fn on_batch_end(&mut self, step: &StepLogs<'_>) -> Control {
        if let Some(progress) = &mut self.progress {
            progress.on_batch_end(step);
        }
        if step.phase == Phase::Training {
            self.examples += step.examples;
            let now = Instant::now();
            self.training += now - self.began;
            self.began = now;
        }
        if interrupt::was_interrupted() {
            Control::Stop
        } else {
            Control::Continue
        }
    }

    fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, model: &mut Model) -> Result<Control> {
        if let Some(progress) = &mut self.progress {
            progress.on_epoch_end(epoch, model)?;
        }
        self.folder.keep_epoch(epoch, model)?;
        Ok(if interrupt::was_interrupted() {
            Control::Stop
        } else {
            Control::Continue
        })
    }

    fn on_train_end(&mut self, history: &History) {
        if let Some(progress) = &mut self.progress {
            progress.on_train_end(history);
        }
    }
}
