//! The elements of the last axis in order, and where they were.

use std::cmp::Ordering;

use super::{Backward, Family, expect_inputs};
use crate::reference::Array;
use crate::{Bindings, DType, Dim, Error, Result, Shape, Value, ValueType};

/// The elements along the last axis in rising order, or falling. Equals keep their order; NaN counts as the largest, and
/// 0 and -0 as equal.
#[derive(Clone, Debug, PartialEq)]
pub struct Sort {
    /// Whether the largest come first.
    pub descending: bool,
    /// How many from the front are given; all, if `None`.
    pub count: Option<usize>,
}

/// The places of the elements that [`Sort`] with the same attributes gives, as 32-bit integers.
#[derive(Clone, Debug, PartialEq)]
pub struct ArgSort {
    /// Whether the largest come first.
    pub descending: bool,
    /// How many from the front are given; all, if `None`.
    pub count: Option<usize>,
}

/// The shape of the result, or why there is none.
fn infer(name: &str, count: Option<usize>, inputs: &[ValueType]) -> Result<Shape> {
    expect_inputs(name, inputs, 1)?;
    let mut shape = inputs[0].shape.clone();
    let Some(last) = shape.dims_mut().last_mut() else {
        return Err(Error::new(format!(
            "{name} orders the last axis, received a value without axes"
        )));
    };
    let size = last.as_fixed();
    if size.is_some_and(|size| size > i32::MAX as usize) {
        return Err(Error::new(format!(
            "{name} orders at most 2^31 - 1 elements, received {last}"
        )));
    }
    if let Some(count) = count {
        if size.is_none_or(|size| count > size) || count == 0 {
            return Err(Error::new(format!(
                "{name} of {count} elements needs a last axis of fixed size with at least as many, and at least 1; received shape {}",
                inputs[0].shape
            )));
        }
        *last = Dim::fixed(count);
    }
    Ok(shape)
}

fn attributes(descending: bool, count: Option<usize>) -> String {
    let order = if descending {
        "descending"
    } else {
        "ascending"
    };
    match count {
        Some(count) => format!("{order} count={count}"),
        None => order.to_owned(),
    }
}

/// NaN is the largest, and equals itself.
fn compare(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b)
        .unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// For each row the places of its first `count` elements in order.
fn places(input: &Array, descending: bool, count: usize) -> Vec<Vec<usize>> {
    let size = input.shape.last().copied().unwrap_or(1);
    let order = |row: &[f64]| {
        let mut places: Vec<usize> = (0..size).collect();
        places.sort_by(|&a, &b| match descending {
            true => compare(row[b], row[a]),
            false => compare(row[a], row[b]),
        });
        places.truncate(count);
        places
    };
    input.data.chunks(size.max(1)).map(order).collect()
}

impl Family for Sort {
    fn name(&self) -> &str {
        "sort"
    }

    fn attributes(&self) -> String {
        attributes(self.descending, self.count)
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        let shape = infer("sort", self.count, inputs)?;
        Ok(ValueType::new(shape, inputs[0].dtype))
    }

    /// Each element's gradient goes to its place: in the flat value, row after row.
    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        let (x, gradient) = (&backward.inputs[0], &backward.gradient);
        let graph = x.graph();
        let shape = x.shape();
        let (rows, size) = match shape.dims() {
            [rows @ .., size] => (Shape::new(rows.iter().cloned()).element_count(), size),
            [] => return Err(Error::new("sort of a value without axes")),
        };
        let argsort = ArgSort {
            descending: self.descending,
            count: self.count,
        };
        let places = graph.add(argsort.into(), &[x])?;
        let last = gradient.shape().dims().last().cloned();
        let matrix = Shape::new([rows.clone(), last.unwrap_or_else(|| Dim::fixed(1))]);
        let row = graph.iota(Shape::new([rows, Dim::fixed(1)]), 0, DType::I64)?;
        let start = row.multiply(&graph.dimension_size(size, DType::I64)?)?;
        let flat = places.cast(DType::I64)?.reshape(&matrix)?.add(&start)?;
        let whole = Shape::new([shape.element_count()]);
        let moved = graph.scattered(&whole, &flat, &gradient.reshape(&matrix)?)?;
        Ok(vec![Some(moved.reshape(&shape)?)])
    }

    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let input = inputs[0];
        let count = shape.last().copied().unwrap_or(1);
        let size = input.shape.last().copied().unwrap_or(1);
        let rows = places(input, self.descending, count).into_iter();
        let values = rows.zip(input.data.chunks(size.max(1)));
        Ok(values
            .flat_map(|(places, row)| places.into_iter().map(|place| row[place]))
            .collect())
    }
}

impl Family for ArgSort {
    fn name(&self) -> &str {
        "argsort"
    }

    fn attributes(&self) -> String {
        attributes(self.descending, self.count)
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        let shape = infer("argsort", self.count, inputs)?;
        Ok(ValueType::new(shape, DType::I32))
    }

    fn gradient(&self, _: &Backward) -> Result<Vec<Option<Value>>> {
        Ok(vec![None])
    }

    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let count = shape.last().copied().unwrap_or(1);
        let rows = places(inputs[0], self.descending, count).into_iter();
        Ok(rows.flatten().map(|place| place as f64).collect())
    }
}

impl Value {
    /// Runs `order` on the value with `axis` as its last.
    fn along(&self, axis: isize, order: impl FnOnce(&Value) -> Result<Value>) -> Result<Value> {
        let axis = self.axis(axis)?;
        let mut swapped: Vec<usize> = (0..self.shape().rank()).collect();
        let last = swapped.len() - 1;
        if axis == last {
            return order(self);
        }
        swapped.swap(axis, last);
        order(&self.transpose(&swapped)?)?.transpose(&swapped)
    }

    /// The elements along an axis (negative ones count from the end) in rising order, or falling. Equals keep their order;
    /// NaN counts as the largest.
    ///
    /// # Errors
    /// There is no such axis.
    pub fn sort(&self, axis: isize, descending: bool) -> Result<Value> {
        let count = None;
        let sort = Sort { descending, count };
        self.along(axis, |value| value.graph().add(sort.into(), &[value]))
    }

    /// The places, along an axis, of the elements that [`sort`](Self::sort) gives, as 32-bit integers.
    ///
    /// # Errors
    /// There is no such axis.
    pub fn argsort(&self, axis: isize, descending: bool) -> Result<Value> {
        let count = None;
        let sort = ArgSort { descending, count };
        self.along(axis, |value| value.graph().add(sort.into(), &[value]))
    }

    /// The `k` largest elements of the last axis, the largest first, and their places as 32-bit integers. Of equals the
    /// first comes first; NaN counts as the largest.
    ///
    /// # Errors
    /// There is no axis, its size is not a number, or it is less than `k`; `k` is 0.
    pub fn top_k(&self, k: usize) -> Result<(Value, Value)> {
        let (descending, count) = (true, Some(k));
        let values = self
            .graph()
            .add(Sort { descending, count }.into(), &[self])?;
        let places = self
            .graph()
            .add(ArgSort { descending, count }.into(), &[self])?;
        Ok((values, places))
    }
}
