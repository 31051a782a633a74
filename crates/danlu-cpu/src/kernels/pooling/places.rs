//! Max pooling that notes in a byte where each largest element stands, and the gradient made from these notes: neither needs the
//! pooled values again. For windows that do not overlap.
//!
//! A place counts the elements of a whole window, row by row, also those that padding cuts off.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::Pool2d;
use crate::kernels::lanes::{first_lanes, is_nan, load, store};
use crate::simd::Isa;

/// Most lanes of a vector.
const MOST_LANES: usize = 16;

/// Pools rows of one image, which need not be there as a whole.
#[derive(Clone, Copy)]
pub struct PoolRows<'a> {
    /// The shape of the pooling.
    pub pool: &'a Pool2d,
    /// Where row `first_row` of the image begins.
    pub source: *const f32,
    /// The first row that is there.
    pub first_row: usize,
    /// Where the first of the resulting rows goes.
    pub destination: *mut f32,
    /// Where its places go; null if nobody wants them.
    pub places: *mut u8,
}

impl Pool2d {
    /// Whether [`max_pool_places`] and [`spread_row`] take windows like these: no input is in two of them, and a byte can say
    /// where in one an element stands.
    pub fn has_places(&self) -> bool {
        self.is_disjoint() && self.kernel[0] * self.kernel[1] <= 256
    }
}

/// The largest of each window, and its place, for the output rows `rows` of an image. NaN always is the largest; of equals the
/// first; an empty window gives -infinity.
///
/// # Safety
/// The source is readable for all input rows that the windows of `rows` cover; destination and places are writable for `rows`.
pub unsafe fn max_pool_places(isa: Isa, rows: Range<usize>, call: PoolRows) {
    isa.dispatch(Places { rows, call });
}

struct Places<'a> {
    rows: Range<usize>,
    call: PoolRows<'a>,
}

impl WithSimd for Places<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let PoolRows {
            pool,
            source,
            first_row,
            destination,
            places,
        } = self.call;
        let channels = pool.channels;
        let lowest = simd.splat_f32s(f32::NEG_INFINITY);
        for (index, y) in self.rows.enumerate() {
            let ys = pool.window(0, y);
            let first_y = (y * pool.stride[0]).max(pool.padding[0][0]) - y * pool.stride[0];
            for x in 0..pool.output[1] {
                let xs = pool.window(1, x);
                let first_x = (x * pool.stride[1]).max(pool.padding[1][0]) - x * pool.stride[1];
                let target = (index * pool.output[1] + x) * channels;
                let mut channel = 0;
                while channel < channels {
                    let left = channels - channel;
                    let lanes = (left < S::F32_LANES).then(|| first_lanes(simd, left));
                    let (mut best, mut place) = (lowest, simd.splat_u32s(0));
                    for (dy, y) in ys.clone().enumerate() {
                        for (dx, x) in xs.clone().enumerate() {
                            let offset = ((y - first_row) * pool.input[1] + x) * channels + channel;
                            // SAFETY: the window lies in the rows that the caller vouches for.
                            let value = unsafe { load(simd, source.wrapping_add(offset), lanes) };
                            // A NaN is taken unless one was before; no number is greater than it.
                            let first_nan =
                                simd.and_m32s(is_nan(simd, value), simd.equal_f32s(best, best));
                            let take = simd.or_m32s(simd.greater_than_f32s(value, best), first_nan);
                            let own = (first_y + dy) * pool.kernel[1] + first_x + dx;
                            best = simd.select_f32s(take, value, best);
                            place = simd.select_u32s(take, simd.splat_u32s(own as u32), place);
                        }
                    }
                    // SAFETY: the caller vouches for the result's rows; the buffer holds a vector.
                    unsafe {
                        store(
                            simd,
                            destination.wrapping_add(target + channel),
                            lanes,
                            best,
                        );
                        if !places.is_null() {
                            let mut wide = [0_u32; MOST_LANES];
                            wide.as_mut_ptr().cast::<S::u32s>().write_unaligned(place);
                            let to = places.wrapping_add(target + channel);
                            if lanes.is_none() {
                                for (lane, &value) in wide[..S::F32_LANES].iter().enumerate() {
                                    *to.add(lane) = value as u8;
                                }
                            } else {
                                for (lane, &value) in wide[..left].iter().enumerate() {
                                    *to.add(lane) = value as u8;
                                }
                            }
                        }
                    }
                    channel += S::F32_LANES;
                }
            }
        }
    }
}

