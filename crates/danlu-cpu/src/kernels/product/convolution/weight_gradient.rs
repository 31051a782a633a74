//! The gradient of a convolution by its weights.
//!
//! The rows of the product are the weights of one filter, the columns the filters, and the contraction runs over all windows of all
//! images. A piece of it is some rows of windows of an image, or some small images. Pieces are dealt to a fixed number of chunks; a chunk sums its pieces
//! in order, and the chunks' sums are added in order. All of it depends on the shape alone.

use super::super::block::{BLayout, Contraction, SumOfParts};
use super::super::kernel;
use super::super::panels::{Panel, Steps, panels};
use super::super::{Epilogue, ImageOperand, Room, Shared, Sharing, Target, Tile, scratch_for};
use super::few_channels::FewChannels;
use super::image::Images;
use super::noted::NotedWeightGradient;
use super::shape::{Convolution2dShape, ShapeError};
use crate::kernels::pooling::{Pool2d, spread_rows};
use crate::simd::Isa;
use crate::threads::Pool;

/// `dW`, the gradient by the weights, from the images and `dY`, the gradient by the result; planned.
#[derive(Debug)]
pub struct ConvolutionWeightGradientPlan {
    isa: Isa,
    shape: Convolution2dShape,
    images: Images,
    output: [usize; 2],
    /// One group's weights per filter: taps and channels, as offsets from a window's corner.
    rows: Vec<isize>,
    /// The windows of a piece.
    steps: Steps,
    panels: Vec<Panel>,
    images_per_piece: usize,
    /// Rows of windows that a piece has of each of its images.
    band: usize,
    pieces: usize,
    chunks: usize,
    /// Rows of the product that one task computes.
    row_block: usize,
    sharing: Sharing,
    /// `dY` is the gradient of this pooling, given by what it was spread from.
    pooled: Option<Pool2d>,
    /// The kernel for that, where channels are few.
    few: Option<FewChannels>,
    /// Everything for that, where it pays.
    noted: Option<Box<NotedWeightGradient>>,
}

/// Windows of a piece, about; with few filters so many that the first-level cache holds what each tile reads again.
const PIECE_WINDOWS: usize = 512;
const FEW_FILTERS: usize = 16;
const PIECE_OF_FEW_FILTERS: usize = 256;
/// Elements of a gradient that is spread for a piece, about, and windows of such a piece at least.
const SPREAD_ELEMENTS: usize = 4096;
const LEAST_WINDOWS: usize = 96;
/// Chunks at most, and what their sums may take.
const MOST_CHUNKS: usize = 32;
const CHUNK_BYTES: usize = 8 << 20;

impl ConvolutionWeightGradientPlan {
    /// Plans for a pool of at most `threads` threads (a larger one works, but runs the plan on one thread).
    ///
    /// # Errors
    /// As [`Convolution2dShape::validate`].
    pub fn new(
        isa: Isa,
        shape: Convolution2dShape,
        threads: usize,
    ) -> Result<ConvolutionWeightGradientPlan, ShapeError> {
        ConvolutionWeightGradientPlan::of_pooled(isa, shape, threads, None)
    }

