//! The gradient of a convolution by its images.
//!
//! It is a convolution of stride 1 itself: of the result's gradient, with zeros around it (and, for a stride, between its pixels), with the kernel
//! turned around and its channels and filters exchanged. The weights are copied into that order first.

use super::super::panels::Steps;
use super::super::{Epilogue, ImageOperand, Room, Target};
use super::correlation::{Correlation, Geometry, Weights};
use super::image::Images;
use super::noted::NotedInputGradient;
use super::scatter::ScatterPlan;
use super::shape::{Convolution2dShape, ShapeError};
use crate::kernels::pooling::Pool2d;
use crate::simd::Isa;
use crate::threads::Pool;

/// `dX`, the gradient by the images, from `dY`, the gradient by the result, and the weights; planned.
#[derive(Debug)]
pub struct ConvolutionInputGradientPlan {
    shape: Convolution2dShape,
    method: Method,
}

/// How it is computed: the shape decides.
#[derive(Debug)]
enum Method {
    Correlation(Box<Correlation>),
    Scatter(ScatterPlan),
    Noted(NotedInputGradient),
}

impl ConvolutionInputGradientPlan {
    /// Plans for a pool of at most `threads` threads (a larger one works, but runs the plan on one thread).
    ///
    /// # Errors
    /// As [`Convolution2dShape::validate`].
    pub fn new(
        isa: Isa,
        shape: Convolution2dShape,
        threads: usize,
    ) -> Result<ConvolutionInputGradientPlan, ShapeError> {
        ConvolutionInputGradientPlan::of_pooled(isa, shape, threads, None)
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
    ) -> Result<ConvolutionInputGradientPlan, ShapeError> {
        shape.validate()?;
        if let Some(noted) =
            pooled.and_then(|pool| NotedInputGradient::new(isa, &shape, &pool, threads))
        {
            let method = Method::Noted(noted);
            return Ok(ConvolutionInputGradientPlan { shape, method });
        }
        if ScatterPlan::pays(isa, &shape) {
            let method = Method::Scatter(ScatterPlan::new(isa, shape, threads, pooled));
            return Ok(ConvolutionInputGradientPlan { shape, method });
        }
        let output = [shape.height, shape.width];
        let extent: [usize; 2] =
            std::array::from_fn(|axis| (shape.kernel[axis] - 1) * shape.dilation[axis]);
        let reach = std::array::from_fn(|axis| output[axis].max(1) + extent[axis]);
        let origin =
            std::array::from_fn(|axis| extent[axis] as isize - shape.padding[axis][0] as isize);
        let depthwise = shape.is_depthwise();
        let mut geometry = Geometry {
            batch: shape.batch,
            images: Images::new(
                shape.output_size(),
                shape.filters,
                shape.stride,
                origin,
                reach,
            ),
            output,
            columns: if depthwise {
                shape.channels
            } else {
                shape.group_channels()
            },
            groups: if depthwise { 1 } else { shape.groups },
            depthwise,
            kernel: shape.kernel,
            stride: [1, 1],
            dilation: shape.dilation,
            pooled,
            followed: None,
            steady: false,
            whole_rows: true,
        };
        if pooled.is_some() {
            geometry.images.copied = true;
        }
        let tap = shape.group_channels() * shape.filters;
        let steps = (0..shape.taps())
            .rev()
            .flat_map(|index| {
                (0..shape.group_filters()).map(move |filter| (index * tap + filter) as isize)
            })
            .collect();
        let weights = Weights {
            steps: Steps::Table(steps),
            in_place: None,
            column_stride: if depthwise { 1 } else { shape.filters as isize },
            group_stride: shape.group_filters(),
        };
        Ok(ConvolutionInputGradientPlan {
            shape,
            method: Method::Correlation(Box::new(Correlation::new(
                isa, geometry, weights, threads,
            ))),
        })
    }

    /// Multiplications and additions of one run (those with inserted zeros not counted).
    pub fn flops(&self) -> usize {
        self.shape.flops()
    }

    /// Scratch that a run needs.
    pub fn scratch_bytes(&self) -> usize {
        match &self.method {
            Method::Correlation(correlation) => correlation.scratch_bytes(),
            Method::Scatter(scatter) => scatter.scratch_bytes(),
            Method::Noted(noted) => noted.scratch_bytes(),
        }
    }

    /// How many bytes of the scratch hold packed weights, which may stay for runs with the same weights.
    pub fn kept_bytes(&self) -> usize {
        match &self.method {
            Method::Correlation(correlation) => correlation.packed_bytes(),
            Method::Scatter(_) => 0,
            Method::Noted(noted) => noted.packed_bytes(),
        }
    }

    /// Elements of the largest tile that an epilogue is given; tiles need not be parts of the whole result.
    pub fn tile_elements(&self) -> Option<usize> {
        Some(match &self.method {
            Method::Correlation(correlation) => correlation.tile_elements(),
            Method::Scatter(scatter) => scatter.tile_elements(),
            Method::Noted(noted) => noted.tile_elements(),
        })
    }

    /// How many tiles an epilogue is given.
    pub fn tiles(&self) -> usize {
        match &self.method {
            Method::Correlation(correlation) => correlation.tiles(),
            Method::Scatter(_) | Method::Noted(_) => self.shape.batch,
        }
    }

    /// Which of them begins at a row of the result, `[batch * height * width, channels]`.
    pub fn tile_at(&self, row: usize) -> usize {
        match &self.method {
            Method::Correlation(correlation) => correlation.tile_at(row),
            Method::Scatter(_) | Method::Noted(_) => row / (self.shape.height * self.shape.width),
        }
    }

    /// Computes `dx` from `dy` and the weights. Tiles are full-width: `[batch * height * width, channels]`.
    ///
    /// # Safety
    /// `dy` and `weights` must be readable and `dx` writable for their shapes, `room` writable for
    /// [`ConvolutionInputGradientPlan::scratch_bytes`] and aligned to 64 bytes; `dx` and `room` must overlap nothing else.
    pub unsafe fn run(
        &self,
        pool: &Pool,
        dy: impl Into<ImageOperand>,
        weights: *const f32,
        dx: impl Into<Target>,
        room: impl Into<Room>,
        epilogue: Epilogue,
    ) {
        let (dy, dx, room) = (dy.into(), dx.into(), room.into());
        // SAFETY: passed on from the caller.
        unsafe {
            match &self.method {
                Method::Correlation(correlation) => {
                    correlation.run(pool, dy, weights, dx, room, epilogue);
                }
                Method::Scatter(plan) => plan.run(pool, dy, weights, dx, room.scratch, epilogue),
                Method::Noted(plan) => plan.run(pool, dy, weights, dx, room, epilogue),
            }
        }
    }
}
