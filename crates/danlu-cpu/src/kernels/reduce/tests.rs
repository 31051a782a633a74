use danlu_graph::operations::ReduceKind;
use proptest::prelude::*;

use super::*;
use crate::kernels::testing::{bits, lengths, numbers};

fn exact(kind: ReduceKind, values: &[f64]) -> f64 {
    let sum = values.iter().sum::<f64>();
    let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match kind {
        ReduceKind::Sum => sum,
        ReduceKind::Mean => sum / values.len() as f64,
        ReduceKind::Max => largest,
        ReduceKind::Min => values.iter().copied().fold(f64::INFINITY, f64::min),
        ReduceKind::LogSumExp => {
            let shift = if largest.is_finite() { largest } else { 0.0 };
            shift + values.iter().map(|x| (x - shift).exp()).sum::<f64>().ln()
        }
    }
}

fn check(isa: Isa, kind: ReduceKind, source: &[f32], shape: [usize; 3]) {
    let [outer, reduced, inner] = shape;
    let mut result = vec![9.0; outer * inner];
    reduce(isa, kind, source, shape, &mut result);
    for o in 0..outer {
        for i in 0..inner {
            let at = |r: usize| f64::from(source[(o * reduced + r) * inner + i]);
            let values: Vec<f64> = (0..reduced).map(at).collect();
            let exact = exact(kind, &values);
            let got = f64::from(result[o * inner + i]);
            let size = values.iter().map(|x| x.abs()).sum::<f64>();
            let size = match kind {
                ReduceKind::Mean => size / reduced as f64,
                ReduceKind::LogSumExp => exact.abs() + 1.0,
                _ => size,
            };
            let close = got == exact || (got - exact).abs() <= 1e-6 * size;
            assert!(
                close || (got.is_nan() && exact.is_nan()),
                "{kind:?} {shape:?}: {got} {exact}"
            );
        }
    }
    // In chunks: the same bits.
    let chunks = chunks(reduced);
    let part = partial_components(kind) * outer * inner;
    let mut partials = vec![0.0; chunks.count * part];
    for (chunk, partial) in partials.chunks_mut(part.max(1)).enumerate() {
        reduce_chunk(isa, kind, source, shape, chunk, partial);
    }
    let mut combined = vec![9.0; outer * inner];
    combine(isa, kind, &partials, reduced, &mut combined);
    assert_eq!(bits(&combined), bits(&result), "{kind:?} {shape:?}");
}

#[test]
fn all_shapes_are_close_to_f64() {
    for isa in Isa::available() {
        for &kind in ReduceKind::ALL {
            for length in lengths(isa).into_iter().chain([1023, 1025, 5000]) {
                check(isa, kind, &numbers(1, 2 * length), [2, length, 1]);
            }
            for inner in lengths(isa).into_iter().chain([32, 70]) {
                for reduced in [0, 1, 3, 64, 65, 2500] {
                    check(
                        isa,
                        kind,
                        &numbers(2, 2 * reduced * inner),
                        [2, reduced, inner],
                    );
                }
            }
        }
    }
}

#[test]
fn sums_of_millions_keep_their_digits() {
    let length = 3_000_000;
    let x: Vec<f32> = numbers(3, length).iter().map(|x| x + 1.0).collect();
    let exact = x.iter().map(|&x| f64::from(x)).sum::<f64>();
    for shape in [[1, length, 1], [1, length / 2, 2]] {
        let mut sum = vec![0.0; shape[2]];
        reduce(Isa::detect(), ReduceKind::Sum, &x, shape, &mut sum);
        let sum = sum.iter().map(|&x| f64::from(x)).sum::<f64>();
        assert!((sum / exact - 1.0).abs() < 2e-7, "{sum} {exact}");
    }
}

