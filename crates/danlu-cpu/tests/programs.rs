//! Whole programs on the CPU against the reference, for every instruction set and number of threads.

use danlu_cpu::{CpuExecutor, CpuOptions, Isa};
use danlu_graph::executor::output_tensors;
use danlu_graph::operations::{ConvolutionOptions, PoolingWindow};
use danlu_graph::reference::ReferenceExecutor;
use danlu_graph::{
    Bindings, DType, Dim, Executor, Graph, Program, Result, Shape, Tensor, Value, gradients,
};

/// Numbers that look random and are the same everywhere, in [-1, 1).
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    (0..count as u64)
        .map(|index| {
            danlu_graph::operations::random::uniform_at([seed as u32, 7], 0, 0, index) * 2.0 - 1.0
        })
        .collect()
}

struct Case {
    program: Program,
    states: Vec<(String, Tensor)>,
    inputs: Vec<Tensor>,
    batch: usize,
}

type Results = (Vec<Tensor>, Vec<Tensor>);

fn run(case: &Case, executor: &mut dyn Executor, steps: usize) -> Result<Results> {
    for (name, value) in &case.states {
        executor.create_state(name, value)?;
    }
    let bindings = Bindings::batch(case.batch);
    let plan = executor.compile(&case.program, &bindings)?;
    let mut outputs = output_tensors(&case.program, &bindings)?;
    let inputs: Vec<&Tensor> = case.inputs.iter().collect();
    for _ in 0..steps {
        executor.run(plan, &inputs, &mut outputs)?;
    }
    let states = case
        .states
        .iter()
        .map(|(name, _)| executor.read_state(name))
        .collect::<Result<Vec<Tensor>>>()?;
    Ok((outputs, states))
}

fn assert_close(what: &str, actual: &[Tensor], expected: &[Tensor], tolerance: f64) {
    for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        assert_eq!(actual.shape(), expected.shape(), "{what} {index}");
        let (actual, expected) = (actual.to_f64(), expected.to_f64());
        let scale = expected
            .iter()
            .fold(1e-3f64, |scale, value| scale.max(value.abs()));
        for (place, (a, e)) in actual.iter().zip(&expected).enumerate() {
            let same = a == e || (a.is_nan() && e.is_nan());
            assert!(
                same || (a - e).abs() <= tolerance * scale,
                "{what} {index}[{place}]: {a} is not {e}"
            );
        }
    }
}

/// Runs a case everywhere: within the tolerance of the reference, and the same bits for any number of threads.
fn check(case: &Case, steps: usize, tolerance: f64) {
    let expected = run(case, &mut ReferenceExecutor::new(), steps).unwrap();
    for isa in Isa::available() {
        let mut first: Option<Results> = None;
        for threads in [1, 2, 3, 8] {
            let options = CpuOptions {
                threads: Some(threads),
                isa: Some(isa),
            };
            let mut executor = CpuExecutor::new(options).unwrap();
            let found = run(case, &mut executor, steps).unwrap();
            let what = format!("{} with {threads} threads", executor.describe());
            assert_close(&format!("{what}: output"), &found.0, &expected.0, tolerance);
            assert_close(&format!("{what}: state"), &found.1, &expected.1, tolerance);
            match &first {
                None => first = Some(found),
                Some(first) => assert!(*first == found, "{what}: other bits than 1 thread"),
            }
        }
    }
}

/// Adam as an optimizer would write it, on every parameter.
fn adam(
    graph: &Graph,
    loss: &Value,
    parameters: &[(String, Value)],
) -> Result<Vec<(String, Value)>> {
    let values: Vec<&Value> = parameters.iter().map(|(_, value)| value).collect();
    let slopes = gradients(loss, &values)?;
    let iteration = graph.state("iteration", &[], DType::I64)?;
    let next = iteration.add_scalar(1.0)?;
    let t = next.cast(DType::F32)?;
    let power = |base: f64| -> Result<Value> {
        graph
            .scalar(base, DType::F32)?
            .power(&t)?
            .negate()?
            .add_scalar(1.0)
    };
    let alpha = power(0.999)?
        .sqrt()?
        .multiply_scalar(0.01)?
        .divide(&power(0.9)?)?;
    let mut updates = vec![("iteration".to_owned(), next)];
    for ((name, parameter), slope) in parameters.iter().zip(slopes) {
        let shape = parameter.shape().as_fixed().unwrap();
        let m = graph.state(&format!("{name}/m"), &shape, DType::F32)?;
        let v = graph.state(&format!("{name}/v"), &shape, DType::F32)?;
        let m_next = m
            .add(&slope.subtract(&m)?.multiply_scalar(0.1)?)?
            .flush_tiny()?;
        let v_next = v
            .add(&slope.square()?.subtract(&v)?.multiply_scalar(0.001)?)?
            .flush_tiny()?;
        let step = m_next
            .multiply(&alpha)?
            .divide(&v_next.sqrt()?.add_scalar(1e-7)?)?;
        updates.push((name.clone(), parameter.subtract(&step)?));
        updates.push((format!("{name}/m"), m_next));
        updates.push((format!("{name}/v"), v_next));
    }
    Ok(updates)
}

