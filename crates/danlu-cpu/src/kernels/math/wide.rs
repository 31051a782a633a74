//! Functions that need more than f32 inside: computed in f64, lane by lane, in loops without branches that the compiler turns
//! into f64 vectors of the instruction set in force.

use pulp::Simd;
use pulp::bytemuck;

/// The most lanes that a vector of f32 has.
const MOST_LANES: usize = 16;

/// Applies `function` to every lane.
#[inline(always)]
fn lanewise<S: Simd>(
    a: S::f32s,
    b: S::f32s,
    function: impl Fn(f32, f32) -> f32,
) -> [f32; MOST_LANES] {
    let mut result = [0.0; MOST_LANES];
    let a: &[f32] = bytemuck::cast_slice(std::slice::from_ref(&a));
    let b: &[f32] = bytemuck::cast_slice(std::slice::from_ref(&b));
    for ((result, &a), &b) in result.iter_mut().zip(a).zip(b) {
        *result = function(a, b);
    }
    result
}

/// The first lanes as a vector.
#[inline(always)]
fn vector<S: Simd>(simd: S, lanes: &[f32; MOST_LANES]) -> S::f32s {
    simd.partial_load_f32s(&lanes[..S::F32_LANES])
}

// Beyond this the two-part reduction of musl's sinf.c is no longer exact.
const REDUCIBLE: f32 = 1.0e8;

/// Sine and cosine of |x| below [`REDUCIBLE`]: reduction and polynomials of musl (FreeBSD), src/math/__rem_pio2f.c, __sindf.c and
/// __cosdf.c. `quarters` is 0 for the sine, 1 for the cosine.
#[inline(always)]
fn circular(x: f32, quarters: i64) -> f32 {
    const TO_INTEGER: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52
    let x = f64::from(x);
    let shifted = x * std::f64::consts::FRAC_2_PI + TO_INTEGER;
    let n = shifted - TO_INTEGER;
    let r = x - n * 1.570_796_310_901_641_8 - n * 1.589_325_477_352_819_7e-8;
    let quadrant = (shifted.to_bits() as i64).wrapping_add(quarters);
    let z = r * r;
    let w = z * z;
    let sine = {
        let high = -0.000_198_393_348_360_966_32 + z * 0.000_002_718_311_493_989_822;
        let s = z * r;
        (r + s * (-0.166_666_666_416_265_24 + z * 0.008_333_329_385_889_463)) + s * w * high
    };
    let cosine = {
        let high = -0.001_388_676_377_460_993 + z * 0.000_024_390_448_796_277_41;
        ((1.0 + z * -0.499_999_997_251_031) + w * 0.041_666_623_323_739_06) + (w * z) * high
    };
    let value = if quadrant & 1 == 0 { sine } else { cosine };
    let value = if quadrant & 2 == 0 { value } else { -value };
    value as f32
}

/// Sine of radians; NaN for infinities.
#[inline(always)]
pub fn sin<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let mut result = lanewise::<S>(
        x,
        x,
        #[inline(always)]
        |x, _| circular(x, 0),
    );
    large_arguments::<S>(x, &mut result, f64::sin);
    // The sine of -0 is -0, of a denormal the denormal: the reduction keeps both but for the sign of zero.
    let y = vector(simd, &result);
    simd.select_f32s(simd.equal_f32s(x, simd.splat_f32s(0.0)), x, y)
}

/// Cosine of radians; NaN for infinities.
#[inline(always)]
pub fn cos<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let mut result = lanewise::<S>(
        x,
        x,
        #[inline(always)]
        |x, _| circular(x, 1),
    );
    large_arguments::<S>(x, &mut result, f64::cos);
    vector(simd, &result)
}

/// Replaces the results of lanes that the reduction is not meant for by those of the standard library.
#[inline(always)]
fn large_arguments<S: Simd>(x: S::f32s, result: &mut [f32; MOST_LANES], exact: fn(f64) -> f64) {
    let x: &[f32] = bytemuck::cast_slice(std::slice::from_ref(&x));
    if x.iter().fold(false, |any, x| any | (x.abs() >= REDUCIBLE)) {
        for (result, &x) in result.iter_mut().zip(x) {
            if x.abs() >= REDUCIBLE {
                *result = exact(f64::from(x)) as f32;
            }
        }
    }
}

