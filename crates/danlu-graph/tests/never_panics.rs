//! Whatever the shapes, dtypes and attributes: an error or a value, never a panic and never an overflow. What was built
//! is differentiated, rewritten and evaluated too.

mod common;

use std::collections::BTreeSet;

use common::{Random, cases};
use danlu_graph::operations::*;
use danlu_graph::reference::{Array, ReferenceExecutor};
use danlu_graph::rewrite::optimize;
use danlu_graph::{
    Bindings, DType, Dim, Graph, Operation, Program, Result, Shape, Tensor, Value, gradients,
};
use proptest::prelude::*;

/// Draws arguments: mostly small and sensible, sometimes absurd.
struct Draw {
    random: Random,
    absurd: bool,
}

impl Draw {
    fn size(&mut self) -> usize {
        let huge = [
            1 << 31,
            1 << 62,
            i64::MAX as usize,
            usize::MAX - 1,
            usize::MAX,
        ];
        if self.absurd && self.random.below(8) == 0 {
            *self.random.pick(&huge)
        } else {
            *self.random.pick(&[0, 1, 1, 1, 2, 2, 3])
        }
    }

    fn sizes<const N: usize>(&mut self) -> [usize; N] {
        std::array::from_fn(|_| self.size())
    }

    fn list(&mut self, length: usize) -> Vec<usize> {
        let length = match self.random.below(20) {
            0 => length + 1,
            1 => length.saturating_sub(1),
            _ => length,
        };
        (0..length).map(|_| self.size()).collect()
    }

    fn dim(&mut self) -> Dim {
        let length = Dim::named("length");
        let size = self.size();
        match self.random.below(12) {
            0 => Dim::batch(),
            1 => length,
            2 => length.offset(-(self.random.below(3) as i64)),
            3 => length.floor_divide(size),
            4 => &length * &Dim::fixed(size),
            5 => Dim::fixed(size).offset(-1),
            _ => Dim::fixed(size),
        }
    }

    fn shape(&mut self) -> Shape {
        let rank = *self.random.pick(&[0, 1, 2, 2, 3, 4, 4]);
        Shape::new((0..rank).map(|_| self.dim()))
    }

    fn axis(&mut self) -> isize {
        let near = self.random.below(7) as isize - 3;
        *self
            .random
            .pick(&[near, near, near, near, near, isize::MIN, isize::MAX])
    }

    fn options(&mut self) -> ConvolutionOptions {
        ConvolutionOptions {
            strides: self.sizes(),
            dilations: self.sizes(),
            padding: [self.sizes(), self.sizes()],
            groups: *self.random.pick(&[1, 1, 2, 0, usize::MAX]),
        }
    }

    fn window(&mut self) -> PoolingWindow {
        let size = self.sizes();
        let padding =
            [self.sizes(), self.sizes()].map(
                |sizes: [usize; 2]| {
                    if self.random.chance() { [0, 0] } else { sizes }
                },
            );
        PoolingWindow {
            size,
            strides: self.sizes(),
            padding,
        }
    }

    fn float(&mut self) -> f64 {
        *self
            .random
            .pick(&[0.0, -0.0, 1.0, -2.5, 300.0, 1e300, f64::NAN, f64::INFINITY])
    }

