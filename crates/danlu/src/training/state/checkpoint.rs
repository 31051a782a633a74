//! States in folders: checkpoints.

use std::io;
use std::path::Path;

use danlu_data::Fingerprint;
use serde_json::{Value, json};

use super::TrainingState;
use super::folder::{Entry, Hook, clear_up, places, replace};
use crate::files::safetensors::{decode_tensors, encode_tensors};
use crate::{Config, Error, Result};

/// The version of the format, which only grows where an older reader would misunderstand.
const FORMAT: u64 = 1;

const STATE: &str = "state.json";
const MODEL: &str = "model.json";
const WEIGHTS: &str = "weights.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
/// Running sums and what callbacks keep, where there is any of it.
const TRAINING: &str = "training.safetensors";

impl TrainingState {
    /// Keeps the state in a folder: `weights.safetensors`, `optimizer.safetensors`, `model.json`, where needed
    /// `training.safetensors`, and `state.json`, which knows the length and hash of the others. A state that is there is replaced as
    /// a whole: whatever ends the process, and after any error, [`load`](Self::load) gives the one before or this one.
    ///
    /// # Errors
    /// The files cannot be written; then the one before is in its place.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        self.save_watched(folder.as_ref(), &mut || Ok(()))
    }

    /// As [`save`](Self::save), with somebody told of each file operation.
    pub(super) fn save_watched(&self, folder: &Path, hook: Hook<'_>) -> Result<()> {
        let files = self.files(folder)?;
        let whole = |folder: &Path| read(folder).is_ok();
        replace(folder, &files, &whole, hook).map_err(|error| {
            danlu_data::Error::file("write", folder.display().to_string(), error).into()
        })
    }

    fn files(&self, folder: &Path) -> Result<Vec<Entry>> {
        let (mut document, tensors) = self.to_json()?;
        let mut files = vec![
            (MODEL, format!("{}\n", self.model).into_bytes()),
            (
                WEIGHTS,
                encode_tensors(&folder.join(WEIGHTS), &self.weights)?,
            ),
            (
                OPTIMIZER,
                encode_tensors(&folder.join(OPTIMIZER), &self.optimizer)?,
            ),
        ];
        if !tensors.is_empty() {
            files.push((TRAINING, encode_tensors(&folder.join(TRAINING), &tensors)?));
        }
        let entries = files.iter().map(|(name, bytes)| {
            let hash = Fingerprint::of_bytes(bytes).to_string();
            let entry = json!({ "bytes": bytes.len(), "xxh3_128": hash });
            ((*name).to_owned(), entry)
        });
        let entries: Config = entries.collect();
        document.insert("files".to_owned(), Value::Object(entries));
        document.insert("format".to_owned(), json!(FORMAT));
        let document = Value::Object(document);
        // Last, so that where it is the others are.
        files.push((STATE, format!("{document}\n").into_bytes()));
        Ok(files)
    }

    /// Reads a state that [`save`](Self::save) wrote; where a killed process left it half replaced, the whole one that is beside
    /// it.
    ///
    /// # Errors
    /// There is none; it is damaged or cut short; it was written by a newer version.
    pub fn load(folder: impl AsRef<Path>) -> Result<TrainingState> {
        let folder = folder.as_ref();
        let mut first = None;
        for place in places(folder) {
            if !place.is_dir() {
                continue;
            }
            match read(&place) {
                Ok(state) => return Ok(state),
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or_else(|| {
            danlu_data::Error::NotFound {
                subject: format!("a training's state in `{}`", folder.display()),
                advice: "save one there first, or begin the training anew".to_owned(),
            }
            .into()
        }))
    }

    /// Ends what a killed process had begun with a folder: a whole state is in its place, and nothing is beside it. Only for whoever
    /// may write there.
    ///
    /// # Errors
    /// The folders cannot be renamed or removed.
    pub fn recover(folder: impl AsRef<Path>) -> Result<()> {
        let folder = folder.as_ref();
        let whole = |folder: &Path| read(folder).is_ok();
        clear_up(folder, &whole, &mut |run| run()).map_err(|error| {
            danlu_data::Error::file("bring in order", folder.display().to_string(), error).into()
        })
    }

    /// Whether a folder, or what a killed process left of it, holds a state, damaged or not.
    pub fn exists(folder: impl AsRef<Path>) -> bool {
        places(folder.as_ref()).iter().any(|place| place.is_dir())
    }
}

/// Reads and checks one folder.
fn read(folder: &Path) -> Result<TrainingState> {
    let place = folder.join(STATE);
    let damaged = |expected: &str, received: String| {
        Error::mismatch(
            format!("`{}`", place.display()),
            expected,
            received,
            "the checkpoint is damaged or cut short; use another one",
        )
    };
    let document: Value = serde_json::from_slice(&file(folder, STATE)?)
        .map_err(|error| damaged("one JSON document", error.to_string()))?;
    let Value::Object(document) = document else {
        return Err(damaged("one JSON object", document.to_string()));
    };
    let entry = |name: &str| document.get(name).unwrap_or(&Value::Null);
    match entry("format").as_u64() {
        Some(format) if format <= FORMAT => {}
        Some(format) => {
            return Err(Error::mismatch(
                format!("`{}`", place.display()),
                format!("a state of format {FORMAT} or below"),
                format!("format {format}"),
                "it was written by a newer version of Danlu: use that one",
            ));
        }
        None => return Err(damaged("the number `format`", "none".to_owned())),
    }
    let read = |name: &str| -> Result<Vec<u8>> {
        let entry = &entry("files")[name];
        let bytes = file(folder, name)?;
        let path = folder.join(name);
        let differs = |expected: String, received: String| {
            Error::mismatch(
                format!("`{}`", path.display()),
                expected,
                received,
                "the checkpoint is damaged or cut short; use another one",
            )
        };
        let length = entry["bytes"].as_u64().unwrap_or(0);
        if length != bytes.len() as u64 {
            let received = bytes.len().to_string();
            return Err(differs(format!("{length} bytes"), received));
        }
        let hash = Fingerprint::of_bytes(&bytes).to_string();
        let expected = entry["xxh3_128"].as_str().unwrap_or_default();
        if hash != expected {
            return Err(differs(format!("bytes with the hash {expected}"), hash));
        }
        Ok(bytes)
    };
    let tensors = |name: &str| Ok::<_, Error>(decode_tensors(&folder.join(name), &read(name)?)?);
    let model = serde_json::from_slice(&read(MODEL)?)
        .map_err(|error| damaged("a model's JSON document beside it", error.to_string()))?;
    let own = match entry("files").get(TRAINING) {
        Some(_) => tensors(TRAINING)?,
        None => Vec::new(),
    };
    let (weights, optimizer) = (tensors(WEIGHTS)?, tensors(OPTIMIZER)?);
    TrainingState::from_json(&document, own, model, weights, optimizer)
}

fn file(folder: &Path, name: &str) -> Result<Vec<u8>> {
    let path = folder.join(name);
    std::fs::read(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::mismatch(
            format!("the checkpoint `{}`", folder.display()),
            format!("the file {name}"),
            "none",
            "the checkpoint is damaged or cut short; use another one",
        ),
        _ => danlu_data::Error::file("read", path.display().to_string(), error).into(),
    })
}
