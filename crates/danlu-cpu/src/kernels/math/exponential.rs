//! The exponential function and what is made of it.

use pulp::Simd;

use crate::kernels::lanes::copy_sign;
use crate::simd::multiply_add;

// ln 2 in two parts, the first with so few bits that its product with an exponent is exact: Cephes, single/expf.c.
const LN2_HIGH: f32 = 0.693_359_4;
const LN2_LOW: f32 = -2.121_944_4e-4;
// 1.5 * 2^23: adding it leaves the nearest integer in the low bits.
const TO_INTEGER: f32 = 12_582_912.0;

/// `x = n ln 2 + r` with whole `n` and |r| at most about 0.35: `n` in two's complement, and `r`; |x| at most 110.
#[inline(always)]
fn reduce<S: Simd>(simd: S, x: S::f32s) -> (S::u32s, S::f32s) {
    let magic = simd.splat_f32s(TO_INTEGER);
    let shifted = multiply_add(simd, x, simd.splat_f32s(std::f32::consts::LOG2_E), magic);
    let n = simd.sub_f32s(shifted, magic);
    let r = multiply_add(simd, n, simd.splat_f32s(-LN2_HIGH), x);
    let r = multiply_add(simd, n, simd.splat_f32s(-LN2_LOW), r);
    let bits = simd.transmute_u32s_f32s(shifted);
    (
        simd.sub_u32s(bits, simd.splat_u32s(TO_INTEGER.to_bits())),
        r,
    )
}

/// `(e^r - 1 - r) / r^2` for |r| at most 0.35: the polynomial of Cephes, single/expf.c.
#[inline(always)]
fn second_order<S: Simd>(simd: S, r: S::f32s) -> S::f32s {
    let mut p = simd.splat_f32s(1.987_569_1e-4);
    for coefficient in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        5.0e-1,
    ] {
        p = multiply_add(simd, p, r, simd.splat_f32s(coefficient));
    }
    p
}

/// The float whose biased exponent is `biased` (1 to 254).
#[inline(always)]
fn from_exponent<S: Simd>(simd: S, biased: S::u32s) -> S::f32s {
    simd.transmute_f32s_u32s(simd.wrapping_dyn_shl_u32s(biased, simd.splat_u32s(23)))
}

/// `x`, but at least `low` and at most `high`; NaN stays.
#[inline(always)]
fn clamp<S: Simd>(simd: S, x: S::f32s, low: f32, high: f32) -> S::f32s {
    let (low, high) = (simd.splat_f32s(low), simd.splat_f32s(high));
    let x = simd.select_f32s(simd.less_than_f32s(x, low), low, x);
    simd.select_f32s(simd.greater_than_f32s(x, high), high, x)
}

/// `e^x`; 0 below -104, infinity above 88.73.
#[inline(always)]
pub fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // Outside, the result is 0 or infinity in any case; inside, 2^n is a product of two floats.
    let (n, r) = reduce(simd, clamp(simd, x, -105.0, 89.0));
    let p = multiply_add(simd, simd.mul_f32s(r, r), second_order(simd, r), r);
    let y = simd.add_f32s(p, simd.splat_f32s(1.0));
    // Two factors, so that a denormal result is rounded once, in the last multiplication, and overflow gives infinity.
    let biased_twice = simd.add_u32s(n, simd.splat_u32s(254));
    let first = simd.wrapping_dyn_shr_u32s(biased_twice, simd.splat_u32s(1));
    let second = simd.sub_u32s(biased_twice, first);
    let y = simd.mul_f32s(y, from_exponent(simd, first));
    simd.mul_f32s(y, from_exponent(simd, second))
}

/// `e^x - 1`, exact near 0.
#[inline(always)]
pub fn expm1<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    // Below -25 the result is -1 in any case.
    let (n, r) = reduce(simd, clamp(simd, x, -25.0, 89.0));
    let p = multiply_add(simd, simd.mul_f32s(r, r), second_order(simd, r), r);
    // 2^n p + (2^n - 1), halved so that n = 128 fits.
    let half_power = from_exponent(simd, simd.add_u32s(n, simd.splat_u32s(126)));
    let rest = simd.sub_f32s(half_power, simd.splat_f32s(0.5));
    let half = multiply_add(simd, half_power, p, rest);
    let y = simd.add_f32s(half, half);
    let tiny = simd.less_than_f32s(simd.abs_f32s(x), simd.splat_f32s(2.0e-8));
    simd.select_f32s(tiny, x, y)
}

/// `1 / (1 + e^-x)`, without overflow, and denormal where that is the result.
#[inline(always)]
pub fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let e = exp(simd, simd.neg_f32s(simd.abs_f32s(x)));
    let negative = simd.less_than_f32s(x, simd.splat_f32s(0.0));
    let numerator = simd.select_f32s(negative, e, one);
    simd.div_f32s(numerator, simd.add_f32s(one, e))
}

/// Hyperbolic tangent; exactly 1 or -1 from |x| = 9.02 on. The method and the polynomial are those of Cephes, single/tanhf.c.
#[inline(always)]
pub fn tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let size = simd.abs_f32s(x);
    let square = simd.mul_f32s(x, x);
    let mut p = simd.splat_f32s(-5.704_988_7e-3);
    for coefficient in [2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1] {
        p = multiply_add(simd, p, square, simd.splat_f32s(coefficient));
    }
    let small = multiply_add(simd, simd.mul_f32s(p, square), x, x);
    let one = simd.splat_f32s(1.0);
    let e = exp(simd, simd.add_f32s(size, size));
    let quotient = simd.div_f32s(simd.splat_f32s(2.0), simd.add_f32s(e, one));
    let large = simd.sub_f32s(one, quotient);
    let is_large = simd.greater_than_f32s(size, simd.splat_f32s(0.625));
    // The sign of x also for a zero.
    copy_sign(simd, simd.select_f32s(is_large, large, small), x)
}
