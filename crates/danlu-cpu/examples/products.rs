//! Prints the speed of matrix products and convolutions, in GFLOP/s: `products [isa...]`, by default for every instruction set.

use std::time::Instant;

use danlu_cpu::kernels::product::{
    BatchAxis, Convolution2dShape, ConvolutionForwardPlan, ConvolutionInputGradientPlan,
    ConvolutionWeightGradientPlan, MatmulPlan, MatmulShape,
};
use danlu_cpu::simd::Isa;
use danlu_cpu::threads::Pool;

/// A buffer aligned to 64 bytes, filled with small numbers.
struct Buffer {
    storage: Vec<[f32; 16]>,
}

impl Buffer {
    fn new(elements: usize) -> Buffer {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        Buffer {
            storage: (0..elements / 16 + 2)
                .map(|_| std::array::from_fn(|_| next()))
                .collect(),
        }
    }

    fn pointer(&mut self) -> *mut f32 {
        let pointer = self.storage.as_mut_ptr().cast::<f32>();
        pointer.wrapping_add(pointer.align_offset(64))
    }
}

/// The best of many short rounds: on a busy machine some of them run undisturbed.
fn measure(flops: usize, mut run: impl FnMut()) -> f64 {
    run();
    let rounds = (30_000_000 / flops.max(1)).clamp(1, 500);
    let mut best = f64::INFINITY;
    let begin = Instant::now();
    while begin.elapsed().as_millis() < 300 {
        let begin = Instant::now();
        for _ in 0..rounds {
            run();
        }
        best = best.min(begin.elapsed().as_secs_f64() / rounds as f64);
    }
    flops as f64 / best / 1e9
}

fn matmul(isa: Isa, pools: &[Pool], name: &str, shape: MatmulShape, sizes: [usize; 2]) {
    let (mut a, mut b) = (Buffer::new(sizes[0]), Buffer::new(sizes[1]));
    let mut c = Buffer::new(shape.batch_size() * shape.m * shape.n);
    print!("{name:44}");
    for pool in pools {
        let plan = MatmulPlan::new(isa, shape.clone(), pool.threads());
        let mut scratch = Buffer::new(plan.scratch_bytes() / 4);
        let speed = measure(plan.flops(), || {
            // SAFETY: the buffers are as large as the shape asks.
            unsafe {
                plan.run(
                    pool,
                    a.pointer(),
                    b.pointer(),
                    c.pointer(),
                    scratch.pointer().cast(),
                    None,
                );
            }
        });
        print!("{speed:8.1}");
    }
    println!();
}

fn matmuls(isa: Isa, pools: &[Pool]) {
    for [m, n, k] in [
        [64, 128, 5408],
        [1, 128, 5408],
        [64, 10, 128],
        [128, 512, 784],
        [128, 512, 512],
        [512, 512, 512],
        [1024, 1024, 1024],
        [4096, 64, 64],
    ] {
        let shape = MatmulShape::row_major(m, n, k);
        matmul(
            isa,
            pools,
            &format!("{m} x {k} * {k} x {n}"),
            shape,
            [m * k, k * n],
        );
    }
    let shape = MatmulShape {
        batch: vec![],
        m: 64,
        n: 5408,
        k: 128,
        a: [128, 1],
        b: [1, 128],
    };
    matmul(
        isa,
        pools,
        "64 x 128 * (5408 x 128)^T",
        shape,
        [64 * 128, 5408 * 128],
    );
    let shape = MatmulShape {
        batch: vec![],
        m: 5408,
        n: 128,
        k: 64,
        a: [1, 5408],
        b: [128, 1],
    };
    matmul(
        isa,
        pools,
        "(64 x 5408)^T * 64 x 128",
        shape,
        [64 * 5408, 64 * 128],
    );
    let shape = MatmulShape {
        batch: vec![BatchAxis {
            size: 96,
            a_stride: 128 * 64,
            b_stride: 128 * 64,
        }],
        m: 128,
        n: 128,
        k: 64,
        a: [64, 1],
        b: [1, 64],
    };
    matmul(
        isa,
        pools,
        "96 of 128 x 64 * (128 x 64)^T",
        shape,
        [96 * 128 * 64; 2],
    );
}

