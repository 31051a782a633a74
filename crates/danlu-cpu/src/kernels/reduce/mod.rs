//! Reductions of values viewed as [outer, reduced, inner], row-major; the result is [outer, inner].
//!
//! Sums stay accurate over any length: 64 interleaved partial sums of at most 16 elements each, those of a block added in a tree,
//! the blocks pairwise, and the chunks of a long axis pairwise. The order is a function of `reduced` alone and the same for every
//! instruction set; so the bits of an output depend neither on how many outputs there are nor on how the work was split.
//!
//! [`reduce`] does all of it. To split one long reduction over threads, cut it with [`chunks`], run [`reduce_chunk`] for each chunk
//! and [`combine`] at the end: the bits are those of [`reduce`].

mod argmax;
mod columns;
mod integer;
mod moments;
mod rows;

use danlu_graph::operations::ReduceKind;
use pulp::{Simd, WithSimd};

pub use argmax::{argmax, argmax_integer};
pub use integer::{IntegerReduceKind, reduce_integer};
pub use moments::{Pieces, Statistic, add_columns, join_pieces, moments};
pub(crate) use rows::reduce_row;

use crate::kernels::lanes::maximum;
use crate::kernels::math;
use crate::simd::Isa;

/// The most chunks that an axis is cut into.
pub const MOST_CHUNKS: usize = 64;

/// How a reduced axis is cut: `count` chunks of `size` elements, the last one shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks {
    /// Elements of the reduced axis in one chunk.
    pub size: usize,
    /// How many chunks there are: 1 to [`MOST_CHUNKS`].
    pub count: usize,
}

/// How an axis of `reduced` elements is cut; a function of that length alone.
pub fn chunks(reduced: usize) -> Chunks {
    let size = reduced.div_ceil(MOST_CHUNKS).next_multiple_of(64).max(1024);
    Chunks {
        size,
        count: reduced.div_ceil(size).max(1),
    }
}

/// How many f32 one output of one chunk needs: 2 (largest, sum) for [`ReduceKind::LogSumExp`], else 1.
pub fn partial_components(kind: ReduceKind) -> usize {
    if kind == ReduceKind::LogSumExp { 2 } else { 1 }
}

/// Reduces `source` [outer, reduced, inner] to `destination` [outer, inner].
///
/// Over no elements the sum is 0, the mean NaN, the largest -infinity, the smallest infinity, the logarithm -infinity.
///
/// # Panics
/// If a slice does not have its shape's length.
pub fn reduce(
    isa: Isa,
    kind: ReduceKind,
    source: &[f32],
    [outer, reduced, inner]: [usize; 3],
    destination: &mut [f32],
) {
    assert_eq!(source.len(), outer * reduced * inner, "the source's length");
    assert_eq!(destination.len(), outer * inner, "the destination's length");
    isa.dispatch(Reduce {
        kind,
        source,
        shape: [outer, reduced, inner],
        result: Result::Whole(destination),
    });
}

/// Reduces one chunk of `source` [outer, reduced, inner] to `partial` [[`partial_components`], outer, inner].
///
/// # Panics
/// If a slice does not have its shape's length, or there is no such chunk.
pub fn reduce_chunk(
    isa: Isa,
    kind: ReduceKind,
    source: &[f32],
    [outer, reduced, inner]: [usize; 3],
    chunk: usize,
    partial: &mut [f32],
) {
    assert_eq!(source.len(), outer * reduced * inner, "the source's length");
    let components = partial_components(kind);
    assert_eq!(
        partial.len(),
        components * outer * inner,
        "the partial's length"
    );
    assert!(chunk < chunks(reduced).count, "the chunk");
    isa.dispatch(Reduce {
        kind,
        source,
        shape: [outer, reduced, inner],
        result: Result::Chunk(chunk, partial),
    });
}

/// Combines the partial results of all chunks, `partials` \[chunks, [`partial_components`], outputs\], to `destination` \[outputs\].
/// `reduced` is the whole axis' length, from which [`chunks`] gives the number of chunks.
///
/// # Panics
/// If a slice does not have its shape's length.
pub fn combine(
    isa: Isa,
    kind: ReduceKind,
    partials: &[f32],
    reduced: usize,
    destination: &mut [f32],
) {
    let count = chunks(reduced).count;
    let length = count * partial_components(kind) * destination.len();
    assert_eq!(partials.len(), length, "the partials' length");
    isa.dispatch(Combine {
        kind,
        partials,
        count,
        reduced,
        destination,
    });
}

