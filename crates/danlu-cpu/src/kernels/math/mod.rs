//! Elementary functions of f32, a vector at a time.
//!
//! Generic over [`pulp::Simd`], so that any kernel can call them in its own loop. Errors are within about 2 units in the last place
//! (ulp) for the exponential and logarithmic functions, 1 for sine, cosine and power, and 2 for the error function; infinities,
//! NaN, signed zeros, denormal arguments and denormal results are right.

mod error_function;
mod exponential;
mod logarithm;
mod wide;

pub use error_function::erf;
pub use exponential::{exp, expm1, sigmoid, tanh};
pub use logarithm::{log, log1p};
pub use wide::{cos, pow, sin};

#[cfg(test)]
mod tests;
