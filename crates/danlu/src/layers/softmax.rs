//! The layer `Softmax`.

use danlu_graph::{Shape, Value};

use super::{BuildContext, CallContext, Layer};
use crate::activations::softmax;
use crate::{Arguments, Config, Error, Result, config};

/// `e^x / sum e^x` over an axis, or over several together (Keras' `Softmax`).
#[derive(Clone, Debug)]
pub struct Softmax {
    axes: Vec<isize>,
}

impl Softmax {
    /// Over the last axis.
    pub fn new() -> Softmax {
        Softmax { axes: vec![-1] }
    }

    /// Over this axis; axis 0 is the examples, negative ones count from the end.
    #[must_use]
    pub fn axis(self, axis: isize) -> Softmax {
        self.axes([axis])
    }

    /// Over these axes together.
    #[must_use]
    pub fn axes(mut self, axes: impl AsRef<[isize]>) -> Softmax {
        self.axes = axes.as_ref().to_vec();
        self
    }

    /// Fails unless each axis is one of the input's, and named once.
    fn check(&self, input: &Shape) -> Result<()> {
        let axes: Vec<usize> = self
            .axes
            .iter()
            .filter_map(|&axis| input.axis(axis).ok())
            .collect();
        let mut unique = axes.clone();
        unique.sort_unstable();
        unique.dedup();
        if self.axes.is_empty() || unique.len() != self.axes.len() {
            return Err(Error::argument(
                "Softmax",
                "axis",
                format!("one or more axes of the input {input}, each once"),
                format!("{:?}", self.axes),
            ));
        }
        Ok(())
    }
}

impl Default for Softmax {
    fn default() -> Softmax {
        Softmax::new()
    }
}

impl Layer for Softmax {
    fn class_name(&self) -> &str {
        "Softmax"
    }

    fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        self.check(&inputs[0])
    }

    fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
        let x = &inputs[0];
        match self.axes.as_slice() {
            &[axis] => softmax(axis).apply(x),
            axes => Ok(x.subtract(&x.logsumexp(axes, true)?)?.exp()?),
        }
    }

    fn config(&self) -> Config {
        match self.axes.as_slice() {
            [axis] => config! { "axis": axis },
            axes => config! { "axis": axes },
        }
    }

    fn from_config(arguments: &mut Arguments) -> Result<Softmax> {
        let axes = arguments.axes("axis")?.unwrap_or(vec![-1]);
        Ok(Softmax { axes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn softmax_passes_the_harness() {
        harness::check(Softmax::new(), &[3, 4]);
        harness::check(Softmax::new().axis(1), &[3, 4]);
        harness::check(Softmax::new().axes([1, -1]), &[3, 2, 4]);
    }

    #[test]
    fn wrong_axes_are_errors() {
        harness::refuses(Softmax::new().axis(3), &[3, 4], "`axis` must be");
        harness::refuses(Softmax::new().axes([1, -2]), &[3, 4], "each once");
        harness::refuses(Softmax::new().axes([]), &[3, 4], "one or more");
    }
}
