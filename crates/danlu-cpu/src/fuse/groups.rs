//! Elementwise neighbours become one pass, and a pass over a product's or convolution's result joins its kernel, which
//! runs it on each piece while that is in cache.
//!
//! Nodes of one number of elements are merged (a reshape between them changes no element's place) greedily in topological order, where no path between two of them leads through a node
//! outside (which would have to run in the middle of the pass).

use danlu_graph::{DType, NodeId, Operation};

use super::again;
use super::{pooling, sums};
use crate::kernels::pooling::Pool2d;
use crate::kernels::reduce::Statistic;
use crate::plan::concrete::{Concrete, is_tape, root, spreads};

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
    /// Elements of other groups that the pass computes once more, in place of reading them; in topological order.
    pub again: Vec<NodeId>,
}

impl Group {
    /// A group of one node, which is not a pass where it is `heavy`.
    fn of_one(node: NodeId, heavy: bool) -> Group {
        Group {
            members: vec![node],
            heavy: heavy.then_some(node),
            pooled: None,
            again: Vec::new(),
        }
    }

    /// What is left of a group that another has taken in.
    fn empty() -> Group {
        Group {
            members: Vec::new(),
            heavy: None,
            pooled: None,
            again: Vec::new(),
        }
    }

    /// The nodes that the group's step computes, in topological order.
    pub fn computed(&self) -> Vec<NodeId> {
        let mut all = self.members.clone();
        all.extend(&self.again);
        all.sort_unstable();
        all
    }

    /// The values that the group's step reads from outside, each once.
    pub fn reads(&self, nodes: &[Concrete]) -> Vec<NodeId> {
        let computed = self.computed();
        let mut reads: Vec<NodeId> = computed
            .iter()
            .flat_map(|&member| &nodes[member].inputs)
            .map(|&input| root(nodes, input))
            .filter(|input| computed.binary_search(input).is_err())
            .collect();
        reads.sort_unstable();
        reads.dedup();
        reads
    }
}

/// Elements of the pass that a node is part of: a sum is part of that over its operand.
pub(crate) fn extent(nodes: &[Concrete], node: NodeId) -> usize {
    match sums::statistic(nodes, &nodes[node]) {
        Some(_) => nodes[nodes[node].inputs[0]].count(),
        None => nodes[node].count(),
    }
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
            if !is_tape(nodes, node) && sums::statistic(nodes, node).is_none() {
                groups.groups.push(Group::of_one(place, true));
                continue;
            }
            groups.groups.push(Group::of_one(place, false));
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
        // A sum by itself has a kernel of its own.
        for group in &mut groups.groups {
            if let [only] = group.members.as_slice()
                && sums::statistic(nodes, &nodes[*only]).is_some()
                && !nodes[*only].variance
            {
                group.heavy = Some(*only);
            }
        }
        again::compute_again(nodes, &readers, kept, &mut groups);
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
            && hidden(heavy)
            && !self.sums(nodes, group).any(|_| true);
        if good {
            self.groups[own] = Group::empty();
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
        if extent(nodes, first) != extent(nodes, second)
            || !self.sums_allow(nodes, heavy, left, right)
            || self.spreads_inside(nodes, left, right)
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

    /// The statistics that a group's pass takes, and of how many columns.
    pub fn sums<'a>(
        &'a self,
        nodes: &'a [Concrete],
        group: usize,
    ) -> impl Iterator<Item = (Statistic, usize)> + 'a {
        let group = &self.groups[group];
        let passed = group
            .members
            .iter()
            .filter(|&&member| group.heavy != Some(member));
        passed.filter_map(|&member| sums::statistic(nodes, &nodes[member]))
    }

    /// Whether nothing in two groups is against one pass for both that takes the sums of both: they are sums of columns of one
    /// number, nobody in the pass waits for one, and the kernel gives its result row by row.
    fn sums_allow(
        &self,
        nodes: &[Concrete],
        heavy: Option<NodeId>,
        left: usize,
        right: usize,
    ) -> bool {
        let mut all = self.sums(nodes, left).chain(self.sums(nodes, right));
        let Some((_, columns)) = all.next() else {
            return true;
        };
        let by_rows = |heavy: NodeId| {
            matches!(
                nodes[heavy].operation,
                Operation::Convolution2d(_) | Operation::Convolution2dInputGradient(_)
            ) && nodes[heavy].shape.last() == Some(&columns)
        };
        let is_sum = |node: NodeId| sums::statistic(nodes, &nodes[node]).is_some();
        let waits = |member: NodeId| {
            nodes[member].inputs.iter().any(|&input| {
                let source = root(nodes, input);
                let inside = self.of[source].is_some_and(|own| own == left || own == right);
                inside && is_sum(source)
            })
        };
        heavy.is_none_or(by_rows)
            && all.all(|(_, other)| other == columns)
            && !self.members(left, right).any(waits)
    }

    /// Whether one of two groups spreads what the other makes: it needs other elements than its own.
    fn spreads_inside(&self, nodes: &[Concrete], left: usize, right: usize) -> bool {
        self.members(left, right).any(|member| {
            spreads(&nodes[member]).is_some()
                && nodes[member].inputs.iter().any(|&input| {
                    let group = self.of[root(nodes, input)];
                    group == Some(left) || group == Some(right)
                })
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
        let reads = self.groups[group].reads(nodes);
        let mut result: Vec<usize> = reads
            .into_iter()
            .filter_map(|input| self.of[input])
            .filter(|&dependency| dependency != group)
            .collect();
        result.sort_unstable();
        result.dedup();
        result
    }
}
