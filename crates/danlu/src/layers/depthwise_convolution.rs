//! Convolutions of each channel by itself, and those with a product of all channels behind.

use danlu_graph::operations::ConvolutionOptions;
use danlu_graph::{Dim, Shape, Value};

use super::dense::take_activation;
use super::parameters::parameter_methods;
use super::sizes::{Sizes, check_sizes, spatial_sizes};
use super::windows::{Windows, as_picture, as_picture_kernel, channels_of, from_picture};
use super::{BuildContext, CallContext, Layer, Padding, ParameterOptions};
use crate::activations::Activation;
use crate::choice::Choice;
use crate::{Arguments, Config, Error, Result, config};

/// `activation(convolution of each channel by itself + bias)` over `N` axes: [`DepthwiseConv1D`] and [`DepthwiseConv2D`].
#[derive(Clone, Debug)]
pub struct DepthwiseConvolution<const N: usize> {
    windows: Windows<N>,
    depth_multiplier: usize,
    activation: Choice<Activation>,
    use_bias: bool,
    depthwise: ParameterOptions,
    bias: ParameterOptions,
}

/// `(batch, length, channels)` to `(batch, windows, channels depth_multiplier)`; kernel `(size, channels,
/// depth_multiplier)`, bias `(channels depth_multiplier)`. Arguments and defaults are those of Keras' `DepthwiseConv1D` with
/// channels last.
pub type DepthwiseConv1D = DepthwiseConvolution<1>;

/// `(batch, height, width, channels)` to `(batch, rows, columns, channels depth_multiplier)`; kernel `(height, width,
/// channels, depth_multiplier)`, bias `(channels depth_multiplier)`. Arguments and defaults are those of Keras'
/// `DepthwiseConv2D` with channels last.
pub type DepthwiseConv2D = DepthwiseConvolution<2>;

/// `activation(depthwise convolution, then a product of all channels, + bias)` over `N` axes: [`SeparableConv1D`] and
/// [`SeparableConv2D`].
#[derive(Clone, Debug)]
pub struct SeparableConvolution<const N: usize> {
    filters: usize,
    windows: Windows<N>,
    depth_multiplier: usize,
    activation: Choice<Activation>,
    use_bias: bool,
    depthwise: ParameterOptions,
    pointwise: ParameterOptions,
    bias: ParameterOptions,
}

/// `(batch, length, channels)` to `(batch, windows, filters)`; depthwise kernel `(size, channels, depth_multiplier)`,
/// pointwise kernel `(1, channels depth_multiplier, filters)`, bias `(filters)`. Arguments and defaults are those of Keras'
/// `SeparableConv1D` with channels last.
pub type SeparableConv1D = SeparableConvolution<1>;

/// `(batch, height, width, channels)` to `(batch, rows, columns, filters)`; depthwise kernel `(height, width, channels,
/// depth_multiplier)`, pointwise kernel `(1, 1, channels depth_multiplier, filters)`, bias `(filters)`. Arguments and
/// defaults are those of Keras' `SeparableConv2D` with channels last.
pub type SeparableConv2D = SeparableConvolution<2>;

/// What both kinds are built with.
macro_rules! depthwise_methods {
    () => {
        /// The distance between windows along each axis. Default 1.
        #[must_use]
        pub fn strides(mut self, strides: impl Into<Sizes<N>>) -> Self {
            self.windows.strides = strides.into().0;
            self
        }

        /// `valid` (default) or `same`.
        #[must_use]
        pub fn padding(mut self, padding: impl Into<Choice<Padding>>) -> Self {
            self.windows.padding = padding.into();
            self
        }

        /// The distance between the kernel's taps along each axis. Default 1.
        #[must_use]
        pub fn dilation_rate(mut self, dilation_rate: impl Into<Sizes<N>>) -> Self {
            self.windows.dilation_rate = dilation_rate.into().0;
            self
        }

        /// How many results each channel gives. Default 1.
        #[must_use]
        pub fn depth_multiplier(mut self, depth_multiplier: usize) -> Self {
            self.depth_multiplier = depth_multiplier;
            self
        }

        /// The activation, by name or value. Default `linear`.
        #[must_use]
        pub fn activation(mut self, activation: impl Into<Choice<Activation>>) -> Self {
            self.activation = activation.into();
            self
        }

        /// Whether a bias is added. Default `true`.
        #[must_use]
        pub fn use_bias(mut self, use_bias: bool) -> Self {
            self.use_bias = use_bias;
            self
        }
    };
}

