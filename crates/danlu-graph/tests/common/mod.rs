//! What the tests of the graph share: values without ties or zeros, evaluation in `f64`, and the comparison of gradients
//! with central finite differences, first and second order.

#![allow(dead_code, reason = "each test file uses its own part")]

use danlu_graph::reference::{Array, ReferenceExecutor};
use danlu_graph::{BATCH, Bindings, DType, Dim, Graph, Program, Result, Shape, Value, gradients};
use proptest::prelude::*;

/// Relative to the larger of 1 and the gradient. The step of the differences is 1e-5: their own error is near 1e-9;
/// factors that a graph holds as `f32` constants (2/sqrt(pi) of erf) are good to 6e-8.
const TOLERANCE: f64 = 1e-6;
const STEP: f64 = 1e-5;

/// At most this many elements of each operand are moved.
const PROBES: usize = 6;

/// A value that a function under test takes: its shape, and the interval from which its elements are taken.
#[derive(Clone, Debug)]
pub struct Operand {
    pub shape: Shape,
    pub range: (f64, f64),
}

pub fn operand(shape: impl Into<Shape>) -> Operand {
    within(shape, -1.5, 1.5)
}

pub fn within(shape: impl Into<Shape>, low: f64, high: f64) -> Operand {
    let shape = shape.into();
    let range = (low, high);
    Operand { shape, range }
}

