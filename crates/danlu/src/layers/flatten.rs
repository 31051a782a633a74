//! All axes of an example in one.

use danlu_graph::{Dim, Shape, Value};

use super::padding::channels_last;
use super::{BuildContext, CallContext, Layer};
use crate::{Arguments, Config, Result, config};

/// `(batch, a, b, ...)` to `(batch, a b ...)`, row-major; `(batch)` to `(batch, 1)`, as Keras' `Flatten`.
#[derive(Clone, Debug, Default)]
pub struct Flatten {}

impl Flatten {
    /// The layer.
    pub fn new() -> Flatten {
        Flatten {}
    }
}

impl Layer for Flatten {
    fn class_name(&self) -> &str {
        "Flatten"
    }

    fn build(&mut self, _: &mut BuildContext, _: &[Shape]) -> Result<()> {
        Ok(())
    }

    fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
        let shape = inputs[0].shape();
        let flat = Shape::new([shape.dims()[0].clone(), example_size(&shape)]);
        reshaped(&inputs[0], flat)
    }

    fn config(&self) -> Config {
        config! { "data_format": "channels_last" }
    }

    fn from_config(arguments: &mut Arguments) -> Result<Flatten> {
        channels_last(arguments)?;
        Ok(Flatten {})
    }
}

/// The value under another shape, as a node of its own even where the shape is the same: what looks at the operation that
/// made a model's output must see that something stands between it and a softmax, as Keras does.
pub(super) fn reshaped(value: &Value, shape: Shape) -> Result<Value> {
    let operation = danlu_graph::operations::Reshape { shape };
    Ok(value.graph().add(operation.into(), &[value])?)
}

/// The number of elements of one example.
pub(super) fn example_size(shape: &Shape) -> Dim {
    Shape::from(shape.dims()[1..].to_vec()).element_count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn flatten_passes_the_harness() {
        harness::check(Flatten::new(), &[3, 2, 2]);
        harness::check(Flatten::new(), &[4]);
    }
}
