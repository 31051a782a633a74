//! What operations give, against values worked out another way: by hand, by plain loops, or by a rule that must hold.

mod common;

use common::{cases, close, spread};
use danlu_graph::operations::{
    ConvolutionOptions, MaxPool2dGather, MaxPool2dGradient, Padding, PoolingWindow, random,
};
use danlu_graph::reference::{Array, ReferenceExecutor};
use danlu_graph::{Bindings, DType, Dim, Graph, Program, Result, Shape, Tensor, Value, gradients};
use proptest::array::uniform2;
use proptest::prelude::*;

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// The value of `build` on arrays.
fn run(
    inputs: &[(&[Dim], DType, &[f64])],
    bindings: &Bindings,
    build: impl Fn(&Graph, &[Value]) -> Result<Value>,
) -> Array {
    let graph = Graph::new();
    let mut values = Vec::new();
    let mut arrays = Vec::new();
    for (place, (dims, dtype, data)) in inputs.iter().enumerate() {
        let shape = Shape::from(dims.to_vec());
        arrays.push(Array::new(
            shape.evaluate(bindings).unwrap(),
            *dtype,
            data.to_vec(),
        ));
        values.push(graph.input(&format!("x{place}"), shape, *dtype).unwrap());
    }
    let y = build(&graph, &values).unwrap_or_else(|error| panic!("{error}"));
    let values: Vec<&Value> = values.iter().collect();
    let program = Program::new(&graph, &values, &[("y", &y)], &[]).unwrap();
    common::evaluate(&ReferenceExecutor::new(), &program, bindings, &arrays)
        .unwrap()
        .remove(0)
}

fn fixed(sizes: &[usize]) -> Vec<Dim> {
    sizes.iter().copied().map(Dim::fixed).collect()
}

/// The value of `build` on one array of fixed shape.
fn of(
    sizes: &[usize],
    dtype: DType,
    data: &[f64],
    build: impl Fn(&Graph, &Value) -> Result<Value>,
) -> Array {
    let dims = fixed(sizes);
    run(&[(&dims, dtype, data)], &Bindings::new(), |graph, x| {
        build(graph, &x[0])
    })
}

