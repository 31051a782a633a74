//! Where the largest element is.

use crate::kernels::vector::Integer;

/// The columns that are searched side by side.
const TILE: usize = 64;

/// For `source` [outer, reduced, inner], the index of the first largest element along the middle axis, to `destination`
/// [outer, inner], as i64 or i32. NaN counts as the largest, as in NumPy; an empty axis gives 0.
///
/// # Panics
/// If a slice does not have its shape's length.
pub fn argmax<I: Integer>(source: &[f32], shape: [usize; 3], destination: &mut [I]) {
    let larger = |new: f32, old: f32| (new > old) | (new.is_nan() & !old.is_nan());
    search(source, shape, destination, larger);
}

/// As [`argmax`], of integers.
///
/// # Panics
/// If a slice does not have its shape's length.
pub fn argmax_integer<T: Integer, I: Integer>(
    source: &[T],
    shape: [usize; 3],
    destination: &mut [I],
) {
    search(source, shape, destination, |new, old| new > old);
}

fn search<T: Copy, I: Integer>(
    source: &[T],
    [outer, reduced, inner]: [usize; 3],
    destination: &mut [I],
    larger: impl Fn(T, T) -> bool,
) {
    assert_eq!(source.len(), outer * reduced * inner, "the source's length");
    assert_eq!(destination.len(), outer * inner, "the destination's length");
    if reduced == 0 || destination.is_empty() {
        destination.fill(I::ZERO);
        return;
    }
    if inner == 1 {
        for (row, result) in source.chunks_exact(reduced).zip(destination) {
            let (mut best, mut place) = (row[0], 0);
            for (i, &value) in row.iter().enumerate() {
                if larger(value, best) {
                    (best, place) = (value, i);
                }
            }
            *result = I::from_f64(place as f64);
        }
        return;
    }
    let matrices = source.chunks_exact(reduced * inner);
    for (matrix, results) in matrices.zip(destination.chunks_exact_mut(inner)) {
        for (tile, results) in results.chunks_mut(TILE).enumerate() {
            let column = tile * TILE;
            let mut best = [matrix[0]; TILE];
            let mut place = [0_u32; TILE];
            best[..results.len()].copy_from_slice(&matrix[column..][..results.len()]);
            for row in 1..reduced {
                let values = &matrix[row * inner + column..][..results.len()];
                for ((best, place), &value) in best.iter_mut().zip(&mut place).zip(values) {
                    let take = larger(value, *best);
                    *best = if take { value } else { *best };
                    *place = if take { row as u32 } else { *place };
                }
            }
            for (result, &place) in results.iter_mut().zip(&place) {
                *result = I::from_f64(f64::from(place));
            }
        }
    }
}
