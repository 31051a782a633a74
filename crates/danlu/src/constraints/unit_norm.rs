//! Norms of 1.

use danlu_graph::Value;

use super::ConstraintFunction;
use super::norms::{EPSILON, norms};
use crate::axes::Axes;
use crate::{Arguments, Config, Result, config};

/// Vectors along `axis` are brought to norm 1 (Keras' `UnitNorm`). Default: axis 0, the weights of each unit of a `Dense`. For
/// a convolution's filters give `[0, 1, 2]`.
#[derive(Clone, Debug)]
pub struct UnitNorm {
    axis: Axes,
}

impl UnitNorm {
    /// Along axis 0.
    pub fn new() -> UnitNorm {
        UnitNorm {
            axis: Axes::new([0]),
        }
    }

    /// The axes that make one vector each; negative ones count from the end. Default `[0]`.
    #[must_use]
    pub fn axis(mut self, axis: impl IntoIterator<Item = isize>) -> UnitNorm {
        self.axis = Axes::new(axis);
        self
    }
}

impl Default for UnitNorm {
    /// Along axis 0.
    fn default() -> UnitNorm {
        UnitNorm::new()
    }
}

impl ConstraintFunction for UnitNorm {
    fn class_name(&self) -> &str {
        "UnitNorm"
    }
    fn config(&self) -> Config {
        config! { "axis": self.axis.to_json() }
    }
    fn apply(&self, parameter: &Value) -> Result<Value> {
        let norms = norms("UnitNorm", parameter, &self.axis)?;
        Ok(parameter.divide(&norms.add_scalar(EPSILON)?)?)
    }
    fn from_config(arguments: &mut Arguments) -> Result<UnitNorm> {
        let mut constraint = UnitNorm::new();
        constraint.axis.take(arguments)?;
        Ok(constraint)
    }
}
