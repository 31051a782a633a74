//! Any elements of a spread gradient: what is done to it element by element may make them where it needs them.

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::Pool2d;
use crate::kernels::lanes::{first_lanes, load, store};
use crate::simd::Isa;

/// The elements `range` of the gradient by images of a max-pooling, from `gradient`, that by its result, and `places`, where the largest
/// element of each window stands. For poolings that [have places](Pool2d::has_places).
///
/// # Safety
/// Gradient and places are readable for the pooling of all images that the range lies in, the destination is writable for it.
pub unsafe fn spread_elements(
    isa: Isa,
    pool: &Pool2d,
    gradient: *const f32,
    places: *const u8,
    range: Range<usize>,
    destination: *mut f32,
) {
    isa.dispatch(SpreadElements {
        pool,
        gradient,
        places,
        range,
        destination,
    });
}

struct SpreadElements<'a> {
    pool: &'a Pool2d,
    gradient: *const f32,
    places: *const u8,
    range: Range<usize>,
    destination: *mut f32,
}

/// Most lanes of a vector.
const MOST_LANES: usize = 16;

/// The window along an axis that a position lies in, and where in it; nothing between windows.
#[inline(always)]
fn window(pool: &Pool2d, axis: usize, position: usize) -> Option<(usize, usize)> {
    let position = position + pool.padding[axis][0];
    let (window, within) = (position / pool.stride[axis], position % pool.stride[axis]);
    (window < pool.output[axis] && within < pool.kernel[axis]).then_some((window, within))
}

impl WithSimd for SpreadElements<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let pool = self.pool;
        let [height, width] = pool.input;
        let channels = pool.channels;
        let pixel = self.range.start / channels;
        let (mut x, row) = (pixel % width, pixel / width);
        let (mut y, mut image) = (row % height, row / height);
        let mut channel = self.range.start % channels;
        let mut done = 0;
        let mut vertical = window(pool, 0, y);
        while done < self.range.len() {
            let count = (channels - channel).min(self.range.len() - done);
            let to = self.destination.wrapping_add(done);
            match (vertical, window(pool, 1, x)) {
                (Some((row, dy)), Some((column, dx))) => {
                    let at = (row * pool.output[1] + column) * channels + channel;
                    let at = at + image * pool.output_length();
                    let own = (dy * pool.kernel[1] + dx) as u32;
                    // SAFETY: the window exists; the destination has these elements.
                    unsafe { self.pixel(simd, at, own, count, to) };
                }
                // SAFETY: as above.
                _ => unsafe { to.write_bytes(0, count) },
            }
            done += count;
            channel = 0;
            x += 1;
            if x == width {
                (x, y) = (0, y + 1);
                if y == height {
                    (y, image) = (0, image + 1);
                }
                vertical = window(pool, 0, y);
            }
        }
    }
}

impl SpreadElements<'_> {
    /// Elements whose windows begin at `at` in the gradient: what has the place `own`, elsewhere 0.
    ///
    /// # Safety
    /// Gradient and places are readable and `to` is writable for `count` elements.
    #[inline(always)]
    unsafe fn pixel<S: Simd>(&self, simd: S, at: usize, own: u32, count: usize, to: *mut f32) {
        let own = simd.splat_u32s(own);
        let zero = simd.splat_f32s(0.0);
        let mut offset = 0;
        while offset < count {
            let left = count - offset;
            let lanes = (left < S::F32_LANES).then(|| first_lanes(simd, left));
            let from = self.places.wrapping_add(at + offset);
            let mut wide = [0_u32; MOST_LANES];
            // SAFETY: the caller's promise.
            unsafe {
                if lanes.is_none() {
                    for (lane, value) in wide[..S::F32_LANES].iter_mut().enumerate() {
                        *value = u32::from(*from.add(lane));
                    }
                } else {
                    for (lane, value) in wide[..left].iter_mut().enumerate() {
                        *value = u32::from(*from.add(lane));
                    }
                }
                let place = wide.as_ptr().cast::<S::u32s>().read_unaligned();
                let value = load(simd, self.gradient.wrapping_add(at + offset), lanes);
                let here = simd.equal_u32s(place, own);
                let part = simd.select_f32s(here, value, zero);
                store(simd, to.wrapping_add(offset), lanes, part);
            }
            offset += S::F32_LANES;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Spread, spread_rows};
    use super::*;

    #[test]
    fn any_range_is_what_whole_rows_have() {
        let uniform = danlu_graph::operations::random::uniform_at;
        for (kernel, stride, padding, channels) in [
            (2, 2, 0, 16),
            (2, 3, 1, 5),
            (3, 3, 1, 33),
            (1, 1, 0, 8),
            (2, 2, 0, 1),
        ] {
            let input = [9, 7];
            let output = input.map(|size| (size + 2 * padding - kernel) / stride + 1);
            let pool = Pool2d {
                input,
                output,
                channels,
                kernel: [kernel; 2],
                stride: [stride; 2],
                padding: [[padding; 2]; 2],
            };
            let images = 2;
            let count = images * pool.output_length();
            let number = |index: usize| uniform([8, 1], 0, 0, index as u64);
            let gradient: Vec<f32> = (0..count).map(|i| number(i) - 0.5).collect();
            let area = (kernel * kernel) as f32;
            let places: Vec<u8> = (0..count)
                .map(|i| (number(i + count) * area) as u8)
                .collect();
            let size = images * pool.input_length();
            for isa in Isa::available() {
                let mut whole = vec![f32::NAN; size];
                for image in 0..images {
                    let at = image * pool.output_length();
                    let spread = Spread {
                        pool: &pool,
                        gradient: gradient[at..].as_ptr(),
                        places: places[at..].as_ptr(),
                    };
                    let to = whole[image * pool.input_length()..].as_mut_ptr();
                    // SAFETY: the vectors hold whole images.
                    unsafe { spread_rows(isa, spread, 0..input[0], to, input[1] * channels) };
                }
                for (start, end) in [
                    (0, size),
                    (3, 40),
                    (size / 2 - 9, size / 2 + 20),
                    (size - 1, size),
                ] {
                    let (start, end) = (start.min(size), end.min(size));
                    let mut found = vec![f32::NAN; end - start];
                    let to = found.as_mut_ptr();
                    let (gradient, places) = (gradient.as_ptr(), places.as_ptr());
                    // SAFETY: as above.
                    unsafe { spread_elements(isa, &pool, gradient, places, start..end, to) };
                    assert_eq!(
                        found,
                        whole[start..end],
                        "{isa}, window {kernel}, channels {channels}"
                    );
                }
            }
        }
    }
}
