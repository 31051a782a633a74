//! Danlu: a Keras-shaped library on a compiled graph.
//!
//! ```
//! use danlu::prelude::*;
//! # let (images, labels) = (Tensor::zeros(&[8, 8, 8, 1], DType::F32)?, Tensor::zeros(&[8], DType::U8)?);
//! let mut model = Sequential::new();
//! model.add(Input::new([8, 8, 1]));
//! model.add(Conv2D::new(4, [3, 3]).activation("relu"));
//! model.add(MaxPooling2D::new([2, 2]));
//! model.add(Flatten::new());
//! model.add(Dense::new(10).activation("softmax"));
//! model.compile(Adam::default(), "sparse_categorical_crossentropy", ["accuracy"])?;
//! let history = model.fit((&images, &labels), FitOptions::new().epochs(2).batch_size(4).verbose(false))?;
//! assert_eq!(history.get("loss").map(|losses| losses.len()), Some(2));
//! let probabilities = model.predict(&images, PredictOptions::new())?;
//! assert_eq!(probabilities.shape(), [8, 10]);
//! # Ok::<(), danlu::Error>(())
//! ```
//!
//! - [`layers`]: what models are made of, and the trait for your own;
//! - [`initializers`], [`regularizers`], [`constraints`]: how parameters begin, and what they are held to;
//! - [`losses`], [`metrics`], [`optimizers`]: by name, as values, or as closures over graph values;
//! - [`model`]: [`Model`], a graph of layers, and [`Sequential`], a chain;
//! - [`callbacks`]: what is done at certain moments of a training, and the trait for your own;
//! - [`training`]: compile, fit, evaluate, predict, history;
//! - [`diagnosis`]: what goes wrong in a training, and where;
//! - [`files`]: model files of Keras and safetensors, TensorBoard's event files;
//! - [`plots`]: curves and matrices as SVG.
//!
//! Names, defaults and numbers are those of Keras 3.15, in Rust's spelling.

pub mod activations;
mod axes;
pub mod callbacks;
pub mod choice;
pub mod config;
pub mod constraints;
pub mod diagnosis;
pub mod error;
mod executor;
pub mod files;
#[cfg(test)]
mod golden;
pub mod initializers;
pub mod layers;
pub mod losses;
pub mod metrics;
pub mod model;
pub mod optimizers;
pub mod plots;
pub mod prelude;
mod registry;
pub mod regularizers;
pub mod training;

pub use config::{Arguments, Config};
pub use danlu_cpu as cpu;
pub use danlu_data as data;
pub use danlu_graph as graph;
pub use error::{Error, Result};
pub use executor::{cpu_executor, default_executor};
pub use model::{IntoSymbols, Model, Sequential, SharedLayer, Symbol};
#[doc(hidden)]
pub use serde_json;
