//! The micro-kernel that every product and convolution is made of.
//!
//! ```text
//! C[row, column] (+)= sum over k of A[rows[row] + offsets[k]] * B[k * b_stride + column]
//! ```
//! A is read where it lies, one element broadcast at a time, through two tables of offsets; B and C are contiguous along their columns.
//! A matrix has linear tables; a convolution has windows in them; so one kernel serves both.
//!
//! A diagonal product (each column of its own: a depthwise convolution) reads a vector of A where the others broadcast one element:
//! `C[row, column] (+)= sum over k of A[rows[row] + offsets[k] + column] * B[k * b_stride + column]`.
//!
//! Each element of C is one chain of multiply-adds along `k`, beginning at zero, whatever the tile it falls into: its bits do not depend
//! on the other rows and columns.

use pulp::{Simd, WithSimd};

use crate::kernels::lanes::kept_lanes;
use crate::simd::multiply_add;

/// One piece of a contraction, for a range of rows and one panel of columns.
#[derive(Clone, Copy)]
pub(super) struct Block {
    /// Where the row and `k` offsets begin.
    pub a: *const f32,
    /// One offset per row, in elements.
    pub rows: *const isize,
    /// How many rows.
    pub row_count: usize,
    /// One offset per `k`, in elements.
    pub offsets: *const isize,
    /// How many `k`.
    pub length: usize,
    /// Row 0 of B, first column of the panel.
    pub b: *const f32,
    /// Elements from one `k` to the next in B.
    pub b_stride: usize,
    /// First row of C, first column of the panel.
    pub c: *mut f32,
    /// Elements from one row to the next in C.
    pub c_stride: usize,
    /// How many columns.
    pub columns: usize,
    /// Whether to add to C (a later piece of K) or to write it (the first one).
    pub accumulate: bool,
    /// Whether A has columns, too; then at most one vector of columns.
    pub diagonal: bool,
}

/// The most vectors per row that there are tiles for.
pub(super) fn widest_panel(lanes: usize) -> usize {
    match lanes {
        1 => 8,
        8 => 2,
        _ => 4,
    }
}

/// Rows of the largest tile with that many vectors per row.
pub(super) fn tallest_tile(lanes: usize, vectors: usize) -> usize {
    match (lanes, vectors) {
        (1, _) => 4,
        (8, 1) => 8,
        (8, _) => 6,
        (_, 1) => 12,
        (_, 2) => 10,
        (_, 3) => 8,
        _ => 6,
    }
}

/// Runs tiles of the given heights (tallest first): as many of the tallest as fit, evenly filled, then one for what is left.
macro_rules! by_height {
    ($simd:ident, $block:ident, $vectors:literal, $masked:expr, $diagonal:literal, $tallest:literal $(, $height:literal)*) => {{
        let tiles = $block.row_count.div_ceil($tallest);
        let even = $block.row_count.div_ceil(tiles.max(1));
        run_tiles!($simd, $block, $vectors, $masked, $diagonal, even, $tallest $(, $height)*);
    }};
}

/// Chooses the smallest height that holds `even` rows, runs all full tiles of it, then the rest with the smallest that holds it.
macro_rules! run_tiles {
    ($simd:ident, $block:ident, $vectors:literal, $masked:expr, $diagonal:literal, $even:ident, $($height:literal),+) => {{
        let mut height = 0;
        $( if $even <= $height { height = $height; } )+
        let full = if height == 0 { 0 } else { $block.row_count / height };
        let (mut body, mut rest) = ($block, $block);
        body.row_count = full * height;
        rest.row_count -= body.row_count;
        // SAFETY: the rest begins inside the table and C, or is empty and then not run.
        unsafe {
            rest.rows = rest.rows.add(body.row_count);
            rest.c = rest.c.wrapping_add(body.row_count * rest.c_stride);
        }
        let mut rest_height = 0;
        $( if rest.row_count <= $height { rest_height = $height; } )+
        if body.row_count > 0 {
            $( if height == $height {
                $simd.vectorize(Tiles::<$height, $vectors, { $masked }, $diagonal>(body));
            } )+
        }
        if rest.row_count > 0 {
            $( if rest_height == $height {
                $simd.vectorize(Tiles::<$height, $vectors, { $masked }, $diagonal>(rest));
            } )+
        }
    }};
}

/// Runs a block.
///
/// # Safety
/// Every address that the formula above names, for `row < row_count`, `k < length` and `column < columns`, must be readable in A and B
/// and writable in C; C must not overlap A or B. `columns` must fit into `widest_panel` vectors, or one if diagonal.
#[inline(always)]
pub(super) unsafe fn run_block<S: Simd>(simd: S, block: Block) {
    let vectors = block.columns.div_ceil(S::F32_LANES);
    let ragged = !block.columns.is_multiple_of(S::F32_LANES);
    // SAFETY: passed on from the caller.
    unsafe {
        if block.diagonal {
            diagonal(simd, block, ragged);
        } else if const { !S::IS_SCALAR } && ragged {
            by_width::<S, true>(simd, block, vectors)
        } else {
            by_width::<S, false>(simd, block, vectors)
        }
    }
}

#[inline(always)]
unsafe fn diagonal<S: Simd>(simd: S, block: Block, ragged: bool) {
    if const { !S::IS_SCALAR } && ragged {
        by_height!(simd, block, 1, true, true, 8, 4, 2, 1);
    } else {
        by_height!(simd, block, 1, false, true, 8, 4, 2, 1);
    }
}

