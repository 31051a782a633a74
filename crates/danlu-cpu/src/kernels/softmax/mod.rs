//! Softmax and its relatives over the rows of a [rows, classes] matrix.
//!
//! The bits of a row depend on the row alone. Where a row holds NaN or infinity, or only -infinity, its results are NaN.

mod rows;

use rows::{Rows, Softmax};

use crate::simd::Isa;

/// The class of each row.
#[derive(Clone, Copy, Debug)]
pub enum Labels<'a> {
    /// As 32-bit integers.
    I32(&'a [i32]),
    /// As 64-bit integers.
    I64(&'a [i64]),
    /// As bytes.
    U8(&'a [u8]),
}

impl Labels<'_> {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Labels::I32(labels) => labels.len(),
            Labels::I64(labels) => labels.len(),
            Labels::U8(labels) => labels.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The class of a row, if it is one of `classes`.
    #[inline(always)]
    fn class(&self, row: usize, classes: usize) -> Option<usize> {
        let label = match self {
            Labels::I32(labels) => i64::from(labels[row]),
            Labels::I64(labels) => labels[row],
            Labels::U8(labels) => i64::from(labels[row]),
        };
        usize::try_from(label).ok().filter(|&label| label < classes)
    }
}

/// `destination = softmax(source)`, both [rows, classes].
///
/// # Panics
/// If the lengths differ or are not whole rows.
pub fn softmax(isa: Isa, source: &[f32], classes: usize, destination: &mut [f32]) {
    check(source.len(), classes, destination.len());
    run(
        isa,
        Rows::Softmax {
            source,
            destination,
        },
        classes,
    );
}

/// `destination = log(softmax(source))`, both [rows, classes].
///
/// # Panics
/// If the lengths differ or are not whole rows.
pub fn log_softmax(isa: Isa, source: &[f32], classes: usize, destination: &mut [f32]) {
    check(source.len(), classes, destination.len());
    run(
        isa,
        Rows::LogSoftmax {
            source,
            destination,
        },
        classes,
    );
}

/// The gradient of [`softmax`]: `destination = y (dy - sum(dy y))`, from its result `y` and the gradient `dy` of that result,
/// all [rows, classes].
///
/// # Panics
/// If the lengths differ or are not whole rows.
pub fn softmax_gradient(isa: Isa, y: &[f32], dy: &[f32], classes: usize, destination: &mut [f32]) {
    check(y.len(), classes, dy.len());
    check(y.len(), classes, destination.len());
    run(isa, Rows::SoftmaxGradient { y, dy, destination }, classes);
}

/// The gradient of [`log_softmax`]: `destination = dy - exp(y) sum(dy)`, from its result `y` and the gradient `dy` of that result,
/// all [rows, classes].
///
/// # Panics
/// If the lengths differ or are not whole rows.
pub fn log_softmax_gradient(
    isa: Isa,
    y: &[f32],
    dy: &[f32],
    classes: usize,
    destination: &mut [f32],
) {
    check(y.len(), classes, dy.len());
    check(y.len(), classes, destination.len());
    run(
        isa,
        Rows::LogSoftmaxGradient { y, dy, destination },
        classes,
    );
}

/// Sparse cross-entropy on logits: `loss[row] = logsumexp(logits[row]) - logits[row][label]`, for `logits` [rows, classes];
/// NaN where a label is no class.
///
/// # Panics
/// If `logits` is not whole rows, or there are not as many labels and losses as rows.
pub fn cross_entropy(isa: Isa, logits: &[f32], classes: usize, labels: Labels, loss: &mut [f32]) {
    check(logits.len(), classes, loss.len() * classes);
    assert_eq!(labels.len(), loss.len(), "the number of labels");
    run(
        isa,
        Rows::CrossEntropy {
            logits,
            labels,
            loss,
        },
        classes,
    );
}

/// The gradient of [`cross_entropy`]: `destination[row] = (softmax(logits[row]) - onehot(label)) gradient[row]`; NaN where a label is
/// no class.
///
/// # Panics
/// If the lengths differ or are not whole rows, or there are not as many labels and gradients as rows.
pub fn cross_entropy_gradient(
    isa: Isa,
    logits: &[f32],
    classes: usize,
    labels: Labels,
    gradient: &[f32],
    destination: &mut [f32],
) {
    check(logits.len(), classes, destination.len());
    check(logits.len(), classes, gradient.len() * classes);
    assert_eq!(labels.len(), gradient.len(), "the number of labels");
    let rows = Rows::CrossEntropyGradient {
        logits,
        labels,
        gradient,
        destination,
    };
    run(isa, rows, classes);
}

fn check(length: usize, classes: usize, other: usize) {
    assert_eq!(length, other, "an operand's length");
    assert!(
        if classes == 0 {
            length == 0
        } else {
            length.is_multiple_of(classes)
        },
        "whole rows"
    );
}

fn run(isa: Isa, rows: Rows, classes: usize) {
    if classes > 0 {
        isa.dispatch(Softmax { rows, classes });
    }
}

#[cfg(test)]
mod tests;
