//! What a run left in its folder, to go on from.

use std::path::{Path, PathBuf};

use danlu::Config;
use danlu::training::TrainingState;
use serde_json::Value;

use super::lock::Lock;
use super::writer::{keep, steps};
use super::{BEST, FORMAT, KEPT, LAST, RECIPE, RECORD, RunFolder, write_text};
use crate::failure::{Failure, Result};
use crate::recipe::checkpoints::Checkpoints;
use crate::recipe::write::to_toml;

/// The checkpoint that a run goes on from.
pub struct Left {
    /// The state in it.
    pub state: TrainingState,
    /// Its folder.
    pub place: PathBuf,
    /// What is to be said of it: checkpoints that are damaged, and the one that is taken instead.
    pub warnings: Vec<String>,
}

impl RunFolder {
    /// Opens the folder of a run that was begun, and keeps other processes from training in it.
    ///
    /// # Errors
    /// It is no run folder, belongs to a newer version, cannot be written, or another process trains in it.
    pub fn open(path: &Path) -> Result<RunFolder> {
        let record = path.join(RECORD);
        if !record.is_file() {
            let (subject, advice) = match path.exists() {
                true => ("is no run folder, for it has no run.json", ""),
                false => ("does not exist", "; `danlu train RECIPE` begins a run"),
            };
            return Err(Failure::Usage(format!(
                "--resume {}: this {subject}{advice}",
                path.display()
            )));
        }
        let lock = Lock::take(path, path)?;
        let damaged = |error: String| {
            Failure::Failed(format!(
                "cannot read `{}`: {error}; without it the run cannot go on, but `danlu train {}` begins it anew",
                record.display(),
                path.join(RECIPE).display()
            ))
        };
        let text = std::fs::read_to_string(&record).map_err(|error| damaged(error.to_string()))?;
        let Ok(Value::Object(entries)) = serde_json::from_str(&text) else {
            return Err(damaged("it is no JSON object".to_owned()));
        };
        let format = entries.get("format").and_then(Value::as_u64);
        match format {
            Some(format) if format <= FORMAT => {}
            Some(format) => {
                let writer = entries.get("danlu").and_then(Value::as_str);
                return Err(Failure::Usage(format!(
                    "--resume {}: the run folder was made by danlu {}, a newer version (format {format}, this danlu knows {FORMAT}): use that version",
                    path.display(),
                    writer.unwrap_or("?")
                )));
            }
            None => return Err(damaged("it says no `format`".to_owned())),
        }
        Ok(RunFolder {
            path: path.to_path_buf(),
            record: entries,
            _lock: lock,
        })
    }

    /// The recipe that the run was begun with.
    pub fn recipe(&self) -> PathBuf {
        self.path.join(RECIPE)
    }

    /// Puts another recipe in the place of the run's.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_recipe(&self, recipe: &Config) -> Result<()> {
        Ok(write_text(&self.recipe(), &to_toml(recipe))?)
    }

    /// The state to go on from: the last one, or, where it is damaged, the newest other one that is not; `None` where there was no
    /// checkpoint yet.
    ///
    /// # Errors
    /// There are checkpoints, and all are damaged.
    pub fn left(&self) -> Result<Option<Left>> {
        let kept = steps(&self.path.join(KEPT));
        let kept = kept.into_iter().rev().map(|(_, place)| place);
        let mut places = vec![self.path.join(LAST)];
        places.extend(kept.chain([self.path.join(BEST)]));
        let mut warnings: Vec<String> = Vec::new();
        for place in places {
            TrainingState::recover(&place)?;
            if !TrainingState::exists(&place) {
                continue;
            }
            match TrainingState::load(&place) {
                Ok(state) => {
                    if !warnings.is_empty() {
                        warnings.push(format!("going on from `{}` instead", place.display()));
                    }
                    return Ok(Some(Left {
                        state,
                        place,
                        warnings,
                    }));
                }
                Err(error) => warnings.push(error.to_string()),
            }
        }
        match warnings.is_empty() {
            true => Ok(None),
            false => Err(Failure::Failed(format!(
                "no checkpoint of `{}` can be read, so that the run cannot go on: {}; `danlu train {}` begins it anew",
                self.path.display(),
                warnings.join("; "),
                self.recipe().display()
            ))),
        }
    }

    /// Keeps the state that the run goes on from, where it is one to be kept, and the process that came to it was killed before it had
    /// kept it.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_again(
        &self,
        state: &TrainingState,
        plan: Checkpoints,
        epochs: usize,
    ) -> Result<()> {
        let ended = state.step() == 0 && state.epoch() > 0;
        let planned = state.epoch().is_multiple_of(plan.every_epochs) || state.is_done(epochs);
        let place = self.path.join(KEPT).join(state.iteration().to_string());
        if plan.keep == 0 || !ended || !planned || TrainingState::exists(place) {
            return Ok(());
        }
        Ok(keep(&self.path.join(KEPT), state, plan.keep)?)
    }

    /// Removes the kept checkpoints that are ahead of where the run goes on (it will come to them again), and what a killed process left of
    /// any.
    ///
    /// # Errors
    /// One cannot be removed.
    pub fn cut_back(&self, iteration: u64) -> Result<()> {
        TrainingState::recover(self.path.join(BEST))?;
        let folder = self.path.join(KEPT);
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let begun = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with('.'));
        let ahead = steps(&folder).into_iter();
        let ahead = ahead.filter(|(step, _)| *step > iteration);
        let places = begun
            .map(|entry| entry.path())
            .chain(ahead.map(|(_, place)| place));
        for place in places {
            std::fs::remove_dir_all(&place).map_err(|error| {
                danlu::data::Error::file("remove", place.display().to_string(), error)
            })?;
        }
        Ok(())
    }
}
