//! Models by path: a file, or a run folder.

use std::path::{Path, PathBuf};

use danlu::Model;
use danlu::graph::Executor;
use danlu::model::LoadOptions;

use crate::failure::{Failure, Result};
use crate::output::Messages;
use crate::recipe::{Init, InitBy};

/// What a checkpoint in a run folder describes its model in; weights and optimizer state lie beside it.
const CHECKPOINT: &str = "model.json";

/// Whether a word on the command line means a model rather than a recipe.
pub fn is_model(text: &str) -> bool {
    let path = Path::new(text);
    path.is_dir()
        || path.ends_with(CHECKPOINT)
        || ["keras", "h5", "hdf5", "safetensors"].contains(&extension(path).as_str())
}

/// A path's extension in small letters.
pub fn extension(path: &Path) -> String {
    let extension = path.extension().unwrap_or_default();
    extension.to_string_lossy().to_lowercase()
}

/// The file that a path to a model means: itself, or what a run folder holds, which is a checkpoint's description where
/// there is no finished model.
///
/// # Errors
/// There is none, or only weights.
pub fn file(text: &str) -> Result<PathBuf> {
    let path = Path::new(text);
    if path.is_dir() {
        let places = [
            "model.keras",
            "best/model.json",
            "last/model.json",
            CHECKPOINT,
        ];
        return places.iter().map(|place| path.join(place)).find(|file| file.is_file()).ok_or_else(|| {
            Failure::Usage(format!(
                "`{text}` is a folder without a model: a run folder has model.keras once an epoch was finished"
            ))
        });
    }
    if crate::recipe::builtin::find(text).is_some() && !path.exists() {
        return Err(Failure::Usage(format!(
            "`{text}` is a recipe, not a model: `danlu train {text}` makes a model of it; then give the run folder that it names"
        )));
    }
    if !path.exists() {
        return Err(Failure::Usage(format!(
            "there is no model `{text}`: give a .keras or .h5 file, or a run folder"
        )));
    }
    if extension(path) == "safetensors" {
        return Err(Failure::Usage(format!(
            "`{text}` holds weights only, not the architecture: give the .keras or .h5 model, or train a recipe with --init {text}"
        )));
    }
    if !is_model(text) {
        return Err(Failure::Usage(format!(
            "`{text}` is no model: a model is a .keras or .h5 file, or a run folder"
        )));
    }
    Ok(path.to_path_buf())
}

/// Loads a model.
///
/// # Errors
/// It is not there, or cannot be read.
pub fn load(text: &str, executor: Box<dyn Executor>, optimizer_state: bool) -> Result<Model> {
    let file = file(text)?;
    if let Some(folder) = checkpoint_folder(&file) {
        return checkpoint(folder, executor, optimizer_state);
    }
    let options = LoadOptions::new()
        .optimizer_state(optimizer_state)
        .executor(executor);
    Model::load_with(&file, options).map_err(|error| in_file(&file, error))
}

/// Loads the weights alone into a model, from a file of weights, a model or a run folder, and says which layers took any where not all
/// must.
///
/// # Errors
/// There are none, they cannot be read, or they are those of another model.
pub fn load_weights(model: &mut Model, init: &Init, messages: Messages) -> Result<()> {
    let path = init.file.as_path();
    let mut file = match extension(path) == "safetensors" {
        true => path.to_path_buf(),
        false => file(&path.display().to_string())?,
    };
    if let Some(folder) = checkpoint_folder(&file) {
        file = folder.join("weights.safetensors");
    }
    let report = match init.by {
        InitBy::Whole => model.load_weights(&file).map(|()| None),
        InitBy::Name => model.load_weights_by_name(&file).map(Some),
        InitBy::Order => model.load_weights_by_order(&file).map(Some),
    };
    if let Some(report) = report.map_err(|error| in_file(&file, error))? {
        messages.note(&format!("weights of {}:\n{report}", file.display()));
    }
    Ok(())
}

/// The folder of the checkpoint that a file describes, if it does.
fn checkpoint_folder(file: &Path) -> Option<&Path> {
    file.parent().filter(|_| file.ends_with(CHECKPOINT))
}

/// An error about what stands in a file, with the file; errors of reading name it already.
pub fn in_file(file: &Path, error: danlu::Error) -> Failure {
    match error {
        error @ (danlu::Error::File(_) | danlu::Error::Data(_)) => error.into(),
        error => Failure::Failed(format!("{}: {error}", file.display())),
    }
}

/// Loads what a run folder keeps of an epoch.
///
/// # Errors
/// A file of it is missing or damaged.
pub fn checkpoint(
    folder: &Path,
    executor: Box<dyn Executor>,
    optimizer_state: bool,
) -> Result<Model> {
    let path = folder.join(CHECKPOINT);
    let damaged =
        |error: String| Failure::Failed(format!("cannot read `{}`: {error}", path.display()));
    let text = std::fs::read_to_string(&path).map_err(|error| damaged(error.to_string()))?;
    let description: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
    let mut model = Model::from_keras(&description["config"])?;
    model.set_executor(executor)?;
    model.build()?;
    if description["compile_config"].is_object() {
        model.compile_from_config(&description["compile_config"])?;
    }
    if let Some(metadata) = description["danlu"].as_object() {
        *model.metadata_mut() = metadata.clone();
    }
    let file = folder.join("weights.safetensors");
    let loaded = model.load_weights(&file);
    loaded.map_err(|error| in_file(&file, error))?;
    if optimizer_state && model.is_compiled() {
        let file = folder.join("optimizer.safetensors");
        let state = danlu::files::safetensors::read_tensors(&file)?;
        if !state.is_empty() {
            let set = model.set_named_optimizer_state(&state);
            set.map_err(|error| in_file(&file, error))?;
        }
    }
    Ok(model)
}