    /// The same for a gradient that comes from a max-pooling of the convolution's result, and is given as that pooling's gradient.
    ///
    /// # Errors
    /// As [`Convolution2dShape::validate`].
    pub fn of_pooled(
        isa: Isa,
        shape: Convolution2dShape,
        threads: usize,
        pooled: Option<Pool2d>,
    ) -> Result<ConvolutionWeightGradientPlan, ShapeError> {
        shape.validate()?;
        let (images, output) = (shape.images(), shape.output_size());
        let windows = output[0] * output[1];
        // A gradient that is spread for a piece should stay in the first-level cache.
        let wanted = match pooled {
            Some(_) => (SPREAD_ELEMENTS / shape.filters.max(1)).clamp(LEAST_WINDOWS, PIECE_WINDOWS),
            None if shape.filters <= FEW_FILTERS => PIECE_OF_FEW_FILTERS,
            None => PIECE_WINDOWS,
        };
        let few = pooled.and_then(|pool| FewChannels::new(isa, &shape, &pool));
        let noted = match (pooled, &few) {
            (Some(pool), None) => NotedWeightGradient::new(isa, &shape, &pool, threads),
            _ => None,
        };
        let (images_per_piece, band) = if few.is_some() {
            (1, output[0])
        } else if windows <= wanted / 2 {
            (wanted / windows.max(1), output[0])
        } else {
            let most = (wanted / output[1].max(1)).max(1);
            (1, output[0].div_ceil(output[0].div_ceil(most)))
        };
        let (images_per_piece, band) = (images_per_piece.min(shape.batch).max(1), band.max(1));
        let pieces = shape.batch.div_ceil(images_per_piece) * output[0].div_ceil(band);
        let pieces = if output[1] == 0 { 0 } else { pieces };

        let row_count = shape.taps() * shape.group_channels();
        let result = row_count * shape.filters;
        let chunks = pieces
            .min(MOST_CHUNKS)
            .min(CHUNK_BYTES / (4 * result.max(1)))
            .min(shape.flops() / 500_000)
            .max(1);
        let row_tasks = match few {
            Some(_) => 1,
            None => 16_usize.div_ceil(chunks).min(row_count.div_ceil(96)).max(1),
        };
        let row_block = row_count.div_ceil(row_tasks).next_multiple_of(12);

        let row_stride = images.row_stride();
        let mut rows = Vec::with_capacity(row_count);
        for y in 0..shape.kernel[0] {
            for x in 0..shape.kernel[1] {
                let tap =
                    y * shape.dilation[0] * row_stride + x * shape.dilation[1] * shape.channels;
                rows.extend((tap..tap + shape.group_channels()).map(|offset| offset as isize));
            }
        }
        let mut plan = ConvolutionWeightGradientPlan {
            isa,
            shape,
            images,
            output,
            rows,
            steps: Steps::Table(Vec::new()),
            panels: if shape.is_depthwise() {
                panels(isa.lanes(), shape.filters, 1)
            } else {
                panels(
                    isa.lanes(),
                    shape.group_filters(),
                    kernel::widest_panel(isa.lanes()),
                )
            },
            images_per_piece,
            band,
            pooled,
            few,
            noted: noted.map(Box::new),
            pieces,
            chunks,
            row_block,
            sharing: Sharing::new(
                threads,
                shape.flops(),
                4 * (shape.batch * (windows * shape.filters + images.source_stride()) + result),
            ),
        };
        plan.steps = plan.window_offsets();
        Ok(plan)
    }

    fn window_offsets(&self) -> Steps {
        let mut offsets = Vec::new();
        let row_stride = self.images.row_stride();
        for image in 0..self.images_per_piece {
            let image = image * self.images.image_stride(self.copied_rows(self.band));
            for y in 0..self.band.min(self.output[0]) {
                for x in 0..self.output[1] {
                    let row = image + y * self.shape.stride[0] * row_stride;
                    offsets.push((row + x * self.shape.stride[1] * self.shape.channels) as isize);
                }
            }
        }
        Steps::Table(offsets)
    }

    /// Multiplications and additions of one run.
    pub fn flops(&self) -> usize {
        self.shape.flops()
    }

    /// Scratch that a run needs.
    pub fn scratch_bytes(&self) -> usize {
        if let Some(noted) = &self.noted {
            return noted.scratch_bytes();
        }
        self.parts_bytes() + self.slot_bytes() * self.sharing.threads
    }

    /// Elements from one chunk's sum to the next.
    fn part_stride(&self) -> usize {
        scratch_for(self.rows.len() * self.shape.filters) / size_of::<f32>()
    }

    fn parts_bytes(&self) -> usize {
        if self.chunks > 1 {
            self.chunks * self.part_stride() * size_of::<f32>()
        } else {
            0
        }
    }

    fn copied_rows(&self, band: usize) -> usize {
        (band.max(1) - 1) * self.shape.stride[0]
            + (self.shape.kernel[0] - 1) * self.shape.dilation[0]
            + 1
    }

    fn slot_bytes(&self) -> usize {
        let copies = if self.images.copied {
            let rows = self.copied_rows(self.band);
            scratch_for(self.images_per_piece * self.images.image_stride(rows))
        } else {
            0
        };
        copies + self.spread_bytes()
    }

