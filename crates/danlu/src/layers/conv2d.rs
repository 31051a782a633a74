//! Two-dimensional convolution.

use danlu_graph::operations::ConvolutionOptions;
use danlu_graph::{Shape, Value};

use super::dense::take_activation;
use super::padding::channels_last;
use super::parameters::parameter_methods;
use super::{BuildContext, CallContext, Layer, Padding, ParameterOptions};
use crate::activations::Activation;
use crate::choice::Choice;
use crate::{Arguments, Config, Error, Result, config};

/// `activation(convolution(x, kernel) + bias)`: `(batch, height, width, channels)` to `(batch, rows, columns, filters)`;
/// kernel `(height, width, channels / groups, filters)`, bias `(filters)`. Arguments and defaults are those of Keras'
/// `Conv2D` with channels last.
#[derive(Clone, Debug)]
pub struct Conv2D {
    filters: usize,
    kernel_size: [usize; 2],
    strides: [usize; 2],
    padding: Choice<Padding>,
    dilation_rate: [usize; 2],
    groups: usize,
    activation: Choice<Activation>,
    use_bias: bool,
    kernel: ParameterOptions,
    bias: ParameterOptions,
}

impl Conv2D {
    /// This many filters over windows of `[rows, columns]`.
    pub fn new(filters: usize, kernel_size: [usize; 2]) -> Conv2D {
        Conv2D {
            filters,
            kernel_size,
            strides: [1, 1],
            padding: Padding::Valid.into(),
            dilation_rate: [1, 1],
            groups: 1,
            activation: Activation::Linear.into(),
            use_bias: true,
            kernel: ParameterOptions::new("glorot_uniform"),
            bias: ParameterOptions::new("zeros"),
        }
    }

    /// The distance between windows, rows and columns. Default `[1, 1]`.
    #[must_use]
    pub fn strides(mut self, strides: [usize; 2]) -> Conv2D {
        self.strides = strides;
        self
    }

    /// `valid` (default) or `same`.
    #[must_use]
    pub fn padding(mut self, padding: impl Into<Choice<Padding>>) -> Conv2D {
        self.padding = padding.into();
        self
    }

    /// The distance between the kernel's taps, rows and columns. Default `[1, 1]`.
    #[must_use]
    pub fn dilation_rate(mut self, dilation_rate: [usize; 2]) -> Conv2D {
        self.dilation_rate = dilation_rate;
        self
    }

    /// Into how many groups channels and filters are cut; both must be multiples of it. Default 1.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Conv2D {
        self.groups = groups;
        self
    }

    /// The activation, by name or value. Default `linear`.
    #[must_use]
    pub fn activation(mut self, activation: impl Into<Choice<Activation>>) -> Conv2D {
        self.activation = activation.into();
        self
    }

    /// Whether a bias is added. Default `true`.
    #[must_use]
    pub fn use_bias(mut self, use_bias: bool) -> Conv2D {
        self.use_bias = use_bias;
        self
    }

    parameter_methods! {
        "kernel", "glorot_uniform": kernel, kernel_initializer, kernel_regularizer, kernel_constraint;
        "bias", "zeros": bias, bias_initializer, bias_regularizer, bias_constraint;
    }

    fn check(&self) -> Result<()> {
        let wrong = |argument: &str, expected: &str, received: String| {
            Err(Error::argument("Conv2D", argument, expected, received))
        };
        let positive = "at least 1";
        if self.filters == 0 {
            return wrong("filters", positive, self.filters.to_string());
        }
        if self.groups == 0 || !self.filters.is_multiple_of(self.groups) {
            let expected = format!("a divisor of the {} filters", self.filters);
            return wrong("groups", &expected, self.groups.to_string());
        }
        for (argument, sizes) in [
            ("kernel_size", self.kernel_size),
            ("strides", self.strides),
            ("dilation_rate", self.dilation_rate),
        ] {
            if sizes.contains(&0) {
                return wrong(argument, positive, format!("{sizes:?}"));
            }
        }
        let dilated = self.dilation_rate.iter().any(|&rate| rate > 1);
        if dilated && self.strides.iter().any(|&stride| stride > 1) {
            let received = format!("{:?} with strides {:?}", self.dilation_rate, self.strides);
            return wrong("dilation_rate", "1 where strides are above 1", received);
        }
        self.padding.resolve()?;
        self.activation.resolve()?;
        Ok(())
    }
}

impl Layer for Conv2D {
    fn class_name(&self) -> &str {
        "Conv2D"
    }

