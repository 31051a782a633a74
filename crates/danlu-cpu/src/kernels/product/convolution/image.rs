//! The images that windows slide over: where they lie, or how they are copied with a border of zeros.

use std::ops::Range;

use crate::kernels::pooling::{Spread, spread_rows};
use crate::simd::Isa;

/// Images as the micro-kernel reads them: the source itself, or copies of it with zeros around and (for the gradient of a strided
/// convolution) between its pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Images {
    /// Height and width of the source.
    pub size: [usize; 2],
    pub channels: usize,
    /// Pixels from one source pixel to the next in the copy.
    pub spread: [usize; 2],
    /// Position of the first source pixel in the copy; negative if the border of the source is cut off.
    pub origin: [isize; 2],
    /// Width of the copy, in pixels: what windows reach.
    pub reach: usize,
    /// Whether there is a copy.
    pub copied: bool,
}

impl Images {
    /// `reach` is how many pixels, from the origin of the padded image, all windows together need, in height and in width.
    pub fn new(
        size: [usize; 2],
        channels: usize,
        spread: [usize; 2],
        origin: [isize; 2],
        reach: [usize; 2],
    ) -> Images {
        let inside = reach[0] <= size[0] && reach[1] <= size[1];
        Images {
            size,
            channels,
            spread,
            origin,
            reach: reach[1],
            copied: origin != [0, 0] || spread != [1, 1] || !inside,
        }
    }

    /// Elements from one row of pixels to the next, as the micro-kernel sees it.
    pub fn row_stride(&self) -> usize {
        self.channels
            * if self.copied {
                self.reach
            } else {
                self.size[1]
            }
    }

    /// Elements from one image to the next, as the micro-kernel sees it, with that many rows in a copy.
    pub fn image_stride(&self, rows: usize) -> usize {
        let rows = if self.copied { rows } else { self.size[0] };
        rows * self.row_stride()
    }

    /// Elements of one image of the source.
    pub fn source_stride(&self) -> usize {
        self.size[0] * self.size[1] * self.channels
    }

    /// Copies rows `first..first + rows` of the padded image of one source image.
    ///
    /// # Safety
    /// `source` must be readable for an image, `copy` writable for `rows * reach * channels` elements, apart from it.
    pub unsafe fn copy(&self, source: *const f32, first: usize, rows: usize, copy: *mut f32) {
        let row_elements = self.reach * self.channels;
        for row in 0..rows {
            // SAFETY: the row lies within the copy.
            let to = unsafe {
                std::slice::from_raw_parts_mut(copy.add(row * row_elements), row_elements)
            };
            let Some(source_row) = self.source_row(first + row) else {
                to.fill(0.0);
                continue;
            };
            let start = source_row * self.size[1] * self.channels;
            // SAFETY: the row lies within the image.
            let from = unsafe {
                std::slice::from_raw_parts(source.add(start), self.size[1] * self.channels)
            };
            self.copy_row(from, to);
        }
    }

    /// The same for an image that is the gradient of a max-pooling; `row` has room for a row of it.
    ///
    /// # Safety
    /// As [`spread_rows`], and the copy is writable for the rows.
    pub unsafe fn copy_spread(
        &self,
        isa: Isa,
        spread: Spread,
        rows: Range<usize>,
        copy: *mut f32,
        row: *mut f32,
    ) {
        let row_elements = self.reach * self.channels;
        let width = self.size[1] * self.channels;
        let [_, left] = self.origin;
        let fits = self.spread == [1, 1] && left >= 0 && left as usize + self.size[1] <= self.reach;
        if fits {
            // One run over all rows that are there, between zeros.
            let [top, _] = self.origin;
            let position =
                |row: usize| (row as isize - top).clamp(0, self.size[0] as isize) as usize;
            let within = position(rows.start)..position(rows.end);
            let before =
                (within.start as isize + top).max(rows.start as isize) as usize - rows.start;
            let count = within.len();
            let start = left as usize * self.channels;
            // SAFETY: the rows lie within the copy, and what is filled with zeros between them.
            unsafe {
                let zeros = |from: usize, to: usize| {
                    copy.add(from).write_bytes(0, to - from);
                };
                zeros(
                    0,
                    if count == 0 {
                        rows.len() * row_elements
                    } else {
                        before * row_elements
                    },
                );
                if count == 0 {
                    return;
                }
                for row in before..before + count {
                    let begin = row * row_elements;
                    zeros(begin, begin + start);
                    zeros(begin + start + width, begin + row_elements);
                }
                zeros((before + count) * row_elements, rows.len() * row_elements);
                let first = copy.add(before * row_elements + start);
                spread_rows(isa, spread, within, first, row_elements);
            }
            return;
        }
        for (index, number) in rows.enumerate() {
            // SAFETY: the row lies within the copy.
            let to = unsafe {
                std::slice::from_raw_parts_mut(copy.add(index * row_elements), row_elements)
            };
            match self.source_row(number) {
                None => to.fill(0.0),
                Some(source) => {
                    // SAFETY: the caller vouches for the spread and the room for a row.
                    let from = unsafe {
                        spread_rows(isa, spread, source..source + 1, row, width);
                        std::slice::from_raw_parts(row, width)
                    };
                    self.copy_row(from, to);
                }
            }
        }
    }

    /// The row of the source that stands in a row of the padded image.
    fn source_row(&self, row: usize) -> Option<usize> {
        let position = row as isize - self.origin[0];
        let spread = self.spread[0] as isize;
        let within =
            position >= 0 && position % spread == 0 && position / spread < self.size[0] as isize;
        within.then(|| (position / spread) as usize)
    }

    fn copy_row(&self, from: &[f32], to: &mut [f32]) {
        let channels = self.channels;
        if channels == 0 {
            return;
        }
        let origin = self.origin[1];
        if self.spread[1] == 1 {
            let skipped = (origin.min(0).unsigned_abs()).min(self.size[1]);
            let start = (origin.max(0) as usize).min(self.reach);
            let count = (self.size[1] - skipped).min(self.reach - start);
            let end = start + count;
            to[..start * channels].fill(0.0);
            to[start * channels..end * channels]
                .copy_from_slice(&from[skipped * channels..(skipped + count) * channels]);
            to[end * channels..].fill(0.0);
        } else {
            to.fill(0.0);
            for (index, pixel) in from.chunks_exact(channels).enumerate() {
                let position = origin + (index * self.spread[1]) as isize;
                if (0..self.reach as isize).contains(&position) {
                    let start = position as usize * channels;
                    to[start..start + channels].copy_from_slice(pixel);
                }
            }
        }
    }
}
