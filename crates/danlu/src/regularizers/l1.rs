//! The sum of absolute values.

use danlu_graph::Value;

use super::{RegularizerFunction, check_factor};
use crate::{Arguments, Config, Result, config};

/// `l1 sum |x|` (Keras' `L1`): draws numbers to exactly 0.
#[derive(Clone, Debug)]
pub struct L1 {
    l1: f64,
}

impl L1 {
    /// With this factor, at least 0.
    pub fn new(l1: f64) -> L1 {
        L1 { l1 }
    }
}

impl Default for L1 {
    /// A factor of 0.01.
    fn default() -> L1 {
        L1::new(0.01)
    }
}

impl RegularizerFunction for L1 {
    fn class_name(&self) -> &str {
        "L1"
    }
    fn config(&self) -> Config {
        config! { "l1": self.l1 }
    }
    fn penalty(&self, value: &Value) -> Result<Value> {
        Ok(value.abs()?.sum_all()?.multiply_scalar(self.l1)?)
    }
    fn check(&self) -> Result<()> {
        check_factor("L1", "l1", self.l1)
    }
    fn from_config(arguments: &mut Arguments) -> Result<L1> {
        Ok(L1::new(arguments.number("l1")?.unwrap_or(0.01)))
    }
}
