//! The numbers of every epoch, as text: `history.csv` and `metrics.jsonl`.
//!
//! Lines are appended as epochs end. What counts is the history in the checkpoint: a training that goes on begins with logs that say
//! what it says, whatever was appended after it or got lost before it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use danlu::Config;
use danlu::training::{History, Logs};
use serde_json::{Value, json};

use super::write_text;

const TABLE: &str = "history.csv";
const LINES: &str = "metrics.jsonl";

/// The logs of a run.
#[derive(Default)]
pub struct RunLogs {
    columns: Vec<String>,
    files: Option<(File, File)>,
}

impl RunLogs {
    /// Logs in a run folder that hold what a history says.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn begin(folder: &Path, history: &History) -> danlu::Result<RunLogs> {
        let mut logs = RunLogs::default();
        let (mut table, mut lines) = (String::new(), String::new());
        for (place, &epoch) in history.epochs.iter().enumerate() {
            let own = history.metrics.iter();
            let own = own.filter_map(|(name, column)| Some((name.clone(), *column.get(place)?)));
            let (names, values): (Vec<String>, Vec<f64>) = own.unzip();
            let own = Logs {
                names: &names,
                values: &values,
            };
            let (row, line) = logs.entries(epoch, own);
            table.push_str(&row);
            lines.push_str(&line);
        }
        if history.epochs.is_empty() {
            for name in [TABLE, LINES] {
                let path = folder.join(name);
                if path.exists() {
                    std::fs::remove_file(&path).map_err(|error| {
                        danlu::data::Error::file("remove", path.display().to_string(), error)
                    })?;
                }
            }
        } else {
            write_text(&folder.join(TABLE), &table)?;
            write_text(&folder.join(LINES), &lines)?;
        }
        Ok(logs)
    }

    /// The lines of an epoch, counted from 0; in the first one's the header.
    fn entries(&mut self, epoch: usize, logs: Logs<'_>) -> (String, String) {
        let mut row = String::new();
        if self.columns.is_empty() {
            self.columns = logs.names.to_vec();
            row = format!("epoch,{}\n", self.columns.join(","));
        }
        let values = self.columns.iter();
        let values = values.map(|name| match logs.get(name) {
            Some(value) => value.to_string(),
            None => String::new(),
        });
        let values: Vec<String> = values.collect();
        row.push_str(&format!("{},{}\n", epoch + 1, values.join(",")));
        let mut line = Config::new();
        line.insert("epoch".to_owned(), json!(epoch + 1));
        for (name, value) in logs.iter() {
            line.insert(name.to_owned(), json!(value));
        }
        (row, format!("{}\n", Value::Object(line)))
    }

    /// Appends an epoch, counted from 0.
    ///
    /// # Errors
    /// The logs cannot be written.
    pub fn append(&mut self, folder: &Path, epoch: usize, logs: Logs<'_>) -> danlu::Result<()> {
        let (row, line) = self.entries(epoch, logs);
        let open = |name: &str| {
            OpenOptions::new()
                .append(true)
                .create(true)
                .open(folder.join(name))
        };
        let mut append = || {
            if self.files.is_none() {
                self.files = Some((open(TABLE)?, open(LINES)?));
            }
            if let Some((table, lines)) = &mut self.files {
                table.write_all(row.as_bytes())?;
                lines.write_all(line.as_bytes())?;
            }
            Ok(())
        };
        append().map_err(|error| {
            let path = folder.join(TABLE).display().to_string();
            danlu::data::Error::file("write", path, error).into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_begun_again_are_those_that_were_appended() {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let names = ["loss".to_owned(), "val_loss".to_owned()];
        let mut history = History::default();
        let mut logs = RunLogs::begin(folder.path(), &history).unwrap();
        for epoch in 0..3 {
            let values = [0.1 / (epoch + 1) as f64, f64::NAN];
            let own = Logs {
                names: &names,
                values: &values,
            };
            logs.append(folder.path(), epoch, own).unwrap();
            history.epochs.push(epoch);
            if epoch == 0 {
                history.metrics = names.iter().map(|name| (name.clone(), vec![])).collect();
            }
            for ((_, column), value) in history.metrics.iter_mut().zip(values) {
                column.push(value);
            }
        }
        let expected = (read(TABLE), read(LINES));
        assert_eq!(expected.0.lines().count(), 4);
        assert!(
            expected.0.ends_with("\n3,0.03333333333333333,NaN\n"),
            "{}",
            expected.0
        );
        // As a kill in the middle of a line leaves them, or a power cut before they reached the disk.
        for torn in ["epoch,loss,val_loss\n1,0.1,NaN\n2,0.0", "epoch,lo", ""] {
            std::fs::write(folder.path().join(TABLE), torn).unwrap();
            RunLogs::begin(folder.path(), &history).unwrap();
            assert_eq!((read(TABLE), read(LINES)), expected);
        }
        history.epochs.truncate(2);
        for (_, column) in &mut history.metrics {
            column.truncate(2);
        }
        RunLogs::begin(folder.path(), &history).unwrap();
        assert_eq!(read(TABLE).lines().count(), 3);
        RunLogs::begin(folder.path(), &History::default()).unwrap();
        assert!(!folder.path().join(TABLE).exists());
    }
}