/// How two partial results become one. The smallest is found as the largest of the opposites: see [`sign`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Joining {
    Sum,
    Max,
}

impl Joining {
    /// How the elements of a kind are joined; of a logarithm of a sum, in its first pass.
    fn of(kind: ReduceKind) -> Joining {
        match kind {
            ReduceKind::Sum | ReduceKind::Mean => Joining::Sum,
            ReduceKind::Max | ReduceKind::Min | ReduceKind::LogSumExp => Joining::Max,
        }
    }

    /// What leaves every value as it is.
    #[inline(always)]
    fn identity(self) -> f32 {
        match self {
            Joining::Sum => 0.0,
            Joining::Max => f32::NEG_INFINITY,
        }
    }

    #[inline(always)]
    fn join<S: Simd>(self, simd: S, a: S::f32s, b: S::f32s) -> S::f32s {
        match self {
            Joining::Sum => simd.add_f32s(a, b),
            Joining::Max => maximum(simd, a, b),
        }
    }

    #[inline(always)]
    fn join_scalars(self, a: f32, b: f32) -> f32 {
        match self {
            Joining::Sum => a + b,
            Joining::Max if b > a || b.is_nan() => b,
            Joining::Max => a,
        }
    }
}

/// The sign bit by which the elements of a kind, and its result, are flipped: -0 for the smallest, else 0.
#[inline(always)]
fn sign(kind: ReduceKind) -> f32 {
    if kind == ReduceKind::Min { -0.0 } else { 0.0 }
}

/// `x` with its sign flipped if `sign` is -0.
#[inline(always)]
fn flip(x: f32, sign: f32) -> f32 {
    f32::from_bits(x.to_bits() ^ sign.to_bits())
}

/// `x - shift` for exponentials, where a shift of infinite size counts as 0, so that only NaN gives NaN.
#[inline(always)]
pub(crate) fn finite_shift<S: Simd>(simd: S, shift: S::f32s) -> S::f32s {
    let infinity = simd.splat_f32s(f32::INFINITY);
    let infinite = simd.equal_f32s(simd.abs_f32s(shift), infinity);
    simd.select_f32s(infinite, simd.splat_f32s(0.0), shift)
}

/// Partial results of one chunk of `rows` elements: `first` [width] and, for a logarithm of a sum, `second` [width].
///
/// # Safety
/// `source` must be readable at `row * inner + column` for every row below `rows` and column below `width`.
#[inline(always)]
unsafe fn chunk_partial<S: Simd>(
    simd: S,
    kind: ReduceKind,
    source: *const f32,
    rows: usize,
    inner: usize,
    first: &mut [f32],
    second: &mut [f32],
) {
    // SAFETY: as the caller promises.
    unsafe {
        if inner == 1 {
            rows::chunk_partial(simd, kind, source, rows, first, second);
        } else {
            columns::chunk_partial(simd, kind, source, rows, inner, first, second);
        }
    }
}

struct Reduce<'a> {
    kind: ReduceKind,
    source: &'a [f32],
    shape: [usize; 3],
    result: Result<'a>,
}

