//! What made a model's outputs.

use danlu_graph::operations::{Operation, UnaryKind};
use danlu_graph::{Graph, Value};

use super::Model;
use crate::Result;
use crate::activations::Activation;

impl Model {
    /// The activation that made the model's first output, where one did: softmax and sigmoid give probabilities.
    ///
    /// # Errors
    /// The model is not built.
    pub fn output_activation(&self) -> Result<Option<Activation>> {
        Ok(self.output_activations()?.into_iter().next().flatten())
    }

    /// As [`output_activation`](Self::output_activation), for each output in order.
    ///
    /// # Errors
    /// The model is not built.
    pub fn output_activations(&self) -> Result<Vec<Option<Activation>>> {
        self.require_built("output_activation")?;
        let graph = Graph::new();
        let inputs = self.graph_inputs(&graph)?;
        let outputs = self.forward(&graph, &inputs, false, None)?;
        Ok(outputs.iter().map(activation).collect())
    }
}

/// The activation that made a value, where one did.
fn activation(output: &Value) -> Option<Activation> {
    match output.operation() {
        Operation::Softmax(_) => Some(Activation::Softmax),
        Operation::Unary(unary) => match unary.kind {
            UnaryKind::Sigmoid => Some(Activation::Sigmoid),
            UnaryKind::Relu => Some(Activation::Relu),
            UnaryKind::Tanh => Some(Activation::Tanh),
            _ => None,
        },
        _ => None,
    }
}