/// The speed of a convolution's plan.
macro_rules! convolution {
    ($plan:ident, $isa:expr, $pools:expr, $shape:expr) => {{
        let shape: Convolution2dShape = $shape;
        let [height, width] = shape.output_size();
        let images = shape.batch * shape.height * shape.width * shape.channels;
        let results = shape.batch * height * width * shape.filters;
        let weights = shape.kernel[0] * shape.kernel[1] * shape.group_channels() * shape.filters;
        let most = images.max(results).max(weights);
        let mut buffers = [most; 3].map(Buffer::new);
        let [a, b, c] = buffers.each_mut().map(|buffer| buffer.pointer());
        for pool in $pools {
            let Ok(plan) = $plan::new($isa, shape, pool.threads()) else {
                continue;
            };
            let mut scratch = Buffer::new(plan.scratch_bytes() / 4);
            let speed = measure(plan.flops(), || {
                // SAFETY: the buffers are as large as the largest operand.
                unsafe { plan.run(pool, a, b, c, scratch.pointer().cast(), None) };
            });
            print!("{speed:8.1}");
        }
        print!("  ");
    }};
}

fn convolutions(isa: Isa, pools: &[Pool]) {
    println!(
        "{:44}{:>16}{:>18}{:>18}",
        "convolutions, 3 x 3 unless said", "forward", "by input", "by weights"
    );
    let shape = |batch, size, channels, filters, padding| Convolution2dShape {
        batch,
        height: size,
        width: size,
        channels,
        filters,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        padding: [[padding; 2]; 2],
        groups: 1,
    };
    for (name, shape) in [
        ("64 of 28 x 28 x 1, 32 filters", shape(64, 28, 1, 32, 0)),
        (
            "32 of 28 x 28 x 64, 64 filters, padded",
            shape(32, 28, 64, 64, 1),
        ),
        ("32 of 28 x 28 x 64, 64 filters", shape(32, 28, 64, 64, 0)),
        (
            "16 of 14 x 14 x 256, 256 filters, padded",
            shape(16, 14, 256, 256, 1),
        ),
        (
            "16 of 32 x 32 x 16, 16 filters, padded",
            shape(16, 32, 16, 16, 1),
        ),
        (
            "8 of 56 x 56 x 64, 128 filters, 1 x 1",
            Convolution2dShape {
                kernel: [1, 1],
                ..shape(8, 56, 64, 128, 0)
            },
        ),
        (
            "8 of 56 x 56 x 64, 128 filters, stride 2",
            Convolution2dShape {
                stride: [2, 2],
                ..shape(8, 56, 64, 128, 1)
            },
        ),
        (
            "8 of 28 x 28 x 64, depthwise",
            Convolution2dShape {
                groups: 64,
                ..shape(8, 28, 64, 64, 1)
            },
        ),
    ] {
        print!("{name:44}");
        convolution!(ConvolutionForwardPlan, isa, pools, shape);
        convolution!(ConvolutionInputGradientPlan, isa, pools, shape);
        convolution!(ConvolutionWeightGradientPlan, isa, pools, shape);
        println!();
    }
}

/// Time of 30 regions of about 100 microseconds, and of empty regions, for several numbers of threads.
fn regions() {
    for threads in [1, 2, 3, 8] {
        let pool = Pool::new(threads);
        let spin = |count: usize| {
            let mut sum = 1.0_f64;
            for _ in 0..count {
                sum = std::hint::black_box(sum * 1.000_000_1);
            }
        };
        let mut best = [f64::INFINITY; 2];
        for _ in 0..30 {
            let begin = Instant::now();
            for _ in 0..30 {
                pool.run(64, &|_| spin(1_000));
            }
            best[0] = best[0].min(begin.elapsed().as_secs_f64() * 1e6);
            let begin = Instant::now();
            for _ in 0..1_000 {
                pool.run(threads, &|_| {});
            }
            best[1] = best[1].min(begin.elapsed().as_secs_f64() * 1e6);
        }
        println!(
            "{threads} threads: 30 regions {:.0} us, an empty region {:.3} us",
            best[0],
            best[1] / 1e3
        );
    }
}

fn main() {
    regions();
    let pools = [Pool::new(1), Pool::new(2)];
    let asked: Vec<String> = std::env::args().skip(1).collect();
    for isa in Isa::available() {
        if asked.is_empty() || asked.iter().any(|name| name == isa.name()) {
            println!("{:44}{:>8}{:>8}", isa.name(), "1", "2 threads");
            matmuls(isa, &pools);
            convolutions(isa, &pools);
        }
    }
}
