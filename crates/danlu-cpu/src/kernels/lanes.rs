//! Loads and stores of whole and partial vectors, and the small vector functions that `pulp` lacks.

use danlu_graph::operations::TINY;
use pulp::{MemMask, Simd};

/// Which lanes of a vector take part: all of them (`None`) or the first few.
pub type Lanes<S> = Option<MemMask<<S as Simd>::m32s>>;

/// The mask of the first `count` lanes, `count` at most `S::F32_LANES`.
#[inline(always)]
pub fn first_lanes<S: Simd>(simd: S, count: usize) -> MemMask<S::m32s> {
    simd.mask_between_m32s(0, count as u32)
}

/// As [`first_lanes`], for a mask that is kept through a loop: only its bits, since the other form may carry a function to call.
#[inline(always)]
pub fn kept_lanes<S: Simd>(simd: S, count: usize) -> MemMask<S::m32s> {
    MemMask::new(first_lanes(simd, count).mask())
}

/// Reads a vector from `source`; lanes that take no part are 0.
///
/// # Safety
/// The lanes that take part must be readable at `source`.
#[inline(always)]
pub unsafe fn load<S: Simd>(simd: S, source: *const f32, lanes: Lanes<S>) -> S::f32s {
    match lanes {
        // SAFETY: the caller promises a readable vector; f32 vectors are plain data of any bits.
        None => unsafe { source.cast::<S::f32s>().read_unaligned() },
        // SAFETY: only lanes of the mask are read, and the caller promises those.
        Some(mask) => unsafe { simd.mask_load_ptr_f32s(mask, source) },
    }
}

/// Writes the lanes of `value` that take part to `destination`.
///
/// # Safety
/// The lanes that take part must be writable at `destination`.
#[inline(always)]
pub unsafe fn store<S: Simd>(simd: S, destination: *mut f32, lanes: Lanes<S>, value: S::f32s) {
    match lanes {
        // SAFETY: the caller promises a writable vector.
        None => unsafe { destination.cast::<S::f32s>().write_unaligned(value) },
        // SAFETY: only lanes of the mask are written, and the caller promises those.
        Some(mask) => unsafe { simd.mask_store_ptr_f32s(mask, destination, value) },
    }
}

/// Asks for the cache line at an address, which need not be readable.
#[inline(always)]
pub fn prefetch(address: *const f32) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86-64 has the instruction, and it does nothing where nothing can be read.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Calls `body(offset, lanes)` for the vectors that cover `length` elements; only the last can be partial.
#[inline(always)]
pub fn for_each_vector<S: Simd>(simd: S, length: usize, mut body: impl FnMut(usize, Lanes<S>)) {
    let mut offset = 0;
    while offset + S::F32_LANES <= length {
        body(offset, None);
        offset += S::F32_LANES;
    }
    if offset < length {
        body(offset, Some(first_lanes(simd, length - offset)));
    }
}

/// Gives a closure back: a place to write `#[inline(always)]` on one that has a name, so that it is compiled for the instruction
/// set of its caller.
#[inline(always)]
pub fn named<F>(closure: F) -> F {
    closure
}

/// `value` in the lanes that take part, `otherwise` in the others.
#[inline(always)]
pub fn keep<S: Simd>(simd: S, lanes: Lanes<S>, value: S::f32s, otherwise: S::f32s) -> S::f32s {
    match lanes {
        None => value,
        Some(mask) => simd.select_f32s(mask.mask(), value, otherwise),
    }
}

/// Lanes that are NaN.
#[inline(always)]
pub fn is_nan<S: Simd>(simd: S, x: S::f32s) -> S::m32s {
    simd.not_m32s(simd.equal_f32s(x, x))
}

/// The larger, `a` of equals (such as 0 and -0), NaN if either is.
#[inline(always)]
pub fn maximum<S: Simd>(simd: S, a: S::f32s, b: S::f32s) -> S::f32s {
    // A NaN in `a` fails the comparison and is kept; a NaN in `b` is taken after it.
    let larger = simd.select_f32s(simd.greater_than_f32s(b, a), b, a);
    simd.select_f32s(is_nan(simd, b), b, larger)
}

/// The smaller, `a` of equals (such as 0 and -0), NaN if either is.
#[inline(always)]
pub fn minimum<S: Simd>(simd: S, a: S::f32s, b: S::f32s) -> S::f32s {
    let smaller = simd.select_f32s(simd.less_than_f32s(b, a), b, a);
    simd.select_f32s(is_nan(simd, b), b, smaller)
}

/// The magnitude of `magnitude` with the sign of `sign`.
#[inline(always)]
pub fn copy_sign<S: Simd>(simd: S, magnitude: S::f32s, sign: S::f32s) -> S::f32s {
    let sign_bit = simd.splat_f32s(-0.0);
    simd.or_f32s(simd.abs_f32s(magnitude), simd.and_f32s(sign, sign_bit))
}

/// The nearest integer, ties to even; infinities and NaN as they are.
#[inline(always)]
pub fn round<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // Adding 2^23 leaves no bit for a fraction, so the addition rounds, in the processor's mode: nearest, ties to even.
    let shift = copy_sign(simd, simd.splat_f32s(8_388_608.0), x);
    let rounded = simd.sub_f32s(simd.add_f32s(x, shift), shift);
    let has_fraction = simd.less_than_f32s(simd.abs_f32s(x), simd.splat_f32s(8_388_608.0));
    simd.select_f32s(has_fraction, copy_sign(simd, rounded, x), x)
}

/// The largest integer not above; infinities and NaN as they are.
#[inline(always)]
pub fn floor<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let rounded = round(simd, x);
    let below = simd.sub_f32s(rounded, simd.splat_f32s(1.0));
    simd.select_f32s(simd.greater_than_f32s(rounded, x), below, rounded)
}

/// The smallest integer not below; infinities and NaN as they are.
#[inline(always)]
pub fn ceil<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    simd.neg_f32s(floor(simd, simd.neg_f32s(x)))
}

/// 1 above 0, -1 below; zeros and NaN as they are.
#[inline(always)]
pub fn sign<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    let above = simd.select_f32s(simd.greater_than_f32s(x, zero), simd.splat_f32s(1.0), x);
    simd.select_f32s(
        simd.less_than_f32s(above, zero),
        simd.splat_f32s(-1.0),
        above,
    )
}

/// `x` above 0, elsewhere 0; NaN, which fails the comparison, stays.
#[inline(always)]
pub fn relu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    simd.select_f32s(simd.less_than_or_equal_f32s(x, zero), zero, x)
}

/// `x`, but 0 where `|x|` is below [`TINY`]; NaN, which fails the comparison, stays.
#[inline(always)]
pub fn flush_tiny<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let least = simd.splat_f32s(TINY);
    let tiny = simd.less_than_f32s(simd.abs_f32s(x), least);
    simd.select_f32s(tiny, simd.splat_f32s(0.0), x)
}

/// 1 where the mask is set, 0 elsewhere.
#[inline(always)]
pub fn truth<S: Simd>(simd: S, mask: S::m32s) -> S::f32s {
    simd.select_f32s(mask, simd.splat_f32s(1.0), simd.splat_f32s(0.0))
}
