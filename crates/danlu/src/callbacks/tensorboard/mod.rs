//! TensorBoard.

mod images;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::{
    Callback, CallbackState, Control, EpochLogs, LEARNING_RATE, Phase, Setup, StepLogs,
    TrainingStart,
};
use crate::files::events::{EventWriter, rewind};
use crate::training::History;
use crate::{Arguments, Error, Model, Result};

const OWNER: &str = "TensorBoard";

/// How often the numbers of batches are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateFrequency {
    /// Not at all: those of epochs alone.
    Epoch,
    /// After every so many batches, counted from the beginning of the training.
    Batches(usize),
}

/// Writes what TensorBoard shows (Keras' `TensorBoard`): into `train` and `validation` under a folder, under Keras' names:
/// `epoch_loss`, `epoch_learning_rate`, `evaluation_loss_vs_iterations`, `batch_loss`, `dense/kernel/histogram`.
///
/// Steps are epochs counted from 0, batches of this training counted from 1, and iterations of the optimizer. A training that goes on
/// from a saved state cuts what was written after it, and begins a new file. Beside Keras' description of a chain of layers there
/// is a graph of any model.
#[derive(Debug)]
pub struct TensorBoard {
    log_dir: String,
    histogram_freq: usize,
    write_graph: bool,
    write_images: bool,
    write_steps_per_second: bool,
    update_freq: UpdateFrequency,
    place: PathBuf,
    initial_epoch: u64,
    train: Option<EventWriter>,
    validation: Option<EventWriter>,
    /// Whether the graph is still to be written.
    graph_due: bool,
    /// Batches of this training so far.
    batches: u64,
    /// Optimizer steps, as far as known.
    iteration: u64,
    epoch_began: Option<(Instant, u64)>,
    batch_began: Option<Instant>,
}

impl TensorBoard {
    /// Keras' defaults, into this folder.
    pub fn new(log_dir: impl Into<String>) -> TensorBoard {
        TensorBoard {
            log_dir: log_dir.into(),
            histogram_freq: 0,
            write_graph: true,
            write_images: false,
            write_steps_per_second: false,
            update_freq: UpdateFrequency::Epoch,
            place: PathBuf::new(),
            initial_epoch: 0,
            train: None,
            validation: None,
            graph_due: false,
            batches: 0,
            iteration: 0,
            epoch_began: None,
            batch_began: None,
        }
    }

    /// After how many epochs the weights' distributions are written; 0, the default, for never.
    #[must_use]
    pub fn histogram_freq(mut self, epochs: usize) -> TensorBoard {
        self.histogram_freq = epochs;
        self
    }

    /// Whether the model is written. Default `true`.
    #[must_use]
    pub fn write_graph(mut self, write: bool) -> TensorBoard {
        self.write_graph = write;
        self
    }

    /// Whether weights are written as pictures as well, as often as their distributions. Default `false`.
    #[must_use]
    pub fn write_images(mut self, write: bool) -> TensorBoard {
        self.write_images = write;
        self
    }

    /// Whether steps in a second are written. Default `false`.
    #[must_use]
    pub fn write_steps_per_second(mut self, write: bool) -> TensorBoard {
        self.write_steps_per_second = write;
        self
    }

    /// How often the numbers of batches are written. Default [`UpdateFrequency::Epoch`].
    #[must_use]
    pub fn update_freq(mut self, frequency: UpdateFrequency) -> TensorBoard {
        self.update_freq = frequency;
        self
    }

