//! Matrix products and convolutions against plain f64 loops, and the promises about bits.

mod convolution;
mod input_gradient;
mod matmul;

use std::sync::{LazyLock, Mutex};

use danlu_cpu::kernels::product::Tile;
use danlu_cpu::threads::{Pool, PoolOptions};

/// Pools of 1, 2 and 3 threads that all take part, however few cores there are.
static POOLS: LazyLock<[Pool; 3]> = LazyLock::new(|| {
    [1, 2, 3].map(|threads| {
        Pool::with_options(PoolOptions {
            awake: Some(threads),
            ..PoolOptions::new(threads)
        })
    })
});

/// Numbers in -1..1 with many different exponents.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 40) as f32 / (1_u64 << 24) as f32 - 0.5) * 2.0
        })
        .collect()
}

/// Scratch that is aligned and full of NaN: nobody may rely on what is in it.
struct Scratch(Vec<[f32; 16]>);

impl Scratch {
    fn new(bytes: usize) -> Scratch {
        Scratch(vec![[f32::NAN; 16]; bytes / 64 + 2])
    }

    fn pointer(&mut self) -> *mut u8 {
        let pointer = self.0.as_mut_ptr().cast::<u8>();
        pointer.wrapping_add(pointer.align_offset(64))
    }
}

/// A sum of products in f64, and the sum of their magnitudes, which bounds the rounding errors.
#[derive(Clone, Copy, Default)]
struct Exact {
    sum: f64,
    magnitude: f64,
    terms: usize,
}

impl Exact {
    fn add(&mut self, a: f32, b: f32) {
        let product = f64::from(a) * f64::from(b);
        self.sum += product;
        self.magnitude += product.abs();
        self.terms += 1;
    }
}

/// The tolerance: `2 epsilon (2 + sqrt(terms))` of the sum of magnitudes.
fn assert_close(actual: &[f32], expected: &[Exact], context: &str) {
    assert_eq!(actual.len(), expected.len());
    for (index, (&actual, expected)) in actual.iter().zip(expected).enumerate() {
        if !expected.sum.is_finite() {
            let same =
                f64::from(actual) == expected.sum || (actual.is_nan() && expected.sum.is_nan());
            assert!(
                same,
                "{context}: element {index} is {actual}, not {}",
                expected.sum
            );
            continue;
        }
        let tolerance = 2.0
            * f64::from(f32::EPSILON)
            * (2.0 + (expected.terms as f64).sqrt())
            * expected.magnitude;
        let difference = (f64::from(actual) - expected.sum).abs();
        assert!(
            difference <= tolerance,
            "{context}: element {index} is {actual}, not {}: off by {difference:e}, allowed {tolerance:e}",
            expected.sum
        );
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// Runs with an epilogue that notes its tiles, and checks that they cover the result once.
fn run_with_tiles(rows: usize, columns: usize, run: impl FnOnce(&(dyn Fn(Tile, *mut f32) + Sync))) {
    let tiles = Mutex::new(Vec::new());
    run(&|tile, _| tiles.lock().unwrap().push(tile));
    let mut covered = vec![0_u8; rows * columns];
    for tile in tiles.into_inner().unwrap() {
        assert!(
            tile.row_end <= rows && tile.column_end <= columns,
            "{tile:?}"
        );
        for row in tile.row_start..tile.row_end {
            for column in tile.column_start..tile.column_end {
                covered[row * columns + column] += 1;
            }
        }
    }
    assert!(
        covered.iter().all(|&count| count == 1),
        "tiles must cover the result exactly once"
    );
}
