//! The fully connected layer.

use danlu_graph::{Shape, Value};

use super::parameters::parameter_methods;
use super::{BuildContext, CallContext, Layer, ParameterOptions};
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
    kernel: ParameterOptions,
    bias: ParameterOptions,
}

impl Dense {
    /// A layer of this many units, linear, with a bias.
    pub fn new(units: usize) -> Dense {
        Dense {
            units,
            activation: Activation::Linear.into(),
            use_bias: true,
            kernel: ParameterOptions::new("glorot_uniform"),
            bias: ParameterOptions::new("zeros"),
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

    parameter_methods! {
        "kernel", "glorot_uniform": kernel, kernel_initializer, kernel_regularizer, kernel_constraint;
        "bias", "zeros": bias, bias_initializer, bias_regularizer, bias_constraint;
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
        context.parameter_with("kernel", &[size, self.units], &self.kernel)?;
        match self.use_bias {
            true => context.parameter_with("bias", &[self.units], &self.bias),
            false => self.bias.refuse_unused("Dense", "bias", "use_bias"),
        }
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let mut y = inputs[0].matmul(&context.parameter("kernel")?)?;
        if self.use_bias {
            y = y.add(&context.parameter("bias")?)?;
        }
        self.activation.resolve()?.apply(&y)
    }

    fn config(&self) -> Config {
        let mut config = config! {
            "units": self.units,
            "activation": self.activation.to_json(),
            "use_bias": self.use_bias,
        };
        ParameterOptions::write(
            &mut config,
            [("kernel", &self.kernel), ("bias", &self.bias)],
        );
        config
    }

    fn from_config(arguments: &mut Arguments) -> Result<Dense> {
        let units = arguments.positive("units")?;
        let mut layer = Dense::new(arguments.required("units", units)?);
        layer.activation = take_activation(arguments)?;
        layer.use_bias = arguments.boolean("use_bias")?.unwrap_or(true);
        layer.kernel.take(arguments, "kernel")?;
        layer.bias.take_where(layer.use_bias, arguments, "bias")?;
        for argument in ["lora_rank", "lora_alpha", "quantization_config"] {
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
