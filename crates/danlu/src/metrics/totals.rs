//! Sums of what batches added, on the host.

/// What all batches added to a metric's totals, in f64.
#[derive(Clone, Copy, Debug)]
pub struct Totals<'a> {
    numbers: &'a [f64],
    ends: &'a [usize],
}

impl<'a> Totals<'a> {
    /// Totals that lie one after the other; each ends where `ends` says.
    pub fn new(numbers: &'a [f64], ends: &'a [usize]) -> Totals<'a> {
        Totals { numbers, ends }
    }

    /// The elements of one total; none where there is no such total.
    pub fn get(&self, index: usize) -> &'a [f64] {
        let start = match index {
            0 => 0,
            _ => self
                .ends
                .get(index - 1)
                .copied()
                .unwrap_or(self.numbers.len()),
        };
        let end = self.ends.get(index).copied().unwrap_or(start);
        self.numbers.get(start..end).unwrap_or_default()
    }

    /// The only element of a total; 0 where there is none.
    pub fn number(&self, index: usize) -> f64 {
        self.get(index).first().copied().unwrap_or(0.0)
    }

    /// The first total divided by the second; 0 where there was nothing, as in Keras.
    pub fn mean(&self) -> f64 {
        divide(self.number(0), self.number(1))
    }
}

/// `a / b`, 0 where b is 0 (Keras' `divide_no_nan`).
pub(super) fn divide(a: f64, b: f64) -> f64 {
    match b {
        0.0 => 0.0,
        b => a / b,
    }
}
