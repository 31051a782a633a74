//! Reductions over rows: every column of a [rows, inner] matrix.

use danlu_graph::operations::ReduceKind;
use pulp::Simd;

use super::{Joining, TILE, finite_shift, sign};
use crate::kernels::lanes::{first_lanes, load, named};
use crate::kernels::math;

/// Rows of a block: 16 for each of 4 partial results.
const BLOCK: usize = 64;
/// Enough for the blocks of any matrix.
const DEPTH: usize = 24;

/// Partial results of the first `first.len()` columns; see the caller.
///
/// # Safety
/// `source` must be readable at `row * inner + column` for every row below `rows` and column below `first.len()`.
#[inline(always)]
pub(super) unsafe fn chunk_partial<S: Simd>(
    simd: S,
    kind: ReduceKind,
    source: *const f32,
    rows: usize,
    inner: usize,
    first: &mut [f32],
    second: &mut [f32],
) {
    let width = first.len().min(TILE);
    let lanes = S::F32_LANES;
    let mut column = 0;
    while column < width {
        let source = source.wrapping_add(column);
        // SAFETY (of every block here): `partial` asks for rows below the number given only, and the columns read are among those
        // that the caller promises.
        let taken = if column + 2 * lanes <= width {
            // SAFETY: as above.
            let at = named(
                #[inline(always)]
                |row: usize, vector: usize| unsafe {
                    load(simd, source.add(row * inner + vector * lanes), None)
                },
            );
            let (first, second) = (
                &mut first[column..][..2 * lanes],
                &mut second[column..][..2 * lanes],
            );
            partial::<S, 2>(simd, kind, rows, at, first, second);
            2 * lanes
        } else if column + lanes <= width {
            // SAFETY: as above.
            let at = named(
                #[inline(always)]
                |row: usize, _: usize| unsafe { load(simd, source.add(row * inner), None) },
            );
            let (first, second) = (
                &mut first[column..][..lanes],
                &mut second[column..][..lanes],
            );
            partial::<S, 1>(simd, kind, rows, at, first, second);
            lanes
        } else {
            let mask = first_lanes(simd, width - column);
            // SAFETY: as above.
            let at = named(
                #[inline(always)]
                |row: usize, _: usize| unsafe { load(simd, source.add(row * inner), Some(mask)) },
            );
            partial::<S, 1>(
                simd,
                kind,
                rows,
                at,
                &mut first[column..],
                &mut second[column..],
            );
            width - column
        };
        column += taken;
    }
}

#[inline(always)]
fn partial<S: Simd, const VECTORS: usize>(
    simd: S,
    kind: ReduceKind,
    rows: usize,
    at: impl Fn(usize, usize) -> S::f32s,
    first: &mut [f32],
    second: &mut [f32],
) {
    let sign = simd.splat_f32s(sign(kind));
    let values: [S::f32s; VECTORS] = match Joining::of(kind) {
        Joining::Sum => reduce_rows(simd, Joining::Sum, rows, &at),
        Joining::Max => {
            let flipped = named(
                #[inline(always)]
                |row: usize, vector: usize| simd.xor_f32s(at(row, vector), sign),
            );
            let largest: [S::f32s; VECTORS] = reduce_rows(simd, Joining::Max, rows, &flipped);
            largest.map(
                #[inline(always)]
                |value| simd.xor_f32s(value, sign),
            )
        }
    };
    write::<S, VECTORS>(&values, first);
    if kind == ReduceKind::LogSumExp {
        let shifts = values.map(
            #[inline(always)]
            |value| finite_shift(simd, value),
        );
        let sums: [S::f32s; VECTORS] = reduce_rows(
            simd,
            Joining::Sum,
            rows,
            &named(
                #[inline(always)]
                |row: usize, vector: usize| {
                    math::exp(simd, simd.sub_f32s(at(row, vector), shifts[vector]))
                },
            ),
        );
        write::<S, VECTORS>(&sums, second);
    }
}

#[inline(always)]
fn write<S: Simd, const VECTORS: usize>(values: &[S::f32s; VECTORS], destination: &mut [f32]) {
    let values: &[f32] = pulp::bytemuck::cast_slice(values);
    destination.copy_from_slice(&values[..destination.len()]);
}

#[inline(always)]
fn reduce_rows<S: Simd, const VECTORS: usize>(
    simd: S,
    joining: Joining,
    rows: usize,
    at: &impl Fn(usize, usize) -> S::f32s,
) -> [S::f32s; VECTORS] {
    let identity = [simd.splat_f32s(joining.identity()); VECTORS];
    // As in `rows`: block results wait for another of as many blocks.
    let mut waiting = [identity; DEPTH];
    let mut blocks = 0_usize;
    let mut start = 0;
    loop {
        let end = (start + BLOCK).min(rows);
        let mut value = reduce_block(simd, joining, start, end, at);
        if end - start == rows {
            return value;
        }
        let mut level = 0;
        while blocks >> level & 1 == 1 {
            value = join_all(simd, joining, waiting[level], value);
            level += 1;
        }
        waiting[level] = value;
        blocks += 1;
        start = end;
        if start == rows {
            break;
        }
    }
    let mut value = identity;
    let mut found = false;
    let mut level = 0;
    while blocks >> level != 0 {
        if blocks >> level & 1 == 1 {
            value = if found {
                join_all(simd, joining, waiting[level], value)
            } else {
                waiting[level]
            };
            found = true;
        }
        level += 1;
    }
    value
}

#[inline(always)]
fn join_all<S: Simd, const VECTORS: usize>(
    simd: S,
    joining: Joining,
    a: [S::f32s; VECTORS],
    b: [S::f32s; VECTORS],
) -> [S::f32s; VECTORS] {
    let mut joined = a;
    for (joined, b) in joined.iter_mut().zip(b) {
        *joined = joining.join(simd, *joined, b);
    }
    joined
}

/// Joins rows `start` to `end`, four results side by side.
#[inline(always)]
fn reduce_block<S: Simd, const VECTORS: usize>(
    simd: S,
    joining: Joining,
    start: usize,
    end: usize,
    at: &impl Fn(usize, usize) -> S::f32s,
) -> [S::f32s; VECTORS] {
    let identity = [simd.splat_f32s(joining.identity()); VECTORS];
    let mut slots = [identity; 4];
    let mut row = start;
    while row + 4 <= end {
        for (i, slot) in slots.iter_mut().enumerate() {
            for (vector, value) in slot.iter_mut().enumerate() {
                *value = joining.join(simd, *value, at(row + i, vector));
            }
        }
        row += 4;
    }
    for (i, slot) in slots.iter_mut().enumerate().take(end - row) {
        for (vector, value) in slot.iter_mut().enumerate() {
            *value = joining.join(simd, *value, at(row + i, vector));
        }
    }
    join_all(
        simd,
        joining,
        join_all(simd, joining, slots[0], slots[1]),
        join_all(simd, joining, slots[2], slots[3]),
    )
}
