//! The gradients of a convolution that a max-pooling follows. Of each window of the pooling only one element got a gradient for each
//! filter, at its noted place; and of these many are zero (a ReLU or a dropout stopped them). What is left are lists of places and
//! numbers, and a gradient is a sum over such a list of a number times a run of pixels (or of weights): the taps of a row of the kernel with their
//! channels, which lie one behind the other.
//!
//! A product that spreads the gradient first multiplies by the zeros, too: for windows of 2 by 2, at least four times as much.

mod input;
#[cfg(test)]
mod tests;
mod weights;

pub(super) use input::NotedInputGradient;
pub(super) use weights::NotedWeightGradient;

use pulp::{Simd, WithSimd};

use super::shape::Convolution2dShape;
use crate::kernels::lanes::{Lanes, kept_lanes, load, store};
use crate::kernels::pooling::Pool2d;
use crate::simd::{Isa, multiply_add};

/// An element of a gradient, and where what it multiplies begins.
#[derive(Clone, Copy)]
struct Entry {
    offset: u32,
    value: f32,
}

/// A part of the kernel: some of its rows, and of each the elements `column..column + columns`, channels counted.
#[derive(Clone, Copy, Debug)]
struct Part {
    row: usize,
    rows: usize,
    column: usize,
    columns: usize,
}

/// What both gradients need to know of the shapes.
#[derive(Clone, Debug)]
struct Noted {
    isa: Isa,
    shape: Convolution2dShape,
    pool: Pool2d,
    /// Elements of a row of the kernel: taps and channels.
    run: usize,
    /// Elements of a row of the padded image.
    row_stride: usize,
    /// For each place in a window of the pooling, where its pixels begin, behind those of the first place.
    places: Vec<u32>,
}

/// Multiply-adds that a list costs for each entry, beside those that it is for.
const ENTRY_COST: f64 = 6.0;
/// How much less work it must be than the product over everything.
const ADVANTAGE: f64 = 1.3;
/// Most vectors of a tile: a third of a row's.
const MOST_VECTORS: usize = 8;

impl Noted {
    /// `None` where the shape does not suit, or it would not pay; `flushes` says how often a sum is added to memory for each entry.
    fn new(
        isa: Isa,
        shape: &Convolution2dShape,
        pool: &Pool2d,
        row_stride: usize,
        flushes: f64,
    ) -> Option<Noted> {
        let run = shape.kernel[1].checked_mul(shape.channels)?;
        let area = pool.kernel[0] * pool.kernel[1];
        let lanes = isa.lanes();
        let vectors = (shape.kernel[0] * run.div_ceil(lanes)) as f64;
        let dense = (area * shape.kernel[0] * run) as f64 / lanes as f64;
        let sparse = vectors * (1.0 + 3.0 * flushes) + ENTRY_COST;
        let largest = [
            shape.height + shape.padding[0][0] + shape.padding[0][1],
            row_stride,
        ];
        let offsets = largest[0].checked_mul(largest[1])?;
        let weights = shape.filters.checked_mul(shape.kernel[0] * run)?;
        let good = lanes > 1
            && isa.is_available()
            && shape.groups == 1
            && run > 0
            && shape.filters > 0
            && (shape.dilation[1] == 1 || shape.kernel[1] == 1)
            && pool.is_whole()
            && pool.has_places()
            && offsets.max(weights) <= u32::MAX as usize
            && sparse * ADVANTAGE < dense;
        let mut places = vec![0; 256];
        for (place, offset) in places.iter_mut().enumerate().take(area) {
            let (y, x) = (place / pool.kernel[1], place % pool.kernel[1]);
            *offset =
                (y * shape.stride[0] * row_stride + x * shape.stride[1] * shape.channels) as u32;
        }
        good.then_some(Noted {
            isa,
            shape: *shape,
            pool: *pool,
            run,
            row_stride,
            places,
        })
    }

    /// Weights of a filter.
    fn taps(&self) -> usize {
        self.shape.kernel[0] * self.run
    }

    /// Elements from one row of taps to the next, in the padded image.
    fn tap_stride(&self) -> usize {
        self.shape.dilation[0] * self.row_stride
    }

    /// Where the pixels begin that a window of the pooling looks at, from those of the first one of its row.
    fn window(&self, x: usize) -> usize {
        x * self.pool.stride[1] * self.shape.stride[1] * self.shape.channels
    }

    /// Rows of pixels from one row of windows of the pooling to the next.
    fn window_rows(&self) -> usize {
        self.pool.stride[0] * self.shape.stride[0]
    }

