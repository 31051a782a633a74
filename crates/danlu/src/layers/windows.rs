//! Where the windows of a convolution lie: what all kinds of convolutions have in common.

use danlu_graph::operations::ConvolutionOptions;
use danlu_graph::{Dim, Shape, Value};

use super::padding::channels_last;
use super::sizes::{axes_of_input, check_sizes, spatial_sizes, with_sizes};
use super::{Padding, sizes::Sizes};
use crate::choice::Choice;
use crate::{Arguments, Config, Error, Result};

/// Windows along `N` axes.
#[derive(Clone, Debug)]
pub(super) struct Windows<const N: usize> {
    pub(super) kernel_size: [usize; N],
    pub(super) strides: [usize; N],
    pub(super) padding: Choice<Padding>,
    pub(super) dilation_rate: [usize; N],
}

impl<const N: usize> Windows<N> {
    pub(super) fn new(kernel_size: impl Into<Sizes<N>>) -> Windows<N> {
        Windows {
            kernel_size: kernel_size.into().0,
            strides: [1; N],
            padding: Padding::Valid.into(),
            dilation_rate: [1; N],
        }
    }

    /// Takes `kernel_size`, `strides`, `padding`, `data_format` and `dilation_rate`.
    pub(super) fn from_arguments(arguments: &mut Arguments) -> Result<Windows<N>> {
        let kernel_size = arguments.sizes("kernel_size")?;
        let windows = Windows {
            kernel_size: arguments.required("kernel_size", kernel_size)?,
            strides: arguments.sizes("strides")?.unwrap_or([1; N]),
            padding: Choice::from_arguments(arguments)?,
            dilation_rate: arguments.sizes("dilation_rate")?.unwrap_or([1; N]),
        };
        channels_last(arguments)?;
        Ok(windows)
    }

    /// Writes what [`from_arguments`](Self::from_arguments) takes.
    pub(super) fn write(&self, config: &mut Config) {
        let entries = crate::config! {
            "kernel_size": self.kernel_size.as_slice(),
            "strides": self.strides.as_slice(),
            "padding": self.padding.name(),
            "data_format": "channels_last",
            "dilation_rate": self.dilation_rate.as_slice(),
        };
        config.extend(entries);
    }

    /// Fails where a size is none.
    pub(super) fn check(&self, class: &str) -> Result<()> {
        check_sizes(class, "kernel_size", &self.kernel_size)?;
        check_sizes(class, "strides", &self.strides)?;
        check_sizes(class, "dilation_rate", &self.dilation_rate)?;
        self.padding.resolve().map(drop)
    }

    /// Fails where windows and taps are both apart, which Keras does not have for most kinds.
    pub(super) fn check_apart(&self, class: &str) -> Result<()> {
        let dilated = self.dilation_rate.iter().any(|&rate| rate > 1);
        if dilated && self.strides.iter().any(|&stride| stride > 1) {
            let received = format!("{:?} with strides {:?}", self.dilation_rate, self.strides);
            let expected = "1 where strides are above 1";
            return Err(Error::argument(class, "dilation_rate", expected, received));
        }
        Ok(())
    }

    /// Fails where a window that is not padded spans more than there is of the input.
    pub(super) fn check_span(&self, class: &str, input: &Shape) -> Result<()> {
        if self.padding.resolve()? != Padding::Valid {
            return Ok(());
        }
        let (sizes, apart) = (&self.kernel_size, &self.dilation_rate);
        let spans = sizes.iter().zip(apart);
        let spans = spans.map(|(taps, apart)| (taps - 1).saturating_mul(*apart).saturating_add(1));
        if fits(input, spans) {
            return Ok(());
        }
        let expected = format!(
            "at most what there is of the input {input}: use a smaller kernel or padding \"same\""
        );
        let received = match apart.iter().any(|&apart| apart > 1) {
            true => format!("{sizes:?} with dilation_rate {apart:?}"),
            false => format!("{sizes:?}"),
        };
        Err(Error::argument(class, "kernel_size", expected, received))
    }

    /// How much surrounds an axis of this size.
    pub(super) fn around(&self, axis: usize, size: &Dim) -> Result<[usize; 2]> {
        self.padding.resolve()?.around(
            size,
            self.kernel_size[axis],
            self.strides[axis],
            self.dilation_rate[axis],
        )
    }

    /// The options of a convolution over the last two axes of an input of these sizes, or of a length as a picture of one row.
    pub(super) fn options(&self, sizes: &[Dim; N], groups: usize) -> Result<ConvolutionOptions> {
        let mut options = ConvolutionOptions {
            strides: [1; 2],
            dilations: [1; 2],
            padding: [[0; 2]; 2],
            groups,
        };
        for place in 2_usize.saturating_sub(N)..2 {
            let axis = place + N - 2;
            options.strides[place] = self.strides[axis];
            options.dilations[place] = self.dilation_rate[axis];
            options.padding[place] = self.around(axis, &sizes[axis])?;
        }
        Ok(options)
    }
}

/// Whether windows that span so much fit the axes of an input behind its first, as far as their sizes are known.
pub(super) fn fits(input: &Shape, spans: impl IntoIterator<Item = usize>) -> bool {
    let sizes = input.dims().iter().skip(1);
    let mut sizes = sizes.map(Dim::as_fixed).zip(spans);
    sizes.all(|(size, span)| size.is_none_or(|size| span <= size))
}

/// The number of channels of an input with `N` axes before them.
pub(super) fn channels_of<const N: usize>(class: &str, input: &Shape) -> Result<usize> {
    spatial_sizes::<N>(class, input)?;
    let channels = input.dims().last().and_then(Dim::as_fixed);
    channels.filter(|&channels| channels > 0).ok_or_else(|| {
        let subject = format!("the input of {class}");
        let expected = format!("{} with a fixed number of channels", axes_of_input(N));
        Error::mismatch(subject, expected, input.to_string(), "")
    })
}

/// A length as a picture of one row; a picture as it is.
pub(super) fn as_picture(x: &Value) -> Result<Value> {
    let shape = x.shape();
    match shape.dims() {
        [_, length, _] => Ok(x.reshape(&with_sizes(&shape, [Dim::fixed(1), length.clone()]))?),
        _ => Ok(x.clone()),
    }
}

/// The picture that [`as_picture`] made of a value of this rank, as that value was.
pub(super) fn from_picture(y: &Value, rank: usize) -> Result<Value> {
    let shape = y.shape();
    match (rank, shape.dims()) {
        (3, [_, _, length, _]) => Ok(y.reshape(&with_sizes(&shape, [length.clone()]))?),
        _ => Ok(y.clone()),
    }
}

/// The kernel of a length, `(taps, inputs, outputs)`, as that of a picture.
pub(super) fn as_picture_kernel(kernel: &Value) -> Result<Value> {
    let shape = kernel.shape();
    match shape.dims() {
        [_, _, _] => {
            let mut dims = shape.dims().to_vec();
            dims.insert(0, Dim::fixed(1));
            Ok(kernel.reshape(&Shape::from(dims))?)
        }
        _ => Ok(kernel.clone()),
    }
}
