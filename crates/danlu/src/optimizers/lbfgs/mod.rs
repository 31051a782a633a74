//! L-BFGS: a full-batch method. It needs the loss at several places for each step, so it is a loop around a function that gives
//! loss and gradient; a model that was compiled with it runs this loop on each batch (`training/lbfgs`).

mod line_search;
mod memory;
mod optimizer;

use danlu_graph::Tensor;

use crate::choice::{Choice, FromName};
use crate::{Error, Result};

use super::{LearningRate, Options, check_rate};
use line_search::{Point, strong_wolfe};
use memory::{Memory, dot};

/// How far L-BFGS goes along its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineSearch {
    /// Until the strong Wolfe conditions hold (Nocedal and Wright 2006, algorithms 3.5 and 3.6, with cubic interpolation).
    StrongWolfe,
}

impl FromName for LineSearch {
    fn from_name(name: &str) -> Result<LineSearch> {
        match name {
            "strong_wolfe" => Ok(LineSearch::StrongWolfe),
            _ => Err(Error::unknown("line search", name, ["strong_wolfe"])),
        }
    }
}

impl From<LineSearch> for Choice<LineSearch> {
    fn from(search: LineSearch) -> Choice<LineSearch> {
        Choice::Value(search)
    }
}

/// L-BFGS (Liu and Nocedal 1989) with the arguments, defaults and numbers of PyTorch's `torch.optim.LBFGS`, in f64.
///
/// A model that is compiled with it takes, for each batch, what is one `step(closure)` in PyTorch: up to `max_iter` iterations on
/// this batch, each of which asks for loss and gradient at least once. It is meant for batches that are the whole data. Loss and
/// metrics that are reported are those before the step; what is random in a layer (dropout) is drawn once for a step. Of what
/// [`Options`] holds it takes the learning rate alone, which may be a schedule of the steps. It refuses constraints on
/// parameters. Keras has no such optimizer: it reads a model that was compiled with it only with `compile=False`.
///
/// ```
/// # use danlu::{optimizers::LBFGS, prelude::*};
/// let x = Tensor::from_f32(&[4, 1], vec![0.0, 1.0, 2.0, 3.0])?;
/// let y = Tensor::from_f32(&[4, 1], vec![1.0, 3.0, 5.0, 7.0])?;
/// let mut model = Sequential::from_layers([Input::new([1]).into(), Dense::new(1).into()]);
/// model.compile(LBFGS::new().line_search_fn("strong_wolfe"), "mse", Vec::<&str>::new())?;
/// let history = model.fit((&x, &y), FitOptions::new().batch_size(4).epochs(3).verbose(false))?;
/// assert!(history.get("loss").unwrap()[2] < 1e-6);
/// # Ok::<(), danlu::Error>(())
/// ```
///
/// On a function of one's own:
///
/// ```
/// use danlu::optimizers::LBFGS;
/// // The minimum of (a - 3)^2 + 10 b^2.
/// let mut place = vec![0.0, 1.0];
/// let mut lbfgs = LBFGS::new().line_search_fn("strong_wolfe");
/// lbfgs.minimize(&mut place, |p| {
///     Ok(((p[0] - 3.0).powi(2) + 10.0 * p[1].powi(2), vec![2.0 * (p[0] - 3.0), 20.0 * p[1]]))
/// })?;
/// assert!((place[0] - 3.0).abs() < 1e-6 && place[1].abs() < 1e-6);
/// # Ok::<(), danlu::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LBFGS {
    options: Options,
    max_iter: usize,
    max_eval: Option<usize>,
    tolerance_grad: f64,
    tolerance_change: f64,
    history_size: usize,
    line_search_fn: Option<Choice<LineSearch>>,
    memory: Memory,
}

/// What a call of [`LBFGS::minimize`] did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Minimized {
    /// The loss where it began.
    pub first_loss: f64,
    /// The loss where it was last asked for; without a line search that is one iteration before the end.
    pub loss: f64,
    /// Iterations of this call.
    pub iterations: usize,
    /// How often loss and gradient were asked for.
    pub evaluations: usize,
}

