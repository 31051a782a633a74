//! Copies between contiguous and strided layouts: transposes, broadcasts, slices, concatenations and paddings are made of these.
//!
//! A strided value is a shape, a stride for each axis in elements (0 repeats, negative runs backwards) and the offset of its first
//! element. Its elements are counted row-major, and a copy can be of any range of them, so that it can be split.

mod copier;

use std::ops::Range;

use copier::{Copier, Gather, Scatter};

/// The layout of a strided value in a larger one.
#[derive(Clone, Copy, Debug)]
pub struct Strided<'a> {
    /// Bytes of one element.
    pub element_size: usize,
    /// Elements along each axis.
    pub shape: &'a [usize],
    /// Elements of memory from one index of an axis to the next.
    pub strides: &'a [isize],
    /// Where the first element is, in elements from the start of memory.
    pub offset: usize,
}

impl Strided<'_> {
    /// How many elements the value has.
    pub fn length(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether every element lies within `bytes` of memory.
    fn fits(&self, bytes: usize) -> bool {
        let memory = (bytes / self.element_size.max(1)) as i128;
        let (mut lowest, mut highest) = (self.offset as i128, self.offset as i128);
        for (&size, &stride) in self.shape.iter().zip(self.strides) {
            let reach = size.saturating_sub(1) as i128 * stride as i128;
            lowest += reach.min(0);
            highest += reach.max(0);
        }
        self.length() == 0 || (lowest >= 0 && highest < memory)
    }
}

/// Copies the elements `range` of the strided value in `source` to `destination`, contiguous.
///
/// # Panics
/// If the value does not lie within the source, or `destination` is not as long as the range.
pub fn copy_strided(layout: Strided, source: &[u8], range: Range<usize>, destination: &mut [u8]) {
    check(&layout, source.len(), &range, destination.len());
    // SAFETY: `check` found all elements of the value within the source, and room for the range in the destination.
    unsafe { copy_strided_raw(layout, source.as_ptr(), range, destination.as_mut_ptr()) }
}

/// As [`copy_strided`], by pointer.
///
/// # Safety
/// Every element of `range` must be readable at its place after `source`, `destination` be writable for the range, and the two not
/// overlap. The range must end within the value.
pub unsafe fn copy_strided_raw(
    layout: Strided,
    source: *const u8,
    range: Range<usize>,
    destination: *mut u8,
) {
    let size = layout.element_size;
    // SAFETY: as the caller promises; a plan is the layout with axes merged, and `walk` stays within it.
    unsafe {
        match size {
            1 => walk(
                &layout,
                range,
                Gather::<u8>(source.cast(), destination.cast()),
            ),
            2 => walk(
                &layout,
                range,
                Gather::<[u8; 2]>(source.cast(), destination.cast()),
            ),
            4 => walk(
                &layout,
                range,
                Gather::<[u8; 4]>(source.cast(), destination.cast()),
            ),
            8 => walk(
                &layout,
                range,
                Gather::<[u8; 8]>(source.cast(), destination.cast()),
            ),
            _ => with_bytes(&layout, |bytes| {
                walk(
                    bytes,
                    range.start * size..range.end * size,
                    Gather::<u8>(source, destination),
                );
            }),
        }
    }
}

/// Copies `source`, contiguous, to the elements `range` of the strided value in `destination`. No stride may be 0.
///
/// # Panics
/// If the value does not lie within the destination, or `source` is not as long as the range.
pub fn copy_into_strided(
    layout: Strided,
    source: &[u8],
    range: Range<usize>,
    destination: &mut [u8],
) {
    check(&layout, destination.len(), &range, source.len());
    // SAFETY: `check` found all elements of the value within the destination, and those of the range in the source.
    unsafe { copy_into_strided_raw(layout, source.as_ptr(), range, destination.as_mut_ptr()) }
}

/// As [`copy_into_strided`], by pointer: for pieces of one destination that several threads write.
///
/// # Safety
/// `source` must be readable for the range, every element of `range` be writable at its place after `destination`, and the two not
/// overlap. The range must end within the value.
pub unsafe fn copy_into_strided_raw(
    layout: Strided,
    source: *const u8,
    range: Range<usize>,
    destination: *mut u8,
) {
    let size = layout.element_size;
    // SAFETY: as for `copy_strided_raw`.
    unsafe {
        match size {
            1 => walk(
                &layout,
                range,
                Scatter::<u8>(destination.cast(), source.cast()),
            ),
            2 => walk(
                &layout,
                range,
                Scatter::<[u8; 2]>(destination.cast(), source.cast()),
            ),
            4 => walk(
                &layout,
                range,
                Scatter::<[u8; 4]>(destination.cast(), source.cast()),
            ),
            8 => walk(
                &layout,
                range,
                Scatter::<[u8; 8]>(destination.cast(), source.cast()),
            ),
            _ => with_bytes(&layout, |bytes| {
                walk(
                    bytes,
                    range.start * size..range.end * size,
                    Scatter::<u8>(destination, source),
                );
            }),
        }
    }
}

/// Fills `destination` with copies of one element.
///
/// # Panics
/// If `destination` is not whole elements.
pub fn fill(element: &[u8], destination: &mut [u8]) {
    assert!(
        destination.is_empty() || !element.is_empty(),
        "whole elements"
    );
    if element.iter().all(|&byte| byte == element[0]) {
        if let Some(&byte) = element.first() {
            destination.fill(byte);
        }
        return;
    }
    assert_eq!(destination.len() % element.len(), 0, "whole elements");
    for place in destination.chunks_exact_mut(element.len()) {
        place.copy_from_slice(element);
    }
}

