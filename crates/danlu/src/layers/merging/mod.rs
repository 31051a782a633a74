//! Layers that make one value of several. They stand in functional models: a `Sequential` passes on one value only.

mod arithmetic;
mod concatenate;
mod dot;

use danlu_graph::Shape;

use crate::{Error, Result};

pub use arithmetic::{Add, Average, Maximum, Minimum, Multiply, Subtract};
pub use concatenate::Concatenate;
pub use dot::{Dot, DotAxes};

/// Building says how many there must be.
const ANY_COUNT: std::ops::RangeInclusive<usize> = 0..=usize::MAX;

/// How many inputs a layer takes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Count {
    Two,
    TwoOrMore,
}

/// Fails unless a layer of this class takes so many inputs.
fn expect(owner: &str, count: Count, inputs: &[Shape]) -> Result<()> {
    let expected = match (count, inputs.len()) {
        (_, 2) => return Ok(()),
        (Count::Two, _) => "two",
        (Count::TwoOrMore, 0 | 1) => "two or more",
        (Count::TwoOrMore, _) => return Ok(()),
    };
    let received = match inputs.len() {
        0 => "none".to_owned(),
        1 => format!("one, {}", inputs[0]),
        several => format!("{several}, {}", list(inputs)),
    };
    let advice = match inputs.len() {
        0 | 1 => "connect several in a functional model; a Sequential passes on one",
        _ => "merge two at a time",
    };
    Err(wrong(owner, expected, received, advice))
}

/// Inputs that do not fit.
fn wrong(owner: &str, expected: &str, received: String, advice: &str) -> Error {
    Error::mismatch(format!("the inputs of {owner}"), expected, received, advice)
}

/// All shapes, as errors name them.
fn list(shapes: &[Shape]) -> String {
    let shapes: Vec<String> = shapes.iter().map(Shape::to_string).collect();
    shapes.join(" and ")
}

#[cfg(test)]
mod tests;
