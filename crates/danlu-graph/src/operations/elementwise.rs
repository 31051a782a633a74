//! Functions applied element by element; two or more inputs are broadcast as NumPy does.

use super::{
    Backward, BinaryKind, CompareKind, Family, TINY, UnaryKind, broadcast_offset, expect_inputs,
    expect_same_dtype, reduce_to, unravel,
};
use crate::reference::{Array, saturated};
use crate::{Bindings, DType, Error, Result, Value, ValueType};

/// A function of each element.
#[derive(Clone, Debug, PartialEq)]
pub struct Unary {
    /// Which function.
    pub kind: UnaryKind,
}

/// A function of two elements of one dtype.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// Which function.
    pub kind: BinaryKind,
}

/// A comparison of two elements of one dtype; the result is of truth values.
#[derive(Clone, Debug, PartialEq)]
pub struct Compare {
    /// Which comparison.
    pub kind: CompareKind,
}

/// `select(condition, a, b)`: the element of `a` where the truth value holds, else that of `b`.
#[derive(Clone, Debug, PartialEq)]
pub struct Select;

/// Conversion: floats to integers towards zero and saturating, integers to smaller ones wrapping around, anything to a
/// truth value as "is not 0".
#[derive(Clone, Debug, PartialEq)]
pub struct Cast {
    /// The dtype of the result.
    pub dtype: DType,
}

/// The same value, through which no gradient flows.
#[derive(Clone, Debug, PartialEq)]
pub struct StopGradient;

/// Evaluates `function` on the broadcast elements of the inputs.
fn zip(inputs: &[&Array], shape: &[usize], function: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let count: usize = shape.iter().product();
    let mut index = vec![0; shape.len()];
    let mut arguments = vec![0.0; inputs.len()];
    (0..count)
        .map(|flat| {
            unravel(flat, shape, &mut index);
            for (argument, input) in arguments.iter_mut().zip(inputs) {
                *argument = input.data[broadcast_offset(&index, &input.shape)];
            }
            function(&arguments)
        })
        .collect()
}

impl Family for Unary {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs(self.name(), inputs, 1)?;
        let input = &inputs[0];
        let allowed = match self.kind {
            UnaryKind::Not => input.dtype == DType::Bool,
            UnaryKind::Negate
            | UnaryKind::Abs
            | UnaryKind::Sign
            | UnaryKind::Square
            | UnaryKind::Relu => input.dtype != DType::Bool,
            _ => input.dtype.is_float(),
        };
        if !allowed {
            return Err(Error::new(format!(
                "{} does not take {input}; cast it first",
                self.name()
            )));
        }
        let dtype = match self.kind {
            UnaryKind::IsFinite => DType::Bool,
            _ => input.dtype,
        };
        Ok(ValueType::new(input.shape.clone(), dtype))
    }

    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let x = &backward.inputs[0];
        let y = &backward.output;
        let g = &backward.gradient;
        let gradient = match self.kind {
            UnaryKind::Negate => g.negate()?,
            UnaryKind::Abs => g.multiply(&x.sign()?)?,
            UnaryKind::Exp => g.multiply(y)?,
            UnaryKind::Expm1 => g.multiply(&y.add_scalar(1.0)?)?,
            UnaryKind::Log => g.divide(x)?,
            UnaryKind::Log1p => g.divide(&x.add_scalar(1.0)?)?,
            UnaryKind::Sqrt => g.divide(&y.multiply_scalar(2.0)?)?,
            UnaryKind::Square => g.multiply(&x.multiply_scalar(2.0)?)?,
            UnaryKind::Reciprocal => g.multiply(&y.square()?)?.negate()?,
            UnaryKind::Tanh => g.multiply(&y.square()?.negate()?.add_scalar(1.0)?)?,
            UnaryKind::Sigmoid => g.multiply(&y.multiply(&y.negate()?.add_scalar(1.0)?)?)?,
            UnaryKind::Relu => {
                let zero = g.graph().scalar(0.0, g.dtype())?;
                let positive = y.greater(&y.graph().scalar(0.0, y.dtype())?)?;
                positive.select(g, &zero)?
            }
            UnaryKind::Sin => g.multiply(&x.cos()?)?,
            UnaryKind::Cos => g.multiply(&x.sin()?)?.negate()?,
            UnaryKind::Erf => {
                // d erf(x)/dx = 2/sqrt(pi) e^(-x^2)
                let slope = x
                    .square()?
                    .negate()?
                    .exp()?
                    .multiply_scalar(std::f64::consts::FRAC_2_SQRT_PI)?;
                g.multiply(&slope)?
            }
            UnaryKind::FlushTiny => g.clone(),
            UnaryKind::Sign
            | UnaryKind::Floor
            | UnaryKind::Ceil
            | UnaryKind::Round
            | UnaryKind::Not
            | UnaryKind::IsFinite => return Ok(vec![None]),
        };
        Ok(vec![Some(gradient)])
    }

    fn evaluate(&self, inputs: &[&Array], _: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let kind = self.kind;
        let dtype = inputs[0].dtype;
        let function = |&x: &f64| match kind {
            UnaryKind::Square => binary(BinaryKind::Multiply, dtype, x, x),
            _ => unary(kind, x),
        };
        Ok(inputs[0].data.iter().map(function).collect())
    }
}