    /// One thread's piece of a gradient that is spread.
    fn spread_bytes(&self) -> usize {
        match self.pooled {
            Some(_) if self.few.is_none() => {
                let windows = self.images_per_piece * self.band * self.output[1];
                scratch_for(windows * self.shape.filters)
            }
            _ => 0,
        }
    }

    /// Rows of a tile of the chunks' sum.
    fn sum_rows(&self) -> usize {
        4096_usize.div_ceil(self.shape.filters.max(1))
    }

    /// No part of the scratch may stay.
    pub fn kept_bytes(&self) -> usize {
        0
    }

    /// Elements of the largest tile that an epilogue is given; tiles need not be parts of the whole result.
    pub fn tile_elements(&self) -> Option<usize> {
        if let Some(noted) = &self.noted {
            return Some(noted.tile_elements());
        }
        let rows = if self.chunks == 1 {
            self.row_block
        } else {
            self.sum_rows()
        };
        Some(rows.min(self.rows.len()) * self.shape.filters)
    }

    /// Computes `dw` from the images `x` and `dy`. Tiles are full-width: `[taps * channels / groups, filters]`.
    ///
    /// # Safety
    /// `x` and `dy` must be readable and `dw` writable for their shapes, `room` writable for
    /// [`ConvolutionWeightGradientPlan::scratch_bytes`] and aligned to 64 bytes; `dw` and `room` must overlap nothing else.
    pub unsafe fn run(
        &self,
        pool: &Pool,
        x: *const f32,
        dy: impl Into<ImageOperand>,
        dw: impl Into<Target>,
        room: impl Into<Room>,
        epilogue: Epilogue,
    ) {
        let dw = dw.into();
        let filters = self.shape.filters;
        if self.rows.is_empty() || filters == 0 {
            return;
        }
        let (x, dy) = (Shared::new(x), dy.into());
        let scratch = room.into().scratch;
        if let Some(noted) = &self.noted {
            // SAFETY: passed on from the caller.
            unsafe { noted.run(pool, x.get(), dy, dw, scratch, epilogue) };
            return;
        }
        let parts = Shared(scratch.cast::<f32>());
        let copies = Shared(scratch.wrapping_add(self.parts_bytes()));
        let row_tasks = self.rows.len().div_ceil(self.row_block);
        self.sharing
            .run(pool, self.chunks * row_tasks, &|slot, task| {
                let (chunk, row_task) = (task / row_tasks, task % row_tasks);
                let from = row_task * self.row_block;
                let to = (from + self.row_block).min(self.rows.len());
                let copy = copies.get().wrapping_add(slot * self.slot_bytes()).cast();
                let tile_start = dw.at(slot, from, filters);
                let c = if self.chunks == 1 {
                    tile_start
                } else {
                    let part = parts.get().wrapping_add(chunk * self.part_stride());
                    part.wrapping_add(from * filters)
                };
                // SAFETY: the rows of this chunk's sum (or of the result) and the slot's copy are this task's own.
                unsafe { self.run_chunk(chunk, (from, to), x.get(), dy, copy, c) };
                if self.chunks == 1
                    && let Some(epilogue) = epilogue
                {
                    let tile = Tile {
                        row_start: from,
                        row_end: to,
                        column_start: 0,
                        column_end: filters,
                    };
                    epilogue(tile, tile_start);
                }
            });
        if self.chunks > 1 {
            self.sum_chunks(pool, parts, dw, epilogue);
        }
    }

