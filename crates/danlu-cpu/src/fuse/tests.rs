//! Which operations become one step, and that this changes no bit.

use std::sync::Arc;

mod again;
mod chains;
mod flat;
mod formulas;
mod pooling;
mod readers;
mod residual;
mod steady;
mod sums;

use danlu_graph::executor::output_tensors;
use danlu_graph::operations::{ConvolutionOptions, Custom, CustomOperation};
use danlu_graph::reference::{Array, ReferenceExecutor};
use danlu_graph::{
    Bindings, DType, Executor, Graph, PlanId, Program, Result, Shape, Tensor, Value, ValueType,
    gradients,
};

use crate::{CpuExecutor, CpuOptions, Isa};

/// Stands between two operations and keeps them from becoming one step.
struct Wall;

impl CustomOperation for Wall {
    fn name(&self) -> &str {
        "wall"
    }
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        Ok(inputs[0].clone())
    }
    fn evaluate(&self, inputs: &[&Array], _: &[usize]) -> Result<Vec<f64>> {
        Ok(inputs[0].data.clone())
    }
    fn gradient(&self, _: &[Value], _: &Value, gradient: &Value) -> Result<Vec<Option<Value>>> {
        Ok(vec![Some(after(true, Ok(gradient.clone()))?)])
    }
}

/// Passes a value on, or through a wall.
fn after(walls: bool, value: Result<Value>) -> Result<Value> {
    let value = value?;
    if walls {
        let graph = value.graph().clone();
        graph.add(Custom(Arc::new(Wall)).into(), &[&value])
    } else {
        Ok(value)
    }
}

fn numbers(shape: &[usize], seed: u32) -> Tensor {
    let count = shape.iter().product::<usize>() as u64;
    let uniform = danlu_graph::operations::random::uniform_at;
    let values = (0..count).map(|index| uniform([seed, 3], 0, 0, index) - 0.5);
    Tensor::from_f32(shape, values.collect()).unwrap()
}

/// Outputs and states after a few runs on an executor.
fn run_on(
    executor: &mut dyn Executor,
    program: &Program,
    states: &[(&str, &[usize])],
    inputs: &[&[usize]],
    batch: usize,
) -> (PlanId, Vec<Tensor>) {
    for (index, (name, shape)) in (0..).zip(states) {
        executor.create_state(name, &numbers(shape, index)).unwrap();
    }
    let bindings = Bindings::batch(batch);
    let plan = executor.compile(program, &bindings).unwrap();
    let inputs: Vec<Tensor> = (100..)
        .zip(inputs)
        .map(|(index, shape)| numbers(shape, index))
        .collect();
    let inputs: Vec<&Tensor> = inputs.iter().collect();
    let mut results = output_tensors(program, &bindings).unwrap();
    for _ in 0..3 {
        executor.run(plan, &inputs, &mut results).unwrap();
    }
    let after = states
        .iter()
        .map(|(name, _)| executor.read_state(name).unwrap());
    results.extend(after);
    (plan, results)
}

fn executor(isa: Isa, threads: usize) -> CpuExecutor {
    let options = CpuOptions {
        threads: Some(threads),
        isa: Some(isa),
    };
    CpuExecutor::new(options).unwrap()
}

/// The names of a plan's steps, and outputs and states after a few runs.
fn run(
    program: &Program,
    states: &[(&str, &[usize])],
    inputs: &[&[usize]],
    batch: usize,
    isa: Isa,
    threads: usize,
) -> (Vec<String>, Vec<Tensor>) {
    let mut executor = executor(isa, threads);
    let (plan, results) = run_on(&mut executor, program, states, inputs, batch);
    (executor.step_names(plan), results)
}

/// The reference's outputs and states after as many runs.
fn reference(
    program: &Program,
    states: &[(&str, &[usize])],
    inputs: &[&[usize]],
    batch: usize,
) -> Vec<Tensor> {
    let mut executor = ReferenceExecutor::new();
    run_on(&mut executor, program, states, inputs, batch).1
}

/// Each element is off by at most `tolerance` of its tensor's largest element.
fn assert_close(found: &[Tensor], expected: &[Tensor], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.shape(), expected.shape());
        let (found, expected) = (found.to_f64(), expected.to_f64());
        let largest = expected.iter().fold(0.0, |most: f64, x| most.max(x.abs()));
        for (place, (a, e)) in found.iter().zip(&expected).enumerate() {
            let good = (a - e).abs() <= tolerance * largest;
            assert!(
                good,
                "{what}: result {index}, element {place} is {a}, not {e}"
            );
        }
    }
}

/// A convolution, a bias and a ReLU.
fn convolution(walls: bool) -> Result<Program> {
    let graph = Graph::new();
    let x = graph.input("x", Shape::batch_of(&[9, 8, 3]), DType::F32)?;
    let k = graph.state("k", &[3, 3, 3, 17], DType::F32)?;
    let b = graph.state("b", &[17], DType::F32)?;
    let options = ConvolutionOptions {
        strides: [1, 1],
        dilations: [1, 1],
        padding: [[1, 1]; 2],
        groups: 1,
    };
    let y = graph.scope("conv", || {
        let y = after(walls, x.conv2d(&k, options))?;
        after(walls, y.add(&b))?.relu()
    })?;
    Program::new(&graph, &[&x], &[("y", &y)], &[])
}

