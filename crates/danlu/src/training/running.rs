//! Running means of loss and metrics, kept in f64 on the host.

use super::Logs;

/// Running means over the steps of a pass.
#[derive(Debug, Default)]
pub(super) struct Running {
    names: Vec<String>,
    sums: Vec<f64>,
    counts: Vec<f64>,
    values: Vec<f64>,
}

impl Running {
    pub fn new(names: Vec<String>) -> Running {
        let count = names.len();
        Running {
            names,
            sums: vec![0.0; count],
            counts: vec![0.0; count],
            values: vec![0.0; count],
        }
    }

    /// Begins anew.
    pub fn reset(&mut self) {
        for numbers in [&mut self.sums, &mut self.counts, &mut self.values] {
            numbers.fill(0.0);
        }
    }

    /// Adds to the mean of this place; an empty mean is 0, as in Keras.
    pub fn add(&mut self, place: usize, sum: f64, count: f64) {
        self.sums[place] += sum;
        self.counts[place] += count;
        self.values[place] = if self.counts[place] == 0.0 {
            0.0
        } else {
            self.sums[place] / self.counts[place]
        };
    }

    pub fn logs(&self) -> Logs<'_> {
        Logs {
            names: &self.names,
            values: &self.values,
        }
    }
}
