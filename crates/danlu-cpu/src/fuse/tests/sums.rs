//! Sums, means and variances over leading axes are taken by the passes that make their operands.

use danlu_graph::operations::PoolingWindow;

use super::*;

/// Of the largest element: sums of some thousand terms in f32.
const TOLERANCE: f64 = 2e-4;

/// What is done to the images before the next block.
#[derive(Clone, Copy, Debug, PartialEq)]
enum After {
    Relu,
    ReluAndPool,
    /// A sum with what went into the block, then a ReLU.
    Residual,
}

/// Two blocks of a convolution, a batch normalization and what comes after it: outputs are a loss and its gradients.
struct Blocks {
    image: [usize; 2],
    channels: usize,
    after: After,
    walls: bool,
    /// Values that are outputs too: distances from the mean, or the masks of the ReLUs.
    seen: &'static str,
}

impl Blocks {
    fn states(&self) -> Vec<(&'static str, Vec<usize>)> {
        let c = self.channels;
        let mut states = vec![("first", vec![1, 1, 3, c])];
        for names in [["k0", "g0", "b0"], ["k1", "g1", "b1"]] {
            states.push((names[0], vec![3, 3, c, c]));
            states.push((names[1], vec![c]));
            states.push((names[2], vec![c]));
        }
        states
    }

    fn program(&self) -> Result<Program> {
        let graph = Graph::new();
        let [height, width] = self.image;
        let x = graph.input("x", Shape::batch_of(&[height, width, 3]), DType::F32)?;
        let states = self.states();
        let values: Vec<Value> = states
            .iter()
            .map(|(name, shape)| graph.state(name, shape, DType::F32))
            .collect::<Result<_>>()?;
        let options = |padding: usize| ConvolutionOptions {
            strides: [1, 1],
            dilations: [1, 1],
            padding: [[padding; 2]; 2],
            groups: 1,
        };
        let wall = |value| after(self.walls, value);
        let mut y = wall(x.conv2d(&values[0], options(0)))?;
        let mut seen = Vec::new();
        for block in 0..2 {
            let [kernel, gamma, beta] = [1, 2, 3].map(|index| &values[3 * block + index]);
            let scope = ["zero", "one"][block];
            y = graph.scope(scope, || {
                let before = y.clone();
                let made = wall(y.conv2d(kernel, options(1)))?;
                let mean = wall(made.mean(&[0, 1, 2], false))?;
                let distance = wall(made.subtract(&mean.stop_gradient()?))?;
                let variance = wall(wall(distance.square())?.mean(&[0, 1, 2], false))?;
                let factor = variance.add_scalar(1e-3)?.sqrt()?.reciprocal()?;
                let factor = wall(factor.multiply(gamma))?;
                let shift = wall(beta.subtract(&mean.multiply(&factor)?))?;
                let mut y = wall(wall(made.multiply(&factor))?.add(&shift))?;
                if self.after == After::Residual {
                    y = wall(y.add(&before))?;
                }
                y = wall(y.relu())?;
                match self.seen {
                    "distance" => seen.push(distance),
                    "mask" => {
                        let zero = graph.scalar(0.0, DType::F32)?;
                        seen.push(y.greater(&zero)?);
                    }
                    _ => {}
                }
                match self.after {
                    After::ReluAndPool if block == 0 => wall(y.max_pool2d(PoolingWindow {
                        size: [2, 2],
                        strides: [2, 2],
                        padding: [[0; 2]; 2],
                    })),
                    _ => Ok(y),
                }
            })?;
        }
        let loss = y.square()?.mean_all()?;
        let all: Vec<&Value> = values.iter().collect();
        let slopes = gradients(&loss, &all)?;
        let mut outputs = vec![("loss", &loss)];
        outputs.extend(slopes.iter().map(|slope| ("slope", slope)));
        outputs.extend(seen.iter().map(|value| ("seen", value)));
        Program::new(&graph, &[&x], &outputs, &[])
    }

    /// Runs everywhere: close to the reference, the same bits on 1, 2 and 3 threads. Gives the steps' names.
    fn check(&self, batch: usize) -> Vec<String> {
        let program = self.program().unwrap();
        let states = self.states();
        let states: Vec<(&str, &[usize])> = states
            .iter()
            .map(|(name, shape)| (*name, shape.as_slice()))
            .collect();
        let input = [batch, self.image[0], self.image[1], 3];
        let expected = reference(&program, &states, &[&input], batch);
        let what = format!(
            "{:?} of {:?}, {} channels",
            self.after, self.image, self.channels
        );
        let mut names = Vec::new();
        for isa in Isa::available() {
            let [one, others @ ..] =
                [1, 2, 3].map(|threads| run(&program, &states, &[&input], batch, isa, threads));
            assert_close(&one.1, &expected, TOLERANCE, &format!("{what}, {isa}"));
            for other in others {
                assert!(other == one, "{what}, {isa}: other bits than 1 thread");
            }
            names = one.0;
        }
        names
    }
}

