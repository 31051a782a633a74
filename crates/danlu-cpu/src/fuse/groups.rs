//! Elementwise neighbours become one pass, and a pass over a product's or convolution's result joins its kernel, which
//! runs it on each piece while that is in cache.
//!
//! Nodes of one number of elements are merged (a reshape between them changes no element's place) greedily in topological order, where no path between two of them leads through a node
//! outside (which would have to run in the middle of the pass).

use danlu_graph::{DType, NodeId, Operation};

use super::pooling;
use crate::kernels::pooling::Pool2d;
use crate::plan::concrete::{Concrete, is_tape, root};

/// Groups stop growing here, so that a pass keeps its tiles in the first-level cache.
const LARGEST_GROUP: usize = 48;

/// Leaves of fewer elements lie in a cache, and are read as often as is wanted.
const WORTH_JOINING: usize = 1 << 16;

/// Nodes that one step computes.
pub(crate) struct Group {
    /// In topological order.
    pub members: Vec<NodeId>,
    /// The product or convolution that the pass follows, if any; also the only member of a group without a pass.
    pub heavy: Option<NodeId>,
    /// The max-pooling of the convolution's (passed) result, if it follows on each piece: then nobody else reads that.
    pub pooled: Option<Pooled>,
}

/// A max-pooling that follows a convolution.
#[derive(Clone, Copy)]
pub(crate) struct Pooled {
    /// The max-pooling.
    pub node: NodeId,
    /// What it pools.
    pub input: NodeId,
    pub pool: Pool2d,
}

/// A partition of the nodes that are computed.
pub(crate) struct Groups {
    /// The group of each node; none for leaves and aliases.
    pub of: Vec<Option<usize>>,
    /// Emptied where merged into another.
    pub groups: Vec<Group>,
    /// Of each group the latest node among its own and all that it depends on, over any path.
    latest: Vec<NodeId>,
}

/// Whether a pass can follow the node's kernel.
fn takes_epilogue(node: &Concrete) -> bool {
    let product = matches!(
        node.operation,
        Operation::MatMul(_)
            | Operation::Convolution2d(_)
            | Operation::Convolution2dInputGradient(_)
            | Operation::Convolution2dWeightGradient(_)
    );
    product && node.dtype == DType::F32 && node.count() > 0
}

/// Of each node the nodes that read it, also through aliases.
fn readers(nodes: &[Concrete]) -> Vec<Vec<NodeId>> {
    let mut readers = vec![Vec::new(); nodes.len()];
    for (place, node) in nodes.iter().enumerate() {
        if !node.is_alias() {
            for &input in &node.inputs {
                readers[root(nodes, input)].push(place);
            }
        }
    }
    readers
}

impl Groups {
    /// Groups the nodes; `kept` are values that the program gives back or stores.
    pub fn new(nodes: &[Concrete], kept: &[NodeId]) -> Groups {
        let mut groups = Groups {
            of: vec![None; nodes.len()],
            groups: Vec::new(),
            latest: Vec::new(),
        };
        let readers = readers(nodes);
        for (place, node) in nodes.iter().enumerate() {
            if node.is_leaf() || node.is_alias() || node.unused {
                continue;
            }
            let own = groups.groups.len();
            groups.of[place] = Some(own);
            groups.latest.push(place);
            if !is_tape(nodes, node) {
                groups.groups.push(Group {
                    members: vec![place],
                    heavy: Some(place),
                    pooled: None,
                });
                continue;
            }
            groups.groups.push(Group {
                members: vec![place],
                heavy: None,
                pooled: None,
            });
            // The latest producers first: what was computed just before is in cache.
            let mut candidates: Vec<usize> = node
                .inputs
                .iter()
                .filter_map(|&input| groups.of[root(nodes, input)])
                .collect();
            candidates.sort_unstable_by(|a, b| b.cmp(a));
            candidates.dedup();
            for candidate in candidates {
                groups.try_merge(nodes, candidate, groups.of[place].unwrap_or(own));
            }
            groups.note_latest(&readers, groups.of[place].unwrap_or(own), place);
        }
        for place in 0..nodes.len() {
            groups.join_readers(nodes, &readers, place);
        }
        for place in 0..nodes.len() {
            groups.try_pool(nodes, &readers, kept, place);
        }
        groups
    }

    /// Lets the passes that read a large state or input element by element be one, which reads it once.
    fn join_readers(&mut self, nodes: &[Concrete], readers: &[Vec<NodeId>], leaf: NodeId) {
        let size = nodes[leaf].count();
        if !nodes[leaf].is_leaf() || size < WORTH_JOINING {
            return;
        }
        let same = readers[leaf].iter().filter(|&&reader| {
            let group = self.of[reader].map(|group| &self.groups[group]);
            nodes[reader].count() == size && group.is_some_and(|group| group.heavy.is_none())
        });
        let mut same: Vec<NodeId> = same.copied().collect();
        same.sort_unstable();
        let Some((&first, rest)) = same.split_first() else {
            return;
        };
        for &reader in rest {
            if let (Some(left), Some(right)) = (self.of[first], self.of[reader])
                && left != right
            {
                self.try_merge(nodes, left, right);
                if self.of[reader] == Some(left) {
                    // Later than any node: what the two depend on stands in no order.
                    self.note_latest(readers, left, nodes.len());
                }
            }
        }
    }

