//! Reductions over axes.

use super::{Backward, Family, ReduceKind, expect_inputs, unravel};
use crate::reference::{Array, saturated};
use crate::{Bindings, DType, Dim, Error, Result, Shape, Value, ValueType};

/// A reduction over axes. Over no element at all, a sum is 0, a mean NaN, a maximum or logsumexp -infinity, a minimum
/// infinity; of dtypes without infinity, the smallest and the largest value.
#[derive(Clone, Debug, PartialEq)]
pub struct Reduce {
    /// How elements are combined.
    pub kind: ReduceKind,
    /// The axes that go, in rising order.
    pub axes: Vec<usize>,
    /// Whether they stay as axes of size 1.
    pub keep_dims: bool,
}

/// The place of the largest element along an axis, the first of equals; NaN counts as the largest.
#[derive(Clone, Debug, PartialEq)]
pub struct ArgMax {
    /// The axis that goes.
    pub axis: usize,
}

impl Reduce {
    fn kept_shape(&self, shape: &Shape) -> Shape {
        let dims = shape.dims().iter().enumerate().map(|(axis, dim)| {
            if self.axes.contains(&axis) {
                Dim::fixed(1)
            } else {
                dim.clone()
            }
        });
        Shape::new(dims)
    }
}

/// Calls `visit(output index, input index)` for every input element. `kept` is the input's shape with reduced axes as 1.
fn visit(shape: &[usize], axes: &[usize], mut visit: impl FnMut(usize, usize)) {
    let count: usize = shape.iter().product();
    let mut index = vec![0; shape.len()];
    for flat in 0..count {
        unravel(flat, shape, &mut index);
        let mut output = 0;
        for (axis, &size) in shape.iter().enumerate() {
            if !axes.contains(&axis) {
                output = output * size + index[axis];
            }
        }
        visit(output, flat);
    }
}

impl Family for Reduce {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn attributes(&self) -> String {
        let keep = if self.keep_dims { " keep_dims" } else { "" };
        format!("axes={:?}{keep}", self.axes)
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs(self.name(), inputs, 1)?;
        let input = &inputs[0];
        if let Some(axis) = self.axes.iter().find(|&&axis| axis >= input.shape.rank()) {
            return Err(Error::new(format!(
                "{} over axis {axis} of a value of shape {}",
                self.name(),
                input.shape
            )));
        }
        if !self.axes.is_sorted_by(|left, right| left < right) {
            return Err(Error::new(format!(
                "{} takes each axis once, in rising order, received {:?}",
                self.name(),
                self.axes
            )));
        }
        let float_only = matches!(self.kind, ReduceKind::Mean | ReduceKind::LogSumExp);
        if (float_only && !input.dtype.is_float())
            || (self.kind == ReduceKind::Sum && input.dtype == DType::Bool)
        {
            return Err(Error::new(format!(
                "{} does not take {input}; cast it to float32 first",
                self.name()
            )));
        }
        let mut shape = self.kept_shape(&input.shape);
        if !self.keep_dims {
            let mut axis = 0;
            shape.dims_mut().retain(|_| {
                axis += 1;
                !self.axes.contains(&(axis - 1))
            });
        }
        Ok(ValueType::new(shape, input.dtype))
    }

    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let x = &backward.inputs[0];
        let shape = x.shape();
        let kept = self.kept_shape(&shape);
        let g = backward.gradient.reshape(&kept)?;
        let gradient = match self.kind {
            ReduceKind::Sum => g.broadcast_to(&shape)?,
            ReduceKind::Mean => {
                let count = self
                    .axes
                    .iter()
                    .fold(Dim::fixed(1), |count, &axis| &count * &shape.dims()[axis]);
                // In float32: a count may be too large for 16 bits.
                let count = g.graph().dimension_size(&count, DType::F32)?;
                let share = g.cast(DType::F32)?.divide(&count)?.cast(g.dtype())?;
                share.broadcast_to(&shape)?
            }
            ReduceKind::Max | ReduceKind::Min => {
                // Equals share the gradient, as in TensorFlow.
                let y = backward.output.reshape(&kept)?;
                let chosen = x.equal(&y)?.cast(g.dtype())?;
                let axes: Vec<isize> = self.axes.iter().map(|&axis| axis as isize).collect();
                let share = g.divide(&chosen.sum(&axes, true)?)?;
                chosen.multiply(&share)?
            }
            ReduceKind::LogSumExp => {
                let y = backward.output.reshape(&kept)?;
                x.subtract(&y)?.exp()?.multiply(&g)?
            }
        };
        Ok(vec![Some(gradient)])
    }

    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let input = inputs[0];
        let count: usize = shape.iter().product();
        let initial = match self.kind {
            ReduceKind::Sum | ReduceKind::Mean => 0.0,
            ReduceKind::Max if input.dtype == DType::Bool => 0.0,
            ReduceKind::Max | ReduceKind::LogSumExp => saturated(f64::NEG_INFINITY, input.dtype),
            ReduceKind::Min => saturated(f64::INFINITY, input.dtype),
        };
        let mut result = vec![initial; count];
        let combine = |a: f64, b: f64| match self.kind {
            ReduceKind::Sum | ReduceKind::Mean => a + b,
            _ if a.is_nan() || b.is_nan() => f64::NAN,
            ReduceKind::Max | ReduceKind::LogSumExp => a.max(b),
            ReduceKind::Min => a.min(b),
        };
        visit(&input.shape, &self.axes, |output, flat| {
            result[output] = combine(result[output], input.data[flat]);
        });
        match self.kind {
            ReduceKind::Mean => {
                let size: usize = self.axes.iter().map(|&axis| input.shape[axis]).product();
                result.iter_mut().for_each(|sum| *sum /= size as f64);
            }
            ReduceKind::LogSumExp => {
                let mut sums = vec![0.0; count];
                visit(&input.shape, &self.axes, |output, flat| {
                    let largest = result[output];
                    if largest.is_finite() {
                        sums[output] += (input.data[flat] - largest).exp();
                    }
                });
                for (largest, sum) in result.iter_mut().zip(sums) {
                    if largest.is_finite() {
                        *largest += sum.ln();
                    }
                }
            }
            _ => {}
        }
        Ok(result)
    }
}

