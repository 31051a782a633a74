//! Operations that move elements, and the constants that count.

use danlu_graph::operations::{Concatenate, Iota, Pad};
use danlu_graph::{Bindings, Dim, Shape};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::elementwise::{ALL, dtype};
use crate::harness::*;

/// One to four axes; now and then enough elements for several tasks.
fn shape() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        6 => prop::collection::vec(small_size(), 1..5),
        3 => prop::collection::vec(size(), 1..3),
        1 => Just(vec![7, 31, 131]),
    ]
}

proptest! {
    #![proptest_config(cases(120))]

    #[test]
    fn orders_of_axes(shape in shape(), keys in any::<[u8; 4]>(), dtype in dtype(), seed in any::<u64>()) {
        let mut permutation: Vec<usize> = (0..shape.len()).collect();
        permutation.sort_by_key(|&axis| keys[axis]);
        let input = tensor(&shape, dtype, Fill::Wild, 2e9, seed);
        Case::of(vec![input], |_, x| Ok(vec![x[0].transpose(&permutation)?])).unwrap().check(Close::Exactly);
    }

    #[test]
    fn strided_parts(shape in shape(), cuts in any::<[(Index, Index, u8); 4]>(), dtype in dtype(), seed in any::<u64>()) {
        let (mut starts, mut sizes, mut steps) = (Vec::new(), Vec::new(), Vec::new());
        for (&size, (start, count, step)) in shape.iter().zip(&cuts) {
            let (start, step) = (start.index(size + 1), usize::from(step % 3) + 1);
            starts.push(start);
            sizes.push(Dim::fixed(count.index((size - start).div_ceil(step) + 1)));
            steps.push(step);
        }
        let input = tensor(&shape, dtype, Fill::Wild, 2e9, seed);
        Case::of(vec![input], |_, x| Ok(vec![x[0].slice(&starts, &sizes, &steps)?])).unwrap().check(Close::Exactly);
    }

    #[test]
    fn values_one_after_the_other(
        shape in shape(),
        axis in any::<Index>(),
        others in prop::collection::vec((0usize..20, any::<bool>()), 1..4),
        dtype in dtype(),
        seed in any::<u64>(),
    ) {
        let axis = axis.index(shape.len());
        let inputs: Vec<_> = others.iter().map(|(size, _)| {
            let mut shape = shape.clone();
            shape[axis] = *size;
            tensor(&shape, dtype, Fill::Wild, 2e9, seed ^ *size as u64)
        }).collect();
        let case = Case::of(inputs, |graph, x| {
            // Some more than once.
            let twice = x.iter().zip(&others).filter(|(_, (_, twice))| *twice).map(|(x, _)| x);
            let all: Vec<_> = x.iter().chain(twice).collect();
            Ok(vec![graph.add(Concatenate { axis }.into(), &all)?])
        });
        case.unwrap().check(Close::Exactly);
    }

    #[test]
    fn surroundings_and_gaps(
        shape in shape(),
        amounts in any::<[[u8; 3]; 4]>(),
        value in select([0.0, 1.0, -0.0, f64::NAN, f64::NEG_INFINITY, 0.1].as_slice()),
        named in any::<bool>(),
        dtype in dtype(),
        seed in any::<u64>(),
    ) {
        let amount = |of: usize| amounts.iter().take(shape.len()).map(|all| usize::from(all[of] % 4)).collect();
        let pad = Pad { low: amount(0), high: amount(1), interior: amount(2), value };
        let input = tensor(&shape, dtype, Fill::Wild, 2e9, seed);
        let mut named_shape = Shape::from(shape.as_slice());
        if named {
            named_shape.dims_mut()[0] = Dim::batch();
        }
        let case = Case::with_shapes(vec![named_shape], vec![input], Bindings::batch(shape[0]), |graph, x| {
            Ok(vec![graph.add(pad.into(), &[&x[0]])?])
        }).unwrap();
        // Gaps between no elements: less than none.
        if danlu_graph::executor::output_tensors(&case.program, &case.bindings).is_ok() {
            case.check(Close::Exactly);
        }
    }

    #[test]
    fn repetition_and_other_shapes(
        shape in shape(),
        leading in prop::collection::vec(small_size(), 0..3),
        ones in any::<[bool; 4]>(),
        named in any::<bool>(),
        dtype in dtype(),
        seed in any::<u64>(),
    ) {
        let from: Vec<usize> = shape.iter().zip(ones).map(|(&size, one)| if one { 1 } else { size }).collect();
        let to: Vec<usize> = leading.into_iter().chain(shape).collect();
        let mut target = Shape::from(to.as_slice());
        let batch = to[0];
        if named && to.len() > from.len() {
            target.dims_mut()[0] = Dim::batch();
        }
        let count = target.element_count();
        let input = tensor(&from, dtype, Fill::Wild, 2e9, seed);
        let case = Case::with_shapes(vec![Shape::from(from.as_slice())], vec![input], Bindings::batch(batch), |_, x| {
            let wide = x[0].broadcast_to(&target)?;
            let flat = wide.reshape(&Shape::from(vec![count.clone()]))?;
            let back = flat.reshape(&target)?;
            Ok(vec![wide, flat, back])
        });
        case.unwrap().check(Close::Exactly);
    }

    #[test]
    fn counting(shape in shape(), axis in any::<Index>(), dtype in select(ALL.as_slice()), batch in 0usize..300) {
        let axis = axis.index(shape.len());
        let mut shape = Shape::from(shape.as_slice());
        shape.dims_mut()[0] = Dim::batch();
        let case = Case::with_shapes(Vec::new(), Vec::new(), Bindings::batch(batch), |graph, _| {
            let size = graph.dimension_size(&Dim::batch().offset(3), dtype)?;
            Ok(vec![graph.add(Iota { shape, axis, dtype }.into(), &[])?, size])
        });
        case.unwrap().check(Close::Exactly);
    }
}

/// As the branches of convolutional networks are joined: rows of many lengths, over many tasks.
#[test]
fn maps_one_after_the_other() {
    for (outer, sizes, inner) in [
        (vec![40, 9, 9], vec![64, 3, 33], vec![]),
        (vec![40, 9, 9], vec![1, 1], vec![]),
        (vec![5], vec![3, 1, 4], vec![30, 29]),
        (vec![3], vec![9000, 9001], vec![]),
        (vec![], vec![300, 1, 20], vec![100]),
    ] {
        let inputs = sizes.iter().map(|&size| {
            let shape = [outer.clone(), vec![size], inner.clone()].concat();
            tensor(
                &shape,
                danlu_graph::DType::F32,
                Fill::Wild,
                2e9,
                size as u64,
            )
        });
        let axis = outer.len() as isize;
        let case = Case::of(inputs.collect(), |graph, x| {
            let all: Vec<_> = x.iter().collect();
            let joined = graph.concatenate(&all, axis)?;
            let mut results = vec![joined.clone()];
            let mut start = 0;
            for &size in &sizes {
                results.push(joined.narrow(axis, start, size)?);
                start += size;
            }
            Ok(results)
        });
        case.unwrap().check(Close::Exactly);
    }
}
