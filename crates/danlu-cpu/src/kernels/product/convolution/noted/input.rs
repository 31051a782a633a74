//! The gradient by the images: each noted element adds its filter's weights where its pixels are. Elements of a window of the pooling that have the
//! same place add up in registers first.

use pulp::{Simd, WithSimd};

use super::super::super::transpose::transpose;
use super::super::super::{
    Epilogue, ImageOperand, Room, Shared, Sharing, Target, Tile, scratch_for,
};
use super::super::image::Images;
use super::super::shape::Convolution2dShape;
use super::{Entry, Gather, Noted, Part, gather};
use crate::kernels::pooling::{Pool2d, Spread};
use crate::simd::Isa;
use crate::threads::Pool;

/// Weights that stay in the first-level cache, and elements of the gradient whose lists are made together.
const WEIGHT_ELEMENTS: usize = 6144;
const LIST_ENTRIES: usize = 4096;
/// Filters that are turned together.
const FILTERS: usize = 16;

#[derive(Debug)]
pub struct NotedInputGradient {
    noted: Noted,
    images: Images,
    parts: Vec<Part>,
    /// Rows of windows of the pooling whose lists are made together.
    band: usize,
    sharing: Sharing,
}

impl NotedInputGradient {
    /// `None` where it does not suit or not pay.
    pub fn new(
        isa: Isa,
        shape: &Convolution2dShape,
        pool: &Pool2d,
        threads: usize,
    ) -> Option<NotedInputGradient> {
        let images = shape.images();
        let area = pool.kernel[0] * pool.kernel[1];
        let flushes = area as f64 / shape.filters.max(1) as f64;
        let noted = Noted::new(isa, shape, pool, images.row_stride(), flushes)?;
        let [rows, columns] = pool.output;
        // Tasks are whole images.
        if rows * columns == 0 || shape.batch < 2 || shape.height * shape.width == 0 {
            return None;
        }
        let band = (LIST_ENTRIES / (columns * shape.filters)).clamp(1, rows);
        let vectors = WEIGHT_ELEMENTS / (shape.filters * isa.lanes());
        let entries = shape.batch * rows * columns * shape.filters;
        let pixels = shape.batch * images.source_stride();
        Some(NotedInputGradient {
            parts: noted.parts(vectors.clamp(1, noted.most_vectors())),
            images,
            band,
            sharing: Sharing::new(threads, 2 * entries * noted.taps(), 4 * (entries + pixels)),
            noted,
        })
    }

    /// The turned weights.
    pub fn packed_bytes(&self) -> usize {
        scratch_for(self.noted.taps() * self.noted.shape.filters)
    }

    /// A thread's padded image, the lengths of its lists, and these.
    fn slot_parts(&self) -> [usize; 3] {
        let image = if self.images.copied {
            scratch_for(self.padded_rows() * self.noted.row_stride)
        } else {
            0
        };
        let pool = &self.noted.pool;
        let lists = self.band * pool.output[1] * pool.kernel[0] * pool.kernel[1];
        [
            image,
            scratch_for(lists),
            scratch_for(2 * lists * self.noted.shape.filters),
        ]
    }

    fn slot_bytes(&self) -> usize {
        self.slot_parts().iter().sum()
    }

    pub fn scratch_bytes(&self) -> usize {
        self.packed_bytes() + self.slot_bytes() * self.sharing.threads
    }

    fn padded_rows(&self) -> usize {
        self.noted.pixel_rows(self.noted.pool.output[0])
    }

    /// One image.
    pub fn tile_elements(&self) -> usize {
        self.images.source_stride()
    }

    /// # Safety
    /// As [`super::super::ConvolutionInputGradientPlan::run`].
    pub unsafe fn run(
        &self,
        pool: &Pool,
        dy: ImageOperand,
        weights: *const f32,
        dx: Target,
        room: Room,
        epilogue: Epilogue,
    ) {
        let noted = &self.noted;
        let Convolution2dShape {
            height,
            width,
            channels,
            filters,
            batch,
            ..
        } = noted.shape;
        let taps = noted.taps();
        let (packed, pack, rooms) = room.split(self.packed_bytes());
        let (weights, rooms) = (Shared::new(weights), Shared(rooms));
        if pack {
            self.sharing
                .run(pool, filters.div_ceil(FILTERS), &|_, task| {
                    let first = task * FILTERS;
                    // SAFETY: the weights are `[taps, filters]`, and the turned ones as many.
                    unsafe {
                        transpose(
                            noted.isa,
                            (weights.get().add(first), filters),
                            (packed.get().add(first * taps), taps),
                            taps,
                            FILTERS.min(filters - first),
                        );
                    }
                });
        }
        let [image_bytes, count_bytes, _] = self.slot_parts();
        self.sharing.run(pool, batch, &|slot, image| {
            let room = rooms.get().wrapping_add(slot * self.slot_bytes());
            let rows = image * height * width..(image + 1) * height * width;
            let tile_start = dx.at(slot, rows.start, channels);
            let (pixels, count) = if self.images.copied {
                (room.cast(), self.padded_rows() * noted.row_stride)
            } else {
                (tile_start, self.images.source_stride())
            };
            // SAFETY: there is room for an image, padded or not.
            unsafe { pixels.write_bytes(0, count) };
            noted.isa.dispatch(Image {
                plan: self,
                spread: dy.of_image(&noted.pool, image),
                weights: packed.get(),
                counts: room.wrapping_add(image_bytes).cast(),
                lists: room.wrapping_add(image_bytes + count_bytes).cast(),
                pixels,
            });
            if self.images.copied {
                // SAFETY: as above.
                unsafe { self.cut_out(pixels, tile_start) };
            }
            if let Some(epilogue) = epilogue {
                let tile = Tile {
                    row_start: rows.start,
                    row_end: rows.end,
                    column_start: 0,
                    column_end: channels,
                };
                epilogue(tile, tile_start);
            }
        });
    }

