//! Dropout.

use danlu_graph::{DType, Shape, Value};

use super::{BuildContext, CallContext, Layer};
use crate::{Arguments, Config, Error, Result, config};

/// In training, sets elements to 0 with probability `rate` and multiplies the rest by `1 / (1 - rate)`; otherwise passes
/// its input on (Srivastava et al. 2014; Keras' `Dropout`). Which elements depends on the seed, the layer's name, the
/// step and the example's place in the epoch alone.
#[derive(Clone, Debug)]
pub struct Dropout {
    rate: f64,
    seed: Option<i64>,
}

impl Dropout {
    /// This share of elements, from 0 to 1.
    pub fn new(rate: f64) -> Dropout {
        Dropout { rate, seed: None }
    }

    /// A seed of its own instead of the run's.
    #[must_use]
    pub fn seed(mut self, seed: i64) -> Dropout {
        self.seed = Some(seed);
        self
    }

    fn check(&self) -> Result<()> {
        if (0.0..=1.0).contains(&self.rate) {
            Ok(())
        } else {
            Err(Error::argument("Dropout", "rate", "from 0 to 1", self.rate))
        }
    }
}

impl Layer for Dropout {
    fn class_name(&self) -> &str {
        "Dropout"
    }

    fn build(&mut self, _: &mut BuildContext, _: &[Shape]) -> Result<()> {
        self.check()
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let x = &inputs[0];
        if !context.training() || self.rate == 0.0 {
            return Ok(x.clone());
        }
        if self.rate == 1.0 {
            return Ok(x.multiply_scalar(0.0)?);
        }
        let graph = context.graph();
        let uniform = context.random_uniform(&x.shape(), self.seed)?;
        let keep = uniform.less(&graph.scalar(1.0 - self.rate, DType::F32)?)?;
        let scaled = x.multiply_scalar(1.0 / (1.0 - self.rate))?;
        Ok(keep.select(&scaled, &graph.scalar(0.0, x.dtype())?)?)
    }

    fn config(&self) -> Config {
        config! { "rate": self.rate, "seed": self.seed, "noise_shape": null }
    }

    fn from_config(arguments: &mut Arguments) -> Result<Dropout> {
        let rate = arguments.number("rate")?;
        let layer = Dropout {
            rate: arguments.required("rate", rate)?,
            seed: arguments.integer("seed")?,
        };
        arguments.unsupported("noise_shape", &[])?;
        layer.check()?;
        Ok(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn dropout_passes_the_harness() {
        harness::check(Dropout::new(0.5).seed(3), &[6, 2]);
        harness::refuses(Dropout::new(1.5), &[2], "`rate` must be from 0 to 1");
    }

    #[test]
    fn the_kept_share_is_scaled_up_and_the_step_decides() {
        let first = harness::call_in_training(Dropout::new(0.25), &[500], 0);
        let values = first.as_f32().unwrap();
        let dropped = values.iter().filter(|&&value| value == 0.0).count();
        assert!((100..150).contains(&(dropped / 2)), "{dropped} of 1000");
        let kept = values.iter().find(|&&value| value != 0.0).unwrap();
        assert!((kept - 1.0 / 0.75).abs() < 1e-6);
        assert_eq!(
            first,
            harness::call_in_training(Dropout::new(0.25), &[500], 0)
        );
        assert_ne!(
            first,
            harness::call_in_training(Dropout::new(0.25), &[500], 1)
        );
    }
}
