//! Matrix products: transposed, batched, broadcast.

use danlu_graph::DType;
use danlu_graph::operations::MatMul;
use proptest::prelude::*;
use proptest::sample::select;

use crate::harness::*;

proptest! {
    #![proptest_config(cases(120))]

    #[test]
    fn products(
        (m, n) in (size(), size()),
        k in prop_oneof![6 => size(), 1 => Just(0), 1 => Just(517)],
        leading in prop::collection::vec((small_size(), any::<[bool; 2]>()), 0..3),
        missing in any::<[prop::sample::Index; 2]>(),
        transpose_left in any::<bool>(),
        transpose_right in any::<bool>(),
        dtype in prop_oneof![8 => Just(DType::F32), 1 => select([DType::BF16, DType::F16].as_slice())],
        bias in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let operand = |side: usize, rows: usize, columns: usize, transposed: bool| {
            // One operand keeps all leading axes, the other may lack some.
            let lacks = if seed % 2 == side as u64 { 0 } else { missing[side].index(leading.len() + 1) };
            let mut shape: Vec<usize> = leading[lacks..].iter().map(|(size, keep)| if keep[side] { *size } else { 1 }).collect();
            shape.extend(if transposed { [columns, rows] } else { [rows, columns] });
            tensor(&shape, dtype, Fill::Plain, 0.0, seed ^ side as u64)
        };
        let inputs = vec![operand(0, m, k, transpose_left), operand(1, k, n, transpose_right), tensor(&[n], dtype, Fill::Plain, 0.0, seed ^ 9)];
        let operation = MatMul { transpose_left, transpose_right };
        let case = Case::of(inputs, |graph, x| {
            let product = graph.add(operation.into(), &[&x[0], &x[1]])?;
            // With a pass over the result, and without one.
            Ok(if bias { vec![product.add(&x[2])?] } else { vec![product] })
        });
        let rounded = 0.01;
        case.unwrap().check(if dtype == DType::F32 {
            Close::Terms(k + 1)
        } else if bias {
            Close::Within { relative: rounded, absolute: rounded * (k as f64).sqrt() }
        } else {
            Close::Exactly
        });
    }
}
