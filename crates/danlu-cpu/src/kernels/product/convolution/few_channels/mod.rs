//! The gradient by the weights of a convolution that a max-pooling follows, for few channels, such as grey pictures.
//!
//! Of each window of the pooling only one element got a gradient, at its own place for each filter. The pixels that the window's
//! elements look at are few enough to lie in two vectors, of which each filter takes the one that its place and the tap say. So there
//! is one multiply-add for a window and a tap, where the product over all windows of the convolution has one for each element of the
//! pooling's window. AVX-512 and AVX2 only: the portable set does not choose among elements.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

use super::super::super::pooling::Pool2d;
use super::shape::Convolution2dShape;
use crate::simd::Isa;

/// Most lanes of a vector: filters that are computed together, and elements of a row of pixels.
const MOST_LANES: usize = 16;

/// What the kernel needs to know of the shapes.
#[derive(Clone, Copy, Debug)]
pub(super) struct FewChannels {
    pool: Pool2d,
    filters: usize,
    kernel: [usize; 2],
    channels: usize,
    stride: [usize; 2],
    dilation: [usize; 2],
    isa: Isa,
    /// For each place in a window of the pooling, where its pixels begin: `second_row` for the second row, and on by columns.
    map: [i32; MOST_LANES],
    /// Where the second row of pixels begins behind the first.
    second_row: usize,
    /// Elements of a row of pixels that a window looks at.
    reach: usize,
}

impl FewChannels {
    /// `None` where the shape is another, or the instruction set.
    pub fn new(isa: Isa, shape: &Convolution2dShape, pool: &Pool2d) -> Option<FewChannels> {
        let [height, width] = pool.kernel;
        let reach = ((width - 1) * shape.stride[1] + (shape.kernel[1] - 1) * shape.dilation[1] + 1)
            .checked_mul(shape.channels)?;
        let lanes = isa.lanes();
        let good = matches!(isa, Isa::Avx512 | Isa::Avx2)
            && isa.is_available()
            && shape.groups == 1
            && shape.channels > 0
            && height <= 2
            && height * width <= lanes
            && reach <= lanes
            // Windows of the pooling that are cut off have places beyond the rows.
            && pool.is_whole()
            && pool.has_places();
        // Two short rows fit into one vector of AVX2.
        let second_row = if isa == Isa::Avx2 && reach <= 4 {
            4
        } else {
            lanes
        };
        good.then(|| FewChannels {
            isa,
            second_row,
            pool: *pool,
            filters: shape.filters,
            kernel: shape.kernel,
            channels: shape.channels,
            stride: shape.stride,
            dilation: shape.dilation,
            map: std::array::from_fn(|place| {
                let (y, x) = (place / width.max(1), place % width.max(1));
                (y * second_row + x * shape.stride[1] * shape.channels) as i32
            }),
            reach,
        })
    }

    /// Adds what one image gives to `c` (`[taps * channels, filters]`), or begins with it: `image` is the (padded) image, with
    /// `row_stride` elements from row to row.
    ///
    /// # Safety
    /// The image is readable where windows look, `gradient` and `places` for the pooling of an image, `c` is writable.
    pub unsafe fn run(
        &self,
        (image, row_stride): (*const f32, usize),
        gradient: *const f32,
        places: *const u8,
        c: *mut f32,
        accumulate: bool,
    ) {
        #[cfg(target_arch = "x86_64")]
        {
            let call = Call {
                plan: self,
                image,
                row_stride,
                gradient,
                places,
                c,
                accumulate,
            };
            // SAFETY: `new` made sure of the instruction set; the rest is the caller's promise.
            unsafe {
                match self.isa {
                    Isa::Avx2 => avx2::run(&call),
                    _ => avx512::run(&call),
                }
            };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (image, row_stride, gradient, places, c, accumulate);
    }
}

/// One image's part of the sum.
#[cfg(target_arch = "x86_64")]
struct Call<'a> {
    plan: &'a FewChannels,
    image: *const f32,
    row_stride: usize,
    gradient: *const f32,
    places: *const u8,
    c: *mut f32,
    accumulate: bool,
}
