//! The order in which an epoch sees the examples: the same for the same seed and epoch on every machine.
//!
//! Fisher-Yates over Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011). Key: the seed, low word
//! first. Counter: (block, tag, epoch low, epoch high), the tag being "SHUF" in ASCII, so that no other use of the seed meets these numbers.
//! A block gives two 64-bit words, low word first. Bounds without bias by Lemire's method (2019).

const TAG: u32 = 0x5348_5546;

/// Writes the permutation of `0..count` that belongs to `(seed, epoch)` into `order`; allocates only where its capacity is too small.
///
/// ```
/// let mut order = Vec::new();
/// danlu_data::shuffle::permutation(1, 0, 5, &mut order);
/// let first = order.clone();
/// danlu_data::shuffle::permutation(1, 1, 5, &mut order);
/// assert_ne!(first, order);
/// ```
pub fn permutation(seed: u64, epoch: u64, count: usize, order: &mut Vec<usize>) {
    order.clear();
    order.extend(0..count);
    let mut words = Words::new(seed, epoch);
    for last in (1..count).rev() {
        // `usize` fits `u64` on every target of Rust's.
        let chosen = words.below(last as u64 + 1) as usize;
        order.swap(last, chosen);
    }
}

/// The stream of 64-bit words of one (seed, epoch).
struct Words {
    key: [u32; 2],
    epoch: [u32; 2],
    block: u32,
    spare: Option<u64>,
}

impl Words {
    fn new(seed: u64, epoch: u64) -> Words {
        Words {
            key: halves(seed),
            epoch: halves(epoch),
            block: 0,
            spare: None,
        }
    }

    fn next(&mut self) -> u64 {
        if let Some(word) = self.spare.take() {
            return word;
        }
        let [a, b, c, d] = philox([self.block, TAG, self.epoch[0], self.epoch[1]], self.key);
        self.block = self.block.wrapping_add(1);
        self.spare = Some(u64::from(c) | u64::from(d) << 32);
        u64::from(a) | u64::from(b) << 32
    }

    /// A whole number below `bound`, each equally likely; `bound` is not 0.
    fn below(&mut self, bound: u64) -> u64 {
        let mut product = u128::from(self.next()) * u128::from(bound);
        if (product as u64) < bound {
            let threshold = bound.wrapping_neg() % bound;
            while (product as u64) < threshold {
                product = u128::from(self.next()) * u128::from(bound);
            }
        }
        (product >> 64) as u64
    }
}

fn halves(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key[0] = key[0].wrapping_add(0x9E37_79B9);
            key[1] = key[1].wrapping_add(0xBB67_AE85);
        }
        let [low0, high0] = halves(0xD251_1F53 * u64::from(counter[0]));
        let [low1, high1] = halves(0xCD9E_8D57 * u64::from(counter[2]));
        counter = [
            high1 ^ counter[1] ^ key[0],
            low1,
            high0 ^ counter[3] ^ key[1],
            low0,
        ];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers of the Random123 library (`kat_vectors`, philox4x32 10).
    #[test]
    fn philox_gives_the_known_answers() {
        assert_eq!(
            philox([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox([u32::MAX; 4], [u32::MAX; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn every_example_comes_once_and_the_seed_and_the_epoch_decide() {
        let mut order = Vec::new();
        for count in [0, 1, 2, 3, 1000] {
            permutation(7, 3, count, &mut order);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert!(sorted.into_iter().eq(0..count));
        }
        let first = order.clone();
        permutation(7, 3, 1000, &mut order);
        assert_eq!(first, order);
        for (seed, epoch) in [(8, 3), (7, 4), (7 + (1 << 32), 3), (7, 3 + (1 << 32))] {
            permutation(seed, epoch, 1000, &mut order);
            assert_ne!(first, order, "seed {seed}, epoch {epoch}");
        }
    }

    /// Made by an independent Python program of the text above; runs can be repeated only as long as this order stays.
    #[test]
    fn the_order_is_written_down() {
        let mut order = Vec::new();
        permutation(1, 2, 10, &mut order);
        assert_eq!(order, [5, 0, 6, 3, 8, 7, 4, 1, 9, 2]);
    }

    /// All 24 orders of 4 examples come equally often: chi-squared with 23 degrees of freedom, 99.9 % quantile 49.7.
    #[test]
    fn no_order_is_preferred() {
        let mut counts = std::collections::BTreeMap::<Vec<usize>, u32>::new();
        let mut order = Vec::new();
        for epoch in 0..24_000 {
            permutation(0, epoch, 4, &mut order);
            *counts.entry(order.clone()).or_default() += 1;
        }
        assert_eq!(counts.len(), 24);
        let chi_squared: f64 = counts
            .values()
            .map(|&count| (f64::from(count) - 1000.0).powi(2) / 1000.0)
            .sum();
        assert!(chi_squared < 49.7, "{chi_squared}");
    }
}
