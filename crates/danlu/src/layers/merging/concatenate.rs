//! Values one after the other.

use danlu_graph::{Shape, Value};

use super::{ANY_COUNT, Count, expect, list, wrong};
use crate::layers::{BuildContext, CallContext, Layer};
use crate::{Arguments, Config, Error, Result, config};

/// Two or more inputs one after the other along an axis, whose sizes add up; the other axes agree: `(batch, 3, 4)` and
/// `(batch, 3, 2)` give `(batch, 3, 6)` (Keras' `Concatenate`).
#[derive(Clone, Debug)]
pub struct Concatenate {
    axis: isize,
}

impl Concatenate {
    /// Along the last axis.
    pub fn new() -> Concatenate {
        Concatenate { axis: -1 }
    }

    /// The axis, of which 0 is the examples and cannot be taken; negative ones count from the end. Default -1.
    #[must_use]
    pub fn axis(mut self, axis: isize) -> Concatenate {
        self.axis = axis;
        self
    }

    /// Fails unless the inputs fit.
    fn check(&self, inputs: &[Shape]) -> Result<()> {
        expect("Concatenate", Count::TwoOrMore, inputs)?;
        let first = &inputs[0];
        let ranks_agree = inputs.iter().all(|shape| shape.rank() == first.rank());
        let axis = match first.axis(self.axis) {
            _ if !ranks_agree => {
                let expected = "as many axes in each";
                let advice = "bring them to one number of axes first (Reshape, Flatten)";
                return Err(wrong("Concatenate", expected, list(inputs), advice));
            }
            Ok(axis) if axis > 0 => axis,
            _ => {
                let expected = format!("an axis of {first}, and not that of the examples");
                return Err(Error::argument("Concatenate", "axis", expected, self.axis));
            }
        };
        let others = |shape: &Shape| {
            let mut dims = shape.dims().to_vec();
            dims.remove(axis);
            dims
        };
        if inputs.iter().any(|shape| others(shape) != others(first)) {
            let expected = format!("the same sizes in each, but for axis {axis}");
            let advice = "bring them to these sizes first (padding, cropping, pooling), or choose another `axis`";
            return Err(wrong("Concatenate", &expected, list(inputs), advice));
        }
        Ok(())
    }
}

impl Default for Concatenate {
    fn default() -> Concatenate {
        Concatenate::new()
    }
}

impl Layer for Concatenate {
    fn class_name(&self) -> &str {
        "Concatenate"
    }

    fn inputs(&self) -> std::ops::RangeInclusive<usize> {
        ANY_COUNT
    }

    fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        self.check(inputs)
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let inputs: Vec<&Value> = inputs.iter().collect();
        Ok(context.graph().concatenate(&inputs, self.axis)?)
    }

    fn config(&self) -> Config {
        config! { "axis": self.axis }
    }

    fn from_config(arguments: &mut Arguments) -> Result<Concatenate> {
        let axis = arguments.integer("axis")?.unwrap_or(-1);
        Ok(Concatenate {
            axis: isize::try_from(axis).unwrap_or(isize::MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn concatenate_passes_the_harness() {
        let layer = Concatenate::new;
        harness::check_merge(layer(), &[&[3], &[1]]);
        harness::check_merge(layer(), &[&[3, 4], &[3, 1], &[3, 2]]);
        harness::check_merge(layer().axis(1), &[&[3, 4], &[1, 4], &[2, 4]]);
        harness::check_merge(layer().axis(-2), &[&[2, 3, 2], &[2, 1, 2]]);
        let four: &[usize] = &[2, 3, 2, 2];
        harness::check_merge(layer().axis(2), &[four, four, &[2, 1, 2, 2], four]);
    }

    #[test]
    fn what_cannot_be_concatenated_is_named() {
        let layer = Concatenate::new;
        let part = "but for axis 2, received (batch, 3, 4) and (batch, 2, 4); bring";
        harness::refuses_merge(layer(), &[&[3, 4], &[2, 4]], part);
        harness::refuses_merge(layer(), &[&[3, 4], &[4]], "as many axes in each");
        for axis in [0, 3, -3, -4] {
            let part = format!("received {axis}");
            harness::refuses_merge(layer().axis(axis), &[&[3, 4], &[3, 4]], &part);
        }
        harness::refuses(layer(), &[4], "layer concatenate (Concatenate): ");
        harness::refuses(layer(), &[4], "expected two or more, received one");
    }
}
