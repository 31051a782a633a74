//! Functions of two f32 vectors.

use danlu_graph::operations::BinaryKind;
use pulp::{Simd, WithSimd};

use super::{Operand, RawOperand};
use crate::kernels::lanes::{self, Lanes, first_lanes, load, store, truth};
use crate::kernels::math;
use crate::simd::Isa;

/// `destination[i] = kind(a[i], b[i])`. [`BinaryKind::And`] and [`BinaryKind::Or`] take any value but 0 as true, and give 1 or 0.
///
/// # Panics
/// If the lengths differ.
pub fn binary(
    isa: Isa,
    kind: BinaryKind,
    a: Operand<f32>,
    b: Operand<f32>,
    destination: &mut [f32],
) {
    let length = destination.len();
    let (a, b) = (a.raw(length), b.raw(length));
    // SAFETY: `raw` has checked the lengths of the operands.
    unsafe { binary_raw(isa, kind, a, b, destination.as_mut_ptr(), length) }
}

/// `data[i] = kind(data[i], b[i])`.
///
/// # Panics
/// If the lengths differ.
pub fn binary_in_place(isa: Isa, kind: BinaryKind, data: &mut [f32], b: Operand<f32>) {
    let (pointer, length) = (data.as_mut_ptr(), data.len());
    let b = b.raw(length);
    // SAFETY: `raw` has checked the length of b; the other operand is the destination.
    unsafe { binary_raw(isa, kind, RawOperand::Vector(pointer), b, pointer, length) }
}

/// As [`binary`], by pointer.
///
/// # Safety
/// Vectors must be readable and `destination` writable for `length` elements; each vector is either the destination or does not
/// overlap it.
pub unsafe fn binary_raw(
    isa: Isa,
    kind: BinaryKind,
    a: RawOperand<f32>,
    b: RawOperand<f32>,
    destination: *mut f32,
    length: usize,
) {
    isa.dispatch(Binary {
        kind,
        a,
        b,
        destination,
        length,
    });
}

struct Binary {
    kind: BinaryKind,
    a: RawOperand<f32>,
    b: RawOperand<f32>,
    destination: *mut f32,
    length: usize,
}

impl WithSimd for Binary {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        each_binary(simd, self.kind, Whole { simd, run: self });
    }
}

/// A loop that applies a function of two vectors.
pub(super) trait BinaryLoop<S: Simd>: Sized {
    /// Runs it.
    fn each(self, function: impl Fn(S::f32s, S::f32s) -> S::f32s);

    /// Runs it with a function that is long code.
    #[inline(always)]
    fn each_long(self, function: impl Fn(S::f32s, S::f32s) -> S::f32s) {
        self.each(function);
    }
}

/// Runs a loop with the function of a kind.
#[inline(always)]
pub(super) fn each_binary<S: Simd>(simd: S, kind: BinaryKind, body: impl BinaryLoop<S>) {
    let zero = simd.splat_f32s(0.0);
    // Any value but 0, and so NaN too, is true.
    let is_true = |x| simd.not_m32s(simd.equal_f32s(x, zero));
    match kind {
        BinaryKind::Add => body.each(
            #[inline(always)]
            |a, b| simd.add_f32s(a, b),
        ),
        BinaryKind::Subtract => body.each(
            #[inline(always)]
            |a, b| simd.sub_f32s(a, b),
        ),
        BinaryKind::Multiply => body.each(
            #[inline(always)]
            |a, b| simd.mul_f32s(a, b),
        ),
        BinaryKind::Divide => body.each(
            #[inline(always)]
            |a, b| simd.div_f32s(a, b),
        ),
        BinaryKind::Power => body.each_long(
            #[inline(always)]
            |a, b| math::pow(simd, a, b),
        ),
        BinaryKind::Maximum => body.each(
            #[inline(always)]
            |a, b| lanes::maximum(simd, a, b),
        ),
        BinaryKind::Minimum => body.each(
            #[inline(always)]
            |a, b| lanes::minimum(simd, a, b),
        ),
        BinaryKind::And => body.each(
            #[inline(always)]
            |a, b| truth(simd, simd.and_m32s(is_true(a), is_true(b))),
        ),
        BinaryKind::Or => body.each(
            #[inline(always)]
            |a, b| truth(simd, simd.or_m32s(is_true(a), is_true(b))),
        ),
    }
}

struct Whole<S> {
    simd: S,
    run: Binary,
}

impl<S: Simd> BinaryLoop<S> for Whole<S> {
    /// One loop for each combination of vectors and scalars, so that cheap functions run at the speed of their loads.
    #[inline(always)]
    fn each(self, function: impl Fn(S::f32s, S::f32s) -> S::f32s) {
        let (simd, run) = (self.simd, self.run);
        // SAFETY (of every block here): vectors hold `length` elements and are asked only for parts within.
        match (run.a, run.b) {
            (RawOperand::Vector(a), RawOperand::Vector(b)) => run.write(
                simd,
                #[inline(always)]
                |offset, lanes| {
                    // SAFETY: as above.
                    unsafe {
                        function(
                            load(simd, a.add(offset), lanes),
                            load(simd, b.add(offset), lanes),
                        )
                    }
                },
            ),
            (RawOperand::Vector(a), RawOperand::Scalar(b)) => {
                let b = simd.splat_f32s(b);
                // SAFETY: as above.
                run.write(
                    simd,
                    #[inline(always)]
                    |offset, lanes| unsafe { function(load(simd, a.add(offset), lanes), b) },
                );
            }
            (RawOperand::Scalar(a), RawOperand::Vector(b)) => {
                let a = simd.splat_f32s(a);
                // SAFETY: as above.
                run.write(
                    simd,
                    #[inline(always)]
                    |offset, lanes| unsafe { function(a, load(simd, b.add(offset), lanes)) },
                );
            }
            (RawOperand::Scalar(a), RawOperand::Scalar(b)) => {
                let value = function(simd.splat_f32s(a), simd.splat_f32s(b));
                run.write(
                    simd,
                    #[inline(always)]
                    |_, _| value,
                );
            }
        }
    }

    /// One loop for all combinations.
    #[inline(always)]
    fn each_long(self, function: impl Fn(S::f32s, S::f32s) -> S::f32s) {
        let (simd, run) = (self.simd, self.run);
        let read = |operand: RawOperand<f32>, offset: usize, lanes: Lanes<S>| match operand {
            // SAFETY: vectors hold `length` elements, and `write` asks for parts within them.
            RawOperand::Vector(pointer) => unsafe { load(simd, pointer.add(offset), lanes) },
            RawOperand::Scalar(value) => simd.splat_f32s(value),
        };
        run.write(
            simd,
            #[inline(always)]
            |offset, lanes| function(read(run.a, offset, lanes), read(run.b, offset, lanes)),
        );
    }
}

impl Binary {
    #[inline(always)]
    fn write<S: Simd>(&self, simd: S, value: impl Fn(usize, Lanes<S>) -> S::f32s) {
        let mut offset = 0;
        while offset + S::F32_LANES <= self.length {
            // SAFETY: the destination holds `length` elements.
            unsafe {
                store(
                    simd,
                    self.destination.add(offset),
                    None,
                    value(offset, None),
                )
            };
            offset += S::F32_LANES;
        }
        if offset < self.length {
            let lanes = Some(first_lanes(simd, self.length - offset));
            // SAFETY: the lanes end where the destination does.
            unsafe {
                store(
                    simd,
                    self.destination.add(offset),
                    lanes,
                    value(offset, lanes),
                )
            };
        }
    }
}
