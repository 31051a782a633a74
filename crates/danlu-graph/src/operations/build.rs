//! The short names with which elementwise nodes are built: methods of [`Value`], and the operators `+ - * /`.

use std::ops::{Add, Div, Mul, Sub};

use super::{
    Binary, BinaryKind, Cast, Compare, CompareKind, Select, StopGradient, Unary, UnaryKind,
};
use crate::{DType, Result, Value};

macro_rules! unary {
    ($($(#[$meta:meta])* $name:ident = $kind:ident;)*) => {
        impl Value {
            $(
                $(#[$meta])*
                ///
                /// # Errors
                /// The dtype is one that the function is not defined for.
                pub fn $name(&self) -> Result<Value> {
                    self.graph().add(Unary { kind: UnaryKind::$kind }.into(), &[self])
                }
            )*
        }
    };
}

unary! {
    /// `-x`.
    negate = Negate;
    /// `|x|`.
    abs = Abs;
    /// -1, 0 or 1.
    sign = Sign;
    /// `e^x`.
    exp = Exp;
    /// `e^x - 1`, exact near 0.
    expm1 = Expm1;
    /// Natural logarithm.
    log = Log;
    /// `ln(1 + x)`, exact near 0.
    log1p = Log1p;
    /// Square root.
    sqrt = Sqrt;
    /// `x * x`.
    square = Square;
    /// `1 / x`.
    reciprocal = Reciprocal;
    /// Hyperbolic tangent.
    tanh = Tanh;
    /// `1 / (1 + e^-x)`.
    sigmoid = Sigmoid;
    /// `max(x, 0)`.
    relu = Relu;
    /// Sine of radians.
    sin = Sin;
    /// Cosine of radians.
    cos = Cos;
    /// The error function.
    erf = Erf;
    /// `x`, but 0 where `|x|` is below [`TINY`](crate::operations::TINY): what decays ends at 0, not among subnormal numbers.
    flush_tiny = FlushTiny;
    /// The largest integer not above.
    floor = Floor;
    /// The smallest integer not below.
    ceil = Ceil;
    /// The nearest integer, ties to even.
    round = Round;
    /// Logical not.
    logical_not = Not;
    /// Whether neither infinite nor NaN.
    is_finite = IsFinite;
}

macro_rules! binary {
    ($($(#[$meta:meta])* $name:ident = $operation:ident, $kinds:ident :: $kind:ident;)*) => {
        impl Value {
            $(
                $(#[$meta])*
                ///
                /// # Errors
                /// The dtypes differ, the function is not defined for them, or the shapes do not broadcast.
                pub fn $name(&self, other: &Value) -> Result<Value> {
                    self.graph().add($operation { kind: $kinds::$kind }.into(), &[self, other])
                }
            )*
        }
    };
}

binary! {
    /// `a + b`.
    add = Binary, BinaryKind::Add;
    /// `a - b`.
    subtract = Binary, BinaryKind::Subtract;
    /// `a * b`.
    multiply = Binary, BinaryKind::Multiply;
    /// `a / b`.
    divide = Binary, BinaryKind::Divide;
    /// `a ^ b`.
    power = Binary, BinaryKind::Power;
    /// The larger.
    maximum = Binary, BinaryKind::Maximum;
    /// The smaller.
    minimum = Binary, BinaryKind::Minimum;
    /// Logical and.
    logical_and = Binary, BinaryKind::And;
    /// Logical or.
    logical_or = Binary, BinaryKind::Or;
    /// `a == b`.
    equal = Compare, CompareKind::Equal;
    /// `a != b`.
    not_equal = Compare, CompareKind::NotEqual;
    /// `a < b`.
    less = Compare, CompareKind::Less;
    /// `a <= b`.
    less_equal = Compare, CompareKind::LessEqual;
    /// `a > b`.
    greater = Compare, CompareKind::Greater;
    /// `a >= b`.
    greater_equal = Compare, CompareKind::GreaterEqual;
}

impl Value {
    /// Where this truth value holds the element of `then`, else that of `otherwise`.
    ///
    /// # Errors
    /// This is not of truth values, the dtypes of the others differ, or the shapes do not broadcast.
    pub fn select(&self, then: &Value, otherwise: &Value) -> Result<Value> {
        self.graph().add(Select.into(), &[self, then, otherwise])
    }

    /// The elements converted to another dtype; the same value where it is that dtype already.
    ///
    /// # Errors
    /// Never at present; part of the signature that all nodes share.
    pub fn cast(&self, dtype: DType) -> Result<Value> {
        if self.dtype() == dtype {
            return Ok(self.clone());
        }
        self.graph().add(Cast { dtype }.into(), &[self])
    }

    /// The same value, through which no gradient flows.
    ///
    /// # Errors
    /// Never at present; part of the signature that all nodes share.
    pub fn stop_gradient(&self) -> Result<Value> {
        self.graph().add(StopGradient.into(), &[self])
    }

    /// `x + number`.
    ///
    /// # Errors
    /// The dtype is truth values.
    pub fn add_scalar(&self, number: f64) -> Result<Value> {
        self.add(&self.graph().scalar(number, self.dtype())?)
    }

    /// `x * number`.
    ///
    /// # Errors
    /// The dtype is truth values.
    pub fn multiply_scalar(&self, number: f64) -> Result<Value> {
        self.multiply(&self.graph().scalar(number, self.dtype())?)
    }

    /// `max(x, number)`.
    ///
    /// # Errors
    /// Never at present; part of the signature that all nodes share.
    pub fn maximum_scalar(&self, number: f64) -> Result<Value> {
        self.maximum(&self.graph().scalar(number, self.dtype())?)
    }

    /// `min(x, number)`.
    ///
    /// # Errors
    /// Never at present; part of the signature that all nodes share.
    pub fn minimum_scalar(&self, number: f64) -> Result<Value> {
        self.minimum(&self.graph().scalar(number, self.dtype())?)
    }
}

macro_rules! operators {
    ($($trait:ident, $method:ident, $call:ident;)*) => {
        $(
            impl $trait<&Value> for &Value {
                type Output = Result<Value>;
                fn $method(self, other: &Value) -> Result<Value> {
                    self.$call(other)
                }
            }
        )*
    };
}

operators! {
    Add, add, add;
    Sub, sub, subtract;
    Mul, mul, multiply;
    Div, div, divide;
}
