//! Another order of the axes.

use danlu_graph::{Shape, Value};

use super::{BuildContext, CallContext, Layer};
use crate::{Arguments, Config, Error, Result, config};

/// Axis `i` of an example, counted from 1, becomes axis `dims[i - 1]` of the input: `Permute::new([2, 1])` makes
/// `(batch, b, a)` of `(batch, a, b)` (Keras' `Permute`).
#[derive(Clone, Debug)]
pub struct Permute {
    dims: Vec<usize>,
}

impl Permute {
    /// The axes of an example in their new order, counted from 1.
    pub fn new(dims: impl AsRef<[usize]>) -> Permute {
        Permute {
            dims: dims.as_ref().to_vec(),
        }
    }

    fn check(&self) -> Result<()> {
        let mut sorted = self.dims.clone();
        sorted.sort_unstable();
        if sorted.is_empty() || !sorted.iter().copied().eq(1..=self.dims.len()) {
            return Err(Error::argument(
                "Permute",
                "dims",
                "each axis of an example once, counted from 1",
                format!("{:?}", self.dims),
            ));
        }
        Ok(())
    }
}

impl Layer for Permute {
    fn class_name(&self) -> &str {
        "Permute"
    }

    fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        self.check()?;
        if inputs[0].rank() != self.dims.len() + 1 {
            return Err(Error::mismatch(
                "the input of Permute",
                format!("the axis of examples and {} more", self.dims.len()),
                inputs[0].to_string(),
                "name every axis of an example in `dims`",
            ));
        }
        Ok(())
    }

    fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
        let mut order = vec![0];
        order.extend(&self.dims);
        Ok(inputs[0].transpose(&order)?)
    }

    fn config(&self) -> Config {
        config! { "dims": self.dims }
    }

    fn from_config(arguments: &mut Arguments) -> Result<Permute> {
        let dims = arguments.integers("dims")?;
        let dims = arguments.required("dims", dims)?;
        let sizes = dims.iter().map(|&dim| usize::try_from(dim).unwrap_or(0));
        let layer = Permute {
            dims: sizes.collect(),
        };
        layer.check()?;
        Ok(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn permute_passes_the_harness() {
        harness::check(Permute::new([2, 1]), &[3, 4]);
        harness::check(Permute::new([3, 1, 2]), &[3, 2, 4]);
    }

    #[test]
    fn wrong_orders_are_errors() {
        harness::refuses(Permute::new([0, 1]), &[3, 4], "counted from 1");
        harness::refuses(Permute::new([2, 2]), &[3, 4], "counted from 1");
        harness::refuses(Permute::new([2, 1]), &[3], "2 more");
    }
}
