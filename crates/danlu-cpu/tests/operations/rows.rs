//! Rows of tables, cumulative sums and order.

use danlu_cpu::Isa;
use danlu_graph::operations::{ArgSort, ScatterAdd, Sort};
use danlu_graph::reference::{Array, ReferenceExecutor};
use danlu_graph::{Bindings, DType, Dim, Executor, Graph, Program, Shape, Tensor};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::elementwise::{ALL, dtype};
use crate::harness::*;

/// Indices below `rows`; half of them name one and the same row.
fn indices(shape: &[usize], dtype: DType, rows: usize, seed: u64) -> Tensor {
    let count = shape.iter().product();
    let drawn = numbers(count, seed).into_iter().zip(numbers(count, !seed));
    let data = drawn.map(|(value, other)| match other > 0.0 {
        true => (rows / 2) as f64,
        false => f64::from((value + 1.0) * 0.5 * rows as f32)
            .floor()
            .min(rows as f64 - 1.0),
    });
    Array::new(shape.to_vec(), dtype, data.collect())
        .to_tensor()
        .unwrap()
}

fn index_dtype() -> impl Strategy<Value = DType> {
    select([DType::I32, DType::I64].as_slice())
}

/// Few indices of a wide or narrow row, or so many that several tasks share them.
fn indices_and_row() -> impl Strategy<Value = (Vec<usize>, Vec<usize>)> {
    prop_oneof![
        4 => (prop::collection::vec(small_size(), 0..3), prop::collection::vec(small_size(), 0..3)),
        2 => (Just(vec![700]), prop::collection::vec(size(), 1..2)),
        1 => (Just(vec![130, 90]), Just(vec![3])),
        1 => (Just(vec![9001]), Just(vec![])),
    ]
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn rows_by_index(
        rows in 1usize..60,
        (sizes, row) in indices_and_row(),
        dtype in dtype(),
        index in index_dtype(),
        seed in any::<u64>(),
    ) {
        let table: Vec<usize> = [rows].into_iter().chain(row).collect();
        let inputs = vec![tensor(&table, dtype, Fill::Wild, 2e9, seed), indices(&sizes, index, rows, seed)];
        Case::of(inputs, |_, x| Ok(vec![x[0].gather(&x[1])?])).unwrap().check(Close::Exactly);
    }

    #[test]
    fn rows_added_by_index(
        rows in 1usize..60,
        (sizes, row) in indices_and_row(),
        dtype in select([DType::F32, DType::F32, DType::I32, DType::I64, DType::U8].as_slice()),
        number in any::<bool>(),
        index in index_dtype(),
        seed in any::<u64>(),
    ) {
        let table: Vec<usize> = [rows].into_iter().chain(row.iter().copied()).collect();
        let added: Vec<usize> = sizes.iter().chain(&row).copied().collect();
        let base: &[usize] = if number { &[] } else { &table };
        let inputs = vec![
            tensor(base, dtype, Fill::Plain, 1e6, seed),
            indices(&sizes, index, rows, seed),
            tensor(&added, dtype, Fill::Plain, 1e6, seed ^ 1),
        ];
        let terms = sizes.iter().product::<usize>() + 1;
        let shape = Shape::from(table.as_slice());
        let case = Case::of(inputs, |graph, x| {
            Ok(vec![graph.add(ScatterAdd { shape }.into(), &[&x[0], &x[1], &x[2]])?])
        });
        // Terms are added one after the other: the error may grow with their number.
        case.unwrap().check(Close::Terms(terms * terms));
    }

    #[test]
    fn cumulative_sums(
        shape in prop_oneof![
            4 => prop::collection::vec(small_size(), 1..4),
            2 => prop::collection::vec(size(), 1..3),
            1 => Just(vec![3, 50, 131]),
            1 => Just(vec![100_003]),
        ],
        axis in any::<Index>(),
        exclusive in any::<bool>(),
        reverse in any::<bool>(),
        dtype in dtype(),
        seed in any::<u64>(),
    ) {
        let axis = axis.index(shape.len());
        let input = tensor(&shape, dtype, Fill::Plain, 2e9, seed);
        if dtype == DType::Bool || matches!(dtype, DType::BF16 | DType::F16) {
            return Ok(());
        }
        let case = Case::of(vec![input], |_, x| {
            Ok(vec![x[0].cumulative_sum(axis as isize, exclusive, reverse)?])
        });
        // Sums in f64, as the reference's, rounded once.
        case.unwrap().check(Close::Exactly);
    }

    #[test]
    fn order(
        shape in prop_oneof![
            4 => prop::collection::vec(small_size(), 1..4),
            2 => prop::collection::vec(size(), 1..3),
            1 => Just(vec![300, 70]),
        ],
        count in prop::option::of(any::<Index>()),
        axis in any::<Index>(),
        descending in any::<bool>(),
        fill in select([Fill::Plain, Fill::Wild, Fill::Equals].as_slice()),
        dtype in select(ALL.as_slice()),
        seed in any::<u64>(),
    ) {
        let axis = axis.index(shape.len()) as isize;
        let last = shape.last().copied().unwrap_or(1);
        let count = count.filter(|_| last > 0).map(|count| count.index(last) + 1);
        let input = tensor(&shape, dtype, fill, 5.0, seed);
        let case = Case::of(vec![input], |graph, x| {
            let x = &x[0];
            Ok(vec![
                graph.add(Sort { descending, count }.into(), &[x])?,
                graph.add(ArgSort { descending, count }.into(), &[x])?,
                x.sort(axis, descending)?,
                x.argsort(axis, descending)?,
            ])
        });
        case.unwrap().check(Close::Exactly);
    }
}

