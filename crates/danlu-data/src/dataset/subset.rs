//! Some examples of a dataset, without copying them.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Batch, Dataset, Specification, check_indices};
use crate::{Error, Result};

/// Some examples of a dataset under new numbers from 0 up. The data is shared.
pub struct Subset {
    dataset: Arc<dyn Dataset>,
    rows: Rows,
    /// Room for translated indices, borrowed while a batch is filled, so that filling allocates nothing.
    scratch: Mutex<Vec<usize>>,
}

#[derive(Clone)]
enum Rows {
    Range(Range<usize>),
    List(Arc<[usize]>),
}

impl Clone for Subset {
    fn clone(&self) -> Self {
        Subset::new(self.dataset.clone(), self.rows.clone())
    }
}

impl Subset {
    fn new(dataset: Arc<dyn Dataset>, rows: Rows) -> Subset {
        Subset {
            dataset,
            rows,
            scratch: Mutex::default(),
        }
    }

    /// The examples from `rows.start` up to, without, `rows.end`.
    ///
    /// # Errors
    /// The range is not inside the dataset.
    pub fn range(dataset: Arc<dyn Dataset>, rows: Range<usize>) -> Result<Subset> {
        if rows.start > rows.end || rows.end > dataset.len() {
            return Err(Error::Index {
                index: rows.start.max(rows.end),
                length: dataset.len(),
            });
        }
        Ok(Subset::new(dataset, Rows::Range(rows)))
    }

    /// The examples with these numbers, in this order; a number may come more than once.
    ///
    /// # Errors
    /// A number is no example.
    pub fn list(dataset: Arc<dyn Dataset>, rows: impl Into<Arc<[usize]>>) -> Result<Subset> {
        let rows = rows.into();
        check_indices(&rows, dataset.len())?;
        Ok(Subset::new(dataset, Rows::List(rows)))
    }

    /// The number in the whole dataset of example `index`, or `None` where there is no such example.
    pub fn original(&self, index: usize) -> Option<usize> {
        match &self.rows {
            Rows::Range(range) => (index < range.len()).then(|| range.start + index),
            Rows::List(list) => list.get(index).copied(),
        }
    }

    fn translated(
        &self,
        indices: &[usize],
        get: impl FnOnce(&dyn Dataset, &[usize]) -> Result<()>,
    ) -> Result<()> {
        check_indices(indices, self.len())?;
        // Taken out, not locked, while the batch is filled: several threads may fill batches at once.
        let mut scratch = std::mem::take(&mut *self.lock());
        scratch.clear();
        match &self.rows {
            Rows::Range(range) => scratch.extend(indices.iter().map(|&index| range.start + index)),
            Rows::List(list) => scratch.extend(indices.iter().map(|&index| list[index])),
        }
        let result = get(&*self.dataset, &scratch);
        *self.lock() = scratch;
        result
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<usize>> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Dataset for Subset {
    fn specification(&self) -> &Specification {
        self.dataset.specification()
    }

    fn len(&self) -> usize {
        match &self.rows {
            Rows::Range(range) => range.len(),
            Rows::List(list) => list.len(),
        }
    }

    fn get(&self, indices: &[usize], batch: &mut Batch) -> Result<()> {
        self.translated(indices, |dataset, rows| dataset.get(rows, batch))
    }

    fn get_targets(&self, indices: &[usize], batch: &mut Batch) -> Result<()> {
        self.translated(indices, |dataset, rows| dataset.get_targets(rows, batch))
    }
}

/// Cuts a dataset into a training part and a validation part as Keras' `fit` does: `floor(n * (1 - fraction))` examples for training, the
/// last ones, unshuffled, for validation. `fraction` is without unit, above 0 and below 1.
///
/// # Errors
/// The fraction is outside that range, or one of the parts would be empty.
pub fn validation_split(dataset: Arc<dyn Dataset>, fraction: f64) -> Result<(Subset, Subset)> {
    if !(fraction > 0.0 && fraction < 1.0) {
        return Err(Error::mismatch(
            "validation_split",
            "a fraction above 0 and below 1",
            fraction.to_string(),
            "",
        ));
    }
    let count = dataset.len();
    let cut = (count as f64 * (1.0 - fraction)).floor() as usize;
    if cut == 0 || cut >= count {
        return Err(Error::mismatch(
            format!("validation_split of {}", dataset.specification().name),
            "at least one example for training and one for validation",
            format!("{cut} and {} of {count}", count - cut.min(count)),
            "take another fraction or more examples",
        ));
    }
    Ok((
        Subset::range(dataset.clone(), 0..cut)?,
        Subset::range(dataset, cut..count)?,
    ))
}
