//! L-BFGS on a model: a step asks for loss and gradient as often as the line search needs them.

use std::any::Any;

use danlu_data::{ArrayDataset, Batch};
use danlu_graph::Tensor;

use crate::optimizers::{ITERATION, LBFGS, Minimized, Trained};
use crate::{Error, Model, Result};

use super::Stepper;
use super::feed::Feed;
use super::fit::indexed;
use super::program::Mode;

impl Model {
    /// Lowers the compiled loss over all of `x` and `y` together with L-BFGS: one call is one call of
    /// [`LBFGS::minimize`], with at most its `max_iter` iterations, each of which goes over all examples at least once.
    ///
    /// The optimizer that the model was compiled with, and its state, stay as they are; to train with [`fit`](Self::fit), with history,
    /// validation and callbacks, compile the model with [`LBFGS`]. What is random in a layer (dropout)
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
        let given = Given {
            batch: &batch,
            weights: None,
            examples: 0,
            indices: None,
        };
        let rate = lbfgs.next_rate()?;
        let (done, _) = stepper.minimize(self, lbfgs, rate, given)?;
        Ok(done)
    }

    /// The optimizer, where it is L-BFGS.
    pub(super) fn lbfgs(&self) -> Option<&LBFGS> {
        let optimizer: &dyn Any = &*self.compiled.as_ref()?.optimizer;
        optimizer.downcast_ref()
    }

    /// The same, to be changed.
    pub(super) fn lbfgs_mut(&mut self) -> Option<&mut LBFGS> {
        let optimizer: &mut dyn Any = &mut *self.compiled.as_mut()?.optimizer;
        optimizer.downcast_mut()
    }

    /// Fails where L-BFGS cannot train this model as it is asked to.
    pub(super) fn check_lbfgs(&self) -> Result<()> {
        for (name, declared) in self.trained_parameters() {
            if declared.constraint.is_some() {
                let advice = "leave the constraint out, or use another optimizer: what a constraint changes after a step is \
                              nothing that L-BFGS knows of";
                let feature = format!("the constraint on `{name}`");
                return Err(Error::unsupported("LBFGS", feature, advice));
            }
        }
        Ok(())
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

/// A batch as a step takes it.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub batch: &'a Batch,
    pub weights: Option<&'a Tensor>,
    /// Examples of the pass that came before it.
    pub examples: usize,
    pub indices: Option<&'a [usize]>,
}

impl Stepper {
    /// A step of the model's own L-BFGS on a batch; gives the place of its plan, whose outputs hold the results before the step.
    pub(super) fn lbfgs_step(&mut self, model: &mut Model, given: Given) -> Result<usize> {
        let iteration = model.iteration()?;
        // As other optimizers have it, and files hold it.
        let rate = f64::from(model.learning_rate().unwrap_or_default() as f32);
        // It stands in the model, which its function needs.
        let mut lbfgs = match model.lbfgs_mut() {
            Some(lbfgs) => std::mem::take(lbfgs),
            None => LBFGS::new(),
        };
        let done = self.minimize(model, &mut lbfgs, rate, given);
        if let Some(own) = model.lbfgs_mut() {
            *own = lbfgs;
        }
        let (_, place) = done?;
        let next = Tensor::from_i64(&[], vec![iteration as i64 + 1])?;
        model.executor()?.write_state(ITERATION, &next)?;
        Ok(place)
    }

    /// Moves the parameters that train; gives what was done and the place of the plan, whose outputs are those of the first
    /// evaluation. After an error the parameters are as they were.
    fn minimize(
        &mut self,
        model: &mut Model,
        lbfgs: &mut LBFGS,
        rate: f64,
        given: Given,
    ) -> Result<(Minimized, usize)> {
        let trained = model.trained();
        let start = model.read_trained(&trained)?;
        let norm = usize::from(self.signature.gradient_norm);
        let mut place: Vec<f64> = start.iter().flat_map(Tensor::to_f64).collect();
        let mut first: Option<(usize, Vec<Tensor>)> = None;
        let done = lbfgs.minimize_at(rate, &mut place, |place| {
            model.write_trained(&trained, &start, place)?;
            let plan = self.evaluate(model, given)?;
            let outputs = &model.plans.get(plan).outputs;
            if first.is_none() {
                first = Some((plan, outputs.clone()));
            }
            let loss = outputs[0].get_f64(0);
            let gradients = &outputs[outputs.len() - norm - trained.len()..outputs.len() - norm];
            Ok((loss, gradients.iter().flat_map(Tensor::to_f64).collect()))
        });
        if done.is_err() {
            place = start.iter().flat_map(Tensor::to_f64).collect();
        }
        model.write_trained(&trained, &start, &place)?;
        let done = done?;
        let plan = match first {
            Some((plan, outputs)) => {
                model.plans.get(plan).outputs = outputs;
                plan
            }
            None => model.plan(&self.signature, given.batch.len())?,
        };
        Ok((done, plan))
    }
}
