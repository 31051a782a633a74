//! Operations that arrange all elements in another way: reshape, transpose, broadcast.

use super::{Backward, Family, broadcast_offset, expect_inputs, reduce_to, unravel};
use crate::reference::Array;
use crate::{Bindings, Error, Result, Shape, Value, ValueType};

/// The same elements, row-major, under another shape with as many elements.
#[derive(Clone, Debug, PartialEq)]
pub struct Reshape {
    /// The result's shape.
    pub shape: Shape,
}

/// Axis `i` of the result is axis `permutation[i]` of the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Transpose {
    /// Where each axis comes from.
    pub permutation: Vec<usize>,
}

/// Repetition along axes of size 1 and missing leading axes.
#[derive(Clone, Debug, PartialEq)]
pub struct BroadcastTo {
    /// The result's shape.
    pub shape: Shape,
}

impl Family for Reshape {
    fn name(&self) -> &str {
        "reshape"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs("reshape", inputs, 1)?;
        let input = &inputs[0];
        if input.shape.element_count() != self.shape.element_count() {
            return Err(Error::new(format!(
                "cannot reshape {} ({} elements) to {} ({} elements)",
                input.shape,
                input.shape.element_count(),
                self.shape,
                self.shape.element_count()
            )));
        }
        Ok(ValueType::new(self.shape.clone(), input.dtype))
    }

    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let shape = backward.inputs[0].shape();
        Ok(vec![Some(backward.gradient.reshape(&shape)?)])
    }

    fn evaluate(&self, inputs: &[&Array], _: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        Ok(inputs[0].data.clone())
    }
}

impl Family for Transpose {
    fn name(&self) -> &str {
        "transpose"
    }

    fn attributes(&self) -> String {
        format!("{:?}", self.permutation)
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs("transpose", inputs, 1)?;
        let input = &inputs[0];
        let mut sorted = self.permutation.clone();
        sorted.sort_unstable();
        if !sorted.iter().copied().eq(0..input.shape.rank()) {
            return Err(Error::new(format!(
                "transpose by {:?} does not name each axis of shape {} once",
                self.permutation, input.shape
            )));
        }
        let dims = self
            .permutation
            .iter()
            .map(|&axis| input.shape.dims()[axis].clone());
        Ok(ValueType::new(Shape::new(dims), input.dtype))
    }

    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let mut inverse = vec![0; self.permutation.len()];
        for (to, &from) in self.permutation.iter().enumerate() {
            inverse[from] = to;
        }
        Ok(vec![Some(backward.gradient.transpose(&inverse)?)])
    }

    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let input = inputs[0];
        let mut index = vec![0; shape.len()];
        let mut source = vec![0; shape.len()];
        Ok((0..shape.iter().product())
            .map(|flat| {
                unravel(flat, shape, &mut index);
                for (to, &from) in self.permutation.iter().enumerate() {
                    source[from] = index[to];
                }
                input.data[broadcast_offset(&source, &input.shape)]
            })
            .collect())
    }
}

impl Family for BroadcastTo {
    fn name(&self) -> &str {
        "broadcast_to"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs("broadcast_to", inputs, 1)?;
        let together = inputs[0].shape.broadcast(&self.shape)?;
        if together != self.shape {
            return Err(Error::new(format!(
                "{} cannot be repeated to {}",
                inputs[0].shape, self.shape
            )));
        }
        Ok(ValueType::new(self.shape.clone(), inputs[0].dtype))
    }

    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let shape = backward.inputs[0].shape();
        Ok(vec![Some(reduce_to(&backward.gradient, &shape)?)])
    }

    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let input = inputs[0];
        let mut index = vec![0; shape.len()];
        Ok((0..shape.iter().product())
            .map(|flat| {
                unravel(flat, shape, &mut index);
                input.data[broadcast_offset(&index, &input.shape)]
            })
            .collect())
    }
}

impl Value {
    /// The same elements under another shape.
    ///
    /// # Errors
    /// The numbers of elements differ.
    pub fn reshape(&self, shape: &Shape) -> Result<Value> {
        if self.shape() == *shape {
            return Ok(self.clone());
        }
        self.graph().add(
            Reshape {
                shape: shape.clone(),
            }
            .into(),
            &[self],
        )
    }

    /// Another order of the axes: axis `i` of the result is axis `permutation[i]` of this value.
    ///
    /// # Errors
    /// The permutation does not name each axis once.
    pub fn transpose(&self, permutation: &[usize]) -> Result<Value> {
        self.graph().add(
            Transpose {
                permutation: permutation.to_vec(),
            }
            .into(),
            &[self],
        )
    }

    /// Repeated to this shape.
    ///
    /// # Errors
    /// An axis differs and is not of size 1.
    pub fn broadcast_to(&self, shape: &Shape) -> Result<Value> {
        if self.shape() == *shape {
            return Ok(self.clone());
        }
        self.graph().add(
            BroadcastTo {
                shape: shape.clone(),
            }
            .into(),
            &[self],
        )
    }
}
