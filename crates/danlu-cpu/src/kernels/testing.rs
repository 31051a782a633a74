//! What the tests of the kernels share.

use crate::simd::Isa;

/// Lengths around those of the vectors of an instruction set.
pub(crate) fn lengths(isa: Isa) -> [usize; 7] {
    let lanes = isa.lanes();
    [0, 1, lanes - 1, lanes, lanes + 1, 2 * lanes + 3, 100]
}

/// The distance of `got` from `exact`, in units of the last place of the f32 nearest to `exact`; 0 if both are NaN or the same.
pub(crate) fn ulps(got: f32, exact: f64) -> f64 {
    let nearest = exact as f32;
    if got.to_bits() == nearest.to_bits() || (got.is_nan() && nearest.is_nan()) {
        return 0.0;
    }
    if got.is_nan() || nearest.is_nan() || got.is_infinite() || nearest.is_infinite() {
        return f64::INFINITY;
    }
    let exponent = (nearest.abs().to_bits() >> 23).max(1) as i32 - 150;
    (f64::from(got) - exact).abs() / 2.0_f64.powi(exponent)
}

/// A pseudo-random sequence in [-1, 1).
pub(crate) fn numbers(seed: u32, length: usize) -> Vec<f32> {
    let mut values = vec![0.0; length];
    let key = [seed, 77];
    crate::kernels::random::uniform(Isa::Portable, key, 0, 0, 0, &mut values);
    values.iter().map(|x| 2.0 * x - 1.0).collect()
}

/// The bits of each number, any NaN counting as the same.
pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    let quiet = |x: &f32| if x.is_nan() { f32::NAN } else { *x };
    values.iter().map(|x| quiet(x).to_bits()).collect()
}

/// The error function, by its series around 0 (Abramowitz and Stegun 7.1.6).
pub(crate) fn erf(x: f64) -> f64 {
    if x.is_nan() || x.abs() > 6.0 {
        return if x.is_nan() { x } else { x.signum() };
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-18 * sum.abs() {
        n += 1.0;
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}