    /// Of arguments by Keras' names. `profile_batch` and the arguments on embeddings are refused: `danlu train --profile` says where
    /// the time goes.
    pub(super) fn from_config(arguments: &mut Arguments) -> Result<TensorBoard> {
        let expected = "a whole number of 0 or above";
        let whole = |number: i64| {
            usize::try_from(number)
                .map_err(|_| Error::argument(OWNER, "histogram_freq", expected, number))
        };
        for (name, advice) in [
            (
                "profile_batch",
                "0: Danlu measures training steps itself (`danlu train --profile`)",
            ),
            ("embeddings_freq", "0: embeddings are not written"),
        ] {
            if let Some(number) = arguments.integer(name)?.filter(|number| *number != 0) {
                return Err(Error::argument(OWNER, name, advice, number));
            }
        }
        if let Some(value) = arguments
            .take("embeddings_metadata")
            .filter(|value| !value.is_null())
        {
            return Err(Error::argument(
                OWNER,
                "embeddings_metadata",
                "none: embeddings are not written",
                value,
            ));
        }
        let mut callback = TensorBoard::new(
            arguments
                .string("log_dir")?
                .unwrap_or_else(|| "logs".to_owned()),
        );
        if let Some(number) = arguments.integer("histogram_freq")? {
            callback.histogram_freq = whole(number)?;
        }
        if let Some(value) = arguments.take("update_freq") {
            callback.update_freq = match (value.as_str(), value.as_u64()) {
                (Some("epoch"), _) => UpdateFrequency::Epoch,
                (Some("batch"), _) => UpdateFrequency::Batches(1),
                (_, Some(batches @ 1..)) => UpdateFrequency::Batches(batches as usize),
                _ => {
                    let expected = "\"epoch\", \"batch\" or a whole number of batches above 0";
                    return Err(Error::argument(OWNER, "update_freq", expected, value));
                }
            };
        }
        let flags = [
            ("write_graph", &mut callback.write_graph),
            ("write_images", &mut callback.write_images),
            (
                "write_steps_per_second",
                &mut callback.write_steps_per_second,
            ),
        ];
        for (name, flag) in flags {
            if let Some(value) = arguments.boolean(name)? {
                *flag = value;
            }
        }
        Ok(callback)
    }

    fn train(&mut self) -> Result<&mut EventWriter> {
        writer(&mut self.train, &self.place, "train")
    }

    fn validation(&mut self) -> Result<&mut EventWriter> {
        writer(&mut self.validation, &self.place, "validation")
    }

    /// The distributions of all weights, and their pictures.
    fn weights(&mut self, epoch: u64, model: &Model) -> Result<()> {
        let scope = match model.is_sequential() {
            // Keras builds the layers of a Sequential in its name.
            true => format!("{}/", model.name()),
            false => String::new(),
        };
        let write_images = self.write_images;
        let writer = self.train()?;
        for (name, weight) in model.named_weights()? {
            writer.histogram(&format!("{scope}{name}/histogram"), epoch, &weight)?;
            if write_images {
                images::write(writer, &format!("{scope}{name}/image"), epoch, &weight)?;
            }
        }
        Ok(())
    }
}

/// The writer of a part, begun where there is none yet.
fn writer<'a>(
    writer: &'a mut Option<EventWriter>,
    place: &Path,
    part: &str,
) -> Result<&'a mut EventWriter> {
    match writer {
        Some(writer) => Ok(writer),
        empty => Ok(empty.insert(EventWriter::create(place.join(part))?)),
    }
}

impl Callback for TensorBoard {
    fn name(&self) -> &str {
        OWNER
    }

    fn watches_batches(&self) -> bool {
        self.update_freq != UpdateFrequency::Epoch
    }

    fn check(&mut self, _: &Setup<'_>) -> Result<()> {
        match self.update_freq {
            UpdateFrequency::Batches(0) => {
                Err(Error::argument(OWNER, "update_freq", "at least 1 batch", 0))
            }
            _ => Ok(()),
        }
    }

    fn on_train_begin(&mut self, start: &TrainingStart<'_>, _: &mut Model) -> Result<()> {
        self.place = start.resolve(&self.log_dir);
        self.initial_epoch = start.initial_epoch as u64;
        (self.train, self.validation) = (None, None);
        self.graph_due = self.write_graph;
        self.batches = 0;
        Ok(())
    }

