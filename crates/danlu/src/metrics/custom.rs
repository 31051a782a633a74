//! A metric written as a closure.

use std::fmt;

use danlu_graph::Value;

use super::MetricFunction;
use crate::{Config, Result};

type Function = dyn Fn(&Value, &Value) -> danlu_graph::Result<Value> + Send + Sync;

pub(super) struct CustomMetric {
    name: String,
    function: Box<Function>,
}

impl CustomMetric {
    pub fn new(
        name: &str,
        function: impl Fn(&Value, &Value) -> danlu_graph::Result<Value> + Send + Sync + 'static,
    ) -> CustomMetric {
        CustomMetric {
            name: name.to_owned(),
            function: Box::new(function),
        }
    }
}

impl fmt::Debug for CustomMetric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "CustomMetric({})", self.name)
    }
}

impl MetricFunction for CustomMetric {
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
