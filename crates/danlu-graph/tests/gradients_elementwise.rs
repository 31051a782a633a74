//! Elementwise operations, reductions, products and softmax: shapes and gradients of first and second order.

mod common;

use common::{axis, bindings, broadcastable, cases, check_gradients, operand, shape, within};
use danlu_graph::operations::{
    Binary, BinaryKind, Custom, CustomOperation, Reduce, ReduceKind, Unary, UnaryKind,
};
use danlu_graph::reference::Array;
use danlu_graph::{DType, Dim, Error, Result, Shape, Value, ValueType};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::Arc;

/// Where a function is smooth.
fn domain(kind: UnaryKind) -> Option<(f64, f64)> {
    match kind {
        UnaryKind::Log | UnaryKind::Sqrt | UnaryKind::Reciprocal => Some((0.4, 2.0)),
        UnaryKind::Log1p => Some((-0.6, 2.0)),
        UnaryKind::Floor | UnaryKind::Ceil => Some((0.1, 0.9)),
        UnaryKind::Round => Some((-0.4, 0.4)),
        UnaryKind::Not | UnaryKind::IsFinite => None,
        _ => Some((-2.0, 2.0)),
    }
}

#[test]
fn every_function_of_one_element() {
    for (salt, &kind) in UnaryKind::ALL.iter().enumerate() {
        let Some((low, high)) = domain(kind) else {
            continue;
        };
        let shape = Shape::new([Dim::batch(), Dim::fixed(3)]);
        check_gradients(
            &[within(shape, low, high)],
            &danlu_graph::Bindings::batch(2),
            &[2, 3],
            salt as u64,
            |graph, x| graph.add(Unary { kind }.into(), &[&x[0]]),
        );
    }
}

