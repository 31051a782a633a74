//! Normal numbers added.

use danlu_graph::{Shape, Value};

use super::{BuildContext, CallContext, Layer};
use crate::{Arguments, Config, Error, Result, config};

/// In training, adds a normal number of mean 0 to each element; otherwise passes its input on (Keras' `GaussianNoise`).
#[derive(Clone, Debug)]
pub struct GaussianNoise {
    stddev: f64,
    seed: Option<i64>,
}

impl GaussianNoise {
    /// Of this standard deviation, from 0 to 1.
    pub fn new(stddev: f64) -> GaussianNoise {
        GaussianNoise { stddev, seed: None }
    }

    /// A seed of its own instead of the run's.
    #[must_use]
    pub fn seed(mut self, seed: i64) -> GaussianNoise {
        self.seed = Some(seed);
        self
    }

    fn check(&self) -> Result<()> {
        match (0.0..=1.0).contains(&self.stddev) {
            true => Ok(()),
            false => Err(Error::argument(
                "GaussianNoise",
                "stddev",
                "from 0 to 1",
                self.stddev,
            )),
        }
    }
}

impl Layer for GaussianNoise {
    fn class_name(&self) -> &str {
        "GaussianNoise"
    }

    fn build(&mut self, _: &mut BuildContext, _: &[Shape]) -> Result<()> {
        self.check()
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let x = &inputs[0];
        if !context.training() || self.stddev == 0.0 {
            return Ok(x.clone());
        }
        let noise = context.random_normal(&x.shape(), self.seed)?;
        let noise = noise.multiply_scalar(self.stddev)?;
        Ok(x.add(&noise.cast(x.dtype())?)?)
    }

    fn config(&self) -> Config {
        config! { "stddev": self.stddev, "seed": self.seed }
    }

    fn from_config(arguments: &mut Arguments) -> Result<GaussianNoise> {
        let stddev = arguments.number("stddev")?;
        let layer = GaussianNoise {
            stddev: arguments.required("stddev", stddev)?,
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
    fn gaussian_noise_passes_the_harness() {
        harness::check(GaussianNoise::new(0.25).seed(3), &[6, 2]);
        harness::refuses(
            GaussianNoise::new(1.5),
            &[2],
            "`stddev` must be from 0 to 1",
        );
        harness::refuses(GaussianNoise::new(f64::NAN), &[2], "`stddev`");
    }

    #[test]
    fn the_noise_is_normal_and_the_step_decides() {
        let call = |step| harness::call_in_training(GaussianNoise::new(0.5), &[20_000], step);
        let found = call(0);
        let values = found.as_f32().unwrap();
        let (mean, deviation) = harness::mean_and_deviation(values);
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        assert!((deviation - 0.5).abs() < 0.01, "{deviation}");
        // Of normal numbers 68.27 % lie within one standard deviation, 95.45 % within two.
        for (limit, share) in [(0.5, 0.6827), (1.0, 0.9545)] {
            let within = values.iter().filter(|&&value| (value - 1.0).abs() < limit);
            let found = within.count() as f64 / values.len() as f64;
            assert!((found - share).abs() < 0.01, "{found}");
        }
        assert_eq!(found, call(0));
        assert_ne!(found, call(1));
    }
}
