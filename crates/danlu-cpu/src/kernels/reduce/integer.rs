//! Reductions of integers and truth values.

use crate::kernels::vector::Integer;

/// How integers are reduced. Of truth values (bytes of 0 and 1) the largest is `any`, the smallest `all`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IntegerReduceKind {
    /// Their sum, wrapping on overflow; 0 of none.
    Sum,
    /// The largest; the dtype's smallest of none.
    Max,
    /// The smallest; the dtype's largest of none.
    Min,
}

/// Reduces `source` [outer, reduced, inner] to `destination` [outer, inner].
///
/// # Panics
/// If a slice does not have its shape's length.
pub fn reduce_integer<T: Integer>(
    kind: IntegerReduceKind,
    source: &[T],
    shape: [usize; 3],
    destination: &mut [T],
) {
    match kind {
        IntegerReduceKind::Sum => fold(source, shape, destination, T::ZERO, T::add),
        IntegerReduceKind::Max => fold(source, shape, destination, T::SMALLEST, T::max),
        IntegerReduceKind::Min => fold(source, shape, destination, T::LARGEST, T::min),
    }
}

fn fold<T: Integer>(
    source: &[T],
    [outer, reduced, inner]: [usize; 3],
    destination: &mut [T],
    initial: T,
    join: impl Fn(T, T) -> T,
) {
    assert_eq!(source.len(), outer * reduced * inner, "the source's length");
    assert_eq!(destination.len(), outer * inner, "the destination's length");
    destination.fill(initial);
    if source.is_empty() {
        return;
    }
    let matrices = source.chunks_exact(reduced * inner);
    for (matrix, results) in matrices.zip(destination.chunks_exact_mut(inner)) {
        if inner == 1 {
            results[0] = matrix.iter().fold(initial, |sum, &x| join(sum, x));
            continue;
        }
        for row in matrix.chunks_exact(inner) {
            for (result, &x) in results.iter_mut().zip(row) {
                *result = join(*result, x);
            }
        }
    }
}
