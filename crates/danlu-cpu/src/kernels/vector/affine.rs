//! What normalizations do to each element, in one loop each: factors and offsets, perhaps with a positive part. Each rounds as
//! the functions do that it stands for.

use pulp::{Simd, WithSimd};

use super::MOST_OPERANDS;
use crate::kernels::lanes::{for_each_vector, load, store};
use crate::simd::Isa;

/// Functions of f32; every operand has an element for each of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Affine {
    /// `a * b + c`.
    Scaled,
    /// `max(a * b + c, 0)`, NaN if the sum is.
    ScaledRelu,
    /// `a` where `b * c + d > 0`, elsewhere 0.
    WhereScaledPositive,
    /// `a + (b - c) * d + e`.
    AddScaledDistance,
}

impl Affine {
    /// How many operands it has.
    pub const fn operands(self) -> usize {
        match self {
            Affine::Scaled | Affine::ScaledRelu => 3,
            Affine::WhereScaledPositive => 4,
            Affine::AddScaledDistance => 5,
        }
    }
}

/// Computes one of them.
///
/// # Safety
/// The first [`Affine::operands`] operands are readable and the destination is writable for `length` elements; it lies on
/// an operand exactly, or apart from all of them.
pub unsafe fn affine(
    isa: Isa,
    function: Affine,
    operands: [*const f32; MOST_OPERANDS],
    destination: *mut f32,
    length: usize,
) {
    isa.dispatch(Run {
        function,
        operands,
        destination,
        length,
    });
}

struct Run {
    function: Affine,
    operands: [*const f32; MOST_OPERANDS],
    destination: *mut f32,
    length: usize,
}

impl Run {
    #[inline(always)]
    fn each<S: Simd, const OPERANDS: usize>(
        &self,
        simd: S,
        compute: impl Fn([S::f32s; OPERANDS]) -> S::f32s,
    ) {
        for_each_vector(
            simd,
            self.length,
            #[inline(always)]
            |offset, lanes| {
                let mut values = [simd.splat_f32s(0.0); OPERANDS];
                for (value, operand) in values.iter_mut().zip(self.operands) {
                    // SAFETY: `affine`'s caller vouches for the operands.
                    *value = unsafe { load(simd, operand.wrapping_add(offset), lanes) };
                }
                let result = compute(values);
                // SAFETY: as above, for the destination.
                unsafe { store(simd, self.destination.wrapping_add(offset), lanes, result) };
            },
        );
    }
}

impl WithSimd for Run {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let zero = simd.splat_f32s(0.0);
        match self.function {
            Affine::Scaled => self.each(
                simd,
                #[inline(always)]
                |[a, b, c]| simd.add_f32s(simd.mul_f32s(a, b), c),
            ),
            Affine::ScaledRelu => self.each(
                simd,
                #[inline(always)]
                |[a, b, c]| {
                    let sum = simd.add_f32s(simd.mul_f32s(a, b), c);
                    // A NaN fails the comparison and stays.
                    simd.select_f32s(simd.less_than_or_equal_f32s(sum, zero), zero, sum)
                },
            ),
            Affine::WhereScaledPositive => self.each(
                simd,
                #[inline(always)]
                |[a, b, c, d]| {
                    let sum = simd.add_f32s(simd.mul_f32s(b, c), d);
                    simd.select_f32s(simd.greater_than_f32s(sum, zero), a, zero)
                },
            ),
            Affine::AddScaledDistance => self.each(
                simd,
                #[inline(always)]
                |[a, b, c, d, e]| {
                    let change = simd.mul_f32s(simd.sub_f32s(b, c), d);
                    simd.add_f32s(simd.add_f32s(a, change), e)
                },
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The function of one element, operation by operation.
    fn expected(function: Affine, [a, b, c, d, e]: [f32; 5]) -> f32 {
        match function {
            Affine::Scaled => a * b + c,
            Affine::ScaledRelu => {
                let sum = a * b + c;
                if sum <= 0.0 { 0.0 } else { sum }
            }
            Affine::WhereScaledPositive => {
                if b * c + d > 0.0 {
                    a
                } else {
                    0.0
                }
            }
            Affine::AddScaledDistance => a + (b - c) * d + e,
        }
    }

    #[test]
    fn every_element_has_the_bits_of_the_operations_one_by_one() {
        let uniform = danlu_graph::operations::random::uniform_at;
        let all = [
            Affine::Scaled,
            Affine::ScaledRelu,
            Affine::WhereScaledPositive,
            Affine::AddScaledDistance,
        ];
        for isa in Isa::available() {
            for length in [0, 1, 7, 16, 33, 1000] {
                let mut vectors: [Vec<f32>; MOST_OPERANDS] = std::array::from_fn(|vector| {
                    let values = (0..length as u64).map(|i| uniform([vector as u32, 9], 0, 0, i));
                    values.map(|x| x - 0.5).collect()
                });
                if length > 7 {
                    vectors[0][3] = f32::NAN;
                    vectors[1][5] = f32::INFINITY;
                    vectors[2][6] = f32::NAN;
                }
                for function in all {
                    let mut found = vec![7.0; length];
                    let operands: [*const f32; MOST_OPERANDS] =
                        std::array::from_fn(|vector| vectors[vector].as_ptr());
                    // SAFETY: all vectors have this length.
                    unsafe { affine(isa, function, operands, found.as_mut_ptr(), length) };
                    for (index, found) in found.iter().enumerate() {
                        let operands = std::array::from_fn(|vector| vectors[vector][index]);
                        let expected = expected(function, operands);
                        let same = found.to_bits() == expected.to_bits()
                            || found.is_nan() && expected.is_nan();
                        assert!(
                            same,
                            "{isa} {function:?} {operands:?}: {found}, not {expected}"
                        );
                    }
                }
            }
        }
    }
}
