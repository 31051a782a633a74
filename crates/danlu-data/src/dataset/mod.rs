//! What a dataset is: named arrays whose axis 0 counts examples, given out in batches.

mod array;
mod fingerprint;
mod gather;
mod iterator;
mod labels;
mod subset;
#[cfg(test)]
mod tests;

use danlu_graph::{DType, Tensor};

use crate::{Error, Result};

pub use array::ArrayDataset;
pub use fingerprint::Fingerprint;
pub(crate) use fingerprint::FingerprintBuilder;
pub use iterator::IteratorSource;
pub use labels::{check_labels, check_labels_of};
pub use subset::{Subset, validation_split};

/// The arrays of some examples; axis 0 of each counts them.
///
/// Filling a batch again reuses its memory. Where the number of examples stays the same nothing is allocated, so a loop whose last
/// batch is shorter keeps one `Batch` for each size.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// The model's inputs, in the order of [`Specification::features`].
    pub features: Vec<Tensor>,
    /// What the outputs are compared with, in the order of [`Specification::targets`].
    pub targets: Vec<Tensor>,
    /// One weight for each example, of shape `(examples)`, where examples are weighted.
    pub weights: Option<Tensor>,
    /// Weights of the examples for one target alone, in the order of [`Specification::target_weights`].
    pub target_weights: Vec<Tensor>,
}

impl Batch {
    /// Number of examples; 0 where there is no array.
    pub fn len(&self) -> usize {
        let arrays = self.features.iter().chain(&self.targets);
        arrays
            .chain(&self.weights)
            .next()
            .and_then(|tensor| tensor.shape().first().copied())
            .unwrap_or(0)
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One array of an example, as batches give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, such as `x`.
    pub name: String,
    /// The shape of one example, without the axis of examples.
    pub shape: Vec<usize>,
    /// The dtype in a batch, which may differ from the one in memory or in the file.
    pub dtype: DType,
    /// Whether the values are stored as bytes, which are pixels from 0 to 255 and are multiplied by the pixel scale in a batch.
    pub pixels: bool,
}

/// What batches of a dataset look like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Specification {
    /// What errors call the dataset: a file, or `training part of mnist`.
    pub name: String,
    /// The model's inputs.
    pub features: Vec<Field>,
    /// What the outputs are compared with; empty where only the inputs are known.
    pub targets: Vec<Field>,
    /// Whether there are weights of examples.
    pub weighted: bool,
    /// The targets, by their places, that have weights of their own, which take the place of those of the examples.
    pub target_weights: Vec<usize>,
    /// Number of classes, where the only target is one whole number from 0 up: the largest label plus one, or what the format says.
    pub classes: Option<usize>,
    /// Names of the classes, by index.
    pub class_names: Option<Vec<String>>,
}

/// Something that yields batches in its own order: can be consumed, not shuffled.
pub trait BatchSource: Send {
    /// What the batches look like.
    fn specification(&self) -> &Specification;

    /// Fills `batch` with the next examples, or returns `false` at the end of a pass and leaves `batch` as it was.
    ///
    /// # Errors
    /// What reading or making the batch reports; a batch that does not fit the specification.
    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool>;

    /// Begins the next pass.
    ///
    /// # Errors
    /// The source can be read only once.
    fn reset(&mut self) -> Result<()>;

    /// Batches in a pass, where that is known.
    fn batches_per_pass(&self) -> Option<usize> {
        None
    }

    /// Goes from the start, of which nothing was read yet, to where `batches` batches of pass `pass`, counted from 0, were
    /// given: what a training that goes on calls. By itself it reads everything up to there and drops it, so that a source
    /// whose batches depend on what it gave before is right, too; one that knows a shorter way takes it.
    ///
    /// # Errors
    /// As [`next_batch`](Self::next_batch) and [`reset`](Self::reset); the pass ends before that place.
    fn seek(&mut self, pass: u64, batches: usize) -> Result<()> {
        let mut batch = Batch::default();
        for _ in 0..pass {
            while self.next_batch(&mut batch)? {}
            self.reset()?;
        }
        for given in 0..batches {
            if !self.next_batch(&mut batch)? {
                return Err(too_short(self.specification(), batches, given));
            }
        }
        Ok(())
    }
}

/// An error about data that is not what a training was begun with.
pub(crate) fn too_short(specification: &Specification, wanted: usize, there: usize) -> Error {
    Error::mismatch(
        &specification.name,
        format!("at least {wanted} batches in a pass, as when the training began"),
        there.to_string(),
        "go on with the data and the batch size that the training began with",
    )
}

/// A dataset in which every example can be had by its number: only these can be shuffled and split.
pub trait Dataset: Send + Sync {
    /// What the batches look like.
    fn specification(&self) -> &Specification;

    /// Number of examples.
    fn len(&self) -> usize;

    /// Fills `batch` with these examples in this order, reusing its memory.
    ///
    /// # Errors
    /// [`Error::Index`] where an index is not below [`len`](Self::len); what reading an example reports.
    fn get(&self, indices: &[usize], batch: &mut Batch) -> Result<()>;

    /// As [`get`](Self::get), where only the targets are wanted; the features and weights of `batch` are left as they are or filled.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    fn get_targets(&self, indices: &[usize], batch: &mut Batch) -> Result<()> {
        self.get(indices, batch)
    }

    /// Whether there is no example.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Fails unless every index is an example.
fn check_indices(indices: &[usize], length: usize) -> Result<()> {
    match indices.iter().find(|&&index| index >= length) {
        Some(&index) => Err(Error::Index { index, length }),
        None => Ok(()),
    }
}
