//! Reductions of contiguous rows.

use danlu_graph::operations::ReduceKind;
use pulp::Simd;

use super::{Joining, finite_shift, flip, sign};
use crate::kernels::lanes::{Lanes, first_lanes, keep, load, named};
use crate::kernels::math;

/// Partial sums that run side by side, on every instruction set.
const SLOTS: usize = 64;
/// Elements of a block: 16 for each slot.
const BLOCK: usize = 16 * SLOTS;
/// Enough for the blocks of any slice.
const DEPTH: usize = 40;

/// Partial results of one contiguous chunk; see the caller.
///
/// # Safety
/// `source` must be readable for `length` elements.
#[inline(always)]
pub(super) unsafe fn chunk_partial<S: Simd>(
    simd: S,
    kind: ReduceKind,
    source: *const f32,
    length: usize,
    first: &mut [f32],
    second: &mut [f32],
) {
    // SAFETY: `reduce_row` asks for offsets below the length only.
    let at = named(
        #[inline(always)]
        |offset: usize, lanes: Lanes<S>| unsafe { load(simd, source.add(offset), lanes) },
    );
    let sign = sign(kind);
    let signs = simd.splat_f32s(sign);
    let joined = match Joining::of(kind) {
        Joining::Sum => reduce_row(simd, Joining::Sum, length, at),
        Joining::Max => reduce_row(
            simd,
            Joining::Max,
            length,
            #[inline(always)]
            |offset, lanes| simd.xor_f32s(at(offset, lanes), signs),
        ),
    };
    first[0] = flip(joined, sign);
    if kind == ReduceKind::LogSumExp {
        let shift = finite_shift(simd, simd.splat_f32s(first[0]));
        second[0] = reduce_row(
            simd,
            Joining::Sum,
            length,
            #[inline(always)]
            |offset, lanes| math::exp(simd, simd.sub_f32s(at(offset, lanes), shift)),
        );
    }
}

/// Joins `at(0..length)`, asked for a vector at a time, in an order that depends on `length` alone.
#[inline(always)]
pub(crate) fn reduce_row<S: Simd>(
    simd: S,
    joining: Joining,
    length: usize,
    at: impl Fn(usize, Lanes<S>) -> S::f32s,
) -> f32 {
    match S::F32_LANES {
        16 => reduce_row_in::<S, 4>(simd, joining, length, at),
        8 => reduce_row_in::<S, 8>(simd, joining, length, at),
        4 => reduce_row_in::<S, 16>(simd, joining, length, at),
        _ => reduce_row_in::<S, 64>(simd, joining, length, at),
    }
}

/// As [`reduce_row`], with `VECTORS` vectors holding the slots.
#[inline(always)]
fn reduce_row_in<S: Simd, const VECTORS: usize>(
    simd: S,
    joining: Joining,
    length: usize,
    at: impl Fn(usize, Lanes<S>) -> S::f32s,
) -> f32 {
    // Block sums wait here for another of as many blocks: the bits of `blocks` say which are waiting.
    let mut waiting = [0.0; DEPTH];
    let mut blocks = 0_usize;
    let mut start = 0;
    loop {
        let end = (start + BLOCK).min(length);
        let mut value = reduce_block::<S, VECTORS>(simd, joining, start, end, &at);
        if end - start == length {
            return value;
        }
        let mut level = 0;
        while blocks >> level & 1 == 1 {
            value = joining.join_scalars(waiting[level], value);
            level += 1;
        }
        waiting[level] = value;
        blocks += 1;
        start = end;
        if start == length {
            break;
        }
    }
    let mut level = blocks.trailing_zeros() as usize;
    let mut value = waiting[level];
    level += 1;
    while blocks >> level != 0 {
        if blocks >> level & 1 == 1 {
            value = joining.join_scalars(waiting[level], value);
        }
        level += 1;
    }
    value
}

#[inline(always)]
fn reduce_block<S: Simd, const VECTORS: usize>(
    simd: S,
    joining: Joining,
    start: usize,
    end: usize,
    at: &impl Fn(usize, Lanes<S>) -> S::f32s,
) -> f32 {
    let lanes = S::F32_LANES;
    let identity = simd.splat_f32s(joining.identity());
    let mut slots = [identity; VECTORS];
    let mut offset = start;
    while offset + lanes * VECTORS <= end {
        for (i, slot) in slots.iter_mut().enumerate() {
            *slot = joining.join(simd, *slot, at(offset + i * lanes, None));
        }
        offset += lanes * VECTORS;
    }
    for slot in &mut slots {
        if offset + lanes <= end {
            *slot = joining.join(simd, *slot, at(offset, None));
        } else if offset < end {
            let mask = Some(first_lanes(simd, end - offset));
            let value = keep(simd, mask, at(offset, mask), identity);
            *slot = joining.join(simd, *slot, value);
        } else {
            break;
        }
        offset += lanes;
    }
    // Slot i with slot i + 32, then with i + 16, and so on: first whole vectors, then lanes.
    let mut count = VECTORS;
    while count > 1 {
        count /= 2;
        for i in 0..count {
            slots[i] = joining.join(simd, slots[i], slots[i + count]);
        }
    }
    let mut last = [0.0_f32; 16];
    let values: &[f32] = pulp::bytemuck::cast_slice(std::slice::from_ref(&slots[0]));
    last[..lanes].copy_from_slice(values);
    let mut count = lanes;
    while count > 1 {
        count /= 2;
        for i in 0..count {
            last[i] = joining.join_scalars(last[i], last[i + count]);
        }
    }
    last[0]
}
