//! A convolution, its bias, its activation and the max-pooling of that are one step; the gradients read what it noted.

mod edges;
mod random;

use danlu_graph::operations::PoolingWindow;

use super::*;

/// Of the largest element: activations and sums of a few thousand terms in f32.
const TOLERANCE: f64 = 2e-5;

/// A convolution with bias and activation, and a pooling.
#[derive(Clone, Copy, Debug)]
struct Block {
    filters: usize,
    kernel: usize,
    stride: usize,
    /// Zeros around the image.
    padding: usize,
    groups: usize,
    activation: &'static str,
    pool: PoolingWindow,
}

/// Images of one shape, and the blocks that they go through.
#[derive(Clone, Copy, Debug)]
struct Network<'a> {
    image: [usize; 3],
    blocks: &'a [Block],
}

const fn window(size: usize, stride: usize, padding: [usize; 2]) -> PoolingWindow {
    PoolingWindow {
        size: [size, size],
        strides: [stride, stride],
        padding: [padding, padding],
    }
}

impl Network<'_> {
    /// Shapes of kernels and biases.
    fn states(&self) -> Vec<(&'static str, Vec<usize>)> {
        let mut channels = self.image[2];
        let mut states = Vec::new();
        for (block, [kernel, bias]) in self.blocks.iter().zip([["k", "b"], ["l", "c"]]) {
            let channels_of_group = channels / block.groups;
            let shape = vec![block.kernel, block.kernel, channels_of_group, block.filters];
            states.push((kernel, shape));
            states.push((bias, vec![block.filters]));
            channels = block.filters;
        }
        states
    }

    /// The result, and what each block pools.
    fn forward(&self, graph: &Graph) -> Result<(Value, Value, Vec<Value>)> {
        let x = graph.input("x", Shape::batch_of(&self.image), DType::F32)?;
        let (mut y, mut activated) = (x.clone(), Vec::new());
        for (block, [kernel, bias]) in self.blocks.iter().zip(
            self.states()
                .chunks_exact(2)
                .map(|pair| [&pair[0], &pair[1]]),
        ) {
            let options = ConvolutionOptions {
                strides: [block.stride; 2],
                dilations: [1, 1],
                padding: [[block.padding; 2]; 2],
                groups: block.groups,
            };
            y = y.conv2d(&graph.state(kernel.0, &kernel.1, DType::F32)?, options)?;
            y = y.add(&graph.state(bias.0, &bias.1, DType::F32)?)?;
            y = match block.activation {
                "relu" => y.relu()?,
                "tanh" => y.tanh()?,
                "sigmoid" => y.sigmoid()?,
                _ => y,
            };
            activated.push(y.clone());
            y = y.max_pool2d(block.pool)?;
        }
        Ok((x, y, activated))
    }

    fn prediction(&self) -> Program {
        let graph = Graph::new();
        let (x, y, _) = self.forward(&graph).unwrap();
        Program::new(&graph, &[&x], &[("y", &y)], &[]).unwrap()
    }

    /// The gradients by image, kernels and biases.
    fn training(&self) -> Result<Program> {
        let graph = Graph::new();
        let (x, y, _) = self.forward(&graph)?;
        let loss = y
            .subtract(&graph.scalar(0.3, DType::F32)?)?
            .square()?
            .mean_all()?;
        let mut leaves = vec![x.clone()];
        for (name, shape) in self.states() {
            leaves.push(graph.state(name, &shape, DType::F32)?);
        }
        let slopes = gradients(&loss, &leaves.iter().collect::<Vec<_>>())?;
        let mut outputs = vec![("loss", &loss)];
        outputs.extend(slopes.iter().map(|slope| ("slope", slope)));
        Program::new(&graph, &[&x], &outputs, &[])
    }

    /// Runs on every instruction set with 1, 2 and 3 threads: close to the reference, and the same bits. Gives the steps' names.
    fn check(&self, program: &Program, batch: usize) -> Vec<String> {
        let states = self.states();
        let states: Vec<(&str, &[usize])> = states
            .iter()
            .map(|(name, shape)| (*name, shape.as_slice()))
            .collect();
        let input = [&[batch], self.image.as_slice()].concat();
        let expected = reference(program, &states, &[&input], batch);
        let mut names = Vec::new();
        for isa in Isa::available() {
            let [one, others @ ..] =
                [1, 2, 3].map(|threads| run(program, &states, &[&input], batch, isa, threads));
            assert_close(&one.1, &expected, TOLERANCE, &format!("{isa}, {self:?}"));
            for other in others {
                assert!(other == one, "{isa}, {self:?}: other bits than 1 thread");
            }
            names = one.0;
        }
        names
    }

    /// The name of a block's only step.
    fn fused(&self, block: usize) -> String {
        match self.blocks[block].activation {
            "none" => "conv2d+add+max_pool2d".to_owned(),
            activation => format!("conv2d+add+{activation}+max_pool2d"),
        }
    }
}

/// A block to vary.
const SEEN: Block = Block {
    filters: 17,
    kernel: 3,
    stride: 1,
    padding: 1,
    groups: 1,
    activation: "relu",
    pool: POOLS[0],
};

/// Whole numbers from -2 to 2: their sums of products are exact, and many are equal.
fn whole(shape: &[usize], seed: u32) -> Tensor {
    let values = numbers(shape, seed);
    let values = values.as_f32().unwrap().iter();
    Tensor::from_f32(shape, values.map(|x| (x * 5.0).round()).collect()).unwrap()
}

