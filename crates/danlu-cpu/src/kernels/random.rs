//! Counter-based random numbers: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3"
//! (SC 2011).
//!
//! A number depends on the key (a hash of seed, layer path and draw), the step, the global index of the example and the index of
//! the element in the example, and on nothing else.
//!
//! Element `e` of an example is word `e % 4` of the block whose counter is
//! `[block low, example low ^ block high, step low, step high ^ example high]`, with `block = e / 4` and 64-bit numbers split into
//! 32-bit halves.

use danlu_graph::operations::normal::normal_pair;
use pulp::{Simd, WithSimd, bytemuck};

use crate::kernels::lanes::named;
use crate::simd::Isa;

const MULTIPLIERS: [u32; 2] = [0xd251_1f53, 0xcd9e_8d57];
const WEYL: [u32; 2] = [0x9e37_79b9, 0xbb67_ae85];
const ROUNDS: usize = 10;

/// The most lanes that a vector of u32 has.
const MOST_LANES: usize = 16;

/// The four random words of a counter.
pub fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for _ in 0..ROUNDS {
        let first = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let second = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ];
        key = next_key(key);
    }
    counter
}

/// The key of the next round.
#[inline(always)]
fn next_key(key: [u32; 2]) -> [u32; 2] {
    [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])]
}

/// The counter of a block of four elements.
#[inline(always)]
fn counter(step: u64, example: u64, block: u64) -> [u32; 4] {
    [
        block as u32,
        example as u32 ^ (block >> 32) as u32,
        step as u32,
        (step >> 32) as u32 ^ (example >> 32) as u32,
    ]
}

/// A uniform number in [0, 1) with 24 bits, from a random word.
#[inline(always)]
fn unit(word: u32) -> f32 {
    const UNIT: f32 = 1.0 / 16_777_216.0; // 2^-24
    (word >> 8) as i32 as f32 * UNIT
}

/// The uniform number in [0, 1) of one element: what [`uniform`] writes, one at a time.
pub fn uniform_at(key: [u32; 2], step: u64, example: u64, element: u64) -> f32 {
    unit(philox(counter(step, example, element / 4), key)[(element % 4) as usize])
}

/// The uniform numbers in [0, 1) of the elements from `first_element` on of one example, as many as `destination` holds.
pub fn uniform(
    isa: Isa,
    key: [u32; 2],
    step: u64,
    example: u64,
    first_element: u64,
    destination: &mut [f32],
) {
    // Elements up to the first whole block, whole blocks, and the rest.
    let before = (first_element.wrapping_neg() % 4).min(destination.len() as u64) as usize;
    let (head, rest) = destination.split_at_mut(before);
    for (element, value) in (first_element..).zip(head) {
        *value = uniform_at(key, step, example, element);
    }
    isa.dispatch(Uniform {
        key,
        step,
        example,
        block: first_element.div_ceil(4),
        destination: rest,
    });
}

/// The normal numbers of the elements from `first_element`, an even one, on of one example: of each pair of uniform numbers two
/// (Box and Muller).
pub fn normal(
    isa: Isa,
    key: [u32; 2],
    step: u64,
    example: u64,
    first_element: u64,
    destination: &mut [f32],
) {
    uniform(isa, key, step, example, first_element, destination);
    let last = first_element + destination.len() as u64;
    let (pairs, rest) = destination.as_chunks_mut();
    for pair in pairs {
        let [u, v] = *pair;
        *pair = normal_pair(u, v);
    }
    if let [u] = rest {
        let partner = uniform_at(key, step, example, last);
        *u = normal_pair(*u, partner)[0];
    }
}

/// The numbers of whole blocks from `block` on, and of a part of the last.
struct Uniform<'a> {
    key: [u32; 2],
    step: u64,
    example: u64,
    block: u64,
    destination: &'a mut [f32],
}

