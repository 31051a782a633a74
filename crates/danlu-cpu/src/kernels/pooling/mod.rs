//! Two-dimensional pooling of images stored as [images, height, width, channels], vectorised over the channels.
//!
//! An output's bits depend on its window alone; those of an image's gradient on the image alone.

mod average;
mod max;
mod places;
mod spread;

pub use average::{average_pool, average_pool_gradient};
pub use max::{max_pool, max_pool_gather, max_pool_gradient};
pub use places::{PoolRows, Spread, max_pool_places, spread_rows};
pub(crate) use places::{largest, store_places};
pub use spread::spread_elements;

use std::ops::Range;

/// The shape of a pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool2d {
    /// Rows and columns of an input image.
    pub input: [usize; 2],
    /// Rows and columns of an output image.
    pub output: [usize; 2],
    /// Channels of both.
    pub channels: usize,
    /// Rows and columns of a window.
    pub kernel: [usize; 2],
    /// Rows and columns from one window to the next.
    pub stride: [usize; 2],
    /// Rows before and after the image, and columns before and after: `[[low, high], [low, high]]`. What lies after is known from
    /// the output's size; windows that reach beyond it are cut there.
    pub padding: [[usize; 2]; 2],
}

impl Pool2d {
    /// Elements of one input image.
    pub fn input_length(&self) -> usize {
        self.input[0] * self.input[1] * self.channels
    }

    /// Elements of one output image.
    pub fn output_length(&self) -> usize {
        self.output[0] * self.output[1] * self.channels
    }

    /// Elements of one row of an output image.
    pub fn row_length(&self) -> usize {
        self.output[1] * self.channels
    }

    /// The part of the input, along an axis, that the window of `output` covers; padding is not in it.
    #[inline(always)]
    fn window(&self, axis: usize, output: usize) -> Range<usize> {
        let start = output * self.stride[axis];
        let low = self.padding[axis][0];
        let end = (start + self.kernel[axis]).saturating_sub(low);
        let end = end.min(self.input[axis]);
        start.saturating_sub(low).min(end)..end
    }

    /// Whether no input is in two windows.
    #[inline(always)]
    fn is_disjoint(&self) -> bool {
        self.stride[0] >= self.kernel[0] && self.stride[1] >= self.kernel[1]
    }

    /// Whether every window lies in the image as a whole, nothing being padded.
    pub fn is_whole(&self) -> bool {
        (0..2).all(|axis| {
            let last = self.output[axis].max(1) - 1;
            self.padding[axis][0] == 0
                && last * self.stride[axis] + self.kernel[axis] <= self.input[axis]
        })
    }

    /// Checks that `source` is whole images that hold the output rows `rows`, and `destination` these rows.
    fn check_rows(&self, source: usize, rows: &Range<usize>, destination: usize) {
        let images = rows.end.div_ceil(self.output[0].max(1));
        assert!(source >= images * self.input_length(), "the input's length");
        assert_eq!(
            destination,
            rows.len() * self.row_length(),
            "the output's length"
        );
    }

    /// Calls `body(input image, output row in it, offset of the row in the piece)` for output rows of all images.
    #[inline(always)]
    fn for_each_row(&self, rows: Range<usize>, mut body: impl FnMut(usize, usize, usize)) {
        let start = rows.start;
        for row in rows {
            let image = row / self.output[0];
            body(
                image * self.input_length(),
                row % self.output[0],
                (row - start) * self.row_length(),
            );
        }
    }
}

#[cfg(test)]
mod tests;
