//! Nothing below 0.

use danlu_graph::Value;

use super::ConstraintFunction;
use crate::{Arguments, Config, Result};

/// Numbers below 0 become 0 (Keras' `NonNeg`).
#[derive(Clone, Debug, Default)]
pub struct NonNeg;

impl ConstraintFunction for NonNeg {
    fn class_name(&self) -> &str {
        "NonNeg"
    }
    fn config(&self) -> Config {
        Config::new()
    }
    fn apply(&self, parameter: &Value) -> Result<Value> {
        Ok(parameter.maximum_scalar(0.0)?)
    }
    fn from_config(_: &mut Arguments) -> Result<NonNeg> {
        Ok(NonNeg)
    }
}
