//! A program as text that a person can read.

use std::fmt;

use crate::Program;

impl fmt::Display for Program {
    /// One line a node: its number, type, operation, inputs, attributes and the layer that made it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = Vec::new();
        for (place, node) in self.nodes().iter().enumerate() {
            let inputs: Vec<String> = node
                .inputs
                .iter()
                .map(|input| format!("%{input}"))
                .collect();
            let mut call = node.operation.name();
            if !inputs.is_empty() {
                call = format!("{call}({})", inputs.join(", "));
            }
            let attributes = node.operation.attributes();
            if !attributes.is_empty() {
                call = format!("{call} {attributes}");
            }
            let value_type = node.value_type.to_string();
            lines.push((
                format!("%{place} = {value_type}"),
                call,
                node.path.to_string(),
            ));
        }
        let left = lines.iter().map(|line| line.0.len()).max().unwrap_or(0);
        let middle = lines
            .iter()
            .map(|line| line.1.len())
            .max()
            .unwrap_or(0)
            .min(72);
        for (value, call, path) in lines {
            if path.is_empty() {
                writeln!(formatter, "{value:left$}  {call}")?;
            } else {
                writeln!(formatter, "{value:left$}  {call:middle$}  # {path}")?;
            }
        }
        for output in self.outputs() {
            writeln!(formatter, "return \"{}\" = %{}", output.name, output.node)?;
        }
        for update in self.updates() {
            writeln!(formatter, "update \"{}\" = %{}", update.state, update.node)?;
        }
        Ok(())
    }
}
