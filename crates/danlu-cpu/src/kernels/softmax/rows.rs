//! The loops over rows.

use pulp::{Simd, WithSimd};

use super::Labels;
use crate::kernels::lanes::{Lanes, for_each_vector, load, store};
use crate::kernels::math;
use crate::kernels::reduce::{Joining, reduce_row, scalar};

/// What is computed, of slices of whole rows whose lengths fit each other.
pub(super) enum Rows<'a> {
    Softmax {
        source: &'a [f32],
        destination: &'a mut [f32],
    },
    LogSoftmax {
        source: &'a [f32],
        destination: &'a mut [f32],
    },
    SoftmaxGradient {
        y: &'a [f32],
        dy: &'a [f32],
        destination: &'a mut [f32],
    },
    LogSoftmaxGradient {
        y: &'a [f32],
        dy: &'a [f32],
        destination: &'a mut [f32],
    },
    CrossEntropy {
        logits: &'a [f32],
        labels: Labels<'a>,
        loss: &'a mut [f32],
    },
    CrossEntropyGradient {
        logits: &'a [f32],
        labels: Labels<'a>,
        gradient: &'a [f32],
        destination: &'a mut [f32],
    },
}

/// [`Rows`] of `classes` elements each, at least 1.
pub(super) struct Softmax<'a> {
    pub(super) rows: Rows<'a>,
    pub(super) classes: usize,
}

impl WithSimd for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let classes = self.classes;
        match self.rows {
            Rows::Softmax {
                source,
                destination,
            } => {
                let rows = source.chunks_exact(classes);
                for (x, result) in rows.zip(destination.chunks_exact_mut(classes)) {
                    softmax_row(simd, x, result);
                    let sum = scalar_sum(simd, result);
                    let sum = simd.splat_f32s(sum);
                    map_row_in_place(
                        simd,
                        result,
                        #[inline(always)]
                        |e| simd.div_f32s(e, sum),
                    );
                }
            }
            Rows::LogSoftmax {
                source,
                destination,
            } => {
                let rows = source.chunks_exact(classes);
                for (x, result) in rows.zip(destination.chunks_exact_mut(classes)) {
                    let (largest, sum) = largest_and_sum(simd, x);
                    let largest = simd.splat_f32s(largest);
                    let log = math::log(simd, simd.splat_f32s(sum));
                    map_row(
                        simd,
                        x,
                        result,
                        #[inline(always)]
                        |x| simd.sub_f32s(simd.sub_f32s(x, largest), log),
                    );
                }
            }
            Rows::SoftmaxGradient { y, dy, destination } => {
                let rows = y.chunks_exact(classes).zip(dy.chunks_exact(classes));
                for ((y, dy), result) in rows.zip(destination.chunks_exact_mut(classes)) {
                    let sum = reduce_row(
                        simd,
                        Joining::Sum,
                        classes,
                        #[inline(always)]
                        |offset, lanes| {
                            simd.mul_f32s(at(simd, y, offset, lanes), at(simd, dy, offset, lanes))
                        },
                    );
                    let sum = simd.splat_f32s(sum);
                    map_rows(
                        simd,
                        y,
                        dy,
                        result,
                        #[inline(always)]
                        |y, dy| simd.mul_f32s(y, simd.sub_f32s(dy, sum)),
                    );
                }
            }
            Rows::LogSoftmaxGradient { y, dy, destination } => {
                let rows = y.chunks_exact(classes).zip(dy.chunks_exact(classes));
                for ((y, dy), result) in rows.zip(destination.chunks_exact_mut(classes)) {
                    let sum = simd.splat_f32s(scalar_sum(simd, dy));
                    map_rows(
                        simd,
                        y,
                        dy,
                        result,
                        #[inline(always)]
                        |y, dy| simd.sub_f32s(dy, simd.mul_f32s(math::exp(simd, y), sum)),
                    );
                }
            }
            Rows::CrossEntropy {
                logits,
                labels,
                loss,
            } => {
                let rows = logits.chunks_exact(classes).zip(loss);
                for (row, (x, loss)) in rows.enumerate() {
                    let (largest, sum) = largest_and_sum(simd, x);
                    let log = scalar(
                        simd,
                        sum,
                        #[inline(always)]
                        |sum| math::log(simd, sum),
                    );
                    *loss = match labels.class(row, classes) {
                        Some(label) => (largest - x[label]) + log,
                        None => f32::NAN,
                    };
                }
            }
            Rows::CrossEntropyGradient {
                logits,
                labels,
                gradient,
                destination,
            } => {
                let rows = logits.chunks_exact(classes).zip(gradient);
                let rows = rows.zip(destination.chunks_exact_mut(classes));
                for (row, ((x, &gradient), result)) in rows.enumerate() {
                    let Some(label) = labels.class(row, classes) else {
                        result.fill(f32::NAN);
                        continue;
                    };
                    softmax_row(simd, x, result);
                    let sum = scalar_sum(simd, result);
                    let own = (result[label] / sum - 1.0) * gradient;
                    let (sum, factor) = (simd.splat_f32s(sum), simd.splat_f32s(gradient));
                    map_row_in_place(
                        simd,
                        result,
                        #[inline(always)]
                        |e| simd.mul_f32s(simd.div_f32s(e, sum), factor),
                    );
                    result[label] = own;
                }
            }
        }
    }
}

