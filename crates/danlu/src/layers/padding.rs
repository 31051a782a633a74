//! What surrounds the input of a convolution or a pooling.

use danlu_graph::Dim;
use danlu_graph::operations::Padding as GraphPadding;

use crate::choice::{Choice, FromName};
use crate::{Arguments, Error, Result};

/// What surrounds the input of a convolution or a pooling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// Nothing: every window lies inside.
    #[default]
    Valid,
    /// As much as gives `ceil(size / stride)` windows; the odd row or column after the end (TensorFlow's rule).
    Same,
    /// As much before the start as a window spans, less 1: nothing comes from later places. Of `Conv1D` alone.
    Causal,
}

impl Padding {
    /// Keras' name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Padding::Valid => "valid",
            Padding::Same => "same",
            Padding::Causal => "causal",
        }
    }

    /// How much surrounds an axis of this size under windows of `window` taps, `dilation` apart.
    pub(super) fn around(
        self,
        size: &Dim,
        window: usize,
        stride: usize,
        dilation: usize,
    ) -> Result<[usize; 2]> {
        let padding = match self {
            Padding::Valid => GraphPadding::Valid,
            Padding::Same => GraphPadding::Same,
            Padding::Causal => {
                return Ok([window.saturating_sub(1).saturating_mul(dilation), 0]);
            }
        };
        let (windows, strides, dilations) = ([window; 2], [stride; 2], [dilation; 2]);
        let [amounts, _] = padding.resolve([size, size], windows, strides, dilations)?;
        Ok(amounts)
    }

    /// Fails for the padding that only `Conv1D` has.
    pub(super) fn refuse_causal(self, class: &str) -> Result<()> {
        match self {
            Padding::Causal => Err(Error::argument(
                class,
                "padding",
                "`valid` or `same`",
                "`causal`, which only Conv1D has",
            )),
            _ => Ok(()),
        }
    }
}

impl FromName for Padding {
    fn from_name(name: &str) -> Result<Padding> {
        match name.to_lowercase().as_str() {
            "valid" => Ok(Padding::Valid),
            "same" => Ok(Padding::Same),
            "causal" => Ok(Padding::Causal),
            _ => Err(Error::unknown("padding", name, ["valid", "same", "causal"])),
        }
    }
}

impl From<Padding> for Choice<Padding> {
    fn from(padding: Padding) -> Choice<Padding> {
        Choice::Value(padding)
    }
}

impl Choice<Padding> {
    pub(super) fn name(&self) -> &str {
        match self {
            Choice::Value(padding) => padding.name(),
            Choice::Name(name) => name,
        }
    }

    pub(super) fn from_arguments(arguments: &mut Arguments) -> Result<Choice<Padding>> {
        Ok(match arguments.string("padding")? {
            Some(name) => Choice::Value(Padding::from_name(&name)?),
            None => Choice::Value(Padding::Valid),
        })
    }
}

/// Takes `data_format`, of which only channels last is known.
pub(super) fn channels_last(arguments: &mut Arguments) -> Result<()> {
    arguments.unsupported("data_format", &["channels_last".into()])
}
