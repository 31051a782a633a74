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
        let one = simd.splat_f32s(1.0);
        let zero = simd.splat_f32s(0.0);
        match self.kind {
            UnaryKind::Negate => self.map(
                simd,
                #[inline(always)]
                |x| simd.neg_f32s(x),
            ),
            UnaryKind::Abs => self.map(
                simd,
                #[inline(always)]
                |x| simd.abs_f32s(x),
            ),
            UnaryKind::Sign => self.map(
                simd,
                #[inline(always)]
                |x| {
                    let x = simd.select_f32s(simd.greater_than_f32s(x, zero), one, x);
                    let minus_one = simd.splat_f32s(-1.0);
                    simd.select_f32s(simd.less_than_f32s(x, zero), minus_one, x)
                },
            ),
            UnaryKind::Exp => self.map(
                simd,
                #[inline(always)]
                |x| math::exp(simd, x),
            ),
            UnaryKind::Expm1 => self.map(
                simd,
                #[inline(always)]
                |x| math::expm1(simd, x),
            ),
            UnaryKind::Log => self.map(
                simd,
                #[inline(always)]
                |x| math::log(simd, x),
            ),
            UnaryKind::Log1p => self.map(
                simd,
                #[inline(always)]
                |x| math::log1p(simd, x),
            ),
            UnaryKind::Sqrt => self.map(
                simd,
                #[inline(always)]
                |x| simd.sqrt_f32s(x),
            ),
            UnaryKind::Square => self.map(
                simd,
                #[inline(always)]
                |x| simd.mul_f32s(x, x),
            ),
            UnaryKind::Reciprocal => self.map(
                simd,
                #[inline(always)]
                |x| simd.div_f32s(one, x),
            ),
            UnaryKind::Tanh => self.map(
                simd,
                #[inline(always)]
                |x| math::tanh(simd, x),
            ),
            UnaryKind::Sigmoid => self.map(
                simd,
                #[inline(always)]
                |x| math::sigmoid(simd, x),
            ),
            UnaryKind::Relu => self.map(
                simd,
                #[inline(always)]
                |x| simd.select_f32s(simd.less_than_or_equal_f32s(x, zero), zero, x),
            ),
            UnaryKind::Sin => self.map(
                simd,
                #[inline(always)]
                |x| math::sin(simd, x),
            ),
            UnaryKind::Cos => self.map(
                simd,
                #[inline(always)]
                |x| math::cos(simd, x),
            ),
            UnaryKind::Erf => self.map(
                simd,
                #[inline(always)]
                |x| math::erf(simd, x),
            ),
            UnaryKind::Floor => self.map(
                simd,
                #[inline(always)]
                |x| lanes::floor(simd, x),
            ),
            UnaryKind::Ceil => self.map(
                simd,
                #[inline(always)]
                |x| lanes::ceil(simd, x),
            ),
            UnaryKind::Round => self.map(
                simd,
                #[inline(always)]
                |x| lanes::round(simd, x),
            ),
            UnaryKind::Not => self.map(
                simd,
                #[inline(always)]
                |x| truth(simd, simd.equal_f32s(x, zero)),
            ),
            UnaryKind::IsFinite => self.map(
                simd,
                #[inline(always)]
                |x| {
                    let infinity = simd.splat_f32s(f32::INFINITY);
                    truth(simd, simd.less_than_f32s(simd.abs_f32s(x), infinity))
                },
            ),
        }
    }
}

impl Unary {
    #[inline(always)]
    fn map<S: Simd>(&self, simd: S, function: impl Fn(S::f32s) -> S::f32s) {
        lanes::for_each_vector(
            simd,
            self.length,
            #[inline(always)]
            |offset, lanes| {
                // SAFETY: the pointers hold `length` elements, and the loop asks for vectors within them; each vector is read
                // before it is written.
                unsafe {
                    let x = load(simd, self.source.add(offset), lanes);
                    store(simd, self.destination.add(offset), lanes, function(x));
                }
            },
        );
    }
}
