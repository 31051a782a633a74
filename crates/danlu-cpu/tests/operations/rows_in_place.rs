//! States to which rows are added: in place where nobody looks, and right where somebody does.

use danlu_cpu::Isa;
use danlu_graph::{
    Bindings, DType, Executor, Graph, Program, Result, Shape, Tensor, Value, gradients,
};

use crate::harness::*;

/// A case with the states `table` and `other`, of 9 rows of 40, and inputs `indices` and `rows`; `build` gives outputs and
/// new states.
type Build = fn(&[Value; 4]) -> Result<Built>;

/// Outputs and new states.
type Built = (Vec<Value>, Vec<(&'static str, Value)>);

fn case(rows: usize, build: Build) -> Case {
    let graph = Graph::new();
    let table = graph.state("table", &[rows, 40], DType::F32).unwrap();
    let other = graph.state("other", &[rows, 40], DType::F32).unwrap();
    let indices = graph.input("indices", Shape::batch_of(&[2]), DType::I32);
    let added = graph.input("rows", Shape::batch_of(&[2, 40]), DType::F32);
    let values = [table, other, indices.unwrap(), added.unwrap()];
    let (outputs, updates) = build(&values).unwrap();
    let outputs: Vec<(&str, &Value)> = outputs.iter().map(|value| ("out", value)).collect();
    let updates: Vec<(&str, &Value)> = updates.iter().map(|(name, new)| (*name, new)).collect();
    let inputs = [&values[2], &values[3]];
    let named = (0..300).map(|place| place * place % 9).collect();
    Case {
        program: Program::new(&graph, &inputs, &outputs, &updates).unwrap(),
        bindings: Bindings::batch(150),
        inputs: vec![
            Tensor::from_i32(&[150, 2], named).unwrap(),
            floats(&[150, 2, 40], 8),
        ],
        states: vec![
            ("table".to_owned(), floats(&[rows, 40], 9)),
            ("other".to_owned(), floats(&[rows, 40], 10)),
        ],
    }
}

/// Bytes between steps, and bytes that the plan says it moves.
fn bytes(case: &Case) -> (usize, u64) {
    let mut executor = executor(Isa::detect(), 2);
    for (name, value) in &case.states {
        executor.create_state(name, value).unwrap();
    }
    executor.measure(true);
    let plan = executor.compile(&case.program, &case.bindings).unwrap();
    let moved = executor.profile(plan).unwrap().steps;
    let moved = moved.iter().map(|step| step.bytes).sum();
    (executor.arena_bytes(plan).unwrap(), moved)
}

const CLOSE: Close = Close::Within {
    relative: 1e-4,
    absolute: 1e-3,
};

fn descent([table, other, indices, _]: &[Value; 4]) -> Result<Built> {
    let rows = table.gather(indices)?;
    let loss = rows.multiply(&other.gather(indices)?)?.sum_all()?;
    let slopes = gradients(&loss, &[table, other])?;
    let rate = table.graph().scalar(0.01, DType::F32)?;
    let table = table.subtract(&slopes[0].multiply(&rate)?)?;
    let other = other.subtract(&rate.multiply(&slopes[1])?)?;
    Ok((vec![loss], vec![("table", table), ("other", other)]))
}

#[test]
fn a_step_of_plain_descent_takes_no_more_for_a_longer_table() {
    let (short, long) = (case(9, descent), case(20_000, descent));
    assert_eq!(bytes(&short), bytes(&long));
    assert!(bytes(&long).0 < 20_000 * 40);
    short.check_runs(CLOSE, 3);
    long.check_runs(CLOSE, 1);
}

#[test]
fn who_looks_at_the_old_state_sees_it() {
    let builds: [Build; 8] = [
        // A reader before, and one after in the program's order.
        |[table, _, indices, rows]| {
            let new = table.scatter_add(indices, rows)?;
            Ok((
                vec![table.square()?.sum_all()?, table.gather(indices)?],
                vec![("table", new)],
            ))
        },
        // The old state itself is given back, or goes to another state.
        |[table, _, indices, rows]| {
            let new = table.scatter_add(indices, rows)?;
            Ok((vec![table.clone()], vec![("table", new)]))
        },
        |[table, _, indices, rows]| {
            let new = table.scatter_add(indices, rows)?;
            Ok((vec![], vec![("table", new), ("other", table.clone())]))
        },
        // Two states that change each other.
        |[table, other, indices, _]| {
            let first = table.scatter_add(indices, &other.gather(indices)?)?;
            let second =
                other.scatter_add(indices, &table.gather(indices)?.multiply_scalar(0.01)?)?;
            Ok((vec![], vec![("table", first), ("other", second)]))
        },
        // The new value of one state is read by others, and is an output.
        |[table, other, indices, rows]| {
            let first = table.scatter_add(indices, rows)?;
            let second = other.add(&first.multiply_scalar(0.1)?)?;
            Ok((
                vec![first.clone()],
                vec![("table", first), ("other", second)],
            ))
        },
        // One result for two states; a base that is another state.
        |[table, _, indices, rows]| {
            let new = table.scatter_add(indices, rows)?;
            Ok((vec![], vec![("table", new.clone()), ("other", new)]))
        },
        |[table, other, indices, rows]| {
            let new = other.scatter_add(indices, rows)?;
            Ok((vec![table.sum_all()?], vec![("table", new)]))
        },
        // Twice in a row.
        |[table, _, indices, rows]| {
            let new = table
                .scatter_add(indices, rows)?
                .scatter_add(indices, rows)?;
            Ok((vec![], vec![("table", new)]))
        },
    ];
    for build in builds {
        case(9, build).check_runs(CLOSE, 3);
    }
}

#[test]
fn a_state_that_is_added_to_itself_is_not_read_while_it_changes() {
    let graph = Graph::new();
    let table = graph.state("table", &[6, 40], DType::F32).unwrap();
    let indices = graph.input("indices", Shape::new([6]), DType::I64).unwrap();
    let new = table.scatter_add(&indices, &table).unwrap();
    let case = Case {
        program: Program::new(&graph, &[&indices], &[], &[("table", &new)]).unwrap(),
        bindings: Bindings::new(),
        inputs: vec![Tensor::from_i64(&[6], vec![3, 4, 5, 0, 0, 2]).unwrap()],
        states: vec![("table".to_owned(), floats(&[6, 40], 12))],
    };
    case.check_runs(CLOSE, 3);
}
