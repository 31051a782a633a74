//! The layers' operations in a graph.

use std::ops::RangeInclusive;

use danlu_graph::{DType, Graph, Shape, Value};

use super::{Model, Source};
use crate::layers::{CallContext, Effects, RandomInputs};
use crate::{Error, Result};

/// Calls of one layer draw their random numbers so far apart.
const DRAWS_OF_A_CALL: u64 = 1 << 32;

/// What the calls of a model's layers share.
#[derive(Clone, Copy)]
pub(crate) struct Calls<'a> {
    pub graph: &'a Graph,
    pub training: bool,
    /// Whether training may change the layers at all.
    pub trainable: bool,
    pub random: Option<&'a RandomInputs>,
    pub effects: &'a Effects,
    /// The path of the model, where it is a layer of another; empty otherwise.
    pub path: &'a str,
    /// The number of the model's call.
    pub number: u64,
}

impl<'a> Calls<'a> {
    pub fn new(graph: &'a Graph, effects: &'a Effects) -> Calls<'a> {
        Calls {
            graph,
            training: false,
            trainable: true,
            random: None,
            effects,
            path: "",
            number: 0,
        }
    }
}

impl Model {
    /// Graph inputs for the model's: `x`, or the inputs' names, each `(batch, ...)`.
    pub(crate) fn graph_inputs(&self, graph: &Graph) -> Result<Vec<Value>> {
        let shapes = self.input_shapes().unwrap_or_default();
        let names = self.input_names().into_iter();
        names
            .zip(shapes)
            .map(|(name, shape)| Ok(graph.input(name, Shape::batch_of(&shape), DType::F32)?))
            .collect()
    }

    /// The model's outputs for these inputs, each `(batch, ...)`.
    pub(crate) fn forward(
        &self,
        graph: &Graph,
        inputs: &[Value],
        training: bool,
        random: Option<&RandomInputs>,
    ) -> Result<Vec<Value>> {
        self.forward_with(graph, inputs, training, random, &Effects::default())
    }

    /// As [`forward`](Self::forward), with what the layers add to the loss and to the state.
    pub(crate) fn forward_with(
        &self,
        graph: &Graph,
        inputs: &[Value],
        training: bool,
        random: Option<&RandomInputs>,
        effects: &Effects,
    ) -> Result<Vec<Value>> {
        let calls = Calls {
            training,
            random,
            ..Calls::new(graph, effects)
        };
        self.run_calls(&calls, inputs)
    }

    /// Makes all calls; gives the outputs.
    pub(crate) fn run_calls(&self, calls: &Calls<'_>, inputs: &[Value]) -> Result<Vec<Value>> {
        let mut outputs: Vec<Vec<Value>> = Vec::with_capacity(self.calls.len());
        for index in 0..self.calls.len() {
            let values = self.call_inputs(index, inputs, &outputs);
            outputs.push(self.make_call(calls, index, &values)?);
        }
        if self.outputs.is_empty() {
            return Err(Error::NotReady {
                action: "the model",
                problem: "it has no layer".to_owned(),
                advice: "add some first".to_owned(),
            });
        }
        let value = |source: &Source| value(source, inputs, &outputs);
        Ok(self.outputs.iter().map(value).collect())
    }

    /// What comes to a layer at its first call, as in predictions.
    pub(crate) fn input_of(&self, layer: &str, graph: &Graph, inputs: &[Value]) -> Result<Value> {
        let called = |index: &usize| self.nodes[self.calls[*index].node].name == layer;
        let Some(last) = (0..self.calls.len()).find(called) else {
            return Err(Error::unknown("layer", layer, self.layer_names()));
        };
        let effects = Effects::default();
        let calls = Calls::new(graph, &effects);
        let mut outputs: Vec<Vec<Value>> = Vec::with_capacity(last);
        for index in 0..last {
            let values = self.call_inputs(index, inputs, &outputs);
            outputs.push(self.make_call(&calls, index, &values)?);
        }
        Ok(self.call_inputs(last, inputs, &outputs).swap_remove(0))
    }

    /// The inputs of a call, of the model's inputs and the outputs of the calls before it.
    pub(super) fn call_inputs(
        &self,
        index: usize,
        inputs: &[Value],
        outputs: &[Vec<Value>],
    ) -> Vec<Value> {
        let sources = self.calls[index].inputs.iter();
        sources
            .map(|source| value(source, inputs, outputs))
            .collect()
    }

    pub(super) fn make_call(
        &self,
        calls: &Calls<'_>,
        index: usize,
        inputs: &[Value],
    ) -> Result<Vec<Value>> {
        let place = self.calls[index].node;
        let before = &self.calls[..index];
        let number = before.iter().filter(|call| call.node == place).count();
        // A call of a call of a model that is called again has a number of its own.
        let uses = self.calls.iter().filter(|call| call.node == place).count();
        let number = calls.number * uses as u64 + number as u64;
        let calls = Calls {
            training: self.calls[index].training.unwrap_or(calls.training),
            ..*calls
        };
        self.call_layer(&calls, place, number, inputs)
    }

    /// The results of a layer; `number` says which of its calls in a step this is.
    pub(crate) fn call_layer(
        &self,
        calls: &Calls<'_>,
        place: usize,
        number: u64,
        inputs: &[Value],
    ) -> Result<Vec<Value>> {
        let node = &self.nodes[place];
        let path = match calls.path.is_empty() {
            true => node.name.clone(),
            false => format!("{}/{}", calls.path, node.name),
        };
        let context = CallContext {
            training: calls.training,
            trainable: calls.trainable && node.trainable,
            random: calls.random,
            number,
            draws: (number * DRAWS_OF_A_CALL).into(),
            ..CallContext::new(calls.graph, &path, &node.parameters, calls.effects)
        };
        let call = || {
            check_count(&node.layer.inputs(), inputs)?;
            let outputs = node.layer.call_all(&context, inputs)?;
            if let Some(regularizer) = &node.activity_regularizer {
                for output in &outputs {
                    context.add_activity(&regularizer.resolve()?, output)?;
                }
            }
            Ok(outputs)
        };
        calls
            .graph
            .scope(&node.name, call)
            .map_err(|error: Error| error.in_layer(&node.title()))
    }
}

fn value(source: &Source, inputs: &[Value], outputs: &[Vec<Value>]) -> Value {
    match *source {
        Source::Input(place) => inputs[place].clone(),
        Source::Call { call, output } => outputs[call][output].clone(),
    }
}

/// Fails unless a layer takes so many inputs.
pub(super) fn check_count(takes: &RangeInclusive<usize>, inputs: &[Value]) -> Result<()> {
    if takes.contains(&inputs.len()) {
        return Ok(());
    }
    let expected = match (takes.start(), takes.end()) {
        (1, 1) => "one".to_owned(),
        (least, most) if least == most => least.to_string(),
        (least, _) => format!("{least} at least"),
    };
    let shapes: Vec<String> = inputs
        .iter()
        .map(|value| value.shape().to_string())
        .collect();
    let received = format!("{}: {}", inputs.len(), shapes.join(" and "));
    let advice = "a layer such as Add or Concatenate makes one of several";
    Err(Error::mismatch("the inputs", expected, received, advice))
}
