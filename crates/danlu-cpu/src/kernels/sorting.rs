//! Order along rows. Each element becomes a number that holds its rank in the high bits and its place in the low ones: no two
//! are equal, so that an unstable sort, which needs no memory, gives the one stable order.

/// A dtype that can be put in order.
pub trait Ordered: Copy + Send + Sync + 'static {
    /// Its number and its place in one.
    type Key: Copy + Ord;
    /// Larger for larger elements (for smaller ones where `descending`), then for later places.
    fn key(self, place: u32, descending: bool) -> Self::Key;
    /// The place in a key.
    fn place(key: Self::Key) -> usize;
}

/// A 32-bit rank and a place.
#[inline(always)]
fn key32(rank: u32, place: u32, descending: bool) -> u64 {
    let rank = if descending { !rank } else { rank };
    u64::from(rank) << 32 | u64::from(place)
}

macro_rules! ordered32 {
    ($($type:ty: $value:ident => $rank:expr;)*) => {
        $(impl Ordered for $type {
            type Key = u64;
            #[inline(always)]
            fn key(self, place: u32, descending: bool) -> u64 {
                let $value = self;
                key32($rank, place, descending)
            }
            #[inline(always)]
            fn place(key: u64) -> usize {
                key as u32 as usize
            }
        })*
    };
}

ordered32! {
    f32: value => rank(value);
    i32: value => value.cast_unsigned() ^ 1 << 31;
    i8: value => i32::from(value).cast_unsigned() ^ 1 << 31;
    u8: value => u32::from(value);
}

impl Ordered for i64 {
    type Key = u128;
    #[inline(always)]
    fn key(self, place: u32, descending: bool) -> u128 {
        let rank = self.cast_unsigned() ^ 1 << 63;
        let rank = if descending { !rank } else { rank };
        u128::from(rank) << 64 | u128::from(place)
    }
    #[inline(always)]
    fn place(key: u128) -> usize {
        key as u32 as usize
    }
}

/// Larger for larger numbers; the same for 0 and -0, and for every NaN, which is the largest.
#[inline(always)]
fn rank(value: f32) -> u32 {
    if value.is_nan() {
        return u32::MAX;
    }
    // -0 + 0 is 0.
    let bits = (value + 0.0).to_bits();
    if bits >> 31 == 1 {
        !bits
    } else {
        bits | 1 << 31
    }
}

/// The keys of the first `count` elements in order are the first of `keys` afterwards.
///
/// # Panics
/// If there is not a key for each element, or `count` is more than there are.
pub fn order<'a, T: Ordered>(
    row: &[T],
    keys: &'a mut [T::Key],
    count: usize,
    descending: bool,
) -> &'a [T::Key] {
    assert_eq!(row.len(), keys.len(), "a key for each element");
    for ((place, &value), key) in (0..).zip(row).zip(keys.iter_mut()) {
        *key = value.key(place, descending);
    }
    if count < keys.len() {
        keys.select_nth_unstable(count);
    }
    let first = &mut keys[..count];
    first.sort_unstable();
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(row: &[f32], count: usize, descending: bool) -> Vec<usize> {
        let mut keys = vec![0; row.len()];
        let keys = order(row, &mut keys, count, descending);
        keys.iter().map(|&key| f32::place(key)).collect()
    }

    #[test]
    fn equals_keep_their_order_and_nan_is_the_largest() {
        let row = [
            0.0,
            f32::NAN,
            -0.0,
            f32::INFINITY,
            -1.0,
            -f32::NAN,
            f32::NEG_INFINITY,
            1e-40,
            -1e-40,
        ];
        assert_eq!(places(&row, 9, false), [6, 4, 8, 0, 2, 7, 3, 1, 5]);
        assert_eq!(places(&row, 9, true), [1, 5, 3, 7, 0, 2, 8, 4, 6]);
        assert_eq!(places(&row, 3, true), [1, 5, 3]);
        assert_eq!(places(&row, 1, false), [6]);
    }

    #[test]
    fn integers_are_in_order_over_their_whole_range() {
        let row = [3, i64::MIN, -1, i64::MAX, 0, 3];
        let mut keys = vec![0; 6];
        let sorted = order(&row, &mut keys, 6, true);
        let places: Vec<usize> = sorted.iter().map(|&key| i64::place(key)).collect();
        assert_eq!(places, [3, 0, 5, 4, 2, 1]);
    }
}
