//! The gradient by the weights: for each filter the sum over its noted elements of the pixels that they look at.
//!
//! Images (or bands of them, if large) are dealt to a fixed number of chunks; a chunk sums its own in order, `[filters, taps * channels]`, and the
//! chunks' sums are added in order.

use pulp::{Simd, WithSimd};

use super::super::super::block::SumOfParts;
use super::super::super::transpose::transpose;
use super::super::super::{Epilogue, ImageOperand, Shared, Sharing, Target, Tile, scratch_for};
use super::super::image::Images;
use super::super::shape::Convolution2dShape;
use super::{Entry, Gather, Noted, Part, gather};
use crate::kernels::pooling::{Pool2d, Spread};
use crate::simd::Isa;
use crate::threads::Pool;

/// Pixels of a band stay in the first-level cache, about.
const BAND_ELEMENTS: usize = 6144;
/// Chunks at most, and what their sums may take.
const MOST_CHUNKS: usize = 16;
const CHUNK_BYTES: usize = 8 << 20;

#[derive(Debug)]
pub struct NotedWeightGradient {
    noted: Noted,
    images: Images,
    parts: Vec<Part>,
    /// Rows of windows of the pooling in a band.
    band: usize,
    bands: usize,
    chunks: usize,
    /// Where the windows of a band begin.
    windows: Vec<u32>,
    sharing: Sharing,
}

impl NotedWeightGradient {
    /// `None` where it does not suit or not pay.
    pub fn new(
        isa: Isa,
        shape: &Convolution2dShape,
        pool: &Pool2d,
        threads: usize,
    ) -> Option<NotedWeightGradient> {
        let images = shape.images();
        let noted = Noted::new(isa, shape, pool, images.row_stride(), 0.1)?;
        let [rows, columns] = pool.output;
        if rows * columns * shape.batch == 0 {
            return None;
        }
        let of_row = (noted.window_rows() * noted.row_stride).max(1);
        let wanted = (BAND_ELEMENTS / of_row).max(1);
        let bands = rows.div_ceil(wanted);
        let band = rows.div_ceil(bands);
        let bands = rows.div_ceil(band);
        let result = noted.taps() * shape.filters;
        let chunks = (shape.batch * bands)
            .min(MOST_CHUNKS)
            .min(CHUNK_BYTES / (4 * result))
            .max(1);
        let windows = (0..band * columns).map(|window| {
            let (y, x) = (window / columns, window % columns);
            (y * noted.window_rows() * noted.row_stride + noted.window(x)) as u32
        });
        let entries = shape.batch * rows * columns * shape.filters;
        Some(NotedWeightGradient {
            parts: noted.parts(noted.most_vectors()),
            images,
            band,
            bands,
            chunks,
            windows: windows.collect(),
            sharing: Sharing::new(
                threads,
                2 * entries * noted.taps(),
                4 * (entries + shape.batch * images.source_stride() + chunks * result),
            ),
            noted,
        })
    }

    fn part_stride(&self) -> usize {
        scratch_for(self.noted.taps() * self.noted.shape.filters) / size_of::<f32>()
    }

    /// A thread's copy of a band, its list, and its block of a sum.
    fn slot_parts(&self) -> [usize; 2] {
        let copy = if self.images.copied {
            scratch_for(self.noted.pixel_rows(self.band) * self.noted.row_stride)
        } else {
            0
        };
        let list = scratch_for(2 * self.windows.len());
        [copy, list]
    }

    fn slot_bytes(&self) -> usize {
        let block = scratch_for(self.sum_rows() * self.noted.shape.filters);
        self.slot_parts().iter().sum::<usize>().max(block)
    }

    pub fn scratch_bytes(&self) -> usize {
        self.chunks * self.part_stride() * size_of::<f32>()
            + self.slot_bytes() * self.sharing.threads
    }

    /// Rows of a tile of the result.
    fn sum_rows(&self) -> usize {
        4096_usize
            .div_ceil(self.noted.shape.filters)
            .next_multiple_of(16)
            .min(self.noted.taps())
    }

    pub fn tile_elements(&self) -> usize {
        self.sum_rows() * self.noted.shape.filters
    }

    /// # Safety
    /// As [`super::super::ConvolutionWeightGradientPlan::run`].
    pub unsafe fn run(
        &self,
        pool: &Pool,
        x: *const f32,
        dy: ImageOperand,
        dw: Target,
        scratch: *mut u8,
        epilogue: Epilogue,
    ) {
        let x = Shared::new(x);
        let sums = Shared(scratch.cast::<f32>());
        let sums_bytes = self.chunks * self.part_stride() * size_of::<f32>();
        let rooms = Shared(scratch.wrapping_add(sums_bytes));
        let room = |slot: usize| rooms.get().wrapping_add(slot * self.slot_bytes());
        let pieces = self.noted.shape.batch * self.bands;
        self.sharing.run(pool, self.chunks, &|slot, chunk| {
            let sum = sums.get().wrapping_add(chunk * self.part_stride());
            // SAFETY: the chunk's sum is this task's own, and has room for the result.
            unsafe { sum.write_bytes(0, self.noted.taps() * self.noted.shape.filters) };
            let first = chunk * pieces / self.chunks;
            for piece in first..(chunk + 1) * pieces / self.chunks {
                // SAFETY: passed on; the room is this slot's own.
                unsafe { self.add_piece(piece, x.get(), dy, room(slot), sum) };
            }
        });
        self.sum_chunks(pool, sums, dw, &room, epilogue);
    }