    fn on_epoch_begin(&mut self, _: usize, model: &mut Model) -> Result<()> {
        if std::mem::take(&mut self.graph_due) {
            let writer = self.train()?;
            writer.graph(model)?;
            writer.flush()?;
        }
        let now = Instant::now();
        self.epoch_began = Some((now, model.iteration()?));
        self.batch_began = Some(now);
        Ok(())
    }

    fn on_batch_end(&mut self, step: &StepLogs<'_>, _: &mut Model) -> Result<Control> {
        let UpdateFrequency::Batches(every) = self.update_freq else {
            return Ok(Control::Continue);
        };
        if step.phase != Phase::Training {
            return Ok(Control::Continue);
        }
        self.batches += 1;
        let batch = self.batches;
        let now = Instant::now();
        let took = self.batch_began.replace(now).map(|began| now - began);
        if batch.is_multiple_of(every as u64) {
            let steps = took.filter(|_| self.write_steps_per_second);
            let writer = self.train()?;
            if let Some(took) = steps {
                writer.scalar("batch_steps_per_second", batch, 1.0 / took.as_secs_f64())?;
            }
            for (name, value) in step.logs.iter() {
                writer.scalar(&format!("batch_{name}"), batch, value)?;
            }
        }
        Ok(Control::Continue)
    }

    fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, model: &mut Model) -> Result<Control> {
        let step = epoch.epoch as u64;
        let learning_rate = model.learning_rate();
        let began = self
            .epoch_began
            .take()
            .filter(|_| self.write_steps_per_second);
        self.iteration = epoch.iteration;
        let validated = || {
            let logs = epoch.logs.iter();
            logs.filter_map(|(name, value)| Some((name.strip_prefix("val_")?, value)))
        };
        if validated().next().is_some() {
            let writer = self.validation()?;
            for (name, value) in validated() {
                let tag = format!("evaluation_{name}_vs_iterations");
                writer.scalar(&tag, epoch.iteration, value)?;
            }
            for (name, value) in validated() {
                writer.scalar(&format!("epoch_{name}"), step, value)?;
            }
            writer.flush()?;
        }
        let writer = self.train()?;
        for (name, value) in epoch
            .logs
            .iter()
            .filter(|(name, _)| !name.starts_with("val_") && *name != LEARNING_RATE)
        {
            writer.scalar(&format!("epoch_{name}"), step, value)?;
        }
        if let Some(rate) = learning_rate {
            writer.scalar("epoch_learning_rate", step, rate)?;
        }
        if let Some((began, iteration)) = began {
            let steps = epoch.iteration.saturating_sub(iteration) as f64;
            let seconds = began.elapsed().as_secs_f64();
            writer.scalar("epoch_steps_per_second", step, steps / seconds)?;
        }
        if self.histogram_freq > 0 && epoch.epoch.is_multiple_of(self.histogram_freq) {
            self.weights(step, model)?;
        }
        self.train()?.flush()?;
        Ok(Control::Continue)
    }

    fn on_train_end(&mut self, _: &History, _: &mut Model) -> Result<()> {
        for mut writer in [self.train.take(), self.validation.take()]
            .into_iter()
            .flatten()
        {
            writer.flush()?;
        }
        Ok(())
    }

    fn state(&self) -> Result<CallbackState> {
        Ok(CallbackState::default()
            .with("batches", self.batches)
            .with("iteration", self.iteration))
    }

    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        let reader = state.read(OWNER);
        let saved = |name: &str| Ok::<_, Error>(reader.count(name)?.unwrap_or(0) as u64);
        (self.batches, self.iteration) = (saved("batches")?, saved("iteration")?);
        for part in ["train", "validation"] {
            let cut = rewind(
                self.place.join(part),
                self.initial_epoch,
                self.batches,
                self.iteration,
            );
            cut?;
        }
        // What the training began with is there.
        self.graph_due &= !self.place.join("train").is_dir();
        Ok(())
    }
}