#[test]
fn an_index_outside_is_an_error_and_changes_nothing() {
    let graph = Graph::new();
    let table = graph.state("table", &[5, 40], DType::F32).unwrap();
    let indices = graph
        .input("indices", Shape::new([Dim::batch()]), DType::I32)
        .unwrap();
    let rows = graph
        .input("rows", Shape::batch_of(&[40]), DType::F32)
        .unwrap();
    let sum = graph
        .scope("words", || table.scatter_add(&indices, &rows))
        .unwrap();
    let program = Program::new(&graph, &[&indices, &rows], &[], &[("table", &sum)]).unwrap();
    let start = floats(&[5, 40], 3);
    let added = floats(&[400, 40], 4);
    for bad in [-1, 5, i32::MIN, i32::MAX] {
        let mut named = vec![2; 400];
        named[317] = bad;
        let named = Tensor::from_i32(&[400], named).unwrap();
        let mut executors: Vec<Box<dyn Executor>> = vec![
            Box::new(executor(Isa::detect(), 2)),
            Box::new(ReferenceExecutor::new()),
        ];
        for executor in &mut executors {
            executor.create_state("table", &start).unwrap();
            let plan = executor.compile(&program, &Bindings::batch(400)).unwrap();
            let error = executor.run(plan, &[&named, &added], &mut []).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "words: scatter_add was given index {bad} (number 317 of the indices) for a table of 5 rows, which takes 0 to 4"
                )
            );
            assert_eq!(executor.read_state("table").unwrap(), start);
        }
    }
}

#[test]
fn sums_are_in_the_order_of_the_indices_however_many_share_them() {
    // 1e8 + 1 - 1e8 is 0 in f32, and 1e8 - 1e8 + 1 is 1: another order has another result.
    for width in [1, 7, 40, 300] {
        let terms = [1e8, 1.0, -1e8, 1e8, -1e8, 1.0];
        let count = 900;
        let values = (0..count * width).map(|place| terms[place / width % 6]);
        let values = Tensor::from_f32(&[count, width], values.collect()).unwrap();
        let named = (0..count).map(|place| [3, 8][place / 6 % 2]).collect();
        let inputs = vec![Tensor::from_i32(&[count], named).unwrap(), values];
        let case = Case::of(inputs, |graph, x| {
            Ok(vec![graph.scattered(
                &Shape::new([9, width]),
                &x[0],
                &x[1],
            )?])
        })
        .unwrap();
        let expected = (0..75).fold(0.0_f32, |sum, _| {
            terms.iter().fold(sum, |sum, term| sum + term)
        });
        for threads in [1, 2, 3] {
            let mut executor = executor(Isa::detect(), threads);
            let found = case.run(&mut executor, 1).unwrap().remove(0).0.remove(0);
            let found = found.as_f32().unwrap();
            for (place, &sum) in found.iter().enumerate() {
                let named = [3, 8].contains(&(place / width));
                assert_eq!(sum, if named { expected } else { 0.0 }, "{width} {threads}");
            }
        }
    }
}
