//! Sums, differences, products, means and extremes of several values, element by element.

use danlu_graph::{Dim, Graph, Shape, Value};

use super::{ANY_COUNT, Count, expect, list, wrong};
use crate::layers::{BuildContext, CallContext, Layer};
use crate::{Arguments, Config, Result};

/// The shapes with as many axes as the longest: axes of 1 come after that of the examples, as in Keras.
///
/// # Errors
/// There are too few or too many, or they do not broadcast.
fn aligned(owner: &str, count: Count, inputs: &[Shape]) -> Result<Vec<Shape>> {
    expect(owner, count, inputs)?;
    let rank = inputs.iter().map(Shape::rank).max().unwrap_or(0);
    let align = |shape: &Shape| {
        let mut dims = shape.dims().to_vec();
        let at = dims.len().min(1);
        let missing = std::iter::repeat_n(Dim::fixed(1), rank - dims.len());
        dims.splice(at..at, missing);
        Shape::from(dims)
    };
    let shapes: Vec<Shape> = inputs.iter().map(align).collect();
    let mut together = shapes[0].clone();
    for shape in &shapes[1..] {
        together = together.broadcast(shape).map_err(|_| {
            let expected = "the examples first, and each other axis, counted from the last, of one size or of 1";
            let advice = "bring them to one shape first (Reshape, Dense, a 1x1 convolution, padding or cropping)";
            wrong(owner, expected, list(inputs), advice)
        })?;
    }
    Ok(shapes)
}

/// The values under these shapes, put together from the first to the last.
fn fold(
    shapes: &[Shape],
    inputs: &[Value],
    function: impl Fn(&Value, &Value) -> danlu_graph::Result<Value>,
) -> Result<Value> {
    let mut together = inputs[0].reshape(&shapes[0])?;
    for (value, shape) in inputs.iter().zip(shapes).skip(1) {
        together = function(&together, &value.reshape(shape)?)?;
    }
    Ok(together)
}

fn same(_: &Graph, sum: Value, _: usize) -> Result<Value> {
    Ok(sum)
}

fn mean(graph: &Graph, sum: Value, count: usize) -> Result<Value> {
    Ok(sum.divide(&graph.scalar(count as f64, sum.dtype())?)?)
}

macro_rules! arithmetic {
    ($($(#[$meta:meta])* $name:ident = $class:literal, $count:ident, $function:ident, $finish:ident;)*) => {
        $(
            $(#[$meta])*
            ///
            /// Each input is `(batch, ...)`. One of fewer axes gets axes of 1 after that of the examples, and axes of 1 are
            /// repeated: `(batch, 4)` and `(batch, 3, 1)` give `(batch, 3, 4)`.
            #[derive(Clone, Debug, Default)]
            pub struct $name {}

            impl $name {
                /// The layer.
                pub fn new() -> $name {
                    $name {}
                }
            }

            impl Layer for $name {
                fn class_name(&self) -> &str {
                    $class
                }

                fn inputs(&self) -> std::ops::RangeInclusive<usize> {
                    ANY_COUNT
                }

                fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
                    aligned($class, Count::$count, inputs).map(drop)
                }

                fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
                    let shapes: Vec<Shape> = inputs.iter().map(Value::shape).collect();
                    let shapes = aligned($class, Count::$count, &shapes)?;
                    let together = fold(&shapes, inputs, Value::$function)?;
                    $finish(context.graph(), together, inputs.len())
                }

                fn config(&self) -> Config {
                    Config::new()
                }

                fn from_config(_: &mut Arguments) -> Result<$name> {
                    Ok($name {})
                }
            }
        )*
    };
}

arithmetic! {
    /// The sum of two or more inputs (Keras' `Add`).
    Add = "Add", TwoOrMore, add, same;
    /// The first of two inputs less the second (Keras' `Subtract`).
    Subtract = "Subtract", Two, subtract, same;
    /// The product of two or more inputs, element by element (Keras' `Multiply`).
    Multiply = "Multiply", TwoOrMore, multiply, same;
    /// The mean of two or more inputs (Keras' `Average`).
    Average = "Average", TwoOrMore, add, mean;
    /// The largest of two or more inputs (Keras' `Maximum`). Where two are equal, the gradient is the earlier one's.
    Maximum = "Maximum", TwoOrMore, maximum, same;
    /// The smallest of two or more inputs (Keras' `Minimum`). Where two are equal, the gradient is the earlier one's.
    Minimum = "Minimum", TwoOrMore, minimum, same;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn arithmetic_passes_the_harness() {
        let (a, b, c): (&[usize], &[usize], &[usize]) = (&[3, 4], &[4], &[3, 1]);
        for two in [[a, a], [a, b], [b, c]] {
            harness::check_merge(Add::new(), &two);
            harness::check_merge(Subtract::new(), &two);
            harness::check_merge(Multiply::new(), &two);
            harness::check_merge(Average::new(), &two);
            harness::check_merge(Maximum::new(), &two);
            harness::check_merge(Minimum::new(), &two);
        }
        for several in [&[a, b, c][..], &[&[2, 3, 4, 2], &[2], &[3, 1, 1], &[1]]] {
            harness::check_merge(Add::new(), several);
            harness::check_merge(Multiply::new(), several);
            harness::check_merge(Average::new(), several);
            harness::check_merge(Maximum::new(), several);
            harness::check_merge(Minimum::new(), several);
        }
    }

    #[test]
    fn shapes_that_do_not_fit_are_named() {
        let part = "received (batch, 3, 4) and (batch, 4) and (batch, 2, 4); bring them";
        harness::refuses_merge(Add::new(), &[&[3, 4], &[4], &[2, 4]], part);
        harness::refuses_merge(Maximum::new(), &[&[3], &[4]], "the inputs of Maximum");
        let part = "expected two, received 3, (batch, 2) and (batch, 2) and (batch, 2)";
        harness::refuses_merge(Subtract::new(), &[&[2], &[2], &[2]], part);
    }

    #[test]
    fn a_sequential_has_one_value_only() {
        let part =
            "expected two or more, received one, (batch, 2); connect several in a functional model";
        harness::refuses(Add::new(), &[2], part);
        harness::refuses(Average::new(), &[2], "layer average (Average): ");
        harness::refuses(Subtract::new(), &[2], "expected two, received one");
    }
}
