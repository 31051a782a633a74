//! Products of two values, summed along an axis of each.

use danlu_graph::{Dim, Shape, Value};

use super::{ANY_COUNT, Count, expect, list, wrong};
use crate::layers::{BuildContext, CallContext, Layer};
use crate::{Arguments, Config, Error, Result, config};

/// The axes that [`Dot`] sums along: one for both inputs, `1.into()`, or one for each, `[1, 2].into()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DotAxes {
    /// The same number for both; a negative one counts from the end of each.
    Both(isize),
    /// One of the first input and one of the second.
    Each(isize, isize),
}

impl From<isize> for DotAxes {
    fn from(axis: isize) -> DotAxes {
        DotAxes::Both(axis)
    }
}

impl From<[isize; 2]> for DotAxes {
    fn from([first, second]: [isize; 2]) -> DotAxes {
        DotAxes::Each(first, second)
    }
}

/// For each example the products of the first input with the second, summed along an axis of each that are of one size (Keras'
/// `Dot`). The result has the other axes of the first, then those of the second: `(batch, 3, 5)` and `(batch, 10, 3)` with the
/// axes 1 and 2 give `(batch, 5, 10)`. Two vectors give `(batch, 1)`.
#[derive(Clone, Debug)]
pub struct Dot {
    axes: DotAxes,
    normalize: bool,
}

/// Keras' `epsilon`: shorter vectors count as this long when they are normalized.
const SMALLEST_NORM: f64 = 1e-7;

impl Dot {
    /// Along these axes, one for both inputs or one for each: `Dot::new(1)`, `Dot::new([1, 2])`. Axis 0 is the examples and
    /// cannot be taken; negative ones count from the end.
    pub fn new(axes: impl Into<DotAxes>) -> Dot {
        Dot {
            axes: axes.into(),
            normalize: false,
        }
    }

    /// Whether both inputs are brought to length 1 along their axis first, which gives cosines. Default `false`.
    #[must_use]
    pub fn normalize(mut self, normalize: bool) -> Dot {
        self.normalize = normalize;
        self
    }

    /// The axis of each input.
    fn check(&self, inputs: &[Shape]) -> Result<[usize; 2]> {
        expect("Dot", Count::Two, inputs)?;
        let (first, second) = match self.axes {
            DotAxes::Both(axis) => (axis, axis),
            DotAxes::Each(first, second) => (first, second),
        };
        let axis = |place: usize, axis: isize| match inputs[place].axis(axis) {
            Ok(axis) if axis > 0 => Ok(axis),
            _ => {
                let shapes = list(inputs);
                let expected = format!("an axis of each of {shapes}, and not that of the examples");
                Err(Error::argument("Dot", "axes", expected, self.axes_json()))
            }
        };
        let axes = [axis(0, first)?, axis(1, second)?];
        let sizes = [0, 1].map(|place| &inputs[place].dims()[axes[place]]);
        if sizes[0] != sizes[1] {
            let expected = "axes of one size to sum along";
            let received = format!(
                "{} along axis {} and {} along axis {} of {}",
                sizes[0],
                axes[0],
                sizes[1],
                axes[1],
                list(inputs)
            );
            return Err(wrong("Dot", expected, received, "choose other `axes`"));
        }
        Ok(axes)
    }

    fn axes_json(&self) -> serde_json::Value {
        match self.axes {
            DotAxes::Both(axis) => axis.into(),
            DotAxes::Each(first, second) => serde_json::json!([first, second]),
        }
    }
}

/// The value with length 1 along this axis.
fn normalized(x: &Value, axis: usize) -> Result<Value> {
    let squares = x.square()?.sum(&[axis as isize], true)?;
    let squares = squares.maximum_scalar(SMALLEST_NORM * SMALLEST_NORM)?;
    Ok(x.multiply(&squares.sqrt()?.reciprocal()?)?)
}

/// The sizes of the axes of an example but this one.
fn others(shape: &Shape, axis: usize) -> impl Iterator<Item = &Dim> {
    let dims = shape.dims().iter().enumerate().skip(1);
    dims.filter_map(move |(place, dim)| (place != axis).then_some(dim))
}

/// A matrix for each example: this axis, and all others as one. With whether this axis comes last, else it is first.
fn matrices(x: &Value, axis: usize) -> Result<(Value, bool)> {
    let shape = x.shape();
    let (examples, summed) = (&shape.dims()[0], &shape.dims()[axis]);
    let rest = others(&shape, axis).fold(Dim::fixed(1), |product, dim| &product * dim);
    let last = shape.rank() - 1;
    if axis == 1 && axis != last {
        let shape = Shape::new([examples, summed, &rest].map(Dim::clone));
        return Ok((x.reshape(&shape)?, false));
    }
    let mut order: Vec<usize> = (0..=last).filter(|&place| place != axis).collect();
    order.push(axis);
    let moved = match axis == last {
        true => x.clone(),
        false => x.transpose(&order)?,
    };
    let shape = Shape::new([examples, &rest, summed].map(Dim::clone));
    Ok((moved.reshape(&shape)?, true))
}