fn plain(window: [usize; 2], strides: [usize; 2], padding: [[usize; 2]; 2]) -> PoolingWindow {
    PoolingWindow {
        size: window,
        strides,
        padding,
    }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn convolution_is_its_formula(
        image in uniform2(1usize..5),
        window in uniform2(1usize..3),
        strides in uniform2(1usize..3),
        dilations in uniform2(1usize..3),
        padding in uniform2(uniform2(0usize..3)),
        groups in 1usize..3,
        salt in 0u64..1000,
    ) {
        let (channels, filters) = (2, 2 * groups);
        let span = |axis: usize| (window[axis] - 1) * dilations[axis] + 1;
        let padded: Vec<usize> = (0..2).map(|axis| image[axis] + padding[axis][0] + padding[axis][1]).collect();
        prop_assume!((0..2).all(|axis| padded[axis] >= span(axis)));
        let x_sizes = [2, image[0], image[1], channels * groups];
        let k_sizes = [window[0], window[1], channels, filters];
        let x = spread(x_sizes.iter().product(), -1.0, 1.0, salt);
        let k = spread(k_sizes.iter().product(), -1.0, 1.0, salt + 1);
        let options = ConvolutionOptions { strides, dilations, padding, groups };
        let y = run(
            &[(&fixed(&x_sizes), DType::F32, &x), (&fixed(&k_sizes), DType::F32, &k)],
            &Bindings::new(),
            |_, x| x[0].conv2d(&x[1], options),
        );
        // Signed positions in the image; what lies outside is 0.
        let pixel = |n: usize, row: isize, column: isize, c: usize| -> f64 {
            let inside = (0..image[0] as isize).contains(&row) && (0..image[1] as isize).contains(&column);
            if inside { x[((n * image[0] + row as usize) * image[1] + column as usize) * x_sizes[3] + c] } else { 0.0 }
        };
        let mut expected = Vec::new();
        let counts: Vec<usize> = (0..2).map(|axis| (padded[axis] - span(axis)) / strides[axis] + 1).collect();
        for n in 0..2 { for row in 0..counts[0] { for column in 0..counts[1] { for f in 0..filters {
            let group = f / (filters / groups);
            let mut sum = 0.0;
            for i in 0..window[0] { for j in 0..window[1] { for c in 0..channels {
                let at = |position: usize, tap: usize, axis: usize| {
                    (position * strides[axis] + tap * dilations[axis]) as isize - padding[axis][0] as isize
                };
                sum += pixel(n, at(row, i, 0), at(column, j, 1), group * channels + c)
                    * k[((i * window[1] + j) * channels + c) * filters + f];
            }}}
            expected.push(sum);
        }}}}
        prop_assert_eq!(&y.shape, &vec![2, counts[0], counts[1], filters]);
        close(&y.data, &expected, 1e-12, "convolution");
    }

    #[test]
    fn same_padding_gives_a_window_for_each_stride(
        size in 1usize..30, window in 1usize..6, stride in 1usize..5, dilation in 1usize..4,
    ) {
        let dim = Dim::fixed(size);
        let [amounts, _] = Padding::Same
            .resolve([&dim, &dim], [window; 2], [stride; 2], [dilation; 2])
            .unwrap();
        let options = ConvolutionOptions {
            strides: [stride; 2], dilations: [dilation; 2], padding: [amounts; 2], groups: 1,
        };
        let graph = Graph::new();
        let x = graph.input("x", Shape::new([1, size, size, 1]), DType::F32).unwrap();
        let k = graph.input("k", Shape::new([window, window, 1, 1]), DType::F32).unwrap();
        let y = x.conv2d(&k, options).unwrap();
        let count = size.div_ceil(stride);
        prop_assert_eq!(y.shape(), Shape::new([1, count, count, 1]));
        prop_assert!(amounts[1] - amounts[0] <= 1);
        if dilation == 1 {
            // Pooling takes the same amounts: no window is padding only.
            prop_assert_eq!(x.max_pool2d(plain([window; 2], [stride; 2], [amounts; 2])).unwrap().shape(), y.shape());
        }
    }

    #[test]
    fn random_numbers_belong_to_their_example(
        batch in 1usize..6, cut in 0usize..6, seed in any::<i32>(), step in 0i64..1000, first in 0i64..1000,
    ) {
        let cut = cut.min(batch);
        let draw = |first: i64, count: usize| {
            run(&[], &Bindings::batch(count), |graph, _| {
                let scalar = |value: i64| graph.constant(Tensor::scalar_i64(value));
                let shape = Shape::batch_of(&[3]);
                graph.random_uniform(&shape, random::stream("dropout", 0), &scalar(seed.into())?, &scalar(step)?, &scalar(first)?)
            })
            .data
        };
        let whole = draw(first, batch);
        let mut parts = draw(first, cut);
        parts.extend(draw(first + cut as i64, batch - cut));
        prop_assert_eq!(&whole, &parts);
        prop_assert!(whole.iter().all(|x| (0.0..1.0).contains(x) && (x * 16_777_216.0).fract() == 0.0));
        let key = random::key(seed as i64 as u64, random::stream("dropout", 0));
        prop_assert_eq!(whole[1], f64::from(random::uniform_at(key, step as u64, first as u64, 1)));
    }
}

