//! Tiles whose rows are the windows of a max-pooling: they are pooled while they are still in registers, and never stored.

use pulp::{Simd, WithSimd};

use super::PoolInto;
use super::kernel::{Block, sums};
use super::panels::Panel;
use crate::kernels::lanes::{Lanes, kept_lanes, load, store};
use crate::kernels::pooling::{largest, store_places};

/// Windows that there are tiles for: of so many rows and columns.
pub(super) fn has_tiles(lanes: usize, size: [usize; 2]) -> bool {
    lanes > 1 && matches!(size, [2, 2] | [1, 2] | [2, 1])
}

/// The most vectors of columns in a tile.
pub(super) const WIDEST: usize = 2;

/// The largest of every window of `max(sum over k of A[rows[row] + offsets[k]] * B[k * b_stride + column] + bias[column], 0)`.
pub(super) struct Windows<'a> {
    pub a: *const f32,
    /// One offset for each row, window by window.
    pub rows: &'a [isize],
    /// Rows and columns of a window.
    pub size: [usize; 2],
    pub offsets: &'a [isize],
    pub b: *const f32,
    pub b_stride: usize,
    /// At most [`WIDEST`] vectors each.
    pub panels: &'a [Panel],
    /// Where the first window's go, column 0.
    pub into: PoolInto,
    /// Elements from one window's to the next.
    pub stride: usize,
}

impl WithSimd for Windows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for panel in self.panels {
            let ragged = !panel.columns.is_multiple_of(S::F32_LANES);
            let vectors = panel.columns.div_ceil(S::F32_LANES);
            macro_rules! tiles {
                ($windows:literal, $height:literal, $vectors:literal, $masked:literal, $bias:literal) => {
                    simd.vectorize(Tiles::<$windows, $height, $vectors, $masked, $bias> {
                        windows: &self,
                        panel,
                    })
                };
            }
            macro_rules! by_panel {
                ($windows:literal, $height:literal) => {
                    match (vectors, ragged, self.into.bias.is_null()) {
                        (1, false, true) => tiles!($windows, $height, 1, false, false),
                        (1, true, true) => tiles!($windows, $height, 1, true, false),
                        (_, false, true) => tiles!($windows, $height, 2, false, false),
                        (_, true, true) => tiles!($windows, $height, 2, true, false),
                        (1, false, false) => tiles!($windows, $height, 1, false, true),
                        (1, true, false) => tiles!($windows, $height, 1, true, true),
                        (_, false, false) => tiles!($windows, $height, 2, false, true),
                        (_, true, false) => tiles!($windows, $height, 2, true, true),
                    }
                };
            }
            // Eight rows for 32 registers, four for 16.
            if const { S::F32_LANES == 8 } {
                match self.size {
                    [2, 2] => by_panel!(1, 4),
                    _ => by_panel!(2, 4),
                }
            } else if const { S::F32_LANES > 1 } {
                match self.size {
                    [2, 2] => by_panel!(2, 8),
                    _ => by_panel!(4, 8),
                }
            }
        }
    }
}

/// `WINDOWS` windows at a time, which have `HEIGHT` rows.
struct Tiles<
    'a,
    const WINDOWS: usize,
    const HEIGHT: usize,
    const VECTORS: usize,
    const MASKED: bool,
    const BIAS: bool,
> {
    windows: &'a Windows<'a>,
    panel: &'a Panel,
}

impl<
    const WINDOWS: usize,
    const HEIGHT: usize,
    const VECTORS: usize,
    const MASKED: bool,
    const BIAS: bool,
> WithSimd for Tiles<'_, WINDOWS, HEIGHT, VECTORS, MASKED, BIAS>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Tiles { windows, panel } = self;
        let filled = panel.columns - (VECTORS - 1) * S::F32_LANES;
        let mask = kept_lanes(simd, filled);
        let lanes =
            |vector: usize| -> Lanes<S> { (MASKED && vector == VECTORS - 1).then_some(mask) };
        // SAFETY: whoever made this value vouches for the columns; the mask leaves out those beyond.
        let read = |address: *const f32, vector: usize| unsafe {
            load(
                simd,
                address.wrapping_add(vector * S::F32_LANES),
                lanes(vector),
            )
        };
        let block = Block {
            a: windows.a,
            rows: windows.rows.as_ptr(),
            row_count: windows.rows.len(),
            offsets: windows.offsets.as_ptr(),
            length: windows.offsets.len(),
            b: windows.b.wrapping_add(panel.start),
            b_stride: windows.b_stride,
            c: std::ptr::null_mut(),
            c_stride: 0,
            columns: panel.columns,
            accumulate: false,
            diagonal: false,
        };
        let bias: [S::f32s; VECTORS] = std::array::from_fn(|vector| {
            if BIAS {
                read(windows.into.bias.wrapping_add(panel.start), vector)
            } else {
                simd.splat_f32s(0.0)
            }
        });
        // A window's rows and columns are known to the compiler.
        let rows_of_window = const { HEIGHT / WINDOWS };
        let mut first = 0;
        while first < block.row_count {
            // SAFETY: as above.
            let acc: [[S::f32s; VECTORS]; HEIGHT] =
                unsafe { sums::<S, HEIGHT, VECTORS, false>(simd, &block, first, read) };
            for window in 0..WINDOWS {
                let row = window * rows_of_window;
                if first + row >= block.row_count {
                    break;
                }
                let place = (first + row) / rows_of_window * windows.stride + panel.start;
                for vector in 0..VECTORS {
                    // One row of all elements has the same order and the same places.
                    let (best, at) = largest::<S, BIAS>(
                        simd,
                        [1, rows_of_window],
                        |_, x| acc[row + x][vector],
                        bias[vector],
                        (0, 0),
                    );
                    let place = place + vector * S::F32_LANES;
                    // SAFETY: as above.
                    unsafe {
                        store(
                            simd,
                            windows.into.values.wrapping_add(place),
                            lanes(vector),
                            best,
                        );
                        if !windows.into.places.is_null() {
                            let count = if MASKED && vector == VECTORS - 1 {
                                filled
                            } else {
                                S::F32_LANES
                            };
                            store_places::<S>(at, windows.into.places.wrapping_add(place), count);
                        }
                    }
                }
            }
            first += HEIGHT;
        }
    }
}
