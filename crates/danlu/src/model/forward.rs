//! The layers' operations in a graph.

use danlu_graph::{Graph, Value};

use super::{Model, Source};
use crate::layers::{CallContext, Effects, RandomInputs};
use crate::{Error, Result};

impl Model {
    /// The model's output for this input: `(batch, ...)` to `(batch, ...)`.
    pub(crate) fn forward(
        &self,
        graph: &Graph,
        input: &Value,
        training: bool,
        random: Option<&RandomInputs>,
    ) -> Result<Value> {
        self.forward_with(graph, input, training, random, &Effects::default())
    }

    /// As [`forward`](Self::forward), with what the layers add to the loss and to the state.
    pub(crate) fn forward_with(
        &self,
        graph: &Graph,
        input: &Value,
        training: bool,
        random: Option<&RandomInputs>,
        effects: &Effects,
    ) -> Result<Value> {
        let mut outputs: Vec<Value> = Vec::with_capacity(self.nodes.len());
        for (index, node) in self.nodes.iter().enumerate() {
            let values: Vec<Value> = node
                .inputs
                .iter()
                .map(|source| match source {
                    Source::Input(_) => input.clone(),
                    Source::Layer(place) => outputs[*place].clone(),
                })
                .collect();
            outputs.push(self.call_node(graph, index, &values, training, random, effects)?);
        }
        outputs.pop().ok_or(Error::NotReady {
            action: "the model",
            problem: "it has no layer".to_owned(),
            advice: "add some first".to_owned(),
        })
    }

    pub(super) fn call_node(
        &self,
        graph: &Graph,
        index: usize,
        inputs: &[Value],
        training: bool,
        random: Option<&RandomInputs>,
        effects: &Effects,
    ) -> Result<Value> {
        let node = &self.nodes[index];
        let context = CallContext {
            training,
            trainable: node.trainable,
            random,
            ..CallContext::new(graph, &node.name, &node.parameters, effects)
        };
        let call = || {
            let output = node.layer.call(&context, inputs)?;
            if let Some(regularizer) = &node.activity_regularizer {
                context.add_activity(&regularizer.resolve()?, &output)?;
            }
            Ok(output)
        };
        graph
            .scope(&node.name, call)
            .map_err(|error: Error| error.in_layer(&node.title()))
    }
}
