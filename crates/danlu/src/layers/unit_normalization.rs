//! Normalization to length 1.

use danlu_graph::{Shape, Value};

use super::{BuildContext, CallContext, Layer};
use crate::axes::{Axes, signed};
use crate::{Arguments, Config, Result, config};

/// `x / |x|` with the norm of each example over `axis`; norms below 1e-12 count as that (Keras' `UnitNormalization`). Any shape
/// stays as it is.
#[derive(Clone, Debug)]
pub struct UnitNormalization {
    axis: Axes,
}

const SMALLEST_NORM: f64 = 1e-12;

impl UnitNormalization {
    /// Over the last axis.
    pub fn new() -> UnitNormalization {
        UnitNormalization {
            axis: Axes::new([-1]),
        }
    }

    /// The axes that are normalized together; negative ones count from the end. Default `[-1]`.
    #[must_use]
    pub fn axis(mut self, axis: impl IntoIterator<Item = isize>) -> UnitNormalization {
        self.axis = Axes::new(axis);
        self
    }
}

impl Default for UnitNormalization {
    fn default() -> UnitNormalization {
        UnitNormalization::new()
    }
}

impl Layer for UnitNormalization {
    fn class_name(&self) -> &str {
        "UnitNormalization"
    }

    fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        self.axis.of_examples("UnitNormalization", &inputs[0])?;
        Ok(())
    }

    fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
        let x = &inputs[0];
        let (axes, _) = self.axis.of_examples("UnitNormalization", &x.shape())?;
        let squares = x.square()?.sum(&signed(&axes), true)?;
        let squares = squares.maximum_scalar(SMALLEST_NORM * SMALLEST_NORM)?;
        Ok(x.multiply(&squares.sqrt()?.reciprocal()?)?)
    }

    fn config(&self) -> Config {
        config! { "axis": self.axis.to_json() }
    }

    fn from_config(arguments: &mut Arguments) -> Result<UnitNormalization> {
        let mut layer = UnitNormalization::new();
        layer.axis.take(arguments)?;
        Ok(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn unit_normalization_passes_the_harness() {
        harness::check(UnitNormalization::new(), &[4]);
        harness::check(UnitNormalization::new().axis([1, 3]), &[2, 3, 2]);
        harness::refuses(
            UnitNormalization::new().axis([3]),
            &[4],
            "`axis` must be among",
        );
        harness::refuses(
            UnitNormalization::new().axis([0]),
            &[4],
            "not that of the examples",
        );
    }
}
