//! The convolution itself.

use super::super::panels::Steps;
use super::super::{Epilogue, PoolInto, Room, Target};
use super::correlation::{Correlation, Geometry, Weights};
use super::image::Images;
use super::shape::{Convolution2dShape, ShapeError};
use crate::kernels::pooling::Pool2d;
use crate::simd::Isa;
use crate::threads::Pool;

/// `Y[b, y, x, f] = sum over taps (v, u) and channels c of X[b, y * stride + v * dilation - padding, ..., c] * W[v, u, c, f]`, planned.
#[derive(Debug)]
pub struct ConvolutionForwardPlan {
    shape: Convolution2dShape,
    correlation: Correlation,
}

/// How a convolution is used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Use {
    /// The max-pooling that follows on the result, if one does: then tiles hold whole windows of it.
    pub followed: Option<Pool2d>,
    /// Whether the weights are the same in every run.
    pub steady: bool,
    /// Whether what follows on a tile wants its rows whole.
    pub whole_rows: bool,
}

impl Convolution2dShape {
    /// The images as windows see them.
    pub(super) fn images(&self) -> Images {
        let output = self.output_size();
        let reach = std::array::from_fn(|axis| {
            (output[axis].max(1) - 1) * self.stride[axis]
                + (self.kernel[axis] - 1) * self.dilation[axis]
                + 1
        });
        let origin = self.padding.map(|[before, _]| before as isize);
        Images::new(
            [self.height, self.width],
            self.channels,
            [1, 1],
            origin,
            reach,
        )
    }
}

impl ConvolutionForwardPlan {
    /// Plans for a pool of at most `threads` threads (a larger one works, but runs the plan on one thread).
    ///
    /// # Errors
    /// As [`Convolution2dShape::validate`].
    pub fn new(
        isa: Isa,
        shape: Convolution2dShape,
        threads: usize,
    ) -> Result<ConvolutionForwardPlan, ShapeError> {
        ConvolutionForwardPlan::used_as(isa, shape, threads, Use::default())
    }

    /// The same, for what is known of its use.
    ///
    /// # Errors
    /// As [`Convolution2dShape::validate`].
    pub fn used_as(
        isa: Isa,
        shape: Convolution2dShape,
        threads: usize,
        usage: Use,
    ) -> Result<ConvolutionForwardPlan, ShapeError> {
        shape.validate()?;
        let depthwise = shape.is_depthwise();
        let geometry = Geometry {
            batch: shape.batch,
            images: shape.images(),
            output: shape.output_size(),
            columns: if depthwise {
                shape.filters
            } else {
                shape.group_filters()
            },
            groups: if depthwise { 1 } else { shape.groups },
            depthwise,
            kernel: shape.kernel,
            stride: shape.stride,
            dilation: shape.dilation,
            pooled: None,
            followed: usage.followed,
            steady: usage.steady,
            whole_rows: usage.whole_rows,
        };
        let weights = Weights {
            steps: Steps::linear(shape.filters as isize, 0),
            in_place: Some(shape.filters),
            column_stride: 1,
            group_stride: shape.group_filters(),
        };
        Ok(ConvolutionForwardPlan {
            shape,
            correlation: Correlation::new(isa, geometry, weights, threads),
        })
    }

    /// Multiplications and additions of one run.
    pub fn flops(&self) -> usize {
        self.shape.flops()
    }

    /// Scratch that a run needs.
    pub fn scratch_bytes(&self) -> usize {
        self.correlation.scratch_bytes()
    }

    /// How many bytes of the scratch hold packed weights, which may stay for runs with the same weights.
    pub fn kept_bytes(&self) -> usize {
        self.correlation.packed_bytes()
    }

    /// Elements of the largest tile that an epilogue is given; tiles need not be parts of the whole result.
    pub fn tile_elements(&self) -> Option<usize> {
        Some(self.correlation.tile_elements())
    }

    /// How many tiles an epilogue is given, if they are of whole rows.
    pub fn tiles(&self) -> usize {
        self.correlation.tiles()
    }

    /// Which of them begins at a row of the result, `[batch * output height * output width, filters]`.
    pub fn tile_at(&self, row: usize) -> usize {
        self.correlation.tile_at(row)
    }

    /// Computes `y` from the images `x` and the weights. Tiles are of `[batch * output height * output width, filters]`.
    ///
    /// # Safety
    /// `x` and `weights` must be readable and `y` writable for their shapes, `room` writable for
    /// [`ConvolutionForwardPlan::scratch_bytes`] and aligned to 64 bytes; `y` and `room` must overlap nothing else.
    pub unsafe fn run(
        &self,
        pool: &Pool,
        x: *const f32,
        weights: *const f32,
        y: impl Into<Target>,
        room: impl Into<Room>,
        epilogue: Epilogue,
    ) {
        // SAFETY: passed on from the caller.
        unsafe {
            self.correlation
                .run(pool, x.into(), weights, y.into(), room.into(), epilogue);
        }
    }

    /// Whether the plan can pool its result itself: few taps and channels, and windows that it has tiles for.
    pub fn pools(&self) -> bool {
        self.correlation.pools()
    }

    /// Computes the max-pooling that the plan was told of, and nothing else, for a plan that [pools](Self::pools).
    ///
    /// # Safety
    /// As [`ConvolutionForwardPlan::run`]; `into` is writable for the pooling of all images.
    pub unsafe fn run_pooled(
        &self,
        pool: &Pool,
        x: *const f32,
        weights: *const f32,
        into: PoolInto,
        room: impl Into<Room>,
    ) {
        // SAFETY: passed on from the caller.
        unsafe {
            self.correlation
                .run_pooled(pool, x.into(), weights, into, room.into());
        }
    }
}
