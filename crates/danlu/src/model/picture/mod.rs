//! A picture of a model: a box for each use of a layer, in rows from the inputs down to the outputs.
//!
//! Source: K. Sugiyama, S. Tagawa, M. Toda: Methods for Visual Understanding of Hierarchical System Structures (1981): rows by the
//! longest way from the inputs, lines that pass through rows as places of their own, an order with few crossings.

mod draw;
mod layout;

use super::{Model, Source};
use crate::Result;

/// What a box says and how it looks.
#[derive(Clone, Debug, PartialEq)]
struct Card {
    name: String,
    class_name: String,
    /// Shapes of the outputs and parameters.
    facts: String,
    look: Look,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Look {
    Input,
    /// A layer with parameters.
    Learned,
    Plain,
    /// A layer that makes one value of several.
    Merging,
    /// A model in the model.
    Model,
}

/// A model as boxes and lines between them.
#[derive(Clone, Debug, Default, PartialEq)]
struct Diagram {
    cards: Vec<Card>,
    /// From one box to another, each pair in the order of the second one's inputs.
    edges: Vec<(usize, usize)>,
    /// The boxes that give outputs, with the outputs' names.
    outputs: Vec<(usize, String)>,
}

impl Model {
    /// A picture of the model as an SVG document: boxes with a layer's name, type, output shape and number of parameters, and
    /// lines from each to those that it goes to. A layer that is used several times has as many boxes, which say so; a model in
    /// the model is one box with a thick border. It can be read on light and dark backgrounds.
    ///
    /// # Errors
    /// The model is not built.
    pub fn to_svg(&self) -> Result<String> {
        self.require_built("to_svg")?;
        let diagram = self.diagram();
        let sizes: Vec<f64> = diagram.cards.iter().map(draw::width).collect();
        let placed = layout::place(&sizes, &diagram.edges);
        Ok(draw::document(&self.name, &diagram, &sizes, &placed))
    }

    fn diagram(&self) -> Diagram {
        let mut diagram = Diagram::default();
        for (place, call) in self.calls.iter().enumerate() {
            diagram.cards.push(self.card(place));
            for source in &call.inputs {
                if let Source::Call { call, .. } = source {
                    diagram.edges.push((*call, place));
                }
            }
        }
        for (source, name) in self.outputs.iter().zip(self.output_names()) {
            if let Source::Call { call, .. } = source {
                diagram.outputs.push((*call, name));
            }
        }
        diagram
    }

    fn card(&self, place: usize) -> Card {
        let call = &self.calls[place];
        let node = &self.nodes[call.node];
        let shape = |shape: &danlu_graph::Shape| {
            let sizes: Vec<String> = shape.dims()[1..].iter().map(ToString::to_string).collect();
            match sizes.is_empty() {
                true => "1 number".to_owned(),
                false => sizes.join(" × "),
            }
        };
        let shapes: Vec<String> = call.output_shapes.iter().map(shape).collect();
        let mut facts = shapes.join(", ");
        let parameters = node.parameters.iter();
        let parameters: usize = parameters
            .map(|one| one.shape.iter().product::<usize>())
            .sum();
        let again = self.calls[..place]
            .iter()
            .any(|other| other.node == call.node);
        if parameters > 0 {
            facts += &format!("  ·  {} parameters", super::summary::grouped(parameters));
            match (again, node.trainable) {
                (true, _) => facts += ", shared",
                (false, false) => facts += ", frozen",
                (false, true) => {}
            }
        } else if again {
            facts += "  ·  used again";
        }
        let look = match node.layer.as_model() {
            Some(_) => Look::Model,
            None if node.layer.input_shape().is_some() => Look::Input,
            None if call.inputs.len() > 1 => Look::Merging,
            None if parameters > 0 => Look::Learned,
            None => Look::Plain,
        };
        let mut class_name = node.layer.class_name().to_owned();
        if let Some(training) = call.training {
            class_name += &format!(" (training={training})");
        }
        Card {
            name: node.name.clone(),
            class_name,
            facts,
            look,
        }
    }
}

#[cfg(test)]
mod tests;
