//! Pooling, its gradients, and the gather by another value's largest elements.

use danlu_graph::operations::{
    AveragePool2d, AveragePool2dGradient, MaxPool2d, MaxPool2dGather, MaxPool2dGradient,
    PoolingWindow,
};
use danlu_graph::{Bindings, DType, Dim, Shape};
use proptest::prelude::*;
use proptest::sample::select;

use crate::harness::*;

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn poolings(
        batch in prop_oneof![1 => Just(0usize), 8 => 1usize..4, 1 => Just(17)],
        image in [1usize..12, 1usize..12],
        size_of in [1usize..4, 1usize..4],
        strides in [1usize..4, 1usize..4],
        padding in [[0usize..3, 0usize..3], [0usize..3, 0usize..3]],
        channels in prop_oneof![2 => 1usize..4, 2 => size()],
        dtype in prop_oneof![6 => Just(DType::F32), 1 => select([DType::BF16, DType::F16, DType::I32, DType::I64, DType::U8, DType::I8].as_slice())],
        fill in select([Fill::Plain, Fill::Wild, Fill::Equals].as_slice()),
        named in prop::bool::weighted(0.2),
        no_rows in prop::bool::weighted(0.1),
        seed in any::<u64>(),
    ) {
        let window = PoolingWindow { size: size_of, strides, padding };
        // An axis may be bound to 0 only where it has a name.
        let height = if named && no_rows { 0 } else { image[0] };
        let input = vec![batch, height, image[1], channels];
        let dims = if named {
            Shape::from(vec![Dim::batch(), Dim::named("height"), image[1].into(), channels.into()])
        } else {
            Shape::from(input.as_slice())
        };
        let bindings = Bindings::batch(batch).with("height", height);
        let make = |shape: &[usize], fill: Fill, own: u64| tensor(shape, dtype, fill, 1e5, seed ^ own);
        let one = |operation: danlu_graph::Operation, fill: Fill| {
            Case::with_shapes(vec![dims.clone()], vec![make(&input, fill, 0)], bindings.clone(), |graph, x| {
                Ok(vec![graph.add(operation, &[&x[0]])?])
            })
        };
        let float = dtype == DType::F32;
        let Ok(case) = one(MaxPool2d { window }.into(), fill) else { return Ok(()) };
        let output = case.program.nodes()[case.program.outputs()[0].node].value_type.shape.clone();
        // A window that no binding of the height fits.
        let Ok(shape) = output.evaluate(&bindings) else { return Ok(()) };
        case.check(Close::Exactly);
        let average = if float { Close::Terms(size_of[0] * size_of[1]) } else { Close::Exactly };
        if let Ok(case) = one(AveragePool2d { window }.into(), Fill::Plain) {
            case.check(average);
        }
        let two = vec![dims.clone(), dims.clone()];
        let case = Case::with_shapes(two, vec![make(&input, fill, 0), make(&input, Fill::Wild, 1)], bindings.clone(), |graph, x| {
            Ok(vec![graph.add(MaxPool2dGather { window }.into(), &[&x[0], &x[1]])?])
        });
        if let Ok(case) = case {
            case.check(Close::Exactly);
        }
        let terms = size_of[0] * size_of[1];
        let gradient = make(&shape, Fill::Plain, 2);
        let case = Case::with_shapes(vec![dims.clone(), output.clone()], vec![make(&input, fill, 0), gradient.clone()], bindings.clone(), |graph, x| {
            Ok(vec![graph.add(MaxPool2dGradient { window }.into(), &[&x[0], &x[1]])?])
        });
        if let Ok(case) = case {
            // Not by magnitudes: they would have another largest element.
            case.check(if float { Close::Within { relative: 1e-6, absolute: 1e-6 * terms as f64 } } else { Close::Exactly });
        }
        let case = Case::with_shapes(vec![output], vec![gradient], bindings, |graph, x| {
            Ok(vec![graph.add(AveragePool2dGradient { window, input: dims }.into(), &[&x[0]])?])
        });
        if let Ok(case) = case {
            case.check(if float { Close::Terms(terms) } else { Close::Exactly });
        }
    }
}
