//! Dropout that keeps mean and variance.

use danlu_graph::{DType, Shape, Value};

use super::dropout::{NoiseShape, check_rate};
use super::{BuildContext, CallContext, Layer};
use crate::activations::{SELU_ALPHA, SELU_SCALE};
use crate::{Arguments, Config, Error, Result, config};

/// In training, sets elements to the least value of SELU with probability `rate`, then scales and moves all of them so that
/// mean 0 and variance 1 stay; otherwise passes its input on (Klambauer et al. 2017; Keras' `AlphaDropout`).
#[derive(Clone, Debug)]
pub struct AlphaDropout {
    rate: f64,
    noise_shape: NoiseShape,
    seed: Option<i64>,
}

impl AlphaDropout {
    /// This share of elements, from 0 to below 1.
    pub fn new(rate: f64) -> AlphaDropout {
        AlphaDropout {
            rate,
            noise_shape: NoiseShape::default(),
            seed: None,
        }
    }

    /// Along which axes the choice is shared: for each axis, the examples' included, `Some(1)` where all of it is kept or
    /// dropped together, `None` where each element is by itself. Default: each element.
    #[must_use]
    pub fn noise_shape(mut self, noise_shape: impl AsRef<[Option<usize>]>) -> AlphaDropout {
        self.noise_shape = NoiseShape(Some(noise_shape.as_ref().to_vec()));
        self
    }

    /// A seed of its own instead of the run's.
    #[must_use]
    pub fn seed(mut self, seed: i64) -> AlphaDropout {
        self.seed = Some(seed);
        self
    }

    fn check(&self) -> Result<()> {
        check_rate("AlphaDropout", self.rate)?;
        match self.rate < 1.0 {
            true => Ok(()),
            // The factor that keeps the variance would be infinite.
            false => Err(Error::argument("AlphaDropout", "rate", "below 1", 1)),
        }
    }
}

impl Layer for AlphaDropout {
    fn class_name(&self) -> &str {
        "AlphaDropout"
    }

    fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        self.check()?;
        self.noise_shape.of("AlphaDropout", &inputs[0]).map(drop)
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let x = &inputs[0];
        if !context.training() || self.rate == 0.0 {
            return Ok(x.clone());
        }
        let graph = context.graph();
        let least = -SELU_ALPHA * SELU_SCALE;
        let rate = self.rate;
        let factor = ((1.0 - rate) * (1.0 + rate * least * least)).powf(-0.5);
        let noise_shape = self.noise_shape.of("AlphaDropout", &x.shape())?;
        let uniform = context.random_uniform(&noise_shape, self.seed)?;
        let keep = uniform.greater_equal(&graph.scalar(rate, DType::F32)?)?;
        let chosen = keep.select(x, &graph.scalar(least, x.dtype())?)?;
        let moved = chosen.multiply_scalar(factor)?;
        Ok(moved.add_scalar(-factor * least * rate)?)
    }

    fn config(&self) -> Config {
        config! { "rate": self.rate, "seed": self.seed, "noise_shape": self.noise_shape.0 }
    }

    fn from_config(arguments: &mut Arguments) -> Result<AlphaDropout> {
        let rate = arguments.number("rate")?;
        let layer = AlphaDropout {
            rate: arguments.required("rate", rate)?,
            noise_shape: NoiseShape::from_arguments(arguments)?,
            seed: arguments.integer("seed")?,
        };
        layer.check()?;
        Ok(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn alpha_dropout_passes_the_harness() {
        harness::check(AlphaDropout::new(0.5).seed(3), &[6, 2]);
        let layer = AlphaDropout::new(0.5).noise_shape([None, Some(1), None]);
        harness::check(layer, &[6, 2]);
        harness::refuses(AlphaDropout::new(1.0), &[2], "below 1");
        harness::refuses(AlphaDropout::new(-0.5), &[2], "`rate`");
    }

    #[test]
    fn what_is_dropped_and_kept_is_what_keras_makes_of_it() {
        // By Keras 3.15.1: AlphaDropout(0.2) of ones in training has these two values.
        let found = harness::call_in_training(AlphaDropout::new(0.2), &[5_000], 0);
        let (kept, dropped) = (1.187_943_5, -1.236_159_8);
        let values = found.as_f32().unwrap();
        let near = |value: f32, expected: f32| (value - expected).abs() < 1e-5;
        assert!(values.iter().all(|&v| near(v, kept) || near(v, dropped)));
        let count = values.iter().filter(|&&v| near(v, dropped)).count();
        assert!((1_800..2_200).contains(&count), "{count} of 10000");
    }
}
