//! Sums of everything up to a place along an axis.

use super::{Backward, Family, expect_inputs};
use crate::reference::Array;
use crate::{Bindings, DType, Error, Result, Value, ValueType};

/// At each place of an axis the sum of the elements up to it.
#[derive(Clone, Debug, PartialEq)]
pub struct CumulativeSum {
    /// The axis.
    pub axis: usize,
    /// Whether the place's own element is left out: the first sum is 0.
    pub exclusive: bool,
    /// Whether sums go from the end towards the start.
    pub reverse: bool,
}

impl Family for CumulativeSum {
    fn name(&self) -> &str {
        "cumulative_sum"
    }

    fn attributes(&self) -> String {
        let exclusive = if self.exclusive { " exclusive" } else { "" };
        let reverse = if self.reverse { " reverse" } else { "" };
        format!("axis={}{exclusive}{reverse}", self.axis)
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs("cumulative_sum", inputs, 1)?;
        let input = &inputs[0];
        if self.axis >= input.shape.rank() {
            return Err(Error::new(format!(
                "cumulative_sum along axis {} of a value of shape {}",
                self.axis, input.shape
            )));
        }
        if input.dtype == DType::Bool {
            return Err(Error::new(format!(
                "cumulative_sum takes numbers, received {input}; cast it first"
            )));
        }
        Ok(input.clone())
    }

    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let gradient = &backward.gradient;
        let backwards = CumulativeSum {
            reverse: !self.reverse,
            ..self.clone()
        };
        let sums = gradient.graph().add(backwards.into(), &[gradient])?;
        Ok(vec![Some(sums)])
    }

    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let input = inputs[0];
        let size = shape[self.axis];
        let after: usize = shape[self.axis + 1..].iter().product();
        let before: usize = shape[..self.axis].iter().product();
        let mut result = vec![0.0; input.data.len()];
        for line in 0..before * after {
            let start = line / after * size * after + line % after;
            let mut sum = 0.0;
            for step in 0..size {
                let place = if self.reverse { size - 1 - step } else { step };
                let flat = start + place * after;
                if self.exclusive {
                    result[flat] = sum;
                }
                sum += input.data[flat];
                if !self.exclusive {
                    result[flat] = sum;
                }
            }
        }
        Ok(result)
    }
}

impl Value {
    /// At each place of an axis (negative ones count from the end) the sum of the elements up to it; without its own where
    /// `exclusive`, from the end where `reverse`.
    ///
    /// # Errors
    /// There is no such axis, or the value is of truth values.
    pub fn cumulative_sum(&self, axis: isize, exclusive: bool, reverse: bool) -> Result<Value> {
        let axis = self.axis(axis)?;
        let sum = CumulativeSum {
            axis,
            exclusive,
            reverse,
        };
        self.graph().add(sum.into(), &[self])
    }
}
