//! Comparisons, selections and truth values: plain loops that the compiler turns into vectors of the instruction set in force.

use danlu_graph::operations::CompareKind;
use pulp::{Simd, WithSimd};

use super::{Operand, map_two};
use crate::simd::Isa;

/// `destination[i] = 1 if kind(a[i], b[i]) else 0`; with NaN only [`CompareKind::NotEqual`] holds.
///
/// # Panics
/// If the lengths differ.
pub fn compare<T: Copy + PartialOrd>(
    isa: Isa,
    kind: CompareKind,
    a: Operand<T>,
    b: Operand<T>,
    destination: &mut [u8],
) {
    isa.dispatch(Vectorized(
        #[inline(always)]
        || match kind {
            CompareKind::Equal => map_two(
                a,
                b,
                destination,
                #[inline(always)]
                |a, b| u8::from(a == b),
            ),
            CompareKind::NotEqual => map_two(
                a,
                b,
                destination,
                #[inline(always)]
                |a, b| u8::from(a != b),
            ),
            CompareKind::Less => map_two(
                a,
                b,
                destination,
                #[inline(always)]
                |a, b| u8::from(a < b),
            ),
            CompareKind::LessEqual => map_two(
                a,
                b,
                destination,
                #[inline(always)]
                |a, b| u8::from(a <= b),
            ),
            CompareKind::Greater => map_two(
                a,
                b,
                destination,
                #[inline(always)]
                |a, b| u8::from(a > b),
            ),
            CompareKind::GreaterEqual => map_two(
                a,
                b,
                destination,
                #[inline(always)]
                |a, b| u8::from(a >= b),
            ),
        },
    ));
}

/// `destination[i] = a[i] if condition[i] != 0 else b[i]`.
///
/// # Panics
/// If the lengths differ.
pub fn select<T: Copy>(
    isa: Isa,
    condition: &[u8],
    a: Operand<T>,
    b: Operand<T>,
    destination: &mut [T],
) {
    let length = destination.len();
    assert_eq!(condition.len(), length, "the condition's length");
    let rows = condition.iter().zip(destination);
    isa.dispatch(Vectorized(
        #[inline(always)]
        || match (a, b) {
            (Operand::Vector(a), Operand::Vector(b)) => {
                assert!(a.len() == length && b.len() == length, "operand lengths");
                for (((&c, d), &a), &b) in rows.zip(a).zip(b) {
                    *d = if c != 0 { a } else { b };
                }
            }
            (Operand::Vector(a), Operand::Scalar(b)) => {
                assert_eq!(a.len(), length, "an operand's length");
                for ((&c, d), &a) in rows.zip(a) {
                    *d = if c != 0 { a } else { b };
                }
            }
            (Operand::Scalar(a), Operand::Vector(b)) => {
                assert_eq!(b.len(), length, "an operand's length");
                for ((&c, d), &b) in rows.zip(b) {
                    *d = if c != 0 { a } else { b };
                }
            }
            (Operand::Scalar(a), Operand::Scalar(b)) => {
                for (&c, d) in rows {
                    *d = if c != 0 { a } else { b };
                }
            }
        },
    ));
}

/// Logical and of truth values: `destination[i] = a[i] && b[i]`, 1 or 0.
///
/// # Panics
/// If the lengths differ.
pub fn and(isa: Isa, a: Operand<u8>, b: Operand<u8>, destination: &mut [u8]) {
    isa.dispatch(Vectorized(
        #[inline(always)]
        || {
            map_two(
                a,
                b,
                destination,
                #[inline(always)]
                |a, b| u8::from(a != 0) & u8::from(b != 0),
            )
        },
    ));
}

/// Logical or of truth values: `destination[i] = a[i] || b[i]`, 1 or 0.
///
/// # Panics
/// If the lengths differ.
pub fn or(isa: Isa, a: Operand<u8>, b: Operand<u8>, destination: &mut [u8]) {
    isa.dispatch(Vectorized(
        #[inline(always)]
        || {
            map_two(
                a,
                b,
                destination,
                #[inline(always)]
                |a, b| u8::from(a | b != 0),
            )
        },
    ));
}

/// Logical not of truth values: `destination[i] = !source[i]`, 1 or 0.
///
/// # Panics
/// If the lengths differ.
pub fn not(isa: Isa, source: &[u8], destination: &mut [u8]) {
    let source = Operand::Vector(source);
    isa.dispatch(Vectorized(
        #[inline(always)]
        || {
            map_two(
                source,
                Operand::Scalar(0),
                destination,
                #[inline(always)]
                |x, _| u8::from(x == 0),
            )
        },
    ));
}

/// `destination[i] = 1` where `source[i]` is neither infinite nor NaN, else 0.
///
/// # Panics
/// If the lengths differ.
pub fn is_finite(isa: Isa, source: &[f32], destination: &mut [u8]) {
    let (source, infinity) = (Operand::Vector(source), Operand::Scalar(f32::INFINITY));
    isa.dispatch(Vectorized(
        #[inline(always)]
        || {
            map_two(
                source,
                infinity,
                destination,
                #[inline(always)]
                |x, infinity| u8::from(x.abs() < infinity),
            )
        },
    ));
}

/// A plain loop, compiled for the instruction set that it is dispatched to.
pub(crate) struct Vectorized<F>(pub F);

impl<F: FnOnce() -> R, R> WithSimd for Vectorized<F> {
    type Output = R;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> R {
        (self.0)()
    }
}
