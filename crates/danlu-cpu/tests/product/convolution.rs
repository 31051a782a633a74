use danlu_cpu::kernels::product::{
    Convolution2dShape, ConvolutionForwardPlan, ConvolutionInputGradientPlan,
    ConvolutionWeightGradientPlan, ShapeError, Use,
};
use danlu_cpu::simd::Isa;
use danlu_cpu::threads::Pool;
use proptest::prelude::*;

use crate::{Exact, POOLS, Scratch, assert_close, bits, numbers, run_with_tiles};

/// Elements of the images, the weights and the result.
pub fn sizes(shape: &Convolution2dShape) -> [usize; 3] {
    let [height, width] = shape.output_size();
    [
        shape.batch * shape.height * shape.width * shape.channels,
        shape.kernel[0] * shape.kernel[1] * shape.group_channels() * shape.filters,
        shape.batch * height * width * shape.filters,
    ]
}

/// Calls with the indices (image, weight, result) of every multiplication.
pub fn each_product(shape: &Convolution2dShape, mut visit: impl FnMut(usize, usize, usize)) {
    let [height, width] = shape.output_size();
    let channels = shape.group_channels();
    for b in 0..shape.batch {
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            for f in 0..shape.filters {
                let group = f / shape.group_filters();
                for (v, u) in
                    (0..shape.kernel[0]).flat_map(|v| (0..shape.kernel[1]).map(move |u| (v, u)))
                {
                    let row = (y * shape.stride[0] + v * shape.dilation[0])
                        .wrapping_sub(shape.padding[0][0]);
                    let column = (x * shape.stride[1] + u * shape.dilation[1])
                        .wrapping_sub(shape.padding[1][0]);
                    if row >= shape.height || column >= shape.width {
                        continue;
                    }
                    for c in 0..channels {
                        visit(
                            ((b * shape.height + row) * shape.width + column) * shape.channels
                                + group * channels
                                + c,
                            ((v * shape.kernel[1] + u) * channels + c) * shape.filters + f,
                            ((b * height + y) * width + x) * shape.filters + f,
                        );
                    }
                }
            }
        }
    }
}

