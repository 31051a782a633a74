//! A loss written as a closure.

use std::fmt;

use danlu_graph::Value;

use super::LossFunction;
use crate::{Config, Result};

type Function = dyn Fn(&Value, &Value) -> danlu_graph::Result<Value> + Send + Sync;

pub(super) struct CustomLoss {
    name: String,
    function: Box<Function>,
}

impl CustomLoss {
    pub fn new(
        name: &str,
        function: impl Fn(&Value, &Value) -> danlu_graph::Result<Value> + Send + Sync + 'static,
    ) -> CustomLoss {
        CustomLoss {
            name: name.to_owned(),
            function: Box::new(function),
        }
    }
}

impl fmt::Debug for CustomLoss {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CustomLoss({})", self.name)
    }
}

impl LossFunction for CustomLoss {
    /// The name: a file cannot hold the closure; `register_loss` makes known what the name stands for.
    fn class_name(&self) -> &str {
        &self.name
    }
    fn name(&self) -> &str {
        &self.name
    }
    fn config(&self) -> Config {
        Config::new()
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        Ok((self.function)(y_true, y_pred)?)
    }
}
