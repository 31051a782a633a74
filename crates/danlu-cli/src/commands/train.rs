//! `danlu train`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use danlu::Model;
use danlu::cpu::measure_peak;
use danlu::data::{Dataset, Source};
use danlu::graph::Executor;
use danlu::training::{Progress, TrainingState};
use serde_json::{Value, json};

use super::evaluate::{evaluate, to_json};
use super::resume::{self, Resumed, numbers};
use super::seeds;
use super::setup::{check_save, describe, fit_options, make_model, record, steps_of};
use crate::arguments::TrainArguments;
use crate::bench::profile::ProfileReport;
use crate::data::{DataSource, has_pixels, pixel_scale};
use crate::device::{self, Device};
use crate::failure::{Failure, Result};
use crate::output::{self, Messages};
use crate::progress::{Watcher, events, stopped_early};
use crate::recipe::document::Document;
use crate::recipe::{Recipe, targets};
use crate::report::{self, Facts, FirstBatch};
use crate::run_folder::RunFolder;
use crate::{diagnosis, fit_check, interrupt, subject};

/// Puts what the command line says into a recipe.
///
/// # Errors
/// A key or value is none.
pub fn change(document: &mut Document, arguments: &TrainArguments) -> Result<()> {
    for assignment in &arguments.set {
        document.set_from_text(assignment)?;
    }
    let options: [(&str, &str, Option<Value>); 6] = [
        (
            "--epochs",
            "training.epochs",
            arguments.epochs.map(Value::from),
        ),
        (
            "--batch-size",
            "training.batch_size",
            arguments.batch_size.map(Value::from),
        ),
        (
            "--validation-split",
            "training.validation_split",
            arguments.validation_split.map(Value::from),
        ),
        ("--seed", "training.seed", arguments.seed.map(Value::from)),
        (
            "--pixel-scale",
            "data.pixel_scale",
            arguments.pixel_scale.map(Value::from),
        ),
        (
            "--data",
            "data.source",
            match &arguments.data {
                Some(text) => Some(Value::from(DataSource::from_argument(text)?.text())),
                None => None,
            },
        ),
    ];
    for (option, path, value) in options {
        if let Some(value) = value {
            document.set(path, value, option)?;
        }
    }
    if let Some(rate) = arguments.learning_rate
        && document.get("training.optimizer").is_some()
    {
        document.set(
            "training.optimizer.learning_rate",
            json!(rate),
            "--learning-rate",
        )?;
    }
    if let Some(init) = &arguments.init {
        let path = std::path::absolute(init).unwrap_or_else(|_| PathBuf::from(init));
        document.set("model.init", json!(path.display().to_string()), "--init")?;
    }
    Ok(())
}

/// Trains a recipe's model, or trains a model on.
///
/// # Errors
/// Configuration or data are no good, the loss is not a number, a file cannot be written, or Ctrl-C was pressed.
pub fn run(arguments: &TrainArguments, started: Instant) -> Result<()> {
    if let Some(count) = arguments.seeds {
        return seeds::run(arguments, count, started);
    }
    let Some(Trained { report, profile }) = train(arguments, started)? else {
        return Ok(());
    };
    if arguments.json {
        return output::json(&report);
    }
    match profile {
        Some(profile) => output::data(&profile.text()),
        None => Ok(()),
    }
}

/// What `train` says.
pub struct Trained {
    /// With `--json`.
    report: Value,
    /// With `--profile`.
    profile: Option<ProfileReport>,
}

/// Trains once, in a run folder of its own or in the one that is gone on with; `None` where that is finished, which was said.
///
/// # Errors
/// As [`run`].
pub fn train(arguments: &TrainArguments, started: Instant) -> Result<Option<Trained>> {
    let messages = Messages {
        quiet: arguments.quiet,
    };
    if let Some(save) = &arguments.save {
        check_save(save)?;
    }
    let begun = if let Some(path) = &arguments.resume {
        let resumed = resume::open(path, arguments, messages)?;
        if resumed.is_finished() {
            resumed.report_finished(arguments, messages)?;
            return Ok(None);
        }
        Begun::Before(resumed)
    } else {
        let subject = arguments.subject.as_deref().unwrap_or_default();
        let recipe = subject::recipe(subject, |document| change(document, arguments))?;
        let path = RunFolder::choose(arguments.out.as_deref(), &recipe.name)?;
        Begun::Now(recipe, path)
    };
    train_begun(arguments, begun, messages, started).map(Some)
}

