//! Natural logarithms.

use pulp::Simd;

use crate::simd::multiply_add;

const SQRT_HALF_BITS: u32 = 0x3f35_04f3;
const ONE_BITS: u32 = 0x3f80_0000;

/// `x = 2^e m` with `m` in [sqrt(1/2), sqrt(2)), for positive normal `x`: `e` in two's complement, and `m`.
#[inline(always)]
fn split<S: Simd>(simd: S, x: S::f32s) -> (S::u32s, S::f32s) {
    // Moving the boundary of the exponent from 1 to sqrt(1/2): musl, src/math/logf.c.
    let moved = simd.add_u32s(
        simd.transmute_u32s_f32s(x),
        simd.splat_u32s(ONE_BITS - SQRT_HALF_BITS),
    );
    let e = simd.sub_u32s(
        simd.wrapping_dyn_shr_u32s(moved, simd.splat_u32s(23)),
        simd.splat_u32s(127),
    );
    let fraction = simd.and_u32s(moved, simd.splat_u32s(0x007f_ffff));
    let m = simd.add_u32s(fraction, simd.splat_u32s(SQRT_HALF_BITS));
    (e, simd.transmute_f32s_u32s(m))
}

/// The float of a small integer in two's complement.
#[inline(always)]
fn to_float<S: Simd>(simd: S, integer: S::u32s) -> S::f32s {
    let magic = 12_582_912.0_f32; // 1.5 * 2^23: one unit in its last place is 1
    let bits = simd.add_u32s(integer, simd.splat_u32s(magic.to_bits()));
    simd.sub_f32s(simd.transmute_f32s_u32s(bits), simd.splat_f32s(magic))
}

/// `ln(1 + f) + e ln 2` for 1 + f in [sqrt(1/2), sqrt(2)): the polynomial of Cephes, single/logf.c.
#[inline(always)]
fn combine<S: Simd>(simd: S, f: S::f32s, e: S::f32s) -> S::f32s {
    let mut p = simd.splat_f32s(7.037_683_6e-2);
    for coefficient in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        p = multiply_add(simd, p, f, simd.splat_f32s(coefficient));
    }
    let square = simd.mul_f32s(f, f);
    let y = simd.mul_f32s(simd.mul_f32s(p, f), square);
    let y = multiply_add(simd, e, simd.splat_f32s(-2.121_944_4e-4), y);
    let y = multiply_add(simd, square, simd.splat_f32s(-0.5), y);
    let y = simd.add_f32s(f, y);
    multiply_add(simd, e, simd.splat_f32s(0.693_359_4), y)
}

/// `y`, but -infinity where `x` is 0, NaN where it is below, and `x` where that is infinite or NaN.
#[inline(always)]
fn edges<S: Simd>(simd: S, x: S::f32s, y: S::f32s) -> S::f32s {
    let (zero, infinity) = (simd.splat_f32s(0.0), simd.splat_f32s(f32::INFINITY));
    let finite = simd.less_than_f32s(x, infinity);
    let y = simd.select_f32s(finite, y, x);
    let y = simd.select_f32s(
        simd.equal_f32s(x, zero),
        simd.splat_f32s(f32::NEG_INFINITY),
        y,
    );
    simd.select_f32s(simd.less_than_f32s(x, zero), simd.splat_f32s(f32::NAN), y)
}

/// Natural logarithm; -infinity for 0, NaN below.
#[inline(always)]
pub fn log<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let denormal = simd.less_than_f32s(x, simd.splat_f32s(f32::MIN_POSITIVE));
    let scaled = simd.mul_f32s(x, simd.splat_f32s(33_554_432.0)); // 2^25
    let (e, m) = split(simd, simd.select_f32s(denormal, scaled, x));
    let offset = simd.select_f32s(denormal, simd.splat_f32s(25.0), simd.splat_f32s(0.0));
    let e = simd.sub_f32s(to_float(simd, e), offset);
    let y = combine(simd, simd.sub_f32s(m, simd.splat_f32s(1.0)), e);
    edges(simd, x, y)
}

/// `ln(1 + x)`, exact near 0; -infinity for -1, NaN below.
#[inline(always)]
pub fn log1p<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    let u = simd.add_f32s(x, one);
    // What the addition lost (Knuth, The Art of Computer Programming 2, 4.2.2, theorem B): 1 + x = u + lost, exactly.
    let back = simd.sub_f32s(u, one);
    let lost = simd.add_f32s(
        simd.sub_f32s(one, simd.sub_f32s(u, back)),
        simd.sub_f32s(x, back),
    );
    let (e, m) = split(simd, u);
    // 2^-e; 0 for large x, where what was lost does not matter.
    let inverse =
        simd.wrapping_dyn_shl_u32s(simd.sub_u32s(simd.splat_u32s(127), e), simd.splat_u32s(23));
    let large = simd.greater_than_f32s(u, simd.splat_f32s(1.0e9));
    let inverse = simd.select_f32s(
        large,
        simd.splat_f32s(0.0),
        simd.transmute_f32s_u32s(inverse),
    );
    let f = multiply_add(simd, lost, inverse, simd.sub_f32s(m, one));
    let y = edges(simd, u, combine(simd, f, to_float(simd, e)));
    let tiny = simd.less_than_f32s(simd.abs_f32s(x), simd.splat_f32s(2.0e-8));
    simd.select_f32s(tiny, x, y)
}
