//! From a group to the step that computes it.

use danlu_graph::{Bindings, NodeId, Operation, Result};

use super::Planner;
use super::concrete::{Pooling, root};
use super::context::{Location, Step};
use super::steps::{self, Kernel, Operands};
use crate::fuse::tape::{Entry, Operand, Tape};

impl Planner<'_> {
    /// The kernel of a group: that of its heavy node, or none where the group is one pass over elements.
    pub(super) fn kernel(&self, group: usize, bindings: &Bindings) -> Result<Kernel> {
        match self.groups.groups[group].heavy {
            Some(heavy) => steps::kernel(
                self.nodes,
                &self.nodes[heavy],
                bindings,
                self.isa,
                self.threads,
                self.groups.groups[group].pooled,
            ),
            None => Ok(Kernel::none()),
        }
    }

    /// The step of a group, now that every value has its place.
    pub(super) fn lower(
        &self,
        group: usize,
        kernel: Kernel,
        scratch: Option<Location>,
        kept: Option<Location>,
    ) -> Result<Box<dyn Step>> {
        let group = &self.groups.groups[group];
        let pooled = group.pooled.map(|pooled| pooled.node);
        let passed = |member: &NodeId| Some(*member) != group.heavy && Some(*member) != pooled;
        let passed: Vec<NodeId> = group.members.iter().copied().filter(passed).collect();
        let tape = self.tape(&passed)?;
        let Some(heavy) = group.heavy else {
            return Ok(match tape {
                Some(tape) => Box::new(steps::elementwise::Pass::new(tape)),
                None => Box::new(steps::elementwise::Nothing),
            });
        };
        let node = &self.nodes[heavy];
        Ok(kernel.build(Operands {
            inputs: node
                .inputs
                .iter()
                .map(|&input| self.locations[&root(self.nodes, input)])
                .collect(),
            output: self.locations[&heavy],
            scratch,
            kept,
            pass: tape,
            places: match node.pooling {
                Pooling::No => None,
                Pooling::Notes => self.places.get(&heavy).copied(),
                // The pooling is the last input of a convolution's gradient, and the first of its own.
                Pooling::Spreads(_) => node
                    .inputs
                    .iter()
                    .rev()
                    .find_map(|input| self.places.get(input).copied()),
            },
            pooled: group.pooled.map(|pooled| steps::PooledResult {
                pool: pooled.pool,
                output: self.locations[&pooled.node],
                places: self.places.get(&pooled.node).copied(),
            }),
        }))
    }

    /// The pass over elementwise members of a group.
    fn tape(&self, passed: &[NodeId]) -> Result<Option<Tape>> {
        let (Some(&first), true) = (
            passed.first(),
            passed.iter().any(|&member| self.nodes[member].count() > 0),
        ) else {
            return Ok(None);
        };
        let entries: Vec<Entry<'_>> = passed
            .iter()
            .map(|&member| {
                let node = &self.nodes[member];
                let operands = node
                    .inputs
                    .iter()
                    .map(|input| {
                        let source = root(self.nodes, *input);
                        match passed.iter().position(|own| *own == source) {
                            Some(entry) => Operand::Entry(entry),
                            None => Operand::Outside {
                                location: self.locations[&source],
                                dtype: self.nodes[*input].dtype,
                                shape: self.nodes[*input].shape.clone(),
                                within: node.shape.clone(),
                                zero: is_zero(&self.nodes[source].operation),
                            },
                        }
                    })
                    .collect();
                let store = self.locations.get(&member).copied();
                Entry {
                    operation: &node.operation,
                    dtype: node.dtype,
                    operands,
                    store,
                }
            })
            .collect();
        Tape::new(self.nodes[first].count(), &entries)
            .map(Some)
            .ok_or_else(|| self.nodes[first].error("is not an elementwise operation"))
    }
}

/// Whether an operation is the constant 0 (of one element, and without a sign).
fn is_zero(operation: &Operation) -> bool {
    match operation {
        Operation::Constant(constant) => {
            constant.tensor.len() == 1 && constant.tensor.get_f64(0).to_bits() == 0
        }
        _ => false,
    }
}
