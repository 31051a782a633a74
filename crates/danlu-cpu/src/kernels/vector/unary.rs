//! Functions of one f32 vector.

use danlu_graph::operations::UnaryKind;
use pulp::{Simd, WithSimd};

use crate::kernels::lanes::{self, load, store, truth};
use crate::kernels::math;
use crate::simd::Isa;

/// `destination[i] = kind(source[i])`.
///
/// Of truth values ([`UnaryKind::Not`], [`UnaryKind::IsFinite`]) the result is 1 or 0 as f32; see [`super::not`] and
/// [`super::is_finite`] for those that give bytes.
///
/// # Panics
/// If the lengths differ.
pub fn unary(isa: Isa, kind: UnaryKind, source: &[f32], destination: &mut [f32]) {
    assert_eq!(source.len(), destination.len(), "an operand's length");
    // SAFETY: both slices have the length given.
    unsafe {
        unary_raw(
            isa,
            kind,
            source.as_ptr(),
            destination.as_mut_ptr(),
            source.len(),
        )
    }
}

/// `data[i] = kind(data[i])`.
pub fn unary_in_place(isa: Isa, kind: UnaryKind, data: &mut [f32]) {
    let (pointer, length) = (data.as_mut_ptr(), data.len());
    // SAFETY: the source is the destination, which has the length given.
    unsafe { unary_raw(isa, kind, pointer, pointer, length) }
}

/// As [`unary`], by pointer.
///
/// # Safety
/// `source` and `destination` must be readable and writable for `length` elements, and either the same or not overlapping.
pub unsafe fn unary_raw(
    isa: Isa,
    kind: UnaryKind,
    source: *const f32,
    destination: *mut f32,
    length: usize,
) {
    isa.dispatch(Unary {
        kind,
        source,
        destination,
        length,
    });
}

struct Unary {
    kind: UnaryKind,
    source: *const f32,
    destination: *mut f32,
    length: usize,
}

impl WithSimd for Unary {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        each_unary(simd, self.kind, Whole { simd, run: self });
    }
}

/// A loop that applies a function of one vector.
pub(super) trait UnaryLoop<S: Simd> {
    /// Runs it.
    fn each(self, function: impl Fn(S::f32s) -> S::f32s);
}

/// Runs a loop with the function of a kind.
#[inline(always)]
pub(super) fn each_unary<S: Simd>(simd: S, kind: UnaryKind, body: impl UnaryLoop<S>) {
    let one = simd.splat_f32s(1.0);
    let zero = simd.splat_f32s(0.0);
    match kind {
        UnaryKind::Negate => body.each(
            #[inline(always)]
            |x| simd.neg_f32s(x),
        ),
        UnaryKind::Abs => body.each(
            #[inline(always)]
            |x| simd.abs_f32s(x),
        ),
        UnaryKind::Sign => body.each(
            #[inline(always)]
            |x| lanes::sign(simd, x),
        ),
        UnaryKind::Exp => body.each(
            #[inline(always)]
            |x| math::exp(simd, x),
        ),
        UnaryKind::Expm1 => body.each(
            #[inline(always)]
            |x| math::expm1(simd, x),
        ),
        UnaryKind::Log => body.each(
            #[inline(always)]
            |x| math::log(simd, x),
        ),
        UnaryKind::Log1p => body.each(
            #[inline(always)]
            |x| math::log1p(simd, x),
        ),
        UnaryKind::Sqrt => body.each(
            #[inline(always)]
            |x| simd.sqrt_f32s(x),
        ),
        UnaryKind::Square => body.each(
            #[inline(always)]
            |x| simd.mul_f32s(x, x),
        ),
        UnaryKind::Reciprocal => body.each(
            #[inline(always)]
            |x| simd.div_f32s(one, x),
        ),
        UnaryKind::Tanh => body.each(
            #[inline(always)]
            |x| math::tanh(simd, x),
        ),
        UnaryKind::Sigmoid => body.each(
            #[inline(always)]
            |x| math::sigmoid(simd, x),
        ),
        UnaryKind::Relu => body.each(
            #[inline(always)]
            |x| lanes::relu(simd, x),
        ),
        UnaryKind::FlushTiny => body.each(
            #[inline(always)]
            |x| lanes::flush_tiny(simd, x),
        ),
        UnaryKind::Sin => body.each(
            #[inline(always)]
            |x| math::sin(simd, x),
        ),
        UnaryKind::Cos => body.each(
            #[inline(always)]
            |x| math::cos(simd, x),
        ),
        UnaryKind::Erf => body.each(
            #[inline(always)]
            |x| math::erf(simd, x),
        ),
        UnaryKind::Floor => body.each(
            #[inline(always)]
            |x| lanes::floor(simd, x),
        ),
        UnaryKind::Ceil => body.each(
            #[inline(always)]
            |x| lanes::ceil(simd, x),
        ),
        UnaryKind::Round => body.each(
            #[inline(always)]
            |x| lanes::round(simd, x),
        ),
        UnaryKind::Not => body.each(
            #[inline(always)]
            |x| truth(simd, simd.equal_f32s(x, zero)),
        ),
        UnaryKind::IsFinite => body.each(
            #[inline(always)]
            |x| {
                let infinity = simd.splat_f32s(f32::INFINITY);
                truth(simd, simd.less_than_f32s(simd.abs_f32s(x), infinity))
            },
        ),
    }
}

struct Whole<S> {
    simd: S,
    run: Unary,
}

impl<S: Simd> UnaryLoop<S> for Whole<S> {
    #[inline(always)]
    fn each(self, function: impl Fn(S::f32s) -> S::f32s) {
        let (simd, run) = (self.simd, self.run);
        lanes::for_each_vector(
            simd,
            run.length,
            #[inline(always)]
            |offset, lanes| {
                // SAFETY: the pointers hold `length` elements, and the loop asks for vectors within them; each vector is read
                // before it is written.
                unsafe {
                    let x = load(simd, run.source.add(offset), lanes);
                    store(simd, run.destination.add(offset), lanes, function(x));
                }
            },
        );
    }
}
