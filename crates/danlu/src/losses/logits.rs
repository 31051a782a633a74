//! The logits before a softmax or sigmoid.

use danlu_graph::Value;
use danlu_graph::operations::{Operation, UnaryKind};

/// What made a model's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputKind {
    /// A softmax.
    Softmax,
    /// A sigmoid.
    Sigmoid,
    /// Anything else.
    Other,
}

pub(crate) fn output_kind(output: &Value) -> OutputKind {
    match output.operation() {
        Operation::Softmax(_) => OutputKind::Softmax,
        Operation::Unary(unary) if unary.kind == UnaryKind::Sigmoid => OutputKind::Sigmoid,
        _ => OutputKind::Other,
    }
}

/// The logits behind predictions: those before the softmax or sigmoid that made them, whatever `from_logits` says (Keras
/// 3.15 remembers them beside the output, which keeps a cross-entropy from vanishing gradients), or the predictions
/// themselves where they are logits. `None`: they are probabilities.
pub(crate) fn logits(predictions: &Value, from_logits: bool) -> Option<Value> {
    match output_kind(predictions) {
        OutputKind::Softmax | OutputKind::Sigmoid => predictions.inputs().into_iter().next(),
        OutputKind::Other => from_logits.then(|| predictions.clone()),
    }
}
