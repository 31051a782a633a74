//! Operations that a user gives: the open end of the set.

use std::fmt;
use std::sync::Arc;

use super::{Backward, Family};
use crate::reference::Array;
use crate::{Bindings, Error, Result, Value, ValueType};

/// A shape rule, a reference and an optional gradient, written by a user of the library.
pub trait CustomOperation: Send + Sync {
    /// The name in dumps and error messages.
    fn name(&self) -> &str;

    /// The type of the result.
    ///
    /// # Errors
    /// The operation does not take these inputs.
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType>;

    /// The elements of the result, of this shape, row-major.
    ///
    /// # Errors
    /// The result cannot be computed.
    fn evaluate(&self, inputs: &[&Array], shape: &[usize]) -> Result<Vec<f64>>;

    /// The gradient with respect to each input, given inputs, result and the result's gradient.
    ///
    /// # Errors
    /// There is none (the default).
    fn gradient(
        &self,
        inputs: &[Value],
        output: &Value,
        gradient: &Value,
    ) -> Result<Vec<Option<Value>>> {
        let _ = (inputs, output, gradient);
        Err(Error::new(format!(
            "the custom operation {} has no gradient",
            self.name()
        )))
    }
}

/// A user's operation in a graph. An executor without a kernel for it runs its reference.
#[derive(Clone)]
pub struct Custom(pub Arc<dyn CustomOperation>);

impl fmt::Debug for Custom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Custom({})", self.0.name())
    }
}

impl PartialEq for Custom {
    fn eq(&self, other: &Custom) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Family for Custom {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        self.0.infer(inputs)
    }
    fn gradient(&self, backward: &Backward) -> Result<Vec<Option<Value>>> {
        self.0
            .gradient(&backward.inputs, &backward.output, &backward.gradient)
    }
    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let values = self.0.evaluate(inputs, shape)?;
        let expected: usize = shape.iter().product();
        if values.len() != expected {
            return Err(Error::new(format!(
                "the custom operation {} gave {} elements for shape {shape:?}",
                self.0.name(),
                values.len()
            )));
        }
        Ok(values)
    }
}