const PLAIN: Blocks = Blocks {
    image: [12, 11],
    channels: 16,
    after: After::Relu,
    walls: false,
    seen: "",
};

fn count(names: &[String], part: &str) -> usize {
    names.iter().filter(|name| name.contains(part)).count()
}

/// Steps that are nothing but a sum, a mean or a distance from one.
fn alone(names: &[String]) -> usize {
    let parts = [
        ": sum",
        ": mean",
        ": subtract",
        ": square",
        ": subtract+square",
    ];
    names
        .iter()
        .filter(|name| parts.iter().any(|part| name.ends_with(part)))
        .count()
}

#[test]
fn statistics_follow_the_convolution_and_the_sums_of_gradients_its_gradient() {
    let names = PLAIN.check(6);
    assert_eq!(count(&names, "conv2d+mean+mean"), 2, "{names:#?}");
    // Of the mask and what the normalization multiplies with; the mask is made where it is used.
    let sums = names.iter().filter(|name| {
        let parts = ["conv2d_input_gradient", "greater", "sum"];
        parts.iter().all(|part| name.contains(part))
    });
    assert_eq!(sums.count(), 1, "{names:#?}");
    // The loss.
    assert_eq!(alone(&names), 1, "{names:#?}");
    let normalized = "multiply+add+relu";
    assert!(
        names.iter().any(|name| name.ends_with(normalized)),
        "{names:#?}"
    );
}

#[test]
fn spread_gradients_are_made_where_they_are_summed() {
    let names = Blocks {
        after: After::ReluAndPool,
        image: [16, 16],
        ..PLAIN
    }
    .check(8);
    assert_eq!(
        count(&names, "max_pool2d_gradient+multiply+sum"),
        1,
        "{names:#?}"
    );
    assert!(
        !names
            .iter()
            .any(|name| name.ends_with(": max_pool2d_gradient")),
        "{names:#?}"
    );
    // The loss.
    assert_eq!(alone(&names), 1, "{names:#?}");
}

#[test]
fn blocks_of_any_shape_are_close_to_the_reference() {
    for after in [After::Relu, After::ReluAndPool, After::Residual] {
        for (image, channels, batch) in [([9, 7], 9, 9), ([8, 8], 34, 4)] {
            Blocks {
                image,
                channels,
                after,
                ..PLAIN
            }
            .check(batch);
        }
    }
}

#[test]
fn the_plain_program_gives_the_same() {
    for after in [After::Relu, After::ReluAndPool, After::Residual] {
        let blocks = Blocks {
            image: [12, 12],
            channels: 8,
            after,
            walls: true,
            ..PLAIN
        };
        let names = blocks.check(4);
        assert!(alone(&names) >= 6, "{names:#?}");
    }
}

#[test]
fn what_somebody_else_reads_is_there() {
    for seen in ["distance", "mask"] {
        Blocks { seen, ..PLAIN }.check(6);
    }
    let names = Blocks {
        seen: "mask",
        ..PLAIN
    }
    .check(6);
    // An output is not computed again, but read.
    let masks = names
        .iter()
        .filter(|name| name.contains("conv2d_input_gradient"));
    assert!(
        masks.clone().all(|name| !name.contains("greater")),
        "{names:#?}"
    );
}

/// The variance of numbers around 1000 with a deviation of 1, exactly.
#[test]
fn a_large_mean_costs_the_variance_no_precision() {
    let (rows, columns) = (5000, 24);
    let uniform = danlu_graph::operations::random::uniform_at;
    let values: Vec<f32> = (0..rows * columns)
        .map(|index| (1000.0 + 3.4641 * (uniform([5, 3], 0, 0, index as u64) - 0.5)) as f32)
        .collect();
    let expected: Vec<f64> = (0..columns)
        .map(|column| {
            let own = || {
                values[column..]
                    .iter()
                    .step_by(columns)
                    .map(|&x| f64::from(x))
            };
            let mean = own().sum::<f64>() / rows as f64;
            own().map(|x| (x - mean).powi(2)).sum::<f64>() / rows as f64
        })
        .collect();
    let graph = Graph::new();
    let build = || -> Result<Program> {
        let x = graph.input("x", Shape::batch_of(&[columns]), DType::F32)?;
        let mean = x.mean(&[0], false)?;
        let variance = x.subtract(&mean)?.square()?.mean(&[0], false)?;
        Program::new(
            &graph,
            &[&x],
            &[("mean", &mean), ("variance", &variance)],
            &[],
        )
    };
    let program = build().unwrap();
    let input = Tensor::from_f32(&[rows, columns], values.clone()).unwrap();
    for isa in Isa::available() {
        let mut executor = executor(isa, 2);
        let bindings = Bindings::batch(rows);
        let plan = executor.compile(&program, &bindings).unwrap();
        let mut results = output_tensors(&program, &bindings).unwrap();
        executor.run(plan, &[&input], &mut results).unwrap();
        for (found, expected) in results[1].to_f64().iter().zip(&expected) {
            let off = (found - expected).abs() / expected;
            assert!(off < 1e-6, "{isa}: {found}, not {expected}");
        }
    }
}
