//! Normalization by the root of the mean square.

use danlu_graph::{Shape, Value};

use super::{BuildContext, CallContext, Layer};
use crate::axes::{Axes, signed};
use crate::optimizers::check_rate;
use crate::{Arguments, Config, Error, Result, config};

/// `scale x / sqrt(mean(x^2) + epsilon)` with the mean of each example over `axis` (Zhang and Sennrich 2019; Keras'
/// `RMSNormalization`). Any shape stays as it is; `scale` begins with 1 and has the sizes of the axes.
#[derive(Clone, Debug)]
pub struct RMSNormalization {
    axis: Axes,
    epsilon: f64,
}

impl RMSNormalization {
    /// Over the last axis.
    pub fn new() -> RMSNormalization {
        RMSNormalization {
            axis: Axes::new([-1]),
            epsilon: 1e-6,
        }
    }

    /// The axes that are normalized together: the last, or the last few. Default `[-1]`.
    #[must_use]
    pub fn axis(mut self, axis: impl IntoIterator<Item = isize>) -> RMSNormalization {
        self.axis = Axes::new(axis);
        self
    }

    /// What is added to the mean square. Default 1e-6.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> RMSNormalization {
        self.epsilon = epsilon;
        self
    }

    /// The axes and their sizes. As in Keras `scale` is spread from the end, so that the axes must be the last.
    fn axes(&self, shape: &Shape) -> Result<(Vec<usize>, Vec<usize>)> {
        let (axes, sizes) = self.axis.of_examples("RMSNormalization", shape)?;
        if axes[0] + axes.len() != shape.rank() {
            let expected = format!("the last axes of {shape}");
            return Err(Error::argument(
                "RMSNormalization",
                "axis",
                expected,
                self.axis.to_json(),
            ));
        }
        Ok((axes, sizes))
    }
}

impl Default for RMSNormalization {
    fn default() -> RMSNormalization {
        RMSNormalization::new()
    }
}

impl Layer for RMSNormalization {
    fn class_name(&self) -> &str {
        "RMSNormalization"
    }

    fn build(&mut self, context: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        check_rate("RMSNormalization", "epsilon", self.epsilon)?;
        let (_, sizes) = self.axes(&inputs[0])?;
        context.parameter("scale", &sizes, "ones")
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let x = &inputs[0];
        let (axes, _) = self.axes(&x.shape())?;
        let mean = x.square()?.mean(&signed(&axes), true)?;
        let inverse = mean.add_scalar(self.epsilon)?.sqrt()?.reciprocal()?;
        Ok(x.multiply(&inverse)?
            .multiply(&context.parameter("scale")?)?)
    }

    fn config(&self) -> Config {
        config! { "axis": self.axis.to_json(), "epsilon": self.epsilon }
    }

    fn from_config(arguments: &mut Arguments) -> Result<RMSNormalization> {
        let mut layer = RMSNormalization::new();
        layer.axis.take(arguments)?;
        layer.epsilon = arguments.number("epsilon")?.unwrap_or(1e-6);
        Ok(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn rms_normalization_passes_the_harness() {
        harness::check(RMSNormalization::new(), &[4]);
        harness::check(
            RMSNormalization::new().axis([-2, -1]).epsilon(0.1),
            &[2, 3, 2],
        );
    }

    #[test]
    fn wrong_arguments_are_errors() {
        let layer = RMSNormalization::new;
        harness::refuses(layer().axis([1]), &[4, 4], "`axis` must be the last axes");
        harness::refuses(layer().axis([0, 1]), &[4], "not that of the examples");
        harness::refuses(layer().epsilon(f64::INFINITY), &[4], "`epsilon` must be");
    }
}