/// `2^(y log2 x)` for x > 0, in f64.
#[inline(always)]
fn power_of_positive(x: f32, y: f32) -> f64 {
    // x = 2^e m, m in [sqrt(1/2), sqrt(2)); every positive f32 is a normal f64.
    const SQRT_HALF_BITS: u64 = 0x3fe6_a09e_667f_3bcd;
    const ONE_BITS: u64 = 0x3ff0_0000_0000_0000;
    const TO_INTEGER: f64 = 6_755_399_441_055_744.0;
    let moved = f64::from(x)
        .to_bits()
        .wrapping_add(ONE_BITS - SQRT_HALF_BITS);
    let m = f64::from_bits((moved & 0x000f_ffff_ffff_ffff) + SQRT_HALF_BITS);
    let e = f64::from_bits((moved >> 52).wrapping_add(TO_INTEGER.to_bits())) - TO_INTEGER - 1023.0;
    // ln m = 2 artanh s, s = (m - 1) / (m + 1), |s| at most 0.172: its Taylor series, to 1e-13 of the sum.
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let mut series = 1.0 / 15.0;
    for denominator in [13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0_f64] {
        series = series * z + 1.0 / denominator;
    }
    let log2 = e + 2.0 * std::f64::consts::LOG2_E * s * series;
    // Beyond these the result is 0 or infinity in f32.
    let exponent = (f64::from(y) * log2).clamp(-200.0, 200.0);
    let shifted = exponent + TO_INTEGER;
    let n = shifted - TO_INTEGER;
    // e^r, |r| at most 0.347: its Taylor series, to 1e-12.
    let r = (exponent - n) * std::f64::consts::LN_2;
    let mut series = 1.0 / 39_916_800.0;
    for factorial in [
        3_628_800.0,
        362_880.0,
        40_320.0,
        5_040.0,
        720.0,
        120.0,
        24.0,
        6.0,
        2.0,
        1.0,
        1.0_f64,
    ] {
        series = series * r + 1.0 / factorial;
    }
    let scale = f64::from_bits(
        shifted
            .to_bits()
            .wrapping_sub(TO_INTEGER.to_bits())
            .wrapping_add(1023)
            << 52,
    );
    series * scale
}

/// `x^y` with the special cases of IEEE 754's pow: `x^0 = 1^y = 1`, NaN for a negative x with a fraction in y.
#[inline(always)]
fn power(x: f32, y: f32) -> f32 {
    let size = x.abs();
    let mut value = power_of_positive(size, y) as f32;
    // 0 and infinity to a power: 0 or infinity again.
    let grows = (size > 1.0) == (y > 0.0);
    let limit = if grows { f32::INFINITY } else { 0.0 };
    let extreme = size == 0.0 || size == f32::INFINITY || y.abs() == f32::INFINITY;
    value = if extreme { limit } else { value };
    // -1 to an infinite power is 1, as is anything to the power of 0 and 1 to anything.
    value = if size == 1.0 { 1.0 } else { value };
    let half = y * 0.5;
    let whole = whole(y);
    let odd = whole & !self::whole(half);
    let negative = x.is_sign_negative();
    value = if negative & odd { -value } else { value };
    let undefined = (x < 0.0) & !whole & (size != f32::INFINITY);
    value = if undefined | x.is_nan() | y.is_nan() {
        f32::NAN
    } else {
        value
    };
    if (y == 0.0) | (x == 1.0) { 1.0 } else { value }
}

/// Whether `x` is an integer or infinite, without a function that needs SSE4.1.
#[inline(always)]
fn whole(x: f32) -> bool {
    const SHIFT: f32 = 8_388_608.0;
    let size = x.abs();
    (size >= SHIFT) | ((size + SHIFT) - SHIFT == size)
}

/// `x^y`.
#[inline(always)]
pub fn pow<S: Simd>(simd: S, x: S::f32s, y: S::f32s) -> S::f32s {
    vector(simd, &lanewise::<S>(x, y, power))
}
