//! Elementwise kernels on contiguous pieces: what a tape interpreter calls on tiles that fit the first-level cache.
//!
//! One call costs one dispatch on the instruction set and one on the kind. No kernel contracts a multiplication and an addition
//! of the graph into one rounding. Slices of one call have the same length, which the kernels assert: the plan cuts them.

mod adam;
mod affine;
mod binary;
mod blocks;
mod cast;
mod comparison;
mod formulas;
mod fused;
mod integer;
mod unary;

pub use adam::{AdamStep, adam};
pub use affine::{Affine, affine};
pub use binary::{binary, binary_in_place, binary_raw};
pub use blocks::{BLOCK, BlockFunction, BlockInstruction, BlockRun, MOST_BLOCKS, run_blocks};
pub use cast::cast;
pub use comparison::{and, compare, is_finite, not, or, select};
pub use formulas::{Chain, MOST_OPERANDS, Term};
pub use fused::{Period, chain};
pub use integer::{Integer, binary_integer, unary_integer};
pub use unary::{unary, unary_in_place, unary_raw};

/// An operand of a kernel: one element for each of the result, or one for all.
#[derive(Clone, Copy, Debug)]
pub enum Operand<'a, T> {
    /// As many elements as the result has.
    Vector(&'a [T]),
    /// The same element for every element of the result.
    Scalar(T),
}

/// As [`Operand`], by pointer: for operands that may be the result itself.
#[derive(Clone, Copy, Debug)]
pub enum RawOperand<T> {
    /// The address of as many elements as the result has.
    Vector(*const T),
    /// The same element for every element of the result.
    Scalar(T),
}

impl<T: Copy> Operand<'_, T> {
    /// The operand by pointer, after checking that it has `length` elements.
    #[inline(always)]
    fn raw(&self, length: usize) -> RawOperand<T> {
        match *self {
            Operand::Vector(slice) => {
                assert_eq!(slice.len(), length, "an operand's length");
                RawOperand::Vector(slice.as_ptr())
            }
            Operand::Scalar(value) => RawOperand::Scalar(value),
        }
    }
}

/// `destination[i] = function(a[i], b[i])`, one loop for each combination of vectors and scalars.
#[inline(always)]
fn map_two<T: Copy, U>(
    a: Operand<T>,
    b: Operand<T>,
    destination: &mut [U],
    function: impl Fn(T, T) -> U,
) {
    let length = destination.len();
    match (a, b) {
        (Operand::Vector(a), Operand::Vector(b)) => {
            assert!(a.len() == length && b.len() == length, "operand lengths");
            for ((d, &a), &b) in destination.iter_mut().zip(a).zip(b) {
                *d = function(a, b);
            }
        }
        (Operand::Vector(a), Operand::Scalar(b)) => {
            assert_eq!(a.len(), length, "an operand's length");
            for (d, &a) in destination.iter_mut().zip(a) {
                *d = function(a, b);
            }
        }
        (Operand::Scalar(a), Operand::Vector(b)) => {
            assert_eq!(b.len(), length, "an operand's length");
            for (d, &b) in destination.iter_mut().zip(b) {
                *d = function(a, b);
            }
        }
        (Operand::Scalar(a), Operand::Scalar(b)) => {
            for d in destination.iter_mut() {
                *d = function(a, b);
            }
        }
    }
}

#[cfg(test)]
mod tests;
