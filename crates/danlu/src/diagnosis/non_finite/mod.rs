//! Where a number became infinite or NaN.

mod explain;
mod locate;

use danlu_data::{Batch, Field, Specification};
use danlu_graph::Tensor;

use super::{Diagnosis, Kind};

pub(crate) use locate::{Found, largest, locate};

/// What is not finite in a batch itself, where anything is. `examples` of the pass came before it, and `indices` are its
/// examples where they have numbers.
pub(crate) fn data_fault(
    batch: &Batch,
    specification: &Specification,
    weights: Option<&Tensor>,
    examples: usize,
    indices: Option<&[usize]>,
    (epoch, step): (usize, usize),
) -> Option<Diagnosis> {
    let named = |fields: &[Field], place: usize| {
        let field = fields.get(place);
        field.map_or("the data".to_owned(), |field| format!("`{}`", field.name))
    };
    let features = batch.features.iter().enumerate();
    let features = features.map(|(place, tensor)| (named(&specification.features, place), tensor));
    let targets = batch.targets.iter().enumerate();
    let targets = targets.map(|(place, tensor)| (named(&specification.targets, place), tensor));
    let weights = weights.or(batch.weights.as_ref()).into_iter();
    let weights = weights.chain(&batch.target_weights);
    let weights = weights.map(|tensor| ("the sample weights".to_owned(), tensor));
    for (name, tensor) in features.chain(targets).chain(weights) {
        let Some(place) = first_bad(tensor) else {
            continue;
        };
        let row = place / (tensor.len() / batch.len().max(1)).max(1);
        let example = example(row, examples, indices);
        return Some(Diagnosis {
            kind: Kind::NonFinite,
            layer: None,
            epoch,
            step: step as u64,
            message: format!(
                "the data holds it: {name} of example {example} of {} is {}",
                specification.name,
                tensor.get_f64(place)
            ),
            advice: "correct or leave out such examples".to_owned(),
        });
    }
    None
}

/// The number of an example in its dataset, counted from 0.
fn example(row: usize, examples: usize, indices: Option<&[usize]>) -> usize {
    match indices.and_then(|indices| indices.get(row)) {
        Some(&index) => index,
        None => examples + row,
    }
}

/// The first element that is not finite.
pub(crate) fn first_bad(tensor: &Tensor) -> Option<usize> {
    match tensor.as_f32() {
        Some(values) => values.iter().position(|value| !value.is_finite()),
        None if tensor.dtype().is_float() => {
            (0..tensor.len()).find(|&place| !tensor.get_f64(place).is_finite())
        }
        None => None,
    }
}
