//! Convolutions of lengths, pictures and volumes.

use danlu_graph::{Dim, Shape, Value};

use super::dense::take_activation;
use super::parameters::parameter_methods;
use super::sizes::{Sizes, spatial_sizes, with_sizes};
use super::windows::{Windows, as_picture, as_picture_kernel, channels_of, from_picture};
use super::{BuildContext, CallContext, Layer, Padding, ParameterOptions};
use crate::activations::Activation;
use crate::choice::Choice;
use crate::{Arguments, Config, Error, Result, config};

/// The largest depth of a kernel: each plane of it is an operation of the graph.
const DEEPEST: usize = 1024;

/// `activation(convolution(x, kernel) + bias)` over `N` axes: [`Conv1D`], [`Conv2D`] and [`Conv3D`].
#[derive(Clone, Debug)]
pub struct Convolution<const N: usize> {
    filters: usize,
    windows: Windows<N>,
    groups: usize,
    activation: Choice<Activation>,
    use_bias: bool,
    kernel: ParameterOptions,
    bias: ParameterOptions,
}

/// `(batch, length, channels)` to `(batch, windows, filters)`; kernel `(size, channels / groups, filters)`, bias
/// `(filters)`. Arguments and defaults are those of Keras' `Conv1D` with channels last.
pub type Conv1D = Convolution<1>;

/// `(batch, height, width, channels)` to `(batch, rows, columns, filters)`; kernel `(height, width, channels / groups,
/// filters)`, bias `(filters)`. Arguments and defaults are those of Keras' `Conv2D` with channels last.
pub type Conv2D = Convolution<2>;

/// `(batch, depth, height, width, channels)` to the same with the number of windows along each axis, and filters; kernel
/// `(depth, height, width, channels / groups, filters)`, bias `(filters)`. Arguments and defaults are those of Keras'
/// `Conv3D` with channels last.
pub type Conv3D = Convolution<3>;

impl<const N: usize> Convolution<N> {
    /// Its name; another number of axes does not compile.
    const CLASS: &str = match N {
        1 => "Conv1D",
        2 => "Conv2D",
        3 => "Conv3D",
        _ => panic!("convolutions are over one, two or three axes"),
    };

    /// This many filters over windows of this size: one number for each axis, or one for all.
    pub fn new(filters: usize, kernel_size: impl Into<Sizes<N>>) -> Self {
        Convolution {
            filters,
            windows: Windows::new(kernel_size),
            groups: 1,
            activation: Activation::Linear.into(),
            use_bias: true,
            kernel: ParameterOptions::new("glorot_uniform"),
            bias: ParameterOptions::new("zeros"),
        }
    }

    /// The distance between windows along each axis. Default 1.
    #[must_use]
    pub fn strides(mut self, strides: impl Into<Sizes<N>>) -> Self {
        self.windows.strides = strides.into().0;
        self
    }

    /// `valid` (default) or `same`; of a length also `causal`: nothing comes from later places.
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

