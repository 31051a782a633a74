//! The largest element, or the mean, of windows: of lengths, pictures and volumes.

use danlu_graph::operations::PoolingWindow;
use danlu_graph::{Dim, Shape, Value};

use super::padding::channels_last;
use super::sizes::{Sizes, check_sizes, spatial_sizes, with_sizes};
use super::windows::fits;
use super::{BuildContext, CallContext, Layer, Padding};
use crate::choice::Choice;
use crate::{Arguments, Config, Error, Result, config};

/// What is done with the elements of a window.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Largest,
    Mean,
}

/// Windows along `N` axes.
#[derive(Clone, Debug)]
struct Pooling<const N: usize> {
    kind: Kind,
    pool_size: [usize; N],
    strides: Option<[usize; N]>,
    padding: Choice<Padding>,
}

impl<const N: usize> Pooling<N> {
    fn new(kind: Kind, pool_size: [usize; N]) -> Pooling<N> {
        Pooling {
            kind,
            pool_size,
            strides: None,
            padding: Padding::Valid.into(),
        }
    }

    fn build(&self, class: &str, input: &Shape) -> Result<()> {
        check_sizes(class, "pool_size", &self.pool_size)?;
        if let Some(strides) = &self.strides {
            check_sizes(class, "strides", strides)?;
        }
        let padding = self.padding.resolve()?;
        padding.refuse_causal(class)?;
        spatial_sizes::<N>(class, input)?;
        if padding != Padding::Valid || fits(input, self.pool_size) {
            return Ok(());
        }
        let expected = format!(
            "at most what there is of the input {input}: use a smaller window or padding \"same\""
        );
        let received = format!("{:?}", self.pool_size);
        Err(Error::argument(class, "pool_size", expected, received))
    }

    /// Windows over the two axes in the middle of four.
    fn pool2d(&self, x: &Value, size: [usize; 2], strides: [usize; 2]) -> Result<Value> {
        let [height, width] = x.image_sizes()?;
        let padding = self.padding.resolve()?;
        let padding = [
            padding.around(&height, size[0], strides[0], 1)?,
            padding.around(&width, size[1], strides[1], 1)?,
        ];
        let window = PoolingWindow {
            size,
            strides,
            padding,
        };
        Ok(match self.kind {
            Kind::Largest => x.max_pool2d(window)?,
            Kind::Mean => x.average_pool2d(window)?,
        })
    }

    fn call(&self, x: &Value) -> Result<Value> {
        let strides = self.strides.unwrap_or(self.pool_size);
        let shape = x.shape();
        match (self.pool_size.as_slice(), strides.as_slice()) {
            (&[size], &[stride]) => {
                let length = shape.dims()[1].clone();
                let row = x.reshape(&with_sizes(&shape, [Dim::fixed(1), length]))?;
                let y = self.pool2d(&row, [1, size], [1, stride])?;
                let length = y.shape().dims()[2].clone();
                Ok(y.reshape(&with_sizes(&shape, [length]))?)
            }
            (&[rows, columns], &[down, right]) => self.pool2d(x, [rows, columns], [down, right]),
            // Of a volume first the pictures, then the depth: a window's number of elements in the input is a product, and
            // of equal elements the first of the first picture stays the first.
            (&[depth, rows, columns], &[forward, down, right]) => {
                let dims = shape.dims();
                let pictures = Shape::from(vec![
                    &dims[0] * &dims[1],
                    dims[2].clone(),
                    dims[3].clone(),
                    dims[4].clone(),
                ]);
                let y = x.reshape(&pictures)?;
                let y = self.pool2d(&y, [rows, columns], [down, right])?;
                let [height, width] = y.image_sizes()?;
                let columns = with_sizes(&shape, [dims[1].clone(), &height * &width]);
                let y = self.pool2d(&y.reshape(&columns)?, [depth, 1], [forward, 1])?;
                let depth = y.shape().dims()[1].clone();
                Ok(y.reshape(&with_sizes(&shape, [depth, height, width]))?)
            }
            _ => Ok(x.clone()),
        }
    }

    fn config(&self) -> Config {
        config! {
            "pool_size": self.pool_size.as_slice(),
            "padding": self.padding.name(),
            "strides": self.strides.unwrap_or(self.pool_size).as_slice(),
            "data_format": "channels_last",
        }
    }

    fn from_config(kind: Kind, arguments: &mut Arguments) -> Result<Pooling<N>> {
        let pool_size = arguments.sizes("pool_size")?;
        let mut pooling = Pooling::new(kind, pool_size.unwrap_or([2; N]));
        pooling.strides = arguments.sizes("strides")?;
        pooling.padding = Choice::from_arguments(arguments)?;
        channels_last(arguments)?;
        Ok(pooling)
    }
}

