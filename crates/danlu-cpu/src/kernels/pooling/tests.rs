use proptest::prelude::*;

use super::*;
use crate::kernels::testing::{bits, numbers};
use crate::simd::Isa;

/// The elements of one window, as offsets into the image.
fn window(pool: &Pool2d, y: usize, x: usize, channel: usize) -> Vec<usize> {
    let mut offsets = Vec::new();
    for i in 0..pool.kernel[0] {
        for j in 0..pool.kernel[1] {
            let row = (y * pool.stride[0] + i).wrapping_sub(pool.padding[0][0]);
            let column = (x * pool.stride[1] + j).wrapping_sub(pool.padding[1][0]);
            if row < pool.input[0] && column < pool.input[1] {
                offsets.push((row * pool.input[1] + column) * pool.channels + channel);
            }
        }
    }
    offsets
}

fn first_largest(x: &[f32], window: &[usize]) -> usize {
    let mut best = window[0];
    for &place in window {
        if x[place] > x[best] || (x[place].is_nan() && !x[best].is_nan()) {
            best = place;
        }
    }
    best
}

fn check(isa: Isa, pool: &Pool2d, images: usize, x: &[f32]) {
    let outputs = images * pool.output_length();
    let rows = images * pool.output[0];
    let (dy, tangent) = (numbers(5, outputs), numbers(6, x.len()));
    let [mut max, mut average, mut gathered] =
        [vec![0.0; outputs], vec![0.0; outputs], vec![0.0; outputs]];
    let [mut dmax, mut daverage] = [vec![9.0; x.len()], vec![9.0; x.len()]];
    // In two pieces, cut anywhere.
    let cut = rows / 3;
    for range in [0..cut, cut..rows] {
        let piece = range.start * pool.row_length()..range.end * pool.row_length();
        max_pool(isa, pool, x, range.clone(), &mut max[piece.clone()]);
        average_pool(isa, pool, x, range.clone(), &mut average[piece.clone()]);
        max_pool_gather(isa, pool, x, &tangent, range, &mut gathered[piece]);
    }
    if pool.has_places() {
        check_places(isa, pool, images, x, &dy);
    }
    max_pool_gradient(isa, pool, x, &dy, &mut dmax);
    average_pool_gradient(isa, pool, &dy, &mut daverage);
    let [mut exact_dmax, mut exact_daverage] = [vec![0.0_f32; x.len()], vec![0.0_f32; x.len()]];
    for image in 0..images {
        let range = image * pool.input_length()..(image + 1) * pool.input_length();
        let (x, tangent) = (&x[range.clone()], &tangent[range.clone()]);
        for y in 0..pool.output[0] {
            for column in 0..pool.output[1] {
                for channel in 0..pool.channels {
                    let window = window(pool, y, column, channel);
                    let row = image * pool.output[0] + y;
                    let at = (row * pool.output[1] + column) * pool.channels + channel;
                    if window.is_empty() {
                        assert_eq!((max[at], gathered[at]), (f32::NEG_INFINITY, 0.0));
                        assert!(average[at].is_nan());
                        continue;
                    }
                    let best = first_largest(x, &window);
                    assert_eq!(bits(&[max[at]]), bits(&[x[best]]));
                    assert_eq!(gathered[at], tangent[best]);
                    exact_dmax[range.start + best] += dy[at];
                    let sum: f32 = window.iter().map(|&place| x[place]).sum();
                    let expected = sum / window.len() as f32;
                    assert!((average[at] - expected).abs() < 1e-6 || expected.is_nan());
                    for place in &window {
                        exact_daverage[range.start + place] += dy[at] / window.len() as f32;
                    }
                }
            }
        }
    }
    assert_eq!(dmax, exact_dmax, "{pool:?}");
    assert_eq!(daverage, exact_daverage, "{pool:?}");
}

#[test]
fn two_by_two_of_26_by_26() {
    for isa in Isa::available() {
        let pool = Pool2d {
            input: [26, 26],
            output: [13, 13],
            channels: 32,
            kernel: [2, 2],
            stride: [2, 2],
            padding: [[0; 2]; 2],
        };
        let mut x = numbers(1, 2 * pool.input_length());
        // Equal elements, and NaN.
        x[0..64].fill(0.5);
        x[26 * 32..27 * 32].fill(0.5);
        x[5000] = f32::NAN;
        check(isa, &pool, 2, &x);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_window_is_what_its_definition_says(
        input in (1_usize..7, 1_usize..7), channels in 1_usize..36, kernel in (1_usize..4, 1_usize..4),
        stride in (1_usize..4, 1_usize..4), low in (0_usize..3, 0_usize..3), high in (0_usize..3, 0_usize..3), seed: u32,
    ) {
        let output = |size: usize, kernel: usize, stride: usize, padding: usize| {
            (size + padding).checked_sub(kernel).map_or(0, |rest| rest / stride + 1)
        };
        let pool = Pool2d {
            input: [input.0, input.1],
            output: [
                output(input.0, kernel.0, stride.0, low.0 + high.0),
                output(input.1, kernel.1, stride.1, low.1 + high.1),
            ],
            channels,
            kernel: [kernel.0, kernel.1],
            stride: [stride.0, stride.1],
            padding: [[low.0, high.0], [low.1, high.1]],
        };
        let x = numbers(seed, 2 * pool.input_length());
        // Few values, so that there are equal ones.
        let x: Vec<f32> = x.iter().map(|x| (x * 4.0).round()).collect();
        for isa in Isa::available() {
            check(isa, &pool, 2, &x);
        }
    }
}

/// Pooling with places, and the gradient from them, give the same bits as without, row by row.
fn check_places(isa: Isa, pool: &Pool2d, images: usize, x: &[f32], dy: &[f32]) {
    let mut expected = vec![0.0; dy.len()];
    max_pool(isa, pool, x, 0..images * pool.output[0], &mut expected);
    let mut expected_dx = vec![0.0; x.len()];
    max_pool_gradient(isa, pool, x, dy, &mut expected_dx);
    for image in 0..images {
        let own = image * pool.output_length()..(image + 1) * pool.output_length();
        let x = &x[image * pool.input_length()..];
        let (mut y, mut places) = (vec![0.0; own.len()], vec![0; own.len()]);
        for row in 0..pool.output[0] {
            let first_row = pool.window(0, row).start;
            let at = row * pool.row_length();
            let call = PoolRows {
                pool,
                source: x[first_row * pool.input[1] * pool.channels..].as_ptr(),
                first_row,
                destination: y[at..].as_mut_ptr(),
                places: places[at..].as_mut_ptr(),
                bias: std::ptr::null(),
            };
            // SAFETY: the image and the result are there as a whole.
            unsafe { max_pool_places(isa, row..row + 1, call) };
        }
        assert_eq!(bits(&y), bits(&expected[own.clone()]), "{isa} {pool:?}");
        let spread = Spread {
            pool,
            gradient: dy[own].as_ptr(),
            places: places.as_ptr(),
        };
        let width = pool.input[1] * pool.channels;
        let mut dx = vec![f32::NAN; pool.input_length()];
        for row in 0..pool.input[0] {
            let to = dx[row * width..].as_mut_ptr();
            // SAFETY: as above.
            unsafe { spread_rows(isa, spread, row..row + 1, to, width) };
        }
        let from = image * pool.input_length();
        let expected = &expected_dx[from..from + pool.input_length()];
        assert_eq!(dx, expected, "{isa} {pool:?}");
    }
}
