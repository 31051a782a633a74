//! Rows or columns that stand at right angles.

use danlu_graph::{DType, Shape, Value};

use super::{RegularizerFunction, check_factor};
use crate::{Arguments, Config, Error, Result, config};

/// What an [`OrthogonalRegularizer`] makes orthogonal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrthogonalMode {
    /// Axis 0: the inputs of a `Dense`.
    Rows,
    /// Axis 1: its units.
    Columns,
}

/// `factor` times the mean of the absolute dot products between different rows (or columns) of a matrix, each first brought
/// to norm 1 (Keras' `OrthogonalRegularizer`). Default: 0.01, rows.
#[derive(Clone, Debug)]
pub struct OrthogonalRegularizer {
    factor: f64,
    mode: OrthogonalMode,
}

impl OrthogonalRegularizer {
    /// With this factor, at least 0, over rows.
    pub fn new(factor: f64) -> OrthogonalRegularizer {
        OrthogonalRegularizer {
            factor,
            mode: OrthogonalMode::Rows,
        }
    }

    /// Rows (default) or columns.
    #[must_use]
    pub fn mode(mut self, mode: OrthogonalMode) -> OrthogonalRegularizer {
        self.mode = mode;
        self
    }
}

impl Default for OrthogonalRegularizer {
    /// A factor of 0.01, over rows.
    fn default() -> OrthogonalRegularizer {
        OrthogonalRegularizer::new(0.01)
    }
}

/// Norms below it count as it, as in Keras.
const SMALLEST_NORM: f64 = 1e-7;

impl RegularizerFunction for OrthogonalRegularizer {
    fn class_name(&self) -> &str {
        "OrthogonalRegularizer"
    }

    fn config(&self) -> Config {
        let mode = match self.mode {
            OrthogonalMode::Rows => "rows",
            OrthogonalMode::Columns => "columns",
        };
        config! { "factor": self.factor, "mode": mode }
    }

    fn penalty(&self, value: &Value) -> Result<Value> {
        let shape = value.shape();
        let (count, axis, transposed) = match (self.mode, shape.dims()) {
            (OrthogonalMode::Rows, [rows, _]) => (rows.as_fixed(), 1, [false, true]),
            (OrthogonalMode::Columns, [_, columns]) => (columns.as_fixed(), 0, [true, false]),
            _ => (None, 0, [false, false]),
        };
        let count = match count {
            Some(count) if count > 1 => count,
            _ => {
                return Err(Error::mismatch(
                    "OrthogonalRegularizer",
                    "a matrix of at least two rows (or columns, by `mode`)",
                    format!("a parameter of shape {shape}"),
                    "give it to a kernel of two axes, such as that of Dense",
                ));
            }
        };
        let squares = value.square()?.sum(&[axis], true)?;
        let norms = squares.maximum_scalar(SMALLEST_NORM.powi(2))?.sqrt()?;
        let unit = value.divide(&norms)?;
        let products = unit.matmul_with(&unit, transposed[0], transposed[1])?;
        let square = Shape::from([count, count].as_slice());
        let graph = value.graph();
        let row = graph.iota(square.clone(), 0, DType::I32)?;
        let different = row.not_equal(&graph.iota(square, 1, DType::I32)?)?;
        let sum = products
            .abs()?
            .multiply(&different.cast(DType::F32)?)?
            .sum_all()?;
        // Each pair stands in the sum twice.
        let pairs = count as f64 * (count as f64 - 1.0);
        Ok(sum.multiply_scalar(self.factor / pairs)?)
    }

    fn check(&self) -> Result<()> {
        check_factor("OrthogonalRegularizer", "factor", self.factor)
    }

    fn from_config(arguments: &mut Arguments) -> Result<OrthogonalRegularizer> {
        let factor = arguments.number("factor")?.unwrap_or(0.01);
        let mode = match arguments.string("mode")?.as_deref() {
            None | Some("rows") => OrthogonalMode::Rows,
            Some("columns") => OrthogonalMode::Columns,
            Some(other) => {
                let (class, expected) = ("OrthogonalRegularizer", "`rows` or `columns`");
                return Err(Error::argument(class, "mode", expected, other));
            }
        };
        Ok(OrthogonalRegularizer { factor, mode })
    }
}
