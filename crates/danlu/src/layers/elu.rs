//! The layer `ELU`.

use danlu_graph::{Shape, Value};

use super::{BuildContext, CallContext, Layer};
use crate::activations::Activation;
use crate::{Arguments, Config, Result, config};

/// `x` above 0 and `alpha (e^x - 1)` elsewhere (Clevert et al. 2016; Keras' `ELU`).
#[derive(Clone, Debug)]
pub struct ELU {
    alpha: f64,
}

impl ELU {
    /// With alpha 1.
    pub fn new() -> ELU {
        ELU { alpha: 1.0 }
    }

    /// Minus the value that far negative elements go to.
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> ELU {
        self.alpha = alpha;
        self
    }

    fn function(&self) -> Activation {
        Activation::Elu { alpha: self.alpha }
    }
}

impl Default for ELU {
    fn default() -> ELU {
        ELU::new()
    }
}

impl Layer for ELU {
    fn class_name(&self) -> &str {
        "ELU"
    }

    fn build(&mut self, _: &mut BuildContext, _: &[Shape]) -> Result<()> {
        self.function().check()
    }

    fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
        self.function().apply(&inputs[0])
    }

    fn config(&self) -> Config {
        config! { "alpha": self.alpha }
    }

    fn from_config(arguments: &mut Arguments) -> Result<ELU> {
        let layer = ELU {
            alpha: arguments.number("alpha")?.unwrap_or(1.0),
        };
        layer.function().check()?;
        Ok(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn elu_passes_the_harness() {
        harness::check(ELU::new().alpha(0.5), &[3, 4]);
        harness::check(ELU::default(), &[3]);
        harness::refuses(ELU::new().alpha(f64::INFINITY), &[2], "`alpha`");
    }
}
