//! Batch normalization.

use danlu_graph::{Shape, Value};

use super::affine::{Affine, affine_methods};
use super::dense::take_initializer;
use super::parameters::parameter_methods;
use super::{BuildContext, CallContext, Layer};
use crate::axes::{Axes, signed, spread};
use crate::choice::Choice;
use crate::initializers::Initializer;
use crate::optimizers::check_rate;
use crate::{Arguments, Config, Error, Result};

/// `gamma (x - mean) / sqrt(variance + epsilon) + beta` for each index of `axis` (Ioffe and Szegedy 2015; Keras'
/// `BatchNormalization`). Any shape stays as it is.
///
/// In training mean and variance are those of the batch, and the moving ones go towards them:
/// `moving = moving momentum + batch (1 - momentum)`, with the variance divided by the number of elements. Otherwise, and
/// where the layer is frozen, the moving ones are used and stay. Parameters: gamma, beta, moving_mean, moving_variance, each
/// as long as the axis.
#[derive(Clone, Debug)]
pub struct BatchNormalization {
    axis: Axes,
    momentum: f64,
    affine: Affine,
    moving_mean_initializer: Choice<Initializer>,
    moving_variance_initializer: Choice<Initializer>,
    /// The place of the axis in the input and its size, once built.
    built: Option<(usize, usize)>,
}

impl BatchNormalization {
    /// Over all axes but the last.
    pub fn new() -> BatchNormalization {
        BatchNormalization {
            axis: Axes::new([-1]),
            momentum: 0.99,
            affine: Affine::new(),
            moving_mean_initializer: "zeros".into(),
            moving_variance_initializer: "ones".into(),
            built: None,
        }
    }

    /// The axis whose indices have statistics of their own, the channels; negative ones count from the end. Default -1.
    #[must_use]
    pub fn axis(mut self, axis: isize) -> BatchNormalization {
        self.axis = Axes::new([axis]);
        self
    }

    /// How much of the moving statistics stays at each step, from 0 to 1. Default 0.99.
    #[must_use]
    pub fn momentum(mut self, momentum: f64) -> BatchNormalization {
        self.momentum = momentum;
        self
    }

    affine_methods!();

    /// How the moving mean begins. Default `zeros`.
    #[must_use]
    pub fn moving_mean_initializer(
        mut self,
        initializer: impl Into<Choice<Initializer>>,
    ) -> BatchNormalization {
        self.moving_mean_initializer = initializer.into();
        self
    }

    /// How the moving variance begins. Default `ones`.
    #[must_use]
    pub fn moving_variance_initializer(
        mut self,
        initializer: impl Into<Choice<Initializer>>,
    ) -> BatchNormalization {
        self.moving_variance_initializer = initializer.into();
        self
    }

    /// Mean and variance of the batch, each as long as the axis; the moving ones go towards them.
    fn batch_statistics(
        &self,
        context: &CallContext,
        x: &Value,
        axis: usize,
    ) -> Result<[Value; 2]> {
        let others: Vec<usize> = (0..x.shape().rank())
            .filter(|&other| other != axis)
            .collect();
        let (others, rank) = (signed(&others), x.shape().rank());
        let mean = x.mean(&others, false)?;
        // What flows back through this mean sums to 0.
        let center = mean.stop_gradient()?;
        let center = self.spread(&center, rank)?;
        let variance = x.subtract(&center)?.square()?.mean(&others, false)?;
        for (name, batch) in [("moving_mean", &mean), ("moving_variance", &variance)] {
            let kept = context.parameter(name)?.multiply_scalar(self.momentum)?;
            let moved = kept.add(&batch.multiply_scalar(1.0 - self.momentum)?)?;
            context.update(name, &moved)?;
        }
        Ok([mean, variance])
    }

    /// Numbers along the axis, as they are spread over a value of so many axes.
    fn spread(&self, value: &Value, rank: usize) -> Result<Value> {
        match self.built {
            Some((axis, size)) if axis + 1 != rank => {
                Ok(value.reshape(&spread(rank, &[axis], &[size]))?)
            }
            _ => Ok(value.clone()),
        }
    }
}

impl Default for BatchNormalization {
    fn default() -> BatchNormalization {
        BatchNormalization::new()
    }
}

impl Layer for BatchNormalization {
    fn class_name(&self) -> &str {
        "BatchNormalization"
    }

