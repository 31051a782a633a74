//! Shapes: the sizes of the axes of a value, each a number or a name.

use std::fmt;

use crate::{Bindings, Dim, Error, Result};

/// The sizes of the axes of a value.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Shape(Vec<Dim>);

impl Shape {
    /// A shape of these dimensions.
    pub fn new(dims: impl IntoIterator<Item = impl Into<Dim>>) -> Shape {
        Shape(dims.into_iter().map(Into::into).collect())
    }

    /// The shape of a number: no axes.
    pub fn scalar() -> Shape {
        Shape(Vec::new())
    }

    /// `batch` examples of this shape.
    pub fn batch_of(example: &[usize]) -> Shape {
        let mut dims = vec![Dim::batch()];
        dims.extend(example.iter().copied().map(Dim::fixed));
        Shape(dims)
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// The dimensions.
    pub fn dims(&self) -> &[Dim] {
        &self.0
    }

    /// The dimensions, to change.
    pub fn dims_mut(&mut self) -> &mut Vec<Dim> {
        &mut self.0
    }

    /// Whether a size is a number below 0, as differences of sizes can be.
    pub(crate) fn has_negative(&self) -> bool {
        let mut constants = self.0.iter().filter_map(Dim::as_constant);
        constants.any(|size| size < 0)
    }

    /// The number of elements, as an expression.
    pub fn element_count(&self) -> Dim {
        self.0
            .iter()
            .fold(Dim::fixed(1), |product, dim| &product * dim)
    }

    /// All dimensions as numbers, where none is named.
    pub fn as_fixed(&self) -> Option<Vec<usize>> {
        self.0.iter().map(Dim::as_fixed).collect()
    }

    /// The numbers under these bindings.
    ///
    /// # Errors
    /// A name is not bound, or a size would be negative or too large.
    pub fn evaluate(&self, bindings: &Bindings) -> Result<Vec<usize>> {
        let sizes = self
            .0
            .iter()
            .map(|dim| dim.evaluate(bindings))
            .collect::<Result<Vec<usize>>>()?;
        crate::tensor::element_count(&sizes)?;
        Ok(sizes)
    }

    /// The axis that an index names: negative ones count from the end.
    ///
    /// # Errors
    /// There is no such axis.
    pub fn axis(&self, index: isize) -> Result<usize> {
        let rank = self.rank() as isize;
        let axis = if index < 0 { index + rank } else { index };
        if (0..rank).contains(&axis) {
            Ok(axis as usize)
        } else {
            Err(Error::new(format!(
                "axis {index} is outside a value of shape {self} ({rank} axes)"
            )))
        }
    }

    /// The shape that two shapes take together when axes of size 1, and missing leading axes, are repeated (NumPy's
    /// broadcasting).
    ///
    /// # Errors
    /// Two sizes differ and neither is 1.
    pub fn broadcast(&self, other: &Shape) -> Result<Shape> {
        let rank = self.rank().max(other.rank());
        let one = Dim::fixed(1);
        let at = |shape: &Shape, axis: usize| -> Dim {
            let missing = rank - shape.rank();
            if axis < missing {
                one.clone()
            } else {
                shape.0[axis - missing].clone()
            }
        };
        (0..rank)
            .map(|axis| {
                let (left, right) = (at(self, axis), at(other, axis));
                if left == right || right.is_one() {
                    Ok(left)
                } else if left.is_one() {
                    Ok(right)
                } else {
                    Err(Error::new(format!(
                        "shapes {self} and {other} do not fit together: axis {axis} is {left} in one and {right} in the other"
                    )))
                }
            })
            .collect::<Result<Vec<Dim>>>()
            .map(Shape)
    }
}

impl From<Vec<Dim>> for Shape {
    fn from(dims: Vec<Dim>) -> Shape {
        Shape(dims)
    }
}

impl From<&[usize]> for Shape {
    fn from(sizes: &[usize]) -> Shape {
        Shape::new(sizes.iter().copied())
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(")?;
        for (index, dim) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str(", ")?;
            }
            write!(formatter, "{dim}")?;
        }
        formatter.write_str(")")
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_broadcast_as_in_numpy() {
        let left = Shape::batch_of(&[3, 1]);
        let right = Shape::new([4]);
        assert_eq!(left.broadcast(&right).unwrap().to_string(), "(batch, 3, 4)");
        assert!(left.broadcast(&Shape::new([2, 4])).is_err());
        assert_eq!(left.axis(-1).unwrap(), 2);
        assert!(left.axis(3).is_err());
    }
}
