//! Nothing.

use danlu_graph::{Shape, Value};

use super::{BuildContext, CallContext, Layer};
use crate::{Arguments, Config, Result};

/// Passes its input on (Keras' `Identity`).
#[derive(Clone, Debug, Default)]
pub struct Identity {}

impl Identity {
    /// The layer.
    pub fn new() -> Identity {
        Identity {}
    }
}

impl Layer for Identity {
    fn class_name(&self) -> &str {
        "Identity"
    }

    fn build(&mut self, _: &mut BuildContext, _: &[Shape]) -> Result<()> {
        Ok(())
    }

    fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
        Ok(inputs[0].clone())
    }

    fn config(&self) -> Config {
        Config::new()
    }

    fn from_config(_: &mut Arguments) -> Result<Identity> {
        Ok(Identity {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn identity_passes_the_harness() {
        harness::check(Identity::new(), &[3, 2]);
    }
}
