//! Products of matrices.

use super::{
    Backward, Family, broadcast_offset, expect_float, expect_inputs, expect_same_dtype, reduce_to,
    unravel,
};
use crate::reference::Array;
use crate::{Bindings, Error, Result, Shape, Value, ValueType};

/// Products of the matrices in the last two axes, `(.., m, k) x (.., k, n) -> (.., m, n)`; leading axes broadcast.
/// A transposed operand is stored with its last two axes exchanged. The accumulation and the result are of the inputs'
/// dtype (16-bit floats accumulate in 32 bits).
#[derive(Clone, Debug, PartialEq)]
pub struct MatMul {
    /// The left operand is stored as `(.., k, m)`.
    pub transpose_left: bool,
    /// The right operand is stored as `(.., n, k)`.
    pub transpose_right: bool,
}

impl MatMul {
    /// `(rows, columns)` axes of an operand of this rank.
    fn axes(rank: usize, transposed: bool) -> (usize, usize) {
        if transposed {
            (rank - 1, rank - 2)
        } else {
            (rank - 2, rank - 1)
        }
    }
}

impl Family for MatMul {
    fn name(&self) -> &str {
        "matmul"
    }

    fn attributes(&self) -> String {
        match (self.transpose_left, self.transpose_right) {
            (false, false) => String::new(),
            (true, false) => "left transposed".to_owned(),
            (false, true) => "right transposed".to_owned(),
            (true, true) => "both transposed".to_owned(),
        }
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs("matmul", inputs, 2)?;
        let (left, right) = (&inputs[0], &inputs[1]);
        expect_float("matmul", left)?;
        expect_same_dtype("matmul", left, right)?;
        if left.shape.rank() < 2 || right.shape.rank() < 2 {
            return Err(Error::new(format!(
                "matmul takes values of at least 2 axes, received {} and {}",
                left.shape, right.shape
            )));
        }
        let (m, k) = MatMul::axes(left.shape.rank(), self.transpose_left);
        let (k_right, n) = MatMul::axes(right.shape.rank(), self.transpose_right);
        if left.shape.dims()[k] != right.shape.dims()[k_right] {
            return Err(Error::new(format!(
                "matmul of {} and {}: the inner sizes {} and {} differ",
                left.shape,
                right.shape,
                left.shape.dims()[k],
                right.shape.dims()[k_right]
            )));
        }
        let leading = |shape: &Shape| Shape::new(shape.dims()[..shape.rank() - 2].iter().cloned());
        let mut shape = leading(&left.shape).broadcast(&leading(&right.shape))?;
        shape.dims_mut().push(left.shape.dims()[m].clone());
        shape.dims_mut().push(right.shape.dims()[n].clone());
        Ok(ValueType::new(shape, left.dtype))
    }

    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let (a, b) = (&backward.inputs[0], &backward.inputs[1]);
        let g = &backward.gradient;
        // C = A B: dA = G B^T, dB = A^T G; for a transposed operand the transposed of that.
        let left = if self.transpose_left {
            b.matmul_with(g, self.transpose_right, true)?
        } else {
            g.matmul_with(b, false, !self.transpose_right)?
        };
        let right = if self.transpose_right {
            g.matmul_with(a, true, self.transpose_left)?
        } else {
            a.matmul_with(g, !self.transpose_left, false)?
        };
        Ok(vec![
            Some(reduce_to(&left, &a.shape())?),
            Some(reduce_to(&right, &b.shape())?),
        ])
    }

    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let (left, right) = (inputs[0], inputs[1]);
        let (left_m, left_k) = MatMul::axes(left.shape.len(), self.transpose_left);
        let (right_k, right_n) = MatMul::axes(right.shape.len(), self.transpose_right);
        let inner = left.shape[left_k];
        let mut index = vec![0; shape.len()];
        let rank = shape.len();
        let offset =
            |array: &Array, index: &[usize], row: (usize, usize), column: (usize, usize)| {
                let own = array.shape.len();
                let mut position: Vec<usize> = index[rank - own..].to_vec();
                position[row.0] = row.1;
                position[column.0] = column.1;
                broadcast_offset(&position, &array.shape)
            };
        Ok((0..shape.iter().product())
            .map(|flat| {
                unravel(flat, shape, &mut index);
                let (m, n) = (index[rank - 2], index[rank - 1]);
                (0..inner)
                    .map(|k| {
                        left.data[offset(left, &index, (left_m, m), (left_k, k))]
                            * right.data[offset(right, &index, (right_k, k), (right_n, n))]
                    })
                    .sum()
            })
            .collect())
    }
}

impl Value {
    /// The product of matrices in the last two axes.
    ///
    /// # Errors
    /// The inner sizes, the dtypes or the leading axes do not fit.
    pub fn matmul(&self, other: &Value) -> Result<Value> {
        self.matmul_with(other, false, false)
    }

    /// The product of matrices in the last two axes, either of which may be stored transposed.
    ///
    /// # Errors
    /// The inner sizes, the dtypes or the leading axes do not fit.
    pub fn matmul_with(
        &self,
        other: &Value,
        transpose_left: bool,
        transpose_right: bool,
    ) -> Result<Value> {
        self.graph().add(
            MatMul {
                transpose_left,
                transpose_right,
            }
            .into(),
            &[self, other],
        )
    }
}