    /// An operation on values of a rank.
    fn operation(&mut self, rank: usize) -> Operation {
        let (options, window, shape) = (self.options(), self.window(), self.shape());
        let dtype = *self.random.pick(&DType::ALL);
        match self.random.below(31) {
            0 => Unary {
                kind: *self.random.pick(UnaryKind::ALL),
            }
            .into(),
            1 | 2 => Binary {
                kind: *self.random.pick(BinaryKind::ALL),
            }
            .into(),
            3 => Compare {
                kind: *self.random.pick(CompareKind::ALL),
            }
            .into(),
            4 => Select.into(),
            5 => Cast { dtype }.into(),
            6 => Reduce {
                kind: *self.random.pick(ReduceKind::ALL),
                axes: self.list(rank.min(1)),
                keep_dims: self.random.chance(),
            }
            .into(),
            7 => ArgMax { axis: self.size() }.into(),
            8 => Reshape { shape }.into(),
            9 => Transpose {
                permutation: self.list(rank),
            }
            .into(),
            10 | 11 => Slice {
                starts: self.list(rank),
                sizes: self.list(rank).into_iter().map(Dim::fixed).collect(),
                steps: self.list(rank),
            }
            .into(),
            12 => Concatenate { axis: self.size() }.into(),
            13 | 14 => Pad {
                low: self.list(rank),
                high: self.list(rank),
                interior: self.list(rank),
                value: self.float(),
            }
            .into(),
            15 => BroadcastTo { shape }.into(),
            16 => MatMul {
                transpose_left: self.random.chance(),
                transpose_right: self.random.chance(),
            }
            .into(),
            17 => Convolution2d { options }.into(),
            18 => Convolution2dInputGradient {
                options,
                input: shape,
            }
            .into(),
            19 => Convolution2dWeightGradient {
                options,
                window: self.sizes(),
            }
            .into(),
            20 => MaxPool2d { window }.into(),
            21 => AveragePool2d { window }.into(),
            22 => AveragePool2dGradient {
                window,
                input: shape,
            }
            .into(),
            23 => self
                .random
                .pick(&[
                    Operation::from(Softmax),
                    LogSoftmax.into(),
                    SparseCrossEntropy.into(),
                    StopGradient.into(),
                ])
                .clone(),
            24 => match self.random.chance() {
                true => MaxPool2dGradient { window }.into(),
                false => MaxPool2dGather { window }.into(),
            },
            25 => Gather.into(),
            26 => ScatterAdd { shape }.into(),
            27 => CumulativeSum {
                axis: self.size(),
                exclusive: self.random.chance(),
                reverse: self.random.chance(),
            }
            .into(),
            28 => {
                let descending = self.random.chance();
                let count = self.random.chance().then(|| self.size());
                match self.random.chance() {
                    true => Sort { descending, count }.into(),
                    false => ArgSort { descending, count }.into(),
                }
            }
            29 => RandomNormal {
                stream: self.random.next(),
                shape,
            }
            .into(),
            _ => RandomUniform {
                stream: self.random.next(),
                shape,
            }
            .into(),
        }
    }

    /// Other inputs for an operation to which random ones hardly ever fit: now and then, those that do.
    fn fitting(
        &mut self,
        operation: &Operation,
        inputs: [Value; 3],
        values: &[Value],
    ) -> [Value; 3] {
        let rare = match operation {
            Operation::Convolution2d(_)
            | Operation::Convolution2dInputGradient(_)
            | Operation::Convolution2dWeightGradient(_)
            | Operation::MaxPool2dGradient(_)
            | Operation::MaxPool2dGather(_)
            | Operation::SparseCrossEntropy(_)
            | Operation::Gather(_)
            | Operation::ScatterAdd(_)
            | Operation::RandomNormal(_)
            | Operation::RandomUniform(_) => true,
            _ => self.random.below(4) == 0,
        };
        for _ in 0..if rare { 200 } else { 0 } {
            let candidates: [Value; 3] = std::array::from_fn(|_| self.random.pick(values).clone());
            let types = candidates.each_ref().map(Value::value_type);
            if (1..=3).any(|count| operation.infer(&types[..count]).is_ok()) {
                return candidates;
            }
        }
        inputs
    }

    /// One of the short names of a value or a graph.
    fn method(&mut self, graph: &Graph, a: &Value, b: &Value) -> Result<Value> {
        let keep = self.random.chance();
        let axes: Vec<isize> = (0..self.random.below(3)).map(|_| self.axis()).collect();
        match self.random.below(20) {
            0 => a.sum(&axes, keep),
            1 => a.mean(&axes, keep),
            2 => a.max(&axes, keep),
            3 => a.logsumexp(&axes, keep),
            4 => a.argmax(self.axis()),
            5 => a.narrow(self.axis(), self.size(), self.size()),
            6 => graph.concatenate(&[a, b][..self.random.below(3)], self.axis()),
            7 => graph.iota(self.shape(), self.axis(), a.dtype()),
            8 => graph.dimension_size(&self.dim(), a.dtype()),
            9 => a.add_scalar(self.float()),
            10 => a.multiply_scalar(self.float()),
            11 => a.cross_entropy(b),
            12 => a.mean_all(),
            13 => a.pad(
                &self.list(a.shape().rank()),
                &self.list(a.shape().rank()),
                self.float(),
            ),
            14 => {
                let sizes = a.image_sizes()?;
                let [window, strides, dilations] = [self.sizes(), self.sizes(), self.sizes()];
                let padding =
                    Padding::Same.resolve([&sizes[0], &sizes[1]], window, strides, dilations)?;
                let window = PoolingWindow {
                    size: window,
                    strides,
                    padding,
                };
                if keep {
                    a.max_pool2d(window)
                } else {
                    a.average_pool2d(window)
                }
            }
            15 => a.sort(self.axis(), keep),
            16 => a.gather(&b.argsort(self.axis(), keep)?),
            17 => a.top_k(self.size()).map(|(values, _)| values),
            18 => {
                let indices = b.cast(DType::I32)?;
                a.scatter_add(&indices, &a.gather(&indices)?)
            }
            _ => graph.input("x", self.shape(), *self.random.pick(&DType::ALL)),
        }
    }
}

