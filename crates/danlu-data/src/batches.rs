//! An indexed dataset as batches.

use std::sync::Arc;

use crate::{Batch, BatchSource, Dataset, Error, Result, Specification, shuffle};

/// The examples of a dataset in batches: in their own order, or in one that only a seed and the number of the pass decide. The last batch
/// of a pass holds what is left.
pub struct Batches {
    dataset: Arc<dyn Dataset>,
    batch_size: usize,
    seed: Option<u64>,
    pass: u64,
    order: Vec<usize>,
    start: usize,
    end: usize,
}

impl Batches {
    /// Batches of `batch_size` examples; with a seed, every pass is shuffled anew by [`shuffle::permutation`].
    ///
    /// # Errors
    /// `batch_size` is 0.
    pub fn new(dataset: Arc<dyn Dataset>, batch_size: usize, seed: Option<u64>) -> Result<Batches> {
        if batch_size == 0 {
            return Err(Error::mismatch("batch_size", "at least 1", "0", ""));
        }
        let mut batches = Batches {
            dataset,
            batch_size,
            seed,
            pass: 0,
            order: Vec::new(),
            start: 0,
            end: 0,
        };
        batches.start_pass(0);
        Ok(batches)
    }

    /// Begins pass `pass`, counted from 0: what a training that goes on from epoch `pass` calls.
    pub fn start_pass(&mut self, pass: u64) {
        self.pass = pass;
        self.start = 0;
        self.end = 0;
        let count = self.dataset.len();
        match self.seed {
            Some(seed) => shuffle::permutation(seed, pass, count, &mut self.order),
            None if self.order.len() != count => self.order = (0..count).collect(),
            None => {}
        }
    }

    /// The numbers of the next batch's examples, or `None` at the end of the pass; for callers that fill their own batches.
    pub fn next_indices(&mut self) -> Option<&[usize]> {
        if self.end == self.order.len() {
            return None;
        }
        self.start = self.end;
        self.end = self
            .order
            .len()
            .min(self.start.saturating_add(self.batch_size));
        Some(&self.order[self.start..self.end])
    }

    /// The numbers of the examples in the batch that was given last.
    pub fn indices(&self) -> &[usize] {
        &self.order[self.start..self.end]
    }

    /// The dataset.
    pub fn dataset(&self) -> &Arc<dyn Dataset> {
        &self.dataset
    }
}

impl BatchSource for Batches {
    fn specification(&self) -> &Specification {
        self.dataset.specification()
    }

    fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
        if self.next_indices().is_none() {
            return Ok(false);
        }
        self.dataset.get(&self.order[self.start..self.end], batch)?;
        Ok(true)
    }

    fn reset(&mut self) -> Result<()> {
        self.start_pass(self.pass + 1);
        Ok(())
    }

    fn batches_per_pass(&self) -> Option<usize> {
        Some(self.dataset.len().div_ceil(self.batch_size))
    }
}
