//! Batch normalization.

mod renorm;

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
use renorm::Renorm;

/// `gamma (x - mean) / sqrt(variance + epsilon) + beta` for each index of `axis` (Ioffe and Szegedy 2015; Keras'
/// `BatchNormalization`). Any shape stays as it is.
///
/// In training mean and variance are those of the batch, and the moving ones go towards them:
/// `moving = moving momentum + batch (1 - momentum)`, with the variance divided by the number of elements. Otherwise, and
/// where the layer is frozen, the moving ones are used and stay. Parameters: gamma, beta, moving_mean, moving_variance, each
/// as long as the axis.
///
/// With [`renorm`](Self::renorm) (Ioffe 2017) the normalized batch is in training multiplied by `r` and moved by `d`, so that it
/// is what statistics that move over batches make of it: `r = deviation / renorm_stddev`, `d = (mean - renorm_mean) / renorm_stddev`,
/// within limits, and both without a gradient. Then there are the statistics moving_stddev, renorm_mean and renorm_stddev, too.
#[derive(Clone, Debug)]
pub struct BatchNormalization {
    axis: Axes,
    momentum: f64,
    affine: Affine,
    moving_mean_initializer: Choice<Initializer>,
    moving_variance_initializer: Choice<Initializer>,
    renorm: Option<Renorm>,
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
            renorm: None,
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

    /// Whether batches are renormalized. Default `false`.
    #[must_use]
    pub fn renorm(mut self, renorm: bool) -> BatchNormalization {
        self.renorm = renorm.then(|| self.renorm.unwrap_or_default());
        self
    }

    /// Renormalizes, with `r` between these limits and `d` at most so far from 0, `None` for no limit. Default no limits.
    #[must_use]
    pub fn renorm_clipping(
        mut self,
        rmin: Option<f64>,
        rmax: Option<f64>,
        dmax: Option<f64>,
    ) -> BatchNormalization {
        self.renorm = Some(Renorm {
            rmin,
            rmax,
            dmax,
            ..self.renorm.unwrap_or_default()
        });
        self
    }

    /// Renormalizes, with so much of its statistics staying at each step, from 0 to 1. Default 0.99.
    #[must_use]
    pub fn renorm_momentum(mut self, momentum: f64) -> BatchNormalization {
        self.renorm = Some(Renorm {
            momentum,
            ..self.renorm.unwrap_or_default()
        });
        self
    }

    /// Mean and variance of the batch, each as long as the axis; without `renorm` the moving ones go towards them.
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
        if self.renorm.is_some() {
            return Ok([mean, variance]);
        }
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
        let variance = &self.moving_variance_initializer;
        context.statistic("moving_variance", &[size], variance.clone())?;
        match &self.renorm {
            Some(renorm) => renorm.build(context, size, &self.moving_mean_initializer, variance),
            None => Ok(()),
        }
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let x = &inputs[0];
        let rank = x.shape().rank();
        let axis = self.built.map_or(rank.saturating_sub(1), |(axis, _)| axis);
        let batch = context.training() && context.trainable();
        let [mean, variance] = match batch {
            true => self.batch_statistics(context, x, axis)?,
            false => [
                context.parameter("moving_mean")?,
                context.parameter("moving_variance")?,
            ],
        };
        let mut factor = self.affine.inverse_deviation(&variance)?;
        let mut moved = None;
        if let Some(renorm) = self.renorm.as_ref().filter(|_| batch) {
            let (momentum, epsilon) = (self.momentum, self.affine.epsilon);
            let [r, d] = renorm.correct(context, [&mean, &variance], momentum, epsilon)?;
            factor = factor.multiply(&r)?;
            moved = Some(d);
        }
        if self.affine.scale {
            let gamma = context.parameter("gamma")?;
            factor = factor.multiply(&gamma)?;
            moved = moved.map(|d| d.multiply(&gamma)).transpose()?;
        }
        let shift = mean.multiply(&factor)?;
        let mut shift = match self.affine.center {
            true => context.parameter("beta")?.subtract(&shift)?,
            false => shift.negate()?,
        };
        if let Some(d) = moved {
            shift = shift.add(&d)?;
        }
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
        // Versions of Keras that have no renorm then still read the file.
        if let Some(renorm) = &self.renorm {
            renorm.write(&mut config);
        }
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
        layer.renorm = Renorm::take(arguments)?;
        Ok(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;
    use crate::prelude::*;

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
    fn renormalization_passes_the_harness() {
        // At its limits r and d are constants, which is what finite differences see of numbers without a gradient.
        let layer = || {
            BatchNormalization::new()
                .momentum(0.5)
                .renorm_momentum(0.25)
        };
        let limits = |r: f64| layer().renorm_clipping(Some(r), Some(r), Some(0.0));
        harness::check(limits(2.0), &[3]);
        harness::check(limits(0.5).scale(false).axis(1), &[3, 2, 2]);
        harness::check(limits(1.5).center(false), &[2, 3]);
    }

    #[test]
    fn renormalization_begins_with_the_root_of_the_variance() {
        let layer = BatchNormalization::new().renorm(true);
        let start = Initializer::Constant { value: 4.0 };
        let mut model = Sequential::from_layers([
            Input::new([2]).into(),
            layer
                .moving_variance_initializer(Choice::Value(start))
                .into(),
        ]);
        model.build().unwrap();
        let weights = model.weights().unwrap();
        let numbers: Vec<f64> = weights.iter().flat_map(Tensor::to_f64).collect();
        let expected = [1., 1., 0., 0., 0., 0., 4., 4., 2., 2., 0., 0., 2., 2.];
        assert_eq!(numbers, expected);
    }

    #[test]
    fn wrong_arguments_of_renormalization_are_errors() {
        let layer = BatchNormalization::new;
        for (layer, part) in [
            (
                layer().renorm_momentum(1.5),
                "`renorm_momentum` must be from 0 to 1",
            ),
            (
                layer().renorm_clipping(Some(2.0), Some(1.0), None),
                "`renorm_clipping` must be an `rmin` that is not above `rmax`",
            ),
            (
                layer().renorm_clipping(None, None, Some(-1.0)),
                "`dmax` of at least 0",
            ),
            (
                layer()
                    .renorm(true)
                    .moving_variance_initializer("random_normal"),
                "`moving_variance_initializer` must be zeros, ones or a constant",
            ),
        ] {
            harness::refuses(layer, &[4], part);
        }
        for (arguments, part) in [
            (
                crate::config! { "renorm": true, "renorm_clipping": { "rmaxx": 1.0 } },
                "did you mean `rmax`?",
            ),
            (
                crate::config! { "renorm": true, "renorm_clipping": 3 },
                "`renorm_clipping` must be numbers",
            ),
        ] {
            let mut arguments = Arguments::new("BatchNormalization", arguments);
            let error = BatchNormalization::from_config(&mut arguments).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
