//! Saving the model, or its weights, after epochs or batches.

use std::path::{Path, PathBuf};

use super::format::{Field, Template};
use super::monitor::Monitor;
use super::{
    Callback, CallbackState, Control, EpochLogs, Logs, MonitorMode, Note, Phase, Setup, StepLogs,
    TrainingStart,
};
use crate::{Arguments, Error, Model, Result};

const OWNER: &str = "ModelCheckpoint";

/// When something is saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SaveFrequency {
    /// After every epoch.
    #[default]
    Epoch,
    /// After so many batches, whatever the epoch.
    Batches(usize),
}

impl SaveFrequency {
    /// Of `save_freq`: `epoch`, or a number of batches.
    pub(super) fn take(arguments: &mut Arguments) -> Result<SaveFrequency> {
        match arguments.take("save_freq") {
            None => Ok(SaveFrequency::Epoch),
            Some(value) if value == "epoch" => Ok(SaveFrequency::Epoch),
            Some(value) => {
                let batches = value
                    .as_u64()
                    .and_then(|batches| usize::try_from(batches).ok());
                let batches = batches.filter(|&batches| batches > 0);
                let expected = "`epoch` or a number of batches";
                let wrong = || arguments.wrong("save_freq", expected, &value);
                batches.map(SaveFrequency::Batches).ok_or_else(wrong)
            }
        }
    }
}

/// Saves the model after every epoch, after so many batches, or where a metric is the best so far (Keras' `ModelCheckpoint`).
///
/// The path may have the epoch, counted from 1, the batch and every name of the logs in it, in Python's formats:
/// `{epoch:02d}-{val_loss:.2f}.keras`. It ends in `.keras` or `.h5`, or, with
/// [`save_weights_only`](Self::save_weights_only), in `.weights.h5` or `.safetensors`. Folders are made; a file is there whole or
/// not at all. Where the metric that is watched is not there in an epoch, the model is saved.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCheckpoint {
    filepath: String,
    monitor: Monitor,
    save_best_only: bool,
    save_weights_only: bool,
    save_freq: SaveFrequency,
    initial_value_threshold: Option<f64>,
    verbose: bool,
    best: Option<f64>,
    batches: usize,
    folder: Option<PathBuf>,
    notes: Vec<Note>,
}

impl ModelCheckpoint {
    /// Keras' defaults: the whole model after every epoch.
    pub fn new(filepath: &str) -> ModelCheckpoint {
        ModelCheckpoint {
            filepath: filepath.to_owned(),
            monitor: Monitor::new(OWNER, "val_loss"),
            save_best_only: false,
            save_weights_only: false,
            save_freq: SaveFrequency::Epoch,
            initial_value_threshold: None,
            verbose: false,
            best: None,
            batches: 0,
            folder: None,
            notes: Vec::new(),
        }
    }

    /// The name in the logs that [`save_best_only`](Self::save_best_only) watches. Default `val_loss`.
    #[must_use]
    pub fn monitor(mut self, monitor: &str) -> ModelCheckpoint {
        self.monitor.name = monitor.to_owned();
        self
    }

    /// Whether only what is better than all before is saved. Default `false`.
    #[must_use]
    pub fn save_best_only(mut self, save_best_only: bool) -> ModelCheckpoint {
        self.save_best_only = save_best_only;
        self
    }

    /// Whether the weights alone are saved. Default `false`.
    #[must_use]
    pub fn save_weights_only(mut self, save_weights_only: bool) -> ModelCheckpoint {
        self.save_weights_only = save_weights_only;
        self
    }

    /// Which way the metric improves. Default: as the metric says.
    #[must_use]
    pub fn mode(mut self, mode: MonitorMode) -> ModelCheckpoint {
        self.monitor.mode = mode;
        self
    }

    /// When the model is saved. Default: after every epoch.
    #[must_use]
    pub fn save_freq(mut self, save_freq: SaveFrequency) -> ModelCheckpoint {
        self.save_freq = save_freq;
        self
    }

    /// What must be improved on for the first file. Default: none.
    #[must_use]
    pub fn initial_value_threshold(mut self, threshold: f64) -> ModelCheckpoint {
        self.initial_value_threshold = Some(threshold);
        self
    }

    /// Whether every file is told of. Default `false`.
    #[must_use]
    pub fn verbose(mut self, verbose: bool) -> ModelCheckpoint {
        self.verbose = verbose;
        self
    }

    pub(super) fn from_config(arguments: &mut Arguments) -> Result<ModelCheckpoint> {
        let filepath = arguments.string("filepath")?;
        let filepath = arguments.required("filepath", filepath)?;
        let mut made = ModelCheckpoint::new(&filepath);
        if let Some(monitor) = arguments.string("monitor")? {
            made.monitor.name = monitor;
        }
        made.monitor.take_mode(arguments)?;
        made.verbose = super::monitor::verbose(arguments)?;
        made.save_best_only = arguments.boolean("save_best_only")?.unwrap_or(false);
        made.save_weights_only = arguments.boolean("save_weights_only")?.unwrap_or(false);
        made.save_freq = SaveFrequency::take(arguments)?;
        made.initial_value_threshold = arguments.number("initial_value_threshold")?;
        made.check_arguments()?;
        Ok(made)
    }

    fn template(&self) -> Result<Template> {
        Template::parse(OWNER, "filepath", &self.filepath)
    }

