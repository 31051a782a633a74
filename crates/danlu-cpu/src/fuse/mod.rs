//! Fusion: which nodes are computed together. One file per pattern.

mod affine;
mod again;
pub(crate) mod apply;
mod blocks;
mod chains;
pub(crate) mod contraction;
mod direct;
pub(crate) mod groups;
pub(crate) mod pattern;
pub(crate) mod pooling;
pub(crate) mod sums;
pub(crate) mod tape;

#[cfg(test)]
mod tests;
