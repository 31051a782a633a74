//! The argument `axis`: one axis or several, negative ones counted from the end.

use danlu_graph::Shape;
use serde_json::{Value, json};

use crate::{Arguments, Error, Result};

/// The axes as they were given.
#[derive(Clone, Debug)]
pub(crate) struct Axes(Vec<isize>);

impl Axes {
    pub fn new(axes: impl IntoIterator<Item = isize>) -> Axes {
        Axes(axes.into_iter().collect())
    }

    /// Takes the argument `axis`; what is not given stays as it is.
    pub fn take(&mut self, arguments: &mut Arguments) -> Result<()> {
        if let Some(axes) = arguments.axes("axis")? {
            self.0 = axes;
        }
        Ok(())
    }

    /// As Keras writes it: a number, or a list.
    pub fn to_json(&self) -> Value {
        match self.0.as_slice() {
            [only] => json!(only),
            axes => json!(axes),
        }
    }

    /// The axes of a value of this shape, in rising order; none is meant twice, and there is one at least.
    pub fn of(&self, owner: &str, shape: &Shape) -> Result<Vec<usize>> {
        let wrong = |expected: String| Error::argument(owner, "axis", expected, self.to_json());
        let mut axes: Vec<usize> = Vec::with_capacity(self.0.len());
        for &axis in &self.0 {
            let Ok(axis) = shape.axis(axis) else {
                return Err(wrong(format!("among the axes of {shape}")));
            };
            if axes.contains(&axis) {
                return Err(wrong("each axis once".to_owned()));
            }
            axes.push(axis);
        }
        if axes.is_empty() {
            return Err(wrong("an axis at least".to_owned()));
        }
        axes.sort_unstable();
        Ok(axes)
    }

    /// As [`of`](Self::of), for the input `(batch, ...)` of a layer: never axis 0, and each of fixed size. With the sizes.
    pub fn of_examples(&self, owner: &str, shape: &Shape) -> Result<(Vec<usize>, Vec<usize>)> {
        let axes = self.of(owner, shape)?;
        let sizes = axes.iter().map(|&axis| shape.dims()[axis].as_fixed());
        match sizes.collect::<Option<Vec<usize>>>() {
            Some(sizes) if !axes.contains(&0) => Ok((axes, sizes)),
            _ => {
                let expected = format!("axes of fixed size of {shape}, not that of the examples");
                Err(Error::argument(owner, "axis", expected, self.to_json()))
            }
        }
    }
}

/// Axes as the graph's operations take them.
pub(crate) fn signed(axes: &[usize]) -> Vec<isize> {
    axes.iter().map(|&axis| axis as isize).collect()
}

/// A shape with the sizes at these axes and 1 elsewhere, which spreads a parameter over a value of so many axes.
pub(crate) fn spread(rank: usize, axes: &[usize], sizes: &[usize]) -> Shape {
    let mut shape = vec![1; rank];
    for (&axis, &size) in axes.iter().zip(sizes) {
        shape[axis] = size;
    }
    Shape::from(shape.as_slice())
}
