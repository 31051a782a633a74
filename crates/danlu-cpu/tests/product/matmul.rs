use danlu_cpu::kernels::product::{BatchAxis, MatmulPlan, MatmulShape, Room};
use danlu_cpu::simd::Isa;
use danlu_cpu::threads::Pool;
use proptest::prelude::*;

use crate::{Exact, POOLS, Scratch, assert_close, bits, numbers, run_with_tiles};

fn run(isa: Isa, pool: &Pool, shape: &MatmulShape, a: &[f32], b: &[f32]) -> Vec<f32> {
    let plan = MatmulPlan::new(isa, shape.clone(), pool.threads(), false);
    let rows = shape.batch_size() * shape.m;
    let mut c = vec![f32::NAN; rows * shape.n];
    let mut scratch = Scratch::new(plan.scratch_bytes());
    run_with_tiles(rows, shape.n, |epilogue| {
        // SAFETY: the tests make A and B as large as the shape's strides reach.
        unsafe {
            plan.run(
                pool,
                a.as_ptr(),
                b.as_ptr(),
                c.as_mut_ptr(),
                scratch.pointer(),
                Some(epilogue),
            );
        }
    });
    c
}

/// Elements up to the furthest that the strides reach.
fn reach(batch: &[(usize, isize)], sizes: [usize; 2], strides: [isize; 2]) -> usize {
    let axes = batch
        .iter()
        .copied()
        .chain([(sizes[0], strides[0]), (sizes[1], strides[1])]);
    let mut last = 0;
    for (size, stride) in axes {
        if size == 0 {
            return 0;
        }
        last += (size - 1) * stride as usize;
    }
    last + 1
}

fn operands(shape: &MatmulShape) -> (Vec<f32>, Vec<f32>) {
    let a_batch: Vec<_> = shape
        .batch
        .iter()
        .map(|axis| (axis.size, axis.a_stride))
        .collect();
    let b_batch: Vec<_> = shape
        .batch
        .iter()
        .map(|axis| (axis.size, axis.b_stride))
        .collect();
    (
        numbers(reach(&a_batch, [shape.m, shape.k], shape.a), 1),
        numbers(reach(&b_batch, [shape.k, shape.n], shape.b), 2),
    )
}

fn reference(shape: &MatmulShape, a: &[f32], b: &[f32]) -> Vec<Exact> {
    let mut result = Vec::new();
    for index in 0..shape.batch_size() {
        let (mut rest, mut a_start, mut b_start) = (index, 0, 0);
        for axis in shape.batch.iter().rev() {
            a_start += (rest % axis.size) as isize * axis.a_stride;
            b_start += (rest % axis.size) as isize * axis.b_stride;
            rest /= axis.size;
        }
        for i in 0..shape.m as isize {
            for j in 0..shape.n as isize {
                let mut exact = Exact::default();
                for k in 0..shape.k as isize {
                    exact.add(
                        a[(a_start + i * shape.a[0] + k * shape.a[1]) as usize],
                        b[(b_start + k * shape.b[0] + j * shape.b[1]) as usize],
                    );
                }
                result.push(exact);
            }
        }
    }
    result
}

/// Right, and the same bits on 1, 2 and 3 threads.
fn check(shape: &MatmulShape) {
    let (a, b) = operands(shape);
    let expected = reference(shape, &a, &b);
    for isa in Isa::available() {
        let [one, two, three] = POOLS.each_ref().map(|pool| run(isa, pool, shape, &a, &b));
        assert_close(&one, &expected, &format!("{isa} {shape:?}"));
        assert_eq!(bits(&one), bits(&two), "2 threads, {isa} {shape:?}");
        assert_eq!(bits(&one), bits(&three), "3 threads, {isa} {shape:?}");
    }
}

#[test]
fn sizes_around_the_edges_of_tiles() {
    let sizes = [1, 2, 5, 6, 7, 12, 13, 15, 16, 17, 31, 33, 35, 64, 65];
    for m in sizes {
        for n in sizes {
            check(&MatmulShape::row_major(m, n, 3 + m % 5));
        }
    }
}

#[test]
fn long_contractions_are_cut_and_added() {
    for (m, n, k) in [
        (1, 20, 5000),
        (9, 130, 2049),
        (70, 17, 513),
        (300, 33, 1025),
        (3, 1, 2500),
    ] {
        check(&MatmulShape::row_major(m, n, k));
    }
}

#[test]
fn large_enough_to_be_shared() {
    for (m, n, k) in [(130, 150, 200), (600, 70, 40), (20, 700, 130)] {
        check(&MatmulShape::row_major(m, n, k));
        let shape = MatmulShape::row_major(m, n, k);
        check(&MatmulShape {
            a: [1, m as isize],
            ..shape.clone()
        });
        check(&MatmulShape {
            b: [1, k as isize],
            ..shape
        });
    }
}

