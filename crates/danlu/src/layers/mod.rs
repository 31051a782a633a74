//! Layers: one trait, one file per layer.
//!
//! A layer of your own implements [`Layer`] and, to be saved, loaded and named in recipes, is made known once with
//! [`register_layer`].
//!
//! ```
//! use danlu::layers::{BuildContext, CallContext, Layer, register_layer};
//! use danlu::{Arguments, Config, Result, config, prelude::*};
//! use danlu_graph::{Shape, Value};
//!
//! /// Multiplies every element by one number that is learned.
//! #[derive(Debug)]
//! struct Gain { start: f64 }
//!
//! impl Layer for Gain {
//!     fn class_name(&self) -> &str { "Gain" }
//!     fn build(&mut self, context: &mut BuildContext, _inputs: &[Shape]) -> Result<()> {
//!         context.parameter("gain", &[], Initializer::Constant { value: self.start })
//!     }
//!     fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
//!         Ok(inputs[0].multiply(&context.parameter("gain")?)?)
//!     }
//!     fn config(&self) -> Config { config! { "start": self.start } }
//!     fn from_config(arguments: &mut Arguments) -> Result<Self> {
//!         Ok(Gain { start: arguments.number("start")?.unwrap_or(1.0) })
//!     }
//! }
//!
//! register_layer::<Gain>("Gain")?;
//! let mut model = Sequential::new();
//! model.add(Input::new([4]));
//! model.add(Gain { start: 2.0 });
//! model.build()?;
//! assert_eq!(model.count_parameters(), 1);
//! # Ok::<(), danlu::Error>(())
//! ```

mod activation;
mod average_pooling2d;
mod context;
mod conv2d;
mod dense;
mod dropout;
mod embedding;
mod flatten;
mod input;
mod max_pooling2d;
mod padding;
mod registry;
mod rescaling;
mod reshape;
mod spec;

use std::fmt::Debug;

use danlu_graph::{Shape, Value};

use crate::{Arguments, Config, Result};

pub use activation::Activation as ActivationLayer;
pub use average_pooling2d::AveragePooling2D;
pub(crate) use context::state_name;
pub use context::{BuildContext, CallContext, Parameter, RandomInputs};
pub use conv2d::Conv2D;
pub use dense::Dense;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use flatten::Flatten;
pub use input::Input;
pub use max_pooling2d::MaxPooling2D;
pub use padding::Padding;
pub(crate) use registry::{is_builtin, make};
pub use registry::{layer_names, register_layer};
pub use rescaling::Rescaling;
pub use reshape::Reshape;
pub use spec::LayerSpec;

/// A piece of a model: it declares parameters, and computes values from values with graph operations.
pub trait Layer: Send + Debug + 'static {
    /// The type's name in files, recipes and summaries, such as `Dense`.
    fn class_name(&self) -> &str;

    /// Declares the parameters for inputs of these shapes (axis 0 is `batch`). Called once, before [`call`](Self::call).
    ///
    /// # Errors
    /// The layer does not take such inputs, or one of its arguments is no good.
    fn build(&mut self, context: &mut BuildContext, inputs: &[Shape]) -> Result<()>;

    /// Adds the layer's operations to the graph; the shape of what it returns is the layer's output shape.
    ///
    /// # Errors
    /// An operation does not take these values.
    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value>;

    /// The layer's own arguments, by Keras' names; not `name`, `trainable` and `dtype`, which every layer has.
    fn config(&self) -> Config;

    /// A layer with these arguments. Those that are not taken are reported as unknown by the caller.
    ///
    /// # Errors
    /// An argument is missing or has a value that it cannot have.
    fn from_config(arguments: &mut Arguments) -> Result<Self>
    where
        Self: Sized;

    /// The same layer under this name, which must be unique in its model.
    fn name(self, name: &str) -> LayerSpec
    where
        Self: Sized,
    {
        LayerSpec::from(self).name(name)
    }

    /// The same layer, whose parameters training changes or leaves as they are.
    fn trainable(self, trainable: bool) -> LayerSpec
    where
        Self: Sized,
    {
        LayerSpec::from(self).trainable(trainable)
    }

    /// The shape of one example, for a layer that stands where a model's input comes in; `None` for every other.
    fn input_shape(&self) -> Option<&[usize]> {
        None
    }
}

#[cfg(test)]
pub(crate) mod harness;
