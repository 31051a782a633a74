//! An activation as a layer of its own.

use danlu_graph::{Shape, Value};

use super::{BuildContext, CallContext, Layer};
use crate::activations::Activation as Function;
use crate::choice::Choice;
use crate::{Arguments, Config, Result, config};

/// An activation function as a layer; the shape stays as it is (Keras' `Activation`).
#[derive(Clone, Debug)]
pub struct Activation {
    activation: Choice<Function>,
}

impl Activation {
    /// This function, by name or value.
    pub fn new(activation: impl Into<Choice<Function>>) -> Activation {
        Activation {
            activation: activation.into(),
        }
    }
}

impl Layer for Activation {
    fn class_name(&self) -> &str {
        "Activation"
    }

    fn build(&mut self, _: &mut BuildContext, _: &[Shape]) -> Result<()> {
        self.activation.resolve().map(drop)
    }

    fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
        self.activation.resolve()?.apply(&inputs[0])
    }

    fn config(&self) -> Config {
        config! { "activation": self.activation.to_json() }
    }

    fn from_config(arguments: &mut Arguments) -> Result<Activation> {
        let activation = arguments.take("activation");
        let activation = arguments.required("activation", activation)?;
        let activation = Function::from_json(arguments.owner(), &activation)?;
        Ok(Activation {
            activation: activation.resolve()?.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn every_activation_passes_the_harness() {
        for function in Function::ALL {
            harness::check(Activation::new(function), &[3, 4]);
        }
    }
}
