//! Random numbers by counting: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011),
//! keyed by what a number belongs to. The same bits come out for any number of threads and any cut of a batch.

use super::{Backward, Family, expect_inputs, unravel};
use crate::reference::Array;
use crate::{Bindings, DType, Error, Graph, Result, Shape, Value, ValueType};

/// Uniform numbers in `[0, 1)`, multiples of 2^-24, from inputs `(seed, step, first example)`, each a 64-bit integer
/// without axes.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomUniform {
    /// Which draw of which layer: see [`stream`].
    pub stream: u64,
    /// The result's shape. If its first axis is `batch`, that axis is examples, counted from the first example.
    pub shape: Shape,
}

/// The stream of the `draw`-th draw of the layer at `path` (FNV-1a, 64 bits).
pub fn stream(path: &str, draw: u64) -> u64 {
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let state = path.bytes().fold(0xcbf2_9ce4_8422_2325, hash);
    draw.to_le_bytes().into_iter().fold(state, hash)
}

/// The key of a stream under a seed (SplitMix64's finalizer over both).
pub fn key(seed: u64, stream: u64) -> [u32; 2] {
    let mix = |mut z: u64| {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let mixed = mix(stream.wrapping_add(mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15))));
    [mixed as u32, (mixed >> 32) as u32]
}

/// Ten rounds of Philox4x32.
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key[0] = key[0].wrapping_add(0x9e37_79b9);
            key[1] = key[1].wrapping_add(0xbb67_ae85);
        }
        let first = u64::from(counter[0]) * 0xd251_1f53;
        let second = u64::from(counter[2]) * 0xcd9e_8d57;
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ];
    }
    counter
}

/// The number that belongs to an element of an example at a step. Four neighbouring elements share one Philox block,
/// with counter `[block, example ^ block >> 32, step, step >> 32 ^ example >> 32]`, each cut to 32 bits.
pub fn uniform_at(key: [u32; 2], step: u64, example: u64, element: u64) -> f32 {
    let block = element / 4;
    let counter = [
        block as u32,
        (example ^ (block >> 32)) as u32,
        step as u32,
        (step >> 32) as u32 ^ (example >> 32) as u32,
    ];
    let word = philox(counter, key)[(element % 4) as usize];
    (word >> 8) as f32 * 2f32.powi(-24)
}

impl RandomUniform {
    /// Whether the first axis is examples.
    pub fn per_example(&self) -> bool {
        self.shape.dims().first().is_some_and(crate::Dim::is_batch)
    }
}

impl Family for RandomUniform {
    fn name(&self) -> &str {
        "random_uniform"
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
            uniform_at,
        ))
    }
}

/// The type of a draw of this shape, from seed, step and first example.
pub(super) fn infer_draw(name: &str, shape: &Shape, inputs: &[ValueType]) -> Result<ValueType> {
    expect_inputs(name, inputs, 3)?;
    let scalar = ValueType::new(Shape::scalar(), DType::I64);
    if let Some(other) = inputs.iter().find(|input| **input != scalar) {
        return Err(Error::new(format!(
            "{name} takes seed, step and first example as {scalar}, received {other}"
        )));
    }
    Ok(ValueType::new(shape.clone(), DType::F32))
}

/// A draw of this shape, of so many examples: `at` gives the number of a key, step, example and element.
pub(super) fn evaluate_draw(
    stream: u64,
    inputs: &[&Array],
    shape: &[usize],
    examples: usize,
    at: fn([u32; 2], u64, u64, u64) -> f32,
) -> Vec<f64> {
    let integer = |index: usize| inputs[index].data[0] as i64 as u64;
    let key = key(integer(0), stream);
    let size = shape.iter().product::<usize>() / examples.max(1);
    let mut index = [0; 2];
    let number = |flat: usize| {
        unravel(flat, &[examples, size], &mut index);
        let example = integer(2).wrapping_add(index[0] as u64);
        f64::from(at(key, integer(1), example, index[1] as u64))
    };
    (0..examples * size).map(number).collect()
}

impl Graph {
    /// Uniform numbers in `[0, 1)`: `(seed, step, first_example)` are 64-bit integers without axes.
    ///
    /// # Errors
    /// One of them is of another type.
    pub fn random_uniform(
        &self,
        shape: &Shape,
        stream: u64,
        seed: &Value,
        step: &Value,
        first_example: &Value,
    ) -> Result<Value> {
        let shape = shape.clone();
        self.add(
            RandomUniform { stream, shape }.into(),
            &[seed, step, first_example],
        )
    }

    /// Truth values, each true with this probability, keyed as [`random_uniform`](Self::random_uniform) is.
    ///
    /// # Errors
    /// One of seed, step and first example is of another type.
    pub fn bernoulli(
        &self,
        probability: f64,
        shape: &Shape,
        stream: u64,
        seed: &Value,
        step: &Value,
        first_example: &Value,
    ) -> Result<Value> {
        let uniform = self.random_uniform(shape, stream, seed, step, first_example)?;
        uniform.less(&self.scalar(probability, DType::F32)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn philox_gives_the_published_numbers() {
        // Random123's kat_vectors for philox4x32-10.
        let zero = philox([0; 4], [0; 2]);
        assert_eq!(zero, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let ones = philox([u32::MAX; 4], [u32::MAX; 2]);
        assert_eq!(ones, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
    }

    #[test]
    fn streams_differ_by_path_and_draw() {
        assert_ne!(stream("dropout", 0), stream("dropout", 1));
        assert_ne!(stream("dropout", 0), stream("dropout_1", 0));
        assert_ne!(key(0, 1), key(1, 1));
    }
}
