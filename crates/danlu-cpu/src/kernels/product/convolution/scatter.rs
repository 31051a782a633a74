//! The gradient of a convolution by its input, window by window: `dY W^T` gives what each window sends to each of its taps and
//! channels, which is then added where the window lies. Against a correlation of the padded gradient it computes no zeros, of
//! strides and of borders, and its columns are taps and channels together, which fill vectors where channels alone are few.
//!
//! An image is computed by one task, its windows in order: so its bits depend on the image and the shape alone.

use pulp::{Simd, WithSimd};

use super::super::block::{BLayout, Contraction};
use super::super::kernel;
use super::super::panels::{Panel, Steps, pack_panel, packed_width, panels, piece_length};
use super::super::{Epilogue, ImageOperand, Shared, Sharing, Target, Tile, scratch_for};
use super::shape::Convolution2dShape;
use crate::kernels::lanes::{for_each_vector, load, store};
use crate::kernels::pooling::{Pool2d, spread_rows};
use crate::simd::Isa;
use crate::threads::Pool;

/// The gradient by the input, planned.
#[derive(Debug)]
pub(super) struct ScatterPlan {
    isa: Isa,
    shape: Convolution2dShape,
    output: [usize; 2],
    /// Windows of a band, as offsets in `dY`.
    rows: Vec<isize>,
    steps: Steps,
    weight_steps: Steps,
    panels: Vec<Panel>,
    /// Rows of windows that are multiplied at once.
    band: usize,
    pooled: Option<Pool2d>,
    sharing: Sharing,
}

/// Elements of the product of a band, about.
const BAND_ELEMENTS: usize = 12 * 1024;
/// What adding a vector costs, in vector multiply-adds.
const ADDING_COST: usize = 6;

impl ScatterPlan {
    /// Whether this is the better way: by vector multiply-adds, as [`Correlation`](super::correlation::Correlation) needs them and
    /// as they are needed here.
    pub fn pays(isa: Isa, shape: &Convolution2dShape) -> bool {
        let lanes = isa.lanes();
        let output = shape.output_size();
        let taps = shape.taps();
        let windows = output[0] * output[1];
        if shape.groups != 1 || shape.is_depthwise() || windows == 0 {
            return false;
        }
        let columns = (taps * shape.channels).div_ceil(lanes);
        let here = windows * columns * (shape.filters + ADDING_COST);
        let pixels = shape.height * shape.width;
        let there = pixels * taps * shape.filters * shape.channels.div_ceil(lanes);
        here < there
    }

    pub fn new(
        isa: Isa,
        shape: Convolution2dShape,
        threads: usize,
        pooled: Option<Pool2d>,
    ) -> ScatterPlan {
        let output = shape.output_size();
        let columns = shape.taps() * shape.channels;
        let panels = panels(isa.lanes(), columns, kernel::widest_panel(isa.lanes()));
        let row = output[1] * packed_width(&panels);
        let band = (BAND_ELEMENTS / row.max(1)).clamp(1, output[0].max(1));
        let band = output[0].div_ceil(output[0].div_ceil(band).max(1)).max(1);
        let windows = shape.batch * output[0] * output[1];
        let bytes = 4 * (windows * (shape.filters + 2 * columns));
        ScatterPlan {
            isa,
            output,
            rows: (0..band * output[1])
                .map(|window| (window * shape.filters) as isize)
                .collect(),
            steps: Steps::linear(1, piece_length(shape.filters).min(shape.filters)),
            weight_steps: Steps::linear(1, 0),
            panels,
            band,
            pooled,
            sharing: Sharing::new(threads, shape.flops(), bytes),
            shape,
        }
    }

    /// The packed weights, in elements.
    fn packed_size(&self) -> usize {
        scratch_for(packed_width(&self.panels) * self.shape.filters) / size_of::<f32>()
    }

    /// One thread's product of a band, in elements.
    fn product_size(&self) -> usize {
        scratch_for(self.rows.len() * packed_width(&self.panels)) / size_of::<f32>()
    }

    /// One thread's band of a gradient that is spread, in elements.
    fn spread_size(&self) -> usize {
        match self.pooled {
            Some(_) => scratch_for(self.rows.len() * self.shape.filters) / size_of::<f32>(),
            None => 0,
        }
    }

    pub fn scratch_bytes(&self) -> usize {
        let own = self.product_size() + self.spread_size();
        (self.packed_size() + own * self.sharing.threads) * size_of::<f32>()
    }

    /// Elements of a tile: an image.
    pub fn tile_elements(&self) -> usize {
        self.shape.height * self.shape.width * self.shape.channels
    }

    /// # Safety
    /// As [`ConvolutionInputGradientPlan::run`](super::ConvolutionInputGradientPlan::run).
    pub unsafe fn run(
        &self,
        pool: &Pool,
        dy: ImageOperand,
        weights: *const f32,
        dx: Target,
        scratch: *mut u8,
        epilogue: Epilogue,
    ) {
        let packed = Shared(scratch.cast::<f32>());
        self.pack(pool, Shared::new(weights), packed);
        let own = Shared(packed.get().wrapping_add(self.packed_size()));
        let pixels = self.shape.height * self.shape.width;
        self.sharing.run(pool, self.shape.batch, &|slot, image| {
            let room = own
                .get()
                .wrapping_add(slot * (self.product_size() + self.spread_size()));
            let image_start = dx.at(slot, image * pixels, self.shape.channels);
            // SAFETY: the image is this task's own, the room its slot's.
            unsafe {
                image_start.write_bytes(0, self.tile_elements());
                for y in (0..self.output[0]).step_by(self.band) {
                    let band = self.band.min(self.output[0] - y);
                    self.run_band(dy, packed.get(), image, y..y + band, room, image_start);
                }
            }
            if let Some(epilogue) = epilogue {
                let tile = Tile {
                    row_start: image * pixels,
                    row_end: (image + 1) * pixels,
                    column_start: 0,
                    column_end: self.shape.channels,
                };
                epilogue(tile, image_start);
            }
        });
    }

