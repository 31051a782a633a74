//! What L-BFGS learnt of the curvature.

use std::collections::VecDeque;

use danlu_graph::Tensor;

use crate::{Error, Result};

/// Numbers that stand before the arrays in a state: calls, iterations, step, scale, the length of a place, pairs.
const HEAD: usize = 6;

/// What is kept from one call to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// Calls of `minimize`.
    pub calls: u64,
    /// Iterations of all of them.
    pub iterations: u64,
    pub direction: Vec<f64>,
    pub step: f64,
    pairs: VecDeque<Pair>,
    scale: f64,
    gradient: Vec<f64>,
}

/// A change of the gradient, the change of place that made it, and one over their product.
#[derive(Clone, Debug)]
struct Pair {
    gradient: Vec<f64>,
    place: Vec<f64>,
    inverse: f64,
}

impl Pair {
    fn new(gradient: Vec<f64>, place: Vec<f64>) -> Pair {
        let inverse = 1.0 / dot(&gradient, &place);
        Pair {
            gradient,
            place,
            inverse,
        }
    }
}

impl Memory {
    /// Takes in the gradient of now: the curvature since the last one, and the direction to go.
    pub fn remember(&mut self, gradient: &[f64], history_size: usize) {
        self.iterations += 1;
        if self.iterations == 1 {
            self.direction = gradient.iter().map(|element| -element).collect();
            self.scale = 1.0;
            self.gradient = gradient.to_vec();
            return;
        }
        let change = gradient.iter().zip(&self.gradient);
        let change: Vec<f64> = change.map(|(new, old)| new - old).collect();
        let moved = self.direction.iter();
        let moved: Vec<f64> = moved.map(|along| along * self.step).collect();
        let product = dot(&change, &moved);
        if product > 1e-10 {
            if self.pairs.len() == history_size {
                self.pairs.pop_front();
            }
            self.scale = product / dot(&change, &change);
            self.pairs.push_back(Pair {
                gradient: change,
                place: moved,
                inverse: 1.0 / product,
            });
        }
        // The recursion of two loops (Nocedal 1980).
        let mut direction: Vec<f64> = gradient.iter().map(|element| -element).collect();
        let mut shares = Vec::with_capacity(self.pairs.len());
        for pair in self.pairs.iter().rev() {
            let share = dot(&pair.place, &direction) * pair.inverse;
            add(&mut direction, &pair.gradient, -share);
            shares.push(share);
        }
        direction
            .iter_mut()
            .for_each(|element| *element *= self.scale);
        for (pair, share) in self.pairs.iter().zip(shares.iter().rev()) {
            let own = dot(&pair.gradient, &direction) * pair.inverse;
            add(&mut direction, &pair.place, share - own);
        }
        self.direction = direction;
        self.gradient = gradient.to_vec();
    }

    /// All of it in one array, lossless: of f64 the bits.
    pub fn to_tensor(&self) -> Result<Tensor> {
        let (length, pairs) = (self.direction.len(), self.pairs.len());
        let mut numbers = vec![self.calls as i64, self.iterations as i64];
        numbers.extend([self.step, self.scale].map(|number| number.to_bits() as i64));
        numbers.extend([length as i64, pairs as i64]);
        let pairs = self.pairs.iter();
        let arrays = [&self.direction, &self.gradient].into_iter();
        for array in arrays.chain(pairs.flat_map(|pair| [&pair.gradient, &pair.place])) {
            numbers.extend(array.iter().map(|number| number.to_bits() as i64));
        }
        Ok(Tensor::from_i64(&[numbers.len()], numbers)?)
    }

    /// The way back.
    ///
    /// # Errors
    /// It is not such an array.
    pub fn from_tensor(tensor: &Tensor) -> Result<Memory> {
        let wrong = || {
            let received = format!("{} {:?}", tensor.dtype(), tensor.shape());
            let expected = "what L-BFGS keeps, in one array of i64";
            let advice = "the state is that of another optimizer, or damaged";
            Error::mismatch("the optimizer state of LBFGS", expected, received, advice)
        };
        let numbers = tensor.as_i64().unwrap_or_default();
        let Some((&[calls, iterations, step, scale, length, pairs], arrays)) =
            numbers.split_first_chunk::<HEAD>()
        else {
            return Err(wrong());
        };
        let size = |number: i64| usize::try_from(number).map_err(|_| wrong());
        let (length, pairs) = (size(length)?, size(pairs)?);
        let whole = pairs
            .checked_mul(2)
            .and_then(|arrays| arrays.checked_add(2)?.checked_mul(length));
        if whole != Some(arrays.len()) || (length == 0 && pairs > 0) {
            return Err(wrong());
        }
        let number = |bits: &i64| f64::from_bits(*bits as u64);
        let mut arrays = arrays
            .chunks(length.max(1))
            .map(|array| array.iter().map(number).collect::<Vec<f64>>());
        let mut next = || arrays.next().unwrap_or_default();
        Ok(Memory {
            calls: size(calls)? as u64,
            iterations: size(iterations)? as u64,
            step: number(&step),
            scale: number(&scale),
            direction: next(),
            gradient: next(),
            pairs: (0..pairs).map(|_| Pair::new(next(), next())).collect(),
        })
    }
}

pub(super) fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter()
        .zip(right)
        .map(|(left, right)| left * right)
        .sum()
}

fn add(to: &mut [f64], other: &[f64], factor: f64) {
    for (to, other) in to.iter_mut().zip(other) {
        *to += factor * other;
    }
}
