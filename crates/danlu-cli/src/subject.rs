//! What a word on the command line stands for: a built-in recipe, a recipe file, a model, or an architecture.

use std::path::PathBuf;

use danlu::Model;
use danlu::data::{Dataset, suggest};
use danlu::graph::Executor;
use serde_json::json;

use crate::data::DataSource;
use crate::failure::{Failure, Result};
use crate::models;
use crate::recipe::build::DataShape;
use crate::recipe::document::Document;
use crate::recipe::{ModelPart, Recipe, architecture, builtin};

/// The recipe that a name, a recipe file, a model or an architecture stands for, after changes.
///
/// # Errors
/// There is no such thing, or a key or value is none.
pub fn recipe(subject: &str, change: impl FnOnce(&mut Document) -> Result<()>) -> Result<Recipe> {
    let (mut document, folder) = if let Some(recipe) = builtin::find(subject) {
        (
            Document::parse(&format!("built-in recipe {subject}"), recipe.text)?,
            PathBuf::new(),
        )
    } else if subject.ends_with(".toml") {
        Recipe::open(subject.as_ref())?
    } else if models::is_model(subject) {
        let file = models::file(subject)?;
        let mut document = Document::empty(subject);
        let stem = file
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        document.set("name", json!(stem), subject)?;
        document.set(
            "model",
            json!({ "file": file.display().to_string() }),
            subject,
        )?;
        document.set("data", json!({}), subject)?;
        document.set("training", json!({}), subject)?;
        (document, PathBuf::new())
    } else if danlu_zoo::names().any(|name| name == subject) {
        let mut document = Document::empty(subject);
        document.value = json!({
            "name": subject,
            "model": { "architecture": subject },
            "training": {
                "optimizer": "adam",
                "loss": "sparse_categorical_crossentropy",
                "metrics": ["accuracy"],
            },
        });
        (document, PathBuf::new())
    } else if std::path::Path::new(subject).exists() {
        return Err(Failure::Usage(format!(
            "`{subject}` is neither a recipe nor a model: a recipe file ends in .toml, a model in .keras or .h5"
        )));
    } else {
        let names = builtin::ALL.iter().map(|recipe| recipe.name);
        let hint = suggest::hint(subject, names.chain(danlu_zoo::names()));
        return Err(Failure::Usage(format!(
            "there is no built-in recipe or architecture named `{subject}`{hint}"
        )));
    };
    change(&mut document)?;
    architecture::replace_layers(&mut document);
    Recipe::read(document, &folder)
}

/// The model that a word stands for, as a file has it or as a recipe makes it; `data` gives a recipe's model its input shape
/// where the recipe's own data is not to.
///
/// # Errors
/// There is no such thing, it cannot be read, or there is no data to take a shape from.
pub fn model(subject: &str, data: Option<&str>, executor: Box<dyn Executor>) -> Result<Model> {
    if models::is_model(subject) {
        return models::load(subject, executor, false);
    }
    let recipe = recipe(subject, |_| Ok(()))?;
    if let ModelPart::File(file) = &recipe.model {
        return models::load(&file.display().to_string(), executor, false);
    }
    let source = match data {
        Some(text) => Some(DataSource::from_argument(text)?),
        None => recipe.source.clone(),
    };
    if let (ModelPart::Architecture(architecture), None) = (&recipe.model, &source) {
        return recipe.build_architecture(architecture, None, executor);
    }
    // MNIST's sizes are known, so that its recipe can be looked at without its files.
    let shape = match source {
        Some(DataSource::Builtin(name)) if name == "mnist" => DataShape {
            inputs: vec![("x".to_owned(), vec![28, 28, 1])],
            classes: recipe.targets.is_empty().then_some(10),
        },
        Some(source) => {
            let mut source = source.open()?;
            if !recipe.targets.is_empty() {
                source = source.with_targets(&recipe.targets)?;
            }
            let part = source.train.as_ref().or(source.test.as_ref());
            let part = part.ok_or_else(|| Failure::failed("the data has no examples"))?;
            DataShape::of(part.specification())
        }
        // A graph may say all shapes itself.
        None if matches!(recipe.model, ModelPart::Graph(_)) => DataShape::default(),
        None => {
            return Err(Failure::usage(
                "the recipe names no data: give --data, for the input's shape",
            ));
        }
    };
    recipe.build(&shape, executor)
}
