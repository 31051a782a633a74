//! What surrounds the input of a convolution or a pooling.

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
}

impl Padding {
    /// Keras' name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Padding::Valid => "valid",
            Padding::Same => "same",
        }
    }

    pub(super) fn to_graph(self) -> GraphPadding {
        match self {
            Padding::Valid => GraphPadding::Valid,
            Padding::Same => GraphPadding::Same,
        }
    }
}

impl FromName for Padding {
    fn from_name(name: &str) -> Result<Padding> {
        match name.to_lowercase().as_str() {
            "valid" => Ok(Padding::Valid),
            "same" => Ok(Padding::Same),
            _ => Err(Error::unknown("padding", name, ["valid", "same"])),
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
