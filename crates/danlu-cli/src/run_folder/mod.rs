//! The folder that a training leaves behind, and goes on in.

mod lock;
mod logs;
mod resume;
mod writer;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use danlu::Config;
use danlu::data::files::write_atomically;
use serde_json::{Value, json};

use crate::failure::{Failure, Result};
use crate::recipe::write::to_toml;

use lock::Lock;
pub use logs::RunLogs;
pub use writer::{Purpose, Writer};

/// The version of the folder's format, which only grows where an older reader would misunderstand.
const FORMAT: u64 = 1;

const RECORD: &str = "run.json";
const RECIPE: &str = "recipe.toml";
const LAST: &str = "last";
const BEST: &str = "best";
/// The folder of checkpoints that are kept, each under its step.
const KEPT: &str = "checkpoints";

/// A run's folder, which no other process trains in.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    record: Config,
    _lock: Lock,
}

/// Writes a whole text file.
fn write_text(path: &Path, text: &str) -> danlu::Result<()> {
    Ok(write_atomically(path, |file| {
        file.write_all(text.as_bytes())
    })?)
}

impl RunFolder {
    /// The folder that a run will have: as asked for, or the next free `runs/<recipe>-<n>`.
    ///
    /// # Errors
    /// What was asked for exists.
    pub fn choose(asked: Option<&Path>, name: &str) -> Result<PathBuf> {
        if let Some(path) = asked {
            if path.symlink_metadata().is_ok() {
                return Err(Failure::Usage(format!(
                    "--out {}: this exists; give a folder that does not, or remove it",
                    path.display()
                )));
            }
            return Ok(path.to_path_buf());
        }
        let free = (1..).map(|number| Path::new("runs").join(format!("{name}-{number}")));
        Ok(free
            .into_iter()
            .find(|path| path.symlink_metadata().is_err())
            .unwrap_or_default())
    }

    /// Makes the folder with the recipe and the record in it: by a rename, so that it is there whole or not at all.
    ///
    /// # Errors
    /// The place cannot be written.
    pub fn create(path: &Path, recipe: &Config, record: Config, data: Value) -> Result<RunFolder> {
        let failed = |error: std::io::Error| {
            Failure::Failed(format!(
                "cannot make the run folder `{}`: {error}; give another --out, in a folder where you may write",
                path.display()
            ))
        };
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
            _ => PathBuf::from("."),
        };
        let missing: Vec<&Path> = parent
            .ancestors()
            .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
            .collect();
        let there = parent.ancestors().nth(missing.len());
        if let Some(there) = there.filter(|there| there.exists() && !there.is_dir()) {
            return Err(Failure::Usage(format!(
                "cannot make the run folder `{}`: `{}` is no folder; give another --out",
                path.display(),
                there.display()
            )));
        }
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let staging = parent.join(format!(".{name}.{}", std::process::id()));
        let result = (|| {
            std::fs::create_dir_all(&parent).map_err(failed)?;
            std::fs::create_dir(&staging).map_err(failed)?;
            write_text(&staging.join(RECIPE), &to_toml(recipe))?;
            let mut folder = RunFolder {
                path: staging.clone(),
                record,
                _lock: Lock::take(&staging, path)?,
            };
            folder.record("format", json!(FORMAT));
            folder.record("data", data);
            folder.set_state("running")?;
            std::fs::rename(&staging, path).map_err(failed)?;
            folder.path = path.to_path_buf();
            Ok(folder)
        })();
        if result.is_err() {
            let _ = std::fs::remove_dir_all(&staging);
            for folder in missing {
                let _ = std::fs::remove_dir(folder);
            }
        }
        result
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes how far the run is into `run.json`.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_state(&mut self, state: &str) -> Result<()> {
        self.record.insert("state".to_owned(), json!(state));
        let text = serde_json::to_string_pretty(&self.record).map_err(Failure::failed)?;
        Ok(write_text(&self.path.join(RECORD), &format!("{text}\n"))?)
    }

    /// Adds an entry to `run.json`, which the next [`set_state`](Self::set_state) writes.
    pub fn record(&mut self, key: &str, value: Value) {
        self.record.insert(key.to_owned(), value);
    }

    /// What an entry of `run.json` says.
    pub fn recorded(&self, key: &str) -> &Value {
        self.record.get(key).unwrap_or(&Value::Null)
    }
}
