//! Where data is: a built-in dataset, or a path.

use std::path::{Path, PathBuf};

use danlu::Model;
use danlu::data::Source;

use crate::failure::{Failure, Result};
use crate::output::Messages;
use crate::recipe::Recipe;
use crate::recipe::builtin;
use crate::recipe::document::Document;

/// A built-in dataset's name, or a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataSource {
    /// A dataset that Danlu knows by name.
    Builtin(String),
    /// The only place that is searched.
    Path(PathBuf),
}

impl DataSource {
    /// Whether this is the name of a built-in dataset.
    pub fn is_builtin(text: &str) -> bool {
        danlu::data::sources::BUILTIN.contains(&text)
    }

    /// What a recipe's `data.source` says; paths were made absolute.
    pub fn from_recipe(text: &str) -> DataSource {
        match DataSource::is_builtin(text) {
            true => DataSource::Builtin(text.to_owned()),
            false => DataSource::Path(PathBuf::from(text)),
        }
    }

    /// What `--data` says: a dataset's or a recipe's name, a recipe file, or a path.
    ///
    /// # Errors
    /// The recipe cannot be read, or names no data.
    pub fn from_argument(text: &str) -> Result<DataSource> {
        if DataSource::is_builtin(text) {
            return Ok(DataSource::Builtin(text.to_owned()));
        }
        let (document, folder) = if let Some(recipe) = builtin::find(text) {
            (
                Document::parse(&format!("built-in recipe {text}"), recipe.text)?,
                PathBuf::new(),
            )
        } else if Path::new(text)
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            Recipe::open(Path::new(text))?
        } else {
            let path = Path::new(text);
            let plain = !text.contains(['/', '\\', '.']);
            if plain && !path.exists() {
                let hint = danlu::data::suggest::hint(text, danlu::data::sources::BUILTIN);
                return Err(Failure::Usage(format!(
                    "--data {text}: there is no such file or folder, and no built-in dataset of this name{hint}"
                )));
            }
            return Ok(DataSource::Path(
                std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            ));
        };
        let recipe = Recipe::read(document, &folder)?;
        recipe
            .source
            .ok_or_else(|| Failure::Usage(format!("--data {text}: the recipe names no data")))
    }

    /// What a recipe would say.
    pub fn text(&self) -> String {
        match self {
            DataSource::Builtin(name) => name.clone(),
            DataSource::Path(path) => path.display().to_string(),
        }
    }

    /// Opens the data.
    ///
    /// # Errors
    /// It is not there, damaged, or of another kind.
    pub fn open(&self) -> Result<Source> {
        Ok(match self {
            DataSource::Builtin(name) => danlu::data::open_builtin(name)?,
            DataSource::Path(path) => danlu::data::open_path(path)?,
        })
    }
}

/// The factor of bytes that are pixels: as given, as the model or recipe says, or by what the model begins with.
pub fn pixel_scale(model: &Model, given: Option<f64>, messages: Messages) -> f64 {
    let known = model
        .metadata()
        .get("pixel_scale")
        .and_then(serde_json::Value::as_f64);
    if let Some(scale) = given.or(known) {
        return scale;
    }
    let first = model
        .layers()
        .find(|(_, layer)| layer.class_name() != "InputLayer" && layer.class_name() != "Input");
    let scales_itself = first.is_some_and(|(_, layer)| match layer.class_name() {
        "Normalization" => true,
        "Rescaling" => {
            let scale = layer
                .config()
                .get("scale")
                .and_then(serde_json::Value::as_f64);
            scale.is_some_and(|scale| scale.abs() < 0.02)
        }
        _ => false,
    });
    let scale = if scales_itself { 1.0 } else { 1.0 / 255.0 };
    let reason = if scales_itself {
        "the model scales them itself"
    } else {
        "nothing says otherwise"
    };
    messages.note(&format!(
        "note: pixels are multiplied by {scale} ({reason}); --pixel-scale overrides"
    ));
    scale
}

/// Whether the features are stored as pixels.
pub fn has_pixels(source: &Source) -> bool {
    use danlu::data::Dataset;
    let part = source.train.as_ref().or(source.test.as_ref());
    part.is_some_and(|part| {
        part.specification()
            .features
            .iter()
            .any(|field| field.pixels)
    })
}