/// The outputs for whole numbers as states and for these images.
fn exact(
    executor: &mut dyn Executor,
    program: &Program,
    states: &[(&str, Vec<usize>)],
    x: &Tensor,
) -> Vec<Tensor> {
    for (seed, (name, shape)) in (0..).zip(states) {
        executor.create_state(name, &whole(shape, seed)).unwrap();
    }
    let bindings = Bindings::batch(x.shape()[0]);
    let plan = executor.compile(program, &bindings).unwrap();
    let mut outputs = output_tensors(program, &bindings).unwrap();
    executor.run(plan, &[x], &mut outputs).unwrap();
    outputs
}

const POOLS: [PoolingWindow; 4] = [
    window(2, 2, [0, 0]),
    window(3, 3, [0, 0]),
    window(2, 3, [0, 0]),
    // "same", of an odd number of rows.
    window(2, 2, [0, 1]),
];

/// Blocks of many shapes, and the images that they take.
fn shapes() -> Vec<([usize; 3], Block)> {
    let pairs = [1, 3, 8, 17, 33]
        .into_iter()
        .flat_map(|channels| [1, 6, 16, 32, 40].map(|filters| (channels, filters)));
    pairs
        .enumerate()
        .map(|(index, (channels, filters))| {
            let kernel = [3, 5, 1][index % 3];
            let image = [[11, 10], [13, 9], [10, 11]][index / 2 % 3];
            let block = Block {
                filters,
                kernel,
                stride: [1, 1, 2][index / 3 % 3],
                padding: [0, kernel / 2][index / 5 % 2],
                groups: 1,
                activation: ["relu", "tanh", "sigmoid", "none"][index / 2 % 4],
                pool: POOLS[(index + index / 4) % 4],
            };
            ([image[0], image[1], channels], block)
        })
        .collect()
}

#[test]
fn a_convolution_and_its_pooling_are_one_step() {
    for (image, block) in shapes() {
        let network = Network {
            image,
            blocks: &[block],
        };
        let names = network.check(&network.prediction(), 3);
        assert_eq!(names, [format!(": {}", network.fused(0))], "{network:?}");
    }
}

#[test]
fn gradients_read_what_the_pooling_noted() {
    for (image, block) in shapes() {
        let network = Network {
            image,
            blocks: &[block],
        };
        let names = network.check(&network.training().unwrap(), 2);
        let fused = format!(": {}", network.fused(0));
        assert!(names.contains(&fused), "{network:?}: {names:?}");
        let spread = names
            .iter()
            .any(|name| name.contains("max_pool2d_gradient"));
        assert!(!spread, "{network:?}: {names:?}");
    }
}

#[test]
fn two_blocks_are_two_steps() {
    for (index, activation) in ["relu", "tanh", "sigmoid", "none"].into_iter().enumerate() {
        let block = |filters, kernel, padding, pool| Block {
            filters,
            kernel,
            stride: 1,
            padding,
            groups: 1,
            activation,
            pool,
        };
        let second = POOLS[index];
        let blocks = [block(16, 5, 2, POOLS[0]), block(17, 3, 1, second)];
        let network = Network {
            image: [17, 14, 3],
            blocks: &blocks,
        };
        for (program, batch) in [(network.prediction(), 3), (network.training().unwrap(), 5)] {
            let names = network.check(&program, batch);
            let fused = format!(": {}", network.fused(0));
            assert_eq!(
                names.iter().filter(|name| **name == fused).count(),
                2,
                "{names:?}"
            );
            let spread = names
                .iter()
                .any(|name| name.contains("max_pool2d_gradient"));
            assert!(!spread, "{names:?}");
        }
    }
}

/// Large enough that threads share the work.
#[test]
fn the_article_s_block_has_the_same_bits_on_any_number_of_threads() {
    let block = Block {
        filters: 32,
        kernel: 3,
        stride: 1,
        padding: 0,
        groups: 1,
        activation: "relu",
        pool: POOLS[0],
    };
    for (image, blocks) in [
        ([28, 28, 1], vec![block]),
        ([16, 15, 8], vec![block, block]),
    ] {
        let network = Network {
            image,
            blocks: &blocks,
        };
        network.check(&network.prediction(), 9);
        network.check(&network.training().unwrap(), 9);
    }
}

#[test]
fn an_example_has_the_same_bits_alone_and_in_a_batch() {
    for (image, block) in shapes() {
        let network = Network {
            image,
            blocks: &[block],
        };
        let program = network.prediction();
        let all = numbers(&[&[9], image.as_slice()].concat(), 7);
        for isa in Isa::available() {
            let mut executor = executor(isa, 2);
            for (index, (name, shape)) in (0..).zip(network.states()) {
                executor
                    .create_state(name, &numbers(&shape, index))
                    .unwrap();
            }
            let mut predict = |start: usize, end: usize| {
                let bindings = Bindings::batch(end - start);
                let plan = executor.compile(&program, &bindings).unwrap();
                let mut outputs = output_tensors(&program, &bindings).unwrap();
                let part = all.rows(start, end).unwrap();
                executor.run(plan, &[&part], &mut outputs).unwrap();
                outputs.remove(0)
            };
            let whole = predict(0, 9);
            for (start, end) in [(0, 1), (4, 5), (8, 9), (2, 7)] {
                let same = predict(start, end) == whole.rows(start, end).unwrap();
                assert!(same, "{isa}, {network:?}: examples {start}..{end}");
            }
        }
    }
}
