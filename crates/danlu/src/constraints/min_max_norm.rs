//! Norms between two numbers.

use danlu_graph::Value;

use super::ConstraintFunction;
use super::norms::{norms, rescale};
use crate::axes::Axes;
use crate::optimizers::check_rate;
use crate::{Arguments, Config, Error, Result, config};

/// Vectors along `axis` whose norm is outside `min_value` to `max_value` go towards that range: a share of `rate` of the way at
/// each step (Keras' `MinMaxNorm`). Default: 0 to 1, rate 1, axis 0. For a convolution's filters give `[0, 1, 2]`.
#[derive(Clone, Debug)]
pub struct MinMaxNorm {
    min_value: f64,
    max_value: f64,
    rate: f64,
    axis: Axes,
}

impl MinMaxNorm {
    /// Norms from `min_value` to `max_value`, at least 0, at rate 1 along axis 0.
    pub fn new(min_value: f64, max_value: f64) -> MinMaxNorm {
        MinMaxNorm {
            min_value,
            max_value,
            rate: 1.0,
            axis: Axes::new([0]),
        }
    }

    /// How much of the way to the range a step goes, from 0 to 1. Default 1.
    #[must_use]
    pub fn rate(mut self, rate: f64) -> MinMaxNorm {
        self.rate = rate;
        self
    }

    /// The axes that make one vector each; negative ones count from the end. Default `[0]`.
    #[must_use]
    pub fn axis(mut self, axis: impl IntoIterator<Item = isize>) -> MinMaxNorm {
        self.axis = Axes::new(axis);
        self
    }
}

impl Default for MinMaxNorm {
    /// Norms from 0 to 1.
    fn default() -> MinMaxNorm {
        MinMaxNorm::new(0.0, 1.0)
    }
}

impl ConstraintFunction for MinMaxNorm {
    fn class_name(&self) -> &str {
        "MinMaxNorm"
    }
    fn config(&self) -> Config {
        config! {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis.to_json(),
        }
    }
    fn apply(&self, parameter: &Value) -> Result<Value> {
        let norms = norms("MinMaxNorm", parameter, &self.axis)?;
        let bound = norms
            .maximum_scalar(self.min_value)?
            .minimum_scalar(self.max_value)?;
        let kept = norms.multiply_scalar(1.0 - self.rate)?;
        let desired = bound.multiply_scalar(self.rate)?.add(&kept)?;
        rescale(parameter, &desired, &norms)
    }
    fn check(&self) -> Result<()> {
        check_rate("MinMaxNorm", "min_value", self.min_value)?;
        check_rate("MinMaxNorm", "max_value", self.max_value)?;
        if self.min_value > self.max_value {
            let expected = format!("at most `max_value`, {}", self.max_value);
            return Err(Error::argument(
                "MinMaxNorm",
                "min_value",
                expected,
                self.min_value,
            ));
        }
        if !(0.0..=1.0).contains(&self.rate) {
            return Err(Error::argument(
                "MinMaxNorm",
                "rate",
                "from 0 to 1",
                self.rate,
            ));
        }
        Ok(())
    }
    fn from_config(arguments: &mut Arguments) -> Result<MinMaxNorm> {
        let mut constraint = MinMaxNorm::new(
            arguments.number("min_value")?.unwrap_or(0.0),
            arguments.number("max_value")?.unwrap_or(1.0),
        );
        constraint.rate = arguments.number("rate")?.unwrap_or(1.0);
        constraint.axis.take(arguments)?;
        Ok(constraint)
    }
}