/// Fails where the arguments that both kinds have are no good.
fn check<const N: usize>(
    class: &str,
    windows: &Windows<N>,
    depth_multiplier: usize,
    activation: &Choice<Activation>,
) -> Result<()> {
    windows.check(class)?;
    windows.padding.resolve()?.refuse_causal(class)?;
    check_sizes(class, "depth_multiplier", &[depth_multiplier])?;
    activation.resolve().map(drop)
}

/// The shape of a kernel for each channel by itself.
fn depthwise_shape<const N: usize>(
    windows: &Windows<N>,
    channels: usize,
    depth_multiplier: usize,
) -> Vec<usize> {
    let mut shape = windows.kernel_size.to_vec();
    shape.extend([channels, depth_multiplier]);
    shape
}

/// Each channel by itself is a group of a convolution; its results stand side by side. Gives a picture.
fn depthwise<const N: usize>(
    class: &str,
    windows: &Windows<N>,
    x: &Value,
    kernel: &Value,
) -> Result<Value> {
    let sizes = spatial_sizes::<N>(class, &x.shape())?;
    let channels = channels_of::<N>(class, &x.shape())?;
    let kernel = as_picture_kernel(kernel)?;
    let mut dims = kernel.shape().dims().to_vec();
    dims[3] = &dims[2] * &dims[3];
    dims[2] = Dim::fixed(1);
    let kernel = kernel.reshape(&Shape::from(dims))?;
    let options = windows.options(&sizes, channels)?;
    Ok(as_picture(x)?.conv2d(&kernel, options)?)
}

impl<const N: usize> DepthwiseConvolution<N> {
    /// Its name; another number of axes does not compile.
    const CLASS: &str = match N {
        1 => "DepthwiseConv1D",
        2 => "DepthwiseConv2D",
        _ => panic!("depthwise convolutions are over one or two axes"),
    };

    /// Over windows of this size: one number for each axis, or one for all.
    pub fn new(kernel_size: impl Into<Sizes<N>>) -> Self {
        DepthwiseConvolution {
            windows: Windows::new(kernel_size),
            depth_multiplier: 1,
            activation: Activation::Linear.into(),
            use_bias: true,
            depthwise: ParameterOptions::new("glorot_uniform"),
            bias: ParameterOptions::new("zeros"),
        }
    }

    depthwise_methods!();

    parameter_methods! {
        "kernel", "glorot_uniform": depthwise, depthwise_initializer, depthwise_regularizer, depthwise_constraint;
        "bias", "zeros": bias, bias_initializer, bias_regularizer, bias_constraint;
    }

    fn check(&self) -> Result<()> {
        check(
            Self::CLASS,
            &self.windows,
            self.depth_multiplier,
            &self.activation,
        )
    }
}

impl<const N: usize> Layer for DepthwiseConvolution<N> {
    fn class_name(&self) -> &str {
        Self::CLASS
    }

