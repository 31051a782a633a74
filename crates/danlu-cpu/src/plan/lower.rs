//! From a group to the step that computes it.

use danlu_graph::{Bindings, DType, NodeId, Operation, Result};

use super::Planner;
use super::concrete::{Pooling, root, spreads};
use super::context::{Location, Step};
use super::steps::{self, Kernel, Operands};
use crate::fuse::groups::{Group, extent};
use crate::fuse::sums::{Wanted, piece_elements, statistic};
use crate::fuse::tape::{Entry, Operand, Tape};
use crate::kernels::product::Use;

impl Planner<'_> {
    /// The kernel of a group: that of its heavy node, or none where the group is one pass over elements.
    pub(super) fn kernel(&self, group: usize, bindings: &Bindings) -> Result<Kernel> {
        let kernel = match self.groups.groups[group].heavy {
            Some(heavy) => steps::kernel(
                self.nodes,
                &self.nodes[heavy],
                bindings,
                self.isa,
                self.threads,
                Use {
                    followed: self.groups.groups[group].pooled.map(|pooled| pooled.pool),
                    steady: self.weights_stay(heavy),
                    whole_rows: self.groups.sums(self.nodes, group).next().is_some(),
                },
            ),
            None => Ok(Kernel::none()),
        }?;
        let sums = || self.groups.sums(self.nodes, group);
        let Some((_, columns)) = sums().next() else {
            return Ok(kernel);
        };
        let bytes = piece_elements(sums()) * size_of::<f32>();
        Ok(match self.groups.groups[group].heavy {
            Some(_) => kernel.with_sums(bytes),
            None => steps::elementwise::room_for_sums(self.extent(group), columns, bytes),
        })
    }

    /// Elements of a group's pass.
    fn extent(&self, group: usize) -> usize {
        let members = &self.groups.groups[group].members;
        members
            .first()
            .map_or(0, |&member| extent(self.nodes, member))
    }

    /// The step of a group, now that every value has its place.
    pub(super) fn lower(
        &self,
        group: usize,
        kernel: Kernel,
        scratch: Option<Location>,
        kept: Option<Location>,
    ) -> Result<Box<dyn Step>> {
        let count = self.extent(group);
        let group = &self.groups.groups[group];
        let tape = self.tape(group, count)?;
        let Some(heavy) = group.heavy else {
            return Ok(match tape {
                Some(tape) => Box::new(steps::elementwise::Pass::new(tape, scratch)),
                None => Box::new(steps::elementwise::Nothing),
            });
        };
        let node = &self.nodes[heavy];
        let sums = kernel.sums_bytes();
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
            sums,
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

    /// The pass over the elementwise members of a group, of so many elements, and the sums that it takes.
    fn tape(&self, group: &Group, count: usize) -> Result<Option<Tape>> {
        let pooled = group.pooled.map(|pooled| pooled.node);
        let others = |member: &NodeId| Some(*member) != group.heavy && Some(*member) != pooled;
        let is_sum = |member: &NodeId| statistic(self.nodes, &self.nodes[*member]).is_some();
        let (sums, passed): (Vec<NodeId>, Vec<NodeId>) = group
            .computed()
            .into_iter()
            .filter(others)
            .partition(is_sum);
        if count == 0 || (passed.is_empty() && sums.is_empty()) {
            return Ok(None);
        }
        let entries: Vec<Entry<'_>> = passed
            .iter()
            .map(|&member| {
                let node = &self.nodes[member];
                let spread = spreads(node);
                let operands = node.inputs.iter().enumerate().map(|(slot, &input)| {
                    if spread.is_some() && slot == 0 {
                        return self.noted_places(input);
                    }
                    Ok(self.operand(&passed, input, &node.shape))
                });
                let summed = |sum: &NodeId| root(self.nodes, self.nodes[*sum].inputs[0]) == member;
                let own = group.members.contains(&member);
                Ok(Entry {
                    operation: &node.operation,
                    dtype: node.dtype,
                    operands: operands.collect::<Result<_>>()?,
                    store: self.locations.get(&member).copied().filter(|_| own),
                    summed: sums.iter().any(summed),
                    spread,
                })
            })
            .collect::<Result<_>>()?;
        let wanted: Vec<Wanted> = sums
            .iter()
            .filter_map(|&sum| {
                let node = &self.nodes[sum];
                let (statistic, columns) = statistic(self.nodes, node)?;
                let input = node.inputs[0];
                Some(Wanted {
                    statistic,
                    operand: self.operand(&passed, input, &self.nodes[input].shape),
                    memory: self.locations.get(&root(self.nodes, input)).copied(),
                    columns,
                    output: self.locations.get(&sum).copied()?,
                })
            })
            .collect();
        let tape = Tape::new(count, &entries, &wanted);
        tape.map(Some).ok_or_else(|| {
            let first = passed.first().or(sums.first()).map_or(0, |&first| first);
            self.nodes[first].error("is not an elementwise operation")
        })
    }

    /// An operand of a pass that makes these values, repeated over a shape.
    fn operand(&self, passed: &[NodeId], input: NodeId, within: &[usize]) -> Operand {
        let source = root(self.nodes, input);
        match passed.iter().position(|own| *own == source) {
            Some(entry) => Operand::Entry(entry),
            None => Operand::Outside {
                location: self.locations[&source],
                dtype: self.nodes[input].dtype,
                shape: self.nodes[input].shape.clone(),
                within: within.to_vec(),
                zero: is_zero(&self.nodes[source].operation),
            },
        }
    }

    /// The places that a pooling notes.
    fn noted_places(&self, pooling: NodeId) -> Result<Operand> {
        let node = &self.nodes[pooling];
        let places = self.places.get(&pooling).copied();
        let location = places.ok_or_else(|| node.error("notes no places"))?;
        Ok(Operand::Outside {
            location,
            dtype: DType::U8,
            shape: node.shape.clone(),
            within: node.shape.clone(),
            zero: false,
        })
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