impl LBFGS {
    /// With PyTorch's defaults: a learning rate of 1, no line search.
    pub fn new() -> LBFGS {
        LBFGS {
            options: Options::new(1.0),
            max_iter: 20,
            max_eval: None,
            tolerance_grad: 1e-7,
            tolerance_change: 1e-9,
            history_size: 100,
            line_search_fn: None,
            memory: Memory::default(),
        }
    }

    /// How far to go along the direction, at first where there is a line search: a number, or a schedule of the calls. Default 1.
    #[must_use]
    pub fn learning_rate(mut self, learning_rate: impl Into<LearningRate>) -> LBFGS {
        self.options.learning_rate = learning_rate.into();
        self
    }

    /// Iterations of a call at most. Default 20.
    #[must_use]
    pub fn max_iter(mut self, max_iter: usize) -> LBFGS {
        self.max_iter = max_iter;
        self
    }

    /// After so many evaluations in a call there is no further iteration. Default 1.25 times `max_iter`.
    #[must_use]
    pub fn max_eval(mut self, max_eval: usize) -> LBFGS {
        self.max_eval = Some(max_eval);
        self
    }

    /// It stops where no element of the gradient is larger. Default 1e-7.
    #[must_use]
    pub fn tolerance_grad(mut self, tolerance_grad: f64) -> LBFGS {
        self.tolerance_grad = tolerance_grad;
        self
    }

    /// It stops where neither the place nor the loss changes by more. Default 1e-9.
    #[must_use]
    pub fn tolerance_change(mut self, tolerance_change: f64) -> LBFGS {
        self.tolerance_change = tolerance_change;
        self
    }

    /// Of how many steps the curvature is remembered. Default 100.
    #[must_use]
    pub fn history_size(mut self, history_size: usize) -> LBFGS {
        self.history_size = history_size;
        self
    }

    /// [`LineSearch`], or its name, `strong_wolfe`. Default none.
    #[must_use]
    pub fn line_search_fn(mut self, line_search_fn: impl Into<Choice<LineSearch>>) -> LBFGS {
        self.line_search_fn = Some(line_search_fn.into());
        self
    }

    /// Goes down from a place, which it moves. `function` gives loss and gradient at a place. A further call goes on with
    /// what this one learnt of the curvature.
    ///
    /// # Errors
    /// An argument has a value that it cannot have; the gradient has another length than the place; `function` fails.
    pub fn minimize(
        &mut self,
        place: &mut [f64],
        function: impl FnMut(&[f64]) -> Result<(f64, Vec<f64>)>,
    ) -> Result<Minimized> {
        let rate = self.next_rate()?;
        self.minimize_at(rate, place, function)
    }

    /// The learning rate of the next call.
    pub(crate) fn next_rate(&self) -> Result<f64> {
        self.options.learning_rate.at(self.memory.calls)
    }