/// One function of one number.
fn unary(kind: UnaryKind, x: f64) -> f64 {
    match kind {
        UnaryKind::Negate => -x,
        UnaryKind::Abs => x.abs(),
        UnaryKind::Sign if x == 0.0 || x.is_nan() => x,
        UnaryKind::Sign => x.signum(),
        UnaryKind::Exp => x.exp(),
        UnaryKind::Expm1 => x.exp_m1(),
        UnaryKind::Log => x.ln(),
        UnaryKind::Log1p => x.ln_1p(),
        UnaryKind::Sqrt => x.sqrt(),
        UnaryKind::Square => x * x,
        UnaryKind::Reciprocal => 1.0 / x,
        UnaryKind::Tanh => x.tanh(),
        UnaryKind::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        UnaryKind::Relu if x.is_nan() => x,
        UnaryKind::Relu => x.max(0.0),
        UnaryKind::Sin => x.sin(),
        UnaryKind::Cos => x.cos(),
        UnaryKind::Erf => crate::reference::erf(x),
        UnaryKind::Floor => x.floor(),
        UnaryKind::Ceil => x.ceil(),
        UnaryKind::Round => x.round_ties_even(),
        UnaryKind::FlushTiny if x.abs() < f64::from(TINY) => 0.0,
        UnaryKind::FlushTiny => x,
        UnaryKind::Not => f64::from(x == 0.0),
        UnaryKind::IsFinite => f64::from(x.is_finite()),
    }
}

impl Family for Binary {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_same_dtype(self.name(), &inputs[0], &inputs[1])?;
        let dtype = inputs[0].dtype;
        let allowed = match self.kind {
            BinaryKind::And | BinaryKind::Or => dtype == DType::Bool,
            BinaryKind::Power => dtype.is_float(),
            BinaryKind::Maximum | BinaryKind::Minimum => true,
            _ => dtype != DType::Bool,
        };
        if !allowed {
            return Err(Error::new(format!(
                "{} does not take {dtype} values; cast them first",
                self.name()
            )));
        }
        let shape = inputs[0].shape.broadcast(&inputs[1].shape)?;
        Ok(ValueType::new(shape, dtype))
    }

    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let (a, b) = (&backward.inputs[0], &backward.inputs[1]);
        let y = &backward.output;
        let g = &backward.gradient;
        let zero = || g.graph().scalar(0.0, g.dtype());
        let (left, right) = match self.kind {
            BinaryKind::Add => (g.clone(), g.clone()),
            BinaryKind::Subtract => (g.clone(), g.negate()?),
            BinaryKind::Multiply => (g.multiply(b)?, g.multiply(a)?),
            BinaryKind::Divide => {
                let left = g.divide(b)?;
                let right = left.multiply(y)?.negate()?;
                (left, right)
            }
            BinaryKind::Power => {
                // d a^b = b a^(b-1) da + a^b ln(a) db; ln only where a > 0, as Keras has it.
                let left = g.multiply(b)?.multiply(&a.power(&b.add_scalar(-1.0)?)?)?;
                let positive = a.greater(&a.graph().scalar(0.0, a.dtype())?)?;
                let one = a.graph().scalar(1.0, a.dtype())?;
                let logarithm = positive.select(a, &one)?.log()?;
                (left, g.multiply(y)?.multiply(&logarithm)?)
            }
            BinaryKind::Maximum => {
                let left = a.greater_equal(b)?;
                (left.select(g, &zero()?)?, left.select(&zero()?, g)?)
            }
            BinaryKind::Minimum => {
                let left = a.less_equal(b)?;
                (left.select(g, &zero()?)?, left.select(&zero()?, g)?)
            }
            BinaryKind::And | BinaryKind::Or => return Ok(vec![None, None]),
        };
        Ok(vec![
            Some(reduce_to(&left, &a.shape())?),
            Some(reduce_to(&right, &b.shape())?),
        ])
    }

    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let (kind, dtype) = (self.kind, inputs[0].dtype);
        Ok(zip(inputs, shape, |x| binary(kind, dtype, x[0], x[1])))
    }
}

