//! The layer `LeakyReLU`.

use danlu_graph::{Shape, Value};

use super::{BuildContext, CallContext, Layer};
use crate::activations::{Activation, take_leaky_slope};
use crate::{Arguments, Config, Error, Result, config};

/// `x` above 0 and `negative_slope x` elsewhere (Keras' `LeakyReLU`, whose default slope, 0.3, is not that of the function
/// `leaky_relu`).
#[derive(Clone, Debug)]
pub struct LeakyReLU {
    negative_slope: f64,
}

impl LeakyReLU {
    /// With the slope 0.3.
    pub fn new() -> LeakyReLU {
        LeakyReLU {
            negative_slope: 0.3,
        }
    }

    /// The slope below 0, at least 0.
    #[must_use]
    pub fn negative_slope(mut self, negative_slope: f64) -> LeakyReLU {
        self.negative_slope = negative_slope;
        self
    }

    fn check(&self) -> Result<()> {
        let slope = self.negative_slope;
        if slope >= 0.0 && slope.is_finite() {
            return Ok(());
        }
        let expected = "a finite number of at least 0";
        Err(Error::argument(
            "LeakyReLU",
            "negative_slope",
            expected,
            slope,
        ))
    }
}

impl Default for LeakyReLU {
    fn default() -> LeakyReLU {
        LeakyReLU::new()
    }
}

impl Layer for LeakyReLU {
    fn class_name(&self) -> &str {
        "LeakyReLU"
    }

    fn build(&mut self, _: &mut BuildContext, _: &[Shape]) -> Result<()> {
        self.check()
    }

    fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
        let negative_slope = self.negative_slope;
        Activation::LeakyRelu { negative_slope }.apply(&inputs[0])
    }

    fn config(&self) -> Config {
        config! { "negative_slope": self.negative_slope }
    }

    fn from_config(arguments: &mut Arguments) -> Result<LeakyReLU> {
        let layer = LeakyReLU {
            negative_slope: take_leaky_slope(arguments)?,
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
    fn leaky_relu_passes_the_harness() {
        harness::check(LeakyReLU::new(), &[3, 4]);
        harness::check(LeakyReLU::new().negative_slope(0.0), &[5]);
        let layer = LeakyReLU::new().negative_slope(-0.1);
        harness::refuses(layer, &[2], "`negative_slope`");
    }
}
