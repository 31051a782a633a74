//! The layers' operations in a graph.

use std::cell::Cell;

use danlu_graph::{Graph, Value};

use super::{Model, Source};
use crate::layers::{CallContext, RandomInputs};
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
            outputs.push(self.call_node(graph, index, &values, training, random)?);
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
    ) -> Result<Value> {
        let node = &self.nodes[index];
        let context = CallContext {
            graph,
            path: &node.name,
            training,
            parameters: &node.parameters,
            random,
            draws: Cell::new(0),
        };
        graph
            .scope(&node.name, || node.layer.call(&context, inputs))
            .map_err(|error| error.in_layer(&node.title()))
    }
}
