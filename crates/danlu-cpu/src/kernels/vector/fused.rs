//! Short chains of functions that come up in every step, in one loop: what lies between stays in registers. Each rounds
//! as the chain does that it stands for.

use pulp::{Simd, WithSimd};

use crate::kernels::lanes::{Lanes, for_each_vector, load, store};
use crate::simd::Isa;

/// A chain of functions of f32. `a`, `b`, `c` have an element for each of the result, `s`, `t` one for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// `a + (b - a) * s`: a moving average.
    Approach,
    /// `a + (b * b - a) * s`: a moving average of squares.
    ApproachSquare,
    /// `a - b * s / (sqrt(c) + t)`: a step along `b` in units of the root of `c`.
    ScaledStep,
    /// `a - b * s`: a step.
    Step,
    /// `max(a + b, 0)`, NaN if the sum is.
    AddRelu,
    /// `a` where `b > 0`, elsewhere 0.
    WherePositive,
}

impl Chain {
    /// How many operands have an element for each of the result; those with one for all come after them.
    pub const fn vectors(self) -> usize {
        match self {
            Chain::ScaledStep => 3,
            _ => 2,
        }
    }

    /// How many operands are one element for all.
    pub const fn scalars(self) -> usize {
        match self {
            Chain::ScaledStep => 2,
            Chain::Approach | Chain::ApproachSquare | Chain::Step => 1,
            Chain::AddRelu | Chain::WherePositive => 0,
        }
    }
}

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
/// destination is writable for `length`; it lies on an operand exactly, or apart from all of them.
pub unsafe fn chain(
    isa: Isa,
    chain: Chain,
    operands: [*const f32; 5],
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
    operands: [*const f32; 5],
    destination: *mut f32,
    length: usize,
}

impl WithSimd for Run {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let scalar = |index: usize| match index < self.chain.scalars() {
            // SAFETY: `chain`'s caller vouches for the operands.
            true => simd.splat_f32s(unsafe { *self.operands[self.chain.vectors() + index] }),
            false => simd.splat_f32s(0.0),
        };
        let scalars = [scalar(0), scalar(1)];
        each_chain(simd, self.chain, scalars, Whole { simd, run: self });
    }
}

/// A loop that applies a function of up to three vectors.
pub(super) trait ChainLoop<S: Simd> {
    /// Runs it.
    fn each(self, function: impl Fn([S::f32s; 3]) -> S::f32s);
}

/// Runs a loop with the function of a chain; `scalars` are its operands with one element for all.
#[inline(always)]
pub(super) fn each_chain<S: Simd>(
    simd: S,
    chain: Chain,
    scalars: [S::f32s; 2],
    body: impl ChainLoop<S>,
) {
    let zero = simd.splat_f32s(0.0);
    match chain {
        Chain::Approach => {
            let s = scalars[0];
            body.each(
                #[inline(always)]
                |[a, b, _]| simd.add_f32s(a, simd.mul_f32s(simd.sub_f32s(b, a), s)),
            );
        }
        Chain::ApproachSquare => {
            let s = scalars[0];
            body.each(
                #[inline(always)]
                |[a, b, _]| {
                    let change = simd.sub_f32s(simd.mul_f32s(b, b), a);
                    simd.add_f32s(a, simd.mul_f32s(change, s))
                },
            );
        }
        Chain::ScaledStep => {
            let (s, t) = (scalars[0], scalars[1]);
            body.each(
                #[inline(always)]
                |[a, b, c]| {
                    let divisor = simd.add_f32s(simd.sqrt_f32s(c), t);
                    simd.sub_f32s(a, simd.div_f32s(simd.mul_f32s(b, s), divisor))
                },
            );
        }
        Chain::Step => {
            let s = scalars[0];
            body.each(
                #[inline(always)]
                |[a, b, _]| simd.sub_f32s(a, simd.mul_f32s(b, s)),
            );
        }
        Chain::AddRelu => body.each(
            #[inline(always)]
            |[a, b, _]| {
                let sum = simd.add_f32s(a, b);
                // A NaN fails the comparison and stays.
                simd.select_f32s(simd.less_than_or_equal_f32s(sum, zero), zero, sum)
            },
        ),
        Chain::WherePositive => body.each(
            #[inline(always)]
            |[a, b, _]| simd.select_f32s(simd.greater_than_f32s(b, zero), a, zero),
        ),
    }
}

struct Whole<S> {
    simd: S,
    run: Run,
}

impl<S: Simd> ChainLoop<S> for Whole<S> {
    /// One loop over the elements.
    #[inline(always)]
    fn each(self, compute: impl Fn([S::f32s; 3]) -> S::f32s) {
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
    fn piece<S: Simd>(
        &self,
        simd: S,
        first: usize,
        length: usize,
        shift: usize,
        compute: &impl Fn([S::f32s; 3]) -> S::f32s,
    ) {
        let vectors = self.chain.vectors();
        for_each_vector(
            simd,
            length,
            #[inline(always)]
            |offset, lanes: Lanes<S>| {
                let offset = first + offset;
                // SAFETY: `chain`'s caller vouches for operands and destination; the lanes leave out what lies beyond.
                unsafe {
                    let get =
                        |slot: usize| load(simd, self.operands[slot].wrapping_add(offset), lanes);
                    let a = get(0);
                    let b = load(
                        simd,
                        self.operands[1].wrapping_add(offset).wrapping_sub(shift),
                        lanes,
                    );
                    let c = if vectors == 3 { get(2) } else { a };
                    let result = compute([a, b, c]);
                    store(simd, self.destination.wrapping_add(offset), lanes, result);
                }
            },
        );
    }
}