    /// As [`minimize`](Self::minimize), with this learning rate.
    pub(crate) fn minimize_at(
        &mut self,
        rate: f64,
        place: &mut [f64],
        mut function: impl FnMut(&[f64]) -> Result<(f64, Vec<f64>)>,
    ) -> Result<Minimized> {
        self.check_arguments()?;
        self.check_length(place.len())?;
        self.memory.calls += 1;
        let search = self
            .line_search_fn
            .as_ref()
            .map(Choice::resolve)
            .transpose()?;
        let max_eval = self.max_eval.unwrap_or(self.max_iter * 5 / 4);
        let mut at = |place: &[f64]| -> Result<(f64, Vec<f64>)> {
            let (loss, gradient) = function(place)?;
            if gradient.len() != place.len() {
                let expected = format!("{} elements of the gradient", place.len());
                let received = gradient.len().to_string();
                return Err(Error::mismatch("LBFGS", expected, received, ""));
            }
            Ok((loss, gradient))
        };
        let (mut loss, mut gradient) = at(place)?;
        let mut done = Minimized {
            first_loss: loss,
            loss,
            iterations: 0,
            evaluations: 1,
        };
        if largest(&gradient) <= self.tolerance_grad {
            return Ok(done);
        }
        while done.iterations < self.max_iter {
            done.iterations += 1;
            self.memory.remember(&gradient, self.history_size);
            let memory = &mut self.memory;
            let before = loss;
            let total: f64 = gradient.iter().map(|element| element.abs()).sum();
            memory.step = match memory.iterations {
                1 => (1.0 / total).min(1.0) * rate,
                _ => rate,
            };
            let slope = dot(&gradient, &memory.direction);
            if slope > -self.tolerance_change {
                break;
            }
            let direction = memory.direction.clone();
            let mut asked = 0;
            if search.is_some() {
                let origin = place.to_vec();
                let first = Point {
                    step: 0.0,
                    loss,
                    gradient,
                    slope,
                };
                let found = strong_wolfe(first, memory.step, &direction, |step| {
                    let moved: Vec<f64> = origin
                        .iter()
                        .zip(&direction)
                        .map(|(place, along)| place + step * along)
                        .collect();
                    asked += 1;
                    at(&moved)
                })?;
                memory.step = found.step;
                (loss, gradient) = (found.loss, found.gradient);
            }
            for (element, along) in place.iter_mut().zip(&direction) {
                *element += memory.step * along;
            }
            let last = done.iterations == self.max_iter;
            if search.is_none() && !last {
                asked = 1;
                (loss, gradient) = at(place)?;
            }
            done.evaluations += asked;
            done.loss = loss;
            if last
                || done.evaluations >= max_eval
                || largest(&gradient) <= self.tolerance_grad
                || largest(&direction) * memory.step.abs() <= self.tolerance_change
                || (loss - before).abs() < self.tolerance_change
            {
                break;
            }
        }
        Ok(done)
    }

    /// Begins anew.
    pub(crate) fn forget(&mut self) {
        self.memory = Memory::default();
    }

    /// What a later call needs to go on from here: numbers of 64 bits as whole numbers of the same bits.
    pub(crate) fn state(&self) -> Result<Tensor> {
        self.memory.to_tensor()
    }

    /// Goes on from there, with so many numbers to move.
    pub(crate) fn set_state(&mut self, state: &Tensor, numbers: usize) -> Result<()> {
        let before = std::mem::replace(&mut self.memory, Memory::from_tensor(state)?);
        let fits = self.check_length(numbers);
        if fits.is_err() {
            self.memory = before;
        }
        fits
    }

    fn check_arguments(&self) -> Result<()> {
        self.options.check("LBFGS")?;
        for (argument, number) in [
            ("tolerance_grad", self.tolerance_grad),
            ("tolerance_change", self.tolerance_change),
        ] {
            check_rate("LBFGS", argument, number)?;
        }
        for (argument, number) in [
            ("max_iter", self.max_iter),
            ("max_eval", self.max_eval.unwrap_or(1)),
            ("history_size", self.history_size),
        ] {
            if number == 0 {
                let expected = "a whole number of at least 1";
                return Err(Error::argument("LBFGS", argument, expected, 0));
            }
        }
        let search = self.line_search_fn.as_ref();
        search.map(Choice::resolve).transpose().map(drop)
    }

    fn check_length(&self, length: usize) -> Result<()> {
        let before = self.memory.direction.len();
        if self.memory.iterations > 0 && before != length {
            let expected = format!("the {before} numbers of the call before");
            let advice = "make a new LBFGS for another function";
            let received = length.to_string();
            return Err(Error::mismatch("LBFGS", expected, received, advice));
        }
        Ok(())
    }
}

impl Default for LBFGS {
    fn default() -> LBFGS {
        LBFGS::new()
    }
}

/// The largest absolute value; NaN where there is one, so that nothing is below a tolerance.
fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest: f64, value| {
        match value.is_nan() || largest.is_nan() {
            true => f64::NAN,
            false => largest.max(value.abs()),
        }
    })
}

#[cfg(test)]
mod tests;
