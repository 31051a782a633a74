//! Operations of Keras' that stand between the layers of a functional model, and are no layers there: `x / 2`, `x[:, 0]`,
//! `ops.mean(x, axis=1)`.
//!
//! Source: `keras.src.ops` of Keras 3.15.1, whose broadcasting is NumPy's.

mod function;
mod indexing;
mod movement;
mod operand;

use danlu_graph::{Shape, Value};
use serde_json::Value as Json;

use super::{BuildContext, CallContext, Layer};
use crate::{Arguments, Config, Error, Result};

pub(crate) use operand::{Operand, operands};

use function::Function;

/// An operation in a model that was read from one of Keras' files, where no layer does the same. It has no parameters, and
/// is written back as it was read.
///
/// Operations are not made here: in Rust, write the layer ([`Rescaling`](super::Rescaling), [`Add`](super::Add)), a
/// layer of your own, or arithmetic on [`Symbol`](crate::Symbol)s.
#[derive(Clone, Debug)]
pub struct Operation {
    class_name: String,
    config: Config,
    /// The arguments as Keras writes them, tensors among them.
    arguments: Json,
    operands: Vec<Operand>,
    function: Function,
}

impl Operation {
    /// The operation of this class.
    ///
    /// # Errors
    /// It is not known here, or has an argument that it cannot have.
    pub(crate) fn read(
        class_name: &str,
        config: &Config,
        arguments: &Json,
        operands: Vec<Operand>,
    ) -> Result<Operation> {
        let owner = format!("the operation {class_name}");
        let mut given = Arguments::from_file(owner, config.clone());
        given.string("name")?;
        let function = Function::read(class_name, &mut given, &operands)?;
        given.finish()?;
        Ok(Operation {
            class_name: class_name.to_owned(),
            config: config.clone(),
            arguments: arguments.clone(),
            operands,
            function,
        })
    }

    /// The module of Keras' that has it.
    pub(crate) fn module(&self) -> &'static str {
        function::module(&self.class_name)
    }

    /// The arguments as Keras writes them, with these tensors in place of those that were read.
    pub(crate) fn arguments(&self, tensors: Vec<Json>) -> Json {
        let mut arguments = self.arguments.clone();
        operand::replace_tensors(&mut arguments, &mut tensors.into_iter());
        arguments
    }
}

impl Layer for Operation {
    fn class_name(&self) -> &str {
        &self.class_name
    }

    fn inputs(&self) -> std::ops::RangeInclusive<usize> {
        let count = operand::tensor_count(&self.operands);
        count..=count
    }

    fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        let expected = operand::tensor_count(&self.operands);
        match inputs.len() == expected {
            true => Ok(()),
            false => Err(Error::mismatch(
                format!("the inputs of the operation {}", self.class_name),
                expected.to_string(),
                inputs.len().to_string(),
                "",
            )),
        }
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let mut outputs = self.call_all(context, inputs)?;
        Ok(outputs.swap_remove(0))
    }

    fn call_all(&self, context: &CallContext, inputs: &[Value]) -> Result<Vec<Value>> {
        let values = operand::values(&self.operands, context.graph(), inputs)?;
        let outputs = self.function.apply(&self.class_name, &values)?;
        // What has no axis of examples is the sum of a batch, or worse: nothing that a model can have.
        for output in &outputs {
            if !output
                .shape()
                .dims()
                .first()
                .is_some_and(|dim| dim.is_batch())
            {
                return Err(Error::unsupported(
                    format!("the operation {}", self.class_name),
                    format!(
                        "a result {}, whose axis 0 is not the examples",
                        output.shape()
                    ),
                    "use axes from 1 on",
                ));
            }
        }
        Ok(outputs)
    }

    fn outputs(&self) -> usize {
        self.function.outputs()
    }

    fn config(&self) -> Config {
        let mut config = self.config.clone();
        config.shift_remove("name");
        config
    }

    fn from_config(arguments: &mut Arguments) -> Result<Operation> {
        Err(Error::unsupported(
            arguments.owner(),
            "an operation given by arguments",
            "operations come from the files of functional models",
        ))
    }

    fn as_operation(&self) -> Option<&Operation> {
        Some(self)
    }
}
