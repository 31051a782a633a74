//! What watches a training: progress, the run folder, the time, Ctrl-C; and what is said of early stopping.

use std::time::{Duration, Instant};

use danlu::diagnosis::Diagnose;
use danlu::training::{
    Control, EpochLogs, History, Observer, Phase, Progress, StepLogs, TrainingStart,
};
use danlu::{Model, Result};
use serde_json::{Value, json};

use crate::diagnosis;
use crate::interrupt;
use crate::output::Messages;
use crate::run_folder::RunFolder;

/// The observer of `danlu train`.
pub struct Watcher<'a> {
    /// The progress bar, where there is one.
    pub progress: Option<Progress>,
    /// Where every epoch is kept.
    pub folder: &'a mut RunFolder,
    /// What looks at the training, where anything does.
    pub diagnose: Option<Diagnose>,
    messages: Messages,
    /// Time spent in training steps.
    pub training: Duration,
    /// Examples of these steps.
    pub examples: usize,
    began: Instant,
}

impl<'a> Watcher<'a> {
    /// A watcher that writes to a run folder.
    pub fn new(
        progress: Option<Progress>,
        folder: &'a mut RunFolder,
        diagnose: Option<Diagnose>,
        messages: Messages,
    ) -> Watcher<'a> {
        Watcher {
            progress,
            folder,
            diagnose,
            messages,
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
        // Before anything is kept: a model that is broken does not take the place of one that is not.
        if let Some(diagnose) = &mut self.diagnose {
            let found = diagnose.judge(epoch.epoch, epoch.iteration, epoch.logs, model)?;
            diagnosis::say(found, self.messages);
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

/// What early stopping did, with epochs counted from 1 as in the run folder's files.
pub fn stopped_early(history: &History) -> Value {
    let Some(did) = &history.early_stopping else {
        return Value::Null;
    };
    let number = |epoch: Option<usize>| epoch.map(|epoch| epoch + 1);
    json!({
        "stopped_epoch": number(did.stopped_epoch),
        "best_epoch": number(did.best_epoch),
        "best": did.best,
        "restored_epoch": number(did.restored_epoch),
    })
}

/// Says what early stopping did, where it did something.
pub fn note_early_stop(history: &History, messages: Messages) {
    let Some(did) = &history.early_stopping else {
        return;
    };
    let best = did.best_epoch.map_or(0, |epoch| epoch + 1);
    if let Some(epoch) = did.stopped_epoch {
        let epoch = epoch + 1;
        messages.note(&format!(
            "stopped early after epoch {epoch}; the best was epoch {best}"
        ));
    }
    if let Some(epoch) = did.restored_epoch {
        messages.note(&format!("the weights are those of epoch {}", epoch + 1));
    }
}
