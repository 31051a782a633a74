//! Max pooling.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::Pool2d;
use crate::kernels::lanes::{Lanes, for_each_vector, is_nan, load, maximum, store};
use crate::simd::Isa;

/// The largest of each window, for the output rows `rows` (counted through all images: row `y` of image `i` is
/// `i * output height + y`).
///
/// `source` holds the images from the first on, [images, height, width, channels]; `destination` the rows, [rows, output width,
/// channels]. Padding never is the largest; NaN always is; an empty window gives -infinity.
///
/// # Panics
/// If the slices do not hold these rows.
pub fn max_pool(
    isa: Isa,
    pool: &Pool2d,
    source: &[f32],
    rows: Range<usize>,
    destination: &mut [f32],
) {
    pool.check_rows(source.len(), &rows, destination.len());
    isa.dispatch(Max {
        pool,
        source,
        rows,
        destination,
    });
}

/// The gradient of [`max_pool`] of whole images: each element of `gradient` [images, output height, output width, channels] is added
/// where its window of `source` [images, height, width, channels] is largest (NaN being largest; of equals the first, by rows), in
/// `destination`, of the source's shape.
///
/// # Panics
/// If the slices do not hold equally many whole images.
pub fn max_pool_gradient(
    isa: Isa,
    pool: &Pool2d,
    source: &[f32],
    gradient: &[f32],
    destination: &mut [f32],
) {
    assert_eq!(source.len(), destination.len(), "the source's length");
    destination.fill(0.0);
    if pool.input_length() == 0 || pool.output_length() == 0 {
        return;
    }
    let images = source.len() / pool.input_length();
    assert_eq!(source.len(), images * pool.input_length(), "whole images");
    assert_eq!(
        gradient.len(),
        images * pool.output_length(),
        "as many images"
    );
    isa.dispatch(MaxGradient {
        pool,
        images,
        source,
        gradient,
        destination,
    });
}

/// The gradient of [`max_pool_gradient`] in its gradient: for the output rows `rows` (counted as in [`max_pool`]) the element of
/// `values` where the window of `source` is largest. `source` and `values` hold the images from the first on, [images, height,
/// width, channels]; an empty window gives 0.
///
/// # Panics
/// If the slices do not hold these rows.
pub fn max_pool_gather(
    isa: Isa,
    pool: &Pool2d,
    source: &[f32],
    values: &[f32],
    rows: Range<usize>,
    destination: &mut [f32],
) {
    pool.check_rows(source.len(), &rows, destination.len());
    assert_eq!(source.len(), values.len(), "the values' length");
    isa.dispatch(Gather {
        pool,
        source,
        values,
        rows,
        destination,
    });
}

/// Calls `body(offset, index)` for each element of a window: its offset for channel 0, and which of the window it is.
#[inline(always)]
fn for_each_element(
    pool: &Pool2d,
    ys: &Range<usize>,
    xs: &Range<usize>,
    mut body: impl FnMut(usize, u32),
) {
    let mut index = 0;
    for y in ys.clone() {
        let row = y * pool.input[1];
        for x in xs.clone() {
            body((row + x) * pool.channels, index);
            index += 1;
        }
    }
}

/// Which element of the window is the first largest, for the channels at `source`, which points into an image.
///
/// # Safety
/// `source` must be readable for the lanes at the offsets of the window's elements.
#[inline(always)]
unsafe fn argmax<S: Simd>(
    simd: S,
    pool: &Pool2d,
    source: *const f32,
    (ys, xs): (&Range<usize>, &Range<usize>),
    lanes: Lanes<S>,
) -> S::u32s {
    let mut best = simd.splat_f32s(f32::NEG_INFINITY);
    let mut place = simd.splat_u32s(0);
    for_each_element(
        pool,
        ys,
        xs,
        #[inline(always)]
        |offset, index| {
            // SAFETY: as the caller promises.
            let value = unsafe { load(simd, source.add(offset), lanes) };
            // A NaN is taken unless one was before; no number is greater than it.
            let first_nan = simd.and_m32s(is_nan(simd, value), simd.equal_f32s(best, best));
            let take = simd.or_m32s(simd.greater_than_f32s(value, best), first_nan);
            best = simd.select_f32s(take, value, best);
            place = simd.select_u32s(take, simd.splat_u32s(index), place);
        },
    );
    place
}

struct Max<'a> {
    pool: &'a Pool2d,
    source: &'a [f32],
    rows: Range<usize>,
    destination: &'a mut [f32],
}

