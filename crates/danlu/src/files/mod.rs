//! Model files: what a file holds, apart from what any layer makes of it. One file per format.
//!
//! | extension | holds | from and to |
//! |---|---|---|
//! | `.keras` | architecture, weights, compile settings, optimizer state | Keras 3, both directions |
//! | `.h5`, `.hdf5` | the same, in Keras' legacy form | Keras 2 (reading) and 3, both directions |
//! | `.weights.h5` | weights and optimizer state, by position | Keras 3, both directions |
//! | `.safetensors` | weights only | [`safetensors`] |
//!
//! Every file is written to a temporary name, synced and renamed. The same [`ModelFile`] gives the same bytes.
//! Reading trusts nothing: whatever the bytes are, there is a [`ModelFile`] or an [`Error`], never a panic, and memory and
//! time are bounded by the file's length.

mod atomic;
mod config;
mod error;
pub mod events;
mod h5;
mod hdf5;
mod keras;
pub mod safetensors;
mod zip;

use std::fs::File;
use std::path::Path;

use danlu_graph::Tensor;
use serde_json::Value;

use atomic::write_atomically;
pub use error::{Error, Problem, Result};

/// The version of Keras whose formats we follow; what we write says so.
pub const KERAS_VERSION: &str = "3.15.1";
/// What `.h5` files call the backend; Keras asks for it and does nothing with it.
const BACKEND: &str = "tensorflow";

/// Named arrays, in order.
pub type Weights = Vec<(String, Tensor)>;

/// What a Keras model file holds.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelFile {
    /// The model's serialized configuration as `config.json` of a `.keras` has it (whichever format it came from), without
    /// `compile_config` and `shared_object_id`: `{"module", "class_name": "Sequential", "config": {"name", "layers": [..]},
    /// "registered_name", "build_config"}`. From a `.h5` there is no `build_config`.
    pub config: Value,
    /// The compile settings as `compile_config` of a `.keras` has them (whichever format they came from): `optimizer`, `loss`,
    /// `loss_weights`, `metrics`, `weighted_metrics`, `run_eagerly`, `steps_per_execution`, `jit_compile`. `None` for a model
    /// that was not compiled.
    pub compile_config: Option<Value>,
    /// The layers, those without weights included, in the model's order. A Sequential's InputLayer is not among them.
    pub layers: Vec<LayerWeights>,
    /// The optimizer's variables in Keras' order: iteration, learning rate, then the slots of each variable together (for
    /// Adam momentum and velocity). Names are those of the file, `adam/iteration` in `.h5` and `0` in `.keras`.
    pub optimizer: Option<Weights>,
    /// What Keras has no place for: one JSON document.
    pub danlu: Option<Value>,
    /// The version of Keras that wrote the file; for writing, `None` means [`KERAS_VERSION`].
    pub keras_version: Option<String>,
    /// The backend that wrote the file (`.h5` only); for writing, `None` means `tensorflow`.
    pub backend: Option<String>,
}

/// A layer's weights, in Keras' order: trainable, then the others. Those of a model that is a layer are in the order of its
/// layers in a `.keras`, and the trainable ones of all of its layers before the others in a `.h5`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerWeights {
    /// The layer's name.
    pub name: String,
    /// For writing the weights of a model that is a layer, which of them are trainable; empty for any other, and on reading.
    pub trainable: Vec<bool>,
    /// Its weights. Names are those of the file: `model/layer/kernel`, `layer/kernel:0` or `kernel` in `.h5` (see
    /// [`short_name`]), positions in `.keras`: `0`, or `cell/0` where the weights lie in a part of the layer. For writing those of
    /// a model that is a layer, `dense/kernel`.
    pub weights: Weights,
}

impl ModelFile {
    /// The model's name, or `model` where the configuration has none.
    pub fn name(&self) -> &str {
        self.config
            .pointer("/config/name")
            .and_then(Value::as_str)
            .unwrap_or("model")
    }
}

