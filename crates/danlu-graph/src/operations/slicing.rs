//! Operations that cut values into parts and put parts together: slice, concatenate, pad.

use super::{Backward, Family, expect_distances, expect_inputs, expect_same_dtype, unravel};
use crate::reference::Array;
use crate::{Bindings, Dim, Error, Graph, Result, Shape, Value, ValueType};

/// Along each axis the elements `start`, `start + step`, ...: `size` of them. Of a named axis the size must be such that
/// a fixed number of elements is left over, such as `length - 1` of `length`.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    /// The first element along each axis.
    pub starts: Vec<usize>,
    /// How many along each axis.
    pub sizes: Vec<Dim>,
    /// The distance between them along each axis.
    pub steps: Vec<usize>,
}

/// Inputs one after the other along an axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Concatenate {
    /// The axis along which sizes add up.
    pub axis: usize,
}

/// `low` elements before, `high` after, and `interior` between each two neighbours, along each axis, all `value`.
#[derive(Clone, Debug)]
pub struct Pad {
    /// Before the first element of each axis.
    pub low: Vec<usize>,
    /// After the last element of each axis.
    pub high: Vec<usize>,
    /// Between neighbours of each axis.
    pub interior: Vec<usize>,
    /// What they are filled with.
    pub value: f64,
}

impl PartialEq for Pad {
    /// Equal in every bit: NaN equals itself, and 0 is not -0.
    fn eq(&self, other: &Pad) -> bool {
        self.low == other.low
            && self.high == other.high
            && self.interior == other.interior
            && self.value.to_bits() == other.value.to_bits()
    }
}

impl Slice {
    /// How many elements of an axis of this size lie after the last one taken.
    fn left_over(&self, axis: usize, dim: &Dim) -> Dim {
        let after_start = dim - &Dim::fixed(self.starts[axis]);
        if self.sizes[axis].as_fixed() == Some(0) {
            return after_start;
        }
        let steps = &self.sizes[axis].offset(-1) * &Dim::fixed(self.steps[axis]);
        (&after_start - &steps).offset(-1)
    }
}

impl Family for Slice {
    fn name(&self) -> &str {
        "slice"
    }

    fn attributes(&self) -> String {
        format!(
            "starts={:?} sizes={:?} steps={:?}",
            self.starts, self.sizes, self.steps
        )
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs("slice", inputs, 1)?;
        let input = &inputs[0];
        let rank = input.shape.rank();
        if [self.starts.len(), self.sizes.len(), self.steps.len()] != [rank; 3] {
            return Err(Error::new(format!(
                "slice needs a start, size and step for each axis of shape {}",
                input.shape
            )));
        }
        for axis in 0..rank {
            let left_over = self.left_over(axis, &input.shape.dims()[axis]);
            if self.steps[axis] == 0 || left_over.as_constant().is_none_or(|count| count < 0) {
                return Err(Error::new(format!(
                    "slice of {} elements from {} by {} is outside axis {axis} of shape {}",
                    self.sizes[axis], self.starts[axis], self.steps[axis], input.shape
                )));
            }
        }
        expect_distances("slice", "steps", &self.steps)?;
        Ok(ValueType::new(
            Shape::new(self.sizes.iter().cloned()),
            input.dtype,
        ))
    }

    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let shape = backward.inputs[0].shape();
        let interior: Vec<usize> = self.steps.iter().map(|step| step - 1).collect();
        let left_over = |axis: usize| self.left_over(axis, &shape.dims()[axis]).as_fixed();
        let high = (0..shape.rank())
            .map(|axis| left_over(axis).unwrap_or(0))
            .collect();
        let pad = Pad {
            low: self.starts.clone(),
            high,
            interior,
            value: 0.0,
        };
        Ok(vec![Some(
            backward
                .gradient
                .graph()
                .add(pad.into(), &[&backward.gradient])?,
        )])
    }

    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let input = inputs[0];
        let mut index = vec![0; shape.len()];
        Ok((0..shape.iter().product())
            .map(|flat| {
                unravel(flat, shape, &mut index);
                for (axis, position) in index.iter_mut().enumerate() {
                    *position = self.starts[axis] + *position * self.steps[axis];
                }
                input.data[flat_index(&index, &input.shape)]
            })
            .collect())
    }
}

/// The flat index of a multi-index.
fn flat_index(index: &[usize], shape: &[usize]) -> usize {
    index
        .iter()
        .zip(shape)
        .fold(0, |flat, (&position, &size)| flat * size + position)
}

impl Family for Concatenate {
    fn name(&self) -> &str {
        "concatenate"
    }