    /// Into how many groups channels and filters are cut; both must be multiples of it. Default 1.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
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
        let wrong = |argument: &str, expected: &str, received: usize| {
            Err(Error::argument(Self::CLASS, argument, expected, received))
        };
        if self.filters == 0 {
            return wrong("filters", "at least 1", 0);
        }
        if self.groups == 0 || !self.filters.is_multiple_of(self.groups) {
            let expected = format!("a divisor of the {} filters", self.filters);
            return wrong("groups", &expected, self.groups);
        }
        self.windows.check(Self::CLASS)?;
        self.windows.check_apart(Self::CLASS)?;
        if N != 1 {
            self.windows.padding.resolve()?.refuse_causal(Self::CLASS)?;
        }
        if N == 3 && self.windows.kernel_size[0] > DEEPEST {
            let expected = format!("at most {DEEPEST} along the depth");
            let received = format!("{:?}", self.windows.kernel_size);
            return Err(Error::argument(
                Self::CLASS,
                "kernel_size",
                expected,
                received,
            ));
        }
        self.activation.resolve().map(drop)
    }

    /// The windows of a volume as pictures whose channels are those of every plane that a window holds: a convolution of
    /// pictures is left, with the kernel's planes as channels, too.
    fn volumes(&self, x: &Value, kernel: &Value) -> Result<Value> {
        let shape = x.shape();
        let sizes = spatial_sizes::<N>(Self::CLASS, &shape)?;
        let windows = &self.windows;
        let (taps, stride, apart) = (
            windows.kernel_size[0],
            windows.strides[0],
            windows.dilation_rate[0],
        );
        let [before, after] = windows.around(0, &sizes[0])?;
        let span = (taps - 1).saturating_mul(apart).saturating_add(1);
        let depth = sizes[0].as_fixed().unwrap_or(0);
        let padded = depth.saturating_add(before).saturating_add(after);
        let Some(steps) = padded.checked_sub(span) else {
            return Err(Error::mismatch(
                format!("the input of {}", Self::CLASS),
                format!("a depth of at least the {span} that the kernel spans"),
                shape.to_string(),
                "use a smaller kernel or padding \"same\"",
            ));
        };
        let planes = steps / stride + 1;
        let x = match before + after {
            0 => x.clone(),
            _ => x.pad(&[0, before, 0, 0, 0], &[0, after, 0, 0, 0], 0.0)?,
        };
        let channels = channels_of::<N>(Self::CLASS, &shape)? / self.groups;
        let mut dims = vec![
            &shape.dims()[0] * &Dim::fixed(planes),
            shape.dims()[2].clone(),
            shape.dims()[3].clone(),
            Dim::fixed(self.groups),
            Dim::fixed(channels),
        ];
        let at = |tap: usize| -> Result<Value> {
            let mut sizes = x.shape().dims().to_vec();
            sizes[1] = Dim::fixed(planes);
            let part = x.slice(&[0, tap * apart, 0, 0, 0], &sizes, &[1, stride, 1, 1, 1])?;
            Ok(part.reshape(&Shape::from(dims.clone()))?)
        };
        let parts: Vec<Value> = (0..taps).map(at).collect::<Result<_>>()?;
        let parts: Vec<&Value> = parts.iter().collect();
        let pictures = match parts.as_slice() {
            [only] => (*only).clone(),
            parts => x.graph().concatenate(parts, -1)?,
        };
        dims.truncate(3);
        dims.push(Dim::fixed(self.groups * channels * taps));
        let pictures = pictures.reshape(&Shape::from(dims))?;
        let kernel_sizes = [
            windows.kernel_size[1],
            windows.kernel_size[2],
            taps * channels,
            self.filters,
        ];
        let kernel = kernel.transpose(&[1, 2, 0, 3, 4])?;
        let kernel = kernel.reshape(&Shape::new(kernel_sizes))?;
        let y = pictures.conv2d(&kernel, windows.options(&sizes, self.groups)?)?;
        let [rows, columns] = y.image_sizes()?;
        let result = with_sizes(&shape, [Dim::fixed(planes), rows, columns]);
        let mut result = result.dims().to_vec();
        result[N + 1] = Dim::fixed(self.filters);
        Ok(y.reshape(&Shape::from(result))?)
    }
}

impl<const N: usize> Layer for Convolution<N> {
    fn class_name(&self) -> &str {
        Self::CLASS
    }

    fn build(&mut self, context: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        self.check()?;
        let channels = channels_of::<N>(Self::CLASS, &inputs[0])?;
        self.windows.check_span(Self::CLASS, &inputs[0])?;
        if channels % self.groups != 0 {
            let expected = format!("a divisor of the {channels} channels of the input");
            return Err(Error::argument(
                Self::CLASS,
                "groups",
                expected,
                self.groups,
            ));
        }
        let mut kernel = self.windows.kernel_size.to_vec();
        kernel.extend([channels / self.groups, self.filters]);
        context.parameter_with("kernel", &kernel, &self.kernel)?;
        match self.use_bias {
            true => context.parameter_with("bias", &[self.filters], &self.bias),
            false => self.bias.refuse_unused(Self::CLASS, "bias", "use_bias"),
        }
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let (x, kernel) = (&inputs[0], context.parameter("kernel")?);
        let mut y = match N {
            3 => self.volumes(x, &kernel)?,
            _ => {
                let sizes = spatial_sizes::<N>(Self::CLASS, &x.shape())?;
                let options = self.windows.options(&sizes, self.groups)?;
                let y = as_picture(x)?.conv2d(&as_picture_kernel(&kernel)?, options)?;
                from_picture(&y, N + 2)?
            }
        };
        if self.use_bias {
            y = y.add(&context.parameter("bias")?)?;
        }
        self.activation.resolve()?.apply(&y)
    }

