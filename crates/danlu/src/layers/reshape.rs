//! The same elements under another shape.

use danlu_graph::{Dim, Shape, Value};

use super::flatten::{example_size, reshaped};
use super::{BuildContext, CallContext, Layer};
use crate::{Arguments, Config, Error, Result, config};

/// `(batch, ...)` to `(batch, target...)`, row-major; one size of the target may be -1: what is left (Keras' `Reshape`).
#[derive(Clone, Debug)]
pub struct Reshape {
    target_shape: Vec<isize>,
}

impl Reshape {
    /// Examples of this shape.
    pub fn new(target_shape: impl AsRef<[isize]>) -> Reshape {
        Reshape {
            target_shape: target_shape.as_ref().to_vec(),
        }
    }

    fn target(&self, input: &Shape) -> Result<Shape> {
        let refuse = |expected: String| {
            let received = format!("{:?}", self.target_shape);
            Err(Error::argument(
                "Reshape",
                "target_shape",
                expected,
                received,
            ))
        };
        let open = self.target_shape.iter().filter(|&&size| size == -1).count();
        let wrong = |&size: &isize| size < -1 || size == 0 || size > i32::MAX as isize;
        if open > 1 || self.target_shape.iter().any(wrong) {
            return refuse("sizes of at least 1, at most one of them -1".to_owned());
        }
        let known = self
            .target_shape
            .iter()
            .filter(|&&size| size != -1)
            .try_fold(1, |product: i64, &size| product.checked_mul(size as i64));
        let size = example_size(input);
        let known = known.and_then(|known| usize::try_from(known).ok());
        let rest = known.and_then(|known| size.divide_exactly(&Dim::fixed(known)));
        let rest = match rest {
            Some(rest) if open == 1 || rest.is_one() => rest,
            _ => return refuse(format!("of {size} elements, as the input {input} is")),
        };
        let mut dims = vec![input.dims()[0].clone()];
        dims.extend(self.target_shape.iter().map(|&size| match size {
            -1 => rest.clone(),
            size => Dim::fixed(size as usize),
        }));
        Ok(Shape::from(dims))
    }
}

impl Layer for Reshape {
    fn class_name(&self) -> &str {
        "Reshape"
    }

    fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        self.target(&inputs[0]).map(drop)
    }

    fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
        reshaped(&inputs[0], self.target(&inputs[0].shape())?)
    }

    fn config(&self) -> Config {
        config! { "target_shape": self.target_shape }
    }

    fn from_config(arguments: &mut Arguments) -> Result<Reshape> {
        let sizes = arguments.integers("target_shape")?;
        let sizes = arguments.required("target_shape", sizes)?;
        Ok(Reshape {
            target_shape: sizes.into_iter().map(|size| size as isize).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn reshape_passes_the_harness() {
        harness::check(Reshape::new([2, 6]), &[3, 4]);
        harness::check(Reshape::new([-1, 2]), &[3, 4]);
    }

    #[test]
    fn wrong_sizes_are_errors() {
        harness::refuses(Reshape::new([5, 2]), &[3, 4], "of 12 elements");
        harness::refuses(Reshape::new([-1, -1]), &[3, 4], "at most one");
        harness::refuses(Reshape::new([5, -1]), &[3, 4], "of 12 elements");
    }
}
