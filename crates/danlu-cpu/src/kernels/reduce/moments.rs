//! Sums of columns, and of squared distances from their means, for pieces of a value that is in cache; and what the pieces amount to.
//!
//! The additions of a column depend on the piece alone. Pieces are joined in double precision, in order.

use pulp::{Simd, WithSimd};

use crate::kernels::lanes::{Lanes, first_lanes, load, named, store};
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
    /// The sums of columns, or what [`moments`] gives.
    pub sums: [*const f32; 3],
    /// Whether it is the latter, as it must be for a variance.
    pub centered: bool,
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

/// The sum over the rows.
///
/// # Safety
/// The source is readable at the lanes of `VECTORS` vectors in each row.
#[inline(always)]
unsafe fn sum<S: Simd, const VECTORS: usize>(simd: S, columns: Columns<S>) -> [S::f32s; VECTORS] {
    let mut slots = [[simd.splat_f32s(0.0); VECTORS]; SLOTS];
    let add = named(
        #[inline(always)]
        |sums: &mut [S::f32s; VECTORS], row: usize| {
            for (vector, sum) in sums.iter_mut().enumerate() {
                // SAFETY: the caller's promise.
                *sum = simd.add_f32s(*sum, unsafe { columns.at(simd, row, vector) });
            }
        },
    );
    let mut row = 0;
    while row + SLOTS <= columns.rows {
        for (slot, sums) in slots.iter_mut().enumerate() {
            add(sums, row + slot);
        }
        row += SLOTS;
    }
    for (slot, sums) in slots.iter_mut().enumerate().take(columns.rows - row) {
        add(sums, row + slot);
    }
    joined(simd, slots)
}

/// The sums over the rows of the distances from a center, and of their squares.
///
/// # Safety
/// As [`sum`].
#[inline(always)]
unsafe fn distances<S: Simd, const VECTORS: usize>(
    simd: S,
    columns: Columns<S>,
    center: [S::f32s; VECTORS],
) -> [[S::f32s; VECTORS]; 2] {
    let mut first = [[simd.splat_f32s(0.0); VECTORS]; SLOTS];
    let mut second = first;
    let mut add = named(
        #[inline(always)]
        |slot: usize, row: usize| {
            for (vector, center) in center.into_iter().enumerate() {
                // SAFETY: the caller's promise.
                let x = unsafe { columns.at(simd, row, vector) };
                let distance = simd.sub_f32s(x, center);
                let square = simd.mul_f32s(distance, distance);
                first[slot][vector] = simd.add_f32s(first[slot][vector], distance);
                second[slot][vector] = simd.add_f32s(second[slot][vector], square);
            }
        },
    );
    let mut row = 0;
    while row + SLOTS <= columns.rows {
        for slot in 0..SLOTS {
            add(slot, row + slot);
        }
        row += SLOTS;
    }
    for slot in 0..columns.rows - row {
        add(slot, row + slot);
    }
    [joined(simd, first), joined(simd, second)]
}

/// The sum of the slots.
#[inline(always)]
fn joined<S: Simd, const VECTORS: usize>(
    simd: S,
    slots: [[S::f32s; VECTORS]; SLOTS],
) -> [S::f32s; VECTORS] {
    let mut result = slots[0];
    for (vector, result) in result.iter_mut().enumerate() {
        let left = simd.add_f32s(slots[0][vector], slots[1][vector]);
        let right = simd.add_f32s(slots[2][vector], slots[3][vector]);
        *result = simd.add_f32s(left, right);
    }
    result
}

impl<S: Simd> Columns<S> {
    /// A vector of a row.
    ///
    /// # Safety
    /// It is readable.
    #[inline(always)]
    unsafe fn at(&self, simd: S, row: usize, vector: usize) -> S::f32s {
        let offset = row * self.inner + vector * S::F32_LANES;
        // SAFETY: the caller's promise.
        unsafe { load(simd, self.source.wrapping_add(offset), self.lanes) }
    }
}

/// # Safety
/// As [`sum`], and the sums are readable and writable at the same lanes.
#[inline(always)]
unsafe fn add<S: Simd, const VECTORS: usize>(simd: S, columns: Columns<S>, sums: *mut f32) {
    // SAFETY: the caller's promise.
    unsafe {
        let added = sum::<S, VECTORS>(simd, columns);
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
            let sums = sum::<S, VECTORS>(simd, columns);
            let mut means = sums;
            for mean in &mut means {
                *mean = simd.mul_f32s(*mean, share);
            }
            let [distances, squares] = distances::<S, VECTORS>(simd, columns, means);
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
        let centered = pieces.centered;
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
                *total += if centered {
                    own * first + f64::from(unsafe { *second.add(index) })
                } else {
                    first
                };
            }
        }
        if self.statistic != Statistic::Sum {
            total.iter_mut().for_each(|total| *total /= rows);
        }
        if self.statistic == Statistic::Variance {
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
mod tests;
