//! The three convolutions.

use danlu_graph::operations::{
    Convolution2d, Convolution2dInputGradient, Convolution2dWeightGradient, ConvolutionOptions,
};
use danlu_graph::{DType, Shape};
use proptest::prelude::*;
use proptest::sample::select;

use crate::harness::*;

fn pair(range: std::ops::Range<usize>) -> impl Strategy<Value = [usize; 2]> {
    [range.clone(), range]
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn convolutions(
        batch in prop_oneof![1 => Just(0usize), 8 => 1usize..4, 1 => Just(9)],
        image in pair(1..10),
        window in pair(1..4),
        strides in pair(1..3),
        dilations in prop_oneof![3 => Just([1, 1]), 1 => pair(1..3)],
        padding in [pair(0..3), pair(0..3)],
        groups in prop_oneof![4 => Just(1usize), 1 => 2usize..4],
        channels in prop_oneof![3 => 1usize..4, 1 => size()],
        filters in prop_oneof![2 => 1usize..4, 2 => size()],
        dtype in prop_oneof![8 => Just(DType::F32), 1 => select([DType::BF16, DType::F16].as_slice())],
        bias in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let (groups, channels, filters) = if groups > 1 { (groups, channels.min(3), filters.min(17)) } else { (groups, channels, filters) };
        let options = ConvolutionOptions { strides, dilations, padding, groups };
        let input = [batch, image[0], image[1], channels * groups];
        let kernel = [window[0], window[1], channels, filters * groups];
        let make = |shape: &[usize], own: u64| tensor(shape, dtype, Fill::Plain, 0.0, seed ^ own);
        let operation = Convolution2d { options };
        let inputs = vec![make(&input, 0), make(&kernel, 1), make(&[filters * groups], 2)];
        let case = Case::of(inputs, |graph, x| {
            let result = graph.add(operation.into(), &[&x[0], &x[1]])?;
            Ok(vec![if bias { result.add(&x[2])? } else { result }])
        });
        let Ok(case) = case else { return Ok(()) };
        let shape = case.program.nodes()[case.program.outputs()[0].node].value_type.shape.as_fixed().unwrap();
        let close = |terms: usize| match dtype {
            DType::F32 => Close::Terms(terms),
            _ if bias => Close::Within { relative: 0.01, absolute: 0.01 * (terms as f64).sqrt() },
            _ => Close::Exactly,
        };
        case.check(close(window[0] * window[1] * channels + 1));

        let operation = Convolution2dInputGradient { options, input: Shape::from(input.as_slice()) };
        let inputs = vec![make(&shape, 3), make(&kernel, 1), make(&input[3..], 2)];
        let case = Case::of(inputs, |graph, x| {
            let result = graph.add(operation.into(), &[&x[0], &x[1]])?;
            Ok(vec![if bias { result.add(&x[2])? } else { result }])
        });
        case.unwrap().check(close(window[0] * window[1] * filters + 1));

        let operation = Convolution2dWeightGradient { options, window };
        let inputs = vec![make(&input, 0), make(&shape, 3), make(&kernel, 2)];
        let case = Case::of(inputs, |graph, x| {
            let result = graph.add(operation.into(), &[&x[0], &x[1]])?;
            Ok(vec![if bias { result.add(&x[2])? } else { result }])
        });
        case.unwrap().check(close(batch * shape[1] * shape[2] + 1));
    }
}
