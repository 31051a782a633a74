//! Softmax, its logarithm and cross-entropy, with extreme logits.

use danlu_graph::DType;
use proptest::prelude::*;
use proptest::sample::select;

use crate::harness::*;

/// Logits: plain, spread over the range of the exponential, with infinities, or all alike.
fn logits(shape: &[usize], style: usize, dtype: DType, seed: u64) -> danlu_graph::Tensor {
    let mut values: Vec<f32> = numbers(shape.iter().product(), seed);
    // Not infinity: where the reference has numbers for the rest of such a row, the kernels promise NaN. And no two huge
    // ones: beside them the reference loses the logarithm of the sum.
    let special = [f32::NEG_INFINITY, f32::NAN, f32::MIN, -1e30, 3e4];
    for (index, value) in values.iter_mut().enumerate() {
        match style {
            0 => {}
            1 => *value *= 90.0,
            2 => *value *= 3e38,
            3 if *value > 0.9 => *value = special[index % special.len()],
            3 => *value *= 10.0,
            4 => *value = f32::NEG_INFINITY,
            _ => *value = 1e4,
        }
    }
    let tensor = danlu_graph::Tensor::from_f32(shape, values).unwrap();
    let array = danlu_graph::reference::Array::from_tensor(&tensor);
    danlu_graph::reference::Array { dtype, ..array }
        .to_tensor()
        .unwrap()
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn softmax_and_its_logarithm(
        leading in prop::collection::vec(prop_oneof![6 => 1usize..9, 1 => Just(0usize)], 0..3),
        classes in prop_oneof![6 => size(), 1 => Just(0), 1 => Just(1025), 1 => Just(3001)],
        style in 0usize..6,
        dtype in prop_oneof![4 => Just(DType::F32), 1 => select([DType::BF16, DType::F16].as_slice())],
        seed in any::<u64>(),
    ) {
        let shape: Vec<usize> = leading.into_iter().chain([classes]).collect();
        let case = Case::of(vec![logits(&shape, style, dtype, seed)], |_, x| Ok(vec![x[0].softmax()?, x[0].log_softmax()?]));
        // The exponential of a rounded difference of up to 100.
        case.unwrap().check(Close::Within { relative: 2e-5, absolute: 1e-6 });
    }

    #[test]
    fn cross_entropy(
        leading in prop::collection::vec(prop_oneof![6 => 1usize..40, 1 => Just(0usize)], 1..3),
        classes in prop_oneof![8 => size(), 1 => Just(0), 1 => Just(300)],
        style in 0usize..6,
        labels in select([DType::I32, DType::I64, DType::U8, DType::I8, DType::Bool].as_slice()),
        beyond in prop::bool::weighted(0.2),
        seed in any::<u64>(),
    ) {
        let most = if beyond { 3 * classes + 3 } else { classes.clamp(1, 100) };
        let count: usize = leading.iter().product();
        let data = numbers(count, seed ^ 3).into_iter().map(|x| {
            let class = f64::from((x + 1.0) / 2.0) * most as f64;
            if beyond { (class - 3.0).floor() } else { class.floor() }
        });
        let class_tensor = danlu_graph::reference::Array::new(leading.clone(), labels, data.collect()).to_tensor().unwrap();
        let shape: Vec<usize> = leading.into_iter().chain([classes]).collect();
        let inputs = vec![logits(&shape, style, DType::F32, seed), class_tensor];
        let case = Case::of(inputs, |_, x| Ok(vec![x[0].sparse_cross_entropy(&x[1])?]));
        if let Ok(case) = case {
            case.check(Close::Within { relative: 2e-6, absolute: 2e-5 });
        }
    }
}
