//! Run folders, read: what `danlu runs`, `danlu compare` and the report of a run know of it.

pub mod figures;
pub mod query;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

/// What is in a run folder, whatever its state.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The folder.
    pub path: PathBuf,
    /// `run.json`.
    pub record: Map<String, Value>,
    /// `recipe.toml`.
    pub recipe: Value,
    /// The epochs that were finished, in order.
    pub epochs: Vec<Epoch>,
}

/// An epoch's numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// Its number, counted from 1.
    pub number: u64,
    /// Loss, metrics, the same with `val_`; NaN where a number was none.
    pub values: Vec<(String, f64)>,
}

impl Run {
    /// Reads a run folder.
    ///
    /// # Errors
    /// Which file cannot be read, and why.
    pub fn read(path: &Path) -> Result<Run, String> {
        let text = |name: &str| {
            let file = path.join(name);
            let text = std::fs::read_to_string(&file);
            text.map_err(|error| format!("cannot read `{}`: {error}", file.display()))
        };
        let damaged = |name: &str, error: String| {
            let file = path.join(name);
            format!("`{}` is damaged: {}", file.display(), error.trim_end())
        };
        let record = serde_json::from_str(&text("run.json")?)
            .map_err(|error| damaged("run.json", error.to_string()))?;
        let recipe = toml::from_str(&text("recipe.toml")?)
            .map_err(|error: toml::de::Error| damaged("recipe.toml", error.message().to_owned()))?;
        let epochs = match path.join("metrics.jsonl").exists() {
            // A run whose first epoch is not over has none.
            false => Vec::new(),
            true => {
                epochs(&text("metrics.jsonl")?).map_err(|error| damaged("metrics.jsonl", error))?
            }
        };
        Ok(Run {
            path: path.to_owned(),
            record,
            recipe,
            epochs,
        })
    }

    /// The recipe's name.
    pub fn name(&self) -> &str {
        self.recipe["name"].as_str().unwrap_or("")
    }

    /// `running`, `finished`, `interrupted`, `failed`.
    pub fn state(&self) -> &str {
        let state = self.record.get("state").and_then(Value::as_str);
        state.unwrap_or("unknown")
    }

    /// The names of the epochs' numbers, in Keras' order.
    pub fn columns(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (name, _) in self.epochs.iter().flat_map(|epoch| &epoch.values) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// The numbers of this name, with the epochs' numbers.
    pub fn series(&self, name: &str) -> Vec<(f64, f64)> {
        let value = |epoch: &Epoch| Some((epoch.number as f64, epoch.get(name)?));
        self.epochs.iter().filter_map(value).collect()
    }

    /// The test part's loss and metrics, where there are any.
    pub fn test(&self) -> Vec<(String, f64)> {
        let test = self.record.get("test").and_then(Value::as_object);
        let entries = test.into_iter().flatten();
        entries
            .map(|(name, value)| (name.clone(), value.as_f64().unwrap_or(f64::NAN)))
            .collect()
    }

    /// A number of `run.json`, such as `seconds`.
    pub fn number(&self, key: &str) -> Option<f64> {
        self.record.get(key).and_then(Value::as_f64)
    }

    /// Where the data was.
    pub fn data(&self) -> &str {
        let data = self.record.get("data");
        let place = data.and_then(|data| data["path"].as_str());
        place
            .or(self.recipe["data"]["source"].as_str())
            .unwrap_or("")
    }
}

impl Epoch {
    /// The number of this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        let found = self.values.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| *value)
    }
}

fn epochs(text: &str) -> Result<Vec<Epoch>, String> {
    let mut epochs = Vec::new();
    for (place, line) in text.lines().enumerate() {
        let line: Map<String, Value> =
            serde_json::from_str(line).map_err(|error| format!("line {}: {error}", place + 1))?;
        let number = line.get("epoch").and_then(Value::as_u64);
        let number = number.ok_or_else(|| format!("line {}: there is no `epoch`", place + 1))?;
        // What is no number is one that JSON cannot say; what is no metric is text.
        let values = line.into_iter().filter(|(name, value)| {
            !["epoch", "iteration"].contains(&name.as_str())
                && (value.is_number() || value.is_null())
        });
        epochs.push(Epoch {
            number,
            values: values
                .map(|(name, value)| (name, value.as_f64().unwrap_or(f64::NAN)))
                .collect(),
        });
    }
    Ok(epochs)
}

/// Whether a folder is a run's.
pub fn is_run(folder: &Path) -> bool {
    folder.join("run.json").is_file() || folder.join("recipe.toml").is_file()
}

/// The run folders in a folder, itself included, by name: also those in folders of several runs (`--seeds`).
pub fn find(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    if is_run(folder) {
        return Ok(vec![folder.to_owned()]);
    }
    let mut found = Vec::new();
    collect(folder, 3, &mut found)?;
    found.sort_by_cached_key(|path| natural(&path.display().to_string()));
    Ok(found)
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        // Names that begin with a dot are of files that are being written.
        if entry.file_name().to_string_lossy().starts_with('.') || !path.is_dir() {
            continue;
        }
        if is_run(&path) {
            found.push(path);
        } else if depth > 1 {
            // What may not be looked into has no runs that anyone could read.
            let _ = collect(&path, depth - 1, found);
        }
    }
    Ok(())
}

/// A text by which `run-2` comes before `run-10`.
fn natural(text: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (word, number) = rest.split_at(digits);
        let end = number
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(number.len());
        parts.push((word.to_owned(), number[..end].parse().unwrap_or(u64::MAX)));
        rest = &number[end..];
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_sorted_as_people_count() {
        let mut names = ["mnist-10", "mnist-9", "digits-1", "mnist-1/seed-2"];
        names.sort_by_cached_key(|name| natural(name));
        assert_eq!(names, ["digits-1", "mnist-1/seed-2", "mnist-9", "mnist-10"]);
    }

    #[test]
    fn epochs_keep_their_order_and_what_is_no_number_is_a_gap() {
        let text = "{\"epoch\":1,\"loss\":0.5,\"val_loss\":null}\n{\"epoch\":2,\"loss\":0.25,\"note\":\"x\"}\n";
        let run = Run {
            epochs: epochs(text).unwrap(),
            ..Run::default()
        };
        assert_eq!(run.columns(), ["loss", "val_loss"]);
        assert_eq!(run.series("loss"), [(1.0, 0.5), (2.0, 0.25)]);
        assert!(run.series("val_loss")[0].1.is_nan());
        let error = epochs("{\"epoch\":1}\n{\"epo").unwrap_err();
        assert!(error.starts_with("line 2"), "{error}");
    }
}