    fn build(&mut self, context: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        self.check()?;
        let channels = channels_of::<N>(Self::CLASS, &inputs[0])?;
        self.windows.check_span(Self::CLASS, &inputs[0])?;
        let shape = depthwise_shape(&self.windows, channels, self.depth_multiplier);
        context.parameter_with("kernel", &shape, &self.depthwise)?;
        let results = channels.saturating_mul(self.depth_multiplier);
        match self.use_bias {
            true => context.parameter_with("bias", &[results], &self.bias),
            false => self.bias.refuse_unused(Self::CLASS, "bias", "use_bias"),
        }
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let kernel = context.parameter("kernel")?;
        let y = depthwise(Self::CLASS, &self.windows, &inputs[0], &kernel)?;
        let mut y = from_picture(&y, N + 2)?;
        if self.use_bias {
            y = y.add(&context.parameter("bias")?)?;
        }
        self.activation.resolve()?.apply(&y)
    }

    fn config(&self) -> Config {
        let mut config = config! { "depth_multiplier": self.depth_multiplier };
        self.windows.write(&mut config);
        config.extend(config! {
            "activation": self.activation.to_json(),
            "use_bias": self.use_bias,
            "activity_regularizer": null,
        });
        ParameterOptions::write(
            &mut config,
            [("depthwise", &self.depthwise), ("bias", &self.bias)],
        );
        config
    }

    fn from_config(arguments: &mut Arguments) -> Result<Self> {
        let mut layer = DepthwiseConvolution {
            windows: Windows::from_arguments(arguments)?,
            ..DepthwiseConvolution::new(1)
        };
        layer.depth_multiplier = arguments.positive("depth_multiplier")?.unwrap_or(1);
        layer.activation = take_activation(arguments)?;
        layer.use_bias = arguments.boolean("use_bias")?.unwrap_or(true);
        layer.depthwise.take(arguments, "depthwise")?;
        layer.bias.take_where(layer.use_bias, arguments, "bias")?;
        layer.check()?;
        Ok(layer)
    }
}

impl<const N: usize> SeparableConvolution<N> {
    /// Its name; another number of axes does not compile.
    const CLASS: &str = match N {
        1 => "SeparableConv1D",
        2 => "SeparableConv2D",
        _ => panic!("separable convolutions are over one or two axes"),
    };

    /// This many filters over windows of this size: one number for each axis, or one for all.
    pub fn new(filters: usize, kernel_size: impl Into<Sizes<N>>) -> Self {
        SeparableConvolution {
            filters,
            windows: Windows::new(kernel_size),
            depth_multiplier: 1,
            activation: Activation::Linear.into(),
            use_bias: true,
            depthwise: ParameterOptions::new("glorot_uniform"),
            pointwise: ParameterOptions::new("glorot_uniform"),
            bias: ParameterOptions::new("zeros"),
        }
    }

    depthwise_methods!();

    parameter_methods! {
        "depthwise kernel", "glorot_uniform": depthwise, depthwise_initializer, depthwise_regularizer, depthwise_constraint;
        "pointwise kernel", "glorot_uniform": pointwise, pointwise_initializer, pointwise_regularizer, pointwise_constraint;
        "bias", "zeros": bias, bias_initializer, bias_regularizer, bias_constraint;
    }

    fn check(&self) -> Result<()> {
        if self.filters == 0 {
            return Err(Error::argument(Self::CLASS, "filters", "at least 1", 0));
        }
        check(
            Self::CLASS,
            &self.windows,
            self.depth_multiplier,
            &self.activation,
        )
    }
}

impl<const N: usize> Layer for SeparableConvolution<N> {
    fn class_name(&self) -> &str {
        Self::CLASS
    }

