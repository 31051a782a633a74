//! A vector, several times.

use danlu_graph::{Dim, Shape, Value};

use super::sizes::check_sizes;
use super::{BuildContext, CallContext, Layer};
use crate::{Arguments, Config, Error, Result, config};

/// `(batch, features)` to `(batch, n, features)` (Keras' `RepeatVector`).
#[derive(Clone, Debug)]
pub struct RepeatVector {
    n: usize,
}

impl RepeatVector {
    /// This often.
    pub fn new(n: usize) -> RepeatVector {
        RepeatVector { n }
    }
}

impl Layer for RepeatVector {
    fn class_name(&self) -> &str {
        "RepeatVector"
    }

    fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        check_sizes("RepeatVector", "n", &[self.n])?;
        if inputs[0].rank() != 2 {
            return Err(Error::mismatch(
                "the input of RepeatVector",
                "(batch, features)",
                inputs[0].to_string(),
                "Flatten before it makes one vector of an example",
            ));
        }
        Ok(())
    }

    fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
        let shape = inputs[0].shape();
        let mut dims = shape.dims().to_vec();
        dims.insert(1, Dim::fixed(1));
        let single = inputs[0].reshape(&Shape::from(dims.clone()))?;
        dims[1] = Dim::fixed(self.n);
        Ok(single.broadcast_to(&Shape::from(dims))?)
    }

    fn config(&self) -> Config {
        config! { "n": self.n }
    }

    fn from_config(arguments: &mut Arguments) -> Result<RepeatVector> {
        let n = arguments.positive("n")?;
        Ok(RepeatVector {
            n: arguments.required("n", n)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn repeat_vector_passes_the_harness() {
        harness::check(RepeatVector::new(3), &[4]);
        harness::check(RepeatVector::new(1), &[2]);
    }

    #[test]
    fn wrong_arguments_are_errors() {
        harness::refuses(RepeatVector::new(0), &[4], "`n` must be at least 1");
        harness::refuses(RepeatVector::new(2), &[4, 3], "(batch, features)");
    }
}
