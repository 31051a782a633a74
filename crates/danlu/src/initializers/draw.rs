//! Random numbers for initializers, element by element from their place, so that any order of drawing gives the same.

use danlu_graph::operations::random::{philox, uniform_at};

/// The stream of one parameter.
pub(super) struct Draw {
    key: [u32; 2],
}

impl Draw {
    pub fn new(key: [u32; 2]) -> Draw {
        Draw { key }
    }

    /// Uniform numbers from `low` up to, without, `high`.
    pub fn uniform(&mut self, count: usize, low: f64, high: f64) -> Vec<f32> {
        (0..count as u64)
            .map(|element| {
                let unit = f64::from(uniform_at(self.key, 0, 0, element));
                (low + (high - low) * unit) as f32
            })
            .collect()
    }

    /// Normal numbers.
    pub fn normal(&mut self, count: usize, mean: f64, deviation: f64) -> Vec<f32> {
        (0..count as u64)
            .map(|element| (mean + deviation * self.standard_normal(element, 0)) as f32)
            .collect()
    }

    /// Normal numbers; those beyond two deviations are drawn again.
    pub fn truncated_normal(&mut self, count: usize, mean: f64, deviation: f64) -> Vec<f32> {
        (0..count as u64)
            .map(|element| {
                // 95 % stay at each attempt: 64 attempts fail once in 10^83 elements.
                let standard = (0..64)
                    .map(|attempt| self.standard_normal(element, attempt))
                    .find(|standard| standard.abs() <= 2.0)
                    .unwrap_or(0.0);
                (mean + deviation * standard) as f32
            })
            .collect()
    }

    /// Rows of an orthogonal matrix (`rows >= columns`: columns), scaled, row-major.
    pub fn orthogonal(&mut self, rows: usize, columns: usize, gain: f64) -> Vec<f32> {
        let (long, short) = (rows.max(columns), rows.min(columns));
        // `short` vectors of `long` elements, made orthogonal one after the other; twice, for exactness.
        let mut vectors: Vec<Vec<f64>> = (0..short)
            .map(|row| {
                let first = (row * long) as u64;
                (0..long as u64)
                    .map(|element| self.standard_normal(first + element, 0))
                    .collect()
            })
            .collect();
        for current in 0..short {
            let (before, rest) = vectors.split_at_mut(current);
            let vector = &mut rest[0];
            for _ in 0..2 {
                for other in before.iter() {
                    let dot: f64 = other.iter().zip(vector.iter()).map(|(a, b)| a * b).sum();
                    for (value, along) in vector.iter_mut().zip(other) {
                        *value -= dot * along;
                    }
                }
            }
            let norm = vector.iter().map(|x| x * x).sum::<f64>().sqrt();
            vector.iter_mut().for_each(|value| *value /= norm);
        }
        let mut values = Vec::with_capacity(rows * columns);
        for row in 0..rows {
            for column in 0..columns {
                let (vector, place) = if rows >= columns {
                    (column, row)
                } else {
                    (row, column)
                };
                values.push((gain * vectors[vector][place]) as f32);
            }
        }
        values
    }

    /// Box and Muller's transform of two 32-bit words that belong to this element and attempt.
    fn standard_normal(&self, element: u64, attempt: u32) -> f64 {
        // The counter's last word keeps these numbers apart from the uniform ones, whose last word is 0.
        let counter = [element as u32, (element >> 32) as u32, attempt, 0x4e4f_524d];
        let words = philox(counter, self.key);
        let unit = |word: u32| (f64::from(word) + 0.5) / 4_294_967_296.0;
        let radius = (-2.0 * unit(words[0]).ln()).sqrt();
        radius * (std::f64::consts::TAU * unit(words[1])).cos()
    }
}
