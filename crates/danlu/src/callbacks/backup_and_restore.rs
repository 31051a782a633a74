//! Going on where a training was cut.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::model_checkpoint::make_parent;
use super::{Callback, Control, EpochLogs, Phase, SaveFrequency, Setup, StepLogs, TrainingStart};
use crate::training::{History, TrainingState};
use crate::{Arguments, Error, Model, Result};

const OWNER: &str = "BackupAndRestore";

/// Keeps the state of the training in a folder, and goes on from it when a training with the same folder begins (Keras'
/// `BackupAndRestore`).
///
/// Give the same data and options. Keras begins the epoch that was cut anew; this goes on with the next batch, and ends in the same
/// bits as a training that was never cut. Where the folder has no state, a training begins; when it
/// has ended, the folder is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupAndRestore {
    backup_dir: String,
    save_freq: SaveFrequency,
    delete_checkpoint: bool,
    folder: PathBuf,
    batches: usize,
    due: bool,
}

impl BackupAndRestore {
    /// Into this folder, after every epoch.
    pub fn new(backup_dir: &str) -> BackupAndRestore {
        BackupAndRestore {
            backup_dir: backup_dir.to_owned(),
            save_freq: SaveFrequency::Epoch,
            delete_checkpoint: true,
            folder: PathBuf::new(),
            batches: 0,
            due: false,
        }
    }

    /// When the state is kept. Default: after every epoch.
    #[must_use]
    pub fn save_freq(mut self, save_freq: SaveFrequency) -> BackupAndRestore {
        self.save_freq = save_freq;
        self
    }

    /// Whether the folder is removed when the training has ended. Default `true`.
    #[must_use]
    pub fn delete_checkpoint(mut self, delete_checkpoint: bool) -> BackupAndRestore {
        self.delete_checkpoint = delete_checkpoint;
        self
    }
}

impl BackupAndRestore {
    pub(super) fn from_config(arguments: &mut Arguments) -> Result<BackupAndRestore> {
        let backup_dir = arguments.string("backup_dir")?;
        let mut made = BackupAndRestore::new(&arguments.required("backup_dir", backup_dir)?);
        made.save_freq = SaveFrequency::take(arguments)?;
        made.delete_checkpoint = arguments.boolean("delete_checkpoint")?.unwrap_or(true);
        // There is always a whole state: one is replaced by the next at once.
        arguments.unsupported("double_checkpoint", &[false.into(), true.into()])?;
        made.check_arguments()?;
        Ok(made)
    }

    fn check_arguments(&self) -> Result<()> {
        if self.save_freq == SaveFrequency::Batches(0) {
            return Err(Error::argument(OWNER, "save_freq", "at least 1", 0));
        }
        match self.backup_dir.is_empty() {
            true => Err(Error::argument(
                OWNER,
                "backup_dir",
                "the name of a folder",
                "\"\"",
            )),
            false => Ok(()),
        }
    }
}

impl Callback for BackupAndRestore {
    fn name(&self) -> &str {
        OWNER
    }

    fn watches_batches(&self) -> bool {
        self.save_freq != SaveFrequency::Epoch
    }

    fn check(&mut self, _: &Setup<'_>) -> Result<()> {
        self.check_arguments()
    }

    fn saved_state(&mut self, folder: Option<&Path>) -> Result<Option<TrainingState>> {
        let folder = match folder {
            Some(folder) => folder.join(&self.backup_dir),
            None => PathBuf::from(&self.backup_dir),
        };
        match TrainingState::exists(&folder) {
            true => TrainingState::load(&folder).map(Some),
            false => Ok(None),
        }
    }

    fn on_train_begin(&mut self, start: &TrainingStart<'_>, _: &mut Model) -> Result<()> {
        self.folder = start.resolve(&self.backup_dir);
        (self.batches, self.due) = (0, false);
        make_parent(&self.folder)
    }

    fn on_batch_end(&mut self, step: &StepLogs<'_>, _: &mut Model) -> Result<Control> {
        if let (SaveFrequency::Batches(frequency), Phase::Training) = (self.save_freq, step.phase) {
            self.batches += 1;
            self.due = self.batches >= frequency;
        }
        Ok(Control::Continue)
    }

    fn on_epoch_end(&mut self, _: &EpochLogs<'_>, _: &mut Model) -> Result<Control> {
        self.due = self.save_freq == SaveFrequency::Epoch;
        Ok(Control::Continue)
    }

    fn wants_state(&self) -> bool {
        self.due
    }

    fn on_state(&mut self, state: &Arc<TrainingState>, _: &Model) -> Result<()> {
        (self.batches, self.due) = (0, false);
        state.save(&self.folder)
    }

    fn on_train_end(&mut self, history: &History, _: &mut Model) -> Result<()> {
        if !self.delete_checkpoint || history.stopped || !self.folder.exists() {
            return Ok(());
        }
        let failed =
            |error| danlu_data::Error::file("remove", self.folder.display().to_string(), error);
        Ok(std::fs::remove_dir_all(&self.folder).map_err(failed)?)
    }
}
