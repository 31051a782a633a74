//! One node for all that compute the same.

use std::collections::HashMap;

use super::{Rewrite, push, rebuild};
use crate::graph::NodeId;
use crate::{Program, Result};

/// Merges nodes with equal operation and inputs.
pub struct CommonSubexpressions;

impl Rewrite for CommonSubexpressions {
    fn name(&self) -> &'static str {
        "common-subexpressions"
    }

    fn apply(&self, program: &mut Program) -> Result<usize> {
        let mut seen: HashMap<(String, Vec<NodeId>), Vec<NodeId>> = HashMap::new();
        let mut merged = 0;
        rebuild(program, |nodes, node| {
            let candidates = seen
                .entry((node.operation.name(), node.inputs.clone()))
                .or_default();
            let twin = candidates.iter().copied().find(|&place| {
                nodes[place].operation == node.operation
                    && nodes[place].value_type == node.value_type
            });
            if let Some(place) = twin {
                merged += 1;
                return Ok(place);
            }
            candidates.push(nodes.len());
            push(nodes, node)
        })?;
        Ok(merged)
    }
}