impl WithSimd for Uniform<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Each lane makes a block. Which one is free, so long as interleaving the four words of all lanes gives the elements in
        // order; so it is found by doing the opposite to the elements' block numbers.
        let lanes = S::U32_LANES;
        let mut numbers = [0_u32; 4 * MOST_LANES];
        for (element, number) in numbers.iter_mut().enumerate() {
            *number = element as u32 / 4;
        }
        let vector = named(
            #[inline(always)]
            |i: usize| simd.partial_load_u32s(&numbers[i * lanes..][..lanes]),
        );
        let numbers = [vector(0), vector(1), vector(2), vector(3)];
        let [numbers, ..] = simd.deinterleave_shfl_f32s(numbers.map(
            #[inline(always)]
            |vector| simd.transmute_f32s_u32s(vector),
        ));
        let numbers = simd.transmute_u32s_f32s(numbers);

        let mut block = self.block;
        for piece in self.destination.chunks_mut(4 * lanes) {
            let [c0, c1, c2, c3] = counter(self.step, self.example, block);
            let low = simd.add_u32s(simd.splat_u32s(c0), numbers);
            // Where the low half wraps, the high half of the block number is another.
            let wrapped = counter(self.step, self.example, block.wrapping_add(1 << 32))[1];
            let wraps = simd.less_than_u32s(low, simd.splat_u32s(c0));
            let high = simd.select_u32s(wraps, simd.splat_u32s(wrapped), simd.splat_u32s(c1));
            let words = [low, high, simd.splat_u32s(c2), simd.splat_u32s(c3)];
            let words = philox_lanes(simd, words, self.key);
            let words = simd.interleave_shfl_f32s(words.map(
                #[inline(always)]
                |words| simd.transmute_f32s_u32s(words),
            ));
            let words: &[u32] = bytemuck::cast_slice(&words);
            for (value, &word) in piece.iter_mut().zip(words) {
                *value = unit(word);
            }
            block = block.wrapping_add(lanes as u64);
        }
    }
}

/// As [`philox`], for as many counters as a vector has lanes.
#[inline(always)]
fn philox_lanes<S: Simd>(simd: S, mut words: [S::u32s; 4], mut key: [u32; 2]) -> [S::u32s; 4] {
    let multipliers = MULTIPLIERS.map(
        #[inline(always)]
        |multiplier| simd.splat_u32s(multiplier),
    );
    for _ in 0..ROUNDS {
        let (first_low, first_high) = simd.widening_mul_u32s(multipliers[0], words[0]);
        let (second_low, second_high) = simd.widening_mul_u32s(multipliers[1], words[2]);
        let keys = [simd.splat_u32s(key[0]), simd.splat_u32s(key[1])];
        words = [
            simd.xor_u32s(simd.xor_u32s(second_high, words[1]), keys[0]),
            second_low,
            simd.xor_u32s(simd.xor_u32s(first_high, words[3]), keys[1]),
            first_low,
        ];
        key = next_key(key);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_published() {
        // Random123 1.14, tests/kat_vectors.
        let zero = philox([0; 4], [0; 2]);
        assert_eq!(zero, [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        let ones = philox([u32::MAX; 4], [u32::MAX; 2]);
        assert_eq!(ones, [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        let pi = philox(
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0],
        );
        assert_eq!(pi, [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]);
    }

    #[test]
    fn pieces_are_what_single_elements_are() {
        let (key, step, example) = ([7, 9], 5 << 33 | 3, 11 << 32 | 4);
        for isa in Isa::available() {
            for first in [0, 1, 2, 3, 4, 61, (1 << 34) - 3, (1 << 34) - 20] {
                for length in [0, 1, 2, 3, 4, 5, 63, 64, 65, 130] {
                    let mut values = vec![-1.0; length];
                    uniform(isa, key, step, example, first, &mut values);
                    for (i, value) in values.iter().enumerate() {
                        let single = uniform_at(key, step, example, first + i as u64);
                        assert_eq!(*value, single, "{isa} {first} {length}");
                        assert!((0.0..1.0).contains(value));
                    }
                }
            }
        }
    }

    #[test]
    fn means_and_variances_are_those_of_the_uniform_distribution() {
        let mut values = vec![0.0; 100_000];
        uniform(Isa::detect(), [1, 2], 0, 0, 0, &mut values);
        let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / 1e5;
        let square = values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / 1e5;
        assert!((mean - 0.5).abs() < 0.004, "{mean}");
        assert!((square - mean * mean - 1.0 / 12.0).abs() < 0.001);
    }
}
