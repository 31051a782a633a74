//! Sums of columns, and of squared distances from their means, for pieces of a value that is in cache; and what the pieces amount to.
//!
//! The additions of a column depend on the piece alone. Pieces are joined in double precision, in order.

use pulp::{Simd, WithSimd};

use crate::kernels::lanes::{Lanes, first_lanes, load, store};
use crate::simd::Isa;

/// Adds elements to the sums of their columns: `length` elements of rows of `inner`, the first in column `column`.
///
/// # Safety
/// `source` is readable for `length` elements, `sums` readable and writable for `inner`.
pub unsafe fn add_columns(
    isa: Isa,
    source: *const f32,
    column: usize,
    length: usize,
    inner: usize,
    sums: *mut f32,
) {
    isa.dispatch(AddColumns {
        source,
        column,
        length,
        inner,
        sums,
    });
}

/// Of each column of `rows` rows of `inner` a number near its mean, the sum of its elements' distances from that, and the sum of
/// their squares.
///
/// # Safety
/// `source` is readable for `rows * inner` elements, the three results are writable for `inner`.
pub unsafe fn moments(
    isa: Isa,
    source: *const f32,
    [rows, inner]: [usize; 2],
    results: [*mut f32; 3],
) {
    isa.dispatch(Moments {
        source,
        rows,
        inner,
        results,
    });
}

/// What is made of the sums of all pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistic {
    /// The sum.
    Sum,
    /// The sum, divided by the number of rows.
    Mean,
    /// The mean square of the distance from the mean.
    Variance,
}

/// The sums of pieces, `stride` elements from one piece to the next.
#[derive(Clone, Copy)]
pub struct Pieces {
    /// For each piece how many rows it had.
    pub rows: *const f32,
    /// The sums of columns; for a variance, what [`moments`] gives.
    pub sums: [*const f32; 3],
    /// Elements from one piece to the next.
    pub stride: usize,
    /// How many pieces.
    pub count: usize,
}

/// Joins pieces to the statistic of each of `inner` columns.
///
/// # Safety
/// The pieces are readable, `result` is writable for `inner` elements.
pub unsafe fn join_pieces(
    isa: Isa,
    statistic: Statistic,
    pieces: Pieces,
    inner: usize,
    result: *mut f32,
) {
    isa.dispatch(Join {
        statistic,
        pieces,
        inner,
        result,
    });
}

struct AddColumns {
    source: *const f32,
    column: usize,
    length: usize,
    inner: usize,
    sums: *mut f32,
}

/// Partial sums of a column that run side by side.
const SLOTS: usize = 4;

/// Vectors of columns.
#[derive(Clone, Copy)]
struct Columns<S: Simd> {
    source: *const f32,
    rows: usize,
    inner: usize,
    lanes: Lanes<S>,
}

/// The sum over the rows of `(x - center)^POWER`, for 1 and 2; of `x` for 0.
///
/// # Safety
/// The source is readable at the lanes of `VECTORS` vectors in each row.
#[inline(always)]
unsafe fn sum<S: Simd, const VECTORS: usize, const POWER: u32>(
    simd: S,
    columns: Columns<S>,
    center: [S::f32s; VECTORS],
) -> [S::f32s; VECTORS] {
    let mut slots = [[simd.splat_f32s(0.0); VECTORS]; SLOTS];
    let mut row = 0;
    while row + SLOTS <= columns.rows {
        for (slot, sums) in slots.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { take::<S, VECTORS, POWER>(simd, columns, row + slot, center, sums) };
        }
        row += SLOTS;
    }
    for (slot, sums) in slots.iter_mut().enumerate().take(columns.rows - row) {
        // SAFETY: as above.
        unsafe { take::<S, VECTORS, POWER>(simd, columns, row + slot, center, sums) };
    }
    let mut result = slots[0];
    for (vector, result) in result.iter_mut().enumerate() {
        let left = simd.add_f32s(slots[0][vector], slots[1][vector]);
        let right = simd.add_f32s(slots[2][vector], slots[3][vector]);
        *result = simd.add_f32s(left, right);
    }
    result
}