    /// Rows of pixels that so many rows of windows of the pooling look at.
    fn pixel_rows(&self, windows: usize) -> usize {
        (windows.max(1) - 1) * self.window_rows()
            + (self.pool.kernel[0] - 1) * self.shape.stride[0]
            + (self.shape.kernel[0] - 1) * self.shape.dilation[0]
            + 1
    }

    /// The kernel in parts of at most `vectors` vectors, as even as can be.
    fn parts(&self, vectors: usize) -> Vec<Part> {
        let lanes = self.isa.lanes();
        let in_run = self.run.div_ceil(lanes);
        let cuts = in_run.div_ceil(MOST_VECTORS.min(vectors.max(1)));
        let wide = in_run.div_ceil(cuts);
        let rows = if 3 * wide <= vectors { 3 } else { 1 };
        let mut parts = Vec::new();
        for column in (0..self.run).step_by(wide * lanes) {
            let columns = (wide * lanes).min(self.run - column);
            let mut row = 0;
            while row < self.shape.kernel[0] {
                let rows = if self.shape.kernel[0] - row >= rows {
                    rows
                } else {
                    1
                };
                parts.push(Part {
                    row,
                    rows,
                    column,
                    columns,
                });
                row += rows;
            }
        }
        parts
    }

    /// Vectors that fit into registers beside what else is there.
    fn most_vectors(&self) -> usize {
        match self.isa.lanes() {
            8 => 12,
            _ => 24,
        }
    }
}

/// `to[row * to_stride + column] += sum over the entries of value * from[offset + row * from_stride + column]`.
#[derive(Clone, Copy)]
struct Gather<'a> {
    entries: &'a [Entry],
    from: *const f32,
    from_stride: usize,
    to: *mut f32,
    to_stride: usize,
    /// 1 or 3.
    rows: usize,
    columns: usize,
}

/// Runs it.
///
/// # Safety
/// Whatever the formula names must be readable, and writable, for `rows` rows and `columns` columns.
#[inline(always)]
unsafe fn gather<S: Simd>(simd: S, call: Gather<'_>) {
    let vectors = call.columns.div_ceil(S::F32_LANES);
    let ragged = !call.columns.is_multiple_of(S::F32_LANES);
    macro_rules! tiles {
        ($($rows:literal $vectors:literal),*) => {
            match (call.rows, vectors, ragged) {
                $(
                    ($rows, $vectors, false) => {
                        simd.vectorize(Tile::<$rows, $vectors, false>(call));
                    }
                    ($rows, $vectors, true) => {
                        simd.vectorize(Tile::<$rows, $vectors, true>(call));
                    }
                )*
                _ => {}
            }
        };
    }
    if const { S::F32_LANES == 8 } {
        tiles!(1 1, 1 2, 1 3, 1 4, 1 5, 1 6, 1 7, 1 8, 3 1, 3 2, 3 3, 3 4);
    } else if const { S::F32_LANES > 1 } {
        tiles!(1 1, 1 2, 1 3, 1 4, 1 5, 1 6, 1 7, 1 8, 3 1, 3 2, 3 3, 3 4, 3 5, 3 6, 3 7, 3 8);
    }
}

struct Tile<'a, const ROWS: usize, const VECTORS: usize, const MASKED: bool>(Gather<'a>);

impl<const ROWS: usize, const VECTORS: usize, const MASKED: bool> WithSimd
    for Tile<'_, ROWS, VECTORS, MASKED>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let call = self.0;
        let filled = call.columns - (VECTORS - 1) * S::F32_LANES;
        let mask = kept_lanes(simd, filled);
        let lanes =
            |vector: usize| -> Lanes<S> { (MASKED && vector == VECTORS - 1).then_some(mask) };
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        // SAFETY (of both blocks): whoever made this value vouches for the addresses; the mask leaves out the columns beyond.
        unsafe {
            for entry in call.entries {
                let value = simd.splat_f32s(entry.value);
                let from = call.from.wrapping_add(entry.offset as usize);
                for (row, sums) in sums.iter_mut().enumerate() {
                    let from = from.wrapping_add(row * call.from_stride);
                    for (vector, sum) in sums.iter_mut().enumerate() {
                        let other = load(
                            simd,
                            from.wrapping_add(vector * S::F32_LANES),
                            lanes(vector),
                        );
                        *sum = multiply_add(simd, value, other, *sum);
                    }
                }
            }
            for (row, sums) in sums.into_iter().enumerate() {
                let to = call.to.wrapping_add(row * call.to_stride);
                for (vector, sum) in sums.into_iter().enumerate() {
                    let to = to.wrapping_add(vector * S::F32_LANES);
                    let old = load(simd, to, lanes(vector));
                    store(simd, to, lanes(vector), simd.add_f32s(old, sum));
                }
            }
        }
    }
}