    fn build(&mut self, context: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        let (axes, sizes) = self.axis.of_examples("BatchNormalization", &inputs[0])?;
        let (&[axis], &[size]) = (axes.as_slice(), sizes.as_slice()) else {
            let axes = self.axis.to_json();
            return Err(Error::argument(
                "BatchNormalization",
                "axis",
                "one axis",
                axes,
            ));
        };
        check_rate("BatchNormalization", "momentum", self.momentum)?;
        if self.momentum > 1.0 {
            let momentum = self.momentum;
            return Err(Error::argument(
                "BatchNormalization",
                "momentum",
                "from 0 to 1",
                momentum,
            ));
        }
        self.built = Some((axis, size));
        self.affine.build("BatchNormalization", context, &[size])?;
        context.statistic("moving_mean", &[size], self.moving_mean_initializer.clone())?;
        let variance = self.moving_variance_initializer.clone();
        context.statistic("moving_variance", &[size], variance)
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let x = &inputs[0];
        let rank = x.shape().rank();
        let axis = self.built.map_or(rank.saturating_sub(1), |(axis, _)| axis);
        let [mean, variance] = match context.training() && context.trainable() {
            true => self.batch_statistics(context, x, axis)?,
            false => [
                context.parameter("moving_mean")?,
                context.parameter("moving_variance")?,
            ],
        };
        let mut factor = self.affine.inverse_deviation(&variance)?;
        if self.affine.scale {
            factor = factor.multiply(&context.parameter("gamma")?)?;
        }
        let shift = mean.multiply(&factor)?;
        let shift = match self.affine.center {
            true => context.parameter("beta")?.subtract(&shift)?,
            false => shift.negate()?,
        };
        let scaled = x.multiply(&self.spread(&factor, rank)?)?;
        Ok(scaled.add(&self.spread(&shift, rank)?)?)
    }

    fn config(&self) -> Config {
        let mut config = crate::config! { "axis": self.axis.to_json(), "momentum": self.momentum };
        self.affine.write(&mut config);
        let mean = self.moving_mean_initializer.to_json();
        config.insert("moving_mean_initializer".to_owned(), mean);
        let variance = self.moving_variance_initializer.to_json();
        config.insert("moving_variance_initializer".to_owned(), variance);
        config
    }

    fn from_config(arguments: &mut Arguments) -> Result<BatchNormalization> {
        let mut layer = BatchNormalization::new();
        layer.axis.take(arguments)?;
        layer.momentum = arguments.number("momentum")?.unwrap_or(0.99);
        layer.affine.take(arguments)?;
        let mean = &mut layer.moving_mean_initializer;
        take_initializer(arguments, "moving_mean_initializer", mean)?;
        let variance = &mut layer.moving_variance_initializer;
        take_initializer(arguments, "moving_variance_initializer", variance)?;
        // On one device there is nothing to synchronize.
        arguments.boolean("synchronized")?;
        arguments.unsupported("renorm", &[false.into()])?;
        // Both only count where renorm is true.
        arguments.take("renorm_clipping");
        arguments.take("renorm_momentum");
        Ok(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn batch_normalization_passes_the_harness() {
        harness::check(BatchNormalization::new(), &[3]);
        let layer = BatchNormalization::new().axis(1).momentum(0.5);
        harness::check(layer.epsilon(0.1), &[3, 2, 2]);
        let layer = BatchNormalization::new().center(false).momentum(0.5);
        harness::check(layer, &[2, 3, 2]);
        harness::check(BatchNormalization::new().scale(false), &[4, 2]);
    }

    #[test]
    fn wrong_arguments_are_errors() {
        let layer = BatchNormalization::new;
        harness::refuses(
            layer().axis(3),
            &[4],
            "`axis` must be among the axes of (batch, 4)",
        );
        harness::refuses(layer().axis(0), &[4], "not that of the examples");
        harness::refuses(layer().momentum(-0.1), &[4], "`momentum` must be");
        harness::refuses(
            layer().momentum(1.5),
            &[4],
            "`momentum` must be from 0 to 1",
        );
        harness::refuses(layer().epsilon(f64::NAN), &[4], "`epsilon` must be");
        harness::refuses(
            layer().scale(false).gamma_regularizer("l2"),
            &[4],
            "`gamma_regularizer` must be left out where `scale` is false",
        );
    }

    #[test]
    fn renormalization_is_refused() {
        let arguments = crate::config! { "renorm": true };
        let mut arguments = Arguments::new("BatchNormalization", arguments);
        let error = BatchNormalization::from_config(&mut arguments).unwrap_err();
        assert!(error.to_string().contains("`renorm` = true"), "{error}");
    }
}
