//! Reductions over axes.

use danlu_graph::operations::{ArgMax, Reduce, ReduceKind};
use danlu_graph::{DType, Tensor};
use proptest::prelude::*;
use proptest::sample::select;

use crate::elementwise::dtype;
use crate::harness::*;

/// Up to four axes, of which one may be long.
fn shape() -> impl Strategy<Value = Vec<usize>> {
    let lengths = [1, 7, 8, 9, 16, 17, 35, 63, 64, 65, 1023, 1025, 2051, 8193];
    let long = prop_oneof![5 => select(lengths.to_vec()), 1 => Just(0), 1 => Just(70_001)];
    (
        prop::collection::vec(small_size(), 0..4),
        long,
        any::<prop::sample::Index>(),
    )
        .prop_map(|(mut shape, long, place)| {
            let place = place.index(shape.len() + 1);
            shape.insert(place, long);
            if shape.iter().product::<usize>() > 300_000 {
                shape = vec![long];
            }
            shape
        })
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn reductions(
        kind in select(ReduceKind::ALL),
        dtype in dtype(),
        shape in shape(),
        chosen in any::<[bool; 4]>(),
        keep_dims in any::<bool>(),
        wild in prop::bool::weighted(0.2),
        seed in any::<u64>(),
    ) {
        let axes: Vec<usize> = (0..shape.len()).filter(|&axis| chosen[axis]).collect();
        let terms = axes.iter().map(|&axis| shape[axis]).product();
        let sum = matches!(kind, ReduceKind::Sum | ReduceKind::Mean);
        // A sum over infinities and huge numbers has no tolerance to speak of.
        let fill = if wild && !sum { Fill::Wild } else { Fill::Plain };
        let input = tensor(&shape, dtype, fill, 1e6, seed);
        let case = Case::of(vec![input], |graph, x| {
            Ok(vec![graph.add(Reduce { kind, axes, keep_dims }.into(), &[&x[0]])?])
        });
        // The reference has no smallest integer for the largest of nothing: see below.
        let nothing = terms == 0 && !dtype.is_float() && kind != ReduceKind::Sum;
        if let Some(case) = case.ok().filter(|_| !nothing) {
            case.check(match kind {
                _ if dtype != DType::F32 => Close::Exactly,
                ReduceKind::Max | ReduceKind::Min => Close::Exactly,
                ReduceKind::LogSumExp => Close::Within { relative: 2e-6, absolute: 2e-6 },
                _ => Close::Terms(terms),
            });
        }
    }

    #[test]
    fn places_of_the_largest(
        dtype in dtype(),
        shape in shape(),
        axis in any::<prop::sample::Index>(),
        fill in select([Fill::Plain, Fill::Wild, Fill::Equals].as_slice()),
        seed in any::<u64>(),
    ) {
        let axis = axis.index(shape.len());
        let input = tensor(&shape, dtype, fill, 5.0, seed);
        let case = Case::of(vec![input], |graph, x| Ok(vec![graph.add(ArgMax { axis }.into(), &[&x[0]])?]));
        if let Ok(case) = case {
            case.check(Close::Exactly);
        }
    }
}

#[test]
fn the_largest_of_no_integers_is_the_smallest_integer() {
    let found = |dtype: DType| {
        let case = Case::of(vec![Tensor::zeros(&[2, 0, 2], dtype).unwrap()], |_, x| {
            Ok(vec![x[0].max(&[1], false)?, x[0].min(&[1], false)?])
        });
        let mut executor = executor(danlu_cpu::Isa::detect(), 1);
        let outputs = case.unwrap().run(&mut executor, 1).unwrap().remove(0).0;
        (outputs[0].get_f64(3), outputs[1].get_f64(3))
    };
    assert_eq!(
        found(DType::I32),
        (f64::from(i32::MIN), f64::from(i32::MAX))
    );
    assert_eq!(found(DType::I8), (-128.0, 127.0));
    assert_eq!(found(DType::U8), (0.0, 255.0));
    assert_eq!(found(DType::I64), (i64::MIN as f64, i64::MAX as f64));
    assert_eq!(found(DType::Bool), (0.0, 1.0));
}

#[test]
fn no_elements_between_two_stages() {
    let case = Case::of(
        vec![Tensor::zeros(&[3, 2, 0], DType::F32).unwrap()],
        |_, x| {
            Ok(vec![
                x[0].sum(&[0, 2], false)?,
                x[0].transpose(&[1, 2, 0])?.max(&[0, 2], true)?.sum_all()?,
                x[0].mean(&[0, 2], true)?,
            ])
        },
    );
    case.unwrap().check(Close::Exactly);
    let case = Case::of(
        vec![Tensor::zeros(&[3, 0, 2], DType::F32).unwrap()],
        |_, x| Ok(vec![x[0].sum(&[0, 2], false)?, x[0].max(&[0, 2], true)?]),
    );
    case.unwrap().check(Close::Exactly);
}