proptest! {
    #![proptest_config(cases(120))]

    #[test]
    fn functions_of_two_elements(
        kind in select(BinaryKind::ALL),
        axes in vec(axis(), 0..4),
        ones in any::<[u8; 2]>(),
        missing in (0usize..4, any::<bool>()),
        bindings in bindings(),
        salt in 0u64..1000,
    ) {
        let (low, high) = match kind {
            BinaryKind::And | BinaryKind::Or => return Ok(()),
            BinaryKind::Divide | BinaryKind::Power => (0.5, 2.0),
            _ => (-1.5, 1.5),
        };
        // One operand may lack leading axes; an axis is 1 in at most one of them.
        let short = broadcastable(&axes, ones[0], missing.0);
        let long = broadcastable(&axes, ones[1] & !ones[0] & (0xff << missing.0), 0);
        let (left, right) = if missing.1 { (short, long) } else { (long, short) };
        let expected = shape(&axes).evaluate(&bindings).unwrap();
        check_gradients(
            &[within(left, low, high), within(right, low, high)],
            &bindings,
            &expected,
            salt,
            |graph, x| graph.add(Binary { kind }.into(), &[&x[0], &x[1]]),
        );
    }

    #[test]
    fn choices(
        axes in vec(axis(), 0..3),
        ones in any::<u8>(),
        bindings in bindings(),
        salt in 0u64..1000,
    ) {
        let condition = broadcastable(&axes, ones, 0);
        let then = broadcastable(&axes, !ones & ones >> 1, 0);
        let otherwise = shape(&axes);
        let expected = otherwise.evaluate(&bindings).unwrap();
        check_gradients(
            &[operand(condition), operand(then), operand(otherwise)],
            &bindings,
            &expected,
            salt,
            |graph, x| {
                let chosen = x[0].greater(&graph.scalar(0.1, DType::F32)?)?;
                // x[0] twice: it gets no gradient through the condition, but one through the sum.
                chosen.select(&x[1], &x[2])?.square()?.add(&x[0])
            },
        );
    }

    #[test]
    fn reductions(
        kind in select(ReduceKind::ALL),
        axes in vec(axis(), 1..4),
        chosen in any::<u8>(),
        negative in any::<bool>(),
        keep_dims in any::<bool>(),
        bindings in bindings(),
        salt in 0u64..1000,
    ) {
        let rank = axes.len() as isize;
        let over: Vec<isize> = (0..rank)
            .filter(|axis| chosen >> axis & 1 == 1)
            .map(|axis| if negative { axis - rank } else { axis })
            .collect();
        let mut expected = Vec::new();
        for (axis, size) in shape(&axes).evaluate(&bindings).unwrap().into_iter().enumerate() {
            if chosen >> axis & 1 == 0 {
                expected.push(size);
            } else if keep_dims {
                expected.push(1);
            }
        }
        check_gradients(&[operand(shape(&axes))], &bindings, &expected, salt, |_, x| {
            let x = &x[0];
            match kind {
                ReduceKind::Sum => x.sum(&over, keep_dims),
                ReduceKind::Mean => x.mean(&over, keep_dims),
                ReduceKind::Max => x.max(&over, keep_dims),
                ReduceKind::Min => x.min(&over, keep_dims),
                ReduceKind::LogSumExp => x.logsumexp(&over, keep_dims),
            }
        });
    }

    #[test]
    fn products_of_matrices(
        leading in vec(axis(), 0..3),
        ones in any::<[u8; 2]>(),
        missing in (0usize..3, any::<bool>()),
        sizes in (axis(), axis(), axis()),
        transposed in any::<[bool; 2]>(),
        bindings in bindings(),
        salt in 0u64..1000,
    ) {
        let (m, k, n) = (sizes.0.dim(), sizes.1.dim(), sizes.2.dim());
        let matrix = |leading: Shape, rows: &Dim, columns: &Dim, transposed: bool| {
            let mut dims = leading.dims().to_vec();
            dims.extend(if transposed { [columns.clone(), rows.clone()] } else { [rows.clone(), columns.clone()] });
            Shape::from(dims)
        };
        let short = broadcastable(&leading, ones[0], missing.0);
        let long = broadcastable(&leading, ones[1] & !ones[0] & (0xff << missing.0), 0);
        let (left, right) = if missing.1 { (short, long) } else { (long, short) };
        let mut expected = shape(&leading).evaluate(&bindings).unwrap();
        expected.extend([m.evaluate(&bindings).unwrap(), n.evaluate(&bindings).unwrap()]);
        check_gradients(
            &[operand(matrix(left, &m, &k, transposed[0])), operand(matrix(right, &k, &n, transposed[1]))],
            &bindings,
            &expected,
            salt,
            |_, x| x[0].matmul_with(&x[1], transposed[0], transposed[1]),
        );
    }

    #[test]
    fn softmax_and_its_logarithm(
        axes in vec(axis(), 1..4),
        bindings in bindings(),
        salt in 0u64..1000,
    ) {
        let expected = shape(&axes).evaluate(&bindings).unwrap();
        let x = operand(shape(&axes));
        check_gradients(std::slice::from_ref(&x), &bindings, &expected, salt, |_, x| x[0].softmax());
        check_gradients(&[x], &bindings, &expected, salt, |_, x| x[0].log_softmax());
    }

    #[test]
    fn cross_entropies(
        axes in vec(axis(), 0..3),
        classes in 1usize..5,
        dtype in select(&[DType::U8, DType::I8, DType::I32, DType::I64][..]),
        bindings in bindings(),
        salt in 0u64..1000,
    ) {
        let leading = shape(&axes);
        let mut dims = leading.dims().to_vec();
        dims.push(Dim::fixed(classes));
        let logits = Shape::from(dims);
        let expected = leading.evaluate(&bindings).unwrap();
        check_gradients(&[operand(logits.clone())], &bindings, &expected, salt, |graph, x| {
            // The classes 0, 1, ... again and again along the first axis.
            let labels = if leading.rank() == 0 {
                graph.scalar((classes - 1) as f64, DType::F32)?
            } else {
                graph.iota(leading.clone(), 0, DType::F32)?.minimum_scalar((classes - 1) as f64)?
            };
            x[0].sparse_cross_entropy(&labels.cast(dtype)?)
        });
        check_gradients(&[operand(logits.clone()), within(logits, 0.0, 1.0)], &bindings, &expected, salt, |_, x| {
            x[0].cross_entropy(&x[1])
        });
    }
}