    fn build(&mut self, context: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        self.check()?;
        let shape = &inputs[0];
        let channels = match shape.dims() {
            [_, _, _, channels] => channels.as_fixed(),
            _ => None,
        };
        let Some(channels) = channels else {
            return Err(Error::mismatch(
                "the input of Conv2D",
                "(batch, height, width, channels)",
                shape.to_string(),
                "grey pictures have one channel: Reshape::new([height, width, 1]) adds the axis",
            ));
        };
        if channels % self.groups != 0 {
            let expected = format!("a divisor of the {channels} channels of the input");
            return Err(Error::argument("Conv2D", "groups", expected, self.groups));
        }
        let [rows, columns] = self.kernel_size;
        let kernel = [rows, columns, channels / self.groups, self.filters];
        context.parameter_with("kernel", &kernel, &self.kernel)?;
        match self.use_bias {
            true => context.parameter_with("bias", &[self.filters], &self.bias),
            false => self.bias.refuse_unused("Conv2D", "bias", "use_bias"),
        }
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let [height, width] = inputs[0].image_sizes()?;
        let padding = self.padding.resolve()?.to_graph().resolve(
            [&height, &width],
            self.kernel_size,
            self.strides,
            self.dilation_rate,
        )?;
        let options = ConvolutionOptions {
            strides: self.strides,
            dilations: self.dilation_rate,
            padding,
            groups: self.groups,
        };
        let mut y = inputs[0].conv2d(&context.parameter("kernel")?, options)?;
        if self.use_bias {
            y = y.add(&context.parameter("bias")?)?;
        }
        self.activation.resolve()?.apply(&y)
    }

    fn config(&self) -> Config {
        let mut config = config! {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding.name(),
            "data_format": "channels_last",
            "dilation_rate": self.dilation_rate,
            "groups": self.groups,
            "activation": self.activation.to_json(),
            "use_bias": self.use_bias,
            "activity_regularizer": null,
        };
        ParameterOptions::write(
            &mut config,
            [("kernel", &self.kernel), ("bias", &self.bias)],
        );
        config
    }

    fn from_config(arguments: &mut Arguments) -> Result<Conv2D> {
        let filters = arguments.positive("filters")?;
        let filters = arguments.required("filters", filters)?;
        let kernel_size = arguments.pair("kernel_size")?;
        let mut layer = Conv2D::new(filters, arguments.required("kernel_size", kernel_size)?);
        layer.strides = arguments.pair("strides")?.unwrap_or([1, 1]);
        layer.padding = Choice::from_arguments(arguments)?;
        channels_last(arguments)?;
        layer.dilation_rate = arguments.pair("dilation_rate")?.unwrap_or([1, 1]);
        layer.groups = arguments.positive("groups")?.unwrap_or(1);
        layer.activation = take_activation(arguments)?;
        layer.use_bias = arguments.boolean("use_bias")?.unwrap_or(true);
        layer.kernel.take(arguments, "kernel")?;
        layer.bias.take_where(layer.use_bias, arguments, "bias")?;
        layer.check()?;
        Ok(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn conv2d_passes_the_harness() {
        harness::check(Conv2D::new(3, [3, 2]).activation("tanh"), &[5, 4, 2]);
        let layer = Conv2D::new(4, [2, 2]).groups(2).use_bias(false);
        harness::check(layer.dilation_rate([1, 2]), &[4, 5, 2]);
        let layer = Conv2D::new(2, [3, 3]).strides([2, 2]).padding("same");
        harness::check(layer, &[5, 6, 1]);
    }

    #[test]
    fn wrong_arguments_are_errors() {
        harness::refuses(
            Conv2D::new(2, [0, 3]),
            &[4, 4, 1],
            "`kernel_size` must be at least 1",
        );
        harness::refuses(
            Conv2D::new(2, [3, 3]),
            &[4, 4],
            "(batch, height, width, channels)",
        );
        harness::refuses(Conv2D::new(2, [5, 5]), &[4, 4, 1], "use a smaller kernel");
        harness::refuses(Conv2D::new(3, [2, 2]).groups(3), &[4, 4, 4], "4 channels");
        harness::refuses(Conv2D::new(2, [3, 3]).padding("smae"), &[4, 4, 1], "`same`");
    }

    #[test]
    fn channels_first_is_refused() {
        let config = config! { "filters": 2, "kernel_size": 3, "data_format": "channels_first" };
        let error = Conv2D::from_config(&mut Arguments::new("Conv2D", config)).unwrap_err();
        assert!(error.to_string().contains("channels_first"), "{error}");
    }
}