#[test]
fn sums_have_the_same_bits_on_every_instruction_set() {
    let x = numbers(8, 40_000);
    let sums = |isa| {
        let mut sums = vec![0.0; 1 + 32];
        reduce(isa, ReduceKind::Sum, &x, [1, 40_000, 1], &mut sums[..1]);
        reduce(isa, ReduceKind::Sum, &x, [1, 1250, 32], &mut sums[1..]);
        bits(&sums)
    };
    for isa in Isa::available() {
        assert_eq!(sums(isa), sums(Isa::Portable), "{isa}");
    }
}

#[test]
fn nan_and_infinity_go_through() {
    for isa in Isa::available() {
        for inner in [1, 2, 20] {
            for place in [0, 1, 30, 69] {
                let mut x = vec![1.0; 70 * inner];
                x[place * inner] = f32::NAN;
                for &kind in ReduceKind::ALL {
                    let mut result = vec![0.0; inner];
                    reduce(isa, kind, &x, [1, 70, inner], &mut result);
                    assert!(result[0].is_nan(), "{isa} {kind:?}");
                    assert!(inner == 1 || !result[1].is_nan());
                }
            }
        }
        for value in [f32::INFINITY, f32::NEG_INFINITY] {
            let mut result = [0.0];
            reduce(
                isa,
                ReduceKind::LogSumExp,
                &[value; 5],
                [1, 5, 1],
                &mut result,
            );
            assert_eq!(result[0], value);
        }
    }
}

#[test]
fn a_row_does_not_depend_on_the_number_of_rows() {
    for isa in Isa::available() {
        for &kind in ReduceKind::ALL {
            for inner in [1, 5, 40] {
                let x = numbers(6, 7 * 130 * inner);
                let mut all = vec![0.0; 7 * inner];
                reduce(isa, kind, &x, [7, 130, inner], &mut all);
                let mut one = vec![0.0; inner];
                let third = &x[3 * 130 * inner..][..130 * inner];
                reduce(isa, kind, third, [1, 130, inner], &mut one);
                assert_eq!(bits(&one), bits(&all[3 * inner..][..inner]));
            }
        }
    }
}

#[test]
fn argmax_is_the_first_and_nan_the_largest() {
    let x = [1.0, 3.0, 3.0, f32::NAN, 0.0, f32::NAN, 5.0, 5.0];
    let mut place = [0_i64; 2];
    argmax(&x, [2, 4, 1], &mut place);
    assert_eq!(place, [3, 1]);
    let mut place = [0_i32; 2];
    argmax(&x, [1, 4, 2], &mut place);
    assert_eq!(place, [3, 1]);
    let mut place = [9_i32; 1];
    argmax_integer(&[3_u8, 7, 7], [1, 3, 1], &mut place);
    assert_eq!(place, [1]);
    let mut place = vec![0_i64; 130];
    let x = numbers(4, 130 * 9);
    argmax(&x, [1, 9, 130], &mut place);
    for (i, &place) in place.iter().enumerate() {
        let column: Vec<f32> = (0..9).map(|r| x[r * 130 + i]).collect();
        assert!(column.iter().all(|&v| v <= column[place as usize]));
    }
}

#[test]
fn integers_are_summed_wrapping() {
    let mut result = [0_i32; 2];
    let x = [i32::MAX, 1, 1, 2, 3, 4];
    reduce_integer(IntegerReduceKind::Sum, &x, [1, 3, 2], &mut result);
    assert_eq!(result, [i32::MAX.wrapping_add(4), 7]);
    reduce_integer(IntegerReduceKind::Min, &x, [2, 3, 1], &mut result);
    assert_eq!(result, [1, 2]);
    let mut any = [0_u8];
    reduce_integer(IntegerReduceKind::Max, &[0, 1, 0], [1, 3, 1], &mut any);
    assert_eq!(any, [1]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn random_shapes_are_close_to_f64(
        outer in 0_usize..4, reduced in 0_usize..2200, inner in 0_usize..50, seed: u32, kind in 0_usize..5,
    ) {
        let x = numbers(seed, outer * reduced * inner);
        for isa in Isa::available() {
            check(isa, ReduceKind::ALL[kind], &x, [outer, reduced, inner]);
        }
    }
}
