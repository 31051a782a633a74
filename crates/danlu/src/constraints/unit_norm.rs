//! Norms of 1.

use danlu_graph::Value;

use super::ConstraintFunction;
use super::axes::{Axes, EPSILON};
use crate::{Arguments, Config, Result, config};

/// Vectors along `axis` are brought to norm 1 (Keras' `UnitNorm`). Default: axis 0, the weights of each unit of a `Dense`. For
/// a convolution's filters give `[0, 1, 2]`.
#[derive(Clone, Debug, Default)]
pub struct UnitNorm {
    axis: Axes,
}

impl UnitNorm {
    /// Along axis 0.
    pub fn new() -> UnitNorm {
        UnitNorm::default()
    }

    /// The axes that make one vector each; negative ones count from the end. Default `[0]`.
    #[must_use]
    pub fn axis(mut self, axis: impl IntoIterator<Item = isize>) -> UnitNorm {
        self.axis = Axes::new(axis);
        self
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
        let norms = self.axis.norms("UnitNorm", parameter)?;
        Ok(parameter.divide(&norms.add_scalar(EPSILON)?)?)
    }
    fn check(&self) -> Result<()> {
        self.axis.check("UnitNorm")
    }
    fn from_config(arguments: &mut Arguments) -> Result<UnitNorm> {
        let axis = Axes::take(arguments)?;
        Ok(UnitNorm { axis })
    }
}