    fn config(&self) -> Config {
        let mut config = config! { "filters": self.filters };
        self.windows.write(&mut config);
        config.extend(config! {
            "groups": self.groups,
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
        let mut layer = Convolution {
            windows: Windows::from_arguments(arguments)?,
            ..Convolution::new(arguments.required("filters", filters)?, 1)
        };
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
    fn conv1d_passes_the_harness() {
        harness::check(Conv1D::new(3, 3).activation("tanh"), &[6, 2]);
        let layer = Conv1D::new(4, 2).groups(2).padding("causal");
        harness::check(layer.dilation_rate(2), &[5, 2]);
        harness::check(Conv1D::new(2, 3).strides(2).padding("same"), &[7, 1]);
    }

    #[test]
    fn conv2d_passes_the_harness() {
        harness::check(Conv2D::new(3, [3, 2]).activation("tanh"), &[5, 4, 2]);
        let layer = Conv2D::new(4, [2, 2]).groups(2).use_bias(false);
        harness::check(layer.dilation_rate([1, 2]), &[4, 5, 2]);
        let layer = Conv2D::new(2, [3, 3]).strides([2, 2]).padding("same");
        harness::check(layer, &[5, 6, 1]);
    }

    #[test]
    fn conv3d_passes_the_harness() {
        harness::check(Conv3D::new(2, [2, 3, 1]).activation("tanh"), &[3, 4, 2, 2]);
        let layer = Conv3D::new(4, 2).groups(2).strides(2).padding("same");
        harness::check(layer, &[3, 4, 3, 2]);
        let layer = Conv3D::new(2, [2, 1, 2]).dilation_rate([2, 1, 1]);
        harness::check(layer, &[4, 2, 3, 1]);
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
        harness::refuses(
            Conv2D::new(2, [5, 5]),
            &[4, 4, 1],
            "Conv2D: `kernel_size` must be at most what there is of the input (batch, 4, 4, 1): use a smaller kernel",
        );
        harness::refuses(
            Conv2D::new(2, 3).dilation_rate(2),
            &[4, 5, 1],
            "received [3, 3] with dilation_rate [2, 2]",
        );
        harness::refuses(Conv2D::new(3, [2, 2]).groups(3), &[4, 4, 4], "4 channels");
        harness::refuses(Conv2D::new(2, [3, 3]).padding("smae"), &[4, 4, 1], "`same`");
        harness::refuses(Conv2D::new(2, 3).padding("causal"), &[4, 4, 1], "Conv1D");
        harness::refuses(Conv1D::new(2, 5), &[4, 1], "use a smaller kernel");
        harness::refuses(Conv3D::new(2, [5, 1, 1]), &[4, 1, 1, 1], "smaller kernel");
        let layer = Conv3D::new(2, 2_000_000_000).padding("same");
        harness::refuses(layer, &[4, 1, 1, 1], "along the depth");
        let layer = Conv1D::new(2, 2).strides(2).dilation_rate(2);
        harness::refuses(layer, &[9, 1], "1 where strides are above 1");
    }

    #[test]
    fn channels_first_is_refused() {
        let config = config! { "filters": 2, "kernel_size": 3, "data_format": "channels_first" };
        let error = Conv2D::from_config(&mut Arguments::new("Conv2D", config)).unwrap_err();
        assert!(error.to_string().contains("channels_first"), "{error}");
    }
}
