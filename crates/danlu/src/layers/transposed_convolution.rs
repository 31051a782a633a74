//! Transposed convolutions of lengths and pictures: from each place a window is written, where a convolution reads one.

use danlu_graph::{Dim, Shape, Value};

use super::dense::take_activation;
use super::parameters::parameter_methods;
use super::sizes::{Sizes, spatial_sizes};
use super::windows::{Windows, as_picture, as_picture_kernel, channels_of, from_picture};
use super::{BuildContext, CallContext, Layer, Padding, ParameterOptions};
use crate::activations::Activation;
use crate::choice::Choice;
use crate::{Arguments, Config, Error, Result, config};

/// `activation(transposed_convolution(x, kernel) + bias)` over `N` axes: [`Conv1DTranspose`] and [`Conv2DTranspose`].
#[derive(Clone, Debug)]
pub struct TransposedConvolution<const N: usize> {
    filters: usize,
    windows: Windows<N>,
    output_padding: Option<[usize; N]>,
    activation: Choice<Activation>,
    use_bias: bool,
    kernel: ParameterOptions,
    bias: ParameterOptions,
}

/// `(batch, length, channels)` to `(batch, longer, filters)`; kernel `(size, filters, channels)`, bias `(filters)`. Arguments
/// and defaults are those of Keras' `Conv1DTranspose` with channels last.
pub type Conv1DTranspose = TransposedConvolution<1>;

/// `(batch, height, width, channels)` to `(batch, higher, wider, filters)`; kernel `(height, width, filters, channels)`, bias
/// `(filters)`. Arguments and defaults are those of Keras' `Conv2DTranspose` with channels last.
pub type Conv2DTranspose = TransposedConvolution<2>;

impl<const N: usize> TransposedConvolution<N> {
    /// Its name; another number of axes does not compile.
    const CLASS: &str = match N {
        1 => "Conv1DTranspose",
        2 => "Conv2DTranspose",
        _ => panic!("transposed convolutions are over one or two axes"),
    };

    /// This many filters over windows of this size: one number for each axis, or one for all.
    pub fn new(filters: usize, kernel_size: impl Into<Sizes<N>>) -> Self {
        TransposedConvolution {
            filters,
            windows: Windows::new(kernel_size),
            output_padding: None,
            activation: Activation::Linear.into(),
            use_bias: true,
            kernel: ParameterOptions::new("glorot_uniform"),
            bias: ParameterOptions::new("zeros"),
        }
    }

    /// The distance between windows of the output along each axis. Default 1.
    #[must_use]
    pub fn strides(mut self, strides: impl Into<Sizes<N>>) -> Self {
        self.windows.strides = strides.into().0;
        self
    }

    /// `valid` (default): every window is whole; or `same`: the output is `strides` times the input.
    #[must_use]
    pub fn padding(mut self, padding: impl Into<Choice<Padding>>) -> Self {
        self.windows.padding = padding.into();
        self
    }

    /// How much larger the output is along each axis than the windows need, below the strides. Default: what gives the sizes
    /// that [`padding`](Self::padding) says.
    #[must_use]
    pub fn output_padding(mut self, output_padding: impl Into<Sizes<N>>) -> Self {
        self.output_padding = Some(output_padding.into().0);
        self
    }

    /// The distance between the kernel's taps along each axis. Default 1.
    #[must_use]
    pub fn dilation_rate(mut self, dilation_rate: impl Into<Sizes<N>>) -> Self {
        self.windows.dilation_rate = dilation_rate.into().0;
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

    parameter_methods! {
        "kernel", "glorot_uniform": kernel, kernel_initializer, kernel_regularizer, kernel_constraint;
        "bias", "zeros": bias, bias_initializer, bias_regularizer, bias_constraint;
    }

    fn check(&self) -> Result<()> {
        if self.filters == 0 {
            return Err(Error::argument(Self::CLASS, "filters", "at least 1", 0));
        }
        self.windows.check(Self::CLASS)?;
        self.windows.check_apart(Self::CLASS)?;
        self.windows.padding.resolve()?.refuse_causal(Self::CLASS)?;
        if let Some(output_padding) = self.output_padding {
            let mut both = output_padding.iter().zip(self.windows.strides);
            if both.any(|(&padding, stride)| padding >= stride) {
                let expected = format!("below the strides, {:?}", self.windows.strides);
                let received = format!("{output_padding:?}");
                return Err(Error::argument(
                    Self::CLASS,
                    "output_padding",
                    expected,
                    received,
                ));
            }
        }
        self.activation.resolve().map(drop)
    }

    /// The output's size along an axis on which the input has this size: Keras' rule.
    fn output_size(&self, axis: usize, size: &Dim) -> Result<Dim> {
        let windows = &self.windows;
        let stride = windows.strides[axis];
        let span = (windows.kernel_size[axis] - 1)
            .saturating_mul(windows.dilation_rate[axis])
            .saturating_add(1);
        let given = self.output_padding.map(|padding| padding[axis]);
        let last = &size.offset(-1) * &Dim::fixed(stride);
        Ok(match (windows.padding.resolve()?, given) {
            (Padding::Same, None) => size * &Dim::fixed(stride),
            (Padding::Same, Some(extra)) => {
                // Above the last window's first place, and below the next one's: an even kernel with 0 is not.
                if !(1..=stride).contains(&(span % 2 + extra)) {
                    let expected = format!(
                        "such that, with the kernel's span of {span}, as many windows fit as the input has places; leave it out for `same`"
                    );
                    return Err(Error::argument(
                        Self::CLASS,
                        "output_padding",
                        expected,
                        extra,
                    ));
                }
                &last + &Dim::fixed(span % 2 + extra)
            }
            (_, None) => &last + &Dim::fixed(span.max(stride)),
            (_, Some(extra)) => &last + &Dim::fixed(span + extra),
        })
    }
}

impl<const N: usize> Layer for TransposedConvolution<N> {
    fn class_name(&self) -> &str {
        Self::CLASS
    }

