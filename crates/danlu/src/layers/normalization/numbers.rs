//! Mean or variance as they are given: a number, or nested lists.

use danlu_graph::Tensor;
use serde_json::Value;

use crate::{Arguments, Error, Result};

/// Numbers of a shape; without axes it is one for all.
#[derive(Clone, Debug)]
pub(super) struct Numbers {
    shape: Vec<usize>,
    values: Vec<f64>,
}

/// How deep lists may be nested.
const DEEPEST: usize = 8;

impl Numbers {
    /// One number for all, or one for each index.
    pub fn new(values: &[f64]) -> Numbers {
        let shape = match values {
            [_] => Vec::new(),
            values => vec![values.len()],
        };
        let values = values.to_vec();
        Numbers { shape, values }
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub fn take(arguments: &mut Arguments, argument: &str) -> Result<Option<Numbers>> {
        let Some(value) = arguments.take(argument) else {
            return Ok(None);
        };
        let mut numbers = Numbers {
            shape: shape(&value),
            values: Vec::new(),
        };
        match numbers.shape.len() <= DEEPEST && numbers.collect(&value, 0) {
            true => Ok(Some(numbers)),
            false => Err(arguments.wrong(argument, "a number or nested lists of them", &value)),
        }
    }

    /// Adds what stands in this list; `false` where it is not of the shape.
    fn collect(&mut self, value: &Value, depth: usize) -> bool {
        match (value, self.shape.get(depth)) {
            (Value::Array(values), Some(&size)) => {
                values.len() == size && values.iter().all(|value| self.collect(value, depth + 1))
            }
            (value, None) => value
                .as_f64()
                .map(|number| self.values.push(number))
                .is_some(),
            _ => false,
        }
    }

    pub fn check(&self, argument: &str, smallest: f64) -> Result<()> {
        let expected = match smallest.is_finite() {
            true => "finite numbers of at least 0",
            false => "finite numbers",
        };
        let fits = |number: &&f64| !number.is_finite() || **number < smallest;
        if self.values.is_empty() {
            return Err(Error::argument("Normalization", argument, expected, "none"));
        }
        match self.values.iter().find(fits) {
            Some(number) => Err(Error::argument("Normalization", argument, expected, number)),
            None => Ok(()),
        }
    }

    /// As f32 of this shape; missing leading axes and axes of 1 are repeated.
    pub fn tensor(&self, argument: &str, sizes: &[usize]) -> Result<Tensor> {
        let missing = sizes.len().checked_sub(self.shape.len());
        let missing = missing.filter(|&missing| {
            let pairs = self.shape.iter().zip(&sizes[missing..]);
            pairs.clone().all(|(&own, &size)| own == size || own == 1)
        });
        let Some(missing) = missing else {
            let expected = format!("numbers of shape {sizes:?}, or one");
            let received = format!("shape {:?}", self.shape);
            return Err(Error::argument(
                "Normalization",
                argument,
                expected,
                received,
            ));
        };
        let repeated: Vec<usize> = (0..self.shape.len())
            .filter(|&axis| self.shape[axis] != 1)
            .map(|axis| axis + missing)
            .collect();
        let count = danlu_graph::tensor::element_count(sizes)?;
        let value = |place: usize| self.values[group(place, sizes, &repeated)] as f32;
        Ok(Tensor::from_f32(sizes, (0..count).map(value).collect())?)
    }

    pub fn to_json(&self) -> Value {
        nested(&self.shape, &self.values)
    }
}

/// The flat place, among the indices of these axes alone, of the element at this flat place of a shape.
pub(super) fn group(place: usize, shape: &[usize], axes: &[usize]) -> usize {
    let (mut rest, mut stride, mut group) = (place, 1, 0);
    for (axis, &size) in shape.iter().enumerate().rev() {
        if axes.contains(&axis) {
            group += rest % size * stride;
            stride *= size;
        }
        rest /= size;
    }
    group
}

/// The shape of nested lists, by the first entry of each.
fn shape(value: &Value) -> Vec<usize> {
    let mut shape = Vec::new();
    let mut value = Some(value);
    while let Some(Value::Array(values)) = value {
        shape.push(values.len());
        value = values.first();
    }
    shape
}

fn nested(shape: &[usize], values: &[f64]) -> Value {
    match shape.split_first() {
        None => values.first().copied().into(),
        Some((&size, rest)) => {
            let parts = values.chunks((values.len() / size.max(1)).max(1));
            parts.map(|part| nested(rest, part)).collect()
        }
    }
}