fn check(layout: &Strided, memory: usize, range: &Range<usize>, contiguous: usize) {
    assert_eq!(
        layout.shape.len(),
        layout.strides.len(),
        "a stride for each axis"
    );
    assert!(range.end <= layout.length(), "the range");
    assert!(layout.fits(memory), "the strided value's extent");
    assert_eq!(
        contiguous,
        range.len() * layout.element_size,
        "the contiguous side's length"
    );
}

/// Runs `body` with the layout in bytes, an axis of one element's bytes added.
fn with_bytes(layout: &Strided, body: impl FnOnce(&Strided)) {
    let size = layout.element_size;
    let shape: Vec<usize> = layout.shape.iter().copied().chain([size]).collect();
    let strides = layout.strides.iter().map(|&stride| stride * size as isize);
    let strides: Vec<isize> = strides.chain([1]).collect();
    body(&Strided {
        element_size: 1,
        shape: &shape,
        strides: &strides,
        offset: layout.offset * size,
    });
}

/// More axes than any layout has after merging; beyond it, an element at a time.
const MOST_AXES: usize = 8;

/// A layout without axes of one element and with neighbouring axes merged where one stride runs through both.
struct Merged {
    rank: usize,
    shape: [usize; MOST_AXES],
    strides: [isize; MOST_AXES],
}

fn merge(layout: &Strided) -> Option<Merged> {
    let mut merged = Merged {
        rank: 0,
        shape: [1; MOST_AXES],
        strides: [0; MOST_AXES],
    };
    for (&size, &stride) in layout.shape.iter().zip(layout.strides) {
        let rank = merged.rank;
        if size == 1 {
            continue;
        }
        if rank > 0 && merged.strides[rank - 1] == stride * size as isize {
            merged.shape[rank - 1] *= size;
            merged.strides[rank - 1] = stride;
            continue;
        }
        if rank == MOST_AXES {
            return None;
        }
        merged.shape[rank] = size;
        merged.strides[rank] = stride;
        merged.rank += 1;
    }
    merged.rank = merged.rank.max(1);
    Some(merged)
}

/// Where element `index` is.
fn place_of(shape: &[usize], strides: &[isize], offset: usize, mut index: usize) -> isize {
    let mut place = offset as isize;
    for (&size, &stride) in shape.iter().zip(strides).rev() {
        place += (index % size) as isize * stride;
        index /= size;
    }
    place
}

/// Copies the elements `range`; the contiguous side starts with the first of them.
///
/// # Safety
/// Both sides must hold the elements of the range, which must end within the value.
unsafe fn walk(layout: &Strided, range: Range<usize>, copier: impl Copier) {
    if range.is_empty() {
        return;
    }
    let Some(merged) = merge(layout) else {
        for (i, index) in range.enumerate() {
            let place = place_of(layout.shape, layout.strides, layout.offset, index);
            // SAFETY: the element is of the range.
            unsafe { copier.one(place, i) };
        }
        return;
    };
    let (shape, strides) = (&merged.shape[..merged.rank], &merged.strides[..merged.rank]);
    let (last, stride) = (merged.rank - 1, strides[merged.rank - 1]);
    let width = shape[last];
    // A block of rows whose columns lie next to each other in memory is copied in squares that stay in the cache.
    let transposed =
        last > 0 && stride.abs() > 1 && strides[last - 1].abs() == 1 && shape[last - 1] > 1;
    let mut index = range.start;
    while index < range.end {
        let place = place_of(shape, strides, layout.offset, index);
        let column = index % width;
        if last > 0 && column == 0 {
            let row = index / width % shape[last - 1];
            let rows = (shape[last - 1] - row).min((range.end - index) / width);
            if rows > 1 {
                let (at, sizes) = (index - range.start, [rows, width]);
                let strides = [strides[last - 1], stride];
                // SAFETY: the rows are whole and end within the range.
                unsafe {
                    match transposed {
                        true => transpose(copier, place, strides, at, sizes),
                        false => lines(copier, place, strides, at, sizes),
                    }
                }
                index += rows * width;
                continue;
            }
        }
        let count = (width - column).min(range.end - index);
        // SAFETY: the elements are those of a row up to its end or that of the range.
        unsafe { copier.line(place, stride, index - range.start, count) };
        index += count;
    }
}

/// Copies `rows` whole rows of `width` elements, one after the other.
///
/// # Safety
/// Both sides must hold these elements.
unsafe fn lines(
    copier: impl Copier,
    place: isize,
    [row_stride, stride]: [isize; 2],
    index: usize,
    [rows, width]: [usize; 2],
) {
    for row in 0..rows {
        let place = place + row as isize * row_stride;
        // SAFETY: the row is below the number of rows.
        unsafe { copier.line(place, stride, index + row * width, width) };
    }
}

/// Copies `rows` whole rows of `width` elements, a square at a time.
///
/// # Safety
/// Both sides must hold these elements.
unsafe fn transpose(
    copier: impl Copier,
    place: isize,
    [row_stride, stride]: [isize; 2],
    index: usize,
    [rows, width]: [usize; 2],
) {
    const SIDE: usize = 16;
    for first_row in (0..rows).step_by(SIDE) {
        let last_row = (first_row + SIDE).min(rows);
        for first in (0..width).step_by(SIDE) {
            let count = SIDE.min(width - first);
            for row in first_row..last_row {
                let place = place + row as isize * row_stride + first as isize * stride;
                let index = index + row * width + first;
                for i in 0..count {
                    // SAFETY: row and column are below the numbers of rows and columns.
                    unsafe { copier.one(place + i as isize * stride, index + i) };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
