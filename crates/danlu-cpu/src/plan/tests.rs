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
