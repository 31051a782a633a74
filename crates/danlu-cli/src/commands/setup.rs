//! What a training needs before it begins: the model, what is kept with it, what `run.json` says.

use std::path::Path;

use danlu::data::files::check_writable;
use danlu::data::{Dataset, Source};
use danlu::training::FitOptions;
use danlu::{Config, Model};
use serde_json::json;

use crate::failure::{Failure, Result};
use crate::models;
use crate::output::Messages;
use crate::recipe::build::DataShape;
use crate::recipe::document::Document;
use crate::recipe::write::to_toml;
use crate::recipe::{ModelPart, Recipe};

/// What `run.json` says from the start.
pub fn record(recipe: &Recipe, threads: usize, isa: &str) -> Config {
    let mut record = Config::new();
    record.insert("danlu".to_owned(), json!(env!("CARGO_PKG_VERSION")));
    let command = std::env::args_os().map(|word| json!(word.to_string_lossy()));
    record.insert("command".to_owned(), command.collect());
    record.insert("seed".to_owned(), json!(recipe.training.seed));
    record.insert("epochs".to_owned(), json!(recipe.training.epochs));
    record.insert("threads".to_owned(), json!(threads));
    record.insert("isa".to_owned(), json!(isa));
    record
}

/// Steps of an epoch.
pub fn steps_of(recipe: &Recipe, examples: usize) -> usize {
    let kept = (examples as f64 * recipe.training.validation_split) as usize;
    (examples - kept).div_ceil(recipe.training.batch_size)
}

/// The recipe's model, built or loaded, with the weights to begin with; where training goes on, those come from the checkpoint, and
/// a model that was a file may have changed there since.
pub fn make_model(
    recipe: &Recipe,
    source: &Source,
    executor: Box<dyn danlu::graph::Executor>,
    checkpoint: Option<&Path>,
    messages: Messages,
) -> Result<Model> {
    let Some(train) = &source.train else {
        return Err(Failure::failed("the data has no training part"));
    };
    let mut model = match &recipe.model {
        ModelPart::File(file) => {
            let mut model = match checkpoint {
                Some(folder) => models::checkpoint(folder, executor, true)?,
                None => models::load(&file.display().to_string(), executor, true)?,
            };
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
    if let Some(init) = recipe.init.as_ref().filter(|_| checkpoint.is_none()) {
        models::load_weights(&mut model, init, messages)?;
    }
    Ok(model)
}

/// Puts what Keras has no place for into the model.
///
/// # Errors
/// None that was not found when the recipe was read.
pub fn describe(model: &mut Model, recipe: &Recipe, source: &Source, name: &str) -> Result<()> {
    let split = recipe.training.validation_split;
    let names = source
        .train
        .as_ref()
        .and_then(|part| part.specification().class_names.clone());
    let metadata = model.metadata_mut();
    // As a run that goes on reads it from its folder, which may be in another order than it was written in.
    let recipe_text = to_toml(&recipe.portable());
    let read = Document::parse("the recipe", &recipe_text)?;
    metadata.insert("recipe".to_owned(), read.value);
    metadata.insert(
        "data".to_owned(),
        json!({ "name": name, "fingerprint": source.fingerprint.to_string() }),
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
    Ok(())
}

/// `--save` is looked at before hours of training.
pub fn check_save(path: &Path) -> Result<()> {
    if !["keras", "h5", "hdf5", "safetensors"].contains(&models::extension(path).as_str()) {
        return Err(Failure::Usage(format!(
            "--save {}: expected a file that ends in .keras, .h5 or .safetensors",
            path.display()
        )));
    }
    let writable = check_writable(path);
    writable.map_err(|error| Failure::Usage(format!("--save {}: {error}", path.display())))
}

/// What the recipe says of `fit`.
///
/// # Errors
/// A callback cannot be made.
pub fn fit_options<'a>(recipe: &Recipe) -> Result<FitOptions<'a>> {
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
    let options = match &training.early_stopping {
        Some(early_stopping) => options.early_stopping(early_stopping.clone()),
        None => options,
    };
    Ok(options.callbacks(training.callbacks().map_err(Failure::usage)?))
}
