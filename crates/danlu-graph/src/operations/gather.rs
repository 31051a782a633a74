//! Rows of a table by index, and rows added to a table: what an embedding reads, and what its gradient is.

use super::{Backward, Family, expect_inputs, expect_same_dtype, reduce_to};
use crate::reference::Array;
use crate::{Bindings, DType, Error, Graph, Operation, Result, Shape, Value, ValueType};

/// Rows of a table `(rows, ...)` by integer indices of any shape: `indices.shape + table.shape[1..]`. Inputs: table, indices
/// (i32 or i64). An index outside the table is an error when the program runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Gather;

/// A table with rows added to it, in the order of their indices: a row that is named twice takes both. Inputs: the table
/// as it was (or a number without axes that stands for all its elements), indices (i32 or i64) of any shape, rows of shape
/// `indices.shape + shape[1..]`. An index outside the table is an error when the program runs.
#[derive(Clone, Debug, PartialEq)]
pub struct ScatterAdd {
    /// The table's shape, `(rows, ...)`.
    pub shape: Shape,
}

/// The error of an index outside a table.
pub fn outside(operation: &str, index: i64, place: usize, rows: usize) -> Error {
    let advice = match rows {
        0 => "which takes none".to_owned(),
        _ => format!("which takes 0 to {}", rows - 1),
    };
    Error::new(format!(
        "{operation} was given index {index} (number {place} of the indices) for a table of {rows} rows, {advice}"
    ))
}

/// The row that each index names.
fn rows_of(operation: &str, indices: &Array, rows: usize) -> Result<Vec<usize>> {
    let row = |(place, &index): (usize, &f64)| match index >= 0.0 && index < rows as f64 {
        true => Ok(index as usize),
        false => Err(outside(operation, index as i64, place, rows)),
    };
    indices.data.iter().enumerate().map(row).collect()
}

fn expect_indices(operation: &str, indices: &ValueType) -> Result<()> {
    if matches!(indices.dtype, DType::I32 | DType::I64) {
        Ok(())
    } else {
        Err(Error::new(format!(
            "{operation} takes indices of dtype int32 or int64, received {indices}; cast them first"
        )))
    }
}

/// The shape of the rows that indices name in a table of this shape.
fn rows_shape(operation: &str, indices: &ValueType, table: &Shape) -> Result<Shape> {
    match table.dims() {
        [_, row @ ..] => Ok(Shape::new(indices.shape.dims().iter().chain(row).cloned())),
        [] => Err(Error::new(format!(
            "{operation} takes a table of shape (rows, ...), received a value without axes"
        ))),
    }
}

impl Family for Gather {
    fn name(&self) -> &str {
        "gather"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs("gather", inputs, 2)?;
        expect_indices("gather", &inputs[1])?;
        let shape = rows_shape("gather", &inputs[1], &inputs[0].shape)?;
        Ok(ValueType::new(shape, inputs[0].dtype))
    }

    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let (table, indices) = (&backward.inputs[0], &backward.inputs[1]);
        let graph = table.graph();
        let gradient = graph.scattered(&table.shape(), indices, &backward.gradient)?;
        Ok(vec![Some(gradient), None])
    }

    fn evaluate(&self, inputs: &[&Array], _: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let (table, indices) = (inputs[0], inputs[1]);
        let width: usize = table.shape[1..].iter().product();
        let rows = rows_of("gather", indices, table.shape[0])?;
        let mut result = Vec::with_capacity(rows.len() * width);
        for row in rows {
            result.extend_from_slice(&table.data[row * width..(row + 1) * width]);
        }
        Ok(result)
    }
}

impl Family for ScatterAdd {
    fn name(&self) -> &str {
        "scatter_add"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs("scatter_add", inputs, 3)?;
        let (base, indices, values) = (&inputs[0], &inputs[1], &inputs[2]);
        expect_indices("scatter_add", indices)?;
        expect_same_dtype("scatter_add", base, values)?;
        if base.dtype == DType::Bool {
            return Err(Error::new(format!(
                "scatter_add takes numbers, received {base}; cast it first"
            )));
        }
        if base.shape.rank() != 0 && base.shape != self.shape {
            return Err(Error::new(format!(
                "scatter_add to a table of shape {} takes that, or a number without axes, as its base, received {base}",
                self.shape
            )));
        }
        let expected = rows_shape("scatter_add", indices, &self.shape)?;
        if values.shape != expected {
            return Err(Error::new(format!(
                "scatter_add of rows to a table of shape {} at indices of shape {} takes rows of shape {expected}, received {values}",
                self.shape, indices.shape
            )));
        }
        Ok(ValueType::new(self.shape.clone(), base.dtype))
    }

    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let (base, indices) = (&backward.inputs[0], &backward.inputs[1]);
        let gradient = &backward.gradient;
        Ok(vec![
            Some(reduce_to(gradient, &base.shape())?),
            None,
            Some(gradient.gather(indices)?),
        ])
    }

    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let (base, indices, values) = (inputs[0], inputs[1], inputs[2]);
        let width: usize = shape[1..].iter().product();
        let mut result = match base.shape.as_slice() {
            [] => vec![base.data[0]; shape[0] * width],
            _ => base.data.clone(),
        };
        let rows = rows_of("scatter_add", indices, shape[0])?;
        for (row, values) in rows.into_iter().zip(values.data.chunks(width)) {
            for (sum, value) in result[row * width..].iter_mut().zip(values) {
                *sum += value;
            }
        }
        Ok(result)
    }
}

impl Value {
    /// Rows of this table `(rows, ...)` by integer indices (i32 or i64) of any shape.
    ///
    /// # Errors
    /// The table has no axis, or the indices are of another dtype. An index outside the table fails the run.
    pub fn gather(&self, indices: &Value) -> Result<Value> {
        self.graph().add(Gather.into(), &[self, indices])
    }

    /// This table with `rows`, of shape `indices.shape + shape[1..]`, added at their indices.
    ///
    /// # Errors
    /// The shapes do not fit, or the indices are neither i32 nor i64. An index outside the table fails the run.
    pub fn scatter_add(&self, indices: &Value, rows: &Value) -> Result<Value> {
        let shape = self.shape();
        self.graph()
            .add(ScatterAdd { shape }.into(), &[self, indices, rows])
    }

    /// The indices and the rows of a value that is zero but for rows added to it: the gradient of a table of which only
    /// some rows were read.
    pub fn as_scattered(&self) -> Option<(Value, Value)> {
        let mut inputs = self.inputs().into_iter();
        let (Operation::ScatterAdd(_), Some(base)) = (self.operation(), inputs.next()) else {
            return None;
        };
        match base.operation() {
            Operation::Constant(constant) if constant.is_number(0.0) => {
                inputs.next().zip(inputs.next())
            }
            _ => None,
        }
    }
}

impl Graph {
    /// Zeros of this shape `(rows, ...)` with `rows`, of shape `indices.shape + shape[1..]`, added at their indices.
    ///
    /// # Errors
    /// As for [`Value::scatter_add`].
    pub fn scattered(&self, shape: &Shape, indices: &Value, rows: &Value) -> Result<Value> {
        let zero = self.scalar(0.0, rows.dtype())?;
        let shape = shape.clone();
        self.add(ScatterAdd { shape }.into(), &[&zero, indices, rows])
    }
}
