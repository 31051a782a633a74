//! `danlu train`

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use danlu::cpu::measure_peak;
use danlu::data::files::check_writable;
use danlu::data::{Dataset, Source};
use danlu::training::{FitOptions, History, Progress};
use danlu::{Config, Model};
use serde_json::{Value, json};

use super::evaluate::{evaluate, to_json};
use crate::arguments::TrainArguments;
use crate::bench::profile::ProfileReport;
use crate::data::{DataSource, has_pixels, pixel_scale};
use crate::device::{self, Device};
use crate::failure::{Failure, Result};
use crate::output::{self, Messages};
use crate::progress::{Watcher, note_early_stop, stopped_early};
use crate::recipe::build::DataShape;
use crate::recipe::document::Document;
use crate::recipe::{ModelPart, Recipe, targets};
use crate::run_folder::RunFolder;
use crate::{diagnosis, fit_check, interrupt, models, subject};

fn change(document: &mut Document, arguments: &TrainArguments) -> Result<()> {
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
    let messages = Messages {
        quiet: arguments.quiet,
    };
    let recipe = subject::recipe(&arguments.subject, |document| change(document, arguments))?;
    if let Some(save) = &arguments.save {
        check_save(save)?;
    }
    let path = RunFolder::choose(arguments.out.as_deref(), &recipe.name)?;
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
    let Device {
        executor,
        threads,
        isa,
    } = device::open(&arguments.device)?;
    let mut model = make_model(&recipe, &source, executor, arguments)?;
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
    describe(&mut model, &recipe, &source);
    let data: Arc<dyn Dataset> = Arc::new(train);
    // What only the first step would find is found before there is a run folder.
    model
        .check_fit(&data, fit_options(&recipe))
        .map_err(Failure::usage)?;
    if let Some(test) = &source.test {
        model.check_evaluate(test).map_err(Failure::usage)?;
    }
    recipe.adapt(&mut model, &data, messages)?;

    let mut record = Config::new();
    record.insert("danlu".to_owned(), json!(env!("CARGO_PKG_VERSION")));
    record.insert(
        "command".to_owned(),
        std::env::args_os()
            .map(|word| json!(word.to_string_lossy()))
            .collect(),
    );
    record.insert("seed".to_owned(), json!(recipe.training.seed));
    let place = source
        .path
        .as_ref()
        .map_or(source.name.clone(), |path| path.display().to_string());
    record.insert(
        "data".to_owned(),
        json!({ "path": place, "fingerprint": source.fingerprint.to_string() }),
    );
    record.insert("threads".to_owned(), json!(threads));
    record.insert("isa".to_owned(), json!(isa.name()));
    let mut folder = RunFolder::create(&path, &recipe.resolved(), record)?;
    interrupt::finish_batches();

    let progress = (!arguments.quiet).then(Progress::stderr);
    let diagnose = diagnosis::watch(&recipe, &data, &mut model, messages)?;
    let mut watcher = Watcher::new(progress, &mut folder, diagnose, messages);
    model.measure(arguments.profile)?;
    let fitted = model.fit(&data, fit_options(&recipe).observer(&mut watcher));
    let (time, examples) = (watcher.training.as_secs_f64(), watcher.examples);
    let diagnose = watcher.diagnose.take();
    let mut diagnoses = diagnose.map_or_else(Vec::new, |diagnose| diagnose.found().to_vec());
    let profile = arguments.profile.then(|| model.training_profile());
    model.measure(false)?;
    interrupt::end_at_once();
    let history = match fitted {
        Ok(history) => history,
        Err(error) => {
            drop(model);
            let open = || Ok::<_, Failure>(device::open(&arguments.device)?.executor);
            let last = path.join("last");
            let options = fit_options(&recipe);
            let fresh = || {
                let mut model = make_model(&recipe, &source, open()?, arguments)?;
                model.check_fit(&data, fit_options(&recipe))?;
                recipe.adapt(&mut model, &data, Messages { quiet: true })?;
                Ok(model)
            };
            let kept = || models::checkpoint(&last, open()?, true);
            let error = match recipe.training.diagnose {
                true => diagnosis::explain(error, &last, &data, options, fresh, kept, messages),
                false => error,
            };
            if let danlu::Error::NotFinite {
                diagnosis: Some(found),
                ..
            } = &error
            {
                diagnoses.push((**found).clone());
            }
            folder.record("diagnoses", diagnosis::to_json(&diagnoses));
            let _ = folder.set_state("failed");
            return Err(Failure::Failed(format!(
                "{error} (the run is in {})",
                path.display()
            )));
        }
    };
    folder.record("diagnoses", diagnosis::to_json(&diagnoses));
    if history.stopped {
        drop((data, source));
        return interrupted(&mut folder, &history, arguments);
    }
    note_early_stop(&history, messages);
    folder.record("early_stopping", stopped_early(&history));
    let test = match &source.test {
        Some(test) => {
            let test: Arc<dyn Dataset> = Arc::new(test.clone());
            Some(evaluate(&mut model, &test)?)
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
    folder.set_state("finished")?;
    if let Some(test) = &test {
        let shown: Vec<String> = test
            .iter()
            .map(|(name, value)| format!("{name}: {value:.4}"))
            .collect();
        messages.note(&format!("test - {}", shown.join(" - ")));
    }
    messages.note(&format!("saved {}", path.join("model.keras").display()));
    let profile = profile.map(|profile| ProfileReport {
        profile,
        seconds: time,
        peak: measure_peak(isa, threads),
    });
    if arguments.json {
        let early_stopping = stopped_early(&history);
        let history: Config = history
            .metrics
            .iter()
            .map(|(name, values)| (name.clone(), json!(values)))
            .collect();
        let rate = if time > 0.0 {
            examples as f64 / time
        } else {
            0.0
        };
        let mut report = json!({
            "history": history,
            "test": test_json,
            "early_stopping": early_stopping,
            "diagnoses": diagnosis::to_json(&diagnoses),
            "model": path.join("model.keras").display().to_string(),
            "run": folder.path().display().to_string(),
            "resumed_from": null,
            "threads": threads,
            "seconds": started.elapsed().as_secs_f64(),
            "samples_per_second": rate,
        });
        if let Some(profile) = profile {
            report["profile"] = profile.json();
        }
        return output::json(&report);
    }
    match profile {
        Some(profile) => output::data(&profile.text()),
        None => Ok(()),
    }
}

/// What the recipe says of `fit`.
fn fit_options<'a>(recipe: &Recipe) -> FitOptions<'a> {
    let training = &recipe.training;
    let options = FitOptions::new()
        .epochs(training.epochs)
        .batch_size(training.batch_size)
        .validation_split(training.validation_split)
        .shuffle(training.shuffle)
        .seed(training.seed)
        .verbose(false);
    let options = match &training.class_weight {
        Some(weights) => options.class_weight(weights),
        None => options,
    };
    match &training.early_stopping {
        Some(early_stopping) => options.early_stopping(early_stopping.clone()),
        None => options,
    }
}

/// The recipe's model, built or loaded, with the weights to begin with.
fn make_model(
    recipe: &Recipe,
    source: &Source,
    executor: Box<dyn danlu::graph::Executor>,
    arguments: &TrainArguments,
) -> Result<Model> {
    let Some(train) = &source.train else {
        return Err(Failure::failed("the data has no training part"));
    };
    let mut model = match &recipe.model {
        ModelPart::File(file) => {
            let mut model = models::load(&file.display().to_string(), executor, true)?;
            if recipe.training.optimizer.is_some() || recipe.training.objectives.losses.is_some() {
                recipe.compile(&mut model)?;
            }
            if !model.is_compiled() {
                // Where the file has compile settings, the warning says what of them cannot be used.
                let reasons: String = model
                    .warnings()
                    .iter()
                    .map(|warning| format!(": {warning}"))
                    .collect();
                return Err(Failure::Usage(format!(
                    "`{}` is not compiled{reasons}: give --set training.optimizer=adam and --set training.loss=...",
                    file.display()
                )));
            }
            model.set_seed(recipe.training.seed);
            model
        }
        ModelPart::Layers(_) | ModelPart::Graph(_) | ModelPart::Architecture(_) => {
            recipe.build(&DataShape::of(train.specification()), executor)?
        }
    };
    if let Some(init) = &recipe.init {
        models::load_weights(&mut model, &init.display().to_string())?;
    }
    if let Some(rate) = arguments.learning_rate
        && recipe.training.optimizer.is_none()
    {
        model.set_learning_rate(rate)?;
    }
    Ok(model)
}

/// Puts what Keras has no place for into the model.
fn describe(model: &mut Model, recipe: &Recipe, source: &Source) {
    let split = recipe.training.validation_split;
    let names = source
        .train
        .as_ref()
        .and_then(|part| part.specification().class_names.clone());
    let metadata = model.metadata_mut();
    metadata.insert("recipe".to_owned(), Value::Object(recipe.portable()));
    metadata.insert(
        "data".to_owned(),
        json!({ "name": source.name, "fingerprint": source.fingerprint.to_string() }),
    );
    if let Some(targets) = recipe.target_table() {
        metadata.insert("targets".to_owned(), targets.clone());
    }
    if let Some(names) = names {
        metadata.insert("class_names".to_owned(), json!(names));
    }
    let fingerprint = source.fingerprint.to_string();
    metadata.insert(
        "split".to_owned(),
        json!({ "method": "last", "validation": split, "seed": recipe.training.seed, "fingerprint": fingerprint }),
    );
}

/// `--save` is looked at before hours of training.
fn check_save(path: &std::path::Path) -> Result<()> {
    if !["keras", "h5", "hdf5", "safetensors"].contains(&models::extension(path).as_str()) {
        return Err(Failure::Usage(format!(
            "--save {}: expected a file that ends in .keras, .h5 or .safetensors",
            path.display()
        )));
    }
    let writable = check_writable(path);
    writable.map_err(|error| Failure::Usage(format!("--save {}: {error}", path.display())))
}

/// Ctrl-C: the last finished epoch's model is kept.
fn interrupted(
    folder: &mut RunFolder,
    history: &History,
    arguments: &TrainArguments,
) -> Result<()> {
    let last = folder.path().join("last");
    let text = if last.join("state.json").is_file() {
        let model = models::checkpoint(&last, device::open(&arguments.device)?.executor, true)?;
        model.save(folder.path().join("model.keras"))?;
        model.save_weights(folder.path().join("final.safetensors"))?;
        format!(
            "interrupted after {} epoch(s); the last finished one is kept in {}",
            history.epochs.len(),
            folder.path().join("model.keras").display()
        )
    } else {
        "interrupted before the first epoch was finished; there is no model".to_owned()
    };
    folder.set_state("interrupted")?;
    Err(Failure::Interrupted(text))
}
