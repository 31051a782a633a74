//! Average pooling.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::Pool2d;
use crate::kernels::lanes::{for_each_vector, load, store};
use crate::simd::Isa;

/// Averages over windows, for the output rows `rows` (counted through all images: row `y` of image `i` is `i * output height + y`).
///
/// `source` holds the images from the first on, [images, height, width, channels]; `destination` the rows, [rows, output width,
/// channels]. Padding does not count: the sum is divided by the number of elements that are in the image, as TensorFlow does; the
/// mean of an empty window is NaN.
///
/// # Panics
/// If the slices do not hold these rows.
pub fn average_pool(
    isa: Isa,
    pool: &Pool2d,
    source: &[f32],
    rows: Range<usize>,
    destination: &mut [f32],
) {
    pool.check_rows(source.len(), &rows, destination.len());
    isa.dispatch(Average {
        pool,
        source,
        rows,
        destination,
    });
}

/// The gradient of [`average_pool`] of whole images: from `gradient` [images, output height, output width, channels] to `destination`
/// [images, height, width, channels].
///
/// # Panics
/// If the slices do not hold equally many whole images.
pub fn average_pool_gradient(isa: Isa, pool: &Pool2d, gradient: &[f32], destination: &mut [f32]) {
    destination.fill(0.0);
    if pool.input_length() == 0 || pool.output_length() == 0 {
        return;
    }
    let images = destination.len() / pool.input_length();
    assert_eq!(
        destination.len(),
        images * pool.input_length(),
        "whole images"
    );
    assert_eq!(
        gradient.len(),
        images * pool.output_length(),
        "as many images"
    );
    isa.dispatch(AverageGradient {
        pool,
        images,
        gradient,
        destination,
    });
}

struct Average<'a> {
    pool: &'a Pool2d,
    source: &'a [f32],
    rows: Range<usize>,
    destination: &'a mut [f32],
}

impl WithSimd for Average<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let pool = self.pool;
        let channels = pool.channels;
        let destination = self.destination.as_mut_ptr();
        pool.for_each_row(
            self.rows,
            #[inline(always)]
            |image, y, row| {
                let ys = pool.window(0, y);
                for x in 0..pool.output[1] {
                    let xs = pool.window(1, x);
                    let count = simd.splat_f32s(ys.len() as f32 * xs.len() as f32);
                    for_each_vector(
                        simd,
                        channels,
                        #[inline(always)]
                        |channel, lanes| {
                            let mut sum = simd.splat_f32s(0.0);
                            for y in ys.clone() {
                                for x in xs.clone() {
                                    let offset =
                                        image + (y * pool.input[1] + x) * channels + channel;
                                    // SAFETY: windows lie in the image, which `check_rows` found in the source.
                                    let value = unsafe {
                                        load(simd, self.source.as_ptr().add(offset), lanes)
                                    };
                                    sum = simd.add_f32s(sum, value);
                                }
                            }
                            let offset = row + x * channels + channel;
                            // SAFETY: the offset is in the row, which `check_rows` found in the destination.
                            unsafe {
                                store(
                                    simd,
                                    destination.add(offset),
                                    lanes,
                                    simd.div_f32s(sum, count),
                                )
                            };
                        },
                    );
                }
            },
        );
    }
}

struct AverageGradient<'a> {
    pool: &'a Pool2d,
    images: usize,
    gradient: &'a [f32],
    destination: &'a mut [f32],
}

impl WithSimd for AverageGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let pool = self.pool;
        let channels = pool.channels;
        let destination = self.destination.as_mut_ptr();
        pool.for_each_row(
            0..self.images * pool.output[0],
            #[inline(always)]
            |image, y, row| {
                let ys = pool.window(0, y);
                for x in 0..pool.output[1] {
                    let xs = pool.window(1, x);
                    let count = simd.splat_f32s(ys.len().max(1) as f32 * xs.len().max(1) as f32);
                    for_each_vector(
                        simd,
                        channels,
                        #[inline(always)]
                        |channel, lanes| {
                            let offset = row + x * channels + channel;
                            // SAFETY: the offset is in the row, whose image the caller found in the gradient.
                            let value =
                                unsafe { load(simd, self.gradient.as_ptr().add(offset), lanes) };
                            let value = simd.div_f32s(value, count);
                            for y in ys.clone() {
                                for x in xs.clone() {
                                    let offset =
                                        image + (y * pool.input[1] + x) * channels + channel;
                                    // SAFETY: windows lie in the image, which the caller found in the destination.
                                    unsafe {
                                        let place = destination.add(offset);
                                        let sum = simd.add_f32s(load(simd, place, lanes), value);
                                        store(simd, place, lanes, sum);
                                    }
                                }
                            }
                        },
                    );
                }
            },
        );
    }
}