    /// Lets a max-pooling follow the convolution that makes its input, if nobody else looks at that.
    fn try_pool(
        &mut self,
        nodes: &[Concrete],
        readers: &[Vec<NodeId>],
        kept: &[NodeId],
        node: NodeId,
    ) {
        if !matches!(nodes[node].operation, Operation::MaxPool2d(_)) || nodes[node].unused {
            return;
        }
        let (Some(pool), Some(own)) = (pooling::may_follow(nodes, node), self.of[node]) else {
            return;
        };
        let input = nodes[node].inputs[0];
        let Some(group) = self.of[input] else {
            return;
        };
        let Some(heavy) = self.groups[group].heavy else {
            return;
        };
        let hidden = |value: NodeId| {
            !kept.contains(&value)
                && readers[value]
                    .iter()
                    .all(|&reader| reader == node || self.of[reader] == Some(group))
        };
        let good = matches!(nodes[heavy].operation, Operation::Convolution2d(_))
            && takes_epilogue(&nodes[heavy])
            && nodes[input].shape == nodes[heavy].shape
            && self.groups[group].pooled.is_none()
            && self.groups[own].members.len() == 1
            && readers[input] == [node]
            && hidden(input)
            && hidden(heavy);
        if good {
            self.groups[own] = Group {
                members: Vec::new(),
                heavy: None,
                pooled: None,
            };
            self.of[node] = Some(group);
            self.groups[group].members.push(node);
            self.groups[group].pooled = Some(Pooled { node, input, pool });
        }
    }

    /// Merges two groups where their shapes, sizes and dependencies allow it.
    fn try_merge(&mut self, nodes: &[Concrete], left: usize, right: usize) {
        if left == right {
            return;
        }
        let (a, b) = (&self.groups[left], &self.groups[right]);
        let heavy = match (a.heavy, b.heavy) {
            (Some(_), Some(_)) => return,
            (one, other) => one.or(other),
        };
        if heavy.is_some_and(|heavy| !takes_epilogue(&nodes[heavy])) {
            return;
        }
        let (Some(&first), Some(&second)) = (a.members.first(), b.members.first()) else {
            return;
        };
        if nodes[first].count() != nodes[second].count()
            || a.members.len() + b.members.len() > LARGEST_GROUP
            || self.path_between(nodes, left, right)
        {
            return;
        }
        // A kernel's pass sees its result element by element; nothing else of the group may feed the kernel.
        if let Some(heavy) = heavy
            && self.feeds(nodes, heavy, left, right)
        {
            return;
        }
        let moved = std::mem::take(&mut self.groups[right].members);
        for &member in &moved {
            self.of[member] = Some(left);
        }
        let group = &mut self.groups[left];
        group.members.extend(moved);
        group.members.sort_unstable();
        group.heavy = heavy;
        self.groups[right].heavy = None;
    }

    /// Whether an input of the kernel is computed in one of the groups.
    fn feeds(&self, nodes: &[Concrete], heavy: NodeId, left: usize, right: usize) -> bool {
        nodes[heavy].inputs.iter().any(|&input| {
            let group = self.of[root(nodes, input)];
            group == Some(left) || group == Some(right)
        })
    }

    fn members(&self, left: usize, right: usize) -> impl Iterator<Item = NodeId> + '_ {
        let right = self.groups[right].members.iter();
        self.groups[left].members.iter().chain(right).copied()
    }

    /// Whether a path leads from one of the two groups over a third back into one of them.
    fn path_between(&self, nodes: &[Concrete], left: usize, right: usize) -> bool {
        let inside = |group: usize| group == left || group == right;
        let mut seen = vec![false; self.groups.len()];
        let mut open: Vec<usize> = Vec::new();
        let lowest = self.members(left, right).min().unwrap_or(0);
        for group in [left, right] {
            for outside in self.dependencies(nodes, group) {
                if !inside(outside) && !seen[outside] {
                    seen[outside] = true;
                    open.push(outside);
                }
            }
        }
        while let Some(group) = open.pop() {
            // What a group depends on may stand after its own members: nodes that others of its kind have taken in.
            if self.latest[group] < lowest {
                continue;
            }
            for dependency in self.dependencies(nodes, group) {
                if inside(dependency) {
                    return true;
                }
                if !seen[dependency] {
                    seen[dependency] = true;
                    open.push(dependency);
                }
            }
        }
        false
    }

    /// A group now depends on this node, the last so far, and so does every group that depends on that group.
    fn note_latest(&mut self, readers: &[Vec<NodeId>], group: usize, node: NodeId) {
        let mut open = vec![group];
        while let Some(group) = open.pop() {
            self.latest[group] = node;
            for &member in &self.groups[group].members {
                let reading = readers[member].iter().filter_map(|&reader| self.of[reader]);
                open.extend(reading.filter(|&reader| self.latest[reader] < node));
            }
        }
    }

    /// The groups that a group reads from.
    pub fn dependencies(&self, nodes: &[Concrete], group: usize) -> Vec<usize> {
        let mut result: Vec<usize> = self.groups[group]
            .members
            .iter()
            .flat_map(|&member| &nodes[member].inputs)
            .filter_map(|&input| self.of[root(nodes, input)])
            .filter(|&dependency| dependency != group)
            .collect();
        result.sort_unstable();
        result.dedup();
        result
    }
}
