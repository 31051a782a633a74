//! One file for each verb.

pub mod architectures;
pub mod bench;
pub mod compare;
pub mod convert;
pub mod evaluate;
pub mod layers;
pub mod predict;
pub mod recipes;
mod resume;
pub mod runs;
pub mod seeds;
mod setup;
pub mod summary;
pub mod train;
