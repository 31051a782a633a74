//! Two-dimensional convolutions, channels last, and their two gradients.
//!
//! Images are `[batch, height, width, channels]`, weights `[kernel height, kernel width, channels / groups, filters]` (as in Keras).
//! No window is ever copied out: the micro-kernel reads them in place, through tables of offsets. Where there is padding, a task first
//! copies the part of the image that it needs, with its border of zeros, into its thread's scratch.

mod correlation;
mod few_channels;
mod forward;
mod image;
mod input_gradient;
mod noted;
mod scatter;
mod shape;
mod weight_gradient;
mod zones;

pub use forward::{ConvolutionForwardPlan, Use};
pub use input_gradient::ConvolutionInputGradientPlan;
pub use shape::{Convolution2dShape, ShapeError};
pub use weight_gradient::ConvolutionWeightGradientPlan;
