//! Constraints: what a parameter is brought to after each of the optimizer's steps. One file per constraint.
//!
//! A layer takes one by name or value; a constraint of your own implements [`ConstraintFunction`] and, to be saved, loaded and
//! named in recipes, is made known once with [`register_constraint`].
//!
//! ```
//! use danlu::constraints::{ConstraintFunction, MaxNorm, register_constraint};
//! use danlu::prelude::*;
//! use danlu::{Arguments, Config, Result, config};
//! use danlu_graph::Value;
//!
//! /// Keeps every number between `-limit` and `limit`.
//! #[derive(Debug)]
//! struct Clip { limit: f64 }
//!
//! impl ConstraintFunction for Clip {
//!     fn class_name(&self) -> &str { "Clip" }
//!     fn apply(&self, parameter: &Value) -> Result<Value> {
//!         Ok(parameter.maximum_scalar(-self.limit)?.minimum_scalar(self.limit)?)
//!     }
//!     fn config(&self) -> Config { config! { "limit": self.limit } }
//!     fn from_config(arguments: &mut Arguments) -> Result<Self> {
//!         Ok(Clip { limit: arguments.number("limit")?.unwrap_or(1.0) })
//!     }
//! }
//!
//! register_constraint::<Clip>("Clip")?;
//! let mut model = Sequential::new();
//! model.add(Input::new([4]));
//! model.add(Dense::new(3).kernel_constraint(MaxNorm::new(2.0)).bias_constraint(Clip { limit: 0.5 }));
//! model.compile("sgd", "mse", ["mae"])?;
//! # Ok::<(), danlu::Error>(())
//! ```

mod json;
mod max_norm;
mod min_max_norm;
mod non_neg;
mod norms;
mod unit_norm;

use std::fmt::Debug;
use std::sync::Arc;

use danlu_graph::{DType, Graph, Shape, Value};

use crate::choice::Choice;
use crate::{Arguments, Config, Error, Result};

pub use json::register_constraint;
pub use max_norm::MaxNorm;
pub use min_max_norm::MinMaxNorm;
pub use non_neg::NonNeg;
pub use unit_norm::UnitNorm;

/// A rule that brings a parameter to where it may be.
pub trait ConstraintFunction: Send + Sync + Debug + 'static {
    /// Keras' class name, such as `MaxNorm`.
    fn class_name(&self) -> &str;

    /// The arguments, by Keras' names.
    fn config(&self) -> Config;

    /// The parameter, f32, as it may be: of the same shape.
    ///
    /// # Errors
    /// The parameter has a shape that it is not for.
    fn apply(&self, parameter: &Value) -> Result<Value>;

    /// Checks the arguments.
    ///
    /// # Errors
    /// One has a value that it cannot have.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// A constraint with these arguments. Those that are not taken are reported as unknown by the caller.
    ///
    /// # Errors
    /// An argument is missing or has a value that it cannot have.
    fn from_config(arguments: &mut Arguments) -> Result<Self>
    where
        Self: Sized;
}

/// A constraint, as layers take it.
#[derive(Clone, Debug)]
pub struct Constraint(Arc<dyn ConstraintFunction>);

impl Constraint {
    /// A constraint from a type of this module or of your own.
    pub fn new(function: impl ConstraintFunction) -> Constraint {
        Constraint(Arc::new(function))
    }

    /// What it does.
    pub fn function(&self) -> &dyn ConstraintFunction {
        &*self.0
    }

    /// The parameter, f32, as it may be: of the same shape.
    ///
    /// # Errors
    /// The parameter has a shape that it is not for; a constraint of a program's own gives another shape or dtype.
    pub fn apply(&self, parameter: &Value) -> Result<Value> {
        let result = self.0.apply(parameter)?;
        if result.value_type() != parameter.value_type() {
            return Err(Error::mismatch(
                format!("what the constraint {} gives", self.0.class_name()),
                parameter.value_type().to_string(),
                result.value_type().to_string(),
                "",
            ));
        }
        Ok(result)
    }

    /// Fails unless the arguments are good and a parameter of this shape can be held to it.
    pub(crate) fn check(&self, shape: &[usize]) -> Result<()> {
        self.0.check()?;
        let graph = Graph::new();
        self.apply(&graph.input("parameter", Shape::from(shape), DType::F32)?)?;
        Ok(())
    }
}

impl From<Constraint> for Choice<Constraint> {
    fn from(constraint: Constraint) -> Choice<Constraint> {
        Choice::Value(constraint)
    }
}

impl<F: ConstraintFunction> From<F> for Choice<Constraint> {
    fn from(function: F) -> Choice<Constraint> {
        Choice::Value(Constraint::new(function))
    }
}

#[cfg(test)]
mod tests;
