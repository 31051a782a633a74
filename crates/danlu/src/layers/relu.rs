//! The layer `ReLU`.

use danlu_graph::{Shape, Value};

use super::{BuildContext, CallContext, Layer};
use crate::activations::{self, Activation};
use crate::{Arguments, Config, Error, Result, config};

/// `x` above the threshold, cut at `max_value`, and `negative_slope (x - threshold)` below (Keras' `ReLU`).
#[derive(Clone, Debug, Default)]
pub struct ReLU {
    max_value: Option<f64>,
    negative_slope: f64,
    threshold: f64,
}

impl ReLU {
    /// `max(x, 0)`.
    pub fn new() -> ReLU {
        ReLU::default()
    }

    /// The largest that comes out, at least 0. Default: none.
    #[must_use]
    pub fn max_value(mut self, max_value: f64) -> ReLU {
        self.max_value = Some(max_value);
        self
    }

    /// The slope below the threshold, at least 0. Default 0.
    #[must_use]
    pub fn negative_slope(mut self, negative_slope: f64) -> ReLU {
        self.negative_slope = negative_slope;
        self
    }

    /// Up to where elements are small, at least 0. Default 0.
    #[must_use]
    pub fn threshold(mut self, threshold: f64) -> ReLU {
        self.threshold = threshold;
        self
    }

    fn check(&self) -> Result<()> {
        for (argument, value) in [
            ("max_value", self.max_value.unwrap_or(0.0)),
            ("negative_slope", self.negative_slope),
            ("threshold", self.threshold),
        ] {
            if !(value >= 0.0 && value.is_finite()) {
                let expected = "a finite number of at least 0";
                return Err(Error::argument("ReLU", argument, expected, value));
            }
        }
        Ok(())
    }
}

impl Layer for ReLU {
    fn class_name(&self) -> &str {
        "ReLU"
    }

    fn build(&mut self, _: &mut BuildContext, _: &[Shape]) -> Result<()> {
        self.check()
    }

    fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
        activations::relu(self.negative_slope, self.max_value, self.threshold).apply(&inputs[0])
    }

    fn config(&self) -> Config {
        config! {
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }
    }

    fn from_config(arguments: &mut Arguments) -> Result<ReLU> {
        let layer = match activations::take_relu(arguments)? {
            Activation::ReluWith {
                negative_slope,
                max_value,
                threshold,
            } => ReLU {
                max_value,
                negative_slope,
                threshold,
            },
            _ => ReLU::new(),
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
    fn relu_passes_the_harness() {
        harness::check(ReLU::new(), &[3, 4]);
        let layer = ReLU::new().max_value(0.5).negative_slope(0.25);
        harness::check(layer.threshold(0.125), &[3, 4]);
    }

    #[test]
    fn wrong_arguments_are_errors() {
        harness::refuses(ReLU::new().max_value(-1.0), &[2], "`max_value`");
        harness::refuses(ReLU::new().negative_slope(-0.1), &[2], "at least 0");
        harness::refuses(ReLU::new().threshold(f64::NAN), &[2], "`threshold`");
    }
}