    fn attributes(&self) -> String {
        format!("axis={}", self.axis)
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        let Some(first) = inputs.first() else {
            return Err(Error::new("concatenate takes at least one input"));
        };
        if self.axis >= first.shape.rank() {
            return Err(Error::new(format!(
                "concatenate along axis {} of shape {}",
                self.axis, first.shape
            )));
        }
        let mut shape = first.shape.clone();
        for input in &inputs[1..] {
            expect_same_dtype("concatenate", first, input)?;
            let fits = input.shape.rank() == shape.rank()
                && (0..shape.rank()).all(|axis| {
                    axis == self.axis || input.shape.dims()[axis] == shape.dims()[axis]
                });
            if !fits {
                return Err(Error::new(format!(
                    "concatenate along axis {} of shapes {} and {}: the other axes must agree",
                    self.axis, first.shape, input.shape
                )));
            }
            let sum = &shape.dims()[self.axis] + &input.shape.dims()[self.axis];
            shape.dims_mut()[self.axis] = sum;
        }
        Ok(ValueType::new(shape, first.dtype))
    }

    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let mut start = 0;
        backward
            .inputs
            .iter()
            .map(|input| {
                let shape = input.shape();
                let Some(size) = shape.dims()[self.axis].as_fixed() else {
                    return Err(Error::new(format!(
                        "the gradient of concatenate along axis {} needs fixed sizes, received {shape}",
                        self.axis
                    )));
                };
                let part = backward.gradient.narrow(self.axis as isize, start, size)?;
                start += size;
                Ok(Some(part))
            })
            .collect()
    }

    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let outer: usize = shape[..self.axis].iter().product();
        let mut result = Vec::with_capacity(shape.iter().product());
        for row in 0..outer {
            for input in inputs {
                let width: usize = input.shape[self.axis..].iter().product();
                result.extend_from_slice(&input.data[row * width..(row + 1) * width]);
            }
        }
        Ok(result)
    }
}

impl Family for Pad {
    fn name(&self) -> &str {
        "pad"
    }

    fn attributes(&self) -> String {
        format!(
            "low={:?} high={:?} interior={:?} value={}",
            self.low, self.high, self.interior, self.value
        )
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs("pad", inputs, 1)?;
        let input = &inputs[0];
        let rank = input.shape.rank();
        if [self.low.len(), self.high.len(), self.interior.len()] != [rank; 3] {
            return Err(Error::new(format!(
                "pad needs amounts for each axis of shape {}",
                input.shape
            )));
        }
        let dims = (0..rank).map(|axis| {
            let dim = &input.shape.dims()[axis];
            let gaps = if dim.as_fixed() == Some(0) || self.interior[axis] == 0 {
                Dim::fixed(0)
            } else {
                &dim.offset(-1) * &Dim::fixed(self.interior[axis])
            };
            let around = &Dim::fixed(self.low[axis]) + &Dim::fixed(self.high[axis]);
            &(dim + &gaps) + &around
        });
        expect_distances("pad", "amounts between neighbours", &self.interior)?;
        Ok(ValueType::new(Shape::new(dims), input.dtype))
    }

    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let shape = backward.inputs[0].shape();
        let slice = Slice {
            starts: self.low.clone(),
            sizes: shape.dims().to_vec(),
            steps: self.interior.iter().map(|gap| gap + 1).collect(),
        };
        Ok(vec![Some(
            backward
                .gradient
                .graph()
                .add(slice.into(), &[&backward.gradient])?,
        )])
    }

    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let input = inputs[0];
        let mut result = vec![self.value; shape.iter().product()];
        let mut index = vec![0; shape.len()];
        for (flat, &value) in input.data.iter().enumerate() {
            unravel(flat, &input.shape, &mut index);
            for (axis, position) in index.iter_mut().enumerate() {
                *position = self.low[axis] + *position * (self.interior[axis] + 1);
            }
            result[flat_index(&index, shape)] = value;
        }
        Ok(result)
    }
}

impl Value {
    /// `size` elements from `start` along one axis, all along the others.
    ///
    /// # Errors
    /// The part is outside the axis.
    pub fn narrow(&self, axis: isize, start: usize, size: usize) -> Result<Value> {
        let shape = self.shape();
        let axis = self.axis(axis)?;
        let mut starts = vec![0; shape.rank()];
        let mut sizes = shape.dims().to_vec();
        starts[axis] = start;
        sizes[axis] = Dim::fixed(size);
        self.slice(&starts, &sizes, &vec![1; shape.rank()])
    }

    /// Along each axis `sizes` elements from `starts`, `steps` apart.
    ///
    /// # Errors
    /// The part is outside the value.
    pub fn slice(&self, starts: &[usize], sizes: &[Dim], steps: &[usize]) -> Result<Value> {
        let slice = Slice {
            starts: starts.to_vec(),
            sizes: sizes.to_vec(),
            steps: steps.to_vec(),
        };
        self.graph().add(slice.into(), &[self])
    }

    /// `low` elements of `value` before and `high` after, along each axis.
    ///
    /// # Errors
    /// The amounts are not one for each axis.
    pub fn pad(&self, low: &[usize], high: &[usize], value: f64) -> Result<Value> {
        let pad = Pad {
            low: low.to_vec(),
            high: high.to_vec(),
            interior: vec![0; low.len()],
            value,
        };
        self.graph().add(pad.into(), &[self])
    }
}

impl Graph {
    /// Values one after the other along an axis.
    ///
    /// # Errors
    /// There is no value, or their other axes or dtypes differ.
    pub fn concatenate(&self, values: &[&Value], axis: isize) -> Result<Value> {
        let axis = match values.first() {
            Some(first) => first.axis(axis)?,
            None => 0,
        };
        self.add(Concatenate { axis }.into(), values)
    }
}