    fn check_arguments(&self) -> Result<()> {
        let path = self.filepath.to_lowercase();
        let (endings, expected) = match self.save_weights_only {
            true => (
                [".weights.h5", ".safetensors"],
                "a path that ends in .weights.h5 or .safetensors, since weights alone are saved",
            ),
            false => ([".keras", ".h5"], "a path that ends in .keras or .h5"),
        };
        let is_whole_weights = !self.save_weights_only && path.ends_with(".weights.h5");
        if is_whole_weights || !endings.iter().any(|ending| path.ends_with(ending)) {
            return Err(Error::argument(OWNER, "filepath", expected, &self.filepath));
        }
        if self.save_freq == SaveFrequency::Batches(0) {
            return Err(Error::argument(OWNER, "save_freq", "at least 1", 0));
        }
        self.template().map(drop)
    }

    fn value<'a>(
        epoch: usize,
        batch: Option<usize>,
        logs: Logs<'a>,
    ) -> impl Fn(&str) -> Option<Field> + use<'a> {
        move |name| match name {
            "epoch" => Some(Field::Whole(epoch + 1)),
            "batch" => batch.map(Field::Whole),
            name => logs.get(name).map(Field::Number),
        }
    }

    /// Keras' rule, with the path of what is to be saved.
    fn judge(
        &mut self,
        epoch: usize,
        batch: Option<usize>,
        logs: Logs<'_>,
    ) -> Result<Option<String>> {
        if self.save_best_only
            && let Some(value) = logs.get(&self.monitor.name)
        {
            if !self.monitor.improves(value, self.best) {
                return Ok(None);
            }
            self.best = Some(value);
        }
        let path = self.template()?.fill(Self::value(epoch, batch, logs));
        let missing = |name: String| {
            let names = logs.names.iter().map(String::as_str);
            Error::unknown("name in the filepath of ModelCheckpoint", &name, names)
        };
        path.map(Some).map_err(missing)
    }

    fn save(
        &mut self,
        epoch: usize,
        batch: Option<usize>,
        logs: Logs<'_>,
        model: &Model,
    ) -> Result<()> {
        let Some(name) = self.judge(epoch, batch, logs)? else {
            return Ok(());
        };
        let path = match &self.folder {
            Some(folder) => folder.join(&name),
            None => PathBuf::from(&name),
        };
        make_parent(&path)?;
        match self.save_weights_only {
            true => model.save_weights(&path)?,
            false => model.save(&path)?,
        }
        if self.verbose {
            let text = format!("saved {}", path.display());
            let note = Note::new(OWNER, epoch, text).fact("file", name);
            self.notes.push(note);
        }
        Ok(())
    }

    /// Whether this batch is one to save after.
    fn is_due(&mut self) -> bool {
        let SaveFrequency::Batches(frequency) = self.save_freq else {
            return false;
        };
        self.batches += 1;
        let due = self.batches >= frequency;
        if due {
            self.batches = 0;
        }
        due
    }
}

/// Makes the folder that a file is to be in.
pub(super) fn make_parent(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    let failed = |error| danlu_data::Error::file("make", parent.display().to_string(), error);
    Ok(std::fs::create_dir_all(parent).map_err(failed)?)
}

impl Callback for ModelCheckpoint {
    fn name(&self) -> &str {
        OWNER
    }

    fn watches_batches(&self) -> bool {
        self.save_freq != SaveFrequency::Epoch
    }

    fn check(&mut self, setup: &Setup<'_>) -> Result<()> {
        self.check_arguments()?;
        let batches = self.watches_batches();
        let known: Vec<String> = match batches {
            // Between two epochs nothing is known of validation.
            true => setup.model().metric_names(),
            false => setup.names(),
        };
        let names = || known.iter().map(String::as_str);
        for (name, whole) in self.template()?.names() {
            let counted = name == "epoch" || (batches && name == "batch");
            if !counted && !known.iter().any(|own| own == name) {
                let names = names().chain(["epoch"]).chain(batches.then_some("batch"));
                let names: Vec<&str> = names.collect();
                let kind = "name in the filepath of ModelCheckpoint";
                return Err(Error::unknown(kind, name, names));
            }
            if whole && !counted {
                let expected =
                    format!("`{name}` in a format of numbers with decimals, such as .2f");
                return Err(Error::argument(OWNER, "filepath", expected, &self.filepath));
            }
        }
        if !self.save_best_only {
            return Ok(());
        }
        if batches && !known.contains(&self.monitor.name) {
            return Err(Error::unknown(
                "metric of batches to monitor",
                &self.monitor.name,
                names(),
            ));
        }
        self.monitor.check(setup)
    }

    fn on_train_begin(&mut self, start: &TrainingStart<'_>, _: &mut Model) -> Result<()> {
        self.best = self.initial_value_threshold;
        self.batches = 0;
        self.folder = start.folder.map(Path::to_path_buf);
        Ok(())
    }

    fn on_batch_end(&mut self, step: &StepLogs<'_>, model: &mut Model) -> Result<Control> {
        if step.phase == Phase::Training && self.is_due() {
            self.save(step.epoch, Some(step.step), step.logs, model)?;
        }
        Ok(Control::Continue)
    }

    fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, model: &mut Model) -> Result<Control> {
        if self.save_freq == SaveFrequency::Epoch {
            self.save(epoch.epoch, None, epoch.logs, model)?;
        }
        Ok(Control::Continue)
    }

    fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    fn state(&self) -> Result<CallbackState> {
        let state = CallbackState::default().with_number("best", self.best);
        Ok(state.with("batches", self.batches))
    }

    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        let read = state.read(OWNER);
        self.best = read.number("best")?;
        self.batches = read.count("batches")?.unwrap_or(0);
        Ok(())
    }
}
