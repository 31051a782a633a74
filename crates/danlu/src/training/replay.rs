//! A training that is run once more, to find where a number became infinite or NaN.

use danlu_graph::Tensor;

use crate::diagnosis::{Diagnosis, Found, data_fault, first_bad, largest, locate};
use crate::optimizers::{LEARNING_RATE, LearningRate};
use crate::{Model, Result};

use super::fit::Progressed;
use super::state::check_data;
use super::{FitOptions, IntoData};

impl Model {
    /// Trains as [`fit`](Self::fit) would, from the state that the model has, up to the first step in which a loss, a gradient
    /// or a new value is infinite or NaN; gives the first operation of that step that made one of numbers that were finite, its
    /// layer and why. `None` where nothing of the kind happens up to `epochs`. The model is left as it was before that step.
    ///
    /// Since a training is the same, bit for bit, whenever it is run, a training that ended with
    /// [`Error::NotFinite`](crate::Error::NotFinite) need not be watched: let the model be as it began, or
    /// [go on](FitOptions::resume) from a state that was kept on the way. Callbacks are not called: what they did to the
    /// model since then is not done again. The learning rates that they set are taken where they are
    /// [given](FitOptions::learning_rates). It costs about twice the time of these steps, and memory for
    /// another copy of the parameters and the optimizer's state.
    ///
    /// ```
    /// # use danlu::prelude::*;
    /// let x = Tensor::from_f32(&[4, 1], vec![0.0, 1.0, 2.0, 3.0])?;
    /// let y = Tensor::from_f32(&[4, 1], vec![1.0, 3.0, 5.0, 7.0])?;
    /// let make = || -> danlu::Result<Sequential> {
    ///     let mut model = Sequential::from_layers([Input::new([1]).into(), Dense::new(1).into()]);
    ///     model.compile(SGD::new(1e30), "mse", Vec::<&str>::new())?;
    ///     Ok(model)
    /// };
    /// let options = || FitOptions::new().epochs(3).verbose(false);
    /// assert!(make()?.fit((&x, &y), options()).is_err());
    /// let found = make()?.find_non_finite((&x, &y), options())?.expect("it happens again");
    /// assert_eq!((found.epoch, found.step, found.layer.as_deref()), (2, 1, Some("loss")));
    /// # Ok::<(), danlu::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`fit`](Self::fit), but for numbers that are not finite.
    pub fn find_non_finite<'a>(
        &mut self,
        data: impl IntoData<'a>,
        mut options: FitOptions<'a>,
    ) -> Result<Option<Diagnosis>> {
        options.check()?;
        options.callbacks.clear();
        options.early_stopping = None;
        options.verbose = false;
        self.require_compiled("find_non_finite")?;
        let rates = std::mem::take(&mut options.learning_rates);
        let mut run = self.prepare_run(data.into_data()?, options)?;
        if let Some(state) = run.resume.take() {
            check_data(&run, &state)?;
            self.stand(&mut run, &state)?;
        }
        // A schedule goes its own way.
        let settable = self.compiled.as_ref().is_some_and(|compiled| {
            let options = compiled.optimizer.options();
            matches!(options.learning_rate, LearningRate::Constant(_))
        });
        let mut rates = rates.iter().filter(|_| settable).peekable();
        let mut before = self.snapshot()?;
        let mut lbfgs = self.lbfgs().cloned();
        let broken: Vec<bool> = before.iter().map(is_bad).collect();
        while run.progress.epoch < run.epochs {
            let epoch = run.progress.epoch;
            if run.progress.step == 0 {
                run.training.begin(epoch as u64)?;
            }
            while let Some(place) = run.next_batch()? {
                let examples = run.progress.examples;
                let (batch, weights) = (run.training.batch(place), run.training.weights(place));
                let indices = run.training.indices();
                let at = (epoch, run.progress.step);
                while let Some(set) = rates.next_if(|set| (set.epoch, set.step) <= at) {
                    self.set_learning_rate(set.learning_rate)?;
                    let rate = self.executor()?.read_state(LEARNING_RATE)?;
                    let own = before.iter_mut().find(|(name, _)| name == LEARNING_RATE);
                    if let Some((_, own)) = own {
                        *own = rate;
                    }
                }
                let step = run.progress.step + 1;
                let plan = run.stepper.run(self, batch, weights, examples, indices)?;
                let loss = self.plans.get(plan).outputs[0].get_f64(0);
                let after = self.snapshot()?;
                let mut states = after.iter().zip(&broken);
                if loss.is_finite() && !states.any(|(one, broken)| is_bad(one) && !broken) {
                    before = after;
                    lbfgs = self.lbfgs().cloned();
                    run.progress.step = step;
                    run.progress.examples += batch.len();
                    continue;
                }
                drop(after);
                self.put_back(&before)?;
                if let (Some(own), Some(lbfgs)) = (self.lbfgs_mut(), lbfgs) {
                    *own = lbfgs;
                }
                let at = (epoch + 1, step);
                let specification = run.training.specification();
                let fault = data_fault(batch, specification, weights, examples, indices, at);
                if fault.is_some() {
                    return Ok(fault);
                }
                let found = Found {
                    batch,
                    weights,
                    examples,
                    indices,
                    epoch: epoch + 1,
                    step,
                    largest: self.largest_parameter(&before),
                };
                return locate(self, &mut run.stepper, &found);
            }
            if run.steps.is_some() {
                run.training.pause();
            }
            run.progress = Progressed {
                epoch: epoch + 1,
                ..Progressed::default()
            };
        }
        Ok(None)
    }

    /// Copies of everything that a training changes, with their names.
    fn snapshot(&mut self) -> Result<Vec<(String, Tensor)>> {
        let names = self.state_names().into_iter();
        let executor = self.executor()?;
        names
            .map(|name| {
                let value = executor.read_state(&name)?;
                Ok((name, value))
            })
            .collect()
    }

    fn put_back(&mut self, states: &[(String, Tensor)]) -> Result<()> {
        let executor = self.executor()?;
        for (name, value) in states {
            executor.write_state(name, value)?;
        }
        Ok(())
    }

    /// The parameter that trains whose elements are the largest.
    fn largest_parameter(&self, states: &[(String, Tensor)]) -> Option<(String, f64)> {
        let trained = self.trained();
        let own = states
            .iter()
            .filter(|(name, _)| trained.iter().any(|one| one.name == *name));
        own.map(|(name, value)| (name.clone(), largest(value)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

fn is_bad((_, value): &(String, Tensor)) -> bool {
    first_bad(value).is_some()
}
