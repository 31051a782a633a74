//! Against sums in f64.

use super::*;

/// Numbers around a large mean, a different one for each column.
fn numbers(rows: usize, inner: usize) -> Vec<f32> {
    let uniform = danlu_graph::operations::random::uniform_at;
    (0..rows * inner)
        .map(|index| {
            let noise = uniform([1, 2], 0, 0, index as u64) - 0.5;
            1000.0 * ((index % inner) as f32 - 1.0) + noise
        })
        .collect()
}

/// The statistic of each column, in f64.
fn expected(values: &[f32], inner: usize, statistic: Statistic) -> Vec<f64> {
    let rows = (values.len() / inner) as f64;
    let column = |index: usize| values[index..].iter().step_by(inner).map(|&x| f64::from(x));
    (0..inner)
        .map(|index| {
            let sum: f64 = column(index).sum();
            match statistic {
                Statistic::Sum => sum,
                Statistic::Mean => sum / rows,
                Statistic::Variance => {
                    let mean = sum / rows;
                    column(index).map(|x| (x - mean).powi(2)).sum::<f64>() / rows
                }
            }
        })
        .collect()
}

#[test]
fn pieces_of_any_width_give_the_statistics_of_the_whole() {
    for isa in Isa::available() {
        for inner in [1, 3, 8, 17, 31, 32, 33, 70] {
            let rows = 601;
            let values = numbers(rows, inner);
            let mut slots = Vec::new();
            let (piece, stride) = (100, 1 + 4 * inner);
            for part in values.chunks(piece * inner) {
                let mut slot = vec![f32::NAN; stride];
                slot[0] = (part.len() / inner) as f32;
                let shape = [part.len() / inner, inner];
                slot[1..=inner].fill(0.0);
                let sums = slot[1..].as_mut_ptr();
                let results = [1, 2, 3].map(|index| sums.wrapping_add(index * inner));
                // SAFETY: the slot has room for all.
                unsafe {
                    add_columns(isa, part.as_ptr(), 0, part.len(), inner, sums);
                    moments(isa, part.as_ptr(), shape, results);
                }
                slots.extend(slot);
            }
            for statistic in [Statistic::Sum, Statistic::Mean, Statistic::Variance] {
                let mut found = vec![f32::NAN; inner];
                let first = if statistic == Statistic::Variance {
                    1
                } else {
                    0
                };
                let pieces = Pieces {
                    rows: slots.as_ptr(),
                    sums: [0, 1, 2]
                        .map(|index| slots.as_ptr().wrapping_add(1 + (first + index) * inner)),
                    centered: statistic == Statistic::Variance,
                    stride,
                    count: slots.len() / stride,
                };
                // SAFETY: the pieces were made just now.
                unsafe { join_pieces(isa, statistic, pieces, inner, found.as_mut_ptr()) };
                for (found, expected) in found.iter().zip(expected(&values, inner, statistic)) {
                    let off = (f64::from(*found) - expected).abs();
                    let size = match statistic {
                        Statistic::Variance => expected,
                        _ => expected.abs().max(1.0),
                    };
                    assert!(
                        off <= 3e-6 * size,
                        "{isa}, {inner}, {statistic:?}: {found} {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn sums_begin_and_end_in_any_column() {
    for isa in Isa::available() {
        for inner in [1, 5, 16, 40] {
            for (column, length) in [(0, 7), (3, 2), (3, 95), (2, 200), (4, 41)] {
                let column = column % inner;
                let values = numbers(length, 1);
                let mut sums = vec![2.0_f32; inner];
                let mut expected = vec![2.0_f64; inner];
                for (index, &value) in values.iter().enumerate() {
                    expected[(column + index) % inner] += f64::from(value);
                }
                // SAFETY: the vectors have these lengths.
                unsafe {
                    let sums = sums.as_mut_ptr();
                    add_columns(isa, values.as_ptr(), column, length, inner, sums);
                }
                for (found, expected) in sums.iter().zip(expected) {
                    let off = (f64::from(*found) - expected).abs();
                    assert!(
                        off <= 1e-6 * expected.abs(),
                        "{isa}, {inner}: {found} {expected}"
                    );
                }
            }
        }
    }
}
