//! The sum of squares.

use danlu_graph::Value;

use super::{RegularizerFunction, check_factor};
use crate::{Arguments, Config, Result, config};

/// `l2 sum x^2` (Keras' `L2`): draws numbers towards 0, the larger the more.
#[derive(Clone, Debug)]
pub struct L2 {
    l2: f64,
}

impl L2 {
    /// With this factor, at least 0.
    pub fn new(l2: f64) -> L2 {
        L2 { l2 }
    }
}

impl Default for L2 {
    /// A factor of 0.01.
    fn default() -> L2 {
        L2::new(0.01)
    }
}

impl RegularizerFunction for L2 {
    fn class_name(&self) -> &str {
        "L2"
    }
    fn config(&self) -> Config {
        config! { "l2": self.l2 }
    }
    fn penalty(&self, value: &Value) -> Result<Value> {
        Ok(value.square()?.sum_all()?.multiply_scalar(self.l2)?)
    }
    fn check(&self) -> Result<()> {
        check_factor("L2", "l2", self.l2)
    }
    fn from_config(arguments: &mut Arguments) -> Result<L2> {
        Ok(L2::new(arguments.number("l2")?.unwrap_or(0.01)))
    }
}