/// The last part of a weight's name: `kernel` of `sequential/dense/kernel` and of `dense/kernel:0`.
pub fn short_name(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or(name);
    match name.rsplit_once(':') {
        Some((short, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => short,
        _ => name,
    }
}

/// How much of a file is wanted.
#[derive(Clone, Copy, PartialEq)]
enum Parts {
    Everything,
    Inference,
}

#[derive(Clone, Copy, PartialEq)]
enum Format {
    Keras,
    H5,
}

impl Format {
    fn of(path: &Path) -> Result<Format, Problem> {
        let extension = path
            .extension()
            .map(|extension| extension.to_string_lossy().to_lowercase());
        match extension.as_deref() {
            Some("keras") => Ok(Format::Keras),
            Some("h5" | "hdf5") => Ok(Format::H5),
            Some("safetensors" | "npz" | "npy" | "ckpt") => Err(Problem::WeightsOnly),
            Some(other) => Err(Problem::Extension {
                received: format!(".{other}"),
            }),
            None => Err(Problem::Extension {
                received: "no extension".to_owned(),
            }),
        }
    }
}

/// Opens a regular file.
fn open(path: &Path) -> Result<File, Problem> {
    let file = File::open(path).map_err(|error| Problem::io("open it", error))?;
    let metadata = file
        .metadata()
        .map_err(|error| Problem::io("look at it", error))?;
    if metadata.is_file() {
        return Ok(file);
    }
    Err(Problem::WrongFormat {
        expected: "a model file",
        received: match metadata.is_dir() {
            true => "nothing: it is a folder (of a run's folder, give the model.keras in it)",
            false => "nothing that ends: it is a pipe or a device",
        }
        .to_owned(),
    })
}

/// Reads a model file with everything in it. The extension says the format: `.keras`, `.h5` or `.hdf5`.
///
/// # Errors
/// Another extension; a file that cannot be read, is of another format, truncated or damaged, or holds weights only.
pub fn read(path: impl AsRef<Path>) -> Result<ModelFile> {
    read_parts(path.as_ref(), Parts::Everything)
}

/// Reads a model file without the optimizer's state, of which not a byte is touched in a `.h5`.
///
/// # Errors
/// As [`read`].
pub fn read_for_inference(path: impl AsRef<Path>) -> Result<ModelFile> {
    read_parts(path.as_ref(), Parts::Inference)
}

fn read_parts(path: &Path, parts: Parts) -> Result<ModelFile> {
    let read = || match Format::of(path)? {
        Format::Keras => keras::read(open(path)?, parts),
        Format::H5 => h5::read(open(path)?, parts),
    };
    read().map_err(|problem| problem.in_file(path))
}

/// Writes a model file. The extension says the format: `.keras`, `.h5` or `.hdf5`.
///
/// Reading it back gives the same model, but for names: a `.keras` keeps no names of weights, only their order, and a
/// `.h5` no `build_config`.
///
/// # Errors
/// Another extension; two weights of the same name; a disk that is full or cannot be written. What was at `path` before
/// is then unchanged.
pub fn write(path: impl AsRef<Path>, file: &ModelFile) -> Result<()> {
    let path = path.as_ref();
    let pieces = match Format::of(path) {
        Ok(Format::Keras) => keras::write(file),
        Ok(Format::H5) => h5::write(file).map(|bytes| vec![bytes]),
        Err(problem) => Err(problem),
    }
    .map_err(|problem| problem.in_file(path))?;
    let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
    write_atomically(path, &pieces)
}

/// Whether a file is Keras 3's of weights alone: `.weights.h5`.
pub(crate) fn is_keras_weights(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.to_lowercase().ends_with(".weights.h5")
}

/// Writes weights and optimizer state alone, as Keras' `.weights.h5`.
pub(crate) fn write_keras_weights(path: &Path, file: &ModelFile) -> Result<()> {
    let bytes = keras::weights_file(file).map_err(|problem| problem.in_file(path))?;
    write_atomically(path, &[&bytes])
}

/// Reads the weights in Keras' `.weights.h5`, for a model of this configuration.
pub(crate) fn read_keras_weights(path: &Path, config: &Value) -> Result<Vec<LayerWeights>> {
    let read = || keras::read_weights(open(path)?, config);
    read().map_err(|problem| problem.in_file(path))
}
