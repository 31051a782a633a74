//! Blocks of any geometry, on whole numbers, so that all results are exact.

use proptest::prelude::*;

use super::*;

/// Geometry along rows and along columns.
#[derive(Clone, Copy, Debug)]
struct Geometry {
    image: [usize; 2],
    kernel: [usize; 2],
    options: ConvolutionOptions,
    pool: PoolingWindow,
}

fn geometry() -> impl Strategy<Value = Geometry> {
    let padding = || [[0_usize..3, 0_usize..3], [0_usize..3, 0_usize..3]];
    let image = [4_usize..19, 4_usize..19];
    let convolution = (
        [1_usize..5, 1_usize..5],
        [1_usize..3, 1_usize..3],
        [1_usize..3, 1_usize..3],
        padding(),
    );
    let pool = (
        [1_usize..4, 1_usize..4],
        [0_usize..3, 0_usize..3],
        padding(),
    );
    (image, convolution, pool).prop_map(|(image, convolution, pool)| {
        let (kernel, strides, dilations, padding) = convolution;
        let (size, gap, around) = pool;
        // Most windows do not overlap; padding is smaller than a window.
        let strides_of = |axis: usize| (size[axis] + gap[axis]).saturating_sub(1).max(1);
        Geometry {
            image,
            kernel,
            options: ConvolutionOptions {
                strides,
                dilations,
                padding,
                groups: 1,
            },
            pool: PoolingWindow {
                size,
                strides: [strides_of(0), strides_of(1)],
                padding: [0, 1]
                    .map(|axis| around[axis].map(|by: usize| by.min(size[axis] - 1) / 2)),
            },
        }
    })
}

/// The result and the gradients by images, kernel and bias.
fn program(geometry: &Geometry, states: &[(&str, Vec<usize>)], relu: bool) -> Result<Program> {
    let graph = Graph::new();
    let [height, width] = geometry.image;
    let x = graph.input(
        "x",
        Shape::batch_of(&[height, width, states[0].1[2]]),
        DType::F32,
    )?;
    let k = graph.state("k", &states[0].1, DType::F32)?;
    let b = graph.state("b", &states[1].1, DType::F32)?;
    let y = x.conv2d(&k, geometry.options)?.add(&b)?;
    let y = if relu { y.relu()? } else { y };
    let y = y.max_pool2d(geometry.pool)?;
    let loss = y.square()?.sum_all()?.multiply_scalar(0.5)?;
    let slopes = gradients(&loss, &[&x, &k, &b])?;
    let mut outputs = vec![("y", &y)];
    outputs.extend(slopes.iter().map(|slope| ("slope", slope)));
    Program::new(&graph, &[&x], &outputs, &[])
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(200)
    })]

    #[test]
    fn any_block_is_exact(
        geometry in geometry(),
        batch in 1_usize..5,
        channels in 1_usize..6,
        filters in prop_oneof![1_usize..9, 15_usize..34],
        relu in any::<bool>(),
    ) {
        let [height, width] = geometry.kernel;
        let states = [("k", vec![height, width, channels, filters]), ("b", vec![filters])];
        // Not every window fits.
        let Ok(program) = program(&geometry, &states, relu) else { return Ok(()) };
        let images = whole(&[batch, geometry.image[0], geometry.image[1], channels], 60);
        let expected = exact(&mut ReferenceExecutor::new(), &program, &states, &images);
        for isa in Isa::available() {
            for threads in [1, 3] {
                let found = exact(&mut executor(isa, threads), &program, &states, &images);
                assert_close(&found, &expected, 0.0, &format!("{isa}, {threads} threads"));
            }
        }
    }
}
