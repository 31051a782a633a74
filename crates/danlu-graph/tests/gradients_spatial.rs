//! Convolution, pooling and movements: shapes and gradients of first and second order.

mod common;

use common::{axis, bindings, cases, check_gradients, operand, shape};
use danlu_graph::operations::{
    AveragePool2dGradient, ConvolutionOptions, MaxPool2dGather, MaxPool2dGradient, Pad,
    PoolingWindow,
};
use danlu_graph::{BATCH, Bindings, Dim, Shape};
use proptest::array::uniform2;
use proptest::collection::vec;
use proptest::prelude::*;

/// Rows and columns of an image, the rows named `length` or not.
fn image(named: bool, sizes: [usize; 2], channels: usize) -> Shape {
    let rows = if named {
        Dim::named("length")
    } else {
        Dim::fixed(sizes[0])
    };
    Shape::from(vec![
        Dim::batch(),
        rows,
        Dim::fixed(sizes[1]),
        Dim::fixed(channels),
    ])
}

/// How many windows fit.
fn windows(size: usize, padding: [usize; 2], span: usize, stride: usize) -> usize {
    (size + padding[0] + padding[1] - span) / stride + 1
}

#[derive(Clone, Debug)]
struct Convolution {
    options: ConvolutionOptions,
    window: [usize; 2],
    sizes: [usize; 2],
    channels: usize,
    filters: usize,
    named: bool,
    batch: usize,
}

impl Convolution {
    fn bindings(&self) -> Bindings {
        Bindings::batch(self.batch).with("length", self.sizes[0])
    }
    fn input(&self) -> Shape {
        image(self.named, self.sizes, self.channels * self.options.groups)
    }
    fn kernel(&self) -> Vec<usize> {
        let [rows, columns] = self.window;
        vec![
            rows,
            columns,
            self.channels,
            self.filters * self.options.groups,
        ]
    }
    fn output(&self) -> Vec<usize> {
        let size = |axis: usize| {
            let span = (self.window[axis] - 1) * self.options.dilations[axis] + 1;
            let padding = self.options.padding[axis];
            windows(self.sizes[axis], padding, span, self.options.strides[axis])
        };
        vec![
            self.batch,
            size(0),
            size(1),
            self.filters * self.options.groups,
        ]
    }
}

fn convolution() -> impl Strategy<Value = Convolution> {
    (
        (
            uniform2(1usize..4),
            uniform2(1usize..3),
            uniform2(uniform2(0usize..3)),
        ),
        (uniform2(1usize..4), uniform2(0usize..4)),
        (1usize..3, 1usize..3, 1usize..3),
        any::<bool>(),
        1usize..3,
    )
        .prop_map(
            |(
                (strides, dilations, padding),
                (window, more),
                (groups, channels, filters),
                named,
                batch,
            )| {
                let size = |axis: usize| {
                    let span = (window[axis] - 1) * dilations[axis] + 1;
                    let around = padding[axis][0] + padding[axis][1];
                    (span + more[axis]).saturating_sub(around).max(1)
                };
                Convolution {
                    options: ConvolutionOptions {
                        strides,
                        dilations,
                        padding,
                        groups,
                    },
                    window,
                    sizes: [size(0), size(1)],
                    channels,
                    filters,
                    named,
                    batch,
                }
            },
        )
}

#[derive(Clone, Debug)]
struct Pooling {
    window: PoolingWindow,
    sizes: [usize; 2],
    channels: usize,
    named: bool,
    batch: usize,
}

impl Pooling {
    fn bindings(&self) -> Bindings {
        Bindings::batch(self.batch).with("length", self.sizes[0])
    }
    fn input(&self) -> Shape {
        image(self.named, self.sizes, self.channels)
    }
    fn output(&self) -> Vec<usize> {
        let PoolingWindow {
            size,
            strides,
            padding,
        } = self.window;
        let count =
            |axis: usize| windows(self.sizes[axis], padding[axis], size[axis], strides[axis]);
        vec![self.batch, count(0), count(1), self.channels]
    }
}

/// Windows that overlap, touch or leave gaps, with and without padding.
fn pooling() -> impl Strategy<Value = Pooling> {
    (
        (
            uniform2(1usize..4),
            uniform2(1usize..5),
            uniform2(uniform2(0usize..3)),
        ),
        uniform2(0usize..4),
        1usize..3,
        any::<bool>(),
        1usize..3,
    )
        .prop_map(|((size, strides, padding), more, channels, named, batch)| {
            let padding: [[usize; 2]; 2] =
                std::array::from_fn(|axis| padding[axis].map(|amount| amount.min(size[axis] - 1)));
            let sizes = std::array::from_fn(|axis: usize| {
                let around = padding[axis][0] + padding[axis][1];
                (size[axis] + more[axis]).saturating_sub(around).max(1)
            });
            Pooling {
                window: PoolingWindow {
                    size,
                    strides,
                    padding,
                },
                sizes,
                channels,
                named,
                batch,
            }
        })
}

