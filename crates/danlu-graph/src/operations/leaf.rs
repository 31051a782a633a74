//! Values that come from outside the graph's arithmetic: inputs, state, constants, counters, sizes.

use std::sync::Arc;

use super::{Backward, Family, expect_inputs};
use crate::reference::Array;
use crate::{Bindings, DType, Dim, Error, Graph, Result, Shape, Tensor, Value, ValueType};

/// A value that is given when the program runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Its name among the program's inputs.
    pub name: String,
    /// Its shape and dtype.
    pub value_type: ValueType,
}

/// A parameter, moment or counter, as it is when the program starts.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Its name in the executor.
    pub name: String,
    /// Its shape and dtype.
    pub value_type: ValueType,
}

/// A value that is part of the program.
#[derive(Clone, Debug)]
pub struct Constant {
    /// The value.
    pub tensor: Arc<Tensor>,
}

/// 0, 1, 2, ... along one axis of a shape, the same along all others.
#[derive(Clone, Debug, PartialEq)]
pub struct Iota {
    /// The result's shape.
    pub shape: Shape,
    /// The axis that counts.
    pub axis: usize,
    /// The result's dtype.
    pub dtype: DType,
}

/// The number that an expression of named dimensions is bound to, as a value without axes.
#[derive(Clone, Debug, PartialEq)]
pub struct DimensionSize {
    /// The expression.
    pub dim: Dim,
    /// The result's dtype.
    pub dtype: DType,
}

impl Constant {
    /// This tensor as a constant.
    pub fn new(tensor: Tensor) -> Constant {
        Constant {
            tensor: Arc::new(tensor),
        }
    }

    /// Whether it is one element, equal to this number.
    pub fn is_number(&self, number: f64) -> bool {
        self.tensor.len() == 1 && self.tensor.get_f64(0) == number
    }
}

impl PartialEq for Constant {
    /// Equal in every bit: NaN equals itself, and 0 is not -0.
    fn eq(&self, other: &Constant) -> bool {
        Arc::ptr_eq(&self.tensor, &other.tensor)
            || (self.tensor.shape() == other.tensor.shape()
                && self.tensor.dtype() == other.tensor.dtype()
                && (0..self.tensor.len()).all(|index| {
                    self.tensor.get_f64(index).to_bits() == other.tensor.get_f64(index).to_bits()
                }))
    }
}

impl Family for Input {
    fn name(&self) -> &str {
        "input"
    }
    fn attributes(&self) -> String {
        format!("\"{}\"", self.name)
    }
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs("input", inputs, 0)?;
        Ok(self.value_type.clone())
    }
    fn gradient(&self, _: &Backward) -> Result<Vec<Option<Value>>> {
        Ok(Vec::new())
    }
    fn evaluate(&self, _: &[&Array], _: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        Err(Error::new(format!("input `{}` was not given", self.name)))
    }
}

impl Family for State {
    fn name(&self) -> &str {
        "state"
    }
    fn attributes(&self) -> String {
        format!("\"{}\"", self.name)
    }
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs("state", inputs, 0)?;
        if self.value_type.shape.as_fixed().is_none() {
            return Err(Error::new(format!(
                "state `{}` has shape {}: state cannot have named dimensions",
                self.name, self.value_type.shape
            )));
        }
        Ok(self.value_type.clone())
    }
    fn gradient(&self, _: &Backward) -> Result<Vec<Option<Value>>> {
        Ok(Vec::new())
    }
    fn evaluate(&self, _: &[&Array], _: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        Err(Error::new(format!("state `{}` does not exist", self.name)))
    }
}

impl Family for Constant {
    fn name(&self) -> &str {
        "constant"
    }
    fn attributes(&self) -> String {
        if self.tensor.len() == 1 {
            format!("{}", self.tensor.get_f64(0))
        } else {
            format!("{} elements", self.tensor.len())
        }
    }
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs("constant", inputs, 0)?;
        Ok(ValueType::new(
            Shape::from(self.tensor.shape()),
            self.tensor.dtype(),
        ))
    }
    fn gradient(&self, _: &Backward) -> Result<Vec<Option<Value>>> {
        Ok(Vec::new())
    }
    fn evaluate(&self, _: &[&Array], _: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        Ok(self.tensor.to_f64())
    }
}

impl Family for Iota {
    fn name(&self) -> &str {
        "iota"
    }
    fn attributes(&self) -> String {
        format!("axis={}", self.axis)
    }
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs("iota", inputs, 0)?;
        if self.axis >= self.shape.rank() {
            return Err(Error::new(format!(
                "iota counts along axis {}, but its shape is {}",
                self.axis, self.shape
            )));
        }
        Ok(ValueType::new(self.shape.clone(), self.dtype))
    }
    fn gradient(&self, _: &Backward) -> Result<Vec<Option<Value>>> {
        Ok(Vec::new())
    }
    fn evaluate(&self, _: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let count: usize = shape.iter().product();
        let after: usize = shape[self.axis + 1..].iter().product();
        Ok((0..count)
            .map(|flat| (flat / after % shape[self.axis]) as f64)
            .collect())
    }
}

impl Family for DimensionSize {
    fn name(&self) -> &str {
        "dimension_size"
    }
    fn attributes(&self) -> String {
        self.dim.to_string()
    }
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs("dimension_size", inputs, 0)?;
        Ok(ValueType::new(Shape::scalar(), self.dtype))
    }
    fn gradient(&self, _: &Backward) -> Result<Vec<Option<Value>>> {
        Ok(Vec::new())
    }
    fn evaluate(&self, _: &[&Array], _: &[usize], bindings: &Bindings) -> Result<Vec<f64>> {
        Ok(vec![self.dim.evaluate(bindings)? as f64])
    }
}

impl Graph {
    /// 0, 1, 2, ... along `axis` of a value of this shape.
    ///
    /// # Errors
    /// There is no such axis.
    pub fn iota(&self, shape: Shape, axis: isize, dtype: DType) -> Result<Value> {
        let axis = shape.axis(axis).map_err(|error| error.at(&self.path()))?;
        self.add(Iota { shape, axis, dtype }.into(), &[])
    }

    /// The number that a size is bound to, without axes.
    ///
    /// # Errors
    /// Never at present; part of the signature that all nodes share.
    pub fn dimension_size(&self, dim: &Dim, dtype: DType) -> Result<Value> {
        match dim.as_fixed() {
            Some(size) => self.scalar(size as f64, dtype),
            None => self.add(
                DimensionSize {
                    dim: dim.clone(),
                    dtype,
                }
                .into(),
                &[],
            ),
        }
    }
}
