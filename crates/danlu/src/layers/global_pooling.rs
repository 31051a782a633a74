//! The largest element, or the mean, of all places of a length, a picture or a volume.

use danlu_graph::{Shape, Value};

use super::padding::channels_last;
use super::sizes::spatial_sizes;
use super::{BuildContext, CallContext, Layer};
use crate::{Arguments, Config, Result, config};

fn take_keepdims(arguments: &mut Arguments) -> Result<bool> {
    channels_last(arguments)?;
    Ok(arguments.boolean("keepdims")?.unwrap_or(false))
}

macro_rules! global_pooling {
    ($($(#[$meta:meta])* $name:ident = $class:literal, $axes:literal, $reduce:ident, $places:expr;)*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug, Default)]
            pub struct $name {
                keepdims: bool,
            }

            impl $name {
                /// The layer.
                pub fn new() -> $name {
                    $name::default()
                }

                /// Whether the axes of the places stay, of size 1. Default `false`.
                #[must_use]
                pub fn keepdims(mut self, keepdims: bool) -> $name {
                    self.keepdims = keepdims;
                    self
                }
            }

            impl Layer for $name {
                fn class_name(&self) -> &str {
                    $class
                }

                fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
                    spatial_sizes::<$axes>($class, &inputs[0]).map(drop)
                }

                fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
                    Ok(inputs[0].$reduce(&$places, self.keepdims)?)
                }

                fn config(&self) -> Config {
                    config! { "data_format": "channels_last", "keepdims": self.keepdims }
                }

                fn from_config(arguments: &mut Arguments) -> Result<$name> {
                    Ok($name { keepdims: take_keepdims(arguments)? })
                }
            }
        )*
    };
}

global_pooling! {
    /// The mean over the length: `(batch, length, channels)` to `(batch, channels)`. Keras' `GlobalAveragePooling1D` with
    /// channels last.
    GlobalAveragePooling1D = "GlobalAveragePooling1D", 1, mean, [1];
    /// The mean over height and width: `(batch, height, width, channels)` to `(batch, channels)`. Keras'
    /// `GlobalAveragePooling2D` with channels last.
    GlobalAveragePooling2D = "GlobalAveragePooling2D", 2, mean, [1, 2];
    /// The mean over depth, height and width: `(batch, depth, height, width, channels)` to `(batch, channels)`. Keras'
    /// `GlobalAveragePooling3D` with channels last.
    GlobalAveragePooling3D = "GlobalAveragePooling3D", 3, mean, [1, 2, 3];
    /// The largest along the length: `(batch, length, channels)` to `(batch, channels)`. Keras' `GlobalMaxPooling1D` with
    /// channels last.
    GlobalMaxPooling1D = "GlobalMaxPooling1D", 1, max, [1];
    /// The largest over height and width: `(batch, height, width, channels)` to `(batch, channels)`. Keras'
    /// `GlobalMaxPooling2D` with channels last.
    GlobalMaxPooling2D = "GlobalMaxPooling2D", 2, max, [1, 2];
    /// The largest over depth, height and width: `(batch, depth, height, width, channels)` to `(batch, channels)`. Keras'
    /// `GlobalMaxPooling3D` with channels last.
    GlobalMaxPooling3D = "GlobalMaxPooling3D", 3, max, [1, 2, 3];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn global_pooling_passes_the_harness() {
        harness::check(GlobalAveragePooling1D::new(), &[5, 3]);
        harness::check(GlobalAveragePooling2D::new().keepdims(true), &[3, 4, 2]);
        harness::check(GlobalAveragePooling3D::new(), &[2, 3, 2, 2]);
        harness::check(GlobalMaxPooling1D::new().keepdims(true), &[5, 3]);
        harness::check(GlobalMaxPooling2D::new(), &[3, 4, 2]);
        harness::check(GlobalMaxPooling3D::new(), &[2, 3, 2, 2]);
        harness::refuses(
            GlobalMaxPooling1D::new(),
            &[4, 4, 3],
            "(batch, length, channels)",
        );
    }
}