proptest! {
    #![proptest_config(cases(80))]

    #[test]
    fn convolutions(case in convolution(), salt in 0u64..1000) {
        check_gradients(
            &[operand(case.input()), operand(case.kernel().as_slice())],
            &case.bindings(),
            &case.output(),
            salt,
            |_, x| x[0].conv2d(&x[1], case.options),
        );
    }

    #[test]
    fn gradients_of_convolutions(case in convolution(), salt in 0u64..1000) {
        // Taken as operations of their own, with operands of their own.
        let graph = danlu_graph::Graph::new();
        let x = graph.input("x", case.input(), danlu_graph::DType::F32).unwrap();
        let kernel = graph.state("k", &case.kernel(), danlu_graph::DType::F32).unwrap();
        let output = x.conv2d(&kernel, case.options).unwrap().shape();
        check_gradients(
            &[operand(output.clone()), operand(case.kernel().as_slice())],
            &case.bindings(),
            &case.input().evaluate(&case.bindings()).unwrap(),
            salt,
            |_, x| x[0].conv2d_input_gradient(&x[1], case.options, &case.input()),
        );
        check_gradients(
            &[operand(case.input()), operand(output)],
            &case.bindings(),
            &case.kernel(),
            salt,
            |_, x| x[0].conv2d_weight_gradient(&x[1], case.options, case.window),
        );
    }

    #[test]
    fn poolings(case in pooling(), salt in 0u64..1000) {
        let operands = [operand(case.input())];
        let (bindings, output) = (case.bindings(), case.output());
        check_gradients(&operands, &bindings, &output, salt, |_, x| x[0].max_pool2d(case.window));
        check_gradients(&operands, &bindings, &output, salt, |_, x| x[0].average_pool2d(case.window));
    }

    #[test]
    fn gradients_of_poolings(case in pooling(), salt in 0u64..1000) {
        let graph = danlu_graph::Graph::new();
        let x = graph.input("x", case.input(), danlu_graph::DType::F32).unwrap();
        let output = x.max_pool2d(case.window).unwrap().shape();
        let (bindings, window) = (case.bindings(), case.window);
        let input = case.input().evaluate(&bindings).unwrap();
        let (whole, pooled) = (operand(case.input()), operand(output));
        check_gradients(&[whole.clone(), pooled.clone()], &bindings, &input, salt, |graph, x| {
            graph.add(MaxPool2dGradient { window }.into(), &[&x[0], &x[1]])
        });
        check_gradients(&[whole.clone(), whole], &bindings, &case.output(), salt, |graph, x| {
            graph.add(MaxPool2dGather { window }.into(), &[&x[0], &x[1]])
        });
        check_gradients(&[pooled], &bindings, &input, salt, |graph, x| {
            graph.add(AveragePool2dGradient { window, input: case.input() }.into(), &[&x[0]])
        });
    }

    #[test]
    fn transposes(
        axes in vec(axis(), 0..4),
        order in any::<[u8; 4]>(),
        bindings in bindings(),
        salt in 0u64..1000,
    ) {
        let mut permutation: Vec<usize> = (0..axes.len()).collect();
        permutation.sort_by_key(|&axis| order[axis]);
        let sizes = shape(&axes).evaluate(&bindings).unwrap();
        let expected: Vec<usize> = permutation.iter().map(|&axis| sizes[axis]).collect();
        check_gradients(&[operand(shape(&axes))], &bindings, &expected, salt, |_, x| {
            x[0].transpose(&permutation)?.square()
        });
    }

    #[test]
    fn reshapes(
        axes in vec(axis(), 1..4),
        cut in 0usize..3,
        bindings in bindings(),
        salt in 0u64..1000,
    ) {
        // Two neighbouring axes become one, a 1 is put in front.
        let mut dims = vec![Dim::fixed(1)];
        let cut = cut.min(axes.len() - 1);
        for (place, axis) in axes.iter().enumerate() {
            if place > 0 && place == cut {
                let last = dims.pop().unwrap();
                dims.push(&last * &axis.dim());
            } else {
                dims.push(axis.dim());
            }
        }
        let to = Shape::from(dims);
        let expected = to.evaluate(&bindings).unwrap();
        check_gradients(&[operand(shape(&axes))], &bindings, &expected, salt, |_, x| {
            x[0].reshape(&to)?.square()
        });
    }

    #[test]
    fn slices(
        axes in vec((0usize..3, 0usize..4, 1usize..4, 0usize..3, any::<bool>()), 1..4),
        salt in 0u64..1000,
    ) {
        // start, size, step, left over, and whether the size is named.
        let (mut dims, mut starts, mut sizes, mut steps) = (vec![], vec![], vec![], vec![]);
        let (mut expected, mut bindings) = (vec![], Bindings::new());
        for (axis, (start, size, step, after, named)) in axes.into_iter().enumerate() {
            let name = format!("n{axis}");
            let size_dim = if named && size > 0 { Dim::named(&name) } else { Dim::fixed(size) };
            bindings = bindings.with(&name, size);
            let steps_taken = if size == 0 { Dim::fixed(0) } else { &size_dim.offset(-1) * &Dim::fixed(step) };
            let one = usize::from(size > 0);
            dims.push(steps_taken.offset((start + one + after) as i64));
            starts.push(start);
            sizes.push(size_dim);
            steps.push(step);
            expected.push(size);
        }
        check_gradients(&[operand(Shape::from(dims))], &bindings, &expected, salt, |_, x| {
            x[0].slice(&starts, &sizes, &steps)?.square()
        });
    }

    #[test]
    fn paddings(
        axes in vec((axis(), 0usize..3, 0usize..3, 0usize..3), 0..4),
        bindings in bindings(),
        salt in 0u64..1000,
    ) {
        let dims = Shape::new(axes.iter().map(|(axis, ..)| axis.dim()));
        // Between the examples of an empty batch there is nothing to put.
        let gap = |axis: &common::Axis, gap: usize| if axis.dim().is_batch() { 0 } else { gap };
        let pad = Pad {
            low: axes.iter().map(|x| x.1).collect(),
            high: axes.iter().map(|x| x.2).collect(),
            interior: axes.iter().map(|x| gap(&x.0, x.3)).collect(),
            value: 0.25,
        };
        let sizes = dims.evaluate(&bindings).unwrap();
        let expected: Vec<usize> = (0..sizes.len())
            .map(|axis| sizes[axis] + (sizes[axis] - 1) * pad.interior[axis] + pad.low[axis] + pad.high[axis])
            .collect();
        check_gradients(&[operand(dims)], &bindings, &expected, salt, |graph, x| {
            graph.add(pad.clone().into(), &[&x[0]])?.square()
        });
    }

    #[test]
    fn concatenations(
        axes in vec(axis(), 1..4),
        along in 0usize..3,
        sizes in vec(0usize..4, 1..4),
        negative in any::<bool>(),
        bindings in bindings(),
        salt in 0u64..1000,
    ) {
        let along = along.min(axes.len() - 1);
        let with_size = |size: Dim| {
            let mut dims = shape(&axes).dims().to_vec();
            dims[along] = size;
            Shape::from(dims)
        };
        let operands: Vec<_> = sizes.iter().map(|&size| operand(with_size(Dim::fixed(size)))).collect();
        let mut expected = shape(&axes).evaluate(&bindings).unwrap();
        expected[along] = sizes.iter().sum();
        let axis = if negative { along as isize - axes.len() as isize } else { along as isize };
        check_gradients(&operands, &bindings, &expected, salt, |graph, x| {
            graph.concatenate(&x.iter().collect::<Vec<_>>(), axis)?.square()
        });
    }

    #[test]
    fn broadcasts(
        axes in vec(axis(), 0..4),
        ones in any::<u8>(),
        missing in 0usize..4,
        bindings in bindings(),
        salt in 0u64..1000,
    ) {
        let expected = shape(&axes).evaluate(&bindings).unwrap();
        check_gradients(&[operand(common::broadcastable(&axes, ones, missing))], &bindings, &expected, salt, |_, x| {
            x[0].broadcast_to(&shape(&axes))?.square()
        });
    }
}

#[test]
fn a_small_network_is_differentiated_twice() {
    let options = ConvolutionOptions {
        strides: [1, 1],
        dilations: [1, 1],
        padding: [[1, 1], [1, 1]],
        groups: 1,
    };
    let window = PoolingWindow {
        size: [2, 2],
        strides: [2, 2],
        padding: [[0; 2]; 2],
    };
    check_gradients(
        &[
            operand(Shape::batch_of(&[4, 4, 1])),
            operand([3, 3, 1, 2].as_slice()),
            operand([8, 3].as_slice()),
            operand([3].as_slice()),
        ],
        &Bindings::new().with(BATCH, 2),
        &[2, 3],
        5,
        |_, x| {
            let hidden = x[0].conv2d(&x[1], options)?.tanh()?.max_pool2d(window)?;
            let flat = hidden.reshape(&Shape::batch_of(&[8]))?;
            flat.matmul(&x[2])?.add(&x[3])?.log_softmax()
        },
    );
}
