//! Rewrites: passes that give a program that computes the same in another way. Those here hold for every device; what
//! suits one device only belongs to it.

mod common;
mod fold;
mod normalization;
mod pooling;
mod simplify;
mod sparse;

use crate::graph::{Node, NodeId};
use crate::{Program, Result};

pub use common::CommonSubexpressions;
pub use fold::FoldConstants;
pub use normalization::FoldNormalizations;
pub use pooling::PoolingGradients;
pub use simplify::Simplify;
pub use sparse::SparseUpdates;

/// A pass over a program.
pub trait Rewrite {
    /// The name in logs and tests.
    fn name(&self) -> &'static str;

    /// Changes the program; tells how many places it changed.
    ///
    /// # Errors
    /// The program is not consistent: a mistake in an operation's shape rule.
    fn apply(&self, program: &mut Program) -> Result<usize>;
}

/// Removes what serves no output and no update.
pub struct DeadCode;

impl Rewrite for DeadCode {
    fn name(&self) -> &'static str {
        "dead-code"
    }

    fn apply(&self, program: &mut Program) -> Result<usize> {
        let before = program.nodes().len();
        program.retain_live();
        Ok(before - program.nodes().len())
    }
}

/// Applies the rewrites that hold for every device until none changes anything.
///
/// # Errors
/// The program is not consistent: a mistake in an operation's shape rule.
pub fn optimize(program: &mut Program) -> Result<()> {
    let passes: [&dyn Rewrite; 7] = [
        &Simplify,
        &FoldConstants,
        &FoldNormalizations,
        &PoolingGradients,
        &SparseUpdates,
        &CommonSubexpressions,
        &DeadCode,
    ];
    // Each pass only shrinks or straightens; the bound is against a pair of passes that undo each other.
    for _ in 0..16 {
        let mut changes = 0;
        for pass in passes {
            changes += pass.apply(program)?;
        }
        if changes == 0 {
            break;
        }
    }
    Ok(())
}

/// Rebuilds a program node by node. `visit` is given the nodes made so far and the next node with its inputs already
/// renamed; it says which node stands for it.
pub(crate) fn rebuild(
    program: &mut Program,
    mut visit: impl FnMut(&mut Vec<Node>, Node) -> Result<NodeId>,
) -> Result<()> {
    let mut nodes = Vec::with_capacity(program.nodes().len());
    let mut places = Vec::with_capacity(program.nodes().len());
    for node in program.nodes() {
        let mut node = node.clone();
        node.inputs
            .iter_mut()
            .for_each(|input| *input = places[*input]);
        let place = visit(&mut nodes, node)?;
        places.push(place);
    }
    program.replace_nodes(nodes, |node| places[node]);
    program.retain_live();
    Ok(())
}

/// Appends a node.
pub(crate) fn push(nodes: &mut Vec<Node>, node: Node) -> Result<NodeId> {
    nodes.push(node);
    Ok(nodes.len() - 1)
}
