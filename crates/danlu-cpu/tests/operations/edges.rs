//! What a user can get wrong, or right but strange: errors, never panics.

use danlu_graph::executor::output_tensors;
use danlu_graph::{Bindings, DType, Dim, Executor, Graph, Program, Shape, Tensor};

use crate::harness::*;

#[test]
fn more_memory_than_there_is_is_an_error() {
    for (batch, features) in [
        (1 << 20, 1 << 20),
        (1 << 31, 1 << 28),
        (1 << 40, 16),
        (1 << 59, 1),
    ] {
        let graph = Graph::new();
        let x = graph.input("x", Shape::batch_of(&[1]), DType::F32).unwrap();
        let w = graph.state("w", &[1, 1], DType::F32).unwrap();
        let wide = x.broadcast_to(&Shape::batch_of(&[features])).unwrap();
        let flipped = wide.transpose(&[1, 0]).unwrap();
        let counted = graph
            .iota(
                Shape::from(vec![Dim::fixed(features), Dim::batch()]),
                1,
                DType::F32,
            )
            .unwrap();
        let sums = flipped.add(&counted).unwrap().matmul(&x).unwrap();
        let sum = sums.sum_all().unwrap().add(&w.sum_all().unwrap()).unwrap();
        let program = Program::new(&graph, &[&x], &[("sum", &sum)], &[]).unwrap();
        let mut executor = executor(danlu_cpu::Isa::detect(), 2);
        executor
            .create_state("w", &Tensor::zeros(&[1, 1], DType::F32).unwrap())
            .unwrap();
        let message = executor
            .compile(&program, &Bindings::batch(batch))
            .unwrap_err()
            .to_string();
        assert!(message.contains("memory"), "{message}");
        // The executor is as good as before.
        let bindings = Bindings::batch(0);
        let small = Program::new(&graph, &[&x], &[("x", &x)], &[]).unwrap();
        let plan = executor.compile(&small, &bindings).unwrap();
        let mut outputs = output_tensors(&small, &bindings).unwrap();
        executor
            .run(
                plan,
                &[&Tensor::zeros(&[0, 1], DType::F32).unwrap()],
                &mut outputs,
            )
            .unwrap();
    }
}

#[test]
fn wrong_calls_are_errors() {
    let graph = Graph::new();
    let x = graph.input("x", Shape::batch_of(&[2]), DType::F32).unwrap();
    let w = graph.state("w", &[2], DType::F32).unwrap();
    let y = x.add(&w).unwrap();
    let program = Program::new(
        &graph,
        &[&x],
        &[("y", &y)],
        &[("w", &w.add_scalar(1.0).unwrap())],
    )
    .unwrap();
    let mut executor = executor(danlu_cpu::Isa::detect(), 1);
    let batch = Bindings::batch(3);
    assert!(executor.compile(&program, &batch).is_err(), "no state");
    executor
        .create_state("w", &Tensor::zeros(&[3], DType::F32).unwrap())
        .unwrap();
    assert!(executor.compile(&program, &batch).is_err(), "another shape");
    executor
        .create_state("w", &Tensor::zeros(&[2], DType::I32).unwrap())
        .unwrap();
    assert!(executor.compile(&program, &batch).is_err(), "another dtype");
    executor
        .create_state("w", &Tensor::zeros(&[2], DType::F32).unwrap())
        .unwrap();
    assert!(
        executor.compile(&program, &Bindings::new()).is_err(),
        "no batch"
    );
    let plan = executor.compile(&program, &batch).unwrap();
    let input = floats(&[3, 2], 1);
    let mut outputs = output_tensors(&program, &batch).unwrap();
    assert!(executor.run(plan, &[], &mut outputs).is_err());
    assert!(executor.run(plan, &[&input, &input], &mut outputs).is_err());
    assert!(
        executor
            .run(plan, &[&floats(&[2, 2], 1)], &mut outputs)
            .is_err()
    );
    assert!(executor.run(plan, &[&input], &mut []).is_err());
    let mut wrong = vec![Tensor::zeros(&[3, 2], DType::I32).unwrap()];
    assert!(executor.run(plan, &[&input], &mut wrong).is_err());
    assert!(
        executor
            .write_state("w", &Tensor::zeros(&[3], DType::F32).unwrap())
            .is_err()
    );
    assert!(executor.remove_state("w").is_err(), "in use");
    assert!(
        executor
            .create_state("w", &Tensor::zeros(&[3], DType::F32).unwrap())
            .is_err(),
        "in use"
    );
    assert_eq!(
        executor.read_state("w").unwrap().to_f64(),
        [0.0, 0.0],
        "unchanged so far"
    );
    executor.run(plan, &[&input], &mut outputs).unwrap();
    assert_eq!(executor.read_state("w").unwrap().to_f64(), [1.0, 1.0]);
    executor.release(plan);
    assert!(executor.run(plan, &[&input], &mut outputs).is_err());
    executor.remove_state("w").unwrap();
    assert!(executor.read_state("w").is_err());
}
