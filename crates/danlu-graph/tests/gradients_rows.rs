//! Rows of tables, cumulative sums and order: shapes and gradients of first and second order.

mod common;

use common::{axis, bindings, cases, check_gradients, operand, shape};
use danlu_graph::operations::Sort;
use danlu_graph::{Bindings, DType, Dim, Graph, Result, Shape, Tensor, Value};
use proptest::collection::vec;
use proptest::prelude::*;

/// Indices of this shape below `rows`, with some rows named twice.
fn indices(graph: &Graph, sizes: &[usize], rows: usize, salt: u64, wide: bool) -> Result<Value> {
    let mut random = common::Random(salt);
    let count: usize = sizes.iter().product();
    let drawn: Vec<usize> = (0..count).map(|_| random.below(rows)).collect();
    graph.constant(match wide {
        true => Tensor::from_i64(sizes, drawn.iter().map(|&row| row as i64).collect())?,
        false => Tensor::from_i32(sizes, drawn.iter().map(|&row| row as i32).collect())?,
    })
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn rows_of_a_table(
        rows in 1usize..5,
        row in vec(axis(), 0..3),
        sizes in vec(1usize..4, 0..3),
        wide in any::<bool>(),
        bindings in bindings(),
        salt in 0u64..1000,
    ) {
        let row = shape(&row);
        let table = Shape::new([Dim::fixed(rows)].iter().chain(row.dims()).cloned());
        let mut expected = sizes.clone();
        expected.extend(row.evaluate(&bindings).unwrap());
        check_gradients(&[operand(table)], &bindings, &expected, salt, |graph, x| {
            x[0].gather(&indices(graph, &sizes, rows, salt, wide)?)?.square()
        });
    }

    #[test]
    fn rows_added_to_a_table(
        rows in 1usize..5,
        row in vec(1usize..4, 0..3),
        sizes in vec(1usize..4, 0..3),
        number in any::<bool>(),
        salt in 0u64..1000,
    ) {
        let table: Vec<usize> = [rows].into_iter().chain(row.iter().copied()).collect();
        let added: Vec<usize> = sizes.iter().chain(&row).copied().collect();
        let base: &[usize] = if number { &[] } else { &table };
        let operands = [operand(base), operand(added.as_slice())];
        check_gradients(&operands, &Bindings::new(), &table, salt, |graph, x| {
            let indices = indices(graph, &sizes, rows, salt, number)?;
            let sum = match number {
                true => graph.add(
                    danlu_graph::operations::ScatterAdd { shape: Shape::from(table.as_slice()) }.into(),
                    &[&x[0], &indices, &x[1]],
                )?,
                false => x[0].scatter_add(&indices, &x[1])?,
            };
            sum.square()
        });
    }

    #[test]
    fn cumulative_sums(
        axes in vec(axis(), 1..4),
        along in any::<prop::sample::Index>(),
        exclusive in any::<bool>(),
        reverse in any::<bool>(),
        bindings in bindings(),
        salt in 0u64..1000,
    ) {
        let along = along.index(axes.len()) as isize - axes.len() as isize;
        let expected = shape(&axes).evaluate(&bindings).unwrap();
        check_gradients(&[operand(shape(&axes))], &bindings, &expected, salt, |_, x| {
            x[0].square()?.cumulative_sum(along, exclusive, reverse)
        });
    }

    #[test]
    fn order(
        axes in vec(axis(), 1..4),
        along in any::<prop::sample::Index>(),
        descending in any::<bool>(),
        bindings in bindings(),
        salt in 0u64..1000,
    ) {
        let along = along.index(axes.len()) as isize;
        let expected = shape(&axes).evaluate(&bindings).unwrap();
        check_gradients(&[operand(shape(&axes))], &bindings, &expected, salt, |_, x| {
            x[0].sort(along, descending)?.square()
        });
    }

    #[test]
    fn the_first_of_an_order(
        size in 1usize..6,
        count in any::<prop::sample::Index>(),
        descending in any::<bool>(),
        salt in 0u64..1000,
    ) {
        let count = count.index(size) + 1;
        let sort = Sort { descending, count: Some(count) };
        check_gradients(&[operand(Shape::batch_of(&[2, size]))], &Bindings::batch(2), &[2, 2, count], salt, |graph, x| {
            graph.add(sort.clone().into(), &[&x[0]])?.square()
        });
    }
}

#[test]
fn a_gradient_of_a_table_names_the_rows_that_were_read() -> Result<()> {
    let graph = Graph::new();
    let table = graph.state("table", &[5, 2], DType::F32)?;
    let indices = graph.input("indices", Shape::batch_of(&[3]), DType::I32)?;
    let loss = table.gather(&indices)?.square()?.sum_all()?;
    let slope = danlu_graph::gradients(&loss, &[&table])?.remove(0);
    let (found, rows) = slope.as_scattered().expect("rows added to zeros");
    assert_eq!(found.node(), indices.node());
    assert_eq!(rows.shape(), Shape::batch_of(&[3, 2]));
    assert!(loss.as_scattered().is_none());
    assert!(table.scatter_add(&indices, &rows)?.as_scattered().is_none());
    Ok(())
}