    fn pack(&self, pool: &Pool, weights: Shared<f32>, packed: Shared<f32>) {
        let filters = self.shape.filters;
        self.sharing.run(pool, self.panels.len(), &|_, index| {
            let panel = &self.panels[index];
            // SAFETY: the weights exist, and the packed copy has room in the scratch.
            unsafe {
                pack_panel(
                    self.isa,
                    weights.get(),
                    &self.weight_steps,
                    filters as isize,
                    (0, filters),
                    panel,
                    packed.get().add(filters * panel.packed_start),
                );
            }
        });
    }

    /// Multiplies some rows of an image's windows, and adds the products to the image's gradient.
    unsafe fn run_band(
        &self,
        dy: ImageOperand,
        packed: *const f32,
        image: usize,
        ys: std::ops::Range<usize>,
        room: *mut f32,
        image_start: *mut f32,
    ) {
        let filters = self.shape.filters;
        let width = self.output[1] * filters;
        let gradient = match &self.pooled {
            None => dy
                .values
                .wrapping_add((image * self.output[0] + ys.start) * width),
            Some(pool) => {
                let spread = dy.of_image(pool, image);
                let to = room.wrapping_add(self.product_size());
                // SAFETY: the caller vouches for the gradient; the room holds a band.
                unsafe { spread_rows(self.isa, spread, ys.clone(), to, width) };
                to.cast_const()
            }
        };
        let stride = packed_width(&self.panels);
        self.isa.dispatch(Contraction {
            a: gradient,
            rows: &self.rows[..ys.len() * self.output[1]],
            steps: &self.steps,
            from: 0,
            to: filters,
            piece: piece_length(filters),
            b: packed,
            b_layout: BLayout::Packed {
                k: filters,
                first: 0,
            },
            panels: &self.panels,
            c: room,
            c_stride: stride,
            accumulate: false,
            diagonal: false,
            zones: &[],
        });
        self.isa.dispatch(AddWindows {
            shape: &self.shape,
            ys,
            columns: self.output[1],
            products: room,
            product_stride: stride,
            image: image_start,
        });
    }
}

/// Adds what windows send to an image.
struct AddWindows<'a> {
    shape: &'a Convolution2dShape,
    ys: std::ops::Range<usize>,
    /// Windows of a row.
    columns: usize,
    products: *const f32,
    product_stride: usize,
    image: *mut f32,
}

impl WithSimd for AddWindows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let shape = self.shape;
        let [height, width] = shape.kernel;
        let channels = shape.channels;
        // Windows that overlap at other alignments do not follow each other: a load that meets a part of a store which is
        // still on its way waits for it.
        let shift = channels * shape.stride[1];
        let phases = if shift.is_multiple_of(S::F32_LANES) {
            1
        } else {
            (((width - 1) * shape.dilation[1] + 1).div_ceil(shape.stride[1]) + 1).min(self.columns)
        };
        let first_row = self.ys.start;
        for (phase, y) in (0..phases).flat_map(|phase| self.ys.clone().map(move |y| (phase, y))) {
            for x in (phase..self.columns).step_by(phases) {
                let window = (y - first_row) * self.columns + x;
                let products = self.products.wrapping_add(window * self.product_stride);
                let left = x * shape.stride[1];
                let before = shape.padding[1][0];
                for v in 0..height {
                    let position = y * shape.stride[0] + v * shape.dilation[0];
                    let row = position.wrapping_sub(shape.padding[0][0]);
                    if row >= shape.height {
                        continue;
                    }
                    let row = self.image.wrapping_add(row * shape.width * channels);
                    let products = products.wrapping_add(v * width * channels);
                    if shape.dilation[1] == 1 {
                        // The taps of a row lie side by side.
                        let first = before.saturating_sub(left).min(width);
                        let end = (shape.width + before).saturating_sub(left).min(width);
                        if first < end {
                            let from = products.wrapping_add(first * channels);
                            let to = row.wrapping_add((left + first - before) * channels);
                            // SAFETY: products and image have these elements.
                            unsafe { add(simd, from, to, (end - first) * channels) };
                        }
                        continue;
                    }
                    for u in 0..width {
                        let column = (left + u * shape.dilation[1]).wrapping_sub(before);
                        if column < shape.width {
                            let from = products.wrapping_add(u * channels);
                            // SAFETY: as above.
                            unsafe {
                                add(simd, from, row.wrapping_add(column * channels), channels)
                            };
                        }
                    }
                }
            }
        }
    }
}

/// # Safety
/// `from` is readable and `to` writable for `count` elements.
#[inline(always)]
unsafe fn add<S: Simd>(simd: S, from: *const f32, to: *mut f32, count: usize) {
    for_each_vector(
        simd,
        count,
        #[inline(always)]
        |offset, lanes| {
            // SAFETY: the caller's promise.
            unsafe {
                let to = to.add(offset);
                let sum = simd.add_f32s(load(simd, to, lanes), load(simd, from.add(offset), lanes));
                store(simd, to, lanes, sum);
            }
        },
    );
}