/// One function of two numbers.
fn binary(kind: BinaryKind, dtype: DType, a: f64, b: f64) -> f64 {
    let integer = !dtype.is_float();
    match kind {
        BinaryKind::Add => a + b,
        BinaryKind::Subtract => a - b,
        // A product of 62 bits must wrap around before `f64` rounds it.
        BinaryKind::Multiply if dtype == DType::I32 => f64::from((a as i32).wrapping_mul(b as i32)),
        BinaryKind::Multiply => a * b,
        BinaryKind::Divide if integer && b == 0.0 => 0.0,
        BinaryKind::Divide if integer => (a / b).trunc(),
        BinaryKind::Divide => a / b,
        BinaryKind::Power => a.powf(b),
        BinaryKind::Maximum | BinaryKind::Minimum if a.is_nan() || b.is_nan() => f64::NAN,
        BinaryKind::Maximum => a.max(b),
        BinaryKind::Minimum => a.min(b),
        BinaryKind::And => f64::from(a != 0.0 && b != 0.0),
        BinaryKind::Or => f64::from(a != 0.0 || b != 0.0),
    }
}

impl Family for Compare {
    fn name(&self) -> &str {
        self.kind.name()
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs(self.name(), inputs, 2)?;
        expect_same_dtype(self.name(), &inputs[0], &inputs[1])?;
        let shape = inputs[0].shape.broadcast(&inputs[1].shape)?;
        Ok(ValueType::new(shape, DType::Bool))
    }

    fn gradient(&self, _: &Backward) -> Result<Vec<Option<Value>>> {
        Ok(vec![None, None])
    }

    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let kind = self.kind;
        Ok(zip(inputs, shape, |x| {
            f64::from(match kind {
                CompareKind::Equal => x[0] == x[1],
                CompareKind::NotEqual => x[0] != x[1],
                CompareKind::Less => x[0] < x[1],
                CompareKind::LessEqual => x[0] <= x[1],
                CompareKind::Greater => x[0] > x[1],
                CompareKind::GreaterEqual => x[0] >= x[1],
            })
        }))
    }
}

impl Family for Select {
    fn name(&self) -> &str {
        "select"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs("select", inputs, 3)?;
        if inputs[0].dtype != DType::Bool {
            return Err(Error::new(format!(
                "select chooses by truth values, received {}",
                inputs[0]
            )));
        }
        expect_same_dtype("select", &inputs[1], &inputs[2])?;
        let shape = inputs[1].shape.broadcast(&inputs[2].shape)?;
        let shape = inputs[0].shape.broadcast(&shape)?;
        Ok(ValueType::new(shape, inputs[1].dtype))
    }

    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let condition = &backward.inputs[0];
        let g = &backward.gradient;
        let zero = g.graph().scalar(0.0, g.dtype())?;
        let left = condition.select(g, &zero)?;
        let right = condition.select(&zero, g)?;
        Ok(vec![
            None,
            Some(reduce_to(&left, &backward.inputs[1].shape())?),
            Some(reduce_to(&right, &backward.inputs[2].shape())?),
        ])
    }

    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        Ok(zip(
            inputs,
            shape,
            |x| if x[0] != 0.0 { x[1] } else { x[2] },
        ))
    }
}

impl Family for Cast {
    fn name(&self) -> &str {
        "cast"
    }

    fn attributes(&self) -> String {
        self.dtype.to_string()
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs("cast", inputs, 1)?;
        Ok(ValueType::new(inputs[0].shape.clone(), self.dtype))
    }

    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let from = backward.inputs[0].dtype();
        if !from.is_float() || !self.dtype.is_float() {
            return Ok(vec![None]);
        }
        Ok(vec![Some(backward.gradient.cast(from)?)])
    }

    fn evaluate(&self, inputs: &[&Array], _: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let (from, to) = (inputs[0].dtype, self.dtype);
        let convert = |&x: &f64| if from.is_float() { saturated(x, to) } else { x };
        Ok(inputs[0].data.iter().map(convert).collect())
    }
}

impl Family for StopGradient {
    fn name(&self) -> &str {
        "stop_gradient"
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        expect_inputs("stop_gradient", inputs, 1)?;
        Ok(inputs[0].clone())
    }

    fn gradient(&self, _: &Backward) -> Result<Vec<Option<Value>>> {
        Ok(vec![None])
    }

    fn evaluate(&self, inputs: &[&Array], _: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        Ok(inputs[0].data.clone())
    }
}
