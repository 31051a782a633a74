//! Running values of loss and metrics, from sums kept in f64 on the host.

use danlu_graph::Tensor;

use super::Logs;
use super::plans::Total;
use crate::metrics::{Metric, Totals, keys};

/// Loss and metrics over the steps of a pass.
#[derive(Debug, Default)]
pub(crate) struct Running {
    names: Vec<String>,
    loss: f64,
    examples: f64,
    metrics: Vec<Sums>,
    values: Vec<f64>,
    /// The sum of the norms of the gradients of steps, and their number, where steps give any.
    gradient_norms: (f64, f64),
}

/// What [`Running`] holds in the middle of a pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RunningState {
    /// The sum of losses, the examples, the sum of the gradients' norms, their number, then the values.
    pub values: Vec<f64>,
    /// Of each metric the sums, and where each of its totals ends.
    pub metrics: Vec<(Vec<f64>, Vec<usize>)>,
}

/// The sums of a metric's totals, one after the other; each ends where `ends` says.
#[derive(Clone, Debug, Default)]
struct Sums {
    numbers: Vec<f64>,
    ends: Vec<usize>,
    /// Where the metric's numbers stand among the values: from here up to, without, there.
    places: (usize, usize),
}

impl Running {
    /// Of a loss and what else is reported, each with the number of its numbers.
    pub fn new<'a>(entries: impl Iterator<Item = (&'a str, usize)>) -> Running {
        let mut running = Running {
            names: vec!["loss".to_owned()],
            ..Running::default()
        };
        for (name, count) in entries {
            let first = running.names.len();
            running.names.extend(keys(name, count));
            running.metrics.push(Sums {
                places: (first, running.names.len()),
                ..Sums::default()
            });
        }
        running.values = vec![0.0; running.names.len()];
        running
    }

    /// `loss`, then the metrics' names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        (self.loss, self.examples) = (0.0, 0.0);
        for sums in &mut self.metrics {
            sums.numbers.fill(0.0);
        }
        self.values.fill(0.0);
        self.gradient_norms = (0.0, 0.0);
    }

    /// Adds the loss of a batch, weighted by its examples.
    pub fn add_loss(&mut self, loss: f64, examples: f64) {
        self.loss += loss * examples;
        self.examples += examples;
        self.values[0] = match self.examples {
            0.0 => 0.0,
            examples => self.loss / examples,
        };
    }

    /// Adds an output's loss of a batch, the entry of this place, weighted by the batch's examples; the batch's loss was added
    /// before.
    pub fn add_part(&mut self, place: usize, loss: f64, examples: f64) {
        let sums = &mut self.metrics[place];
        if sums.numbers.len() != 1 {
            sums.numbers = vec![0.0];
        }
        sums.numbers[0] += loss * examples;
        self.values[sums.places.0] = match self.examples {
            0.0 => 0.0,
            all => sums.numbers[0] / all,
        };
    }

    /// Adds what a batch adds to the metric of this place, counted from 0. Allocates at the first batch only.
    pub fn add(&mut self, place: usize, metric: &Metric, totals: &[Total], outputs: &[Tensor]) {
        let sums = &mut self.metrics[place];
        let size = |total: &Total| match *total {
            Total::Number(_) => 1,
            Total::Output(output) => outputs[output].len(),
        };
        let mut end = 0;
        let fits = sums.ends.len() == totals.len()
            && totals.iter().zip(&sums.ends).all(|(total, &expected)| {
                end += size(total);
                end == expected
            });
        if !fits {
            sums.ends.clear();
            let mut end = 0;
            for total in totals {
                end += size(total);
                sums.ends.push(end);
            }
            sums.numbers = vec![0.0; end];
        }
        let mut start = 0;
        for (total, &end) in totals.iter().zip(&sums.ends) {
            for (index, sum) in sums.numbers[start..end].iter_mut().enumerate() {
                *sum += match *total {
                    Total::Number(number) => number,
                    Total::Output(output) => outputs[output].get_f64(index),
                };
            }
            start = end;
        }
        let totals = Totals::new(&sums.numbers, &sums.ends);
        let (first, end) = sums.places;
        for (place, value) in self.values[first..end].iter_mut().enumerate() {
            *value = metric.result_at(totals, place);
        }
    }

    /// Adds the norm of the gradient of a step.
    pub fn add_gradient_norm(&mut self, norm: f64) {
        self.gradient_norms.0 += norm;
        self.gradient_norms.1 += 1.0;
    }

    /// The mean of the norms of the gradients of steps, where there were any.
    pub fn gradient_norm(&self) -> Option<f64> {
        let (sum, steps) = self.gradient_norms;
        (steps > 0.0).then(|| sum / steps)
    }

    /// What a pass that is cut here needs to go on.
    pub fn state(&self) -> RunningState {
        let (norms, steps) = self.gradient_norms;
        let sums = [self.loss, self.examples, norms, steps].into_iter();
        let metrics = self.metrics.iter();
        RunningState {
            values: sums.chain(self.values.iter().copied()).collect(),
            metrics: metrics
                .map(|sums| (sums.numbers.clone(), sums.ends.clone()))
                .collect(),
        }
    }

    /// Goes on from there; `false` where it is the state of other metrics, and then nothing changes.
    pub fn restore(&mut self, state: &RunningState) -> bool {
        let [loss, examples, norms, steps, values @ ..] = state.values.as_slice() else {
            return false;
        };
        let whole = |(numbers, ends): &(Vec<f64>, Vec<usize>)| {
            ends.is_sorted() && ends.last().is_none_or(|&end| end == numbers.len())
        };
        if values.len() != self.values.len()
            || state.metrics.len() != self.metrics.len()
            || !state.metrics.iter().all(whole)
        {
            return false;
        }
        (self.loss, self.examples) = (*loss, *examples);
        self.gradient_norms = (*norms, *steps);
        self.values.copy_from_slice(values);
        for (sums, (numbers, ends)) in self.metrics.iter_mut().zip(&state.metrics) {
            sums.numbers.clone_from(numbers);
            sums.ends.clone_from(ends);
        }
        true
    }

    pub fn logs(&self) -> Logs<'_> {
        Logs {
            names: &self.names,
            values: &self.values,
        }
    }
}
