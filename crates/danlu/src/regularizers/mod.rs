//! Regularizers: penalties on parameters or on a layer's output, added to the loss. One file per regularizer.
//!
//! A layer takes one by name or value; a regularizer of your own implements [`RegularizerFunction`] and, to be saved, loaded
//! and named in recipes, is made known once with [`register_regularizer`].
//!
//! ```
//! use danlu::prelude::*;
//! use danlu::regularizers::{RegularizerFunction, register_regularizer};
//! use danlu::{Arguments, Config, Result, config};
//! use danlu_graph::Value;
//!
//! /// Pulls the mean of a parameter to 0.
//! #[derive(Debug)]
//! struct Centered { factor: f64 }
//!
//! impl RegularizerFunction for Centered {
//!     fn class_name(&self) -> &str { "Centered" }
//!     fn penalty(&self, value: &Value) -> Result<Value> {
//!         Ok(value.mean_all()?.square()?.multiply_scalar(self.factor)?)
//!     }
//!     fn config(&self) -> Config { config! { "factor": self.factor } }
//!     fn from_config(arguments: &mut Arguments) -> Result<Self> {
//!         Ok(Centered { factor: arguments.number("factor")?.unwrap_or(0.1) })
//!     }
//! }
//!
//! register_regularizer::<Centered>("Centered")?;
//! let mut model = Sequential::new();
//! model.add(Input::new([4]));
//! model.add(Dense::new(3).kernel_regularizer(Centered { factor: 0.5 }).bias_regularizer("l2"));
//! model.compile("sgd", "mse", ["mae"])?;
//! # Ok::<(), danlu::Error>(())
//! ```

mod json;
mod l1;
mod l1l2;
mod l2;
mod orthogonal;

use std::fmt::Debug;
use std::sync::Arc;

use danlu_graph::{DType, Graph, Shape, Value};

use crate::choice::Choice;
use crate::{Arguments, Config, Error, Result};

pub use json::register_regularizer;
pub use l1::L1;
pub use l1l2::L1L2;
pub use l2::L2;
pub use orthogonal::{OrthogonalMode, OrthogonalRegularizer};

/// A penalty: one number for a parameter or for a layer's output.
pub trait RegularizerFunction: Send + Sync + Debug + 'static {
    /// Keras' class name, such as `L2`.
    fn class_name(&self) -> &str;

    /// The arguments, by Keras' names.
    fn config(&self) -> Config;

    /// The penalty of an f32 value of any shape: f32 without axes.
    ///
    /// # Errors
    /// The value has a shape that it is not for.
    fn penalty(&self, value: &Value) -> Result<Value>;

    /// Checks the arguments.
    ///
    /// # Errors
    /// One has a value that it cannot have.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// A regularizer with these arguments. Those that are not taken are reported as unknown by the caller.
    ///
    /// # Errors
    /// An argument is missing or has a value that it cannot have.
    fn from_config(arguments: &mut Arguments) -> Result<Self>
    where
        Self: Sized;
}

/// A regularizer, as layers take it.
#[derive(Clone, Debug)]
pub struct Regularizer(Arc<dyn RegularizerFunction>);

impl Regularizer {
    /// A regularizer from a type of this module or of your own.
    pub fn new(function: impl RegularizerFunction) -> Regularizer {
        Regularizer(Arc::new(function))
    }

    /// What it computes.
    pub fn function(&self) -> &dyn RegularizerFunction {
        &*self.0
    }

    /// The penalty of a value: f32 without axes.
    ///
    /// # Errors
    /// The value has a shape that it is not for; a regularizer of a program's own gives something else than one number.
    pub fn penalty(&self, value: &Value) -> Result<Value> {
        let penalty = self.0.penalty(value)?;
        if penalty.shape().rank() != 0 || penalty.dtype() != DType::F32 {
            return Err(Error::mismatch(
                format!("the penalty of {}", self.0.class_name()),
                "one float32 without axes",
                penalty.value_type().to_string(),
                "",
            ));
        }
        Ok(penalty)
    }

    /// Fails unless the arguments are good and a parameter of this shape can have the penalty.
    pub(crate) fn check(&self, shape: &[usize]) -> Result<()> {
        self.0.check()?;
        let graph = Graph::new();
        self.penalty(&graph.input("parameter", Shape::from(shape), DType::F32)?)?;
        Ok(())
    }
}

impl From<Regularizer> for Choice<Regularizer> {
    fn from(regularizer: Regularizer) -> Choice<Regularizer> {
        Choice::Value(regularizer)
    }
}

impl<F: RegularizerFunction> From<F> for Choice<Regularizer> {
    fn from(function: F) -> Choice<Regularizer> {
        Choice::Value(Regularizer::new(function))
    }
}

/// Fails unless a factor is a finite number of at least 0.
fn check_factor(owner: &str, argument: &str, factor: f64) -> Result<()> {
    crate::optimizers::check_rate(owner, argument, factor)
}

#[cfg(test)]
mod tests;
