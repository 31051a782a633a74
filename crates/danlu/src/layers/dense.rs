//! The fully connected layer.

use danlu_graph::{Shape, Value};

use super::{BuildContext, CallContext, Layer};
use crate::activations::Activation;
use crate::choice::Choice;
use crate::initializers::Initializer;
use crate::{Arguments, Config, Error, Result, config};

/// `activation(x kernel + bias)` over the last axis: `(batch, ..., inputs)` to `(batch, ..., units)`; kernel
/// `(inputs, units)`, bias `(units)`. Arguments and defaults are those of Keras' `Dense`.
#[derive(Clone, Debug)]
pub struct Dense {
    units: usize,
    activation: Choice<Activation>,
    use_bias: bool,
    kernel_initializer: Choice<Initializer>,
    bias_initializer: Choice<Initializer>,
}

impl Dense {
    /// A layer of this many units, linear, with a bias.
    pub fn new(units: usize) -> Dense {
        Dense {
            units,
            activation: Activation::Linear.into(),
            use_bias: true,
            kernel_initializer: "glorot_uniform".into(),
            bias_initializer: "zeros".into(),
        }
    }

    /// The activation, by name or value. Default `linear`.
    #[must_use]
    pub fn activation(mut self, activation: impl Into<Choice<Activation>>) -> Dense {
        self.activation = activation.into();
        self
    }

    /// Whether a bias is added. Default `true`.
    #[must_use]
    pub fn use_bias(mut self, use_bias: bool) -> Dense {
        self.use_bias = use_bias;
        self
    }

    /// How the kernel begins. Default `glorot_uniform`.
    #[must_use]
    pub fn kernel_initializer(mut self, initializer: impl Into<Choice<Initializer>>) -> Dense {
        self.kernel_initializer = initializer.into();
        self
    }

    /// How the bias begins. Default `zeros`.
    #[must_use]
    pub fn bias_initializer(mut self, initializer: impl Into<Choice<Initializer>>) -> Dense {
        self.bias_initializer = initializer.into();
        self
    }
}

impl Layer for Dense {
    fn class_name(&self) -> &str {
        "Dense"
    }

    fn build(&mut self, context: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        if self.units == 0 {
            return Err(Error::argument("Dense", "units", "at least 1", 0));
        }
        self.activation.resolve()?;
        let shape = &inputs[0];
        let size = match shape.dims() {
            [_, .., last] => last.as_fixed(),
            _ => None,
        };
        let Some(size) = size else {
            return Err(Error::mismatch(
                "the input of Dense",
                "(batch, ..., inputs) with a fixed number of inputs",
                shape.to_string(),
                "",
            ));
        };
        context.parameter(
            "kernel",
            &[size, self.units],
            self.kernel_initializer.clone(),
        )?;
        if self.use_bias {
            context.parameter("bias", &[self.units], self.bias_initializer.clone())?;
        }
        Ok(())
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let mut y = inputs[0].matmul(&context.parameter("kernel")?)?;
        if self.use_bias {
            y = y.add(&context.parameter("bias")?)?;
        }
        self.activation.resolve()?.apply(&y)
    }

    fn config(&self) -> Config {
        config! {
            "units": self.units,
            "activation": self.activation.to_json(),
            "use_bias": self.use_bias,
            "kernel_initializer": self.kernel_initializer.to_json(),
            "bias_initializer": self.bias_initializer.to_json(),
            "kernel_regularizer": null,
            "bias_regularizer": null,
            "kernel_constraint": null,
            "bias_constraint": null,
        }
    }

    fn from_config(arguments: &mut Arguments) -> Result<Dense> {
        let units = arguments.positive("units")?;
        let mut layer = Dense::new(arguments.required("units", units)?);
        layer.activation = take_activation(arguments)?;
        layer.use_bias = arguments.boolean("use_bias")?.unwrap_or(true);
        take_initializer(
            arguments,
            "kernel_initializer",
            &mut layer.kernel_initializer,
        )?;
        take_initializer(arguments, "bias_initializer", &mut layer.bias_initializer)?;
        for argument in [
            "kernel_regularizer",
            "bias_regularizer",
            "activity_regularizer",
            "kernel_constraint",
            "bias_constraint",
            "lora_rank",
            "lora_alpha",
            "quantization_config",
        ] {
            arguments.unsupported(argument, &[])?;
        }
        Ok(layer)
    }
}

/// Takes the argument `activation`, linear where it is not given.
pub(super) fn take_activation(arguments: &mut Arguments) -> Result<Choice<Activation>> {
    match arguments.take("activation") {
        Some(value) => {
            let activation = Activation::from_json(arguments.owner(), &value)?;
            Ok(Choice::Value(activation.resolve()?))
        }
        None => Ok(Activation::Linear.into()),
    }
}

/// Takes an initializer, leaving `initializer` as it is where none is given.
pub(super) fn take_initializer(
    arguments: &mut Arguments,
    argument: &str,
    initializer: &mut Choice<Initializer>,
) -> Result<()> {
    if let Some(value) = arguments.take(argument) {
        let choice = Initializer::from_json(arguments, argument, &value)?;
        *initializer = Choice::Value(choice.resolve()?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn dense_passes_the_harness() {
        harness::check(Dense::new(3).activation("tanh"), &[4]);
        harness::check(Dense::new(2).activation("softmax").use_bias(false), &[3, 4]);
    }

    #[test]
    fn wrong_arguments_are_errors() {
        harness::refuses(Dense::new(0), &[4], "`units` must be at least 1");
        harness::refuses(
            Dense::new(2).activation("rleu"),
            &[4],
            "did you mean `relu`?",
        );
        harness::refuses(
            Dense::new(2).kernel_initializer("glorot_unifrom"),
            &[4],
            "did you mean `glorot_uniform`?",
        );
    }
}
