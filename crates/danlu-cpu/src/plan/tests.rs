//! What is fused into one step.

use std::sync::Arc;

use danlu_graph::operations::ConvolutionOptions;
use danlu_graph::{Bindings, DType, Executor, Graph, Program, Shape, Tensor, Value, gradients};

use super::Plan;
use crate::executor::StateBuffer;
use crate::simd::Isa;
use crate::{CpuExecutor, CpuOptions};

fn steps(program: &Program, states: &[(&str, &[usize])]) -> Vec<String> {
    let mut executor = CpuExecutor::new(CpuOptions::default()).unwrap();
    for (name, shape) in states {
        let zeros = Tensor::zeros(shape, DType::F32).unwrap();
        executor.create_state(name, &zeros).unwrap();
    }
    let find =
        |name: &str| -> danlu_graph::Result<Arc<StateBuffer>> { executor.state(name).cloned() };
    let plan = Plan::new(program, &Bindings::batch(64), Isa::detect(), 2, &find).unwrap();
    plan.step_names()
}

#[test]
fn convolution_bias_and_activation_are_one_step() {
    let graph = Graph::new();
    let options = ConvolutionOptions {
        strides: [1, 1],
        dilations: [1, 1],
        padding: [[0; 2]; 2],
        groups: 1,
    };
    let x = graph
        .input("x", Shape::batch_of(&[8, 8, 3]), DType::F32)
        .unwrap();
    let kernel = graph.state("k", &[3, 3, 3, 16], DType::F32).unwrap();
    let bias = graph.state("b", &[16], DType::F32).unwrap();
    let sum = x.conv2d(&kernel, options).unwrap().add(&bias).unwrap();
    let y = sum.relu().unwrap();
    let states: [(&str, &[usize]); 2] = [("k", &[3, 3, 3, 16]), ("b", &[16])];

    let alone = Program::new(&graph, &[&x], &[("y", &y)], &[]).unwrap();
    assert_eq!(steps(&alone, &states), [": conv2d+add+relu"]);
    // Somebody who looks at a value in the middle gets it, from the same step.
    let watched = Program::new(&graph, &[&x], &[("y", &y), ("sum", &sum)], &[]).unwrap();
    assert_eq!(steps(&watched, &states), [": conv2d+add+relu"]);
}

#[test]
fn a_gradient_and_its_update_are_one_step_in_place() {
    let graph = Graph::new();
    let x = graph
        .input("x", Shape::batch_of(&[20]), DType::F32)
        .unwrap();
    let w = graph.state("w", &[20, 30], DType::F32).unwrap();
    let m = graph.state("m", &[20, 30], DType::F32).unwrap();
    let loss = x.matmul(&w).unwrap().square().unwrap().mean_all().unwrap();
    let slope = gradients(&loss, &[&w]).unwrap().remove(0);
    let next = |a: &Value, b: &Value, factor: f64| {
        let scaled = b.multiply_scalar(factor).unwrap();
        a.subtract(&scaled).unwrap()
    };
    let m_next = next(&m, &slope, 0.5);
    let w_next = next(&w, &m_next, 0.1);
    let updates = [("w", &w_next), ("m", &m_next)];
    let program = Program::new(&graph, &[&x], &[("loss", &loss)], &updates).unwrap();
    let states: [(&str, &[usize]); 2] = [("w", &[20, 30]), ("m", &[20, 30])];
    let names = steps(&program, &states);
    let last = names.last().unwrap();
    assert!(
        last.contains("matmul") && last.matches("subtract").count() == 2,
        "{names:?}"
    );
}

/// Packed weights stay between runs of a program that does not change them, until somebody else does.
#[test]
fn kept_weights_follow_every_write() {
    let graph = Graph::new();
    let options = ConvolutionOptions {
        strides: [1, 1],
        dilations: [1, 1],
        padding: [[1; 2]; 2],
        groups: 1,
    };
    let x = graph
        .input("x", Shape::batch_of(&[6, 6, 8]), DType::F32)
        .unwrap();
    let kernel = graph.state("k", &[3, 3, 8, 80], DType::F32).unwrap();
    let weights = graph.state("w", &[80, 200], DType::F32).unwrap();
    let y = x
        .conv2d(&kernel, options)
        .unwrap()
        .matmul(&weights)
        .unwrap();
    let prediction = Program::new(&graph, &[&x], &[("y", &y)], &[]).unwrap();
    let half = |value: &Value| value.multiply_scalar(0.5).unwrap();
    let (k_next, w_next) = (half(&kernel), half(&weights));
    let training = Program::new(&graph, &[], &[], &[("k", &k_next), ("w", &w_next)]).unwrap();

    let tensor = |shape: &[usize], scale: f32| {
        let count = shape.iter().product::<usize>();
        let values = (0..count).map(|index| ((index * 37 % 101) as f32 - 50.0) * scale);
        Tensor::from_f32(shape, values.collect()).unwrap()
    };
    let fresh = |k: f32, w: f32| {
        let mut executor = CpuExecutor::new(CpuOptions::default()).unwrap();
        executor
            .create_state("k", &tensor(&[3, 3, 8, 80], k))
            .unwrap();
        executor.create_state("w", &tensor(&[80, 200], w)).unwrap();
        let plan = executor.compile(&prediction, &Bindings::batch(8)).unwrap();
        (executor, plan)
    };
    let input = tensor(&[8, 6, 6, 8], 0.03125);
    let predict = |executor: &mut CpuExecutor, plan| {
        let mut out = [Tensor::zeros(&[8, 6, 6, 200], DType::F32).unwrap()];
        executor.run(plan, &[&input], &mut out).unwrap();
        let [out] = out;
        out
    };
    let expected = |k: f32, w: f32| {
        let (mut executor, plan) = fresh(k, w);
        predict(&mut executor, plan)
    };
    let (mut executor, plan) = fresh(0.25, 0.5);
    let update = executor.compile(&training, &Bindings::default()).unwrap();
    assert!(predict(&mut executor, plan) == expected(0.25, 0.5));
    assert!(predict(&mut executor, plan) == expected(0.25, 0.5));
    executor.write_state("w", &tensor(&[80, 200], 2.0)).unwrap();
    assert!(predict(&mut executor, plan) == expected(0.25, 2.0));
    executor
        .create_state("k", &tensor(&[3, 3, 8, 80], 4.0))
        .unwrap();
    assert!(predict(&mut executor, plan) == expected(4.0, 2.0));
    executor.run(update, &[], &mut []).unwrap();
    assert!(predict(&mut executor, plan) == expected(2.0, 1.0));
    assert!(predict(&mut executor, plan) == expected(2.0, 1.0));
}