/// What a reduction gives.
enum Result<'a> {
    /// The outputs [outer, inner].
    Whole(&'a mut [f32]),
    /// The partial results of one chunk [components, outer, inner].
    Chunk(usize, &'a mut [f32]),
}

/// The most columns that are reduced side by side.
const TILE: usize = 32;

impl WithSimd for Reduce<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let [outer, reduced, inner] = self.shape;
        let chunks = chunks(reduced);
        let range = match self.result {
            Result::Whole(_) => 0..chunks.count,
            Result::Chunk(chunk, _) => chunk..chunk + 1,
        };
        let mut first = [[0.0_f32; TILE]; MOST_CHUNKS];
        let mut second = [[0.0_f32; TILE]; MOST_CHUNKS];
        for o in 0..outer {
            let mut column = 0;
            while column < inner {
                let width = (inner - column).min(TILE);
                for chunk in range.clone() {
                    let start = chunk * chunks.size;
                    let rows = chunks.size.min(reduced - start);
                    let offset = (o * reduced + start) * inner + column;
                    // SAFETY: rows start to start + rows of the outer index, and columns to column + width, are in the source.
                    unsafe {
                        chunk_partial(
                            simd,
                            self.kind,
                            self.source.as_ptr().wrapping_add(offset),
                            rows,
                            inner,
                            &mut first[chunk][..width],
                            &mut second[chunk][..width],
                        );
                    }
                }
                let output = o * inner + column;
                match &mut self.result {
                    Result::Whole(destination) => {
                        for (i, result) in destination[output..][..width].iter_mut().enumerate() {
                            let pair = |chunk: usize| (first[chunk][i], second[chunk][i]);
                            *result = finish(simd, self.kind, reduced, chunks.count, pair);
                        }
                    }
                    Result::Chunk(chunk, partial) => {
                        let (largest, sum) = partial.split_at_mut(outer * inner);
                        largest[output..][..width].copy_from_slice(&first[*chunk][..width]);
                        if !sum.is_empty() {
                            sum[output..][..width].copy_from_slice(&second[*chunk][..width]);
                        }
                    }
                }
                column += width;
            }
        }
    }
}

struct Combine<'a> {
    kind: ReduceKind,
    partials: &'a [f32],
    count: usize,
    reduced: usize,
    destination: &'a mut [f32],
}

impl WithSimd for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let outputs = self.destination.len();
        let components = partial_components(self.kind);
        for (i, result) in self.destination.iter_mut().enumerate() {
            let pair = |chunk: usize| {
                let at = chunk * components * outputs + i;
                (
                    self.partials[at],
                    self.partials[at + (components - 1) * outputs],
                )
            };
            *result = finish(simd, self.kind, self.reduced, self.count, pair);
        }
    }
}

/// One output from the partial results of its chunks.
#[inline(always)]
fn finish<S: Simd>(
    simd: S,
    kind: ReduceKind,
    reduced: usize,
    count: usize,
    partial: impl Fn(usize) -> (f32, f32),
) -> f32 {
    let sign = sign(kind);
    let joined = pairwise(Joining::of(kind), count, |chunk| {
        flip(partial(chunk).0, sign)
    });
    match kind {
        ReduceKind::Sum | ReduceKind::Max | ReduceKind::Min => flip(joined, sign),
        ReduceKind::Mean => joined / reduced as f32,
        ReduceKind::LogSumExp => {
            // An infinite largest element is not subtracted: see `finite_shift`.
            let finite = |x: f32| if x.is_infinite() { 0.0 } else { x };
            let shift = finite(joined);
            let sum = pairwise(Joining::Sum, count, |chunk| {
                let (largest, sum) = partial(chunk);
                let difference = finite(largest) - shift;
                if difference == 0.0 {
                    sum
                } else {
                    sum * scalar(
                        simd,
                        difference,
                        #[inline(always)]
                        |x| math::exp(simd, x),
                    )
                }
            });
            shift
                + scalar(
                    simd,
                    sum,
                    #[inline(always)]
                    |x| math::log(simd, x),
                )
        }
    }
}

/// A vector function of one number.
#[inline(always)]
pub(crate) fn scalar<S: Simd>(simd: S, x: f32, function: impl Fn(S::f32s) -> S::f32s) -> f32 {
    let y = function(simd.splat_f32s(x));
    let lanes: &[f32] = pulp::bytemuck::cast_slice(std::slice::from_ref(&y));
    lanes[0]
}

/// Joins `value(0..count)` in a fixed tree: the first half with the second, until one is left.
#[inline(always)]
fn pairwise(joining: Joining, count: usize, value: impl Fn(usize) -> f32) -> f32 {
    if count == 1 {
        return value(0);
    }
    let mut values = [0.0; MOST_CHUNKS];
    for (chunk, place) in values[..count].iter_mut().enumerate() {
        *place = value(chunk);
    }
    let mut length = count;
    while length > 1 {
        let half = length.div_ceil(2);
        for i in 0..length - half {
            values[i] = joining.join_scalars(values[i], values[i + half]);
        }
        length = half;
    }
    values[0]
}

#[cfg(test)]
mod tests;
