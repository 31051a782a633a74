//! Chains of functions in one loop: what lies between stays in registers.

use pulp::{Simd, WithSimd};

use super::formulas::{Chain, ChainLoop, MOST_OPERANDS, MOST_SCALARS, each_chain};
use crate::kernels::lanes::{Lanes, for_each_vector, load, store};
use crate::simd::Isa;

/// A second operand of fewer elements, which repeats: a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Its length.
    pub length: usize,
    /// Which of its elements goes with the first of the result.
    pub start: usize,
}

/// Computes a chain. The result may be one of the operands.
///
/// # Safety
/// The first [`Chain::vectors`] operands are readable for `length` elements, the next [`Chain::scalars`] for one, and the
/// destination is writable for `length`; it lies on an operand exactly, or apart from all of them. Only the second vector repeats.
pub unsafe fn chain(
    isa: Isa,
    chain: Chain,
    operands: [*const f32; MOST_OPERANDS],
    period: Option<Period>,
    destination: *mut f32,
    length: usize,
) {
    isa.dispatch(Run {
        chain,
        period,
        operands,
        destination,
        length,
    });
}

struct Run {
    chain: Chain,
    period: Option<Period>,
    operands: [*const f32; MOST_OPERANDS],
    destination: *mut f32,
    length: usize,
}

impl WithSimd for Run {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut scalars = [simd.splat_f32s(0.0); MOST_SCALARS];
        let given = self.chain.vectors()..self.chain.vectors() + self.chain.scalars();
        for (scalar, &operand) in scalars.iter_mut().zip(&self.operands[given]) {
            // SAFETY: `chain`'s caller vouches for the operands.
            *scalar = simd.splat_f32s(unsafe { *operand });
        }
        each_chain(simd, self.chain, scalars, Whole { simd, run: self });
    }
}

struct Whole<S> {
    simd: S,
    run: Run,
}

impl<S: Simd> ChainLoop<S> for Whole<S> {
    /// One loop over the elements.
    #[inline(always)]
    fn each<const COUNT: usize>(self, compute: impl Fn([S::f32s; COUNT]) -> S::f32s) {
        let (simd, run) = (self.simd, self.run);
        let Some(period) = run.period else {
            return run.piece(simd, 0, run.length, 0, &compute);
        };
        let (mut offset, mut start) = (0, period.start);
        while offset < run.length {
            let length = (period.length - start).min(run.length - offset);
            // The second operand's element `start` goes with the result's element `offset`.
            run.piece(simd, offset, length, offset.wrapping_sub(start), &compute);
            offset += length;
            start = 0;
        }
    }
}

impl Run {
    /// The elements `first..first + length`; the second operand lies `shift` elements behind the others.
    #[inline(always)]
    fn piece<S: Simd, const COUNT: usize>(
        &self,
        simd: S,
        first: usize,
        length: usize,
        shift: usize,
        compute: &impl Fn([S::f32s; COUNT]) -> S::f32s,
    ) {
        let mut operands = [std::ptr::null(); COUNT];
        for (place, &operand) in operands.iter_mut().zip(&self.operands) {
            *place = operand;
        }
        if let Some(second) = operands.get_mut(1) {
            *second = second.wrapping_sub(shift);
        }
        for_each_vector(
            simd,
            length,
            #[inline(always)]
            |offset, lanes: Lanes<S>| {
                let offset = first + offset;
                let mut values = [simd.splat_f32s(0.0); COUNT];
                for (value, operand) in values.iter_mut().zip(operands) {
                    // SAFETY: `chain`'s caller vouches for the operands; the lanes leave out what lies beyond.
                    *value = unsafe { load(simd, operand.wrapping_add(offset), lanes) };
                }
                let place = self.destination.wrapping_add(offset);
                // SAFETY: as above, for the destination.
                unsafe { store(simd, place, lanes, compute(values)) };
            },
        );
    }
}