impl Layer for Dot {
    fn class_name(&self) -> &str {
        "Dot"
    }

    fn inputs(&self) -> std::ops::RangeInclusive<usize> {
        ANY_COUNT
    }

    fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        self.check(inputs).map(drop)
    }

    fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
        let shapes: Vec<Shape> = inputs.iter().map(Value::shape).collect();
        let axes = self.check(&shapes)?;
        let (mut left, mut right) = (inputs[0].clone(), inputs[1].clone());
        if self.normalize {
            left = normalized(&left, axes[0])?;
            right = normalized(&right, axes[1])?;
        }
        if left.shape().rank() == 2 && right.shape().rank() == 2 {
            return Ok(left.multiply(&right)?.sum(&[1], true)?);
        }
        let (left, left_last) = matrices(&left, axes[0])?;
        let (right, right_last) = matrices(&right, axes[1])?;
        let product = left.matmul_with(&right, !left_last, right_last)?;
        let examples = shapes[0].dims().iter().take(1);
        let dims = examples
            .chain(others(&shapes[0], axes[0]))
            .chain(others(&shapes[1], axes[1]));
        Ok(product.reshape(&Shape::new(dims.cloned()))?)
    }

    fn config(&self) -> Config {
        config! { "axes": self.axes_json(), "normalize": self.normalize }
    }

    fn from_config(arguments: &mut Arguments) -> Result<Dot> {
        let axes = arguments.axes("axes")?;
        let axes = match arguments.required("axes", axes)?.as_slice() {
            &[both] => DotAxes::Both(both),
            &[first, second] => DotAxes::Each(first, second),
            axes => {
                let expected = "an axis for both inputs, or one for each of the two";
                let received = format!("{axes:?}");
                let owner = arguments.owner();
                return Err(Error::argument(owner, "axes", expected, received));
            }
        };
        Ok(Dot {
            axes,
            normalize: arguments.boolean("normalize")?.unwrap_or(false),
        })
    }
}

#[cfg(test)]
mod tests {
    use danlu_graph::reference::Array;
    use danlu_graph::{DType, Tensor};

    use super::*;
    use crate::layers::{LayerSpec, harness};

    #[test]
    fn dot_passes_the_harness() {
        harness::check_merge(Dot::new(1), &[&[4], &[4]]);
        harness::check_merge(Dot::new(-1).normalize(true), &[&[4], &[4]]);
        harness::check_merge(Dot::new([1, 2]), &[&[3, 5], &[4, 3]]);
        harness::check_merge(Dot::new([2, 1]).normalize(true), &[&[3, 4], &[4, 2]]);
        harness::check_merge(Dot::new(-1), &[&[3, 4], &[4]]);
        harness::check_merge(Dot::new([1, -1]), &[&[4], &[2, 3, 4]]);
        harness::check_merge(Dot::new(2).normalize(true), &[&[2, 3, 2], &[2, 3, 1]]);
        harness::check_merge(Dot::new([1, 4]), &[&[3, 2], &[2, 1, 2, 3]]);
    }

    #[test]
    fn axes_that_do_not_fit_are_errors() {
        let part = "received 5 along axis 2 and 4 along axis 1 of (batch, 3, 5) and (batch, 4, 3)";
        harness::refuses_merge(Dot::new([2, 1]), &[&[3, 5], &[4, 3]], part);
        for axes in [[0, 1], [1, 0], [1, 3], [-3, 1]] {
            let part = format!("received [{},{}]", axes[0], axes[1]);
            harness::refuses_merge(Dot::new(axes), &[&[3, 3], &[3, 3]], &part);
        }
        harness::refuses_merge(Dot::new(2), &[&[3, 3], &[3]], "an axis of each of");
        harness::refuses_merge(Dot::new(1), &[&[3], &[3], &[3]], "expected two, received 3");
        harness::refuses(Dot::new(1), &[3], "expected two, received one");
        let three = LayerSpec::from_arguments("Dot", config! { "axes": [1, 1, 1] });
        let error = three.unwrap_err().to_string();
        assert!(error.contains("for each of the two"), "{error}");
    }

    #[test]
    fn the_cosine_with_nothing_is_nothing_and_has_a_gradient() {
        let zero = Array::new(vec![1, 2], DType::F32, vec![0.0, 0.0]);
        let other = Array::new(vec![1, 2], DType::F32, vec![3.0, 4.0]);
        let layer = Dot::new(1).normalize(true);
        let found = harness::merge(layer, &[zero, other]);
        assert_eq!(found[0], Tensor::from_f32(&[1, 1], vec![0.0]).unwrap());
        assert!(found[1..].iter().all(|slope| slope.to_f64() == [0.0, 0.0]));
    }
}
