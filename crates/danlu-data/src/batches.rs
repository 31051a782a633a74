//! An indexed dataset as batches.

use std::sync::Arc;

use crate::dataset::too_short;
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

    /// Gathers nothing: the order is known.
    fn seek(&mut self, pass: u64, batches: usize) -> Result<()> {
        let all = self.dataset.len().div_ceil(self.batch_size);
        if batches > all {
            return Err(too_short(self.specification(), batches, all));
        }
        self.start_pass(pass);
        let place = |batches: usize| {
            self.order
                .len()
                .min(batches.saturating_mul(self.batch_size))
        };
        (self.start, self.end) = (place(batches.saturating_sub(1)), place(batches));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use danlu_graph::Tensor;

    use super::*;
    use crate::ArrayDataset;

    fn numbers(count: usize) -> Arc<dyn Dataset> {
        let values: Vec<f32> = (0..count).map(|value| value as f32).collect();
        let x = Tensor::from_f32(&[count, 1], values.clone()).unwrap();
        let y = Tensor::from_f32(&[count], values).unwrap();
        Arc::new(ArrayDataset::new(x, y).unwrap())
    }

    /// What a source that knows no shorter way does.
    struct Plain(Batches);

    impl BatchSource for Plain {
        fn specification(&self) -> &Specification {
            self.0.specification()
        }
        fn next_batch(&mut self, batch: &mut Batch) -> Result<bool> {
            self.0.next_batch(batch)
        }
        fn reset(&mut self) -> Result<()> {
            self.0.reset()
        }
    }

    fn rest(source: &mut dyn BatchSource) -> Vec<Batch> {
        let mut batches = Vec::new();
        let mut batch = Batch::default();
        for _ in 0..2 {
            while source.next_batch(&mut batch).unwrap() {
                batches.push(batch.clone());
            }
            source.reset().unwrap();
        }
        batches
    }

    #[test]
    fn from_any_place_on_the_batches_are_those_of_a_whole_training() {
        let make = || Batches::new(numbers(11), 4, Some(5)).unwrap();
        for (pass, taken) in [(0, 0), (0, 1), (0, 3), (2, 0), (2, 2), (3, 3)] {
            let mut whole = make();
            let mut batch = Batch::default();
            for _ in 0..pass {
                while whole.next_batch(&mut batch).unwrap() {}
                whole.reset().unwrap();
            }
            for _ in 0..taken {
                whole.next_batch(&mut batch).unwrap();
            }
            let expected = rest(&mut whole);
            let mut quick = make();
            quick.seek(pass, taken).unwrap();
            assert_eq!(rest(&mut quick), expected, "pass {pass}, batch {taken}");
            let mut plain = Plain(make());
            plain.seek(pass, taken).unwrap();
            assert_eq!(
                rest(&mut plain),
                expected,
                "pass {pass}, batch {taken}, read"
            );
        }
        for error in [make().seek(0, 4), Plain(make()).seek(0, 4)] {
            let error = error.unwrap_err().to_string();
            assert!(
                error.contains("received 3") && error.contains("batch size"),
                "{error}"
            );
        }
    }
}