macro_rules! pooling {
    ($($(#[$meta:meta])* $name:ident = $class:literal, $axes:literal, $kind:ident;)*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug)]
            pub struct $name(Pooling<$axes>);

            impl $name {
                /// Windows of this size, side by side: one number for each axis, or one for all.
                pub fn new(pool_size: impl Into<Sizes<$axes>>) -> $name {
                    $name(Pooling::new(Kind::$kind, pool_size.into().0))
                }

                /// The distance between windows along each axis. Default: the size of a window.
                #[must_use]
                pub fn strides(mut self, strides: impl Into<Sizes<$axes>>) -> $name {
                    self.0.strides = Some(strides.into().0);
                    self
                }

                /// `valid` (default) or `same`.
                #[must_use]
                pub fn padding(mut self, padding: impl Into<Choice<Padding>>) -> $name {
                    self.0.padding = padding.into();
                    self
                }
            }

            impl Default for $name {
                /// Windows of 2 along each axis.
                fn default() -> $name {
                    $name::new(2)
                }
            }

            impl Layer for $name {
                fn class_name(&self) -> &str {
                    $class
                }

                fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
                    self.0.build($class, &inputs[0])
                }

                fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
                    self.0.call(&inputs[0])
                }

                fn config(&self) -> Config {
                    self.0.config()
                }

                fn from_config(arguments: &mut Arguments) -> Result<$name> {
                    Ok($name(Pooling::from_config(Kind::$kind, arguments)?))
                }
            }
        )*
    };
}

pooling! {
    /// The mean of the elements of each window: `(batch, length, channels)` to `(batch, windows, channels)`; padding does not
    /// count. Arguments and defaults are those of Keras' `AveragePooling1D` with channels last.
    AveragePooling1D = "AveragePooling1D", 1, Mean;
    /// The mean of the elements of each window: `(batch, height, width, channels)` to `(batch, rows, columns, channels)`;
    /// padding does not count. Arguments and defaults are those of Keras' `AveragePooling2D` with channels last.
    AveragePooling2D = "AveragePooling2D", 2, Mean;
    /// The mean of the elements of each window: `(batch, depth, height, width, channels)` to the same with less depth, height and width;
    /// padding does not count. Arguments and defaults are those of Keras' `AveragePooling3D` with channels last.
    AveragePooling3D = "AveragePooling3D", 3, Mean;
    /// The largest element of each window: `(batch, length, channels)` to `(batch, windows, channels)`; padding is never
    /// the largest. Arguments and defaults are those of Keras' `MaxPooling1D` with channels last.
    MaxPooling1D = "MaxPooling1D", 1, Largest;
    /// The largest element of each window: `(batch, height, width, channels)` to `(batch, rows, columns, channels)`;
    /// padding is never the largest. Arguments and defaults are those of Keras' `MaxPooling2D` with channels last.
    MaxPooling2D = "MaxPooling2D", 2, Largest;
    /// The largest element of each window: `(batch, depth, height, width, channels)` to the same with less depth, height and width;
    /// padding is never the largest. Arguments and defaults are those of Keras' `MaxPooling3D` with channels last.
    MaxPooling3D = "MaxPooling3D", 3, Largest;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn pooling_passes_the_harness() {
        harness::check(MaxPooling1D::default(), &[7, 2]);
        harness::check(MaxPooling1D::new(3).strides(2).padding("same"), &[8, 3]);
        harness::check(MaxPooling2D::default(), &[5, 4, 2]);
        let layer = MaxPooling2D::new([3, 2]).strides([2, 1]).padding("same");
        harness::check(layer, &[5, 4, 1]);
        harness::check(MaxPooling3D::default(), &[4, 3, 5, 2]);
        let layer = MaxPooling3D::new([2, 3, 2]).strides(1).padding("same");
        harness::check(layer, &[3, 3, 2, 2]);
    }

    #[test]
    fn average_pooling_passes_the_harness() {
        harness::check(AveragePooling1D::new(2), &[7, 2]);
        harness::check(AveragePooling1D::new(3).strides(2).padding("same"), &[8, 3]);
        harness::check(AveragePooling2D::default(), &[5, 4, 2]);
        let layer = AveragePooling2D::new([3, 2])
            .strides([2, 1])
            .padding("same");
        harness::check(layer, &[5, 4, 1]);
        harness::check(AveragePooling3D::new(2), &[4, 3, 5, 2]);
        let layer = AveragePooling3D::new([2, 3, 2]).strides(1).padding("same");
        harness::check(layer, &[3, 3, 2, 2]);
    }

    #[test]
    fn wrong_arguments_are_errors() {
        harness::refuses(MaxPooling2D::new([0, 2]), &[4, 4, 1], "`pool_size`");
        harness::refuses(MaxPooling1D::new(2).strides(0), &[4, 1], "`strides`");
        harness::refuses(
            MaxPooling2D::default(),
            &[4],
            "(batch, height, width, channels)",
        );
        harness::refuses(AveragePooling2D::new([0, 2]), &[4, 4, 1], "`pool_size`");
        harness::refuses(
            MaxPooling1D::new(5),
            &[4, 1],
            "MaxPooling1D: `pool_size` must be at most what there is of the input (batch, 4, 1): use a smaller window",
        );
        let layer = MaxPooling1D::new(2).padding("causal");
        harness::refuses(layer, &[4, 1], "only Conv1D has");
        harness::refuses(
            AveragePooling3D::default(),
            &[4, 4, 1],
            "(batch, depth, height, width, channels)",
        );
    }
}