/// Runs one of the three plans, whose `run`s are alike.
macro_rules! run_plan {
    ($plan:ident, $isa:expr, $pool:expr, $shape:expr, $a:expr, $b:expr, $size:expr, $columns:expr) => {{
        let (pool, shape): (&Pool, &Convolution2dShape) = ($pool, $shape);
        let plan = $plan::new($isa, *shape, pool.threads()).unwrap();
        let mut c = vec![f32::NAN; $size];
        let mut scratch = Scratch::new(plan.scratch_bytes());
        run_with_tiles($size / $columns.max(1), $columns, |epilogue| {
            // SAFETY: the operands have the sizes of the shape.
            unsafe {
                let (a, b): (&[f32], &[f32]) = ($a, $b);
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
    }};
}

/// The gradient by the images.
pub fn run_input_gradient(
    isa: Isa,
    pool: &Pool,
    shape: &Convolution2dShape,
    dy: &[f32],
    w: &[f32],
) -> Vec<f32> {
    run_plan!(
        ConvolutionInputGradientPlan,
        isa,
        pool,
        shape,
        dy,
        w,
        sizes(shape)[0],
        shape.channels
    )
}

/// The convolution and both gradients.
fn run(
    isa: Isa,
    pool: &Pool,
    shape: &Convolution2dShape,
    [x, w, dy]: [&[f32]; 3],
) -> [Vec<f32>; 3] {
    let [_, w_size, y_size] = sizes(shape);
    [
        run_plan!(
            ConvolutionForwardPlan,
            isa,
            pool,
            shape,
            x,
            w,
            y_size,
            shape.filters
        ),
        run_input_gradient(isa, pool, shape, dy, w),
        run_plan!(
            ConvolutionWeightGradientPlan,
            isa,
            pool,
            shape,
            x,
            dy,
            w_size,
            shape.filters
        ),
    ]
}

/// All three are right, and the same bits on 1, 2 and 3 threads.
fn check(shape: &Convolution2dShape) {
    let [x_size, w_size, y_size] = sizes(shape);
    let (x, w, dy) = (numbers(x_size, 1), numbers(w_size, 2), numbers(y_size, 3));
    let mut expected = [x_size, w_size, y_size].map(|size| vec![Exact::default(); size]);
    each_product(shape, |i, j, k| {
        expected[0][i].add(w[j], dy[k]);
        expected[1][j].add(x[i], dy[k]);
        expected[2][k].add(x[i], w[j]);
    });
    for isa in Isa::available() {
        let results = POOLS
            .each_ref()
            .map(|pool| run(isa, pool, shape, [&x, &w, &dy]));
        let [forward, input, weights] = &results[0];
        assert_close(forward, &expected[2], &format!("forward, {isa} {shape:?}"));
        assert_close(
            input,
            &expected[0],
            &format!("input gradient, {isa} {shape:?}"),
        );
        assert_close(
            weights,
            &expected[1],
            &format!("weight gradient, {isa} {shape:?}"),
        );
        for threads in [2, 3] {
            let (some, one) = (&results[threads - 1], &results[0]);
            for (some, one) in some.iter().zip(one) {
                assert_eq!(bits(some), bits(one), "{threads} threads, {isa} {shape:?}");
            }
        }
    }
}

fn plain() -> Convolution2dShape {
    Convolution2dShape {
        batch: 2,
        height: 9,
        width: 8,
        channels: 3,
        filters: 5,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [[0, 0], [0, 0]],
        groups: 1,
    }
}

#[test]
fn the_usual_shapes() {
    check(&plain());
    check(&Convolution2dShape {
        padding: [[1, 1], [1, 1]],
        ..plain()
    });
    check(&Convolution2dShape {
        stride: [2, 2],
        padding: [[0, 1], [0, 1]],
        ..plain()
    });
    check(&Convolution2dShape {
        kernel: [1, 1],
        channels: 20,
        filters: 40,
        ..plain()
    });
    check(&Convolution2dShape {
        channels: 1,
        filters: 32,
        height: 28,
        width: 28,
        ..plain()
    });
    check(&Convolution2dShape {
        groups: 4,
        channels: 12,
        filters: 20,
        ..plain()
    });
    check(&Convolution2dShape {
        groups: 6,
        channels: 6,
        filters: 6,
        padding: [[1, 1]; 2],
        ..plain()
    });
}

#[test]
fn large_enough_to_be_shared() {
    let large = Convolution2dShape {
        batch: 5,
        height: 14,
        width: 14,
        channels: 24,
        filters: 40,
        ..plain()
    };
    check(&large);
    check(&Convolution2dShape {
        padding: [[1, 1]; 2],
        ..large
    });
    check(&Convolution2dShape {
        stride: [2, 3],
        padding: [[1, 2]; 2],
        ..large
    });
    check(&Convolution2dShape {
        batch: 2,
        height: 50,
        width: 30,
        ..large
    });
    check(&Convolution2dShape {
        batch: 40,
        height: 6,
        width: 5,
        padding: [[1, 0], [0, 1]],
        ..large
    });
    check(&Convolution2dShape {
        channels: 80,
        filters: 8,
        ..large
    });
}

#[test]
fn few_windows_and_many_filters_are_cut_by_filters_too_and_no_bit_tells() {
    let shape = Convolution2dShape {
        batch: 7,
        height: 7,
        width: 7,
        channels: 24,
        filters: 300,
        padding: [[1, 1]; 2],
        ..plain()
    };
    let alone = Convolution2dShape { batch: 1, ..shape };
    check(&alone);
    check(&Convolution2dShape {
        stride: [2, 2],
        ..alone
    });
    let [x_size, w_size, _] = sizes(&shape);
    let (x, w) = (numbers(x_size, 1), numbers(w_size, 2));
    let forward = |isa, shape: &Convolution2dShape, x: &[f32], usage: Use| {
        let plan = ConvolutionForwardPlan::used_as(isa, *shape, 2, usage).unwrap();
        let mut y = vec![f32::NAN; sizes(shape)[2]];
        let mut scratch = Scratch::new(plan.scratch_bytes());
        let mut tiles = 0;
        let seen = std::sync::Mutex::new(&mut tiles);
        // SAFETY: the operands have the sizes of the shape.
        unsafe {
            plan.run(
                &POOLS[1],
                x.as_ptr(),
                w.as_ptr(),
                y.as_mut_ptr(),
                scratch.pointer(),
                Some(&|_, _| **seen.lock().unwrap() += 1),
            );
        }
        (bits(&y), tiles)
    };
    let steady = Use {
        steady: true,
        ..Use::default()
    };
    let whole = Use {
        whole_rows: true,
        ..Use::default()
    };
    for isa in Isa::available() {
        let (together, _) = forward(isa, &shape, &x, Use::default());
        let images = x
            .chunks(x_size / 7)
            .zip(together.chunks(together.len() / 7));
        for (x, expected) in images {
            let (cut, tiles) = forward(isa, &alone, x, Use::default());
            assert!(tiles > 1, "{isa}");
            assert_eq!(cut, expected, "{isa}");
            assert_eq!(forward(isa, &alone, x, steady).0, expected, "{isa}");
            assert_eq!(forward(isa, &alone, x, whole), (expected.to_vec(), 1));
        }
    }
}

#[test]
fn depthwise() {
    let shape = Convolution2dShape {
        groups: 21,
        channels: 21,
        filters: 21,
        ..plain()
    };
    check(&shape);
    check(&Convolution2dShape {
        stride: [2, 1],
        padding: [[1, 1], [0, 2]],
        batch: 3,
        ..shape
    });
    // Two filters for each channel go the general way.
    check(&Convolution2dShape {
        filters: 42,
        ..shape
    });
    check(&Convolution2dShape {
        height: 30,
        width: 30,
        batch: 8,
        channels: 64,
        filters: 64,
        groups: 64,
        ..shape
    });
}

#[test]
fn nothing_to_convolve() {
    check(&Convolution2dShape {
        batch: 0,
        ..plain()
    });
    check(&Convolution2dShape {
        channels: 0,
        ..plain()
    });
    check(&Convolution2dShape {
        filters: 0,
        ..plain()
    });
    check(&Convolution2dShape {
        height: 2,
        ..plain()
    });
    check(&Convolution2dShape {
        width: 0,
        ..plain()
    });
    check(&Convolution2dShape {
        width: 0,
        padding: [[0, 0], [2, 3]],
        ..plain()
    });
}

#[test]
fn impossible_shapes_are_errors() {
    let zero = Convolution2dShape {
        stride: [1, 0],
        ..plain()
    };
    assert_eq!(zero.validate(), Err(ShapeError::Zero("stride")));
    let groups = Convolution2dShape {
        groups: 3,
        ..plain()
    };
    let message = groups.validate().unwrap_err().to_string();
    assert!(
        message.contains("filters must be divisible by its 3 groups, but there are 5"),
        "{message}"
    );
}

/// An example has the same bits alone and in a batch, forward and in the input gradient.
#[test]
fn an_image_has_the_same_bits_alone_and_in_a_batch() {
    for padding in [0, 1] {
        let shape = Convolution2dShape {
            batch: 9,
            height: 12,
            width: 11,
            channels: 66,
            filters: 35,
            padding: [[padding; 2]; 2],
            ..plain()
        };
        let [x_size, w_size, y_size] = sizes(&shape);
        let (x, w, dy) = (numbers(x_size, 1), numbers(w_size, 2), numbers(y_size, 3));
        let one = Convolution2dShape { batch: 1, ..shape };
        for isa in Isa::available() {
            let [forward, input, _] = run(isa, &POOLS[1], &shape, [&x, &w, &dy]);
            for image in [0, 4, 8] {
                let of = |all: &[f32]| {
                    let size = all.len() / 9;
                    all[image * size..(image + 1) * size].to_vec()
                };
                let alone = run(isa, &POOLS[0], &one, [&of(&x), &w, &of(&dy)]);
                assert_eq!(bits(&alone[0]), bits(&of(&forward)), "{isa}");
                assert_eq!(bits(&alone[1]), bits(&of(&input)), "{isa}");
            }
        }
    }
}

/// Padding, of which whole rows of the kernel are left out.
fn padded() -> [Convolution2dShape; 4] {
    let shape = Convolution2dShape {
        height: 12,
        channels: 66,
        filters: 35,
        padding: [[1, 1]; 2],
        ..plain()
    };
    [
        shape,
        // Windows that see nothing but padding, and pieces of the contraction that lie in it.
        Convolution2dShape {
            padding: [[5, 4], [2, 0]],
            dilation: [2, 1],
            ..shape
        },
        Convolution2dShape {
            kernel: [5, 3],
            stride: [2, 2],
            padding: [[2, 3], [1, 1]],
            ..shape
        },
        // Several images in a task, the last of which has fewer, and groups.
        Convolution2dShape {
            batch: 13,
            height: 5,
            width: 4,
            channels: 96,
            filters: 24,
            groups: 2,
            ..shape
        },
    ]
}

#[test]
fn rows_of_the_kernel_in_the_padding() {
    for shape in padded() {
        check(&shape);
    }
}

/// What is left out changes no bit: zeros that the caller puts around the images give the same.
#[test]
fn padding_has_the_bits_of_zeros_around_the_image() {
    for shape in padded() {
        let [[top, bottom], [left, right]] = shape.padding;
        let around = Convolution2dShape {
            height: shape.height + top + bottom,
            width: shape.width + left + right,
            padding: [[0, 0]; 2],
            ..shape
        };
        let [x_size, w_size, y_size] = sizes(&shape);
        let (x, w, dy) = (numbers(x_size, 1), numbers(w_size, 2), numbers(y_size, 3));
        let mut with_zeros = vec![0.0; sizes(&around)[0]];
        let row = shape.width * shape.channels;
        for (index, from) in x.chunks_exact(row).enumerate() {
            let (image, y) = (index / shape.height, index % shape.height);
            let start = ((image * around.height + y + top) * around.width + left) * shape.channels;
            with_zeros[start..start + row].copy_from_slice(from);
        }
        for isa in Isa::available() {
            let [expected, ..] = run(isa, &POOLS[0], &around, [&with_zeros, &w, &dy]);
            let [actual, ..] = run(isa, &POOLS[1], &shape, [&x, &w, &dy]);
            assert_eq!(bits(&actual), bits(&expected), "{isa} {shape:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_shape(
        batch in 0_usize..4, size in [1_usize..10, 1_usize..10],
        channels in 1_usize..5, filters in 1_usize..10, groups in 1_usize..4,
        kernel in [1_usize..5, 1_usize..5], stride in [1_usize..4, 1_usize..4], dilation in [1_usize..4, 1_usize..4],
        padding in [[0_usize..7, 0_usize..7], [0_usize..7, 0_usize..7]],
    ) {
        check(&Convolution2dShape {
            batch, height: size[0], width: size[1],
            channels: channels * groups, filters: filters * groups,
            kernel, stride, dilation, padding, groups,
        });
    }
}
