//! Normal random numbers from the uniform ones that [`random`](super::random) counts (Box and Muller, "A note on the
//! generation of random normal deviates", 1958).

use super::random::{evaluate_draw, infer_draw, uniform_at};
use super::{Backward, Family};
use crate::reference::Array;
use crate::{Bindings, Graph, Result, Shape, Value, ValueType};

/// Normal numbers of mean 0 and standard deviation 1, from inputs `(seed, step, first example)`, each a 64-bit integer
/// without axes. Elements `2n` and `2n + 1` of an example are made of the uniform numbers of these two elements in the same
/// stream; none is beyond 5.78, since a uniform number has 24 bits.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomNormal {
    /// Which draw of which layer: see [`stream`](super::random::stream).
    pub stream: u64,
    /// The result's shape. If its first axis is `batch`, that axis is examples, counted from the first example.
    pub shape: Shape,
}

/// Two independent normal numbers from two uniform ones in `[0, 1)`, multiples of 2^-24:
/// `sqrt(-2 ln(1 - u)) (cos 2 pi v, sin 2 pi v)`. Additions, products, quotients and roots of `f64` only, which every machine
/// rounds alike, so that no instruction set has other bits.
#[inline(always)]
pub fn normal_pair(u: f32, v: f32) -> [f32; 2] {
    let radius = (-2.0 * logarithm(1.0 - f64::from(u))).sqrt();
    let [cosine, sine] = circle(f64::from(v));
    [(radius * cosine) as f32, (radius * sine) as f32]
}

/// The natural logarithm of a number from 2^-24 to 1, off by less than 1e-13.
#[inline(always)]
fn logarithm(x: f64) -> f64 {
    // x = m 2^e with m from 1 to 2, then from sqrt(1/2) to sqrt(2), where ln m = 2 artanh((m - 1) / (m + 1)).
    let bits = x.to_bits();
    let exponent = (bits >> 52) as i64 - 1023;
    let mantissa = f64::from_bits(bits & ((1 << 52) - 1) | 1023 << 52);
    let large = mantissa > std::f64::consts::SQRT_2;
    let mantissa = if large { mantissa * 0.5 } else { mantissa };
    let exponent = if large { exponent + 1 } else { exponent };
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let mut sum = 1.0 / 17.0;
    for odd in [15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        sum = sum * square + 1.0 / odd;
    }
    2.0 * s * sum + exponent as f64 * std::f64::consts::LN_2
}

/// Cosine and sine of `2 pi turn`, `turn` in `[0, 1)`, off by less than 1e-14.
#[inline(always)]
fn circle(turn: f64) -> [f64; 2] {
    // The nearest quarter turn, and what is left, at most an eighth turn; the difference is exact.
    let quarter = (turn * 4.0 + 0.5) as i32;
    let angle = (turn * 4.0 - f64::from(quarter)) * std::f64::consts::FRAC_PI_2;
    let square = angle * angle;
    let (mut cosine, mut sine) = (1.0, 1.0);
    // Taylor's series from their last terms: x^16 / 16! and x^17 / 17!.
    for n in [16.0, 14.0, 12.0, 10.0, 8.0, 6.0, 4.0, 2.0] {
        cosine = 1.0 - cosine * square / (n * (n - 1.0));
        sine = 1.0 - sine * square / (n * (n + 1.0));
    }
    let sine = sine * angle;
    match quarter & 3 {
        0 => [cosine, sine],
        1 => [-sine, cosine],
        2 => [-cosine, -sine],
        _ => [sine, -cosine],
    }
}

/// The number that belongs to an element of an example at a step, under a [`key`](super::random::key).
pub fn normal_at(key: [u32; 2], step: u64, example: u64, element: u64) -> f32 {
    let first = element & !1;
    let uniform = |element: u64| uniform_at(key, step, example, element);
    normal_pair(uniform(first), uniform(first + 1))[(element & 1) as usize]
}

impl RandomNormal {
    /// Whether the first axis is examples.
    pub fn per_example(&self) -> bool {
        self.shape.dims().first().is_some_and(crate::Dim::is_batch)
    }
}

impl Family for RandomNormal {
    fn name(&self) -> &str {
        "random_normal"
    }

    fn attributes(&self) -> String {
        format!("stream={:016x}", self.stream)
    }

    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        infer_draw(self.name(), &self.shape, inputs)
    }

    fn gradient(&self, _: &Backward) -> Result<Vec<Option<Value>>> {
        Ok(vec![None, None, None])
    }

    fn evaluate(&self, inputs: &[&Array], shape: &[usize], _: &Bindings) -> Result<Vec<f64>> {
        let examples = if self.per_example() { shape[0] } else { 1 };
        Ok(evaluate_draw(
            self.stream,
            inputs,
            shape,
            examples,
            normal_at,
        ))
    }
}

impl Graph {
    /// Normal numbers of mean 0 and standard deviation 1: `(seed, step, first_example)` are 64-bit integers without axes.
    ///
    /// # Errors
    /// One of them is of another type.
    pub fn random_normal(
        &self,
        shape: &Shape,
        stream: u64,
        seed: &Value,
        step: &Value,
        first_example: &Value,
    ) -> Result<Value> {
        let shape = shape.clone();
        self.add(
            RandomNormal { stream, shape }.into(),
            &[seed, step, first_example],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALLEST: f32 = 1.0 / 16_777_216.0;

    #[test]
    fn pairs_are_what_the_formula_says() {
        let mut turns: Vec<f32> = (0..1000)
            .map(|n| (n * 16_777 + 5) as f32 * SMALLEST)
            .collect();
        turns.extend([0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 0.875, 1.0 - SMALLEST]);
        for (place, &v) in turns.iter().enumerate() {
            let u = turns[(place * 37 + 11) % turns.len()];
            let radius = (-2.0 * (1.0 - f64::from(u)).ln()).sqrt();
            let angle = 2.0 * std::f64::consts::PI * f64::from(v);
            let expected = [radius * angle.cos(), radius * angle.sin()];
            for (found, expected) in normal_pair(u, v).into_iter().zip(expected) {
                // Half a unit of f32's last place, and what f64 leaves of a cosine that ought to be 0.
                let allowed = f64::from(f32::EPSILON) / 2.0 * expected.abs() * 1.001 + 1e-14;
                let off = (f64::from(found) - expected).abs();
                assert!(off <= allowed, "{u} {v}: {found}, not {expected}");
            }
        }
        assert!(normal_pair(0.0, 0.3).iter().all(|x| *x == 0.0));
        assert!((normal_pair(1.0 - SMALLEST, 0.0)[0] - 5.768).abs() < 0.001);
    }

    #[test]
    fn moments_are_those_of_the_normal_distribution() {
        let numbers: Vec<f64> = (0..100_000)
            .map(|element| f64::from(normal_at([3, 5], 2, 1, element)))
            .collect();
        let moment = |power: i32| numbers.iter().map(|x| x.powi(power)).sum::<f64>() / 1e5;
        assert!(moment(1).abs() < 0.01, "{}", moment(1));
        assert!((moment(2) - 1.0).abs() < 0.015, "{}", moment(2));
        assert!(moment(3).abs() < 0.04, "{}", moment(3));
        assert!((moment(4) - 3.0).abs() < 0.1, "{}", moment(4));
        let pairs = numbers.chunks(2).map(|pair| pair[0] * pair[1]).sum::<f64>() / 5e4;
        assert!(pairs.abs() < 0.015, "{pairs}");
    }
}
