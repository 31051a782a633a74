//! The folder that a training leaves behind.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use danlu::data::files::write_atomically;
use danlu::training::EpochLogs;
use danlu::{Config, Model};
use serde_json::{Value, json};

use crate::failure::{Failure, Result};
use crate::recipe::write::to_toml;

/// A run's folder.
pub struct RunFolder {
    path: PathBuf,
    record: Config,
    best: Option<f64>,
    history: String,
    metrics: String,
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
    pub fn create(path: &Path, recipe: &Config, record: Config) -> Result<RunFolder> {
        let failed = |error: std::io::Error| {
            Failure::Failed(format!(
                "cannot make the run folder `{}`: {error}",
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
            write_text(&staging.join("recipe.toml"), &to_toml(recipe))?;
            let mut folder = RunFolder {
                path: staging.clone(),
                record,
                best: None,
                history: String::new(),
                metrics: String::new(),
            };
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
        Ok(write_text(
            &self.path.join("run.json"),
            &format!("{text}\n"),
        )?)
    }

    /// Adds an entry to `run.json`, which the next [`set_state`](Self::set_state) writes.
    pub fn record(&mut self, key: &str, value: Value) {
        self.record.insert(key.to_owned(), value);
    }

    /// Keeps an epoch: its numbers, and the model as last, and as best where it is.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn keep_epoch(&mut self, epoch: &EpochLogs<'_>, model: &Model) -> danlu::Result<()> {
        if self.history.is_empty() {
            let names: Vec<&str> = epoch.logs.iter().map(|(name, _)| name).collect();
            self.history = format!("epoch,{}\n", names.join(","));
        }
        let values: Vec<String> = epoch
            .logs
            .iter()
            .map(|(_, value)| value.to_string())
            .collect();
        self.history
            .push_str(&format!("{},{}\n", epoch.epoch + 1, values.join(",")));
        let mut line = Config::new();
        line.insert("epoch".to_owned(), json!(epoch.epoch + 1));
        for (name, value) in epoch.logs.iter() {
            line.insert(name.to_owned(), json!(value));
        }
        self.metrics
            .push_str(&format!("{}\n", Value::Object(line.clone())));
        write_text(&self.path.join("history.csv"), &self.history)?;
        write_text(&self.path.join("metrics.jsonl"), &self.metrics)?;
        line.insert("iteration".to_owned(), json!(epoch.iteration));
        let watched = epoch
            .logs
            .get("val_loss")
            .or(epoch.logs.get("loss"))
            .unwrap_or(f64::INFINITY);
        self.checkpoint("last", model, &line)?;
        // Where something is watched, the best epoch is the one whose weights early stopping would put back.
        let less = self.best.is_none_or(|best| watched < best);
        if epoch.improved.unwrap_or(less) {
            self.best = Some(watched);
            self.checkpoint("best", model, &line)?;
        }
        Ok(())
    }

    /// Writes a checkpoint aside and puts it in the place of the one before, so that its files always belong together.
    fn checkpoint(&self, name: &str, model: &Model, state: &Config) -> danlu::Result<()> {
        let folder = self.path.join(name);
        let staging = self.path.join(format!(".{name}.new"));
        let before = self.path.join(format!(".{name}.old"));
        let failed = |error: std::io::Error| {
            danlu::data::Error::file("make", folder.display().to_string(), error)
        };
        let written = (|| {
            std::fs::create_dir_all(&staging).map_err(failed)?;
            write_checkpoint(&staging, model, state)?;
            if folder.exists() {
                std::fs::rename(&folder, &before).map_err(failed)?;
            }
            std::fs::rename(&staging, &folder).map_err(failed)?;
            Ok(())
        })();
        // What is left over harms nothing, and the first error is the one to report.
        let _ = std::fs::remove_dir_all(if written.is_ok() { before } else { staging });
        written
    }
}

fn write_checkpoint(folder: &Path, model: &Model, state: &Config) -> danlu::Result<()> {
    model.save_weights(folder.join("weights.safetensors"))?;
    let optimizer = model.optimizer_state()?;
    danlu::files::safetensors::write_tensors(folder.join("optimizer.safetensors"), &optimizer)?;
    let description = json!({
        "config": model.to_keras(),
        "compile_config": model.compile_config(),
        "danlu": model.metadata(),
    });
    write_text(&folder.join("model.json"), &format!("{description}\n"))?;
    write_text(
        &folder.join("state.json"),
        &format!("{}\n", Value::Object(state.clone())),
    )
}
