//! A penalty on what passes through.

use danlu_graph::{Shape, Value};

use super::{BuildContext, CallContext, Layer};
use crate::regularizers::{L1L2, Regularizer};
use crate::{Arguments, Config, Result, config};

/// Passes its input on, and adds `(l1 sum |x| + l2 sum x^2) / examples` to the loss (Keras' `ActivityRegularization`).
#[derive(Clone, Debug)]
pub struct ActivityRegularization {
    l1: f64,
    l2: f64,
}

impl ActivityRegularization {
    /// With these factors, at least 0.
    pub fn new(l1: f64, l2: f64) -> ActivityRegularization {
        ActivityRegularization { l1, l2 }
    }

    fn regularizer(&self) -> Regularizer {
        Regularizer::new(L1L2::new(self.l1, self.l2))
    }
}

impl Layer for ActivityRegularization {
    fn class_name(&self) -> &str {
        "ActivityRegularization"
    }

    fn build(&mut self, _: &mut BuildContext, _: &[Shape]) -> Result<()> {
        self.regularizer().function().check()
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        context.add_activity(&self.regularizer(), &inputs[0])?;
        Ok(inputs[0].clone())
    }

    fn config(&self) -> Config {
        config! { "l1": self.l1, "l2": self.l2 }
    }

    fn from_config(arguments: &mut Arguments) -> Result<ActivityRegularization> {
        Ok(ActivityRegularization {
            l1: arguments.number("l1")?.unwrap_or(0.0),
            l2: arguments.number("l2")?.unwrap_or(0.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn activity_regularization_passes_the_harness() {
        harness::check(ActivityRegularization::new(0.01, 0.02), &[4]);
        let layer = ActivityRegularization::new(-1.0, 0.0);
        harness::refuses(layer, &[4], "`l1` must be a number of at least 0");
    }
}
