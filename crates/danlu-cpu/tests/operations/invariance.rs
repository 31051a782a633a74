//! In inference an example gives the same bits alone or in any batch, at any place.

use danlu_cpu::Isa;
use danlu_graph::executor::output_tensors;
use danlu_graph::operations::{ConvolutionOptions, PoolingWindow};
use danlu_graph::{Bindings, DType, Executor, Graph, Program, Result, Shape, Tensor, Value};

use crate::harness::{executor, floats, numbers};

/// Image to class probabilities: convolution, pooling, normalization by moments, dense layers over features and over
/// positions, attention, softmax.
fn network(size: usize, filters: usize, hidden: usize) -> Result<(Program, Vec<(String, Tensor)>)> {
    let graph = Graph::new();
    let mut states = Vec::new();
    let mut state = |name: &str, shape: &[usize]| -> Result<Value> {
        let count = shape.iter().product();
        let scale = 1.0 / (count as f32).sqrt().min(8.0);
        let values = numbers(count, states.len() as u64 + 11);
        let values = values.iter().map(|x| x * scale).collect();
        states.push((name.to_owned(), Tensor::from_f32(shape, values)?));
        graph.state(name, shape, DType::F32)
    };
    let options = |padding: usize, groups: usize| ConvolutionOptions {
        strides: [1, 1],
        dilations: [1, 1],
        padding: [[padding; 2]; 2],
        groups,
    };
    let window = PoolingWindow {
        size: [2, 2],
        strides: [2, 2],
        padding: [[0; 2]; 2],
    };
    let x = graph.input("x", Shape::batch_of(&[size, size, 3]), DType::F32)?;
    let h = x
        .conv2d(&state("k", &[3, 3, 3, filters])?, options(1, 1))?
        .add(&state("kb", &[filters])?)?;
    let h = h.relu()?.max_pool2d(window)?;
    let h = h.conv2d(&state("depth", &[3, 3, 1, filters])?, options(1, filters))?;
    let h = h.conv2d(&state("point", &[1, 1, filters, hidden])?, options(0, 1))?;
    let mean = h.mean(&[1, 2, 3], true)?;
    let spread = h.subtract(&mean)?.square()?.mean(&[1, 2, 3], true)?;
    let h = h
        .subtract(&mean)?
        .divide(&spread.add_scalar(1e-3)?.sqrt()?)?;
    let positions = (size / 2) * (size / 2);
    let tokens = h.reshape(&Shape::batch_of(&[positions, hidden]))?;
    let project = |name: &str, state: &mut dyn FnMut(&str, &[usize]) -> Result<Value>| {
        tokens.matmul(&state(name, &[hidden, hidden])?)
    };
    let (q, k, v) = (
        project("q", &mut state)?,
        project("k2", &mut state)?,
        project("v", &mut state)?,
    );
    let attention = q.matmul_with(&k, false, true)?.softmax()?;
    let mixed = attention.matmul(&v)?.add(&tokens)?.tanh()?;
    let pooled = mixed.mean(&[1], false)?;
    let flat = mixed.reshape(&Shape::batch_of(&[positions * hidden]))?;
    let dense = flat
        .matmul(&state("d", &[positions * hidden, 37])?)?
        .add(&state("db", &[37])?)?
        .sigmoid()?;
    let head = graph.concatenate(&[&dense, &pooled], 1)?;
    let logits = head.matmul(&state("e", &[37 + hidden, 10])?)?;
    let probabilities = logits.softmax()?;
    let outputs = [
        ("p", &probabilities),
        ("logits", &logits),
        ("mixed", &mixed),
        ("mean", &mean),
        ("sum", &logits.logsumexp(&[-1], false)?),
    ];
    Ok((Program::new(&graph, &[&x], &outputs, &[])?, states))
}

fn rows(tensor: &Tensor) -> Vec<Vec<u32>> {
    let values = tensor.as_f32().unwrap();
    let size = values.len() / tensor.shape()[0];
    let bits = |row: &[f32]| row.iter().map(|x| x.to_bits()).collect();
    values.chunks(size).map(bits).collect()
}

#[test]
fn an_example_has_the_same_bits_alone_and_in_any_batch() {
    for (size, filters, hidden) in [(6, 5, 9), (12, 16, 33)] {
        let (program, states) = network(size, filters, hidden).unwrap();
        for isa in Isa::available() {
            for threads in [1, 3] {
                let mut executor = executor(isa, threads);
                for (name, value) in &states {
                    executor.create_state(name, value).unwrap();
                }
                let all = floats(&[64, size, size, 3], 5);
                let mut run = |start: usize, end: usize| -> Vec<Tensor> {
                    let bindings = Bindings::batch(end - start);
                    let plan = executor.compile(&program, &bindings).unwrap();
                    let mut outputs = output_tensors(&program, &bindings).unwrap();
                    let part = all.rows(start, end).unwrap();
                    executor.run(plan, &[&part], &mut outputs).unwrap();
                    executor.release(plan);
                    outputs
                };
                let whole = run(0, 64);
                for (start, end) in [
                    (0, 7),
                    (7, 14),
                    (57, 64),
                    (0, 1),
                    (63, 64),
                    (31, 32),
                    (3, 5),
                ] {
                    for (index, (part, whole)) in run(start, end).iter().zip(&whole).enumerate() {
                        assert!(
                            rows(part) == rows(whole)[start..end],
                            "{isa}, {threads} threads: output {index} of examples {start}..{end} differs from that in the batch of 64"
                        );
                    }
                }
            }
        }
    }
}
