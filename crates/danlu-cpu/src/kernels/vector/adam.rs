//! Adam's step (Kingma and Ba, 2015, with epsilon outside the bias correction as in Keras) in one loop.

use pulp::{Simd, WithSimd};

use crate::kernels::lanes::{Lanes, flush_tiny, for_each_vector, load, store};
use crate::simd::Isa;

/// Where the operands and results of [`adam`] lie.
#[derive(Clone, Copy, Debug)]
pub struct AdamStep {
    /// The parameter.
    pub value: *const f32,
    /// The moving average of its gradients.
    pub momentum: *const f32,
    /// The moving average of their squares.
    pub velocity: *const f32,
    /// The gradient.
    pub gradient: *const f32,
    /// `1 - beta_1` and `1 - beta_2`.
    pub rates: [*const f32; 2],
    /// The learning rate with its bias correction.
    pub alpha: *const f32,
    /// What is added to the root of the velocity.
    pub epsilon: *const f32,
    /// Where the new parameter goes.
    pub new_value: *mut f32,
    /// Where the new momentum goes.
    pub new_momentum: *mut f32,
    /// Where the new velocity goes.
    pub new_velocity: *mut f32,
}

/// `m' = m + (g - m) * rate_1`, `v' = v + (g^2 - v) * rate_2`, both flushed, `w' = w - m' * alpha / (sqrt(v') + epsilon)`, each function
/// rounded as on its own.
///
/// # Safety
/// Vectors are readable, or writable, for `length` elements, scalars for one; a result may lie on the operand of its name, and
/// overlaps nothing else.
pub unsafe fn adam(isa: Isa, step: AdamStep, length: usize) {
    isa.dispatch(Run { step, length });
}

struct Run {
    step: AdamStep,
    length: usize,
}

impl WithSimd for Run {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let step = self.step;
        // SAFETY: `adam`'s caller vouches for the scalars.
        let [rate_1, rate_2, alpha, epsilon] =
            [step.rates[0], step.rates[1], step.alpha, step.epsilon]
                .map(|scalar| simd.splat_f32s(unsafe { *scalar }));
        for_each_vector(
            simd,
            self.length,
            #[inline(always)]
            |offset, lanes: Lanes<S>| {
                let at = |pointer: *const f32| pointer.wrapping_add(offset);
                // SAFETY: `adam`'s caller vouches for the vectors; the lanes leave out what lies beyond.
                unsafe {
                    let gradient = load(simd, at(step.gradient), lanes);
                    let momentum = load(simd, at(step.momentum), lanes);
                    let velocity = load(simd, at(step.velocity), lanes);
                    let value = load(simd, at(step.value), lanes);
                    let change = simd.mul_f32s(simd.sub_f32s(gradient, momentum), rate_1);
                    let momentum = flush_tiny(simd, simd.add_f32s(momentum, change));
                    let square = simd.mul_f32s(gradient, gradient);
                    let change = simd.mul_f32s(simd.sub_f32s(square, velocity), rate_2);
                    let velocity = flush_tiny(simd, simd.add_f32s(velocity, change));
                    let divisor = simd.add_f32s(simd.sqrt_f32s(velocity), epsilon);
                    let change = simd.div_f32s(simd.mul_f32s(momentum, alpha), divisor);
                    let value = simd.sub_f32s(value, change);
                    store(
                        simd,
                        step.new_momentum.wrapping_add(offset),
                        lanes,
                        momentum,
                    );
                    store(
                        simd,
                        step.new_velocity.wrapping_add(offset),
                        lanes,
                        velocity,
                    );
                    store(simd, step.new_value.wrapping_add(offset), lanes, value);
                }
            },
        );
    }
}
