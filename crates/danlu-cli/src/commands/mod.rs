//! One file for each verb.

pub mod architectures;
pub mod bench;
pub mod compare;
pub mod convert;
pub mod evaluate;
pub mod layers;
pub mod predict;
pub mod recipes;
pub mod runs;
pub mod seeds;
pub mod summary;
pub mod train;