/// The gradient by an image, from that by its pooling and the places.
#[derive(Clone, Copy)]
pub struct Spread<'a> {
    /// The shape of the pooling.
    pub pool: &'a Pool2d,
    /// The gradient by the pooling of the image.
    pub gradient: *const f32,
    /// Its places.
    pub places: *const u8,
}

/// Rows `rows` of the gradient by an image, one after the other in `destination`, `destination_stride` elements apart.
///
/// # Safety
/// Gradient and places are readable for the pooling of a whole image; the destination is writable for the rows.
pub unsafe fn spread_rows(
    isa: Isa,
    spread: Spread,
    rows: Range<usize>,
    destination: *mut f32,
    destination_stride: usize,
) {
    isa.dispatch(SpreadRows {
        spread,
        rows,
        destination,
        destination_stride,
    });
}

struct SpreadRows<'a> {
    spread: Spread<'a>,
    rows: Range<usize>,
    destination: *mut f32,
    destination_stride: usize,
}

impl WithSimd for SpreadRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Spread {
            pool,
            gradient,
            places,
        } = self.spread;
        let channels = pool.channels;
        let zero = simd.splat_f32s(0.0);
        for (index, row) in self.rows.enumerate() {
            let to = self
                .destination
                .wrapping_add(index * self.destination_stride);
            let position = row + pool.padding[0][0];
            let (y, dy) = (position / pool.stride[0], position % pool.stride[0]);
            let within = y < pool.output[0] && dy < pool.kernel[0];
            let mut x = 0;
            while x < pool.input[1] {
                let position = x + pool.padding[1][0];
                let (column, first) = (position / pool.stride[1], position % pool.stride[1]);
                // The columns up to the next window.
                let count = (pool.stride[1] - first).min(pool.input[1] - x);
                if !within || column >= pool.output[1] {
                    // SAFETY: the caller vouches for the destination's rows.
                    unsafe {
                        to.wrapping_add(x * channels)
                            .write_bytes(0, count * channels)
                    };
                    x += count;
                    continue;
                }
                let source = (y * pool.output[1] + column) * channels;
                let mut channel = 0;
                while channel < channels {
                    let left = channels - channel;
                    let lanes = (left < S::F32_LANES).then(|| first_lanes(simd, left));
                    let mut wide = [0_u32; MOST_LANES];
                    // SAFETY: the caller vouches for gradient and places.
                    let (value, place) = unsafe {
                        let from = places.wrapping_add(source + channel);
                        if lanes.is_none() {
                            for (lane, value) in wide[..S::F32_LANES].iter_mut().enumerate() {
                                *value = u32::from(*from.add(lane));
                            }
                        } else {
                            for (lane, value) in wide[..left].iter_mut().enumerate() {
                                *value = u32::from(*from.add(lane));
                            }
                        }
                        (
                            load(simd, gradient.wrapping_add(source + channel), lanes),
                            wide.as_ptr().cast::<S::u32s>().read_unaligned(),
                        )
                    };
                    for dx in first..first + count {
                        // Columns between windows have a place that no window has.
                        let own = if dx < pool.kernel[1] {
                            (dy * pool.kernel[1] + dx) as u32
                        } else {
                            u32::MAX
                        };
                        let here = simd.equal_u32s(place, simd.splat_u32s(own));
                        let part = simd.select_f32s(here, value, zero);
                        let target = (x + dx - first) * channels + channel;
                        // SAFETY: the caller vouches for the destination's rows.
                        unsafe { store(simd, to.wrapping_add(target), lanes, part) };
                    }
                    channel += S::F32_LANES;
                }
                x += count;
            }
        }
    }
}
