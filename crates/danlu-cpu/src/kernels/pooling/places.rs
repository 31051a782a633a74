//! Max pooling that notes in a byte where each largest element stands, and the gradient made from these notes: neither needs the
//! pooled values again. For windows that do not overlap.
//!
//! A place counts the elements of a whole window, row by row, also those that padding cuts off.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::Pool2d;
use crate::kernels::lanes::{first_lanes, is_nan, load, named, store};
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
    /// For each channel what is added to the source before negative sums become 0 (`max(x + bias, 0)`, NaN staying NaN); null if the
    /// source is pooled as it is.
    pub bias: *const f32,
}

impl Pool2d {
    /// Whether [`max_pool_places`] and [`spread_rows`] take windows like these: no input is in two of them, and a byte can say
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
        let pool = self.call.pool;
        let [height, width] = pool.kernel;
        for (index, y) in self.rows.enumerate() {
            let ys = pool.window(0, y);
            let dy = (ys.start + pool.padding[0][0]).saturating_sub(y * pool.stride[0]);
            for x in 0..pool.output[1] {
                let xs = pool.window(1, x);
                let dx = (xs.start + pool.padding[1][0]).saturating_sub(x * pool.stride[1]);
                let corner = ((ys.start - self.call.first_row.min(ys.start)) * pool.input[1]
                    + xs.start)
                    * pool.channels;
                let window = Window {
                    source: self.call.source.wrapping_add(corner),
                    row: pool.input[1] * pool.channels,
                    channels: pool.channels,
                    first: dy * width + dx,
                    width,
                    bias: self.call.bias,
                };
                let target = (index * pool.output[1] + x) * pool.channels;
                let target = Pooled {
                    values: self.call.destination.wrapping_add(target),
                    places: if self.call.places.is_null() {
                        self.call.places
                    } else {
                        self.call.places.wrapping_add(target)
                    },
                };
                // SAFETY: the window lies in the rows, and the target in the result, that the caller vouches for.
                unsafe {
                    let usual = [ys.len(), xs.len()] == [2, 2] && [height, width] == [2, 2];
                    let size = [ys.len(), xs.len()];
                    match (usual, window.bias.is_null()) {
                        (true, true) => pool_window::<S, false>(simd, window, [2, 2], target),
                        (true, false) => pool_window::<S, true>(simd, window, [2, 2], target),
                        (false, true) => pool_window::<S, false>(simd, window, size, target),
                        (false, false) => pool_window::<S, true>(simd, window, size, target),
                    }
                }
            }
        }
    }
}

/// The part of a window that lies in the image.
#[derive(Clone, Copy)]
struct Window {
    /// Channel 0 of its first element.
    source: *const f32,
    /// Elements from one row of the image to the next.
    row: usize,
    channels: usize,
    /// The place of the first element, and places of a row.
    first: usize,
    width: usize,
    /// Of channel 0, as in [`PoolRows`].
    bias: *const f32,
}

/// Where the largest elements of a window go, and their places, if anybody wants them.
#[derive(Clone, Copy)]
struct Pooled {
    values: *mut f32,
    places: *mut u8,
}