/// Elements of all kinds.
fn array(random: &mut Random, shape: Vec<usize>, dtype: DType) -> Array {
    let strange = [
        0.0,
        -1.0,
        1.0,
        0.5,
        3.0,
        1e30,
        -1e30,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    let count = shape.iter().product();
    let data = (0..count).map(|_| *random.pick(&strange)).collect();
    Array::new(shape, dtype, data)
}

/// Whether the reference can evaluate it in no time.
fn is_small(program: &Program, bindings: &Bindings) -> bool {
    let mut total = 0;
    program.nodes().iter().all(|node| {
        let window = match &node.operation {
            Operation::MaxPool2d(pool) => pool.window.size,
            Operation::MaxPool2dGradient(pool) => pool.window.size,
            Operation::MaxPool2dGather(pool) => pool.window.size,
            Operation::AveragePool2d(pool) => pool.window.size,
            Operation::AveragePool2dGradient(pool) => pool.window.size,
            _ => [1, 1],
        };
        let Ok(shape) = node.value_type.shape.evaluate(bindings) else {
            return false;
        };
        total += shape.iter().product::<usize>().min(1 << 20);
        total < 2000 && window.iter().all(|&size| size < 10)
    })
}

/// How much of a random session worked: calls, gradients, evaluations. `seen` takes the names of what was evaluated.
fn session(seed: u64, calls: usize, absurd: bool, seen: &mut BTreeSet<String>) -> [usize; 3] {
    let mut draw = Draw {
        random: Random(seed),
        absurd,
    };
    let graph = Graph::new();
    let mut values = vec![graph.scalar(2.0, DType::F32).unwrap()];
    for place in 0..6 {
        let dtype = *draw.random.pick(&[
            DType::F32,
            DType::F32,
            DType::F32,
            DType::I32,
            DType::Bool,
            DType::U8,
        ]);
        let shape = draw.shape();
        let name = format!("i{place}");
        values.extend(graph.input(&name, shape, dtype));
    }
    values.extend(graph.input("image", Shape::batch_of(&[3, 3, 2]), DType::F32));
    values.extend(graph.state("kernel", &[2, 1, 2, 2], DType::F32));
    values.extend(graph.state("absurd", &[draw.size()], DType::F32));
    values.extend(graph.constant(Tensor::from_i32(&[3], vec![i32::MIN, 0, i32::MAX]).unwrap()));
    values.extend(graph.constant(Tensor::scalar_i64(i64::MIN)));
    let mut worked = [0; 3];
    for _ in 0..calls {
        let pick = |draw: &mut Draw| draw.random.pick(&values).clone();
        let inputs = [pick(&mut draw), pick(&mut draw), pick(&mut draw)];
        let made = if draw.random.chance() {
            draw.method(&graph, &inputs[0], &inputs[1])
        } else {
            let operation = draw.operation(inputs[0].shape().rank());
            let inputs = draw.fitting(&operation, inputs, &values);
            // As many inputs as it takes, or nearly.
            let takes = (0..=3).find(|&count| {
                let types: Vec<_> = inputs[..count].iter().map(Value::value_type).collect();
                operation.infer(&types).is_ok()
            });
            let count = takes.unwrap_or_else(|| draw.random.below(4));
            graph.add(operation, &inputs[..count].iter().collect::<Vec<_>>())
        };
        if let Ok(value) = made {
            worked[0] += 1;
            values.push(value);
        }
    }
    let mut outputs = values.clone();
    for value in values.iter().rev().take(3) {
        let with_respect_to: Vec<&Value> = values
            .iter()
            .filter(|value| value.dtype().is_float())
            .collect();
        if let Ok(slopes) = gradients(value, &with_respect_to) {
            worked[1] += 1;
            for (slope, value) in slopes.iter().zip(with_respect_to) {
                assert_eq!(slope.value_type(), value.value_type());
            }
            outputs.extend(slopes);
        }
    }
    for value in &outputs {
        let mut inputs: Vec<Value> = Vec::new();
        for candidate in &values {
            if let Operation::Input(input) = candidate.operation()
                && !inputs.iter().any(|known| matches!(known.operation(), Operation::Input(other) if other.name == input.name))
            {
                inputs.push(candidate.clone());
            }
        }
        let inputs: Vec<&Value> = inputs.iter().collect();
        let Ok(mut program) = Program::new(&graph, &inputs, &[("y", value)], &[]) else {
            continue;
        };
        assert!(!program.to_string().is_empty());
        for (batch, length) in [(0, 0), (1, 2), (2, 5)] {
            let bindings = Bindings::batch(batch).with("length", length);
            if !is_small(&program, &bindings) {
                continue;
            }
            let mut executor = ReferenceExecutor::new();
            for (name, value_type) in program.states() {
                let shape = value_type.shape.as_fixed().unwrap();
                executor.set_state(&name, array(&mut draw.random, shape, value_type.dtype));
            }
            let arrays: Result<Vec<Array>> = program
                .inputs()
                .iter()
                .map(|spec| {
                    let shape = spec.value_type.shape.evaluate(&bindings)?;
                    // The absurd ones are not live, but a run must be given them.
                    danlu_graph::tensor::element_count(&shape)
                        .ok()
                        .filter(|&count| count < 2000)
                        .ok_or_else(|| danlu_graph::Error::new("too large"))?;
                    Ok(array(&mut draw.random, shape, spec.value_type.dtype))
                })
                .collect();
            if let Ok(arrays) = arrays
                && common::evaluate(&executor, &program, &bindings, &arrays).is_ok()
            {
                worked[2] += 1;
                seen.extend(program.nodes().iter().map(|node| node.operation.name()));
            }
        }
        optimize(&mut program).unwrap();
    }
    worked
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn sensible_arguments(seed in any::<u64>(), calls in 1usize..40) {
        session(seed, calls, false, &mut BTreeSet::new());
    }

    #[test]
    fn absurd_arguments(seed in any::<u64>(), calls in 1usize..40) {
        session(seed, calls, true, &mut BTreeSet::new());
    }
}

#[test]
fn much_of_what_is_drawn_works() {
    let (mut worked, mut seen) = ([0; 3], BTreeSet::new());
    for seed in 0..100 {
        let part = session(seed, 40, false, &mut seen);
        (0..3).for_each(|index| worked[index] += part[index]);
    }
    assert!(
        worked[0] > 500 && worked[1] > 30 && worked[2] > 1000,
        "{worked:?}"
    );
    let every = [
        "input",
        "state",
        "constant",
        "iota",
        "dimension_size",
        "select",
        "cast",
        "stop_gradient",
        "sum",
        "argmax",
        "reshape",
        "transpose",
        "slice",
        "concatenate",
        "pad",
        "broadcast_to",
        "matmul",
        "conv2d",
        "conv2d_input_gradient",
        "conv2d_weight_gradient",
        "max_pool2d",
        "max_pool2d_gradient",
        "max_pool2d_gather",
        "average_pool2d",
        "average_pool2d_gradient",
        "softmax",
        "log_softmax",
        "sparse_cross_entropy",
        "gather",
        "scatter_add",
        "cumulative_sum",
        "sort",
        "argsort",
        "random_uniform",
        "random_normal",
    ];
    let missing: Vec<&str> = every
        .into_iter()
        .filter(|name| !seen.contains(*name))
        .collect();
    assert!(missing.is_empty(), "never evaluated: {missing:?}");
}
