//! Activation functions.

use danlu_graph::Value;

use crate::choice::{Choice, FromName};
use crate::config::{Described, described};
use crate::{Error, Result};

/// A function of each element, or, for softmax, of the last axis. Shapes stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// `x`
    #[default]
    Linear,
    /// `max(x, 0)`
    Relu,
    /// `1 / (1 + e^-x)`
    Sigmoid,
    /// Hyperbolic tangent
    Tanh,
    /// `e^x / sum e^x` along the last axis
    Softmax,
}

impl Activation {
    /// Every activation.
    pub const ALL: [Activation; 5] = [
        Activation::Linear,
        Activation::Relu,
        Activation::Sigmoid,
        Activation::Tanh,
        Activation::Softmax,
    ];

    /// Keras' name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Activation::Linear => "linear",
            Activation::Relu => "relu",
            Activation::Sigmoid => "sigmoid",
            Activation::Tanh => "tanh",
            Activation::Softmax => "softmax",
        }
    }

    /// Its value, of the shape of `x`.
    ///
    /// # Errors
    /// `x` is not of floats; softmax of a value without axes.
    pub fn apply(self, x: &Value) -> Result<Value> {
        Ok(match self {
            Activation::Linear => x.clone(),
            Activation::Relu => x.relu()?,
            Activation::Sigmoid => x.sigmoid()?,
            Activation::Tanh => x.tanh()?,
            Activation::Softmax => x.softmax()?,
        })
    }

    /// As a config holds it: a name, or a function of Keras' as an object.
    pub(crate) fn from_json(owner: &str, value: &serde_json::Value) -> Result<Choice<Activation>> {
        Ok(match described(owner, "activation", value)? {
            Described::Name(name) => Choice::Name(name),
            Described::Object(class, _) => Choice::Name(crate::config::snake_case(&class)),
        })
    }
}

impl FromName for Activation {
    fn from_name(name: &str) -> Result<Activation> {
        Activation::ALL
            .into_iter()
            .find(|activation| activation.name() == name)
            .ok_or_else(|| {
                Error::unknown("activation", name, Activation::ALL.map(Activation::name))
            })
    }
}

impl From<Activation> for Choice<Activation> {
    fn from(activation: Activation) -> Choice<Activation> {
        Choice::Value(activation)
    }
}

impl Choice<Activation> {
    /// The name, whether it stands for something or not.
    pub(crate) fn name(&self) -> &str {
        match self {
            Choice::Value(activation) => activation.name(),
            Choice::Name(name) => name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_activation_is_an_error_with_a_suggestion() {
        let error = Activation::from_name("rleu").unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no activation named `rleu`; did you mean `relu`?"
        );
    }
}
