//! TensorBoard's event files: scalars, histograms, images and graphs of models, as the plugins of TensorBoard 2 read them.
//!
//! Source: `event.proto`, `summary.proto`, `tensor.proto`, `node_def.proto` of TensorFlow 2.21; layouts of the tensors and names of
//! plugins from `tensorboard/plugins/*/summary_v2.py` and `metadata.py` of TensorBoard 2.21.

mod graph;
mod message;
mod record;
mod rewind;
mod summary;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use danlu_graph::Tensor;

use crate::Model;

use super::error::{Problem, Result};
use message::Message;
pub use rewind::rewind;

/// Files of this process so far, which makes their names different.
static FILES: AtomicU64 = AtomicU64::new(0);

/// A picture in a summary.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// Its width in pixels.
    pub width: usize,
    /// Its height in pixels.
    pub height: usize,
    /// The PNG file.
    pub png: &'a [u8],
}

/// Writes one event file. What was written is safe from this process's death after [`flush`](Self::flush).
#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    file: BufWriter<File>,
}

impl EventWriter {
    /// Begins a new file in a folder, which is made where it is missing. Its name begins with the second in which this happens, so
    /// that readers take it after those that are there.
    ///
    /// # Errors
    /// The folder or the file cannot be made.
    pub fn create(folder: impl AsRef<Path>) -> Result<EventWriter> {
        let folder = folder.as_ref();
        let made = std::fs::create_dir_all(folder);
        made.map_err(|error| Problem::io("make it", error).in_file(folder))?;
        let seconds = now() as u64;
        let process = std::process::id();
        loop {
            let number = FILES.fetch_add(1, Ordering::Relaxed);
            let name = format!("events.out.tfevents.{seconds}.danlu.{process}.{number}.v2");
            let path = folder.join(name);
            match File::create_new(&path) {
                Ok(file) => {
                    let file = BufWriter::new(file);
                    let mut writer = EventWriter { path, file };
                    let version = Message::new()
                        .double(1, now())
                        .text(3, "brain.Event:2")
                        .message(10, &Message::new().text(1, "danlu"));
                    writer.write(&version)?;
                    return Ok(writer);
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Problem::io("make it", error).in_file(&path)),
            }
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A number of a time series.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f64) -> Result<()> {
        self.summary(step, &summary::scalar(tag, value))
    }

    /// How numbers are distributed: in 30 buckets of the same width from the least to the largest, as `tf.summary.histogram` makes
    /// them. Numbers that are infinite or NaN are left out.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn histogram(&mut self, tag: &str, step: u64, values: &Tensor) -> Result<()> {
        self.summary(step, &summary::histogram(tag, values))
    }

    /// Pictures of one size; the first one's size is what TensorBoard shows.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn images(&mut self, tag: &str, step: u64, images: &[Image<'_>]) -> Result<()> {
        self.summary(step, &summary::images(tag, images))
    }

    /// The model as a graph of its layers, and, where it is a chain, Keras' description of it, which TensorBoard draws as
    /// "conceptual graph".
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn graph(&mut self, model: &Model) -> Result<()> {
        if model.is_sequential() {
            self.summary(0, &summary::keras_model(&model.to_keras().to_string()))?;
        }
        let graph = graph::definition(model);
        self.write(&Message::new().double(1, now()).message(4, &graph))
    }

    /// Hands what was written to the system.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn flush(&mut self) -> Result<()> {
        let flushed = self.file.flush();
        flushed.map_err(|error| Problem::io("write it", error).in_file(&self.path))
    }

    fn summary(&mut self, step: u64, value: &Message) -> Result<()> {
        let event = Message::new().double(1, now()).number(2, step);
        self.write(&event.message(5, &Message::new().message(1, value)))
    }

    fn write(&mut self, event: &Message) -> Result<()> {
        let written = self.file.write_all(&record::frame(event.bytes()));
        written.map_err(|error| Problem::io("write it", error).in_file(&self.path))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}
