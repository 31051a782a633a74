//! Rows of tables, cumulative sums, order and normal numbers, against values worked out by hand; and what is refused.

mod common;

use common::close;
use danlu_graph::operations::normal::normal_at;
use danlu_graph::operations::{Sort, random};
use danlu_graph::reference::{Array, ReferenceExecutor};
use danlu_graph::{Bindings, DType, Graph, Program, Result, Shape, Tensor, Value};

const NAN: f64 = f64::NAN;

fn constant(graph: &Graph, sizes: &[usize], dtype: DType, data: &[f64]) -> Value {
    let array = Array::new(sizes.to_vec(), dtype, data.to_vec());
    graph.constant(array.to_tensor().unwrap()).unwrap()
}

/// The elements of a value of constants.
fn evaluate(value: &Value) -> Result<Vec<f64>> {
    let program = Program::new(value.graph(), &[], &[("y", value)], &[])?;
    let values = ReferenceExecutor::new().evaluate(&program, &Bindings::batch(2), &[])?;
    Ok(values[program.outputs()[0].node].data.clone())
}

#[test]
fn rows_are_read_and_added_by_index() {
    let graph = Graph::new();
    let table = constant(&graph, &[3, 2], DType::F32, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    let indices = constant(&graph, &[2, 2], DType::I64, &[2.0, 0.0, 2.0, 1.0]);
    let rows = table.gather(&indices).unwrap();
    assert_eq!(rows.shape(), Shape::new([2, 2, 2]));
    assert_eq!(
        evaluate(&rows).unwrap(),
        [5.0, 6.0, 1.0, 2.0, 5.0, 6.0, 3.0, 4.0]
    );
    let sum = table.scatter_add(&indices, &rows).unwrap();
    assert_eq!(evaluate(&sum).unwrap(), [2.0, 4.0, 6.0, 8.0, 15.0, 18.0]);
    let alone = graph
        .scattered(&Shape::new([4, 2]), &indices, &rows)
        .unwrap();
    assert_eq!(
        evaluate(&alone).unwrap(),
        [1.0, 2.0, 3.0, 4.0, 10.0, 12.0, 0.0, 0.0]
    );
}

#[test]
fn an_index_outside_the_table_is_an_error_that_names_it() {
    for index in [-1.0, 3.0, 2_147_483_647.0] {
        let graph = Graph::new();
        let (rows, read) = graph
            .scope("words", || -> Result<(Value, Value)> {
                let table = constant(&graph, &[3, 2], DType::F32, &[0.5; 6]);
                let indices = constant(&graph, &[2], DType::I32, &[1.0, index]);
                let rows = constant(&graph, &[2, 2], DType::F32, &[0.5; 4]);
                Ok((table.scatter_add(&indices, &rows)?, table.gather(&indices)?))
            })
            .unwrap();
        for (value, name) in [(rows, "scatter_add"), (read, "gather")] {
            let error = evaluate(&value).unwrap_err().to_string();
            let expected = format!(
                "words: {name} was given index {index} (number 1 of the indices) for a table of 3 rows, which takes 0 to 2"
            );
            assert_eq!(error, expected);
            // It is no error of the rewrites that it cannot be folded.
            let mut program = Program::new(&graph, &[], &[("y", &value)], &[]).unwrap();
            danlu_graph::rewrite::optimize(&mut program).unwrap();
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let graph = Graph::new();
    let table = constant(&graph, &[3, 2], DType::F32, &[0.0; 6]);
    let floats = constant(&graph, &[2], DType::F32, &[0.0; 2]);
    let indices = constant(&graph, &[2], DType::I32, &[0.0; 2]);
    let number = constant(&graph, &[], DType::F32, &[0.0]);
    let says = |result: Result<Value>, part: &str| {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    says(table.gather(&floats), "int32 or int64");
    says(number.gather(&indices), "(rows, ...)");
    says(table.scatter_add(&indices, &floats), "rows of shape (2, 2)");
    says(table.scatter_add(&floats, &table), "int32 or int64");
    says(number.scatter_add(&indices, &floats), "(rows, ...)");
    let bools = table.greater(&number).unwrap();
    says(bools.cumulative_sum(0, false, false), "takes numbers");
    says(table.cumulative_sum(2, false, false), "axis 2");
    says(number.sort(-1, false), "axis");
    says(table.top_k(3).map(|both| both.0), "at least as many");
    says(table.top_k(0).map(|both| both.0), "at least 1");
    let sort = Sort {
        descending: false,
        count: Some(1),
    };
    let open = graph.input("x", Shape::batch_of(&[]), DType::F32).unwrap();
    says(graph.add(sort.into(), &[&open]), "fixed size");
    says(
        graph.random_normal(&Shape::new([2]), 1, &indices, &indices, &indices),
        "int64 ()",
    );
}

#[test]
fn sums_run_along_an_axis() {
    let graph = Graph::new();
    let x = constant(
        &graph,
        &[2, 3],
        DType::F32,
        &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
    );
    let sums = |axis, exclusive, reverse| {
        evaluate(&x.cumulative_sum(axis, exclusive, reverse).unwrap()).unwrap()
    };
    assert_eq!(sums(1, false, false), [1.0, 3.0, 7.0, 8.0, 24.0, 56.0]);
    assert_eq!(sums(-1, true, false), [0.0, 1.0, 3.0, 0.0, 8.0, 24.0]);
    assert_eq!(sums(1, false, true), [7.0, 6.0, 4.0, 56.0, 48.0, 32.0]);
    assert_eq!(sums(1, true, true), [6.0, 4.0, 0.0, 48.0, 32.0, 0.0]);
    assert_eq!(sums(0, false, false), [1.0, 2.0, 4.0, 9.0, 18.0, 36.0]);
    assert_eq!(sums(0, true, true), [8.0, 16.0, 32.0, 0.0, 0.0, 0.0]);
    let bytes = constant(&graph, &[3], DType::U8, &[200.0, 100.0, 3.0]);
    let sums = evaluate(&bytes.cumulative_sum(0, false, false).unwrap()).unwrap();
    assert_eq!(sums, [200.0, 44.0, 47.0]);
}

#[test]
fn equals_keep_their_order_and_nan_is_the_largest() {
    let graph = Graph::new();
    let data = [2.0, NAN, -1.0, 2.0, 0.0, -0.0, NAN, 7.0];
    let x = constant(&graph, &[2, 4], DType::F32, &data);
    let of = |value: Result<Value>| evaluate(&value.unwrap()).unwrap();
    let up = [2.0, 0.0, 3.0, 1.0, 0.0, 1.0, 3.0, 2.0];
    assert_eq!(of(x.argsort(-1, false)), up);
    assert_eq!(
        of(x.argsort(1, true)),
        [1.0, 0.0, 3.0, 2.0, 2.0, 3.0, 0.0, 1.0]
    );
    assert_eq!(
        of(x.argsort(0, false)),
        [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    );
    close(
        &of(x.sort(1, false)),
        &[-1.0, 2.0, 2.0, NAN, 0.0, -0.0, 7.0, NAN],
        0.0,
        "up",
    );
    close(
        &of(x.sort(0, true)),
        &[2.0, NAN, NAN, 7.0, 0.0, -0.0, -1.0, 2.0],
        0.0,
        "down",
    );
    let (values, places) = x.top_k(2).unwrap();
    close(&of(Ok(values)), &[NAN, 2.0, NAN, 7.0], 0.0, "largest");
    assert_eq!(of(Ok(places)), [1.0, 0.0, 2.0, 3.0]);
}

#[test]
fn normal_numbers_belong_to_their_example_and_element() {
    let graph = Graph::new();
    let number = |number| graph.constant(Tensor::scalar_i64(number)).unwrap();
    let stream = random::stream("noise", 0);
    let shape = Shape::batch_of(&[3]);
    let drawn = graph.random_normal(&shape, stream, &number(11), &number(5), &number(40));
    let key = random::key(11, stream);
    let expected: Vec<f64> = [(40, 0), (40, 1), (40, 2), (41, 0), (41, 1), (41, 2)]
        .map(|(example, element)| f64::from(normal_at(key, 5, example, element)))
        .to_vec();
    assert_eq!(evaluate(&drawn.unwrap()).unwrap(), expected);
    assert!(expected.iter().any(|x| *x < 0.0) && expected.iter().any(|x| *x > 0.0));
}