/// Adds one row.
///
/// # Safety
/// As [`sum`].
#[inline(always)]
unsafe fn take<S: Simd, const VECTORS: usize, const POWER: u32>(
    simd: S,
    columns: Columns<S>,
    row: usize,
    center: [S::f32s; VECTORS],
    sums: &mut [S::f32s; VECTORS],
) {
    let from = columns.source.wrapping_add(row * columns.inner);
    for (vector, sum) in sums.iter_mut().enumerate() {
        let offset = vector * S::F32_LANES;
        // SAFETY: the caller's promise.
        let x = unsafe { load(simd, from.wrapping_add(offset), columns.lanes) };
        let term = match POWER {
            0 => x,
            1 => simd.sub_f32s(x, center[vector]),
            _ => {
                let distance = simd.sub_f32s(x, center[vector]);
                simd.mul_f32s(distance, distance)
            }
        };
        *sum = simd.add_f32s(*sum, term);
    }
}

/// # Safety
/// As [`sum`], and the sums are readable and writable at the same lanes.
#[inline(always)]
unsafe fn add<S: Simd, const VECTORS: usize>(simd: S, columns: Columns<S>, sums: *mut f32) {
    // SAFETY: the caller's promise.
    unsafe {
        let zero = [simd.splat_f32s(0.0); VECTORS];
        let added = sum::<S, VECTORS, 0>(simd, columns, zero);
        for (vector, added) in added.into_iter().enumerate() {
            let place = sums.wrapping_add(vector * S::F32_LANES);
            let before = load(simd, place, columns.lanes);
            store(simd, place, columns.lanes, simd.add_f32s(before, added));
        }
    }
}

/// Calls `two`, `one` or `one` with a mask for the vectors that cover `width` columns: `(first column, lanes)`.
macro_rules! for_columns {
    ($simd:ident, $width:expr, |$column:ident, $lanes:ident| $two:expr, $one:expr) => {
        let mut $column = 0;
        while $column < $width {
            let left = $width - $column;
            if left >= 2 * S::F32_LANES {
                let $lanes: Lanes<S> = None;
                $two;
                $column += 2 * S::F32_LANES;
            } else {
                let $lanes: Lanes<S> = (left < S::F32_LANES).then(|| first_lanes($simd, left));
                $one;
                $column += S::F32_LANES;
            }
        }
    };
}

impl AddColumns {
    /// Adds rows of `width` columns from `column` on.
    ///
    /// # Safety
    /// As [`add_columns`].
    #[inline(always)]
    unsafe fn rows<S: Simd>(
        &self,
        simd: S,
        offset: usize,
        rows: usize,
        (column, width): (usize, usize),
    ) {
        for_columns!(
            simd,
            width,
            |at, lanes| {
                let (columns, sums) = self.at(offset + at, rows, column + at, lanes);
                // SAFETY: the caller's promise.
                unsafe { add::<S, 2>(simd, columns, sums) }
            },
            {
                let (columns, sums) = self.at(offset + at, rows, column + at, lanes);
                // SAFETY: as above.
                unsafe { add::<S, 1>(simd, columns, sums) }
            }
        );
    }

    #[inline(always)]
    fn at<S: Simd>(
        &self,
        offset: usize,
        rows: usize,
        column: usize,
        lanes: Lanes<S>,
    ) -> (Columns<S>, *mut f32) {
        let columns = Columns {
            source: self.source.wrapping_add(offset),
            rows,
            inner: self.inner,
            lanes,
        };
        (columns, self.sums.wrapping_add(column))
    }
}

impl WithSimd for AddColumns {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let first = (self.inner - self.column).min(self.length);
        let mut offset = 0;
        // SAFETY (of every block here): the elements are among those of `add_columns`.
        if self.column > 0 {
            unsafe { self.rows(simd, 0, 1, (self.column, first)) };
            offset = first;
        }
        let rows = (self.length - offset) / self.inner;
        if rows > 0 {
            unsafe { self.rows(simd, offset, rows, (0, self.inner)) };
            offset += rows * self.inner;
        }
        if offset < self.length {
            unsafe { self.rows(simd, offset, 1, (0, self.length - offset)) };
        }
    }
}