#[test]
fn nothing_to_multiply() {
    for (m, n, k) in [(0, 5, 3), (5, 0, 3), (5, 3, 0), (0, 0, 0), (9, 0, 3000)] {
        check(&MatmulShape::row_major(m, n, k));
    }
    let axis = BatchAxis {
        size: 0,
        a_stride: 6,
        b_stride: 6,
    };
    check(&MatmulShape {
        batch: vec![axis],
        ..MatmulShape::row_major(2, 3, 2)
    });
}

#[test]
fn a_shared_matrix_is_folded_into_rows() {
    let axes = vec![
        BatchAxis {
            size: 3,
            a_stride: 4 * 35,
            b_stride: 0,
        },
        BatchAxis {
            size: 4,
            a_stride: 35,
            b_stride: 0,
        },
    ];
    check(&MatmulShape {
        batch: axes,
        ..MatmulShape::row_major(5, 9, 7)
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_strides_and_batch(
        m in 0_usize..40, n in 0_usize..80, k in 0_usize..600,
        a_transposed: bool, b_transposed: bool, gap in 0_isize..3,
        batch in prop::collection::vec((1_usize..4, 0_isize..9, 0_isize..9), 0..3),
    ) {
        let matrix = |rows: usize, columns: usize, transposed: bool| {
            if transposed { [1, rows as isize + gap] } else { [columns as isize + gap, 1 + gap / 2] }
        };
        check(&MatmulShape {
            batch: batch.into_iter()
                .map(|(size, a_stride, b_stride)| BatchAxis { size, a_stride, b_stride })
                .collect(),
            m, n, k,
            a: matrix(m, k, a_transposed),
            b: matrix(k, n, b_transposed),
        });
    }
}

/// A row alone, in any company, and with either operand stored transposed: the same bits.
#[test]
fn a_row_has_the_same_bits_alone_and_in_a_batch() {
    for (n, k) in [(10, 128), (128, 1300), (37, 2100), (1, 700)] {
        let m = 67;
        let (a, b) = operands(&MatmulShape::row_major(m, n, k));
        let transposed: Vec<f32> = (0..n * k)
            .map(|index| b[index % k * n + index / k])
            .collect();
        for isa in Isa::available() {
            let all = run(isa, &POOLS[1], &MatmulShape::row_major(m, n, k), &a, &b);
            for row in [0, 5, 66] {
                let one = MatmulShape::row_major(1, n, k);
                let row_of_a = &a[row * k..(row + 1) * k];
                let alone = run(isa, &POOLS[1], &one, row_of_a, &b);
                let expected = bits(&all[row * n..(row + 1) * n]);
                assert_eq!(bits(&alone), expected, "{isa} {n} {k}");
                let one = MatmulShape {
                    b: [1, k as isize],
                    ..one
                };
                let alone = run(isa, &POOLS[0], &one, row_of_a, &transposed);
                assert_eq!(bits(&alone), expected, "transposed, {isa} {n} {k}");
            }
        }
    }
}

#[test]
fn infinities_and_nan_spread_as_in_the_plain_sum() {
    let shape = MatmulShape::row_major(7, 19, 30);
    let (mut a, mut b) = operands(&shape);
    a[3] = f32::INFINITY;
    a[40] = f32::NAN;
    b[5] = f32::NEG_INFINITY;
    b[19 * 3 + 1] = 0.0;
    let expected = reference(&shape, &a, &b);
    for isa in Isa::available() {
        assert_close(&run(isa, &POOLS[1], &shape, &a, &b), &expected, isa.name());
    }
}

#[test]
fn a_pool_with_more_threads_than_planned_still_works() {
    let shape = MatmulShape {
        b: [1, 90],
        ..MatmulShape::row_major(40, 700, 90)
    };
    let (a, b) = operands(&shape);
    let plan = MatmulPlan::new(Isa::detect(), shape.clone(), 1, false);
    let mut c = vec![f32::NAN; 40 * 700];
    let mut scratch = Scratch::new(plan.scratch_bytes());
    // SAFETY: as in `run`.
    unsafe {
        plan.run(
            &POOLS[2],
            a.as_ptr(),
            b.as_ptr(),
            c.as_mut_ptr(),
            scratch.pointer(),
            None,
        );
    }
    assert_close(&c, &reference(&shape, &a, &b), "3 threads on a plan for 1");
}

#[test]
fn packed_weights_that_stay_are_packed_once() {
    stay(150, 200, 40);
}

#[test]
fn weights_of_few_rows_stay_too() {
    // Of weights that change, the tasks would pack their own part in each run.
    stay(20, 600, 40);
}

fn stay(m: usize, n: usize, k: usize) {
    let shape = MatmulShape::row_major(m, n, k);
    let (a, b) = operands(&shape);
    let expected = reference(&shape, &a, &b);
    for isa in Isa::available() {
        let plan = MatmulPlan::new(isa, shape.clone(), 2, true);
        let mut scratch = Scratch::new(plan.scratch_bytes() - plan.kept_bytes());
        let mut kept = Scratch::new(plan.kept_bytes());
        let mut run = |ready: bool, b: &[f32]| {
            let mut c = vec![f32::NAN; m * n];
            let room = Room::keeping(scratch.pointer(), kept.pointer(), ready);
            // SAFETY: as in `run`.
            unsafe {
                plan.run(
                    &POOLS[1],
                    a.as_ptr(),
                    b.as_ptr(),
                    c.as_mut_ptr(),
                    room,
                    None,
                )
            };
            c
        };
        let first = run(false, &b);
        assert_close(&first, &expected, isa.name());
        // Other weights are not looked at while the packed ones count as theirs.
        let zeros = vec![0.0; b.len()];
        assert_eq!(run(true, &zeros), first, "{isa}");
        assert_eq!(run(false, &zeros), vec![0.0; m * n], "{isa}");
    }
}

#[test]
fn tasks_that_pack_their_own_panels_agree_for_any_number_of_rows() {
    // Columns of B along the contraction, as in the gradient of a dense layer by its input, and rows, as in the layer itself; one
    // piece of the contraction, and several.
    for (m, n, k, turned) in [
        (2, 700, 64, true),
        (64, 1100, 128, true),
        (97, 530, 16, true),
        (256, 600, 600, true),
        (33, 2000, 1024, true),
        (10, 520, 1500, true),
        (16, 530, 300, false),
        (64, 2048, 512, false),
        (97, 777, 1030, false),
        (128, 515, 17, false),
    ] {
        let shape = MatmulShape {
            b: if turned {
                [1, k as isize]
            } else {
                [n as isize, 1]
            },
            ..MatmulShape::row_major(m, n, k)
        };
        let (a, b) = operands(&shape);
        let expected = reference(&shape, &a, &b);
        let one_row = MatmulShape {
            m: 1,
            ..shape.clone()
        };
        for isa in Isa::available() {
            let [one, others @ ..] = [0, 1, 2].map(|pool| run(isa, &POOLS[pool], &shape, &a, &b));
            assert_close(&one, &expected, &format!("{isa} {m} {n} {k}"));
            for other in others {
                assert_eq!(bits(&other), bits(&one), "{isa} {m} {n} {k}");
            }
            let row = run(isa, &POOLS[1], &one_row, &a[..k], &b);
            assert_eq!(
                bits(&row),
                bits(&one[..n]),
                "{isa} {m} {n} {k}: a row alone"
            );
        }
    }
}

/// Products of which most of A is zero leave these out; no bit may tell.
#[test]
fn zeros_that_are_left_out_change_no_bit() {
    // Straight and transposed A, ragged columns, several pieces, tasks that pack B, one panel and many.
    let shapes = [
        (64, 128, 5408, false, false),
        (784, 512, 128, true, false),
        (5408, 128, 64, true, false),
        (64, 1100, 128, false, true),
        (130, 530, 700, false, false),
        (100, 75, 1000, false, false),
        (300, 200, 90, true, false),
        (257, 41, 513, true, false),
    ];
    for (index, (m, n, k, a_turned, b_turned)) in shapes.into_iter().enumerate() {
        let shape = MatmulShape {
            a: if a_turned {
                [1, m as isize]
            } else {
                [k as isize, 1]
            },
            b: if b_turned {
                [1, k as isize]
            } else {
                [n as isize, 1]
            },
            ..MatmulShape::row_major(m, n, k)
        };
        let (mut a, b) = operands(&shape);
        // Some rows and steps have none but zeros, some no zero.
        for (place, value) in a.iter_mut().enumerate() {
            let (row, step) = if a_turned {
                (place % m, place / m)
            } else {
                (place / k, place % k)
            };
            let mixed = (place * 2_654_435_761) >> 9;
            let full = row % 29 == 3 || step % 31 == 7;
            let empty = row % 23 == 5 || step % 37 == 11;
            if empty || (!full && mixed % 10 < 5 + index % 4) {
                *value = if mixed % 3 == 0 { -0.0 } else { 0.0 };
            }
        }
        let expected = reference(&shape, &a, &b);
        for isa in Isa::available() {
            let what = format!("{isa} {m} {n} {k}");
            let [one, others @ ..] = [0, 1, 2].map(|pool| run(isa, &POOLS[pool], &shape, &a, &b));
            assert_close(&one, &expected, &what);
            for other in others {
                assert_eq!(bits(&other), bits(&one), "{what}: threads");
            }
            // A dense batch around the same rows: nothing is left out then.
            let rows = 8.min(m);
            let mut filled = a.clone();
            for (place, value) in filled.iter_mut().enumerate() {
                let row = if a_turned { place % m } else { place / k };
                if row >= rows && *value == 0.0 {
                    *value = 1.5;
                }
            }
            let dense = run(isa, &POOLS[1], &shape, &filled, &b);
            assert_eq!(
                bits(&dense[..rows * n]),
                bits(&one[..rows * n]),
                "{what}: among numbers"
            );
        }
    }
}
