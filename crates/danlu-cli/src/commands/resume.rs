//! `danlu train --resume`: what must be so for a run to go on as if it had never been cut.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use danlu::Config;
use danlu::data::Source;
use danlu::optimizers::LearningRate;
use danlu::training::{History, TrainingState};
use danlu::{Model, cpu::Isa};
use serde_json::{Value, json};

use crate::arguments::{DeviceArguments, TrainArguments};
use crate::data::DataSource;
use crate::failure::{Failure, Result};
use crate::output::{self, Messages};
use crate::recipe::Recipe;
use crate::run_folder::RunFolder;

/// A run that goes on.
pub struct Resumed {
    /// Its folder.
    pub folder: RunFolder,
    /// What it was begun with, and what was changed since: the number of epochs, and where the data is.
    pub recipe: Recipe,
    /// Where it goes on; `None` where it starts over, there being no checkpoint.
    pub state: Option<Arc<TrainingState>>,
    /// The folder of that checkpoint.
    pub checkpoint: Option<PathBuf>,
}

/// Opens a run to go on with.
///
/// # Errors
/// An option would change the training; the folder or its checkpoints are no good; another process trains there.
pub fn open(path: &Path, arguments: &TrainArguments, messages: Messages) -> Result<Resumed> {
    refuse_changes(arguments)?;
    let folder = RunFolder::open(path)?;
    let left = folder.left()?;
    for warning in left.iter().flat_map(|left| &left.warnings) {
        messages.warning(warning);
    }
    let (mut document, base) = Recipe::open(&folder.recipe())?;
    let planned = document.get("training.epochs").and_then(Value::as_u64);
    if let Some(epochs) = arguments.epochs {
        document.set("training.epochs", json!(epochs), "--epochs")?;
    }
    if let Some(data) = &arguments.data {
        let source = DataSource::from_argument(data)?.text();
        document.set("data.source", json!(source), "--data")?;
    }
    let recipe = Recipe::read(document, &base)?;
    let (state, checkpoint) = match left {
        Some(left) => (Some(Arc::new(left.state)), Some(left.place)),
        None => (None, None),
    };
    let done = state.as_ref().map_or(0, |state| state.epoch());
    if recipe.training.epochs < done && planned != Some(recipe.training.epochs as u64) {
        return Err(Failure::Usage(format!(
            "--epochs {}: the run has {done} epochs behind it already; give at least as many",
            recipe.training.epochs
        )));
    }
    Ok(Resumed {
        folder,
        recipe,
        state,
        checkpoint,
    })
}

