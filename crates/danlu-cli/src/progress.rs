//! What watches a training: progress, the run folder, the time, Ctrl-C; and what is recorded of early stopping.

use std::time::{Duration, Instant};

use danlu::training::{
    Callback, Control, EpochLogs, History, Note, Phase, Progress, StepLogs, TrainingStart,
};
use danlu::{Model, Result};
use serde_json::{Value, json};

use crate::interrupt;
use crate::run_folder::RunFolder;

/// What `danlu train` does at each batch and epoch.
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
    /// What callbacks said since something was shown: it comes after the line of its epoch.
    notes: Vec<Note>,
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
            notes: Vec::new(),
        }
    }

    fn show_notes(&mut self) {
        for note in self.notes.drain(..) {
            if let Some(progress) = &mut self.progress {
                progress.on_note(&note);
            }
        }
    }
}

impl Callback for Watcher<'_> {
    fn watches_batches(&self) -> bool {
        true
    }

    fn on_train_begin(&mut self, start: &TrainingStart<'_>, model: &mut Model) -> Result<()> {
        match &mut self.progress {
            Some(progress) => progress.on_train_begin(start, model),
            None => Ok(()),
        }
    }

    fn on_note(&mut self, note: &Note) {
        self.notes.push(note.clone());
    }

    fn on_epoch_begin(&mut self, epoch: usize, model: &mut Model) -> Result<()> {
        self.show_notes();
        if let Some(progress) = &mut self.progress {
            progress.on_epoch_begin(epoch, model)?;
        }
        self.began = Instant::now();
        Ok(())
    }

    fn on_batch_end(&mut self, step: &StepLogs<'_>, model: &mut Model) -> Result<Control> {
        self.show_notes();
        if let Some(progress) = &mut self.progress {
            progress.on_batch_end(step, model)?;
        }
        if step.phase == Phase::Training {
            self.examples += step.examples;
            let now = Instant::now();
            self.training += now - self.began;
            self.began = now;
        }
        Ok(control())
    }

    fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, model: &mut Model) -> Result<Control> {
        if let Some(progress) = &mut self.progress {
            progress.on_epoch_end(epoch, model)?;
        }
        self.show_notes();
        self.folder.keep_epoch(epoch, model)?;
        Ok(control())
    }

    fn on_train_end(&mut self, _: &History, _: &mut Model) -> Result<()> {
        self.show_notes();
        Ok(())
    }
}

/// Whether Ctrl-C was pressed.
fn control() -> Control {
    match interrupt::was_interrupted() {
        true => Control::Stop,
        false => Control::Continue,
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

/// What callbacks did and found, with epochs counted from 1 as in the run folder's files.
pub fn events(history: &History) -> Value {
    let event = |note: &Note| {
        json!({
            "epoch": note.epoch + 1,
            "callback": note.callback,
            "text": note.text,
            "facts": note.facts,
        })
    };
    history.notes.iter().map(event).collect()
}
