//! Layer normalization.

use danlu_graph::{Shape, Value};

use super::affine::{Affine, affine_methods};
use super::parameters::parameter_methods;
use super::{BuildContext, CallContext, Layer};
use crate::axes::{Axes, signed, spread};
use crate::{Arguments, Config, Result, config};

/// `gamma (x - mean) / sqrt(variance + epsilon) + beta` with mean and variance of each example over `axis` (Ba et al. 2016;
/// Keras' `LayerNormalization`). Any shape stays as it is; gamma and beta have the sizes of the axes.
#[derive(Clone, Debug)]
pub struct LayerNormalization {
    axis: Axes,
    affine: Affine,
}

impl LayerNormalization {
    /// Over the last axis.
    pub fn new() -> LayerNormalization {
        LayerNormalization {
            axis: Axes::new([-1]),
            affine: Affine::new(),
        }
    }

    /// The axes that are normalized together; negative ones count from the end. Default `[-1]`.
    #[must_use]
    pub fn axis(mut self, axis: impl IntoIterator<Item = isize>) -> LayerNormalization {
        self.axis = Axes::new(axis);
        self
    }

    affine_methods!();
}

impl Default for LayerNormalization {
    fn default() -> LayerNormalization {
        LayerNormalization::new()
    }
}

impl Layer for LayerNormalization {
    fn class_name(&self) -> &str {
        "LayerNormalization"
    }

    fn build(&mut self, context: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        let (_, sizes) = self.axis.of_examples("LayerNormalization", &inputs[0])?;
        self.affine.build("LayerNormalization", context, &sizes)
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let shape = inputs[0].shape();
        let (axes, sizes) = self.axis.of_examples("LayerNormalization", &shape)?;
        let spread = spread(shape.rank(), &axes, &sizes);
        self.affine
            .normalize(context, &inputs[0], &signed(&axes), &spread)
    }

    fn config(&self) -> Config {
        let mut config = config! { "axis": self.axis.to_json() };
        self.affine.write(&mut config);
        config
    }

    fn from_config(arguments: &mut Arguments) -> Result<LayerNormalization> {
        let mut layer = LayerNormalization::new();
        layer.axis.take(arguments)?;
        layer.affine.take(arguments)?;
        arguments.unsupported("rms_scaling", &[false.into()])?;
        Ok(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn layer_normalization_passes_the_harness() {
        harness::check(LayerNormalization::new(), &[4]);
        harness::check(
            LayerNormalization::new().axis([1, 3]).epsilon(0.1),
            &[3, 2, 2],
        );
        harness::check(LayerNormalization::new().center(false), &[2, 3]);
        harness::check(LayerNormalization::new().axis([-2]).scale(false), &[3, 2]);
    }

    #[test]
    fn wrong_arguments_are_errors() {
        let layer = LayerNormalization::new;
        harness::refuses(layer().axis([2]), &[4], "`axis` must be among the axes");
        harness::refuses(layer().axis([0]), &[4], "not that of the examples");
        harness::refuses(layer().axis([1, -1]), &[4], "`axis` must be each axis once");
        harness::refuses(layer().axis([]), &[4], "`axis` must be an axis at least");
        harness::refuses(layer().epsilon(-1.0), &[4], "`epsilon` must be");
        harness::refuses(
            layer().center(false).beta_constraint("non_neg"),
            &[4],
            "`beta_constraint` must be left out where `center` is false",
        );
    }
}