/// The part of `row` at `offset`.
#[inline(always)]
fn at<S: Simd>(simd: S, row: &[f32], offset: usize, lanes: Lanes<S>) -> S::f32s {
    debug_assert!(lanes.is_some() || offset + S::F32_LANES <= row.len());
    // SAFETY: the loops of this file, and `reduce_row`, ask for parts of a row of `classes` elements, as all rows here are.
    unsafe { load(simd, row.as_ptr().add(offset), lanes) }
}

/// The largest of a row.
#[inline(always)]
fn largest<S: Simd>(simd: S, row: &[f32]) -> f32 {
    reduce_row(
        simd,
        Joining::Max,
        row.len(),
        #[inline(always)]
        |offset, lanes| at(simd, row, offset, lanes),
    )
}

#[inline(always)]
fn scalar_sum<S: Simd>(simd: S, row: &[f32]) -> f32 {
    reduce_row(
        simd,
        Joining::Sum,
        row.len(),
        #[inline(always)]
        |offset, lanes| at(simd, row, offset, lanes),
    )
}

/// The largest of a row, and the sum of the exponentials of the differences from it.
#[inline(always)]
fn largest_and_sum<S: Simd>(simd: S, row: &[f32]) -> (f32, f32) {
    let largest = largest(simd, row);
    let shift = simd.splat_f32s(largest);
    let sum = reduce_row(
        simd,
        Joining::Sum,
        row.len(),
        #[inline(always)]
        |offset, lanes| math::exp(simd, simd.sub_f32s(at(simd, row, offset, lanes), shift)),
    );
    (largest, sum)
}

/// `result = exp(x - max(x))`.
#[inline(always)]
fn softmax_row<S: Simd>(simd: S, x: &[f32], result: &mut [f32]) {
    let shift = simd.splat_f32s(largest(simd, x));
    map_row(
        simd,
        x,
        result,
        #[inline(always)]
        |x| math::exp(simd, simd.sub_f32s(x, shift)),
    );
}

#[inline(always)]
fn map_row<S: Simd>(simd: S, x: &[f32], result: &mut [f32], function: impl Fn(S::f32s) -> S::f32s) {
    map_rows(
        simd,
        x,
        x,
        result,
        #[inline(always)]
        |x, _| function(x),
    );
}

#[inline(always)]
fn map_row_in_place<S: Simd>(simd: S, row: &mut [f32], function: impl Fn(S::f32s) -> S::f32s) {
    let pointer = row.as_mut_ptr();
    for_each_vector(
        simd,
        row.len(),
        #[inline(always)]
        |offset, lanes| {
            // SAFETY: `for_each_vector` stays within the row.
            unsafe {
                let place = pointer.add(offset);
                store(simd, place, lanes, function(load(simd, place, lanes)));
            }
        },
    );
}

#[inline(always)]
fn map_rows<S: Simd>(
    simd: S,
    a: &[f32],
    b: &[f32],
    result: &mut [f32],
    function: impl Fn(S::f32s, S::f32s) -> S::f32s,
) {
    let pointer = result.as_mut_ptr();
    for_each_vector(
        simd,
        result.len(),
        #[inline(always)]
        |offset, lanes| {
            let value = function(at(simd, a, offset, lanes), at(simd, b, offset, lanes));
            // SAFETY: `for_each_vector` stays within the result.
            unsafe { store(simd, pointer.add(offset), lanes, value) };
        },
    );
}
