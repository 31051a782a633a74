//! Layers: one trait, one file per layer.
//!
//! A layer of your own implements [`Layer`] and, to be saved, loaded and named in recipes, is made known once with
//! [`register_layer`]. What it keeps itself, such as a moving mean, it declares with [`BuildContext::statistic`] and changes with
//! [`CallContext::update`]; regularizers and constraints of its parameters come with [`ParameterOptions`].
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
mod activity_regularization;
mod affine;
mod alpha_dropout;
mod batch_normalization;
mod catalogue;
mod context;
mod convolution;
mod cropping;
mod dense;
mod depthwise_convolution;
mod dropout;
mod elu;
mod embedding;
mod flatten;
mod gaussian_dropout;
mod gaussian_noise;
mod global_pooling;
mod group_normalization;
mod identity;
mod input;
mod interpolation;
mod layer_normalization;
mod leaky_relu;
mod merging;
mod normalization;
mod padding;
mod parameters;
mod permute;
mod pooling;
mod prelu;
mod registry;
mod relu;
mod repeat_vector;
mod rescaling;
mod reshape;
mod rms_normalization;
mod sizes;
mod softmax;
mod spatial_dropout;
mod spec;
mod transposed_convolution;
mod unit_normalization;
mod up_sampling;
mod windows;
mod zero_padding;

use std::fmt::Debug;
use std::ops::RangeInclusive;

use danlu_graph::{Shape, Value};

use crate::choice::Choice;
use crate::model::{IntoSymbols, Symbol};
use crate::regularizers::Regularizer;
use crate::{Arguments, Config, Model, Result};

pub use activation::Activation as ActivationLayer;
pub use activity_regularization::ActivityRegularization;
pub use alpha_dropout::AlphaDropout;
pub use batch_normalization::BatchNormalization;
pub use catalogue::{LayerDescription, describe_layer};
pub use context::{BuildContext, CallContext, Parameter, RandomInputs};
pub(crate) use context::{Effects, state_name};
pub use convolution::{Conv1D, Conv2D, Conv3D, Convolution};
pub use cropping::{Cropping1D, Cropping2D, Cropping3D};
pub use dense::Dense;
pub use depthwise_convolution::{DepthwiseConv1D, DepthwiseConv2D, DepthwiseConvolution};
pub use depthwise_convolution::{SeparableConv1D, SeparableConv2D, SeparableConvolution};
pub use dropout::Dropout;
pub use elu::ELU;
pub use embedding::Embedding;
pub use flatten::Flatten;
pub use gaussian_dropout::GaussianDropout;
pub use gaussian_noise::GaussianNoise;
pub use global_pooling::{GlobalAveragePooling1D, GlobalAveragePooling2D, GlobalAveragePooling3D};
pub use global_pooling::{GlobalMaxPooling1D, GlobalMaxPooling2D, GlobalMaxPooling3D};
pub use group_normalization::GroupNormalization;
pub use identity::Identity;
pub use input::Input;
pub use interpolation::Interpolation;
pub use layer_normalization::LayerNormalization;
pub use leaky_relu::LeakyReLU;
pub use merging::{Add, Average, Concatenate, Dot, DotAxes, Maximum, Minimum, Multiply, Subtract};
pub use normalization::Normalization;
pub use padding::Padding;
pub use parameters::ParameterOptions;
pub use permute::Permute;
pub use pooling::{AveragePooling1D, AveragePooling2D, AveragePooling3D};
pub use pooling::{MaxPooling1D, MaxPooling2D, MaxPooling3D};
pub use prelu::PReLU;
pub(crate) use registry::{is_builtin, make};
pub use registry::{layer_names, register_layer};
pub use relu::ReLU;
pub use repeat_vector::RepeatVector;
pub use rescaling::Rescaling;
pub use reshape::Reshape;
pub use rms_normalization::RMSNormalization;
pub use sizes::{Amounts, Sizes};
pub use softmax::Softmax;
pub use spatial_dropout::{SpatialDropout1D, SpatialDropout2D, SpatialDropout3D};
pub use spec::LayerSpec;
pub use transposed_convolution::{Conv1DTranspose, Conv2DTranspose, TransposedConvolution};
pub use unit_normalization::UnitNormalization;
pub use up_sampling::{UpSampling1D, UpSampling2D, UpSampling3D};
pub use zero_padding::{ZeroPadding1D, ZeroPadding2D, ZeroPadding3D};

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

    /// As [`call`](Self::call), for a layer that has [several outputs](Self::outputs).
    ///
    /// # Errors
    /// As [`call`](Self::call).
    fn call_all(&self, context: &CallContext, inputs: &[Value]) -> Result<Vec<Value>> {
        Ok(vec![self.call(context, inputs)?])
    }

    /// How many inputs the layer takes: 1 for nearly all.
    fn inputs(&self) -> RangeInclusive<usize> {
        1..=1
    }

    /// The number of outputs, 1 for nearly all.
    fn outputs(&self) -> usize {
        1
    }

    /// The layer's own arguments, by Keras' names; not `name`, `trainable` and `dtype`, which every layer has.
    fn config(&self) -> Config;

    /// A layer with these arguments. Those that are not taken are reported as unknown by the caller.
    ///
    /// # Errors
    /// An argument is missing or has a value that it cannot have.
    fn from_config(arguments: &mut Arguments) -> Result<Self>
    where
        Self: Sized;

    /// The layer's result for these inputs, in a functional model: see [`Model::new`](crate::Model::new).
    fn apply(self, inputs: impl IntoSymbols) -> Symbol
    where
        Self: Sized,
    {
        LayerSpec::from(self).apply(inputs)
    }

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

    /// The same layer, with a penalty on its output that is added to the loss, divided by the number of examples.
    fn activity_regularizer(self, regularizer: impl Into<Choice<Regularizer>>) -> LayerSpec
    where
        Self: Sized,
    {
        LayerSpec::from(self).activity_regularizer(regularizer)
    }

    /// The shape of one example, for a layer that stands where a model's input comes in; `None` for every other.
    fn input_shape(&self) -> Option<&[usize]> {
        None
    }

    /// The model that this layer is, where it is one.
    fn as_model(&self) -> Option<&Model> {
        None
    }

    /// As [`as_model`](Self::as_model), to change.
    fn as_model_mut(&mut self) -> Option<&mut Model> {
        None
    }

    /// The number that the layer's inputs, whole numbers, are all below; `None` where they are any numbers. A benchmark draws
    /// its inputs by it.
    fn index_limit(&self) -> Option<usize> {
        None
    }
}

#[cfg(test)]
pub(crate) mod harness;
#[cfg(test)]
mod tests;