/// A training that begins now, in a folder that is not there yet, or one that was begun before.
enum Begun {
    Now(Recipe, PathBuf),
    Before(Resumed),
}

impl Begun {
    fn recipe(&self) -> &Recipe {
        match self {
            Begun::Now(recipe, _) => recipe,
            Begun::Before(resumed) => &resumed.recipe,
        }
    }

    fn resumed(&self) -> Option<&Resumed> {
        match self {
            Begun::Now(..) => None,
            Begun::Before(resumed) => Some(resumed),
        }
    }

    /// What is gone on from.
    fn state(&self) -> Option<&Arc<TrainingState>> {
        self.resumed()?.state.as_ref()
    }
}

fn train_begun(
    arguments: &TrainArguments,
    begun: Begun,
    messages: Messages,
    started: Instant,
) -> Result<Trained> {
    let recipe = begun.recipe();
    let source = recipe.source.clone().ok_or_else(|| {
        Failure::Usage(
            "there is no data to train on: give --data, or `source` in the recipe's [data]"
                .to_owned(),
        )
    })?;
    let mut source = source.open()?;
    if !recipe.targets.is_empty() {
        source = source.with_targets(&recipe.targets)?;
    }
    let device_arguments = match begun.resumed() {
        Some(resumed) => resumed.device(arguments)?,
        None => arguments.device.clone(),
    };
    let Device {
        executor,
        threads,
        isa,
    } = device::open(&device_arguments)?;
    if let Some(resumed) = begun.resumed() {
        resumed.check_data(&source)?;
    }
    let checkpoint = begun
        .resumed()
        .and_then(|resumed| resumed.checkpoint.as_deref());
    let mut model = begin_model(arguments, recipe, &source, executor, checkpoint, messages)?;
    for warning in model.warnings() {
        messages.warning(warning);
    }
    let kept = model.metadata().get("targets");
    source = targets::of_model(source, kept.filter(|_| recipe.targets.is_empty()))?;
    if has_pixels(&source) {
        let scale = pixel_scale(&model, recipe.pixel_scale, messages);
        model
            .metadata_mut()
            .insert("pixel_scale".to_owned(), json!(scale));
        source = source.with_pixel_scale(scale as f32);
    }
    let Some(train) = source.train.clone() else {
        return Err(Failure::failed("the data has no training part"));
    };
    fit_check::check(&model, &source)?;
    let recorded = begun
        .resumed()
        .map(|resumed| resumed.folder.recorded("data"));
    let name = recorded.and_then(|data| data["name"].as_str());
    let name = name.unwrap_or(&source.name).to_owned();
    describe(&mut model, recipe, &source, &name)?;
    let data: Arc<dyn Dataset> = Arc::new(train);
    // What only the first step would find is found before there is a run folder.
    model
        .check_fit(&data, fit_options(recipe)?)
        .map_err(Failure::usage)?;
    if let Some(test) = &source.test {
        model.check_evaluate(test).map_err(Failure::usage)?;
    }
    if begun.state().is_none() {
        recipe.adapt(&mut model, &data, messages)?;
    }

    let state = begun.state().cloned();
    let place = source.path.as_ref();
    let place = place.map_or(source.name.clone(), |path| path.display().to_string());
    let mut place =
        json!({ "path": place, "name": name, "fingerprint": source.fingerprint.to_string() });
    report::describe_data(&mut place, recipe, &source);
    let mut facts = Facts::new(&model, FirstBatch::new(&data, recipe)?);
    let resumed_from = begun.resumed().map_or(Value::Null, Resumed::place);
    if let Some(resumed) = begun.resumed() {
        let steps = steps_of(recipe, data.len());
        resumed.note(&model, Some(steps), messages);
    }
    let (recipe, mut folder) = match begun {
        Begun::Now(recipe, path) => {
            let mut record = record(&recipe, threads, isa.name());
            report::describe_machine(&mut record);
            let folder = RunFolder::create(&path, &recipe.resolved(), record, place)?;
            (recipe, folder)
        }
        Begun::Before(mut resumed) => {
            resumed.begin(place)?;
            (resumed.recipe, resumed.folder)
        }
    };
    let before = folder.recorded("seconds").as_f64().unwrap_or(0.0);
    let seconds = || json!(before + started.elapsed().as_secs_f64());
    interrupt::finish_batches();

    let progress = (!arguments.quiet).then(Progress::stderr);
    let mut diagnose = diagnosis::watch(&recipe, &data, &mut model, messages)?;
    let plan = recipe.training.checkpoints;
    let history = state.as_ref().map(|state| state.history().clone());
    let mut watcher = Watcher::new(progress, &folder, plan, &history.unwrap_or_default())?;
    model.measure(arguments.profile)?;
    let options = fit_options(&recipe)?;
    let options = options.folder(folder.path());
    // Before those who keep what a broken model gives.
    let options = match &mut diagnose {
        Some(diagnose) => options.callback(diagnose),
        None => options,
    };
    // Before the watcher, who keeps checkpoints: what a checkpoint is followed by is cut when the training goes on.
    let options =
        match report::tensorboard(&recipe, &facts, folder.path(), state.is_none(), messages) {
            Some(tensorboard) => options.callback(tensorboard),
            None => options,
        };
    let options = options.callback(&mut watcher);
    let options = match state {
        Some(state) => options.resume(state),
        None => options,
    };
    let fitted = model.fit(&data, options);
    // What the disk refused comes to light here, where training did not end by it.
    let fitted = match (fitted, watcher.finish()) {
        (Ok(_), Err(error)) => Err(error),
        (fitted, _) => fitted,
    };
    let mut ended = None;
    let fitted = fitted.and_then(|history| match diagnosis::not_finite(&history, &model) {
        Some(error) => {
            ended = Some(history);
            Err(error)
        }
        None => Ok(history),
    });
    let (time, examples) = (watcher.training.as_secs_f64(), watcher.examples);
    let stopped_at = watcher.place;
    drop(watcher);
    let mut diagnoses = diagnose.map_or_else(Vec::new, |diagnose| diagnose.found().to_vec());
    let profile = arguments.profile.then(|| model.training_profile());
    model.measure(false)?;
    interrupt::end_at_once();
    let path = folder.path().to_path_buf();
    let history = match fitted {
        Ok(history) => history,
        Err(error) => {
            if let Some(history) = ended {
                folder.record("early_stopping", stopped_early(&history));
                folder.record("events", events(&history));
            }
            let rates = model.learning_rates().to_vec();
            drop(model);
            let error = if recipe.training.diagnose {
                let left = folder.left().ok().flatten();
                let left = left.filter(|left| diagnosis::is_sound(&left.state));
                let (state, checkpoint) =
                    left.map(|left| (Arc::new(left.state), left.place)).unzip();
                let make = || {
                    let executor = device::open(&device_arguments)?.executor;
                    let quiet = Messages { quiet: true };
                    let from = checkpoint.as_deref();
                    let mut model =
                        begin_model(arguments, &recipe, &source, executor, from, quiet)?;
                    model.check_fit(&data, fit_options(&recipe)?)?;
                    if from.is_none() {
                        recipe.adapt(&mut model, &data, quiet)?;
                    }
                    Ok(model)
                };
                let options = fit_options(&recipe)?.learning_rates(&rates);
                diagnosis::explain(error, &data, options, state, make, messages)
            } else {
                error
            };
            if let danlu::Error::NotFinite {
                diagnosis: Some(found),
                ..
            } = &error
            {
                diagnoses.push((**found).clone());
            }
            folder.record("diagnoses", diagnosis::to_json(&diagnoses));
            folder.record("error", json!(error.to_string()));
            folder.record("seconds", seconds());
            let _ = folder.set_state("failed");
            report::write(&path, &facts, messages);
            return Err(Failure::Failed(format!(
                "{error} (the run is in {})",
                path.display()
            )));
        }
    };
    folder.record("diagnoses", diagnosis::to_json(&diagnoses));
    if history.stopped {
        folder.record("seconds", seconds());
        folder.set_state("interrupted")?;
        report::write(&path, &facts, messages);
        let (epoch, step) = stopped_at;
        return Err(Failure::Interrupted(format!(
            "interrupted after {epoch} epoch(s) and {step} step(s) of the next; `danlu train --resume {}` goes on from there",
            path.display()
        )));
    }
    folder.record("early_stopping", stopped_early(&history));
    folder.record("events", events(&history));
    let test = match &source.test {
        Some(test) => {
            let test: Arc<dyn Dataset> = Arc::new(test.clone());
            let results = evaluate(&mut model, &test)?;
            // A full disk is no reason to lose the model.
            if let Err(error) = facts.test(&path, &mut model, &test) {
                messages.warning(&format!("the test predictions could not be kept: {error}"));
            }
            Some(results)
        }
        None => None,
    };
    // Saving takes memory of its own; the examples are not needed any more.
    drop((data, source));
    let finish = || -> Result<()> {
        model.save_weights(path.join("final.safetensors"))?;
        model.save(path.join("model.keras"))?;
        if let Some(save) = &arguments.save {
            model.save(save)?;
        }
        Ok(())
    };
    if let Err(failure) = finish() {
        let _ = folder.set_state("failed");
        return Err(failure);
    }
    let test_json = test.as_ref().map_or(Value::Null, to_json);
    folder.record("test", test_json.clone());
    let rate = if time > 0.0 {
        examples as f64 / time
    } else {
        0.0
    };
    folder.record("samples_per_second", json!(rate));
    folder.record("seconds", seconds());
    folder.set_state("finished")?;
    report::write(&path, &facts, messages);
    if let Some(test) = &test {
        let shown: Vec<String> = test
            .iter()
            .map(|(name, value)| format!("{name}: {value:.4}"))
            .collect();
        messages.note(&format!("test - {}", shown.join(" - ")));
    }
    messages.note(&format!("saved {}", path.join("model.keras").display()));
    let profile = profile.map(|profile| ProfileReport {
        steps: "training steps",
        between: "batches, shuffling, metrics, progress, compiling",
        profile,
        seconds: time,
        peak: measure_peak(isa, threads),
    });
    let (early_stopping, events) = (stopped_early(&history), events(&history));
    let mut report = json!({
        "history": numbers(&history),
        "test": test_json,
        "early_stopping": early_stopping,
        "events": events,
        "diagnoses": diagnosis::to_json(&diagnoses),
        "model": path.join("model.keras").display().to_string(),
        "run": folder.path().display().to_string(),
        "resumed_from": resumed_from,
        "threads": threads,
        "seconds": started.elapsed().as_secs_f64(),
        "samples_per_second": rate,
    });
    if let Some(profile) = &profile {
        report["profile"] = profile.json();
    }
    Ok(Trained { report, profile })
}

/// The model to begin or go on with.
fn begin_model(
    arguments: &TrainArguments,
    recipe: &Recipe,
    source: &Source,
    executor: Box<dyn Executor>,
    checkpoint: Option<&Path>,
    messages: Messages,
) -> Result<Model> {
    let mut model = make_model(recipe, source, executor, checkpoint, messages)?;
    if let Some(rate) = arguments.learning_rate
        && recipe.training.optimizer.is_none()
    {
        model.set_learning_rate(rate)?;
    }
    Ok(model)
}
