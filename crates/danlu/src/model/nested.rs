//! A model as a layer of another.

use std::ops::RangeInclusive;

use danlu_graph::{Shape, Tensor, Value};

use super::Model;
use super::forward::Calls;
use crate::layers::{BuildContext, CallContext, Layer, LayerSpec};
use crate::{Arguments, Config, Error, Result};

/// A model that is a layer of another. Its parameters are called `dense/kernel` there, and begin with the numbers that they
/// had in the model, where it had any.
#[derive(Debug)]
pub(crate) struct Nested {
    pub model: Model,
    /// The numbers that the parameters begin with, in order, once they were read; empty where they are drawn.
    weights: Vec<Tensor>,
}

impl Layer for Nested {
    fn class_name(&self) -> &str {
        match self.model.is_sequential() {
            true => "Sequential",
            false => "Functional",
        }
    }

    fn build(&mut self, context: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        if self.model.built {
            self.weights = self.model.weights()?;
            (self.model.executor, self.model.built) = (None, false);
        }
        self.model.infer_shapes_of(inputs)?;
        context.keep_order();
        let mut weights = self.weights.iter();
        for node in &self.model.nodes {
            for parameter in &node.parameters {
                let mut own = parameter.clone();
                own.name = format!("{}/{}", node.name, parameter.name);
                own.trainable &= node.trainable;
                if let Some(weight) = weights.next() {
                    own.value = Some(weight.clone());
                }
                context.add(own)?;
            }
        }
        Ok(())
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let mut outputs = self.call_all(context, inputs)?;
        Ok(outputs.swap_remove(0))
    }

    fn call_all(&self, context: &CallContext, inputs: &[Value]) -> Result<Vec<Value>> {
        let calls = Calls {
            training: context.training,
            trainable: context.trainable,
            random: context.random,
            path: context.path,
            number: context.number,
            ..Calls::new(context.graph, context.effects)
        };
        self.model.run_calls(&calls, inputs)
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        let count = self.model.input_names().len();
        count..=count
    }

    fn outputs(&self) -> usize {
        self.model.outputs.len()
    }

    fn config(&self) -> Config {
        self.model.keras_config()
    }

    fn from_config(arguments: &mut Arguments) -> Result<Nested> {
        Err(Error::unsupported(
            arguments.owner(),
            "a model given by arguments",
            "a model's layers come from its file",
        ))
    }

    fn as_model(&self) -> Option<&Model> {
        Some(&self.model)
    }

    fn as_model_mut(&mut self) -> Option<&mut Model> {
        Some(&mut self.model)
    }
}

impl From<Model> for LayerSpec {
    /// The model as a layer of another, under its name. It takes its parameters along, and leaves what it was compiled with.
    fn from(mut model: Model) -> LayerSpec {
        model.plans.clear(model.executor.as_deref_mut());
        model.compiled = None;
        let name = model.name.clone();
        let nested: Box<dyn Layer> = Box::new(Nested {
            model,
            weights: Vec::new(),
        });
        LayerSpec::from(nested).name(&name)
    }
}

impl From<super::Sequential> for LayerSpec {
    fn from(model: super::Sequential) -> LayerSpec {
        model.into_model().into()
    }
}
