//! Norms of at most so much.

use danlu_graph::Value;

use super::ConstraintFunction;
use super::norms::{norms, rescale};
use crate::axes::Axes;
use crate::optimizers::check_rate;
use crate::{Arguments, Config, Result, config};

/// Vectors along `axis` whose norm is above `max_value` are shortened to it (Keras' `MaxNorm`; Srivastava et al. 2014).
/// Default: 2, axis 0: the weights of each unit of a `Dense`. For a convolution's filters give `[0, 1, 2]`.
#[derive(Clone, Debug)]
pub struct MaxNorm {
    max_value: f64,
    axis: Axes,
}

impl MaxNorm {
    /// With this largest norm, at least 0, along axis 0.
    pub fn new(max_value: f64) -> MaxNorm {
        MaxNorm {
            max_value,
            axis: Axes::new([0]),
        }
    }

    /// The axes that make one vector each; negative ones count from the end. Default `[0]`.
    #[must_use]
    pub fn axis(mut self, axis: impl IntoIterator<Item = isize>) -> MaxNorm {
        self.axis = Axes::new(axis);
        self
    }
}

impl Default for MaxNorm {
    /// A norm of 2 along axis 0.
    fn default() -> MaxNorm {
        MaxNorm::new(2.0)
    }
}

impl ConstraintFunction for MaxNorm {
    fn class_name(&self) -> &str {
        "MaxNorm"
    }
    fn config(&self) -> Config {
        config! { "max_value": self.max_value, "axis": self.axis.to_json() }
    }
    fn apply(&self, parameter: &Value) -> Result<Value> {
        let norms = norms("MaxNorm", parameter, &self.axis)?;
        rescale(parameter, &norms.minimum_scalar(self.max_value)?, &norms)
    }
    fn check(&self) -> Result<()> {
        check_rate("MaxNorm", "max_value", self.max_value)
    }
    fn from_config(arguments: &mut Arguments) -> Result<MaxNorm> {
        let mut constraint = MaxNorm::new(arguments.number("max_value")?.unwrap_or(2.0));
        constraint.axis.take(arguments)?;
        Ok(constraint)
    }
}