impl WithSimd for Max<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let pool = self.pool;
        let destination = self.destination.as_mut_ptr();
        pool.for_each_row(
            self.rows,
            #[inline(always)]
            |image, y, row| {
                let ys = pool.window(0, y);
                for x in 0..pool.output[1] {
                    let xs = pool.window(1, x);
                    for_each_vector(
                        simd,
                        pool.channels,
                        #[inline(always)]
                        |channel, lanes| {
                            let source = self.source.as_ptr().wrapping_add(image + channel);
                            let mut best = simd.splat_f32s(f32::NEG_INFINITY);
                            for_each_element(
                                pool,
                                &ys,
                                &xs,
                                #[inline(always)]
                                |offset, _| {
                                    // SAFETY: windows lie in the image, which `check_rows` found in the source.
                                    let value = unsafe { load(simd, source.add(offset), lanes) };
                                    best = maximum(simd, best, value);
                                },
                            );
                            let offset = row + x * pool.channels + channel;
                            // SAFETY: the offset is in the row, which `check_rows` found in the destination.
                            unsafe { store(simd, destination.add(offset), lanes, best) };
                        },
                    );
                }
            },
        );
    }
}

struct MaxGradient<'a> {
    pool: &'a Pool2d,
    images: usize,
    source: &'a [f32],
    gradient: &'a [f32],
    destination: &'a mut [f32],
}

impl WithSimd for MaxGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let pool = self.pool;
        let destination = self.destination.as_mut_ptr();
        let disjoint = pool.is_disjoint();
        let zero = simd.splat_f32s(0.0);
        pool.for_each_row(
            0..self.images * pool.output[0],
            #[inline(always)]
            |image, y, row| {
                let ys = pool.window(0, y);
                for x in 0..pool.output[1] {
                    let xs = pool.window(1, x);
                    for_each_vector(
                        simd,
                        pool.channels,
                        #[inline(always)]
                        |channel, lanes| {
                            let source = self.source.as_ptr().wrapping_add(image + channel);
                            let destination = destination.wrapping_add(image + channel);
                            let offset = row + x * pool.channels + channel;
                            // SAFETY: the window lies in the image and the offset in the gradient of whole images, whose lengths the
                            // caller has checked.
                            let (place, value) = unsafe {
                                let place = argmax(simd, pool, source, (&ys, &xs), lanes);
                                (place, load(simd, self.gradient.as_ptr().add(offset), lanes))
                            };
                            for_each_element(
                                pool,
                                &ys,
                                &xs,
                                #[inline(always)]
                                |offset, index| {
                                    let here = simd.equal_u32s(place, simd.splat_u32s(index));
                                    let part = simd.select_f32s(here, value, zero);
                                    // SAFETY: as above; the destination is as long as the source.
                                    unsafe {
                                        let target = destination.add(offset);
                                        let sum = if disjoint {
                                            part
                                        } else {
                                            simd.add_f32s(load(simd, target, lanes), part)
                                        };
                                        store(simd, target, lanes, sum);
                                    }
                                },
                            );
                        },
                    );
                }
            },
        );
    }
}

struct Gather<'a> {
    pool: &'a Pool2d,
    source: &'a [f32],
    values: &'a [f32],
    rows: Range<usize>,
    destination: &'a mut [f32],
}

impl WithSimd for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let pool = self.pool;
        let destination = self.destination.as_mut_ptr();
        pool.for_each_row(
            self.rows,
            #[inline(always)]
            |image, y, row| {
                let ys = pool.window(0, y);
                for x in 0..pool.output[1] {
                    let xs = pool.window(1, x);
                    for_each_vector(
                        simd,
                        pool.channels,
                        #[inline(always)]
                        |channel, lanes| {
                            let source = self.source.as_ptr().wrapping_add(image + channel);
                            let values = self.values.as_ptr().wrapping_add(image + channel);
                            // SAFETY: windows lie in the image, which `check_rows` found in the source.
                            let place = unsafe { argmax(simd, pool, source, (&ys, &xs), lanes) };
                            let mut result = simd.splat_f32s(0.0);
                            for_each_element(
                                pool,
                                &ys,
                                &xs,
                                #[inline(always)]
                                |offset, index| {
                                    let here = simd.equal_u32s(place, simd.splat_u32s(index));
                                    // SAFETY: as above; the values are as many as the source's elements.
                                    let value = unsafe { load(simd, values.add(offset), lanes) };
                                    result = simd.select_f32s(here, value, result);
                                },
                            );
                            let offset = row + x * pool.channels + channel;
                            // SAFETY: the offset is in the row, which `check_rows` found in the destination.
                            unsafe { store(simd, destination.add(offset), lanes, result) };
                        },
                    );
                }
            },
        );
    }
}
