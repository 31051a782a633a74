//! What depends on states that no run writes is computed once: normalizations that only predict are part of the weights.

use super::*;

const TOLERANCE: f64 = 1e-5;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Layer {
    Dense,
    Convolution,
    Depthwise,
    Transposed,
}

/// Who else looks at what would be folded.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Other {
    Nobody,
    /// The result before the normalization is an output.
    Reader,
    /// The program changes the weights.
    Update,
    /// The factor depends on the input.
    Input,
}

const CHANNELS: usize = 12;

fn states(layer: Layer) -> Vec<(&'static str, Vec<usize>)> {
    let kernel = match layer {
        Layer::Dense => vec![6, CHANNELS],
        Layer::Convolution => vec![3, 3, 6, CHANNELS],
        Layer::Depthwise => vec![3, 3, 1, CHANNELS],
        Layer::Transposed => vec![3, 3, CHANNELS, 6],
    };
    let vectors = ["bias", "gamma", "beta", "mean", "deviation"];
    let mut states = vec![("kernel", kernel)];
    states.extend(vectors.map(|name| (name, vec![CHANNELS])));
    states
}

/// A layer with a bias, a normalization by states, and a ReLU.
fn program(layer: Layer, other: Other) -> Result<Program> {
    let graph = Graph::new();
    let image: &[usize] = if layer == Layer::Dense {
        &[6]
    } else {
        &[9, 8, 6]
    };
    let x = graph.input("x", Shape::batch_of(image), DType::F32)?;
    let states: Vec<Value> = states(layer)
        .iter()
        .map(|(name, shape)| graph.state(name, shape, DType::F32))
        .collect::<Result<_>>()?;
    let [kernel, bias, gamma, beta, mean, deviation] = &states[..] else {
        return Err(danlu_graph::Error::new("six states"));
    };
    let options = |groups: usize| ConvolutionOptions {
        strides: [1, 1],
        dilations: [1, 1],
        padding: [[1, 1]; 2],
        groups,
    };
    let y = match layer {
        Layer::Dense => x.matmul(kernel)?,
        Layer::Convolution => x.conv2d(kernel, options(1))?,
        Layer::Depthwise => x.conv2d(kernel, options(6))?,
        Layer::Transposed => {
            let image = Shape::batch_of(&[9, 8, CHANNELS]);
            x.conv2d_input_gradient(kernel, options(1), &image)?
        }
    };
    let made = y.add(bias)?;
    let mut factor = deviation.square()?.add_scalar(0.1)?.sqrt()?.reciprocal()?;
    factor = factor.multiply(gamma)?;
    if other == Other::Input {
        let axes: Vec<isize> = (0..x.shape().rank() as isize).collect();
        factor = factor.multiply(&x.sum(&axes, false)?)?;
    }
    let shift = beta.subtract(&mean.multiply(&factor)?)?;
    let z = made.multiply(&factor)?.add(&shift)?.relu()?;
    let mut outputs = vec![("z", &z)];
    if other == Other::Reader {
        outputs.push(("made", &made));
    }
    let next = kernel.multiply_scalar(0.5)?;
    let updates: &[(&str, &Value)] = match other {
        Other::Update => &[("kernel", &next)],
        _ => &[],
    };
    Program::new(&graph, &[&x], &outputs, updates)
}

/// Runs everywhere, close to the reference and with the same bits on any number of threads; the steps' names.
fn check(layer: Layer, other: Other) -> Vec<String> {
    let program = program(layer, other).unwrap();
    let states = states(layer);
    let states: Vec<(&str, &[usize])> = states
        .iter()
        .map(|(name, shape)| (*name, shape.as_slice()))
        .collect();
    let input: &[usize] = if layer == Layer::Dense {
        &[5, 6]
    } else {
        &[5, 9, 8, 6]
    };
    let expected = reference(&program, &states, &[input], 5);
    let mut names = Vec::new();
    for isa in Isa::available() {
        let [one, others @ ..] =
            [1, 2, 3].map(|threads| run(&program, &states, &[input], 5, isa, threads));
        assert_close(
            &one.1,
            &expected,
            TOLERANCE,
            &format!("{layer:?}, {other:?}, {isa}"),
        );
        for other in others {
            assert!(other == one, "{layer:?}, {isa}: other bits than 1 thread");
        }
        names = one.0;
    }
    names
}

const LAYERS: [Layer; 4] = [
    Layer::Dense,
    Layer::Convolution,
    Layer::Depthwise,
    Layer::Transposed,
];

/// The step of the layer's product.
fn product(names: &[String]) -> &str {
    let products = ["conv2d", "matmul"];
    let found = names
        .iter()
        .find(|name| products.iter().any(|part| name.contains(part)));
    found.map_or("", |name| name.as_str())
}

#[test]
fn a_normalization_by_states_becomes_a_bias() {
    for layer in LAYERS {
        let names = check(layer, Other::Nobody);
        assert!(
            product(&names).ends_with("+add+relu"),
            "{layer:?}: {names:#?}"
        );
        assert!(
            !product(&names).contains("multiply"),
            "{layer:?}: {names:#?}"
        );
    }
}

#[test]
fn what_somebody_else_reads_or_writes_stays_as_it_is() {
    for layer in LAYERS {
        for other in [Other::Reader, Other::Update, Other::Input] {
            let names = check(layer, other);
            let normalized = names.iter().any(|name| name.ends_with("multiply+add+relu"));
            assert!(normalized, "{layer:?}, {other:?}: {names:#?}");
        }
    }
}

#[test]
fn a_state_that_is_written_is_seen_by_the_next_run() {
    for layer in LAYERS {
        let program = program(layer, Other::Nobody).unwrap();
        let mut fused = executor(Isa::detect(), 2);
        let mut plain = ReferenceExecutor::new();
        let states = states(layer);
        let bindings = Bindings::batch(5);
        let input: &[usize] = if layer == Layer::Dense {
            &[5, 6]
        } else {
            &[5, 9, 8, 6]
        };
        let input = numbers(input, 100);
        let mut plans = Vec::new();
        let executors: [&mut dyn Executor; 2] = [&mut fused, &mut plain];
        for executor in executors {
            for (index, (name, shape)) in (0..).zip(&states) {
                executor.create_state(name, &numbers(shape, index)).unwrap();
            }
            plans.push(executor.compile(&program, &bindings).unwrap());
        }
        for (round, (name, shape)) in (50..).zip(&states) {
            let mut results = Vec::new();
            let executors: [&mut dyn Executor; 2] = [&mut fused, &mut plain];
            for (executor, &plan) in executors.into_iter().zip(&plans) {
                executor.write_state(name, &numbers(shape, round)).unwrap();
                let mut outputs = output_tensors(&program, &bindings).unwrap();
                for _ in 0..2 {
                    executor.run(plan, &[&input], &mut outputs).unwrap();
                }
                results.push(outputs);
            }
            let what = format!("{layer:?}, after `{name}` was written");
            assert_close(&results[0], &results[1], TOLERANCE, &what);
        }
    }
}