/// A small convolutional classifier with its training step.
fn classifier(batch: usize, size: usize, filters: usize) -> Result<Case> {
    let graph = Graph::new();
    let options = |padding| ConvolutionOptions {
        strides: [1, 1],
        dilations: [1, 1],
        padding,
        groups: 1,
    };
    let window = PoolingWindow {
        size: [2, 2],
        strides: [2, 2],
        padding: [[0; 2]; 2],
    };
    let pooled = (size - 2) / 2;
    let flat = pooled * pooled * filters;
    let x = graph.input("x", Shape::batch_of(&[size, size, 1]), DType::F32)?;
    let y = graph.input("y", Shape::batch_of(&[]), DType::U8)?;
    let shapes: [(&str, Vec<usize>); 6] = [
        ("k", vec![3, 3, 1, filters]),
        ("kb", vec![filters]),
        ("d", vec![flat, 19]),
        ("db", vec![19]),
        ("e", vec![19, 10]),
        ("eb", vec![10]),
    ];
    let mut parameters = Vec::new();
    let mut states = vec![("iteration".to_owned(), Tensor::scalar_i64(0))];
    for (index, (name, shape)) in shapes.iter().enumerate() {
        parameters.push(((*name).to_owned(), graph.state(name, shape, DType::F32)?));
        let count = shape.iter().product();
        let scaled = numbers(count, index as u64)
            .iter()
            .map(|value| value * 0.3)
            .collect();
        states.push(((*name).to_owned(), Tensor::from_f32(shape, scaled)?));
        for slot in ["m", "v"] {
            states.push((format!("{name}/{slot}"), Tensor::zeros(shape, DType::F32)?));
        }
    }
    let p = |index: usize| &parameters[index].1;
    let h = graph.scope("conv2d", || {
        x.conv2d(p(0), options([[0; 2]; 2]))?.add(p(1))?.relu()
    })?;
    let h = graph.scope("max_pooling2d", || h.max_pool2d(window))?;
    let h = h.reshape(&Shape::batch_of(&[flat]))?;
    let h = graph.scope("dense", || h.matmul(p(2))?.add(p(3))?.tanh())?;
    let logits = graph.scope("dense_1", || h.matmul(p(4))?.add(p(5)))?;
    let loss = logits
        .sparse_cross_entropy(&y.cast(DType::I32)?)?
        .mean_all()?;
    let right = logits
        .argmax(-1)?
        .equal(&y.cast(DType::I32)?)?
        .cast(DType::F32)?
        .sum_all()?;
    let updates = adam(&graph, &loss, &parameters)?;
    let updates: Vec<(&str, &Value)> = updates
        .iter()
        .map(|(name, value)| (name.as_str(), value))
        .collect();
    let outputs = [("loss", &loss), ("right", &right), ("logits", &logits)];
    let program = Program::new(&graph, &[&x, &y], &outputs, &updates)?;
    let images = Tensor::from_f32(&[batch, size, size, 1], numbers(batch * size * size, 99))?;
    let labels = Tensor::from_u8(
        &[batch],
        (0..batch).map(|index| (index * 7 % 10) as u8).collect(),
    )?;
    Ok(Case {
        program,
        states,
        inputs: vec![images, labels],
        batch,
    })
}

#[test]
fn a_convolutional_classifier_trains_as_the_reference_does() {
    for (batch, size, filters) in [(1, 6, 3), (5, 9, 8), (17, 12, 16)] {
        check(&classifier(batch, size, filters).unwrap(), 3, 2e-4);
    }
}