struct Moments {
    source: *const f32,
    rows: usize,
    inner: usize,
    results: [*mut f32; 3],
}

impl Moments {
    /// # Safety
    /// As [`moments`], for these columns.
    #[inline(always)]
    unsafe fn columns<S: Simd, const VECTORS: usize>(
        &self,
        simd: S,
        column: usize,
        lanes: Lanes<S>,
    ) {
        let columns = Columns {
            source: self.source.wrapping_add(column),
            rows: self.rows,
            inner: self.inner,
            lanes,
        };
        let share = simd.splat_f32s(1.0 / self.rows as f32);
        // SAFETY: the caller's promise.
        unsafe {
            let zero = [simd.splat_f32s(0.0); VECTORS];
            let sums = sum::<S, VECTORS, 0>(simd, columns, zero);
            let mut means = sums;
            for mean in &mut means {
                *mean = simd.mul_f32s(*mean, share);
            }
            let distances = sum::<S, VECTORS, 1>(simd, columns, means);
            let squares = sum::<S, VECTORS, 2>(simd, columns, means);
            for (values, to) in [means, distances, squares].into_iter().zip(self.results) {
                for (vector, value) in values.into_iter().enumerate() {
                    let place = to.wrapping_add(column + vector * S::F32_LANES);
                    store(simd, place, lanes, value);
                }
            }
        }
    }
}

impl WithSimd for Moments {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // SAFETY: the columns are among those of `moments`.
        for_columns!(
            simd,
            self.inner,
            |column, lanes| unsafe { self.columns::<S, 2>(simd, column, lanes) },
            unsafe { self.columns::<S, 1>(simd, column, lanes) }
        );
    }
}

struct Join {
    statistic: Statistic,
    pieces: Pieces,
    inner: usize,
    result: *mut f32,
}

/// Columns that are joined side by side.
const JOINED: usize = 32;

impl Join {
    /// # Safety
    /// As [`join_pieces`], for these columns.
    #[inline(always)]
    unsafe fn columns(&self, column: usize, width: usize) {
        let pieces = self.pieces;
        let variance = self.statistic == Statistic::Variance;
        let mut total = [0.0_f64; JOINED];
        let mut rows = 0.0_f64;
        for piece in 0..pieces.count {
            let at = piece * pieces.stride;
            let [first, second, _] = pieces.sums.map(|sums| sums.wrapping_add(at + column));
            // SAFETY (of every block here): the caller's promise.
            let own = f64::from(unsafe { *pieces.rows.add(at) });
            rows += own;
            for (index, total) in total[..width].iter_mut().enumerate() {
                let first = f64::from(unsafe { *first.add(index) });
                *total += if variance {
                    own * first + f64::from(unsafe { *second.add(index) })
                } else {
                    first
                };
            }
        }
        if self.statistic != Statistic::Sum {
            total.iter_mut().for_each(|total| *total /= rows);
        }
        if variance {
            let mut spread = [0.0_f64; JOINED];
            for piece in 0..pieces.count {
                let at = piece * pieces.stride;
                let sums = pieces.sums.map(|sums| sums.wrapping_add(at + column));
                let own = f64::from(unsafe { *pieces.rows.add(at) });
                for (index, spread) in spread[..width].iter_mut().enumerate() {
                    let [near, distances, squares] =
                        sums.map(|sums| f64::from(unsafe { *sums.add(index) }));
                    // Of the squared distances from another number than `near`.
                    let off = near - total[index];
                    *spread += squares + off * (2.0 * distances + own * off);
                }
            }
            for (total, spread) in total.iter_mut().zip(spread) {
                *total = spread / rows;
            }
        }
        for (index, &total) in total[..width].iter().enumerate() {
            unsafe { *self.result.add(column + index) = total as f32 };
        }
    }
}

