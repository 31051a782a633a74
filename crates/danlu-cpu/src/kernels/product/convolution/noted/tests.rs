//! Against the plans that spread the gradient as a whole.

use super::super::{
    Convolution2dShape, ConvolutionInputGradientPlan, ConvolutionWeightGradientPlan,
};
use super::{NotedInputGradient, NotedWeightGradient};
use crate::kernels::pooling::{Pool2d, Spread, spread_rows};
use crate::kernels::product::{ImageOperand, Target, Tile};
use crate::simd::Isa;
use crate::threads::{Pool, PoolOptions};

/// Whole numbers, so that sums are exact in any order, and many zeros.
fn numbers(count: usize, seed: usize, zeros: usize) -> Vec<f32> {
    (0..count)
        .map(|index| {
            let mixed = (index + seed).wrapping_mul(0x9E37_79B9) >> 7;
            if mixed % 7 < zeros {
                0.0
            } else {
                (mixed % 15) as f32 - 7.0
            }
        })
        .collect()
}

/// Of a convolution's shape its result's pooling by windows of a size and a stride.
fn pooling(shape: &Convolution2dShape, kernel: [usize; 2], stride: [usize; 2]) -> Pool2d {
    let input = shape.output_size();
    Pool2d {
        input,
        output: std::array::from_fn(|axis| (input[axis] - kernel[axis]) / stride[axis] + 1),
        channels: shape.filters,
        kernel,
        stride,
        padding: [[0; 2]; 2],
    }
}

fn shape(image: [usize; 3], filters: usize, kernel: [usize; 2]) -> Convolution2dShape {
    Convolution2dShape {
        batch: 3,
        height: image[0],
        width: image[1],
        channels: image[2],
        filters,
        kernel,
        stride: [1, 1],
        dilation: [1, 1],
        padding: [[0; 2]; 2],
        groups: 1,
    }
}

fn cases() -> Vec<(Convolution2dShape, Pool2d)> {
    let two = |shape: Convolution2dShape| (shape, pooling(&shape, [2, 2], [2, 2]));
    let plain = shape([13, 13, 32], 64, [3, 3]);
    let padded = Convolution2dShape {
        padding: [[1, 1]; 2],
        ..shape([12, 9, 20], 37, [3, 3])
    };
    let strided = Convolution2dShape {
        stride: [2, 1],
        dilation: [2, 1],
        padding: [[2, 0], [0, 3]],
        ..shape([21, 14, 16], 33, [4, 2])
    };
    let column = Convolution2dShape {
        dilation: [1, 3],
        ..shape([9, 8, 48], 41, [3, 1])
    };
    let wide = shape([5, 40, 96], 40, [2, 5]);
    let gaps = shape([17, 17, 24], 70, [3, 3]);
    vec![
        two(plain),
        two(padded),
        two(strided),
        two(column),
        two(wide),
        (gaps, pooling(&gaps, [3, 2], [4, 3])),
        (gaps, pooling(&gaps, [3, 3], [3, 3])),
    ]
}

/// Notes every epilogue call, and that each element is in one tile.
fn run_with_tiles(rows: usize, columns: usize, run: impl FnOnce(&(dyn Fn(Tile, *mut f32) + Sync))) {
    let seen = std::sync::Mutex::new(vec![0_u8; rows * columns]);
    run(&|tile: Tile, _| {
        let mut seen = seen.lock().unwrap();
        for row in tile.row_start..tile.row_end {
            for column in tile.column_start..tile.column_end {
                seen[row * columns + column] += 1;
            }
        }
    });
    assert!(seen.into_inner().unwrap().iter().all(|&count| count == 1));
}

