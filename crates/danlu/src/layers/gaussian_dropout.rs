//! Multiplication by normal numbers.

use danlu_graph::{Shape, Value};

use super::{BuildContext, CallContext, Layer};
use crate::{Arguments, Config, Error, Result, config};

/// In training, multiplies each element by a normal number of mean 1 and standard deviation `sqrt(rate / (1 - rate))`;
/// otherwise passes its input on (Srivastava et al. 2014, section 10; Keras' `GaussianDropout`).
#[derive(Clone, Debug)]
pub struct GaussianDropout {
    rate: f64,
    seed: Option<i64>,
}

impl GaussianDropout {
    /// The noise that dropout of this share of elements makes, from 0 to below 1.
    pub fn new(rate: f64) -> GaussianDropout {
        GaussianDropout { rate, seed: None }
    }

    /// A seed of its own instead of the run's.
    #[must_use]
    pub fn seed(mut self, seed: i64) -> GaussianDropout {
        self.seed = Some(seed);
        self
    }

    fn check(&self) -> Result<()> {
        if (0.0..1.0).contains(&self.rate) {
            return Ok(());
        }
        let expected = "at least 0 and below 1";
        Err(Error::argument(
            "GaussianDropout",
            "rate",
            expected,
            self.rate,
        ))
    }
}

impl Layer for GaussianDropout {
    fn class_name(&self) -> &str {
        "GaussianDropout"
    }

    fn build(&mut self, _: &mut BuildContext, _: &[Shape]) -> Result<()> {
        self.check()
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let x = &inputs[0];
        if !context.training() || self.rate == 0.0 {
            return Ok(x.clone());
        }
        let deviation = (self.rate / (1.0 - self.rate)).sqrt();
        let noise = context.random_normal(&x.shape(), self.seed)?;
        let factor = noise.multiply_scalar(deviation)?.add_scalar(1.0)?;
        Ok(x.multiply(&factor.cast(x.dtype())?)?)
    }

    fn config(&self) -> Config {
        config! { "rate": self.rate, "seed": self.seed }
    }

    fn from_config(arguments: &mut Arguments) -> Result<GaussianDropout> {
        let rate = arguments.number("rate")?;
        let layer = GaussianDropout {
            rate: arguments.required("rate", rate)?,
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
    fn gaussian_dropout_passes_the_harness() {
        harness::check(GaussianDropout::new(0.25).seed(3), &[6, 2]);
        harness::refuses(GaussianDropout::new(1.0), &[2], "below 1");
        harness::refuses(GaussianDropout::new(-0.5), &[2], "`rate`");
    }

    #[test]
    fn the_noise_has_the_deviation_of_dropout() {
        let found = harness::call_in_training(GaussianDropout::new(0.2), &[20_000], 0);
        let (mean, deviation) = harness::mean_and_deviation(found.as_f32().unwrap());
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        assert!((deviation - 0.5).abs() < 0.01, "{deviation}");
    }
}
