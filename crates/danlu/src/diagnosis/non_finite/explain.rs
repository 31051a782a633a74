//! What an operation, what it was given and what it gave say about why.

use danlu_graph::Tensor;
use danlu_graph::operations::{BinaryKind, Operation, UnaryKind};

use crate::diagnosis::{Diagnosis, Kind, short};
use crate::training::Stage;

/// Beyond this, `exp` is more than a float32 can hold.
const LARGEST_EXPONENT: f64 = 88.72;

/// Weights beyond this are no result of a training that goes well.
const LARGE_WEIGHTS: f64 = 1e3;

/// Data beyond this was not scaled.
const LARGE_DATA: f64 = 1e4;

/// What is known about the operation.
pub(super) struct Evidence<'a> {
    pub operation: Operation,
    pub layer: String,
    pub stage: Stage,
    /// The first number that is not finite.
    pub result: f64,
    /// The floats that the operation was given.
    pub inputs: &'a [Tensor],
    /// The example that the result belongs to, where it does to one.
    pub example: Option<usize>,
    /// The parameter whose elements are the largest, and how large.
    pub largest: Option<(String, f64)>,
    /// The largest magnitude in the data.
    pub data: f64,
    pub learning_rate: Option<f64>,
}

/// The finite numbers of a tensor: from where to where.
fn range(tensor: &Tensor) -> (f64, f64) {
    let numbers = tensor.as_f32().unwrap_or_default().iter();
    numbers.fold(
        (f64::INFINITY, f64::NEG_INFINITY),
        |(low, high), &number| {
            let number = f64::from(number);
            (low.min(number), high.max(number))
        },
    )
}

fn has_zero(tensor: Option<&Tensor>) -> bool {
    let numbers = tensor.and_then(Tensor::as_f32).unwrap_or_default();
    numbers.contains(&0.0)
}

/// What the operation did, in a few words; `None` where it is only that numbers are too large.
fn reason(evidence: &Evidence<'_>) -> Option<String> {
    let (low, high) = evidence.inputs.first().map(range)?;
    match &evidence.operation {
        Operation::Unary(unary) => match unary.kind {
            UnaryKind::Log if low == 0.0 => Some("log of 0".to_owned()),
            UnaryKind::Log if low < 0.0 => Some(format!("log of {}", short(low))),
            UnaryKind::Log1p if low <= -1.0 => Some(format!("log1p of {}", short(low))),
            UnaryKind::Sqrt if low < 0.0 => Some(format!("square root of {}", short(low))),
            UnaryKind::Reciprocal if has_zero(evidence.inputs.first()) => {
                Some("division by 0".to_owned())
            }
            UnaryKind::Exp | UnaryKind::Expm1 if high > LARGEST_EXPONENT => Some(format!(
                "{} of {}, above {LARGEST_EXPONENT} it is more than float32 holds",
                unary.kind.name(),
                short(high)
            )),
            _ => None,
        },
        Operation::Binary(binary) => match binary.kind {
            BinaryKind::Divide if has_zero(evidence.inputs.get(1)) => {
                Some("division by 0".to_owned())
            }
            BinaryKind::Power if low < 0.0 => Some(format!("power of {}", short(low))),
            BinaryKind::Power if low == 0.0 => Some("power of 0".to_owned()),
            _ => None,
        },
        _ => None,
    }
}

/// Says what the evidence shows.
pub(super) fn explain(evidence: &Evidence<'_>, epoch: usize, step: usize) -> Diagnosis {
    let place = match (evidence.layer.as_str(), evidence.stage) {
        ("", stage) => format!("in the {stage} pass"),
        (layer, Stage::Update) => format!("in the update of {layer}"),
        (layer, stage) => format!("of {layer} ({stage})"),
    };
    let extremes = || {
        let ranges = evidence.inputs.iter().map(range);
        let (low, high) = ranges.fold((f64::INFINITY, f64::NEG_INFINITY), |all, one| {
            (all.0.min(one.0), all.1.max(one.1))
        });
        match low <= high {
            true => format!("given numbers from {} to {}", short(low), short(high)),
            false => "before the step".to_owned(),
        }
    };
    let operation = evidence.operation.name();
    let reason = reason(evidence);
    let why = reason.clone().unwrap_or_else(extremes);
    let example = evidence.example;
    let example = example.map_or(String::new(), |example| format!(" for example {example}"));
    let mut message = format!(
        "the first to be {} is {operation} {place}{example}: {why}",
        short(evidence.result)
    );
    let rate = evidence.learning_rate.map(short);
    let rate = rate.map_or(String::new(), |rate| format!(" (now {rate})"));
    let grown = evidence
        .largest
        .as_ref()
        .filter(|(_, size)| *size > LARGE_WEIGHTS);
    let advice = match (grown, reason) {
        (Some((name, size)), _) => {
            message += &format!("; {name} has grown to {}", short(*size));
            format!("a smaller learning rate{rate} or clipping (clipnorm = 1.0) helps")
        }
        (None, _) if evidence.data > LARGE_DATA => format!(
            "scale the data, which has numbers up to {}, or put a Normalization layer first",
            short(evidence.data)
        ),
        (None, Some(_)) => {
            "keep what it is given away from there: add a small number, cut it off, or give the loss logits (from_logits)"
                .to_owned()
        }
        (None, None) => format!(
            "a smaller learning rate{rate}, clipping (clipnorm = 1.0), or smaller initial weights helps"
        ),
    };
    Diagnosis {
        kind: Kind::NonFinite,
        layer: Some(evidence.layer.clone()).filter(|layer| !layer.is_empty()),
        epoch,
        step: step as u64,
        message,
        advice,
    }
}
