//! Reading some arrays side by side and writing some of them in place, with next to no arithmetic: how fast memory is.

use pulp::{Simd, WithSimd};

use super::lanes::{Lanes, for_each_vector, load, store};
use crate::simd::Isa;

/// Arrays at most.
pub const MOST_STREAMS: usize = 8;

/// Adds a sum of all arrays, times a tiny number, to the first `written` ones.
///
/// # Safety
/// There are from 1 to [`MOST_STREAMS`] arrays, each readable and writable for `length` elements, and none overlaps another.
pub unsafe fn read_and_write(isa: Isa, arrays: &[*mut f32], written: usize, length: usize) {
    match arrays.len() {
        1 => isa.dispatch(Run::<1>::new(arrays, written, length)),
        2 => isa.dispatch(Run::<2>::new(arrays, written, length)),
        3 => isa.dispatch(Run::<3>::new(arrays, written, length)),
        4 => isa.dispatch(Run::<4>::new(arrays, written, length)),
        5 => isa.dispatch(Run::<5>::new(arrays, written, length)),
        6 => isa.dispatch(Run::<6>::new(arrays, written, length)),
        7 => isa.dispatch(Run::<7>::new(arrays, written, length)),
        _ => isa.dispatch(Run::<8>::new(arrays, written, length)),
    }
}

struct Run<const COUNT: usize> {
    arrays: [*mut f32; COUNT],
    written: usize,
    length: usize,
}

impl<const COUNT: usize> Run<COUNT> {
    fn new(arrays: &[*mut f32], written: usize, length: usize) -> Run<COUNT> {
        Run {
            arrays: std::array::from_fn(|place| arrays[place]),
            written,
            length,
        }
    }
}

impl<const COUNT: usize> WithSimd for Run<COUNT> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let tiny = simd.splat_f32s(1e-10);
        for_each_vector(
            simd,
            self.length,
            #[inline(always)]
            |offset, lanes: Lanes<S>| {
                let mut values = [tiny; COUNT];
                for (value, array) in values.iter_mut().zip(self.arrays) {
                    // SAFETY: the caller vouches for the arrays; the lanes leave out what lies beyond.
                    *value = unsafe { load(simd, array.wrapping_add(offset), lanes) };
                }
                let sum = values
                    .into_iter()
                    .fold(tiny, |sum, value| simd.add_f32s(sum, value));
                let change = simd.mul_f32s(sum, tiny);
                // A count that the compiler knows, so that all values stay in registers.
                for (place, (value, array)) in values.into_iter().zip(self.arrays).enumerate() {
                    if place < self.written {
                        let value = simd.add_f32s(value, change);
                        // SAFETY: as above.
                        unsafe { store(simd, array.wrapping_add(offset), lanes, value) };
                    }
                }
            },
        );
    }
}