    fn build(&mut self, context: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        self.check()?;
        let channels = channels_of::<N>(Self::CLASS, &inputs[0])?;
        self.windows.check_span(Self::CLASS, &inputs[0])?;
        let shape = depthwise_shape(&self.windows, channels, self.depth_multiplier);
        context.parameter_with("depthwise_kernel", &shape, &self.depthwise)?;
        let mut shape = vec![1; N];
        shape.extend([channels.saturating_mul(self.depth_multiplier), self.filters]);
        context.parameter_with("pointwise_kernel", &shape, &self.pointwise)?;
        match self.use_bias {
            true => context.parameter_with("bias", &[self.filters], &self.bias),
            false => self.bias.refuse_unused(Self::CLASS, "bias", "use_bias"),
        }
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let kernel = context.parameter("depthwise_kernel")?;
        let y = depthwise(Self::CLASS, &self.windows, &inputs[0], &kernel)?;
        let kernel = as_picture_kernel(&context.parameter("pointwise_kernel")?)?;
        let everywhere = ConvolutionOptions {
            strides: [1; 2],
            dilations: [1; 2],
            padding: [[0; 2]; 2],
            groups: 1,
        };
        let mut y = from_picture(&y.conv2d(&kernel, everywhere)?, N + 2)?;
        if self.use_bias {
            y = y.add(&context.parameter("bias")?)?;
        }
        self.activation.resolve()?.apply(&y)
    }

    fn config(&self) -> Config {
        let mut config = config! {
            "depth_multiplier": self.depth_multiplier,
            "filters": self.filters,
        };
        self.windows.write(&mut config);
        config.extend(config! {
            "activation": self.activation.to_json(),
            "use_bias": self.use_bias,
            "activity_regularizer": null,
        });
        ParameterOptions::write(
            &mut config,
            [
                ("depthwise", &self.depthwise),
                ("pointwise", &self.pointwise),
                ("bias", &self.bias),
            ],
        );
        config
    }

    fn from_config(arguments: &mut Arguments) -> Result<Self> {
        let filters = arguments.positive("filters")?;
        let mut layer = SeparableConvolution {
            windows: Windows::from_arguments(arguments)?,
            ..SeparableConvolution::new(arguments.required("filters", filters)?, 1)
        };
        layer.depth_multiplier = arguments.positive("depth_multiplier")?.unwrap_or(1);
        layer.activation = take_activation(arguments)?;
        layer.use_bias = arguments.boolean("use_bias")?.unwrap_or(true);
        layer.depthwise.take(arguments, "depthwise")?;
        layer.pointwise.take(arguments, "pointwise")?;
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
    fn depthwise_convolutions_pass_the_harness() {
        let layer = DepthwiseConv1D::new(3).depth_multiplier(2);
        harness::check(layer.padding("same").activation("tanh"), &[5, 3]);
        let layer = DepthwiseConv1D::new(2).strides(2).dilation_rate(2);
        harness::check(layer.use_bias(false), &[7, 2]);
        let layer = DepthwiseConv2D::new([2, 3]).depth_multiplier(2);
        harness::check(layer.strides(2).padding("same"), &[5, 4, 2]);
        harness::check(DepthwiseConv2D::new(2).dilation_rate([1, 2]), &[3, 4, 3]);
    }

    #[test]
    fn separable_convolutions_pass_the_harness() {
        let layer = SeparableConv1D::new(3, 2).depth_multiplier(2);
        harness::check(layer.activation("tanh"), &[5, 2]);
        let layer = SeparableConv2D::new(2, [2, 3]).padding("same").strides(2);
        harness::check(layer, &[4, 5, 3]);
        harness::check(SeparableConv2D::new(2, 2).use_bias(false), &[3, 3, 2]);
    }

    #[test]
    fn wrong_arguments_are_errors() {
        let layer = DepthwiseConv2D::new(2).depth_multiplier(0);
        harness::refuses(layer, &[3, 3, 1], "`depth_multiplier`");
        harness::refuses(DepthwiseConv2D::new(4), &[3, 3, 1], "smaller kernel");
        harness::refuses(DepthwiseConv1D::new(2), &[3], "(batch, length, channels)");
        harness::refuses(SeparableConv1D::new(0, 2), &[3, 1], "`filters`");
        let layer = SeparableConv2D::new(2, 2).use_bias(false);
        harness::refuses(layer.bias_constraint("non_neg"), &[3, 3, 1], "bias");
    }
}
