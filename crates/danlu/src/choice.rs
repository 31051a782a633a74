//! Arguments that are given as a name or as a value: `activation("relu")` and `activation(Activation::Relu)`.

use crate::Result;

/// Something that has names, as Keras gives them.
pub trait FromName: Sized {
    /// The thing of this name.
    ///
    /// # Errors
    /// There is none: the error names the nearest.
    fn from_name(name: &str) -> Result<Self>;
}

/// A value, or a name that is looked up when the layer is built, so that chains of layers read well.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice<T> {
    /// The value.
    Value(T),
    /// Its name.
    Name(String),
}

impl<T: FromName + Clone> Choice<T> {
    /// The value.
    ///
    /// # Errors
    /// The name stands for nothing.
    pub fn resolve(&self) -> Result<T> {
        match self {
            Choice::Value(value) => Ok(value.clone()),
            Choice::Name(name) => T::from_name(name),
        }
    }
}

impl<T> From<&str> for Choice<T> {
    fn from(name: &str) -> Choice<T> {
        Choice::Name(name.to_owned())
    }
}

impl<T> From<String> for Choice<T> {
    fn from(name: String) -> Choice<T> {
        Choice::Name(name)
    }
}