impl Family for ArgMax {
    fn name(&self) -> &str {
        "argmax"
    }

    fn attributes(&self) -> String {
        format!("axis={}", self.axis)
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs("argmax", inputs, 1)?;
        let mut shape = inputs[0].shape.clone();
        if self.axis >= shape.rank() {
            return Err(Error::new(format!(
                "argmax over axis {} of a value of shape {shape}",
                self.axis
            )));
        }
        if shape.dims()[self.axis].as_fixed() == Some(0) {
            return Err(Error::new(format!(
                "argmax over axis {} of a value of shape {shape}: there is no element to choose",
                self.axis
            )));
        }
        shape.dims_mut().remove(self.axis);
        Ok(ValueType::new(shape, DType::I32))
    }

    fn gradient(&self, _: &Backward) -> Result<Vec<Option<Value>>> {
        Ok(vec![None])
    }

    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let input = inputs[0];
        let count: usize = shape.iter().product();
        let after: usize = input.shape[self.axis + 1..].iter().product();
        let mut best: Vec<Option<f64>> = vec![None; count];
        let mut place = vec![0.0; count];
        visit(&input.shape, &[self.axis], |output, flat| {
            let value = input.data[flat];
            let larger =
                best[output].is_none_or(|best| value > best || (value.is_nan() && !best.is_nan()));
            if larger {
                best[output] = Some(value);
                place[output] = (flat / after % input.shape[self.axis]) as f64;
            }
        });
        Ok(place)
    }
}

impl Value {
    fn reduce(&self, kind: ReduceKind, axes: &[isize], keep_dims: bool) -> Result<Value> {
        let mut axes = axes
            .iter()
            .map(|&axis| self.axis(axis))
            .collect::<Result<Vec<usize>>>()?;
        axes.sort_unstable();
        axes.dedup();
        let same = axes.is_empty() && kind != ReduceKind::LogSumExp;
        let reduce = Reduce {
            kind,
            axes,
            keep_dims,
        };
        if same && reduce.infer(&[self.value_type()]).is_ok() {
            return Ok(self.clone());
        }
        self.graph().add(reduce.into(), &[self])
    }

    /// The sum over these axes (negative ones count from the end).
    ///
    /// # Errors
    /// There is no such axis, or the value is of truth values.
    pub fn sum(&self, axes: &[isize], keep_dims: bool) -> Result<Value> {
        self.reduce(ReduceKind::Sum, axes, keep_dims)
    }

    /// The mean over these axes.
    ///
    /// # Errors
    /// There is no such axis, or the value is not of floats.
    pub fn mean(&self, axes: &[isize], keep_dims: bool) -> Result<Value> {
        self.reduce(ReduceKind::Mean, axes, keep_dims)
    }

    /// The largest over these axes.
    ///
    /// # Errors
    /// There is no such axis.
    pub fn max(&self, axes: &[isize], keep_dims: bool) -> Result<Value> {
        self.reduce(ReduceKind::Max, axes, keep_dims)
    }

    /// The smallest over these axes.
    ///
    /// # Errors
    /// There is no such axis.
    pub fn min(&self, axes: &[isize], keep_dims: bool) -> Result<Value> {
        self.reduce(ReduceKind::Min, axes, keep_dims)
    }

    /// The logarithm of the sum of exponentials over these axes.
    ///
    /// # Errors
    /// There is no such axis, or the value is not of floats.
    pub fn logsumexp(&self, axes: &[isize], keep_dims: bool) -> Result<Value> {
        self.reduce(ReduceKind::LogSumExp, axes, keep_dims)
    }

    /// The sum of all elements, without axes.
    ///
    /// # Errors
    /// The value is of truth values.
    pub fn sum_all(&self) -> Result<Value> {
        let axes: Vec<isize> = (0..self.shape().rank() as isize).collect();
        self.sum(&axes, false)
    }

    /// The mean of all elements, without axes.
    ///
    /// # Errors
    /// The value is not of floats.
    pub fn mean_all(&self) -> Result<Value> {
        let axes: Vec<isize> = (0..self.shape().rank() as isize).collect();
        self.mean(&axes, false)
    }

    /// The place of the largest element along an axis, as 32-bit integers.
    ///
    /// # Errors
    /// There is no such axis, or it is empty.
    pub fn argmax(&self, axis: isize) -> Result<Value> {
        let axis = self.axis(axis)?;
        self.graph().add(ArgMax { axis }.into(), &[self])
    }
}
