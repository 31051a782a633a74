//! The error function.

use pulp::Simd;

use super::exp;
use crate::kernels::lanes::copy_sign;
use crate::simd::multiply_add;

#[inline(always)]
fn polynomial<S: Simd>(simd: S, x: S::f32s, coefficients: &[f32]) -> S::f32s {
    let mut p = simd.splat_f32s(coefficients[0]);
    for &coefficient in &coefficients[1..] {
        p = multiply_add(simd, p, x, simd.splat_f32s(coefficient));
    }
    p
}

/// The error function, `2 / sqrt(pi)` times the integral of `e^(-t^2)` from 0 to x.
///
/// Norbert Juffa's approximation (Stack Overflow, answer 35148199): near 0 a polynomial of x^2, beyond 1 - e^p(|x|).
#[inline(always)]
pub fn erf<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let square = simd.mul_f32s(x, x);
    let near = polynomial(
        simd,
        square,
        &[
            -5.967_617e-4,
            4.991_194_2e-3,
            -2.676_813_5e-2,
            1.128_199_3e-1,
            -3.761_253_4e-1,
            1.283_791_7e-1,
        ],
    );
    let near = multiply_add(simd, near, x, x);

    let size = simd.abs_f32s(x);
    // From 4 on the result rounds to 1, and the polynomial is not meant for it.
    let four = simd.splat_f32s(4.0);
    let t = simd.select_f32s(simd.greater_than_f32s(size, four), four, size);
    let p = polynomial(
        simd,
        t,
        &[
            -1.728_534_7e-5,
            3.831_979_7e-4,
            -3.883_964_4e-3,
            2.425_462_2e-2,
            -1.067_778_8e-1,
            -6.348_467e-1,
            -1.287_175_1e-1,
        ],
    );
    let exponent = simd.sub_f32s(simd.mul_f32s(p, t), t);
    let far = simd.sub_f32s(simd.splat_f32s(1.0), exp(simd, exponent));
    let is_far = simd.greater_than_f32s(size, simd.splat_f32s(0.927_734_4));
    simd.select_f32s(is_far, copy_sign(simd, far, x), near)
}
