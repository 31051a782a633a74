//! Functions of integers: they wrap on overflow, and what has no integer result rounds towards zero.

use danlu_graph::operations::{BinaryKind, UnaryKind};

use super::comparison::Vectorized;
use super::{Operand, map_two};
use crate::simd::Isa;

/// The arithmetic of an integer dtype; every function is total.
pub trait Integer: Copy + Ord + Send + Sync + 'static {
    /// 0
    const ZERO: Self;
    /// 1
    const ONE: Self;
    /// 2
    const TWO: Self;
    /// The smallest value.
    const SMALLEST: Self;
    /// The largest value.
    const LARGEST: Self;
    /// `a + b`, wrapping.
    fn add(self, other: Self) -> Self;
    /// `a - b`, wrapping.
    fn subtract(self, other: Self) -> Self;
    /// `a * b`, wrapping.
    fn multiply(self, other: Self) -> Self;
    /// `a / b` towards zero, wrapping; 0 where b is 0.
    fn divide(self, other: Self) -> Self;
    /// As `as f64`.
    fn to_f64(self) -> f64;
    /// As `as`, from f64: towards zero, saturating, 0 for NaN.
    fn from_f64(value: f64) -> Self;

    /// `a ^ b`, wrapping; to a negative power the integer part, and 0 for 0.
    #[inline(always)]
    fn power(self, exponent: Self) -> Self {
        if exponent < Self::ZERO {
            let odd = exponent.subtract(exponent.divide(Self::TWO).multiply(Self::TWO));
            return if self == Self::ONE {
                self
            } else if self.add(Self::ONE) == Self::ZERO {
                if odd == Self::ZERO { Self::ONE } else { self }
            } else {
                Self::ZERO
            };
        }
        let (mut base, mut exponent, mut result) = (self, exponent, Self::ONE);
        while exponent > Self::ZERO {
            let half = exponent.divide(Self::TWO);
            if half.multiply(Self::TWO) != exponent {
                result = result.multiply(base);
            }
            base = base.multiply(base);
            exponent = half;
        }
        result
    }
}

macro_rules! integer {
    ($($integer:ident)*) => {$(
        impl Integer for $integer {
            const ZERO: Self = 0;
            const ONE: Self = 1;
            const TWO: Self = 2;
            const SMALLEST: Self = $integer::MIN;
            const LARGEST: Self = $integer::MAX;
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn subtract(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn multiply(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn divide(self, other: Self) -> Self {
                if other == 0 { 0 } else { self.wrapping_div(other) }
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $integer
            }
        }
    )*};
}

integer!(i32 i64 u8 i8);

/// `destination[i] = kind(source[i])`; exponentials and the like through f64, rounded towards zero.
///
/// # Panics
/// If the lengths differ.
pub fn unary_integer<T: Integer>(isa: Isa, kind: UnaryKind, source: &[T], destination: &mut [T]) {
    let (zero, one) = (T::ZERO, T::ONE);
    let truth = |holds: bool| if holds { one } else { zero };
    isa.dispatch(Vectorized(
        #[inline(always)]
        || match kind {
            UnaryKind::Negate => map(
                source,
                destination,
                #[inline(always)]
                |x| zero.subtract(x),
            ),
            UnaryKind::Abs => map(
                source,
                destination,
                #[inline(always)]
                |x| {
                    if x < zero { zero.subtract(x) } else { x }
                },
            ),
            UnaryKind::Sign => map(
                source,
                destination,
                #[inline(always)]
                |x| truth(x > zero).subtract(truth(x < zero)),
            ),
            UnaryKind::Square => map(
                source,
                destination,
                #[inline(always)]
                |x| x.multiply(x),
            ),
            UnaryKind::Relu => map(
                source,
                destination,
                #[inline(always)]
                |x| x.max(zero),
            ),
            UnaryKind::Reciprocal => map(
                source,
                destination,
                #[inline(always)]
                |x| one.divide(x),
            ),
            UnaryKind::Not => map(
                source,
                destination,
                #[inline(always)]
                |x| truth(x == zero),
            ),
            UnaryKind::Floor | UnaryKind::Ceil | UnaryKind::Round => {
                map(
                    source,
                    destination,
                    #[inline(always)]
                    |x| x,
                );
            }
            UnaryKind::IsFinite => map(
                source,
                destination,
                #[inline(always)]
                |_| one,
            ),
            _ => map(
                source,
                destination,
                #[inline(always)]
                |x| T::from_f64(through_f64(kind, x.to_f64())),
            ),
        },
    ));
}

/// `destination[i] = kind(a[i], b[i])`; of truth values (any value but 0 is true) the result is 1 or 0.
///
/// # Panics
/// If the lengths differ.
pub fn binary_integer<T: Integer>(
    isa: Isa,
    kind: BinaryKind,
    a: Operand<T>,
    b: Operand<T>,
    destination: &mut [T],
) {
    let truth = |holds: bool| if holds { T::ONE } else { T::ZERO };
    isa.dispatch(Vectorized(
        #[inline(always)]
        || match kind {
            BinaryKind::Add => map_two(
                a,
                b,
                destination,
                #[inline(always)]
                |a, b| a.add(b),
            ),
            BinaryKind::Subtract => map_two(
                a,
                b,
                destination,
                #[inline(always)]
                |a, b| a.subtract(b),
            ),
            BinaryKind::Multiply => map_two(
                a,
                b,
                destination,
                #[inline(always)]
                |a, b| a.multiply(b),
            ),
            BinaryKind::Divide => map_two(
                a,
                b,
                destination,
                #[inline(always)]
                |a, b| a.divide(b),
            ),
            BinaryKind::Power => map_two(
                a,
                b,
                destination,
                #[inline(always)]
                |a, b| a.power(b),
            ),
            BinaryKind::Maximum => map_two(
                a,
                b,
                destination,
                #[inline(always)]
                |a, b| a.max(b),
            ),
            BinaryKind::Minimum => map_two(
                a,
                b,
                destination,
                #[inline(always)]
                |a, b| a.min(b),
            ),
            BinaryKind::And => map_two(
                a,
                b,
                destination,
                #[inline(always)]
                |a, b| truth((a != T::ZERO) & (b != T::ZERO)),
            ),
            BinaryKind::Or => map_two(
                a,
                b,
                destination,
                #[inline(always)]
                |a, b| truth((a != T::ZERO) | (b != T::ZERO)),
            ),
        },
    ));
}

#[inline(always)]
fn map<T: Integer>(source: &[T], destination: &mut [T], function: impl Fn(T) -> T) {
    map_two(
        Operand::Vector(source),
        Operand::Scalar(T::ZERO),
        destination,
        |x, _| function(x),
    );
}

/// The functions that graphs hardly ever ask of integers.
fn through_f64(kind: UnaryKind, x: f64) -> f64 {
    match kind {
        UnaryKind::Exp => x.exp(),
        UnaryKind::Expm1 => x.exp_m1(),
        UnaryKind::Log => x.ln(),
        UnaryKind::Log1p => x.ln_1p(),
        UnaryKind::Sqrt => x.sqrt(),
        UnaryKind::Tanh => x.tanh(),
        UnaryKind::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        UnaryKind::Sin => x.sin(),
        UnaryKind::Cos => x.cos(),
        // The error function of a whole number other than 0 is below 1 in size.
        UnaryKind::Erf => 0.0,
        _ => x,
    }
}