    /// Some rows of one chunk's sum; `c` is where the first of them goes.
    unsafe fn run_chunk(
        &self,
        chunk: usize,
        (from, to): (usize, usize),
        x: *const f32,
        dy: ImageOperand,
        room: *mut f32,
        c: *mut f32,
    ) {
        let filters = self.shape.filters;
        let first = chunk * self.pieces / self.chunks;
        let end = (chunk + 1) * self.pieces / self.chunks;
        if first == end {
            // SAFETY: the rows are this task's own.
            unsafe { c.write_bytes(0, (to - from) * filters) };
        }
        let depthwise = self.shape.is_depthwise();
        let copy = room.wrapping_add(self.spread_bytes() / size_of::<f32>());
        let bands = self.output[0].div_ceil(self.band);
        for piece in first..end {
            let image = piece / bands * self.images_per_piece;
            let count = self.images_per_piece.min(self.shape.batch - image);
            let y = piece % bands * self.band;
            let band = self.band.min(self.output[0] - y);
            if let (Some(few), Some(pool)) = (&self.few, &self.pooled) {
                let spread = dy.of_image(pool, image);
                let stride = self.images.row_stride();
                // SAFETY: the images exist, the copy is this slot's own, the rows of the sum this task's.
                unsafe {
                    let a = self.prepare(x, copy, image, 1, 0, band);
                    few.run(
                        (a, stride),
                        spread.gradient,
                        spread.places,
                        c,
                        piece > first,
                    );
                }
                continue;
            }
            // SAFETY: the images exist, and the copy is this slot's own.
            let (a, dy) = unsafe {
                (
                    self.prepare(x, copy, image, count, y, band),
                    self.gradient(dy, room, image, count, y, band),
                )
            };
            let length = count * band * self.output[1];
            let groups = if depthwise { 1 } else { self.shape.groups };
            for group in 0..groups {
                let column = group * self.shape.group_filters();
                self.isa.dispatch(Contraction {
                    a: a.wrapping_add(group * self.shape.group_channels()),
                    rows: &self.rows[from..to],
                    steps: &self.steps,
                    from: 0,
                    to: length,
                    piece: length,
                    b: dy.wrapping_add(column),
                    b_layout: BLayout::InPlace { stride: filters },
                    panels: &self.panels,
                    c: c.wrapping_add(column),
                    c_stride: filters,
                    accumulate: piece > first,
                    diagonal: depthwise,
                    zones: &[],
                });
            }
        }
    }

    /// Where a piece's gradient begins, after spreading what must be spread.
    unsafe fn gradient(
        &self,
        dy: ImageOperand,
        room: *mut f32,
        first_image: usize,
        count: usize,
        y: usize,
        band: usize,
    ) -> *const f32 {
        let width = self.output[1] * self.shape.filters;
        let Some(pool) = &self.pooled else {
            let row = first_image * self.output[0] + y;
            return dy.values.wrapping_add(row * width);
        };
        for image in 0..count {
            let spread = dy.of_image(pool, first_image + image);
            let to = room.wrapping_add(image * band * width);
            // SAFETY: the caller vouches for the gradient; the room holds a piece.
            unsafe { spread_rows(self.isa, spread, y..y + band, to, width) };
        }
        room
    }

    /// Where a piece's first window begins, after copying what must be copied.
    unsafe fn prepare(
        &self,
        x: *const f32,
        copy: *mut f32,
        first_image: usize,
        count: usize,
        y: usize,
        band: usize,
    ) -> *const f32 {
        let images = &self.images;
        let first_row = y * self.shape.stride[0];
        let x = x.wrapping_add(first_image * images.source_stride());
        if !images.copied {
            return x.wrapping_add(first_row * images.row_stride());
        }
        let stride = images.image_stride(self.copied_rows(self.band));
        for image in 0..count {
            // SAFETY: passed on; a copy holds as many rows as a full band needs.
            unsafe {
                images.copy(
                    x.add(image * images.source_stride()),
                    first_row,
                    self.copied_rows(band),
                    copy.add(image * stride),
                );
            }
        }
        copy
    }

    fn sum_chunks(&self, pool: &Pool, parts: Shared<f32>, dw: Target, epilogue: Epilogue) {
        let filters = self.shape.filters;
        let rows = self.rows.len();
        let block = self.sum_rows();
        self.sharing.run(pool, rows.div_ceil(block), &|slot, task| {
            let row_start = task * block;
            let row_end = (row_start + block).min(rows);
            let offset = row_start * filters;
            let tile_start = dw.at(slot, row_start, filters);
            self.isa.dispatch(SumOfParts {
                parts: parts.get().wrapping_add(offset),
                count: self.chunks,
                part_stride: self.part_stride(),
                c: tile_start,
                rows: row_end - row_start,
                columns: filters,
                row_stride: filters,
                c_stride: filters,
            });
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
