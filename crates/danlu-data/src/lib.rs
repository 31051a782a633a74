//! Datasets, the files that they come from, batches and the order in which examples are seen.
//!
//! - [`dataset`]: what a dataset is, datasets over arrays, parts of datasets, iterators of batches;
//! - [`batches`] and [`shuffle`]: an indexed dataset as batches, in an order that only the seed and the epoch decide;
//! - [`sources`]: one file per format (IDX, NPY, NPZ, PNG), the datasets that have a name, and inputs to predict;
//! - [`files`]: writing a file whole or not at all;
//! - [`suggest`]: "did you mean".
//!
//! Arrays are [`danlu_graph::Tensor`]s; axis 0 counts examples.

pub mod batches;
pub mod dataset;
pub mod error;
pub mod files;
pub mod shuffle;
pub mod sources;
pub mod suggest;

pub use batches::Batches;
pub use dataset::{
    ArrayDataset, Batch, BatchSource, Dataset, Field, Fingerprint, IteratorSource, Specification,
    Subset, check_labels, check_labels_of, validation_split,
};
pub use error::{Error, Result};
pub use sources::{Source, open_builtin, open_path};