#[test]
fn no_gradient_flows_through_stop_gradient_comparisons_and_integers() {
    check_gradients(
        &[operand([2, 3].as_slice())],
        &danlu_graph::Bindings::new(),
        &[2, 3],
        1,
        |graph, x| {
            let x = &x[0];
            let above = x.greater(&graph.scalar(0.2, DType::F32)?)?;
            let steps = above
                .cast(DType::F32)?
                .add(&x.cast(DType::I32)?.cast(DType::F32)?)?;
            x.square()?
                .add(&steps)?
                .add(&x.is_finite()?.cast(DType::F32)?)
        },
    );
    let graph = danlu_graph::Graph::new();
    let x = graph.input("x", Shape::new([3]), DType::F32).unwrap();
    let y = x.square().unwrap().stop_gradient().unwrap();
    let slope = danlu_graph::gradients(&y, &[&x]).unwrap().remove(0);
    let program = danlu_graph::Program::new(&graph, &[&x], &[("slope", &slope)], &[]).unwrap();
    let given = Array::new(vec![3], DType::F32, vec![1.0, 2.0, 3.0]);
    let values = danlu_graph::reference::ReferenceExecutor::new()
        .evaluate(&program, &danlu_graph::Bindings::new(), &[given])
        .unwrap();
    assert_eq!(values.last().unwrap().data, [0.0; 3]);
}

#[test]
fn gradients_flow_through_casts_between_floats() {
    check_gradients(
        &[operand([4].as_slice())],
        &danlu_graph::Bindings::new(),
        &[4],
        2,
        |_, x| {
            x[0].cast(DType::BF16)?
                .square()?
                .cast(DType::F16)?
                .cast(DType::F32)
        },
    );
}

#[test]
fn a_value_used_often_gets_the_sum_of_its_gradients() {
    check_gradients(
        &[operand([3].as_slice()), operand([3].as_slice())],
        &danlu_graph::Bindings::new(),
        &[3],
        3,
        |_, x| {
            x[0].multiply(&x[0])?
                .multiply(&x[1])?
                .add(&x[0].sin()?)?
                .subtract(&x[1])
        },
    );
}

/// The cube of each element.
struct Cube;

impl CustomOperation for Cube {
    fn name(&self) -> &str {
        "cube"
    }
    fn infer(&self, inputs: &[ValueType]) -> Result<ValueType> {
        match inputs {
            [input] => Ok(input.clone()),
            _ => Err(Error::new("cube takes one input")),
        }
    }
    fn evaluate(&self, inputs: &[&Array], _: &[usize]) -> Result<Vec<f64>> {
        Ok(inputs[0].data.iter().map(|x| x * x * x).collect())
    }
    fn gradient(
        &self,
        inputs: &[Value],
        _: &Value,
        gradient: &Value,
    ) -> Result<Vec<Option<Value>>> {
        let slope = inputs[0].square()?.multiply_scalar(3.0)?;
        Ok(vec![Some(slope.multiply(gradient)?)])
    }
}

#[test]
fn a_users_operation_is_differentiated_twice() {
    check_gradients(
        &[operand(Shape::batch_of(&[2]))],
        &danlu_graph::Bindings::batch(2),
        &[2, 2],
        4,
        |graph, x| graph.add(Custom(Arc::new(Cube)).into(), &[&x[0]]),
    );
}

#[test]
fn reductions_name_each_axis_once() {
    let graph = danlu_graph::Graph::new();
    let x = graph.input("x", Shape::new([2, 3]), DType::F32).unwrap();
    for axes in [vec![1, 1], vec![1, 0], vec![2]] {
        let reduce = Reduce {
            kind: ReduceKind::Mean,
            axes,
            keep_dims: false,
        };
        assert!(graph.add(reduce.into(), &[&x]).is_err());
    }
}
