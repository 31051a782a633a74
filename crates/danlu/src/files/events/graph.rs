//! A model as TensorFlow's `GraphDef`: a node for each use of a layer.

use danlu_graph::Shape;

use super::message::Message;
use crate::Model;
use crate::model::Source;

/// The version of `GraphDef` that TensorFlow 2 writes.
const PRODUCER: u64 = 1087;

/// The model's graph.
pub(super) fn definition(model: &Model) -> Message {
    let calls = &model.calls;
    let names: Vec<String> = (0..calls.len())
        .map(|place| {
            let node = calls[place].node;
            let name = &model.nodes[node].name;
            match calls[..place]
                .iter()
                .filter(|call| call.node == node)
                .count()
            {
                0 => name.clone(),
                before => format!("{name}.{}", before + 1),
            }
        })
        .collect();
    let mut graph = Message::new();
    for (call, name) in calls.iter().zip(&names) {
        let node = &model.nodes[call.node];
        let mut own = Message::new()
            .text(1, name)
            .text(2, node.layer.class_name());
        for source in &call.inputs {
            own = match source {
                Source::Call { call, output: 0 } => own.text(3, &names[*call]),
                Source::Call { call, output } => own.text(3, format!("{}:{output}", names[*call])),
                // What reads a model's input is an Input layer, or the first layer of a chain.
                Source::Input(_) => own,
            };
        }
        let shapes = call.output_shapes.iter().map(shape);
        let shapes = shapes.fold(Message::new(), |list, shape| list.message(7, &shape));
        own = attribute(own, "_output_shapes", &Message::new().message(1, &shapes));
        let parameters = node.parameters.iter();
        let parameters: usize = parameters
            .map(|one| one.shape.iter().product::<usize>())
            .sum();
        if parameters > 0 {
            let count = Message::new().number(3, parameters as u64);
            own = attribute(own, "parameters", &count);
        }
        graph = graph.message(1, &own);
    }
    // An event holds the graph as bytes, which is encoded as a message would be.
    graph.message(4, &Message::new().number(1, PRODUCER))
}

fn attribute(node: Message, name: &str, value: &Message) -> Message {
    let entry = Message::new().text(1, name).message(2, value);
    node.message(5, &entry)
}

/// A `TensorShapeProto`; sizes that are not known are -1.
fn shape(shape: &Shape) -> Message {
    let sizes = shape.dims().iter().map(|size| size.as_fixed());
    sizes.fold(Message::new(), |shape, size| {
        let size = size.map_or(u64::MAX, |size| size as u64);
        shape.message(2, &Message::new().number(1, size))
    })
}