#[test]
fn pooling_counts_no_padding() {
    let image = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0].map(|x: f64| -x);
    let window = plain([2, 2], [2, 2], [[1, 0], [0, 1]]);
    let sizes = [1, 3, 3, 1];
    let largest = of(&sizes, DType::F32, &image, |_, x| x.max_pool2d(window));
    assert_eq!(largest.data, [-1.0, -3.0, -4.0, -6.0]);
    let mean = of(&sizes, DType::F32, &image, |_, x| x.average_pool2d(window));
    assert_eq!(mean.data, [-1.5, -3.0, -6.0, -7.5]);
    let bytes = of(&[1, 1, 3, 1], DType::U8, &[7.0, 255.0, 0.0], |_, x| {
        x.max_pool2d(plain([1, 2], [1, 1], [[0; 2]; 2]))
    });
    assert_eq!(bytes.data, [255.0, 255.0]);
}

#[test]
fn the_first_of_equals_and_a_nan_are_the_largest() {
    let row = [1.0, 3.0, 3.0, NAN, NAN, 2.0];
    let window = plain([1, 3], [1, 3], [[0; 2]; 2]);
    let sizes = [1, 1, 6, 1];
    let pooled = of(&sizes, DType::F32, &row, |_, x| x.max_pool2d(window));
    close(&pooled.data, &[3.0, NAN], 0.0, "max_pool2d");
    let places = of(&sizes, DType::F32, &row, |graph, x| {
        let ones = graph
            .scalar(1.0, DType::F32)?
            .broadcast_to(&Shape::new([1, 1, 2, 1]))?;
        graph.add(MaxPool2dGradient { window }.into(), &[x, &ones])
    });
    assert_eq!(places.data, [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
    let gathered = of(&sizes, DType::F32, &row, |graph, x| {
        let counted = graph.iota(x.shape(), 2, DType::F32)?;
        graph.add(MaxPool2dGather { window }.into(), &[x, &counted])
    });
    assert_eq!(gathered.data, [1.0, 3.0]);
    let place = of(&[2, 3], DType::F32, &row, |_, x| x.argmax(-1));
    assert_eq!((place.dtype, place.data), (DType::I32, vec![1.0, 0.0]));
}

#[test]
fn a_window_of_padding_only_is_reduced_as_nothing_is() {
    // An axis that a plan binds to 0, with padding around it.
    let dims = [
        Dim::fixed(1),
        Dim::named("length"),
        Dim::fixed(1),
        Dim::fixed(1),
    ];
    let window = plain([3, 1], [1, 1], [[2, 2], [0, 0]]);
    let bindings = Bindings::new().with("length", 0);
    let pool = |build: fn(&Value, PoolingWindow) -> Result<Value>| {
        let input: (&[Dim], DType, &[f64]) = (&dims, DType::F32, &[]);
        run(&[input], &bindings, |_, x| build(&x[0], window)).data
    };
    close(&pool(Value::max_pool2d), &[-INF; 2], 0.0, "maximum");
    close(&pool(Value::average_pool2d), &[NAN; 2], 0.0, "mean");
    let slope = pool(|x, window| Ok(gradients(&x.max_pool2d(window)?, &[x])?.remove(0)));
    assert!(slope.is_empty());
}

#[test]
fn reductions_of_nothing_and_of_nan() {
    let nothing = |dtype: DType, build: fn(&Value) -> Result<Value>| {
        of(&[2, 0], dtype, &[], |_, x| build(x)).data
    };
    close(
        &nothing(DType::F32, |x| x.sum(&[1], false)),
        &[0.0; 2],
        0.0,
        "sum",
    );
    close(
        &nothing(DType::F32, |x| x.mean(&[1], false)),
        &[NAN; 2],
        0.0,
        "mean",
    );
    close(
        &nothing(DType::F32, |x| x.max(&[1], false)),
        &[-INF; 2],
        0.0,
        "max",
    );
    close(
        &nothing(DType::F32, |x| x.min(&[1], false)),
        &[INF; 2],
        0.0,
        "min",
    );
    close(
        &nothing(DType::F32, |x| x.logsumexp(&[1], false)),
        &[-INF; 2],
        0.0,
        "logsumexp",
    );
    assert_eq!(nothing(DType::U8, |x| x.max(&[1], false)), [0.0; 2]);
    assert_eq!(nothing(DType::U8, |x| x.min(&[1], false)), [255.0; 2]);
    assert_eq!(nothing(DType::I8, |x| x.max(&[1], false)), [-128.0; 2]);
    assert_eq!(
        nothing(DType::I32, |x| x.min(&[1], false)),
        [f64::from(i32::MAX); 2]
    );
    assert_eq!(nothing(DType::Bool, |x| x.max(&[1], false)), [0.0; 2]);
    assert_eq!(nothing(DType::Bool, |x| x.min(&[1], false)), [1.0; 2]);
    let rows = [1.0, NAN, 2.0, NAN, INF, 2.0, -INF, -INF, -INF];
    let sizes = [3, 3];
    let largest = of(&sizes, DType::F32, &rows, |_, x| x.max(&[1], false));
    close(&largest.data, &[NAN, NAN, -INF], 0.0, "max");
    let sums = of(&sizes, DType::F32, &rows, |_, x| x.logsumexp(&[1], false));
    close(&sums.data, &[NAN, NAN, -INF], 0.0, "logsumexp");
    let log = of(&sizes, DType::F32, &rows, |_, x| x.log_softmax());
    assert!(log.data.iter().all(|x| x.is_nan()));
    let loss = of(&sizes, DType::F32, &rows, |graph, x| {
        let classes = graph.constant(Tensor::from_u8(&[3], vec![2; 3])?)?;
        x.sparse_cross_entropy(&classes)
    });
    assert!(loss.data.iter().all(|x| x.is_nan()), "{loss:?}");
}

#[test]
fn reductions_over_no_axis_still_check_their_dtype() -> Result<()> {
    let graph = Graph::new();
    let truth = graph.input("t", Shape::scalar(), DType::Bool)?;
    let integer = graph.input("i", Shape::scalar(), DType::I32)?;
    assert!(truth.sum_all().is_err());
    assert!(integer.mean_all().is_err());
    assert_eq!(integer.sum_all()?.node(), integer.node());
    Ok(())
}

#[test]
fn labels_of_eight_bits_serve_more_classes_than_they_can_count() {
    // d loss / d logits = softmax - one hot; the logits are equal.
    for (dtype, label) in [(DType::U8, 255.0), (DType::I8, 127.0), (DType::I64, 299.0)] {
        let classes = 300;
        let slope = of(
            &[1, classes],
            DType::F32,
            &vec![0.0; classes],
            |graph, x| {
                let label = graph.scalar(label, dtype)?.broadcast_to(&Shape::new([1]))?;
                Ok(gradients(&x.sparse_cross_entropy(&label)?, &[x])?.remove(0))
            },
        );
        let expected: Vec<f64> = (0..classes)
            .map(|class| 1.0 / 300.0 - f64::from(class as f64 == label))
            .collect();
        close(&slope.data, &expected, 1e-12, dtype.name());
    }
}

#[test]
fn the_gradient_of_a_mean_in_16_bits_is_not_lost() {
    // 100 000 elements are more than a float16 can count.
    let count = 100_000;
    let slope = of(&[count], DType::F16, &vec![1.0; count], |_, x| {
        Ok(gradients(&x.mean_all()?, &[x])?.remove(0))
    });
    assert_eq!(slope.dtype, DType::F16);
    close(&slope.data[..1], &[1e-5], 1e-12, "slope");
}

#[test]
fn integers_wrap_around_and_divide_towards_zero() {
    let cast = |dtype: DType| {
        of(&[5], DType::F32, &[-1.5, 1.5, 300.0, NAN, -INF], |_, x| {
            x.cast(dtype)
        })
        .data
    };
    assert_eq!(cast(DType::U8), [0.0, 1.0, 255.0, 0.0, 0.0]);
    assert_eq!(cast(DType::I8), [-1.0, 1.0, 127.0, 0.0, -128.0]);
    assert_eq!(cast(DType::Bool), [1.0; 5]);
    let (a, b) = (123_456_789, 987_654_321);
    let product = of(
        &[2],
        DType::I32,
        &[f64::from(a), f64::from(b)],
        |graph, x| x.multiply(&graph.scalar(f64::from(b), DType::I32)?),
    );
    let expected = [a, b].map(|x: i32| f64::from(x.wrapping_mul(b)));
    assert_eq!(product.data, expected);
    let square = of(&[1], DType::I32, &[f64::from(b)], |_, x| x.square());
    assert_eq!(square.data, expected[1..]);
    let sum = of(&[1], DType::U8, &[200.0], |_, x| x.add(x)?.negate());
    assert_eq!(sum.data, [112.0]);
    // The ends of 64 bits stay what they are.
    for end in [i64::MIN, i64::MAX] {
        let tensor = Tensor::scalar_i64(end);
        assert_eq!(Array::from_tensor(&tensor).to_tensor().unwrap(), tensor);
    }
    let largest = of(&[1], DType::F32, &[1e30], |_, x| x.cast(DType::I64));
    assert_eq!(largest.to_tensor().unwrap().as_i64(), Some(&[i64::MAX][..]));
    let quotient = of(&[4], DType::I32, &[7.0, -7.0, 7.0, 0.0], |graph, x| {
        let divisor = graph.constant(Tensor::from_i32(&[4], vec![2, 2, 0, 0])?)?;
        x.divide(&divisor)
    });
    assert_eq!(quotient.data, [3.0, -3.0, 0.0, 0.0]);
}

#[test]
fn counters_and_sizes() {
    let bindings = Bindings::batch(2).with("length", 3);
    let counted = run(&[], &bindings, |graph, _| {
        let shape = Shape::new([Dim::batch(), Dim::named("length"), Dim::fixed(2)]);
        graph.iota(shape, -2, DType::I32)
    });
    assert_eq!(
        counted.data,
        [0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 0.0, 0.0, 1.0, 1.0, 2.0, 2.0]
    );
    let size = run(&[], &bindings, |graph, _| {
        let folded = &Dim::batch() * &Dim::named("length");
        graph.dimension_size(&folded, DType::I64)
    });
    assert_eq!((size.shape, size.data), (vec![], vec![6.0]));
}

#[test]
fn named_axes_can_be_shifted_by_a_slice_and_padded() {
    // What comes before, and what comes next, along a length that is not known yet.
    let dims = [Dim::named("length")];
    let bindings = Bindings::new().with("length", 4);
    let input: (&[Dim], DType, &[f64]) = (&dims, DType::F32, &[1.0, 2.0, 3.0, 4.0]);
    let next = run(&[input], &bindings, |_, x| {
        x[0].slice(&[1], &[dims[0].offset(-1)], &[1])
    });
    assert_eq!(next.data, [2.0, 3.0, 4.0]);
    let before = run(&[input], &bindings, |_, x| {
        x[0].pad(&[1], &[0], 0.5)?.slice(&[0], &dims, &[1])
    });
    assert_eq!(before.data, [0.5, 1.0, 2.0, 3.0]);
    let graph = Graph::new();
    let x = graph
        .input("x", Shape::from(dims.to_vec()), DType::F32)
        .unwrap();
    for (start, size, step) in [
        (0, dims[0].offset(1), 1),
        (1, dims[0].clone(), 1),
        (0, dims[0].clone(), 2),
        (0, Dim::fixed(1), 1),
        (0, Dim::named("other"), 1),
    ] {
        assert!(x.slice(&[start], &[size], &[step]).is_err());
    }
}

#[test]
fn nothing_takes_no_time_however_large_the_other_axes() {
    let sizes = [1 << 50, 0];
    let twice = of(&sizes, DType::F32, &[], |graph, x| {
        graph.concatenate(&[x, x], 1)
    });
    assert_eq!(twice.shape, sizes);
}
