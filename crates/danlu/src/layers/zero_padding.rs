//! Zeros around a length, a picture or a volume.

use danlu_graph::{Shape, Value};

use super::padding::channels_last;
use super::sizes::{Amounts, spatial_sizes};
use super::{BuildContext, CallContext, Layer};
use crate::{Arguments, Config, Result, config};

fn pad<const N: usize>(padding: Amounts<N>, x: &Value) -> Result<Value> {
    let around = |side: usize| {
        let mut amounts = vec![0];
        amounts.extend(padding.0.map(|sides| sides[side]));
        amounts.push(0);
        amounts
    };
    Ok(x.pad(&around(0), &around(1), 0.0)?)
}

macro_rules! zero_padding {
    ($($(#[$meta:meta])* $name:ident = $class:literal, $axes:literal;)*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug)]
            pub struct $name {
                padding: Amounts<$axes>,
            }

            impl $name {
                /// This much before and after each axis: one number for all, one for each, or `[before, after]` for each.
                pub fn new(padding: impl Into<Amounts<$axes>>) -> $name {
                    $name { padding: padding.into() }
                }
            }

            impl Default for $name {
                /// 1 at every end.
                fn default() -> $name {
                    $name::new(1)
                }
            }

            impl Layer for $name {
                fn class_name(&self) -> &str {
                    $class
                }

                fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
                    self.padding.check($class, "padding")?;
                    spatial_sizes::<$axes>($class, &inputs[0]).map(drop)
                }

                fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
                    pad(self.padding, &inputs[0])
                }

                fn config(&self) -> Config {
                    config! { "padding": self.padding.to_json(), "data_format": "channels_last" }
                }

                fn from_config(arguments: &mut Arguments) -> Result<$name> {
                    channels_last(arguments)?;
                    let padding = Amounts::from_arguments(arguments, "padding")?;
                    Ok($name { padding: padding.unwrap_or(1.into()) })
                }
            }
        )*
    };
}

zero_padding! {
    /// Zeros before and after a length: `(batch, length, channels)` to the same with a longer length. Arguments and defaults
    /// are those of Keras' `ZeroPadding1D` with channels last.
    ZeroPadding1D = "ZeroPadding1D", 1;
    /// Rows of zeros above and below, columns left and right: `(batch, height, width, channels)` to the same with more of
    /// them. Arguments and defaults are those of Keras' `ZeroPadding2D` with channels last.
    ZeroPadding2D = "ZeroPadding2D", 2;
    /// Zeros around a volume: `(batch, depth, height, width, channels)` to the same with more of them. Arguments and defaults
    /// are those of Keras' `ZeroPadding3D` with channels last.
    ZeroPadding3D = "ZeroPadding3D", 3;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn zero_padding_passes_the_harness() {
        harness::check(ZeroPadding1D::new([1, 2]), &[3, 2]);
        harness::check(ZeroPadding2D::new([[1, 0], [0, 2]]), &[2, 3, 2]);
        harness::check(ZeroPadding2D::default(), &[2, 2, 1]);
        harness::check(ZeroPadding3D::new([1, 0, 2]), &[2, 1, 2, 2]);
    }

    #[test]
    fn wrong_arguments_are_errors() {
        harness::refuses(
            ZeroPadding1D::new(1),
            &[4, 4, 1],
            "(batch, length, channels)",
        );
        harness::refuses(
            ZeroPadding2D::new(usize::MAX),
            &[4, 4, 1],
            "at most 2147483647",
        );
        let arguments = config! { "padding": [1, -1] };
        let error = ZeroPadding1D::from_config(&mut Arguments::new("ZeroPadding1D", arguments));
        assert!(error.unwrap_err().to_string().contains("at least 0"));
    }
}