#[test]
fn updates_see_the_state_as_of_the_start() {
    let graph = Graph::new();
    let x = graph.input("x", Shape::batch_of(&[3]), DType::F32).unwrap();
    let a = graph.state("a", &[3], DType::F32).unwrap();
    let b = graph.state("b", &[3], DType::F32).unwrap();
    let c = graph.state("c", &[3, 3], DType::F32).unwrap();
    // a and b change places; c is read by a product after its own update was computed, and d = old a is returned.
    let mixed = x.matmul(&c).unwrap().sum(&[0], false).unwrap();
    let c_next = c.multiply_scalar(0.5).unwrap().add(&a).unwrap();
    let program = Program::new(
        &graph,
        &[&x],
        &[("old", &a), ("mixed", &mixed), ("c", &c_next)],
        &[("a", &b), ("b", &a), ("c", &c_next)],
    )
    .unwrap();
    let states = vec![
        (
            "a".to_owned(),
            Tensor::from_f32(&[3], vec![1.0, 2.0, 3.0]).unwrap(),
        ),
        (
            "b".to_owned(),
            Tensor::from_f32(&[3], vec![4.0, 5.0, 6.0]).unwrap(),
        ),
        (
            "c".to_owned(),
            Tensor::from_f32(&[3, 3], numbers(9, 1)).unwrap(),
        ),
    ];
    let inputs = vec![Tensor::from_f32(&[4, 3], numbers(12, 2)).unwrap()];
    for steps in 1..4 {
        let case = Case {
            program: program.clone(),
            states: states.clone(),
            inputs: inputs.clone(),
            batch: 4,
        };
        check(&case, steps, 1e-6);
    }
}

#[test]
fn every_elementwise_function_survives_fusion_and_broadcasting() {
    let graph = Graph::new();
    let x = graph
        .input("x", Shape::batch_of(&[5, 7]), DType::F32)
        .unwrap();
    let row = graph.input("row", Shape::new([7]), DType::F32).unwrap();
    let column = graph
        .input(
            "column",
            Shape::from(vec![Dim::batch(), 5.into(), 1.into()]),
            DType::F32,
        )
        .unwrap();
    let build = || -> Result<Vec<Value>> {
        let a = (&x + &row)?;
        let b = (&a * &column)?;
        let positive = b.square()?.add_scalar(0.25)?;
        let chain = positive
            .log()?
            .add(&positive.sqrt()?)?
            .subtract(&b.tanh()?)?
            .divide(&positive)?;
        let chosen = row.greater(&x)?.select(&b.sigmoid()?, &row)?;
        let integers = x.multiply_scalar(64.0)?.cast(DType::I32)?;
        let wrapped = integers.multiply(&integers)?.cast(DType::U8)?;
        let truth = integers
            .less(&wrapped.cast(DType::I32)?)?
            .logical_or(&b.is_finite()?.logical_not()?)?;
        let more = b
            .exp()?
            .expm1()?
            .log1p()?
            .erf()?
            .maximum(&x.sin()?)?
            .minimum(&a.cos()?)?;
        let power = positive.power(&row)?.reciprocal()?.abs()?.negate()?;
        let steps = b
            .floor()?
            .add(&b.ceil()?)?
            .add(&b.round()?)?
            .add(&b.sign()?)?
            .add(&b.relu()?)?;
        Ok(vec![chain, chosen, integers, truth, more, power, steps])
    };
    let values = build().unwrap();
    let outputs: Vec<(&str, &Value)> = values.iter().map(|value| ("value", value)).collect();
    let program = Program::new(&graph, &[&x, &row, &column], &outputs, &[]).unwrap();
    for batch in [1, 2, 64, 601] {
        let inputs = vec![
            Tensor::from_f32(&[batch, 5, 7], numbers(batch * 35, 3)).unwrap(),
            Tensor::from_f32(&[7], numbers(7, 4)).unwrap(),
            Tensor::from_f32(&[batch, 5, 1], numbers(batch * 5, 5)).unwrap(),
        ];
        let case = Case {
            program: program.clone(),
            states: Vec::new(),
            inputs,
            batch,
        };
        check(&case, 1, 1e-5);
    }
}
