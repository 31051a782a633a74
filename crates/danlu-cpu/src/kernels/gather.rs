//! Rows of a table by index, and rows added to a table.

use std::ops::Range;

/// A whole number that names a row.
pub trait Index: Copy + Into<i64> + Sync {}

impl Index for i32 {}
impl Index for i64 {}

/// The first index that names no row of a table with so many: its place and value.
pub fn first_outside<I: Index>(indices: &[I], rows: usize) -> Option<(usize, i64)> {
    let is_outside = |index: i64| index.cast_unsigned() >= rows as u64;
    // Without a way out of the loop, so that it takes several at once; nearly always there is none.
    let any = indices
        .iter()
        .fold(false, |any, &index| any | is_outside(index.into()));
    if !any {
        return None;
    }
    let mut all = indices.iter().map(|&index| index.into()).enumerate();
    all.find(|&(_, index)| is_outside(index))
}

/// Copies rows of `bytes` bytes: row `indices[i]` of the table to row `i` of the result.
///
/// # Safety
/// Every index names a row of the table, the result has as many rows as there are indices, and the two do not overlap.
pub unsafe fn gather<I: Index>(table: *const u8, bytes: usize, indices: &[I], result: *mut u8) {
    for (place, &index) in indices.iter().enumerate() {
        // SAFETY: the caller's promise.
        unsafe {
            let row = table.add(index.into() as usize * bytes);
            std::ptr::copy_nonoverlapping(row, result.add(place * bytes), bytes);
        }
    }
}

/// Which rows and columns of a table a task adds to, so that no two tasks touch the same element.
#[derive(Clone, Debug)]
pub struct Part {
    /// The columns.
    pub columns: Range<usize>,
    /// Those rows whose number has this rest,
    pub rest: usize,
    /// divided by this.
    pub divisor: usize,
}

/// Adds row `i` of `values` to row `indices[i]` of a table of `width` columns, in the order of the indices, in a part of the
/// table. An element is the same sum in the same order, however the table is cut.
///
/// # Safety
/// Every index names a row of the table, `values` has as many rows as there are indices, and the two do not overlap;
/// nobody else touches this part of the table.
pub unsafe fn scatter_add<T: Copy, I: Index>(
    table: *mut T,
    width: usize,
    indices: &[I],
    values: *const T,
    part: &Part,
    add: impl Fn(T, T) -> T,
) {
    let (start, count) = (part.columns.start, part.columns.len());
    for (place, &index) in indices.iter().enumerate() {
        let row = index.into() as usize;
        if part.divisor > 1 && row % part.divisor != part.rest {
            continue;
        }
        // SAFETY: the caller's promise.
        let (sums, values) = unsafe {
            (
                std::slice::from_raw_parts_mut(table.add(row * width + start), count),
                std::slice::from_raw_parts(values.add(place * width + start), count),
            )
        };
        for (sum, &value) in sums.iter_mut().zip(values) {
            *sum = add(*sum, value);
        }
    }
}