#[test]
fn both_gradients_agree_with_spread_ones() {
    let pools = [1, 2, 3].map(|threads| {
        Pool::with_options(PoolOptions {
            awake: Some(threads),
            ..PoolOptions::new(threads)
        })
    });
    for (shape, pool) in cases() {
        let pooled = pool.output_length() * shape.batch;
        let area = pool.kernel[0] * pool.kernel[1];
        let gradient = numbers(pooled, 1, 3);
        let places: Vec<u8> = (0..pooled)
            .map(|index| (index * 31 % 17 % area) as u8)
            .collect();
        let x = numbers(
            shape.batch * shape.height * shape.width * shape.channels,
            2,
            0,
        );
        let w = numbers(shape.taps() * shape.channels * shape.filters, 3, 0);
        let mut spread = vec![0.0_f32; shape.batch * pool.input_length()];
        for image in 0..shape.batch {
            let at = image * pool.output_length();
            let from = Spread {
                pool: &pool,
                gradient: gradient[at..].as_ptr(),
                places: places[at..].as_ptr(),
            };
            let to = spread[image * pool.input_length()..].as_mut_ptr();
            let width = pool.input[1] * pool.channels;
            // SAFETY: all of them are whole images.
            unsafe { spread_rows(Isa::Portable, from, 0..pool.input[0], to, width) };
        }
        let noted = ImageOperand::pooled(gradient.as_ptr(), places.as_ptr());
        for isa in Isa::available().into_iter().filter(|isa| isa.lanes() > 1) {
            for threads in &pools {
                let count = threads.threads();
                let input = NotedInputGradient::new(isa, &shape, &pool, count)
                    .unwrap_or_else(|| panic!("{isa}: {shape:?} and {pool:?} do not suit"));
                let weights = NotedWeightGradient::new(isa, &shape, &pool, count)
                    .unwrap_or_else(|| panic!("{isa}: {shape:?} and {pool:?} do not suit"));
                let plain_input = ConvolutionInputGradientPlan::new(isa, shape, count).unwrap();
                let plain_weights = ConvolutionWeightGradientPlan::new(isa, shape, count).unwrap();
                let room = |bytes: usize| vec![[f32::NAN; 16]; bytes / 64 + 2];
                let pointer = |room: &mut Vec<[f32; 16]>| {
                    let start = room.as_mut_ptr().cast::<u8>();
                    start.wrapping_add(start.align_offset(64))
                };
                let mut dx = [vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]];
                let mut dw = [vec![f32::NAN; w.len()], vec![f32::NAN; w.len()]];
                let mut scratch = [
                    room(input.scratch_bytes()),
                    room(plain_input.scratch_bytes()),
                    room(weights.scratch_bytes()),
                    room(plain_weights.scratch_bytes()),
                ];
                let [a, b, c, d] = scratch.each_mut().map(pointer);
                // SAFETY: operands and results have the sizes of the shapes, scratch what the plans ask for.
                unsafe {
                    let to = Target::from(dx[0].as_mut_ptr());
                    run_with_tiles(x.len() / shape.channels, shape.channels, |epilogue| {
                        input.run(threads, noted, w.as_ptr(), to, a.into(), Some(epilogue));
                    });
                    let (dy, to) = (spread.as_ptr(), dx[1].as_mut_ptr());
                    plain_input.run(threads, dy, w.as_ptr(), to, b, None);
                    let to = Target::from(dw[0].as_mut_ptr());
                    run_with_tiles(w.len() / shape.filters, shape.filters, |epilogue| {
                        weights.run(threads, x.as_ptr(), noted, to, c, Some(epilogue));
                    });
                    let (dy, to) = (spread.as_ptr(), dw[1].as_mut_ptr());
                    plain_weights.run(threads, x.as_ptr(), dy, to, d, None);
                }
                assert!(dx[0] == dx[1], "{isa}, {count} threads: {shape:?} {pool:?}");
                assert!(dw[0] == dw[1], "{isa}, {count} threads: {shape:?} {pool:?}");
            }
        }
    }
}

#[test]
fn what_would_not_pay_is_left_to_the_product() {
    let few = shape([28, 28, 1], 32, [3, 3]);
    let pool = pooling(&few, [2, 2], [2, 2]);
    let one = shape([13, 13, 32], 64, [3, 3]);
    let ones = pooling(&one, [1, 1], [1, 1]);
    for isa in Isa::available() {
        assert!(
            NotedInputGradient::new(isa, &few, &pool, 2).is_none(),
            "{isa}"
        );
        assert!(
            NotedWeightGradient::new(isa, &few, &pool, 2).is_none(),
            "{isa}"
        );
        assert!(
            NotedInputGradient::new(isa, &one, &ones, 2).is_none(),
            "{isa}"
        );
        assert!(
            NotedWeightGradient::new(isa, &one, &ones, 2).is_none(),
            "{isa}"
        );
    }
}