/// The largest element of a window for each lane, and its place: `first` plus `row_places` for each row and 1 for each column. NaN always
/// is the largest; of equals the first. With `BIAS`, of `max(element + bias, 0)`.
#[inline(always)]
pub(crate) fn largest<S: Simd, const BIAS: bool>(
    simd: S,
    [height, width]: [usize; 2],
    element: impl Fn(usize, usize) -> S::f32s,
    bias: S::f32s,
    (first, row_places): (usize, usize),
) -> (S::f32s, S::u32s) {
    let zero = simd.splat_f32s(0.0);
    let sum_at = named(
        #[inline(always)]
        |y: usize, x: usize| {
            let value = element(y, x);
            if BIAS {
                simd.add_f32s(value, bias)
            } else {
                value
            }
        },
    );
    let own = named(
        #[inline(always)]
        |y: usize, x: usize| simd.splat_u32s((first + y * row_places + x) as u32),
    );
    let (mut best, mut place) = (simd.splat_f32s(f32::NEG_INFINITY), simd.splat_u32s(0));
    let mut total = zero;
    for y in 0..height {
        for x in 0..width {
            let value = sum_at(y, x);
            if y == 0 && x == 0 {
                (best, place, total) = (value, own(0, 0), value);
            } else {
                let take = simd.greater_than_f32s(value, best);
                best = simd.select_f32s(take, value, best);
                place = simd.select_u32s(take, own(y, x), place);
                total = simd.add_f32s(total, value);
            }
        }
    }
    if BIAS {
        // Where no sum is positive all become 0, of which the first is taken.
        let none = simd.less_than_or_equal_f32s(best, zero);
        best = simd.select_f32s(none, zero, best);
        place = simd.select_u32s(none, own(0, 0), place);
    }
    // A NaN makes the total one; so do opposite infinities, for which the slow way is right too.
    let plain = simd.equal_f32s(total, total);
    if simd.first_true_m32s(simd.not_m32s(plain)) < S::F32_LANES {
        (best, place) = (simd.splat_f32s(f32::NEG_INFINITY), simd.splat_u32s(0));
        for y in 0..height {
            for x in 0..width {
                let mut value = sum_at(y, x);
                if BIAS {
                    let none = simd.less_than_or_equal_f32s(value, zero);
                    value = simd.select_f32s(none, zero, value);
                }
                // A NaN is taken unless one was before; no number is greater than it.
                let first_nan = simd.and_m32s(is_nan(simd, value), simd.equal_f32s(best, best));
                let take = simd.or_m32s(simd.greater_than_f32s(value, best), first_nan);
                best = simd.select_f32s(take, value, best);
                place = simd.select_u32s(take, own(y, x), place);
            }
        }
    }
    (best, place)
}

/// Writes the first `count` places as bytes.
///
/// # Safety
/// `to` is writable for them.
#[inline(always)]
pub(crate) unsafe fn store_places<S: Simd>(place: S::u32s, to: *mut u8, count: usize) {
    let mut wide = [0_u32; MOST_LANES];
    // SAFETY: the buffer holds a vector; the caller vouches for `to`.
    unsafe {
        wide.as_mut_ptr().cast::<S::u32s>().write_unaligned(place);
        if count == S::F32_LANES {
            for (lane, &value) in wide[..S::F32_LANES].iter().enumerate() {
                *to.add(lane) = value as u8;
            }
        } else {
            for (lane, &value) in wide[..count].iter().enumerate() {
                *to.add(lane) = value as u8;
            }
        }
    }
}

/// Pools one window, all channels.
///
/// # Safety
/// The window is readable for `height` rows of `width` elements; the target is writable for a pixel.
#[inline(always)]
unsafe fn pool_window<S: Simd, const BIAS: bool>(
    simd: S,
    window: Window,
    size: [usize; 2],
    target: Pooled,
) {
    let mut channel = 0;
    while channel < window.channels {
        let left = window.channels - channel;
        let lanes = (left < S::F32_LANES).then(|| first_lanes(simd, left));
        let bias = if BIAS {
            // SAFETY: the caller vouches for the window.
            unsafe { load(simd, window.bias.wrapping_add(channel), lanes) }
        } else {
            simd.splat_f32s(0.0)
        };
        let element = named(
            #[inline(always)]
            |y: usize, x: usize| {
                let offset = y * window.row + x * window.channels + channel;
                // SAFETY: as above.
                unsafe { load(simd, window.source.wrapping_add(offset), lanes) }
            },
        );
        let numbers = (window.first, window.width);
        let (best, place) = largest::<S, BIAS>(simd, size, element, bias, numbers);
        // SAFETY: the caller vouches for the target.
        unsafe {
            store(simd, target.values.wrapping_add(channel), lanes, best);
            if !target.places.is_null() {
                let to = target.places.wrapping_add(channel);
                store_places::<S>(place, to, left.min(S::F32_LANES));
            }
        }
        channel += S::F32_LANES;
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
            if !within {
                // SAFETY: the caller vouches for the destination's rows.
                unsafe { to.write_bytes(0, pool.input[1] * channels) };
                continue;
            }
            let (mut x, mut column, mut first) = (0, 0, pool.padding[1][0]);
            if first >= pool.stride[1] {
                (column, first) = (first / pool.stride[1], first % pool.stride[1]);
            }
            while x < pool.input[1] {
                // The columns up to the next window.
                let count = (pool.stride[1] - first).min(pool.input[1] - x);
                if column >= pool.output[1] {
                    let rest = pool.input[1] - x;
                    // SAFETY: as above.
                    unsafe {
                        to.wrapping_add(x * channels)
                            .write_bytes(0, rest * channels)
                    };
                    break;
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
                (column, first) = (column + 1, 0);
            }
        }
    }
}