#[test]
fn convolution_bias_and_relu_are_one_step() {
    let states: [(&str, &[usize]); 2] = [("k", &[3, 3, 3, 17]), ("b", &[17])];
    let (fused, plain) = (convolution(false).unwrap(), convolution(true).unwrap());
    for isa in Isa::available() {
        for threads in [1, 3] {
            let (names, result) = run(&fused, &states, &[&[5, 9, 8, 3]], 5, isa, threads);
            assert_eq!(names, ["conv: conv2d+add+relu"]);
            let (names, other) = run(&plain, &states, &[&[5, 9, 8, 3]], 5, isa, threads);
            assert!(names.len() >= 5, "{names:?}");
            assert_eq!(result, other, "{isa}");
        }
    }
}

/// A dense layer's training step with Adam, on features of these leading axes.
fn dense(walls: bool, leading: &[usize]) -> Result<Program> {
    let graph = Graph::new();
    let shape = |size: usize| {
        let mut all = leading.to_vec();
        all.push(size);
        Shape::batch_of(&all)
    };
    let x = graph.input("x", shape(7), DType::F32)?;
    let y = graph.input("y", shape(33), DType::F32)?;
    let state = |name: &str| graph.state(name, &[7, 33], DType::F32);
    let (w, m, v) = (state("w")?, state("m")?, state("v")?);
    let off = x.matmul(&w)?.subtract(&y)?;
    let loss = off.square()?.mean_all()?;
    let slope = after(walls, Ok(gradients(&loss, &[&w])?.remove(0)))?;
    let m_next = m.add(&slope.subtract(&m)?.multiply_scalar(0.1)?)?;
    let v_next = v.add(
        &slope
            .square()?
            .subtract(&v.abs()?)?
            .multiply_scalar(0.001)?,
    )?;
    let (m_next, v_next) = (after(walls, Ok(m_next))?, after(walls, Ok(v_next))?);
    let length = v_next.abs()?.sqrt()?.add_scalar(1e-7)?;
    let step = after(walls, m_next.multiply_scalar(0.01)?.divide(&length))?;
    let w_next = w.subtract(&step)?;
    let updates = [("w", &w_next), ("m", &m_next), ("v", &v_next)];
    Program::new(&graph, &[&x, &y], &[("loss", &loss)], &updates)
}

#[test]
fn the_optimizer_runs_in_one_step_with_the_gradient_s_product() {
    let states: [(&str, &[usize]); 3] = [("w", &[7, 33]), ("m", &[7, 33]), ("v", &[7, 33])];
    let leadings: [&[usize]; 3] = [&[], &[4], &[2, 3]];
    for leading in leadings {
        let (fused, plain) = (
            dense(false, leading).unwrap(),
            dense(true, leading).unwrap(),
        );
        let x = [&[5], leading, &[7]].concat();
        let y = [&[5], leading, &[33]].concat();
        for isa in Isa::available() {
            let (names, result) = run(&fused, &states, &[&x, &y], 5, isa, 2);
            // Forward with the loss's differences and their gradient, the loss, gradient with update.
            let products: Vec<&String> = names
                .iter()
                .filter(|name| name.contains("matmul"))
                .collect();
            assert_eq!(products.len(), 2, "{leading:?}: {names:?}");
            for part in ["matmul+", "sqrt", "divide", "subtract"] {
                assert!(products[1].contains(part), "{leading:?}: {names:?}");
            }
            // One sum: the loss. The gradient's sum over positions is part of its product.
            let sums = names
                .iter()
                .filter(|name| name.contains("sum") || name.contains("mean"));
            assert_eq!(sums.count(), 1, "{leading:?}: {names:?}");
            let (_, other) = run(&plain, &states, &[&x, &y], 5, isa, 2);
            assert_eq!(result, other, "{isa} {leading:?}");
        }
    }
}

/// A node that reads an early group may stand in a group whose other members that early group waits for: here `b + x`
/// joins `b`, so that the sum over `b` comes after `x`, and `x * sum` may not join `x`.
#[test]
fn groups_that_would_wait_for_each_other_stay_apart() {
    let graph = Graph::new();
    let wide = graph
        .input("wide", Shape::batch_of(&[3]), DType::F32)
        .unwrap();
    let row = graph.input("row", Shape::new([3]), DType::F32).unwrap();
    let b = wide.tanh().unwrap();
    let sum = b.max(&[0], false).unwrap();
    let x = row.exp().unwrap();
    let late = b.add(&x).unwrap();
    let product = x.multiply(&sum).unwrap();
    let outputs = [("late", &late), ("product", &product)];
    let program = Program::new(&graph, &[&wide, &row], &outputs, &[]).unwrap();
    let (names, _) = run(&program, &[], &[&[4, 3], &[3]], 4, Isa::detect(), 1);
    assert_eq!(names.len(), 4, "{names:?}");
}