    /// Adds what a band of an image gives.
    ///
    /// # Safety
    /// As [`NotedWeightGradient::run`]; the room is the caller's own.
    unsafe fn add_piece(
        &self,
        piece: usize,
        x: *const f32,
        dy: ImageOperand,
        room: *mut u8,
        sum: *mut f32,
    ) {
        let noted = &self.noted;
        let (image, y) = (piece / self.bands, piece % self.bands * self.band);
        let rows = self.band.min(noted.pool.output[0] - y);
        let first_row = y * noted.window_rows();
        let source = x.wrapping_add(image * self.images.source_stride());
        let pixels = if self.images.copied {
            // SAFETY: the image exists, and a copy has room for a band's rows.
            unsafe {
                self.images
                    .copy(source, first_row, noted.pixel_rows(rows), room.cast());
            }
            room.cast_const().cast()
        } else {
            source.wrapping_add(first_row * noted.row_stride)
        };
        let columns = noted.pool.output[1];
        let Spread {
            gradient, places, ..
        } = dy.of_image(&noted.pool, image);
        let at = y * noted.pool.row_length();
        noted.isa.dispatch(Piece {
            plan: self,
            pixels,
            windows: &self.windows[..rows * columns],
            gradient: gradient.wrapping_add(at),
            places: places.wrapping_add(at),
            list: room.wrapping_add(self.slot_parts()[0]).cast(),
            sum,
        });
    }

    fn sum_chunks(
        &self,
        pool: &Pool,
        sums: Shared<f32>,
        dw: Target,
        room: &(dyn Fn(usize) -> *mut u8 + Sync),
        epilogue: Epilogue,
    ) {
        let (filters, taps, block) = (self.noted.shape.filters, self.noted.taps(), self.sum_rows());
        self.sharing.run(pool, taps.div_ceil(block), &|slot, task| {
            let row_start = task * block;
            let row_end = (row_start + block).min(taps);
            let tile_start = dw.at(slot, row_start, filters);
            let sum: *mut f32 = room(slot).cast();
            self.noted.isa.dispatch(SumOfParts {
                parts: sums.get().wrapping_add(row_start),
                count: self.chunks,
                part_stride: self.part_stride(),
                c: sum,
                rows: filters,
                columns: row_end - row_start,
                row_stride: taps,
                c_stride: block,
            });
            // SAFETY: the room has a block, and the tile the rows.
            unsafe {
                transpose(
                    self.noted.isa,
                    (sum, block),
                    (tile_start, filters),
                    filters,
                    row_end - row_start,
                );
            }
            if let Some(epilogue) = epilogue {
                let tile = Tile {
                    row_start,
                    row_end,
                    column_start: 0,
                    column_end: filters,
                };
                epilogue(tile, tile_start);
            }
        });
    }
}

/// What a band of an image gives to all filters.
struct Piece<'a> {
    plan: &'a NotedWeightGradient,
    pixels: *const f32,
    windows: &'a [u32],
    gradient: *const f32,
    places: *const u8,
    list: *mut Entry,
    sum: *mut f32,
}

impl WithSimd for Piece<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let noted = &self.plan.noted;
        let (filters, taps) = (noted.shape.filters, noted.taps());
        for filter in 0..filters {
            let mut count = 0;
            for (window, &offset) in self.windows.iter().enumerate() {
                let at = window * filters + filter;
                // SAFETY: gradient and places have an element for every window and filter; the list has room for all windows.
                unsafe {
                    let place = usize::from(*self.places.wrapping_add(at));
                    let value = *self.gradient.wrapping_add(at);
                    let offset = offset + noted.places[place];
                    self.list.add(count).write(Entry { offset, value });
                    count += usize::from(value != 0.0);
                }
            }
            if count == 0 {
                continue;
            }
            // SAFETY: so many entries were written.
            let entries = unsafe { std::slice::from_raw_parts(self.list, count) };
            for part in &self.plan.parts {
                let call = Gather {
                    entries,
                    from: self
                        .pixels
                        .wrapping_add(part.row * noted.tap_stride() + part.column),
                    from_stride: noted.tap_stride(),
                    to: self
                        .sum
                        .wrapping_add(filter * taps + part.row * noted.run + part.column),
                    to_stride: noted.run,
                    rows: part.rows,
                    columns: part.columns,
                };
                // SAFETY: the windows lie in the image, and the sum has a row for each filter.
                unsafe { gather(simd, call) };
            }
        }
    }
}