#[inline(always)]
unsafe fn by_width<S: Simd, const MASKED: bool>(simd: S, block: Block, vectors: usize) {
    if const { S::IS_SCALAR } {
        // One lane is never partly filled.
        match vectors {
            1 => by_height!(simd, block, 1, false, false, 4, 2, 1),
            2 => by_height!(simd, block, 2, false, false, 4, 2, 1),
            4 => by_height!(simd, block, 4, false, false, 4, 2, 1),
            8 => by_height!(simd, block, 8, false, false, 4, 2, 1),
            _ => {}
        }
    } else if const { S::F32_LANES == 8 } {
        match vectors {
            1 => by_height!(simd, block, 1, MASKED, false, 8, 4, 2, 1),
            2 => by_height!(simd, block, 2, MASKED, false, 6, 5, 4, 2, 1),
            _ => {}
        }
    } else {
        match vectors {
            1 => by_height!(simd, block, 1, MASKED, false, 12, 8, 4, 2, 1),
            2 => by_height!(simd, block, 2, MASKED, false, 10, 8, 6, 4, 2, 1),
            3 => by_height!(simd, block, 3, MASKED, false, 8, 6, 4, 2, 1),
            4 => by_height!(simd, block, 4, MASKED, false, 6, 5, 4, 2, 1),
            _ => {}
        }
    }
}

/// The sums of `HEIGHT` rows from `first` on (rows beyond the last repeat it) and `VECTORS` vectors of columns, which `load` reads.
///
/// # Safety
/// As [`run_block`], for these rows.
#[inline(always)]
pub(super) unsafe fn sums<
    S: Simd,
    const HEIGHT: usize,
    const VECTORS: usize,
    const DIAGONAL: bool,
>(
    simd: S,
    block: &Block,
    first: usize,
    load: impl Fn(*const f32, usize) -> S::f32s,
) -> [[S::f32s; VECTORS]; HEIGHT] {
    let valid = (block.row_count - first).min(HEIGHT);
    let mut acc = [[simd.splat_f32s(0.0); VECTORS]; HEIGHT];
    // SAFETY: the row is below `row_count`, so the table has it.
    let a: [*const f32; HEIGHT] = std::array::from_fn(|row| unsafe {
        block
            .a
            .wrapping_offset(*block.rows.add(first + row.min(valid - 1)))
    });
    let mut b = block.b;
    for k in 0..block.length {
        // SAFETY: `k` is below `length`, and the caller vouches for the tables and what they point at.
        unsafe {
            let offset = *block.offsets.add(k);
            let b_vectors: [S::f32s; VECTORS] = std::array::from_fn(|vector| load(b, vector));
            for (a, sums) in a.iter().zip(&mut acc) {
                let a = a.wrapping_offset(offset);
                let value = if DIAGONAL {
                    load(a, 0)
                } else {
                    simd.splat_f32s(*a)
                };
                for (sum, b) in sums.iter_mut().zip(b_vectors) {
                    *sum = multiply_add(simd, value, b, *sum);
                }
            }
        }
        b = b.wrapping_add(block.b_stride);
    }
    acc
}

/// The rows of a block, in tiles of `HEIGHT` rows and `VECTORS` vectors. With `MASKED`, the last vector is partly filled.
struct Tiles<const HEIGHT: usize, const VECTORS: usize, const MASKED: bool, const DIAGONAL: bool>(
    Block,
);

impl<const HEIGHT: usize, const VECTORS: usize, const MASKED: bool, const DIAGONAL: bool> WithSimd
    for Tiles<HEIGHT, VECTORS, MASKED, DIAGONAL>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let block = self.0;
        let filled = block.columns - (VECTORS - 1) * S::F32_LANES;
        let mask = kept_lanes(simd, filled);
        let load = |address: *const f32, vector: usize| {
            // SAFETY: `run_block`'s caller vouches for the first `columns` columns; the mask leaves out those beyond.
            unsafe {
                let address = address.add(vector * S::F32_LANES);
                if MASKED && vector == VECTORS - 1 {
                    simd.mask_load_ptr_f32s(mask, address)
                } else {
                    address.cast::<S::f32s>().read_unaligned()
                }
            }
        };
        let mut first = 0;
        while first < block.row_count {
            let valid = (block.row_count - first).min(HEIGHT);
            // SAFETY: `run_block`'s caller vouches for the addresses.
            let acc: [[S::f32s; VECTORS]; HEIGHT] =
                unsafe { sums::<S, HEIGHT, VECTORS, DIAGONAL>(simd, &block, first, load) };
            for (row, sums) in acc.into_iter().enumerate() {
                if row < valid {
                    let c = block.c.wrapping_add((first + row) * block.c_stride);
                    for (vector, mut sum) in sums.into_iter().enumerate() {
                        if block.accumulate {
                            sum = simd.add_f32s(load(c, vector), sum);
                        }
                        // SAFETY: `run_block`'s caller vouches for C; the mask leaves out the columns beyond.
                        unsafe {
                            let address = c.add(vector * S::F32_LANES);
                            if MASKED && vector == VECTORS - 1 {
                                simd.mask_store_ptr_f32s(mask, address, sum);
                            } else {
                                address.cast::<S::f32s>().write_unaligned(sum);
                            }
                        }
                    }
                }
            }
            first += HEIGHT;
        }
    }
}