    fn build(&mut self, context: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        self.check()?;
        let channels = channels_of::<N>(Self::CLASS, &inputs[0])?;
        let mut kernel = self.windows.kernel_size.to_vec();
        kernel.extend([self.filters, channels]);
        context.parameter_with("kernel", &kernel, &self.kernel)?;
        match self.use_bias {
            true => context.parameter_with("bias", &[self.filters], &self.bias),
            false => self.bias.refuse_unused(Self::CLASS, "bias", "use_bias"),
        }
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let picture = as_picture(&inputs[0])?;
        let shape = inputs[0].shape();
        let sizes = spatial_sizes::<N>(Self::CLASS, &shape)?;
        let mut larger = sizes.clone();
        for (axis, size) in sizes.iter().enumerate() {
            larger[axis] = self.output_size(axis, size)?;
        }
        let mut output = picture.shape();
        let dims = output.dims_mut();
        dims[3 - N..3].clone_from_slice(&larger);
        dims[3] = Dim::fixed(self.filters);
        let options = self.windows.options(&larger, 1)?;
        let kernel = as_picture_kernel(&context.parameter("kernel")?)?;
        let y = picture.conv2d_input_gradient(&kernel, options, &output)?;
        let mut y = from_picture(&y, N + 2)?;
        if self.use_bias {
            y = y.add(&context.parameter("bias")?)?;
        }
        self.activation.resolve()?.apply(&y)
    }

    fn config(&self) -> Config {
        let mut config = config! { "filters": self.filters };
        self.windows.write(&mut config);
        config.extend(config! {
            "output_padding": self.output_padding.as_ref().map(|padding| padding.as_slice()),
            "activation": self.activation.to_json(),
            "use_bias": self.use_bias,
            "activity_regularizer": null,
        });
        ParameterOptions::write(
            &mut config,
            [("kernel", &self.kernel), ("bias", &self.bias)],
        );
        config
    }

    fn from_config(arguments: &mut Arguments) -> Result<Self> {
        let filters = arguments.positive("filters")?;
        let mut layer = TransposedConvolution {
            windows: Windows::from_arguments(arguments)?,
            ..TransposedConvolution::new(arguments.required("filters", filters)?, 1)
        };
        layer.output_padding = take_output_padding(arguments)?;
        layer.activation = take_activation(arguments)?;
        layer.use_bias = arguments.boolean("use_bias")?.unwrap_or(true);
        layer.kernel.take(arguments, "kernel")?;
        layer.bias.take_where(layer.use_bias, arguments, "bias")?;
        layer.check()?;
        Ok(layer)
    }
}

/// Takes `output_padding`: one whole number for all axes, or one for each, which may be 0.
fn take_output_padding<const N: usize>(arguments: &mut Arguments) -> Result<Option<[usize; N]>> {
    let Some(value) = arguments.take("output_padding") else {
        return Ok(None);
    };
    let size = |value: &serde_json::Value| {
        let number = value.as_f64()?;
        let whole = number.fract() == 0.0 && (0.0..=f64::from(i32::MAX)).contains(&number);
        whole.then_some(number as usize)
    };
    let sizes = match value.as_array() {
        None => size(&value).map(|size| [size; N]),
        Some(values) => {
            let sizes: Option<Vec<usize>> = values.iter().map(size).collect();
            sizes.and_then(|sizes| <[usize; N]>::try_from(sizes).ok())
        }
    };
    let expected = "a whole number of at least 0, or one for each axis";
    let wrong = || arguments.wrong("output_padding", expected, &value);
    Ok(Some(sizes.ok_or_else(wrong)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn transposed_convolutions_pass_the_harness() {
        harness::check(Conv1DTranspose::new(3, 3).activation("tanh"), &[4, 2]);
        let layer = Conv1DTranspose::new(2, 2).strides(3).output_padding(1);
        harness::check(layer.use_bias(false), &[3, 2]);
        let layer = Conv2DTranspose::new(2, [3, 2]).strides(2).padding("same");
        harness::check(layer, &[2, 3, 2]);
        harness::check(Conv2DTranspose::new(2, 2).dilation_rate([1, 2]), &[3, 2, 1]);
    }

    #[test]
    fn wrong_arguments_are_errors() {
        let layer = Conv2DTranspose::new(2, 3).strides(2).output_padding([1, 2]);
        harness::refuses(layer, &[3, 3, 1], "below the strides");
        let layer = Conv1DTranspose::new(2, 4).padding("same").output_padding(0);
        harness::refuses(layer, &[3, 1], "leave it out for `same`");
        harness::refuses(Conv1DTranspose::new(0, 3), &[3, 1], "`filters`");
        harness::refuses(Conv1DTranspose::new(2, 3), &[3, 3, 1], "length");
        let layer = Conv1DTranspose::new(2, 3).padding("causal");
        harness::refuses(layer, &[3, 1], "Conv1D");
    }
}
