//! Functions of elements, with broadcasting, and conversions.

use danlu_graph::DType;
use danlu_graph::operations::{Binary, BinaryKind, Compare, CompareKind, Unary, UnaryKind};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::harness::*;

pub const ALL: [DType; 8] = [
    DType::F32,
    DType::BF16,
    DType::F16,
    DType::I32,
    DType::I64,
    DType::U8,
    DType::I8,
    DType::Bool,
];

/// Mostly 32-bit floats, sometimes another dtype.
pub fn dtype() -> impl Strategy<Value = DType> {
    prop_oneof![Just(DType::F32), select(ALL.as_slice())]
}

fn fill() -> impl Strategy<Value = Fill> {
    select([Fill::Plain, Fill::Wild, Fill::Equals].as_slice())
}

/// A shape, and for operands: how many leading axes they lack and which of the others are 1.
fn shapes(count: usize) -> impl Strategy<Value = (Vec<usize>, Vec<Vec<usize>>)> {
    let operand = (
        prop_oneof![3 => Just(0usize), 1 => 1usize..5],
        prop::collection::vec(prop::bool::weighted(0.75), 4),
    );
    let small = prop_oneof![1 => Just(0usize), 10 => Just(1), 20 => 2usize..5];
    (
        prop::collection::vec(small, 0..4),
        prop::option::of(long_size()),
        prop::collection::vec(operand, count),
    )
        .prop_map(|(mut shape, last, operands)| {
            shape.extend(last);
            // Long axes stay alone, for the reference's sake.
            if shape.iter().product::<usize>() > 200_000 {
                let longest = shape.len() - 1;
                shape[..longest].fill(1);
            }
            let operands = operands
                .into_iter()
                .map(|(missing, keep)| {
                    let missing = missing.min(shape.len());
                    shape[missing..]
                        .iter()
                        .zip(keep)
                        .map(|(&size, keep)| if keep { size } else { 1 })
                        .collect()
                })
                .collect();
            (shape, operands)
        })
}

/// `2 epsilon` and the smallest normal number for what hardware does; the stated error of the functions above it.
fn close(kind: UnaryKind, dtype: DType) -> Close {
    if dtype != DType::F32 {
        return Close::Exactly;
    }
    let (relative, absolute) = match kind {
        UnaryKind::Sin | UnaryKind::Cos => (1e-6, 1e-6),
        UnaryKind::Log | UnaryKind::Log1p => (1e-6, 1e-7),
        _ => (1e-6, 1.2e-38),
    };
    Close::Within { relative, absolute }
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn functions_of_one_element(
        kind in select(UnaryKind::ALL),
        dtype in dtype(),
        (_, shapes) in shapes(1),
        fill in fill(),
        seed in any::<u64>(),
    ) {
        // The sine of a huge number is noise in f32; squares of large integers are not exact in the reference.
        let fill = if matches!(kind, UnaryKind::Sin | UnaryKind::Cos) { Fill::Plain } else { fill };
        let input = tensor(&shapes[0], dtype, fill, 3e7, seed);
        let case = Case::of(vec![input], |graph, x| Ok(vec![graph.add(Unary { kind }.into(), &[&x[0]])?]));
        if let Ok(case) = case {
            case.check(close(kind, dtype));
        }
    }

    #[test]
    fn functions_of_two_elements(
        kind in select(BinaryKind::ALL),
        dtype in dtype(),
        (_, shapes) in shapes(2),
        fill in fill(),
        seed in any::<u64>(),
    ) {
        let most = if kind == BinaryKind::Multiply { 6e7 } else { 2e9 };
        let inputs = shapes.iter().zip([0, 1]).map(|(shape, own)| tensor(shape, dtype, fill, most, seed ^ own)).collect();
        let case = Case::of(inputs, |graph, x| Ok(vec![graph.add(Binary { kind }.into(), &[&x[0], &x[1]])?]));
        if let Ok(case) = case {
            let relative = if kind == BinaryKind::Power { 2e-6 } else { 1.2e-7 };
            case.check(if dtype == DType::F32 { Close::Within { relative, absolute: 1.2e-38 } } else { Close::Exactly });
        }
    }

    #[test]
    fn comparisons(
        kind in select(CompareKind::ALL),
        dtype in dtype(),
        (_, shapes) in shapes(2),
        fill in fill(),
        seed in any::<u64>(),
    ) {
        let inputs = shapes.iter().zip([0, 1]).map(|(shape, own)| tensor(shape, dtype, fill, 5.0, seed ^ own)).collect();
        let case = Case::of(inputs, |graph, x| Ok(vec![graph.add(Compare { kind }.into(), &[&x[0], &x[1]])?]));
        case.unwrap().check(Close::Exactly);
    }

    #[test]
    fn choices(dtype in dtype(), (_, shapes) in shapes(3), fill in fill(), seed in any::<u64>()) {
        let inputs = vec![
            tensor(&shapes[0], DType::Bool, fill, 0.0, seed),
            tensor(&shapes[1], dtype, fill, 2e9, seed ^ 1),
            tensor(&shapes[2], dtype, fill, 2e9, seed ^ 2),
        ];
        Case::of(inputs, |_, x| Ok(vec![x[0].select(&x[1], &x[2])?])).unwrap().check(Close::Exactly);
    }

    #[test]
    fn conversions(from in dtype(), to in dtype(), (_, shapes) in shapes(1), fill in fill(), seed in any::<u64>()) {
        // Numbers beyond 64 bits saturate; the reference turns them round.
        let fill = if to == DType::I64 && fill == Fill::Wild { Fill::Equals } else { fill };
        let input = tensor(&shapes[0], from, fill, 2e9, seed);
        Case::of(vec![input], |_, x| Ok(vec![x[0].cast(to)?])).unwrap().check(Close::Exactly);
    }

    /// The same value in several roles at once: contiguous, repeated, a single element.
    #[test]
    fn chains_over_broadcast_values(
        (whole, shapes) in shapes(3),
        picks in prop::collection::vec((any::<[Index; 2]>(), 0usize..5), 1..60),
        seed in any::<u64>(),
    ) {
        let inputs = shapes.iter().zip(0..).map(|(shape, own)| tensor(shape, DType::F32, Fill::Equals, 0.0, seed ^ own)).collect();
        let case = Case::of(inputs, |graph, x| {
            let mut values = x.to_vec();
            let low = graph.scalar(-8.0, DType::F32)?;
            for ([a, b], operation) in &picks {
                let (a, b) = (a.get(&values).clone(), b.get(&values).clone());
                let next = match operation {
                    0 => a.add(&b)?,
                    1 => a.subtract(&b)?,
                    2 => a.multiply(&b)?,
                    3 => a.cast(DType::I8)?.maximum(&b.cast(DType::I8)?)?.cast(DType::F32)?,
                    _ => a.less(&b)?.select(&b.relu()?, &a.cast(DType::I64)?.cast(DType::F32)?)?,
                };
                values.push(next.maximum(&low)?.minimum_scalar(8.0)?);
            }
            let target = danlu_graph::Shape::from(whole.as_slice());
            let mut last = values.split_off(values.len().saturating_sub(3));
            for value in &mut last {
                if let Ok(wide) = value.broadcast_to(&target) {
                    *value = wide;
                }
            }
            Ok(last)
        });
        case.unwrap().check(Close::Exactly);
    }
}
