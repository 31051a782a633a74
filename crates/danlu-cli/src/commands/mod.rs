//! One file for each verb.

pub mod architectures;
pub mod bench;
pub mod convert;
pub mod evaluate;
pub mod layers;
pub mod predict;
pub mod recipes;
mod resume;
mod setup;
pub mod summary;
pub mod train;
