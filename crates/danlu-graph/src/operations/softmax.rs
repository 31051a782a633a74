//! Softmax, its logarithm, and cross-entropies on logits, along the last axis.

use super::{Backward, Family, expect_float, expect_inputs};
use crate::reference::Array;
use crate::{Bindings, DType, Error, Result, Shape, Value, ValueType};

/// `e^x / sum e^x` along the last axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Softmax;

/// `x - ln sum e^x` along the last axis.
#[derive(Clone, Debug, PartialEq)]
pub struct LogSoftmax;

/// From `(logits (.., classes), class indices (..))`: `ln sum e^x - x[class]`. NaN where the index is no class.
#[derive(Clone, Debug, PartialEq)]
pub struct SparseCrossEntropy;

fn infer_rows(name: &str, inputs: &[ValueType]) -> Result<ValueType> {
    expect_inputs(name, inputs, 1)?;
    expect_float(name, &inputs[0])?;
    if inputs[0].shape.rank() == 0 {
        return Err(Error::new(format!(
            "{name} needs an axis of classes, received a value without axes"
        )));
    }
    Ok(inputs[0].clone())
}

/// The logarithm of the sum of exponentials of a row, from its maximum.
fn log_sum(row: &[f64]) -> f64 {
    if row.iter().any(|x| x.is_nan()) {
        return f64::NAN;
    }
    let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !largest.is_finite() {
        return largest;
    }
    largest + row.iter().map(|x| (x - largest).exp()).sum::<f64>().ln()
}

fn map_rows(input: &Array, function: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let classes = input.shape.last().copied().unwrap_or(1).max(1);
    input
        .data
        .chunks(classes)
        .flat_map(|row| {
            let sum = log_sum(row);
            row.iter().map(|&x| function(x, sum)).collect::<Vec<f64>>()
        })
        .collect()
}

impl Family for Softmax {
    fn name(&self) -> &str {
        "softmax"
    }
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        infer_rows("softmax", inputs)
    }
    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let (y, g) = (&backward.output, &backward.gradient);
        let product = g.multiply(y)?.sum(&[-1], true)?;
        Ok(vec![Some(g.subtract(&product)?.multiply(y)?)])
    }
    fn evaluate(&self, inputs: &[&Array], _: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        Ok(map_rows(inputs[0], |x, sum| (x - sum).exp()))
    }
}

impl Family for LogSoftmax {
    fn name(&self) -> &str {
        "log_softmax"
    }
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        infer_rows("log_softmax", inputs)
    }
    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let g = &backward.gradient;
        let probabilities = backward.inputs[0].softmax()?;
        let sum = g.sum(&[-1], true)?;
        Ok(vec![Some(g.subtract(&probabilities.multiply(&sum)?)?)])
    }
    fn evaluate(&self, inputs: &[&Array], _: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        Ok(map_rows(inputs[0], |x, sum| x - sum))
    }
}

impl Family for SparseCrossEntropy {
    fn name(&self) -> &str {
        "sparse_cross_entropy"
    }
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs(self.name(), inputs, 2)?;
        let logits = infer_rows(self.name(), &inputs[..1])?;
        let rank = logits.shape.rank();
        let leading = Shape::new(logits.shape.dims()[..rank - 1].iter().cloned());
        if leading != inputs[1].shape || inputs[1].dtype.is_float() {
            return Err(Error::new(format!(
                "{} of logits {} expects class indices of an integer dtype and shape {leading}, received {}",
                self.name(),
                logits.shape,
                inputs[1]
            )));
        }
        Ok(ValueType::new(leading, logits.dtype))
    }
    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let (logits, classes) = (&backward.inputs[0], &backward.inputs[1]);
        let shape = logits.shape();
        let mut column = backward.gradient.shape();
        column.dims_mut().push(1.into());
        let g = backward.gradient.reshape(&column)?;
        // Counted in 32 bits or more: labels of 8 bits may be fewer than the classes.
        let dtype = match classes.dtype() {
            DType::I64 => DType::I64,
            _ => DType::I32,
        };
        let places = logits.graph().iota(shape, -1, dtype)?;
        let one_hot = classes
            .cast(dtype)?
            .reshape(&column)?
            .equal(&places)?
            .cast(logits.dtype())?;
        Ok(vec![
            Some(logits.softmax()?.subtract(&one_hot)?.multiply(&g)?),
            None,
        ])
    }
    fn evaluate(&self, inputs: &[&Array], _: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let (logits, classes) = (inputs[0], inputs[1]);
        let count = logits.shape.last().copied().unwrap_or(1);
        Ok(classes
            .data
            .iter()
            .enumerate()
            .map(|(row, &class)| {
                let row = &logits.data[row * count..(row + 1) * count];
                let inside = class >= 0.0 && class < count as f64;
                if inside {
                    log_sum(row) - row[class as usize]
                } else {
                    f64::NAN
                }
            })
            .collect())
    }
}

impl Value {
    /// Exponentials that sum to 1 along the last axis.
    ///
    /// # Errors
    /// The value is not of floats, or has no axis.
    pub fn softmax(&self) -> Result<Value> {
        self.graph().add(Softmax.into(), &[self])
    }

    /// The logarithm of softmax along the last axis.
    ///
    /// # Errors
    /// The value is not of floats, or has no axis.
    pub fn log_softmax(&self) -> Result<Value> {
        self.graph().add(LogSoftmax.into(), &[self])
    }

    /// Cross-entropy of these logits `(.., classes)` against class indices `(..)`.
    ///
    /// # Errors
    /// The shapes do not fit, or the indices are not integers.
    pub fn sparse_cross_entropy(&self, classes: &Value) -> Result<Value> {
        self.graph()
            .add(SparseCrossEntropy.into(), &[self, classes])
    }

    /// Cross-entropy of these logits `(.., classes)` against probabilities of the same shape.
    ///
    /// # Errors
    /// The shapes do not broadcast.
    pub fn cross_entropy(&self, probabilities: &Value) -> Result<Value> {
        self.log_softmax()?
            .multiply(probabilities)?
            .sum(&[-1], false)?
            .negate()
    }
}