    /// Copies an image out of its padded form; what no window reached is zero.
    ///
    /// # Safety
    /// The padded image is readable, the other writable.
    unsafe fn cut_out(&self, padded: *const f32, to: *mut f32) {
        let images = &self.images;
        let [height, width] = images.size;
        let channels = images.channels;
        let [top, left] = images.origin.map(|origin| origin.max(0) as usize);
        let count = width.min(images.reach.saturating_sub(left)) * channels;
        for y in 0..height {
            let to = to.wrapping_add(y * width * channels);
            // SAFETY: the caller's promise.
            unsafe {
                if y + top >= self.padded_rows() {
                    to.write_bytes(0, width * channels);
                    continue;
                }
                let from = padded.add((y + top) * self.noted.row_stride + left * channels);
                std::ptr::copy_nonoverlapping(from, to, count);
                to.add(count).write_bytes(0, width * channels - count);
            }
        }
    }
}

/// What a gradient gives to one image, which is zero before.
struct Image<'a> {
    plan: &'a NotedInputGradient,
    spread: Spread<'a>,
    /// `[filters, taps]`.
    weights: *const f32,
    /// For each window of a band and each place the length of its list, and the lists, each with room for all filters.
    counts: *mut u32,
    lists: *mut Entry,
    pixels: *mut f32,
}

impl WithSimd for Image<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let plan = self.plan;
        let noted = &plan.noted;
        let [rows, columns] = noted.pool.output;
        let area = noted.pool.kernel[0] * noted.pool.kernel[1];
        let filters = noted.shape.filters;
        for first in (0..rows).step_by(plan.band) {
            let windows = plan.band.min(rows - first) * columns;
            for window in 0..windows {
                let at = (first * columns + window) * filters;
                // SAFETY: there is room for the lists of a band; places are less than the area.
                unsafe { self.make_lists(window, at, area) };
            }
            for part in &plan.parts {
                let from = self
                    .weights
                    .wrapping_add(part.row * noted.run + part.column);
                let begin = part.row * noted.tap_stride() + part.column;
                for window in 0..windows {
                    let (y, x) = (first + window / columns, window % columns);
                    let begin =
                        begin + y * noted.window_rows() * noted.row_stride + noted.window(x);
                    for place in 0..area {
                        let list = window * area + place;
                        // SAFETY: the lists were made just now.
                        let entries = unsafe {
                            std::slice::from_raw_parts(
                                self.lists.add(list * filters),
                                *self.counts.add(list) as usize,
                            )
                        };
                        if entries.is_empty() {
                            continue;
                        }
                        let call = Gather {
                            entries,
                            from,
                            from_stride: noted.run,
                            to: self
                                .pixels
                                .wrapping_add(begin + noted.places[place] as usize),
                            to_stride: noted.tap_stride(),
                            rows: part.rows,
                            columns: part.columns,
                        };
                        // SAFETY: the weights have a row for each filter, and windows lie in the image.
                        unsafe { gather(simd, call) };
                    }
                }
            }
        }
    }
}

impl Image<'_> {
    /// Sorts the elements of a window, which begin at `at`, by their places.
    ///
    /// # Safety
    /// There is room for the window's lists, and every place is less than `area`.
    #[inline(always)]
    unsafe fn make_lists(&self, window: usize, at: usize, area: usize) {
        let noted = &self.plan.noted;
        let (filters, taps) = (noted.shape.filters, noted.taps() as u32);
        let counts = self.counts.wrapping_add(window * area);
        let lists = self.lists.wrapping_add(window * area * filters);
        // SAFETY: the caller's promise.
        unsafe {
            counts.write_bytes(0, area);
            let mut offset = 0;
            for filter in at..at + filters {
                let place = usize::from(*self.spread.places.add(filter));
                let value = *self.spread.gradient.add(filter);
                let count = counts.add(place);
                lists
                    .add(place * filters + *count as usize)
                    .write(Entry { offset, value });
                *count += u32::from(value != 0.0);
                offset += taps;
            }
        }
    }
}
