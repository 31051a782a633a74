//! One step on one batch.

use danlu_data::{ArrayDataset, Batch, Dataset};
use danlu_graph::Tensor;

use crate::diagnosis::data_fault;
use crate::{Error, Model, Result};

use super::Results;
use super::feed::{Feed, whole_batch};
use super::fit::indexed;
use super::program::Mode;

impl Model {
    /// One training step on this batch, with one weight for each example where there are any; gives the loss and the
    /// metrics of the batch, before the step.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn train_on_batch(
        &mut self,
        x: &Tensor,
        y: &Tensor,
        weights: Option<&Tensor>,
    ) -> Result<Results> {
        self.on_batch(x, y, weights, Mode::Train, "train_on_batch")
    }

    /// Loss and metrics of this batch.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn test_on_batch(
        &mut self,
        x: &Tensor,
        y: &Tensor,
        weights: Option<&Tensor>,
    ) -> Result<Results> {
        self.on_batch(x, y, weights, Mode::Test, "test_on_batch")
    }

    fn on_batch(
        &mut self,
        x: &Tensor,
        y: &Tensor,
        weights: Option<&Tensor>,
        mode: Mode,
        action: &'static str,
    ) -> Result<Results> {
        self.require_compiled(action)?;
        let mut dataset = ArrayDataset::new(x.clone(), y.clone())?.with_name("the batch");
        if let Some(weights) = weights {
            dataset = dataset.with_weights(weights.clone())?;
        }
        let batch: Batch = whole_batch(&dataset)?;
        let feed = Feed::new(indexed(dataset.clone()), dataset.len().max(1), None)?;
        let signature = feed.signature(self, mode, action)?;
        let seed = self.seed;
        let mut stepper = self.stepper(signature, &feed, seed)?;
        if mode == Mode::Train {
            self.ensure_optimizer_state(action)?;
        }
        self.reset_metrics();
        let plan = stepper.run(self, &batch, None, 0, None)?;
        let loss = stepper.add_up(self, plan);
        if mode == Mode::Train && !loss.is_finite() {
            let fault = data_fault(&batch, feed.specification(), None, 0, None, (1, 1));
            return Err(Error::NotFinite {
                what: "the loss".to_owned(),
                epoch: 1,
                step: Some(1),
                value: loss,
                learning_rate: self.learning_rate().unwrap_or(f64::NAN),
                diagnosis: fault.map(Box::new),
            });
        }
        Ok(self.running_logs().into())
    }
}
