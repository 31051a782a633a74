//! Updates of tables by gradients of few rows: the rewrite fires, gives up where it must, and changes no result.

mod common;

use common::{close, spread};
use danlu_graph::operations::ScatterAdd;
use danlu_graph::reference::{Array, ReferenceExecutor};
use danlu_graph::rewrite::{Rewrite, SparseUpdates, optimize};
use danlu_graph::{
    Bindings, DType, Executor, Graph, Operation, Program, Result, Shape, Tensor, Value, gradients,
};

const ROWS: usize = 7;

/// A step that reads rows of a table and changes it as `update` says, from table, gradient and rate.
fn program(update: impl Fn(&Value, &Value, &Value) -> Result<Value>) -> Program {
    let graph = Graph::new();
    let table = graph.state("table", &[ROWS, 3], DType::F32).unwrap();
    let rate = graph.state("rate", &[], DType::F32).unwrap();
    let indices = graph
        .input("indices", Shape::batch_of(&[2]), DType::I32)
        .unwrap();
    let loss = table.gather(&indices).unwrap().square().unwrap();
    let loss = loss.sum_all().unwrap();
    let slope = gradients(&loss, &[&table]).unwrap().remove(0);
    let new = update(&table, &slope, &rate).unwrap();
    Program::new(&graph, &[&indices], &[("loss", &loss)], &[("table", &new)]).unwrap()
}

/// The table after two steps.
fn trained(program: &Program) -> Vec<f64> {
    let mut executor = ReferenceExecutor::new();
    let table = spread(ROWS * 3, -1.0, 1.0, 5);
    executor.set_state("table", Array::new(vec![ROWS, 3], DType::F32, table));
    executor.set_state("rate", Array::scalar(0.125, DType::F32));
    let plan = executor.compile(program, &Bindings::batch(3)).unwrap();
    let indices = Tensor::from_i32(&[3, 2], vec![4, 1, 1, 6, 1, 0]).unwrap();
    for _ in 0..2 {
        let mut loss = vec![Tensor::scalar(0.0)];
        executor.run(plan, &[&indices], &mut loss).unwrap();
    }
    executor.state("table").unwrap().data.clone()
}

/// Whether the rewrite fires; then the state is all that rows are added to.
fn fires(update: impl Fn(&Value, &Value, &Value) -> Result<Value>) -> bool {
    let before = program(update);
    let mut after = before.clone();
    let changes = SparseUpdates.apply(&mut after).unwrap();
    let mut optimized = before.clone();
    optimize(&mut optimized).unwrap();
    let expected = trained(&before);
    close(&trained(&after), &expected, 1e-12, "rewritten");
    close(&trained(&optimized), &expected, 1e-12, "optimized");
    if changes > 0 {
        assert_eq!(SparseUpdates.apply(&mut after).unwrap(), 0, "a second time");
        let update = &after.nodes()[after.updates()[0].node];
        assert!(matches!(
            update.operation,
            Operation::ScatterAdd(ScatterAdd { .. })
        ));
        let base = &after.nodes()[update.inputs[0]].operation;
        assert!(matches!(base, Operation::State(_)), "{after}");
        let whole = after.nodes().iter().filter(|node| {
            node.value_type == update.value_type && !matches!(node.operation, Operation::State(_))
        });
        assert_eq!(whole.count(), 1, "{after}");
    }
    changes == 1
}

#[test]
fn plain_descent_touches_the_rows_that_were_read() {
    assert!(fires(|w, g, rate| w.subtract(&g.multiply(rate)?)));
    assert!(fires(|w, g, rate| w.subtract(&rate.multiply(g)?)));
    assert!(fires(|w, g, rate| w.add(&g.multiply(&rate.negate()?)?)));
    assert!(fires(|w, g, rate| g.multiply(rate)?.negate()?.add(w)));
    assert!(fires(|w, g, _| w.subtract(g)));
    // Clipped by a norm, and with a factor of its own.
    assert!(fires(|w, g, rate| {
        let scaled = g.divide(&rate.add_scalar(3.0)?)?;
        w.subtract(&scaled.multiply(rate)?.negate()?.multiply_scalar(0.5)?)
    }));
}

#[test]
fn what_touches_every_row_stays() {
    // Weight decay; a gradient that is looked at element by element; another state; the wrong side of a difference.
    assert!(!fires(
        |w, g, rate| w.subtract(&g.add(&w.multiply(rate)?)?.multiply(rate)?)
    ));
    assert!(!fires(|w, g, rate| w.subtract(&g.square()?.multiply(rate)?)));
    assert!(!fires(|w, g, rate| w
        .multiply(rate)?
        .subtract(&g.multiply(rate)?)));
    assert!(!fires(|w, g, rate| g.multiply(rate)?.subtract(w)));
    assert!(!fires(
        |w, g, rate| w.subtract(&rate.divide(&g.add_scalar(9.0)?)?)
    ));
    // Rows that are added to something else than zeros.
    assert!(!fires(|w, g, rate| {
        let (indices, rows) = g.as_scattered().expect("a gradient of rows");
        let ones = w.graph().scalar(1.0, DType::F32)?;
        let shape = w.shape();
        let sum = w
            .graph()
            .add(ScatterAdd { shape }.into(), &[&ones, &indices, &rows])?;
        w.subtract(&sum.multiply(rate)?)
    }));
}