/// Options that would make another training of it.
fn refuse_changes(arguments: &TrainArguments) -> Result<()> {
    let given = [
        ("a recipe or model", arguments.subject.is_some()),
        ("--batch-size", arguments.batch_size.is_some()),
        ("--learning-rate", arguments.learning_rate.is_some()),
        ("--validation-split", arguments.validation_split.is_some()),
        ("--seed", arguments.seed.is_some()),
        ("--pixel-scale", arguments.pixel_scale.is_some()),
        ("--set", !arguments.set.is_empty()),
        ("--init", arguments.init.is_some()),
        ("--out", arguments.out.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((option, _)) => Err(Failure::Usage(format!(
            "--resume goes on with a run as it was begun, and takes no other {option}; beside it there may be --data, --threads, --epochs, --save, --isa, --force, --profile, --json and --quiet",
            option = match *option {
                "a recipe or model" => "recipe or model",
                option => option,
            }
        ))),
    }
}

impl Resumed {
    /// Records that it goes on, with data from there, and cuts back what is ahead of the checkpoint.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn begin(&mut self, data: Value) -> Result<()> {
        let iteration = self.state.as_ref().map_or(0, |state| state.iteration());
        self.folder.cut_back(iteration)?;
        if let Some(state) = &self.state {
            let training = &self.recipe.training;
            let (plan, epochs) = (training.checkpoints, training.epochs);
            self.folder.keep_again(state, plan, epochs)?;
        }
        self.folder.set_recipe(&self.recipe.resolved())?;
        let epochs = json!(self.recipe.training.epochs);
        for (key, value) in [("data", data), ("epochs", epochs)] {
            self.folder.record(key, value);
        }
        self.folder.set_state("running")
    }

    /// Whether nothing is left to be done.
    pub fn is_finished(&self) -> bool {
        let epochs = self.recipe.training.epochs;
        let done = self
            .state
            .as_ref()
            .is_some_and(|state| state.is_done(epochs));
        let planned = *self.folder.recorded("epochs") == json!(epochs);
        (done || planned) && self.folder.recorded("state") == "finished"
    }

    /// Epochs that were finished, and steps of the next one.
    pub fn place(&self) -> Value {
        match &self.state {
            Some(state) => json!({ "epoch": state.epoch(), "step": state.step() }),
            None => Value::Null,
        }
    }

    /// Says that nothing is left to be done, and what the training gave.
    ///
    /// # Errors
    /// Standard output cannot be written.
    pub fn report_finished(&self, arguments: &TrainArguments, messages: Messages) -> Result<()> {
        let path = self.folder.path();
        let history = self.state.as_ref().map(|state| state.history());
        let why = match history.and_then(|history| history.ended_by.as_deref()) {
            Some(callback) => format!("{callback} ended it, whatever the number of epochs"),
            None => "--epochs N with a larger N goes on".to_owned(),
        };
        messages.note(&format!("{} is finished; {why}", path.display()));
        if !arguments.json {
            return Ok(());
        }
        output::json(&json!({
            "history": numbers(history.unwrap_or(&History::default())),
            "test": self.folder.recorded("test"),
            "early_stopping": self.folder.recorded("early_stopping"),
            "events": self.folder.recorded("events"),
            "diagnoses": self.folder.recorded("diagnoses"),
            "model": path.join("model.keras").display().to_string(),
            "run": path.display().to_string(),
            "resumed_from": self.place(),
            "threads": self.folder.recorded("threads"),
            "seconds": 0.0,
            "samples_per_second": 0.0,
        }))
    }

    /// The device to go on with: with the instruction set of the run, since another one gives other bits.
    ///
    /// # Errors
    /// Another one was asked for, or the machine has it not, and `--force` was not given.
    pub fn device(&self, arguments: &TrainArguments) -> Result<DeviceArguments> {
        let mut device = arguments.device.clone();
        let Some(own) = self.folder.recorded("isa").as_str() else {
            return Ok(device);
        };
        let there = Isa::from_name(own).is_ok();
        let other = match &device.isa {
            Some(asked) if asked != own => format!("--isa {asked} was given"),
            None if !there => "this machine does not have it".to_owned(),
            _ => {
                device.isa = Some(own.to_owned());
                return Ok(device);
            }
        };
        match arguments.force {
            true => Ok(device),
            false => Err(Failure::Usage(format!(
                "the run was begun with the instruction set {own}, but {other}: its numbers would not be those of a run that was never cut; --force goes on all the same"
            ))),
        }
    }

    /// Fails unless the data is the run's.
    ///
    /// # Errors
    /// It is other data.
    pub fn check_data(&self, source: &Source) -> Result<()> {
        let data = self.folder.recorded("data");
        let (before, now) = (&data["fingerprint"], source.fingerprint.to_string());
        if *before == now.as_str() {
            return Ok(());
        }
        let place = source.path.as_ref().map(|path| path.display().to_string());
        Err(Failure::Usage(format!(
            "`{}` is not the data that the run was begun with: its fingerprint is {now}, that of the run's {}; give the run's data with --data, or train anew",
            place.as_ref().unwrap_or(&source.name),
            before.as_str().unwrap_or("unknown"),
        )))
    }

    /// Says where the run goes on, and where the training is not what it would have been with so many epochs from the start.
    pub fn note(&self, model: &Model, steps: Option<usize>, messages: Messages) {
        let path = self.folder.path().display();
        let Some(state) = &self.state else {
            messages.note(&format!("{path} has no checkpoint yet: starting over"));
            return;
        };
        messages.note(&match state.step() {
            0 => format!("going on with {path} after epoch {}", state.epoch()),
            step => format!(
                "going on with {path} in epoch {} after step {step}",
                state.epoch() + 1
            ),
        });
        let planned = self.folder.recorded("epochs").as_u64();
        if let (Some(planned), Some(steps)) = (planned, steps)
            && let Some(text) = schedule_ended(
                model,
                planned * steps as u64,
                (self.recipe.training.epochs * steps) as u64,
            )
        {
            messages.note(&text);
        }
    }
}

/// A schedule that has come to its end by the steps that were planned, for a training that goes on beyond them.
fn schedule_ended(model: &Model, planned: u64, steps: u64) -> Option<String> {
    let rate = &model.optimizer()?.options().learning_rate;
    let LearningRate::Schedule(schedule) = rate else {
        return None;
    };
    let last = rate.at(planned).ok()?;
    let stays = [(planned + steps) / 2, steps]
        .iter()
        .all(|&step| rate.at(step).ok() == Some(last));
    (planned < steps && stays && rate.at(0).ok() != Some(last)).then(|| {
        format!(
            "note: the learning rate's schedule {} ends within the {planned} steps that were planned first: the further epochs train at its last rate, {last}",
            schedule.class_name()
        )
    })
}

/// The numbers of every epoch, as JSON.
pub fn numbers(history: &History) -> Config {
    let metrics = history.metrics.iter();
    metrics
        .map(|(name, values)| (name.clone(), json!(values)))
        .collect()
}