impl WithSimd for Join {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for column in (0..self.inner).step_by(JOINED) {
            // SAFETY: the columns are among those of `join_pieces`.
            unsafe { self.columns(column, JOINED.min(self.inner - column)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers around a large mean, a different one for each column.
    fn numbers(rows: usize, inner: usize) -> Vec<f32> {
        let uniform = danlu_graph::operations::random::uniform_at;
        (0..rows * inner)
            .map(|index| {
                let noise = uniform([1, 2], 0, 0, index as u64) - 0.5;
                1000.0 * ((index % inner) as f32 - 1.0) + noise
            })
            .collect()
    }

    /// The statistic of each column, in f64.
    fn expected(values: &[f32], inner: usize, statistic: Statistic) -> Vec<f64> {
        let rows = (values.len() / inner) as f64;
        let column = |index: usize| values[index..].iter().step_by(inner).map(|&x| f64::from(x));
        (0..inner)
            .map(|index| {
                let sum: f64 = column(index).sum();
                match statistic {
                    Statistic::Sum => sum,
                    Statistic::Mean => sum / rows,
                    Statistic::Variance => {
                        let mean = sum / rows;
                        column(index).map(|x| (x - mean).powi(2)).sum::<f64>() / rows
                    }
                }
            })
            .collect()
    }

    #[test]
    fn pieces_of_any_width_give_the_statistics_of_the_whole() {
        for isa in Isa::available() {
            for inner in [1, 3, 8, 17, 31, 32, 33, 70] {
                let rows = 601;
                let values = numbers(rows, inner);
                let mut slots = Vec::new();
                let (piece, stride) = (100, 1 + 4 * inner);
                for part in values.chunks(piece * inner) {
                    let mut slot = vec![f32::NAN; stride];
                    slot[0] = (part.len() / inner) as f32;
                    let shape = [part.len() / inner, inner];
                    slot[1..=inner].fill(0.0);
                    let sums = slot[1..].as_mut_ptr();
                    let results = [1, 2, 3].map(|index| sums.wrapping_add(index * inner));
                    // SAFETY: the slot has room for all.
                    unsafe {
                        add_columns(isa, part.as_ptr(), 0, part.len(), inner, sums);
                        moments(isa, part.as_ptr(), shape, results);
                    }
                    slots.extend(slot);
                }
                for statistic in [Statistic::Sum, Statistic::Mean, Statistic::Variance] {
                    let mut found = vec![f32::NAN; inner];
                    let first = if statistic == Statistic::Variance {
                        1
                    } else {
                        0
                    };
                    let pieces = Pieces {
                        rows: slots.as_ptr(),
                        sums: [0, 1, 2]
                            .map(|index| slots.as_ptr().wrapping_add(1 + (first + index) * inner)),
                        stride,
                        count: slots.len() / stride,
                    };
                    // SAFETY: the pieces were made just now.
                    unsafe { join_pieces(isa, statistic, pieces, inner, found.as_mut_ptr()) };
                    for (found, expected) in found.iter().zip(expected(&values, inner, statistic)) {
                        let off = (f64::from(*found) - expected).abs();
                        let size = match statistic {
                            Statistic::Variance => expected,
                            _ => expected.abs().max(1.0),
                        };
                        assert!(
                            off <= 3e-6 * size,
                            "{isa}, {inner}, {statistic:?}: {found} {expected}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn sums_begin_and_end_in_any_column() {
        for isa in Isa::available() {
            for inner in [1, 5, 16, 40] {
                for (column, length) in [(0, 7), (3, 2), (3, 95), (2, 200), (4, 41)] {
                    let column = column % inner;
                    let values = numbers(length, 1);
                    let mut sums = vec![2.0_f32; inner];
                    let mut expected = vec![2.0_f64; inner];
                    for (index, &value) in values.iter().enumerate() {
                        expected[(column + index) % inner] += f64::from(value);
                    }
                    // SAFETY: the vectors have these lengths.
                    unsafe {
                        let sums = sums.as_mut_ptr();
                        add_columns(isa, values.as_ptr(), column, length, inner, sums);
                    }
                    for (found, expected) in sums.iter().zip(expected) {
                        let off = (f64::from(*found) - expected).abs();
                        assert!(
                            off <= 1e-6 * expected.abs(),
                            "{isa}, {inner}: {found} {expected}"
                        );
                    }
                }
            }
        }
    }
}
