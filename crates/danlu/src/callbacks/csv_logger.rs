//! A table of the epochs' logs.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

use serde_json::Value;

use super::format::python_number;
use super::model_checkpoint::make_parent;
use super::{Callback, CallbackState, Control, EpochLogs, Logs, Setup, TrainingStart};
use crate::{Arguments, Error, Model, Result};

const OWNER: &str = "CSVLogger";

/// Writes a row of loss and metrics for each epoch, counted from 0 (Keras' `CSVLogger`): columns in the order of the alphabet, `NA`
/// for what an epoch has not.
///
/// A training that goes on cuts the file back to the rows of its state and goes on there.
#[derive(Clone, Debug, PartialEq)]
pub struct CSVLogger {
    filename: String,
    separator: char,
    append: bool,
    path: PathBuf,
    /// The columns, known from the first row on.
    keys: Option<Vec<String>>,
    /// How much of the file is this training's, or was there before.
    length: u64,
}

impl CSVLogger {
    /// Into this file, which is made anew, with commas.
    pub fn new(filename: &str) -> CSVLogger {
        CSVLogger {
            filename: filename.to_owned(),
            separator: ',',
            append: false,
            path: PathBuf::new(),
            keys: None,
            length: 0,
        }
    }

    /// What stands between two values. Default: a comma.
    #[must_use]
    pub fn separator(mut self, separator: char) -> CSVLogger {
        self.separator = separator;
        self
    }

    /// Whether rows are added to a file that is there. Default `false`: it is replaced.
    #[must_use]
    pub fn append(mut self, append: bool) -> CSVLogger {
        self.append = append;
        self
    }

    pub(super) fn from_config(arguments: &mut Arguments) -> Result<CSVLogger> {
        let filename = arguments.string("filename")?;
        let mut made = CSVLogger::new(&arguments.required("filename", filename)?);
        if let Some(separator) = arguments.string("separator")? {
            let mut letters = separator.chars();
            made.separator = match (letters.next(), letters.next()) {
                (Some(one), None) => one,
                _ => {
                    let received = Value::from(separator);
                    return Err(arguments.wrong("separator", "one character", &received));
                }
            };
        }
        made.append = arguments.boolean("append")?.unwrap_or(false);
        made.check_arguments()?;
        Ok(made)
    }

    fn check_arguments(&self) -> Result<()> {
        if ['"', '\r', '\n'].contains(&self.separator) {
            let expected = "another character than quotes and ends of lines";
            let received = format!("{:?}", self.separator);
            return Err(Error::argument(OWNER, "separator", expected, received));
        }
        match self.filename.is_empty() {
            true => Err(Error::argument(
                OWNER,
                "filename",
                "the name of a file",
                "\"\"",
            )),
            false => Ok(()),
        }
    }

    /// Keras' rule: the names of the first row, and, where none is of validation, the same with `val_` before them.
    fn columns(logs: Logs<'_>) -> Vec<String> {
        let mut keys = logs
            .iter()
            .map(|(name, _)| name.to_owned())
            .collect::<Vec<_>>();
        keys.sort();
        if !keys.iter().any(|key| key.starts_with("val_")) {
            let validated: Vec<String> = keys.iter().map(|key| format!("val_{key}")).collect();
            keys.extend(validated);
        }
        keys
    }

    fn line(&self, values: impl Iterator<Item = String>) -> String {
        let quoted = values.map(|value| {
            let special = [self.separator, '"', '\r', '\n'];
            match value.contains(special) {
                true => format!("\"{}\"", value.replace('"', "\"\"")),
                false => value,
            }
        });
        let fields: Vec<String> = quoted.collect();
        format!("{}\r\n", fields.join(&self.separator.to_string()))
    }

    /// Opens the file where the next row goes.
    fn open(&self) -> std::io::Result<(File, u64)> {
        let mut options = OpenOptions::new();
        options.create(true).write(true).truncate(false);
        let mut file = options.open(&self.path)?;
        let there = file.metadata()?.len();
        // Rows of epochs that are done again are cut.
        let end = self.length.min(there);
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        Ok((file, end))
    }

    fn write(&mut self, epoch: usize, logs: Logs<'_>) -> Result<()> {
        make_parent(&self.path)?;
        let is_first = self.keys.is_none();
        let keys = self
            .keys
            .get_or_insert_with(|| CSVLogger::columns(logs))
            .clone();
        let value = |key: &String| logs.get(key).map_or("NA".to_owned(), python_number);
        let row = std::iter::once(epoch.to_string()).chain(keys.iter().map(value));
        let row = self.line(row);
        let head = std::iter::once("epoch".to_owned()).chain(keys.iter().cloned());
        let head = self.line(head);
        let written = self.open().and_then(|(mut file, end)| {
            let text = match (is_first, end) {
                (_, 0) => head + &row,
                // Keras looks at the file alone, not at its columns.
                _ => row,
            };
            file.write_all(text.as_bytes())?;
            Ok(end + text.len() as u64)
        });
        let path = self.path.display().to_string();
        let failed = |error| danlu_data::Error::file("write", path, error);
        self.length = written.map_err(failed)?;
        Ok(())
    }
}

impl Callback for CSVLogger {
    fn name(&self) -> &str {
        OWNER
    }

    fn check(&mut self, _: &Setup<'_>) -> Result<()> {
        self.check_arguments()
    }

    fn on_train_begin(&mut self, start: &TrainingStart<'_>, _: &mut Model) -> Result<()> {
        self.path = start.resolve(&self.filename);
        self.keys = None;
        // What is there already stays, also where the training is cut before its first row.
        let there = || std::fs::metadata(&self.path).map_or(0, |file| file.len());
        self.length = if self.append { there() } else { 0 };
        Ok(())
    }

    fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, _: &mut Model) -> Result<Control> {
        self.write(epoch.epoch, epoch.logs)?;
        Ok(Control::Continue)
    }

    fn state(&self) -> Result<CallbackState> {
        let state = CallbackState::default().with("length", self.length);
        Ok(state.with("keys", self.keys.clone()))
    }

    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        let read = state.read(OWNER);
        self.length = read.count("length")?.unwrap_or(0) as u64;
        self.keys = read.texts("keys")?;
        Ok(())
    }
}
