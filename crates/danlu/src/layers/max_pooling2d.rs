//! The largest element of windows.

use danlu_graph::operations::PoolingWindow;
use danlu_graph::{Shape, Value};

use super::padding::channels_last;
use super::{BuildContext, CallContext, Layer, Padding};
use crate::choice::Choice;
use crate::{Arguments, Config, Error, Result, config};

/// The largest element of each window: `(batch, height, width, channels)` to `(batch, rows, columns, channels)`; padding is never the largest.
/// Arguments and defaults are those of Keras' `MaxPooling2D` with channels last.
#[derive(Clone, Debug)]
pub struct MaxPooling2D {
    pool_size: [usize; 2],
    strides: Option<[usize; 2]>,
    padding: Choice<Padding>,
}

impl MaxPooling2D {
    /// Windows of `[rows, columns]`, side by side.
    pub fn new(pool_size: [usize; 2]) -> MaxPooling2D {
        MaxPooling2D {
            pool_size,
            strides: None,
            padding: Padding::Valid.into(),
        }
    }

    /// The distance between windows, rows and columns. Default: the size of a window.
    #[must_use]
    pub fn strides(mut self, strides: [usize; 2]) -> MaxPooling2D {
        self.strides = Some(strides);
        self
    }

    /// `valid` (default) or `same`.
    #[must_use]
    pub fn padding(mut self, padding: impl Into<Choice<Padding>>) -> MaxPooling2D {
        self.padding = padding.into();
        self
    }
}

impl Default for MaxPooling2D {
    /// Windows of 2 by 2.
    fn default() -> MaxPooling2D {
        MaxPooling2D::new([2, 2])
    }
}

impl Layer for MaxPooling2D {
    fn class_name(&self) -> &str {
        "MaxPooling2D"
    }

    fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        let sizes = [("pool_size", self.pool_size)];
        let strides = self.strides.map(|strides| ("strides", strides));
        for (argument, sizes) in sizes.into_iter().chain(strides) {
            if sizes.contains(&0) {
                let received = format!("{sizes:?}");
                return Err(Error::argument(
                    "MaxPooling2D",
                    argument,
                    "at least 1",
                    received,
                ));
            }
        }
        self.padding.resolve()?;
        if inputs[0].rank() != 4 {
            return Err(Error::mismatch(
                "the input of MaxPooling2D",
                "(batch, height, width, channels)",
                inputs[0].to_string(),
                "",
            ));
        }
        Ok(())
    }

    fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
        let strides = self.strides.unwrap_or(self.pool_size);
        let [height, width] = inputs[0].image_sizes()?;
        let padding = self.padding.resolve()?.to_graph().resolve(
            [&height, &width],
            self.pool_size,
            strides,
            [1, 1],
        )?;
        let window = PoolingWindow {
            size: self.pool_size,
            strides,
            padding,
        };
        Ok(inputs[0].max_pool2d(window)?)
    }

    fn config(&self) -> Config {
        config! {
            "pool_size": self.pool_size,
            "padding": self.padding.name(),
            "strides": self.strides.unwrap_or(self.pool_size),
            "data_format": "channels_last",
        }
    }

    fn from_config(arguments: &mut Arguments) -> Result<MaxPooling2D> {
        let mut layer = MaxPooling2D::new(arguments.pair("pool_size")?.unwrap_or([2, 2]));
        layer.strides = arguments.pair("strides")?;
        layer.padding = Choice::from_arguments(arguments)?;
        channels_last(arguments)?;
        Ok(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn max_pooling_passes_the_harness() {
        harness::check(MaxPooling2D::default(), &[5, 4, 2]);
        let layer = MaxPooling2D::new([3, 2]).strides([2, 1]).padding("same");
        harness::check(layer, &[5, 4, 1]);
    }

    #[test]
    fn wrong_arguments_are_errors() {
        harness::refuses(MaxPooling2D::new([0, 2]), &[4, 4, 1], "`pool_size`");
        harness::refuses(
            MaxPooling2D::default(),
            &[4],
            "(batch, height, width, channels)",
        );
    }
}
