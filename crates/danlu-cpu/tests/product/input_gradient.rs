//! The gradient of a convolution by its images, both ways to compute it.

use std::collections::BTreeMap;

use danlu_cpu::kernels::product::{Convolution2dShape, ConvolutionInputGradientPlan};
use danlu_cpu::simd::Isa;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::convolution::{each_product, run_input_gradient, sizes};
use crate::{Exact, POOLS, assert_close, bits, numbers};

/// How a shape's gradient is computed, as its plan says.
fn method(isa: Isa, shape: &Convolution2dShape) -> &'static str {
    let plan = ConvolutionInputGradientPlan::new(isa, *shape, 1).unwrap();
    let plan = format!("{plan:?}");
    ["Scatter(", "Correlation("]
        .into_iter()
        .find(|name| plan.contains(name))
        .unwrap()
}

/// The gradient is right, has the same bits on any number of threads, and those of an image alone are those in a batch.
fn check(isa: Isa, shape: &Convolution2dShape) {
    let [x_size, w_size, y_size] = sizes(shape);
    let (w, dy) = (numbers(w_size, 2), numbers(y_size, 3));
    let mut expected = vec![Exact::default(); x_size];
    each_product(shape, |i, j, k| expected[i].add(w[j], dy[k]));
    let what = format!("{}, {isa} {shape:?}", method(isa, shape));
    let [one, others @ ..] = POOLS
        .each_ref()
        .map(|pool| run_input_gradient(isa, pool, shape, &dy, &w));
    assert_close(&one, &expected, &what);
    for other in others {
        assert_eq!(bits(&other), bits(&one), "threads, {what}");
    }
    let (image, gradient) = (x_size / shape.batch, y_size / shape.batch);
    let last = shape.batch - 1;
    let single = Convolution2dShape { batch: 1, ..*shape };
    let alone = run_input_gradient(isa, &POOLS[0], &single, &dy[last * gradient..], &w);
    assert_eq!(bits(&alone), bits(&one[last * image..]), "alone, {what}");
}

/// Strides, dilations and paddings of all kinds, few and many channels.
fn shapes() -> impl Strategy<Value = Convolution2dShape> {
    let axes = (
        [1_usize..14, 1_usize..14],
        [1_usize..6, 1_usize..6],
        [1_usize..4, 1_usize..4],
        [1_usize..4, 1_usize..4],
        [[0_usize..5, 0_usize..5], [0_usize..5, 0_usize..5]],
    );
    let sizes = (
        1_usize..4,
        1_usize..21,
        prop_oneof![1_usize..9, Just(33_usize)],
    );
    (sizes, axes).prop_map(
        |((batch, channels, filters), (size, kernel, stride, dilation, padding))| {
            Convolution2dShape {
                batch,
                height: size[0],
                width: size[1],
                channels,
                filters,
                kernel,
                stride,
                dilation,
                padding,
                groups: 1,
            }
        },
    )
}

#[test]
fn any_shape_by_either_method() {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(150)
    };
    let seen = std::cell::RefCell::new(BTreeMap::new());
    TestRunner::new(config)
        .run(&shapes(), |shape| {
            for isa in Isa::available() {
                check(isa, &shape);
                *seen
                    .borrow_mut()
                    .entry((isa.name(), method(isa, &shape)))
                    .or_insert(0) += 1;
            }
            Ok(())
        })
        .unwrap();
    // Neither way is chosen by accident only.
    let seen = seen.into_inner();
    for isa in Isa::available() {
        for method in ["Scatter(", "Correlation("] {
            let count = seen.get(&(isa.name(), method)).copied().unwrap_or(0);
            assert!(count >= 15, "{isa}, {method}: {seen:?}");
        }
    }
}

/// Images of several bands, enough work for all threads.
#[test]
fn large_images_by_windows() {
    for (channels, stride, padding) in [(3, 1, 0), (6, 1, 2), (3, 2, 1), (16, 3, 0)] {
        let shape = Convolution2dShape {
            batch: 5,
            height: 37,
            width: 29,
            channels,
            filters: 16,
            kernel: [5, 5],
            stride: [stride; 2],
            dilation: [1, 1],
            padding: [[padding; 2]; 2],
            groups: 1,
        };
        for isa in Isa::available() {
            check(isa, &shape);
        }
        assert_eq!(method(Isa::detect(), &shape), "Scatter(", "{shape:?}");
    }
}
