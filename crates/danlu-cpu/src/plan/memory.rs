//! The arena: every value that lives between two steps gets a place in one block; places are reused as soon as the last
//! reader has run.

use danlu_graph::{Error, Result};

use crate::buffer::{ALIGNMENT, aligned};

/// A value's life, in steps, and its size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    /// The step that writes it.
    pub first: usize,
    /// The last step that reads it.
    pub last: usize,
    /// Its size.
    pub bytes: usize,
}

/// Checks that sizes can be added without leaving the address space.
pub(crate) fn check(lives: &[Life]) -> Result<()> {
    lives
        .iter()
        .try_fold(0usize, |sum, life| {
            sum.checked_add(life.bytes.checked_next_multiple_of(ALIGNMENT)?)
        })
        .filter(|&sum| sum <= isize::MAX as usize)
        .map(|_| ())
        .ok_or_else(|| Error::new("the program needs more memory than can be addressed"))
}

/// Offsets for values with these lives, and the size of the arena. Large values are placed first, each at the lowest
/// offset that is free during its life.
pub(crate) fn place(lives: &[Life]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..lives.len()).collect();
    order.sort_by_key(|&index| {
        (
            std::cmp::Reverse(lives[index].bytes),
            lives[index].first,
            index,
        )
    });
    let mut offsets = vec![0; lives.len()];
    let mut placed: Vec<usize> = Vec::with_capacity(lives.len());
    let mut total = 0;
    for index in order {
        let life = lives[index];
        let size = aligned(life.bytes);
        let mut neighbours: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&other| lives[other].first <= life.last && life.first <= lives[other].last)
            .map(|&other| (offsets[other], offsets[other] + aligned(lives[other].bytes)))
            .collect();
        neighbours.sort_unstable();
        let mut offset = 0;
        for (start, end) in neighbours {
            if offset + size <= start {
                break;
            }
            offset = offset.max(end);
        }
        offsets[index] = offset;
        total = total.max(offset + size);
        placed.push(index);
    }
    (offsets, total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn values_that_live_together_never_overlap(
            raw in prop::collection::vec((0usize..40, 0usize..10, 0usize..5000), 0..60)
        ) {
            let lives: Vec<Life> = raw
                .iter()
                .map(|&(first, length, bytes)| Life { first, last: first + length, bytes })
                .collect();
            let (offsets, total) = place(&lives);
            for (i, a) in lives.iter().enumerate() {
                prop_assert!(offsets[i] + a.bytes <= total);
                prop_assert_eq!(offsets[i] % 64, 0);
                for (j, b) in lives.iter().enumerate().skip(i + 1) {
                    let together = a.first <= b.last && b.first <= a.last;
                    let apart = offsets[i] + a.bytes <= offsets[j] || offsets[j] + b.bytes <= offsets[i];
                    prop_assert!(!together || apart || a.bytes == 0 || b.bytes == 0);
                }
            }
        }
    }

    #[test]
    fn sizes_beyond_the_address_space_are_an_error() {
        let life = |bytes| Life {
            first: 0,
            last: 0,
            bytes,
        };
        let large = isize::MAX as usize;
        assert!(check(&[life(large / 2), life(64)]).is_ok());
        assert!(check(&[life(large), life(large), life(large)]).is_err());
        assert!(check(&[life(usize::MAX)]).is_err());
    }

    #[test]
    fn a_chain_needs_room_for_two_neighbours_only() {
        let lives: Vec<Life> = (0..10)
            .map(|step| Life {
                first: step,
                last: step + 1,
                bytes: 1000,
            })
            .collect();
        assert_eq!(place(&lives).1, 2 * aligned(1000));
    }
}
