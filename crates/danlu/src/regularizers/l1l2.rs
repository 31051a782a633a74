//! Absolute values and squares.

use danlu_graph::{DType, Value};

use super::{L1, L2, RegularizerFunction, check_factor};
use crate::{Arguments, Config, Result, config};

/// `l1 sum |x| + l2 sum x^2` (Keras' `L1L2`). As in Keras a factor that is left out is 0.
#[derive(Clone, Debug, Default)]
pub struct L1L2 {
    l1: f64,
    l2: f64,
}

impl L1L2 {
    /// With these factors, at least 0.
    pub fn new(l1: f64, l2: f64) -> L1L2 {
        L1L2 { l1, l2 }
    }
}

impl RegularizerFunction for L1L2 {
    fn class_name(&self) -> &str {
        "L1L2"
    }
    fn config(&self) -> Config {
        config! { "l1": self.l1, "l2": self.l2 }
    }
    fn penalty(&self, value: &Value) -> Result<Value> {
        match (self.l1 == 0.0, self.l2 == 0.0) {
            (true, true) => Ok(value.graph().scalar(0.0, DType::F32)?),
            (false, true) => L1::new(self.l1).penalty(value),
            (true, false) => L2::new(self.l2).penalty(value),
            (false, false) => {
                let absolute = L1::new(self.l1).penalty(value)?;
                Ok(absolute.add(&L2::new(self.l2).penalty(value)?)?)
            }
        }
    }
    fn check(&self) -> Result<()> {
        check_factor("L1L2", "l1", self.l1)?;
        check_factor("L1L2", "l2", self.l2)
    }
    fn from_config(arguments: &mut Arguments) -> Result<L1L2> {
        Ok(L1L2 {
            l1: arguments.number("l1")?.unwrap_or(0.0),
            l2: arguments.number("l2")?.unwrap_or(0.0),
        })
    }
}
