//! L-BFGS on a model: all examples at once.

use danlu_data::ArrayDataset;
use danlu_graph::Tensor;

use crate::optimizers::{LBFGS, Minimized, Trained};
use crate::{Model, Result};

use super::feed::Feed;
use super::fit::indexed;
use super::program::Mode;

impl Model {
    /// Lowers the compiled loss over all of `x` and `y` together with L-BFGS: one call is one call of
    /// [`LBFGS::minimize`], with at most its `max_iter` iterations, each of which goes over all examples at least once.
    ///
    /// The optimizer that the model was compiled with, and its state, stay as they are. What is random in a layer (dropout)
    /// is drawn once, so that the loss is one function. After an error the parameters are as they were.
    ///
    /// ```
    /// # use danlu::{optimizers::LBFGS, prelude::*};
    /// let x = Tensor::from_f32(&[4, 1], vec![0.0, 1.0, 2.0, 3.0])?;
    /// let y = Tensor::from_f32(&[4, 1], vec![1.0, 3.0, 5.0, 7.0])?;
    /// let mut model = Sequential::from_layers([Input::new([1]).into(), Dense::new(1).into()]);
    /// model.compile("sgd", "mse", Vec::<&str>::new())?;
    /// let mut lbfgs = LBFGS::new().line_search_fn("strong_wolfe");
    /// let done = model.fit_lbfgs(&mut lbfgs, &x, &y, None)?;
    /// assert!(done.loss < 1e-6);
    /// # Ok::<(), danlu::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`train_on_batch`](Self::train_on_batch), or as [`LBFGS::minimize`].
    pub fn fit_lbfgs(
        &mut self,
        lbfgs: &mut LBFGS,
        x: &Tensor,
        y: &Tensor,
        weights: Option<&Tensor>,
    ) -> Result<Minimized> {
        let action = "fit_lbfgs";
        self.require_compiled(action)?;
        if !self.built {
            self.build()?;
        }
        self.ensure_optimizer_state(action)?;
        let mut dataset = ArrayDataset::new(x.clone(), y.clone())?.with_name("the batch");
        if let Some(weights) = weights {
            dataset = dataset.with_weights(weights.clone())?;
        }
        let batch = super::feed::whole_batch(&dataset)?;
        let feed = Feed::new(indexed(dataset), batch.len().max(1), None)?;
        let signature = feed.signature(self, Mode::Gradient, action)?;
        let seed = self.seed;
        let mut stepper = self.stepper(signature, &feed, seed)?;
        let trained = self.trained();
        let start = self.read_trained(&trained)?;
        let mut place: Vec<f64> = start.iter().flat_map(Tensor::to_f64).collect();
        let done = lbfgs.minimize(&mut place, |place| {
            self.write_trained(&trained, &start, place)?;
            let plan = stepper.run(self, &batch, None, 0, None)?;
            let outputs = &self.plans.get(plan).outputs;
            let loss = outputs[0].get_f64(0);
            let gradients = &outputs[outputs.len() - trained.len()..];
            Ok((loss, gradients.iter().flat_map(Tensor::to_f64).collect()))
        });
        let end = match &done {
            Ok(_) => self.write_trained(&trained, &start, &place),
            Err(_) => {
                let start_numbers: Vec<f64> = start.iter().flat_map(Tensor::to_f64).collect();
                self.write_trained(&trained, &start, &start_numbers)
            }
        };
        end?;
        done
    }

    fn read_trained(&mut self, trained: &[Trained]) -> Result<Vec<Tensor>> {
        let executor = self.executor()?;
        let read = |one: &Trained| Ok(executor.read_state(&one.name)?);
        trained.iter().map(read).collect()
    }

    /// Writes the numbers of `place` into the parameters, whose shapes `like` has.
    fn write_trained(&mut self, trained: &[Trained], like: &[Tensor], place: &[f64]) -> Result<()> {
        let executor = self.executor()?;
        let mut rest = place;
        for (one, like) in trained.iter().zip(like) {
            let (own, others) = rest.split_at(like.len());
            rest = others;
            let values = own.iter().map(|&value| value as f32).collect();
            executor.write_state(&one.name, &Tensor::from_f32(like.shape(), values)?)?;
        }
        Ok(())
    }
}