/// Settings for properties that evaluate many programs.
pub fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// A small generator of pseudo-random numbers (SplitMix64).
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    pub fn chance(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

/// `count` numbers between `low` and `high` in random order, evenly spaced: no ties, none at 0. `salt` moves the grid,
/// so that two operands do not tie either.
pub fn spread(count: usize, low: f64, high: f64, salt: u64) -> Vec<f64> {
    let shift = 0.2 + 0.617_033_988_7 * (1.0 + salt as f64) % 0.6;
    let mut values: Vec<f64> = (0..count)
        .map(|place| low + (high - low) * (place as f64 + shift) / count as f64)
        .collect();
    let mut random = Random(salt);
    for place in (1..count).rev() {
        values.swap(place, random.below(place + 1));
    }
    values
}

/// The values of `wanted`, and a check that every node on the way has as many elements as its shape says.
pub fn evaluate(
    executor: &ReferenceExecutor,
    program: &Program,
    bindings: &Bindings,
    inputs: &[Array],
) -> Result<Vec<Array>> {
    let values = executor.evaluate(program, bindings, inputs)?;
    for (node, value) in program.nodes().iter().zip(&values) {
        let shape = node.value_type.shape.evaluate(bindings)?;
        assert_eq!(value.shape, shape);
        assert_eq!(
            value.data.len(),
            shape.iter().product::<usize>(),
            "{} gave another number of elements than {}\n{program}",
            node.operation.name(),
            node.value_type
        );
    }
    Ok(program
        .outputs()
        .iter()
        .map(|output| values[output.node].clone())
        .collect())
}

/// A program over operands: even ones (and those of open shape) are inputs, odd ones states.
struct Setup {
    program: Program,
    inputs: Vec<Array>,
    executor: ReferenceExecutor,
    bindings: Bindings,
}

impl Setup {
    fn run(&self) -> Vec<Array> {
        evaluate(&self.executor, &self.program, &self.bindings, &self.inputs)
            .unwrap_or_else(|error| panic!("{error}\n{}", self.program))
    }
}

fn is_state(place: usize, shape: &Shape) -> bool {
    place % 2 == 1 && shape.as_fixed().is_some()
}

fn array(shape: &Shape, range: (f64, f64), bindings: &Bindings, salt: u64) -> Array {
    let sizes = shape.evaluate(bindings).unwrap();
    let data = spread(sizes.iter().product(), range.0, range.1, salt);
    Array::new(sizes, DType::F32, data)
}

/// Builds `function` of the operands twice over: a scalar of its result and the gradients of that, a scalar of the
/// gradients and the gradients of that. Compares all with finite differences, checks the result's shape, and evaluates
/// everything with an empty batch too.
pub fn check_gradients(
    operands: &[Operand],
    bindings: &Bindings,
    expected: &[usize],
    salt: u64,
    function: impl Fn(&Graph, &[Value]) -> Result<Value>,
) {
    let graph = Graph::new();
    let build = || -> Result<(Program, Vec<Shape>)> {
        let mut leaves = Vec::new();
        let mut activations = Vec::new();
        let mut program_inputs = Vec::new();
        for (place, operand) in operands.iter().enumerate() {
            let name = format!("x{place}");
            let leaf = if is_state(place, &operand.shape) {
                graph.state(&name, &operand.shape.as_fixed().unwrap(), DType::F32)?
            } else {
                let input = graph.input(&name, operand.shape.clone(), DType::F32)?;
                program_inputs.push(input.clone());
                input
            };
            // The function sees an activation: twice the operand's half.
            activations.push(leaf.multiply_scalar(0.5)?.multiply_scalar(2.0)?);
            leaves.push(leaf);
        }
        let result = function(&graph, &activations)?;
        let mut extra = vec![result.shape()];
        let weight = graph.input("weight", result.shape(), DType::F32)?;
        program_inputs.push(weight.clone());
        let first = result.multiply(&weight)?.sum_all()?;

        let mut with_respect_to: Vec<&Value> = leaves.iter().collect();
        with_respect_to.extend(&activations);
        let slopes = gradients(&first, &with_respect_to)?;
        let mut second = graph.scalar(0.0, DType::F32)?;
        for (place, slope) in slopes[..leaves.len()].iter().enumerate() {
            assert_eq!(
                slope.value_type(),
                leaves[place].value_type(),
                "gradient of operand {place}"
            );
            let direction = graph.input(&format!("v{place}"), slope.shape(), DType::F32)?;
            extra.push(slope.shape());
            second = second.add(&slope.multiply(&direction)?.sum_all()?)?;
            program_inputs.push(direction);
        }
        let mut with_respect_to: Vec<&Value> = leaves.iter().collect();
        with_respect_to.push(&weight);
        let curvatures = gradients(&second, &with_respect_to)?;

        let mut outputs = vec![("result", &result), ("first", &first), ("second", &second)];
        outputs.extend(slopes.iter().map(|value| ("slope", value)));
        outputs.extend(curvatures.iter().map(|value| ("curvature", value)));
        let inputs: Vec<&Value> = program_inputs.iter().collect();
        Ok((Program::new(&graph, &inputs, &outputs, &[])?, extra))
    };
    let (program, extra) = build().unwrap_or_else(|error| panic!("{error}"));
    let count = operands.len();

    let setup = |bindings: &Bindings| {
        let mut executor = ReferenceExecutor::new();
        let mut inputs = Vec::new();
        for (place, operand) in operands.iter().enumerate() {
            let value = array(&operand.shape, operand.range, bindings, salt + place as u64);
            if is_state(place, &operand.shape) {
                executor.set_state(&format!("x{place}"), value);
            } else {
                inputs.push(value);
            }
        }
        for (place, shape) in extra.iter().enumerate() {
            inputs.push(array(
                shape,
                (-1.0, 1.0),
                bindings,
                salt + 77 + place as u64,
            ));
        }
        Setup {
            program: program.clone(),
            inputs,
            executor,
            bindings: bindings.clone(),
        }
    };

    if operands
        .iter()
        .any(|operand| operand.shape.dims().iter().any(Dim::is_batch))
    {
        setup(&bindings.clone().with(BATCH, 0)).run();
    }

    let mut setup = setup(bindings);
    let values = setup.run();
    assert_eq!(values[0].shape, expected, "shape of the result\n{program}");
    let slopes = &values[3..3 + 2 * count];
    let curvatures = &values[3 + 2 * count..];
    for place in 0..count {
        // activation = operand, through a half and a double: the same gradient.
        close(
            &slopes[place].data,
            &slopes[count + place].data,
            1e-12,
            "operand and activation",
        );
    }
    let leaf_inputs = (0..count).filter(|&place| !is_state(place, &operands[place].shape));
    let leaf_inputs: Vec<usize> = leaf_inputs.collect();
    for moved in 0..=count {
        let total = if moved == count {
            setup.inputs[leaf_inputs.len()].data.len()
        } else {
            slopes[moved].data.len()
        };
        let stride = total.div_ceil(PROBES).max(1);
        for element in (0..total).step_by(stride) {
            let mut difference = [0.0; 2];
            for sign in [1.0, -1.0] {
                let nudge = |setup: &mut Setup, by: f64| {
                    if moved == count {
                        setup.inputs[leaf_inputs.len()].data[element] += by;
                    } else if let Some(input) = leaf_inputs.iter().position(|&x| x == moved) {
                        setup.inputs[input].data[element] += by;
                    } else {
                        let name = format!("x{moved}");
                        let mut state = setup.executor.state(&name).unwrap().clone();
                        state.data[element] += by;
                        setup.executor.set_state(&name, state);
                    }
                };
                let saved = (
                    setup.inputs.clone(),
                    setup.executor.state(&format!("x{moved}")).cloned(),
                );
                nudge(&mut setup, sign * STEP);
                let values = setup.run();
                difference[0] += sign * values[1].data[0] / (2.0 * STEP);
                difference[1] += sign * values[2].data[0] / (2.0 * STEP);
                setup.inputs = saved.0;
                if let Some(state) = saved.1 {
                    setup.executor.set_state(&format!("x{moved}"), state);
                }
            }
            let what = |order: &str| format!("{order} order, operand {moved}, element {element}");
            if moved < count {
                close(
                    &[slopes[moved].data[element]],
                    &[difference[0]],
                    TOLERANCE,
                    &what("first"),
                );
            }
            close(
                &[curvatures[moved].data[element]],
                &[difference[1]],
                TOLERANCE,
                &what("second"),
            );
        }
    }
}

/// Compares numbers relative to the larger of 1 and their size; NaN equals NaN.
#[track_caller]
pub fn close(found: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (place, (&a, &b)) in found.iter().zip(expected).enumerate() {
        let equal = a == b || (a.is_nan() && b.is_nan());
        let limit = tolerance * a.abs().max(b.abs()).max(1.0);
        assert!(
            equal || (a - b).abs() <= limit,
            "{what}: element {place} is {a}, expected {b}"
        );
    }
}

/// The size of one axis of a shape under test, most often a number.
#[derive(Clone, Debug)]
pub enum Axis {
    Fixed(usize),
    Batch,
    Length,
}

impl Axis {
    pub fn dim(&self) -> Dim {
        match self {
            Axis::Fixed(size) => Dim::fixed(*size),
            Axis::Batch => Dim::batch(),
            Axis::Length => Dim::named("length"),
        }
    }
}

pub fn axis() -> impl Strategy<Value = Axis> {
    prop_oneof![
        4 => (1usize..4).prop_map(Axis::Fixed),
        1 => Just(Axis::Batch),
        1 => Just(Axis::Length),
    ]
}

pub fn shape(axes: &[Axis]) -> Shape {
    Shape::new(axes.iter().map(Axis::dim))
}

/// Numbers for `batch` and `length`.
pub fn bindings() -> impl Strategy<Value = Bindings> {
    (1usize..4, 1usize..4).prop_map(|(batch, length)| Bindings::batch(batch).with("length", length))
}

/// The same shape with some axes as 1, or missing in front: what broadcasts to it.
pub fn broadcastable(axes: &[Axis], ones: u8, missing: usize) -> Shape {
    let missing = missing.min(axes.len());
    Shape::new(axes.iter().enumerate().skip(missing).map(|(axis, size)| {
        if ones >> axis & 1 == 1 {
            Dim::fixed(1)
        } else {
            size.dim()
        }
    }))
}
