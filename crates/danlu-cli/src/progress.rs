//! What watches a training: progress, the run folder, the time, Ctrl-C; and what is recorded of early stopping.

use std::sync::Arc;
use std::time::{Duration, Instant};

use danlu::callbacks::CallbackState;
use danlu::training::{
    Callback, Control, EpochLogs, History, Note, Phase, Progress, StepLogs, TrainingStart,
    TrainingState,
};
use danlu::{Model, Result};
use serde_json::{Value, json};

use crate::recipe::checkpoints::Checkpoints;
use crate::run_folder::{Purpose, RunFolder, RunLogs, Writer};
use crate::{diagnosis, interrupt, output};

/// What `danlu train` does at each batch and epoch.
pub struct Watcher<'a> {
    /// The progress bar, where there is one.
    pub progress: Option<Progress>,
    /// Time spent in training steps.
    pub training: Duration,
    /// Examples of these steps.
    pub examples: usize,
    /// How far it is: epochs that were finished, and steps of the next one.
    pub place: (usize, usize),
    folder: &'a RunFolder,
    plan: Checkpoints,
    writer: Writer,
    logs: RunLogs,
    epochs: usize,
    began: Instant,
    /// What callbacks said since something was shown: it comes after the line of its epoch.
    notes: Vec<Note>,
    /// When the last checkpoint was made.
    kept: Instant,
    /// Whether the state is wanted now.
    wanted: bool,
    /// Whether the epoch that ended is the best so far; `None` in the middle of one.
    improved: Option<bool>,
    /// The watched value of the best epoch so far.
    best: Option<f64>,
}

impl<'a> Watcher<'a> {
    /// A watcher that writes to a run folder, after the epochs of this history.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn new(
        progress: Option<Progress>,
        folder: &'a RunFolder,
        plan: Checkpoints,
        history: &History,
    ) -> Result<Watcher<'a>> {
        Ok(Watcher {
            progress,
            training: Duration::ZERO,
            examples: 0,
            place: (0, 0),
            folder,
            plan,
            writer: Writer::start(folder.path())?,
            logs: RunLogs::begin(folder.path(), history)?,
            epochs: 0,
            began: Instant::now(),
            notes: Vec::new(),
            kept: Instant::now(),
            wanted: false,
            improved: None,
            best: None,
        })
    }

    fn show_notes(&mut self) {
        for note in self.notes.drain(..) {
            match &mut self.progress {
                Some(progress) => progress.on_note(&note),
                // Warnings are said in any case.
                None if diagnosis::is_diagnosis(&note) => output::say(&note.text),
                None => {}
            }
        }
    }

    /// Waits until all checkpoints are on the disk.
    ///
    /// # Errors
    /// One could not be written.
    pub fn finish(&self) -> Result<()> {
        self.writer.finish()
    }

    /// Whether it is time for a checkpoint within an epoch.
    fn is_due(&self) -> bool {
        let seconds = self.plan.every_seconds;
        interrupt::was_interrupted()
            || seconds > 0.0 && self.kept.elapsed().as_secs_f64() >= seconds
    }
}

impl Callback for Watcher<'_> {
    fn name(&self) -> &str {
        "run folder"
    }

    fn watches_batches(&self) -> bool {
        true
    }

    fn on_train_begin(&mut self, start: &TrainingStart<'_>, model: &mut Model) -> Result<()> {
        self.epochs = start.epochs;
        self.place = (start.initial_epoch, 0);
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
        self.wanted = interrupt::was_interrupted();
        if step.phase == Phase::Training {
            self.examples += step.examples;
            self.place = (step.epoch, step.step);
            let now = Instant::now();
            self.training += now - self.began;
            self.began = now;
            self.improved = None;
            self.wanted = self.is_due();
        }
        Ok(control())
    }

    fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, model: &mut Model) -> Result<Control> {
        if let Some(progress) = &mut self.progress {
            progress.on_epoch_end(epoch, model)?;
        }
        self.show_notes();
        self.place = (epoch.epoch + 1, 0);
        self.logs
            .append(self.folder.path(), epoch.epoch, epoch.logs)?;
        let watched = epoch.logs.get("val_loss").or(epoch.logs.get("loss"));
        let watched = watched.unwrap_or(f64::INFINITY);
        // Where something is watched, the best epoch is the one whose weights early stopping would put back.
        let less = self.best.is_none_or(|best| watched < best);
        let improved = epoch.improved.unwrap_or(less);
        if improved {
            self.best = Some(watched);
        }
        self.improved = Some(improved);
        self.wanted = true;
        Ok(control())
    }

    fn on_train_end(&mut self, _: &History, _: &mut Model) -> Result<()> {
        self.show_notes();
        Ok(())
    }

    fn wants_state(&self) -> bool {
        self.wanted
    }

    fn on_state(&mut self, state: &Arc<TrainingState>, _: &Model) -> Result<()> {
        self.wanted = false;
        // The last good state stays: one whose parameters are broken is nothing to go on from.
        if !diagnosis::is_sound(state) {
            return Ok(());
        }
        let best = self.improved == Some(true);
        let planned = state.epoch().is_multiple_of(self.plan.every_epochs);
        let planned = self.improved.is_some() && (planned || state.is_done(self.epochs));
        if !best && !planned && !self.is_due() {
            return Ok(());
        }
        self.kept = Instant::now();
        let keep = if planned { self.plan.keep } else { 0 };
        self.writer.put(state, Purpose { best, keep })
    }

    fn state(&self) -> Result<CallbackState> {
        Ok(CallbackState::default().with_number("best", self.best))
    }

    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        self.best = state.read("the run folder").number("best")?;
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
