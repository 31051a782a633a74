//! Chains of elementwise operations and Adam's step: the same bits as the same operations one by one.

use super::*;
use crate::fuse::tape::{Entry, Operand, Tape};
use crate::plan::context::Location;

const LENGTHS: [usize; 6] = [1, 15, 16, 17, 1000, 5000];

/// A program over states `a`, `b`, `c` of some length and scalars `s`, `t`; the values that it computes, the last being its result.
type Build = fn(&[Value; 3], &[Value; 2]) -> Result<Vec<Value>>;

const CHAINS: [(&str, Build); 8] = [
    ("approach", |[a, b, _], [s, _]| {
        let difference = b.subtract(a)?;
        let product = difference.multiply(s)?;
        let sum = a.add(&product)?;
        let flushed = sum.flush_tiny()?;
        Ok(vec![difference, product, sum, flushed])
    }),
    ("approach of a square", |[a, b, _], [s, _]| {
        let square = b.square()?;
        let difference = square.subtract(a)?;
        let product = s.multiply(&difference)?;
        let sum = a.add(&product)?;
        let flushed = sum.flush_tiny()?;
        Ok(vec![square, difference, product, sum, flushed])
    }),
    ("scaled step", |[a, b, c], [s, t]| {
        let product = b.multiply(s)?;
        let root = c.sqrt()?;
        let divisor = root.add(t)?;
        let quotient = product.divide(&divisor)?;
        let result = a.subtract(&quotient)?;
        Ok(vec![product, root, divisor, quotient, result])
    }),
    ("step", |[a, b, _], [s, _]| {
        let product = b.multiply(s)?;
        let result = a.subtract(&product)?;
        Ok(vec![product, result])
    }),
    ("sum and relu", |[a, b, _], _| {
        let sum = a.add(b)?;
        let result = sum.relu()?;
        Ok(vec![sum, result])
    }),
    ("where positive", |[a, b, _], _| {
        let zero = a.graph().scalar(0.0, DType::F32)?;
        let condition = b.greater(&zero)?;
        let result = condition.select(a, &zero)?;
        Ok(vec![condition, result])
    }),
    // Not chains: the scalar stands elsewhere, the zero has a sign.
    ("reversed approach", |[a, b, _], [s, _]| {
        let difference = a.subtract(b)?;
        let product = difference.multiply(s)?;
        let sum = a.add(&product)?;
        let flushed = sum.flush_tiny()?;
        Ok(vec![difference, product, sum, flushed])
    }),
    ("where positive, else -0", |[a, b, _], _| {
        let zero = a.graph().scalar(-0.0, DType::F32)?;
        let condition = b.greater(&zero)?;
        let result = condition.select(a, &zero)?;
        Ok(vec![condition, result])
    }),
];

/// What is done with the result of a chain.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Goal {
    /// An output.
    Output,
    /// The new value of the state `a`, `b` or `c`.
    State(usize),
}

const NAMES: [&str; 3] = ["a", "b", "c"];

/// The chain over states of these shapes, and whether its inner values are outputs too.
fn chain(build: Build, shapes: [&[usize]; 3], goal: Goal, seen: bool) -> Program {
    let graph = Graph::new();
    let vector = |index: usize| {
        graph
            .state(NAMES[index], shapes[index], DType::F32)
            .unwrap()
    };
    let vectors = [vector(0), vector(1), vector(2)];
    let scalars = ["s", "t"].map(|name| graph.state(name, &[], DType::F32).unwrap());
    let mut values = build(&vectors, &scalars).unwrap();
    let result = values.pop().unwrap();
    let mut outputs: Vec<(&str, &Value)> = Vec::new();
    let mut updates = Vec::new();
    match goal {
        Goal::Output => outputs.push(("result", &result)),
        Goal::State(index) => updates.push((NAMES[index], &result)),
    }
    if seen {
        outputs.extend(values.iter().map(|value| ("inner", value)));
    }
    Program::new(&graph, &[], &outputs, &updates).unwrap()
}

/// How many vector operations a program over vectors of 20 elements is.
pub(super) fn instructions(program: &Program) -> usize {
    let nodes = program.nodes();
    let leaf = |place: usize| nodes[place].inputs.is_empty();
    let computed: Vec<usize> = (0..nodes.len()).filter(|&place| !leaf(place)).collect();
    let operand = |input: usize| match computed.iter().position(|&own| own == input) {
        Some(entry) => Operand::Entry(entry),
        None => Operand::Outside {
            location: Location::State(input),
            dtype: nodes[input].value_type.dtype,
            shape: nodes[input].value_type.shape.as_fixed().unwrap(),
            within: vec![20],
            zero: nodes[input].operation.name() == "constant",
        },
    };
    let stored = program.outputs().iter().map(|output| output.node);
    let stored = stored.chain(program.updates().iter().map(|update| update.node));
    let stored: Vec<usize> = stored.collect();
    let entries: Vec<Entry<'_>> = computed
        .iter()
        .map(|&place| Entry {
            operation: &nodes[place].operation,
            dtype: nodes[place].value_type.dtype,
            operands: nodes[place]
                .inputs
                .iter()
                .map(|&input| operand(input))
                .collect(),
            store: stored
                .contains(&place)
                .then_some(Location::Arena(100 * place)),
            summed: false,
            spread: None,
        })
        .collect();
    Tape::new(20, &entries, &[]).unwrap().operations()
}

#[test]
fn chains_are_one_operation_unless_somebody_looks_inside() {
    let shapes: [&[usize]; 3] = [&[20]; 3];
    for (name, build) in &CHAINS[..6] {
        assert_eq!(
            instructions(&chain(*build, shapes, Goal::Output, false)),
            1,
            "{name}"
        );
        assert!(
            instructions(&chain(*build, shapes, Goal::Output, true)) > 1,
            "{name}"
        );
    }
    assert_eq!(instructions(&adam(20, false, false)), 3);
    assert!(instructions(&adam(20, false, true)) > 3);
}

/// The elements' bits; which NaN it is does not count.
pub(super) fn bits(tensor: &Tensor) -> Vec<u32> {
    let canonical = |x: &f32| if x.is_nan() { f32::NAN } else { *x };
    let values = tensor.as_f32().unwrap().iter();
    values.map(canonical).map(f32::to_bits).collect()
}

/// Numbers, and among them zeros of both signs, infinities and NaN.
pub(super) fn wild(shape: &[usize], seed: u32) -> Tensor {
    const STRANGE: [f32; 6] = [0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e-39];
    let plain = numbers(shape, seed);
    let values = plain.as_f32().unwrap().iter().enumerate();
    let values = values.map(
        |(place, &value)| match (place * 31 + seed as usize * 7) % 11 {
            0 => STRANGE[(place / 11 + seed as usize) % STRANGE.len()],
            _ => value,
        },
    );
    Tensor::from_f32(shape, values.collect()).unwrap()
}

/// The first output, or the state, after two runs.
fn result(program: &Program, shapes: [&[usize]; 3], goal: Goal, isa: Isa) -> Vec<u32> {
    let mut executor = executor(isa, 1);
    for (index, (name, shape)) in (1..).zip(NAMES.iter().zip(shapes)) {
        executor.create_state(name, &wild(shape, index)).unwrap();
    }
    for (name, value) in [("s", 0.37), ("t", 1e-7)] {
        executor.create_state(name, &Tensor::scalar(value)).unwrap();
    }
    let plan = executor.compile(program, &Bindings::new()).unwrap();
    let mut outputs = output_tensors(program, &Bindings::new()).unwrap();
    executor.run(plan, &[], &mut outputs).unwrap();
    executor.run(plan, &[], &mut outputs).unwrap();
    match goal {
        Goal::Output => bits(&outputs[0]),
        Goal::State(index) => bits(&executor.read_state(NAMES[index]).unwrap()),
    }
}

/// The chain gives the bits of its operations, on every instruction set.
fn check(name: &str, build: Build, shapes: [&[usize]; 3], goal: Goal) {
    let (hidden, seen) = (
        chain(build, shapes, goal, false),
        chain(build, shapes, goal, true),
    );
    for isa in Isa::available() {
        let expected = result(&seen, shapes, goal, isa);
        let found = result(&hidden, shapes, goal, isa);
        assert_eq!(found, expected, "{name}, {goal:?}, {shapes:?}, {isa}");
    }
}

#[test]
fn chains_have_the_bits_of_their_operations() {
    for (name, build) in CHAINS {
        for length in LENGTHS {
            let whole = [length];
            let shapes: [&[usize]; 3] = [&whole; 3];
            for goal in [Goal::Output, Goal::State(0), Goal::State(1), Goal::State(2)] {
                check(name, build, shapes, goal);
            }
        }
    }
}

/// The second operand has an element for each column, or the first; or one for each row.
#[test]
fn operands_are_repeated() {
    for (name, build) in CHAINS {
        for [rows, columns] in [
            [7, 1],
            [1, 9],
            [5, 3],
            [4, 16],
            [9, 17],
            [3, 1000],
            [70, 33],
            [2, 5000],
        ] {
            let whole = [rows, columns];
            for repeated in 0..3 {
                for shape in [&[columns] as &[usize], &[1, columns], &[rows, 1], &[1]] {
                    let mut shapes: [&[usize]; 3] = [&whole; 3];
                    shapes[repeated] = shape;
                    check(name, build, shapes, Goal::Output);
                    for state in (0..3).filter(|&state| state != repeated) {
                        check(name, build, shapes, Goal::State(state));
                    }
                }
            }
        }
    }
}

/// Adam's step over states, its gradient another state or the result of a product.
fn adam(length: usize, product: bool, seen: bool) -> Program {
    let graph = Graph::new();
    let state = |name: &str| graph.state(name, &[length], DType::F32).unwrap();
    let [w, m, v, g] = ["w", "m", "v", "g"].map(state);
    let scalar = |name: &str| graph.state(name, &[], DType::F32).unwrap();
    let (alpha, rate) = (scalar("s"), scalar("t"));
    let g = if product {
        let row = g.reshape(&Shape::new([1, length])).unwrap();
        let left = graph.state("left", &[1, 1], DType::F32).unwrap();
        left.matmul(&row).unwrap().reshape(&g.shape()).unwrap()
    } else {
        g
    };
    let change = g.subtract(&m).unwrap().multiply_scalar(0.1).unwrap();
    let m_next = m.add(&change).unwrap().flush_tiny().unwrap();
    let square = g.square().unwrap();
    let far = square.subtract(&v).unwrap();
    let v_next = v.add(&far.multiply(&rate).unwrap()).unwrap();
    let v_next = v_next.flush_tiny().unwrap();
    let length = v_next.sqrt().unwrap().add_scalar(1e-7).unwrap();
    let scaled = m_next.multiply(&alpha).unwrap();
    let step = scaled.divide(&length).unwrap();
    let w_next = w.subtract(&step).unwrap();
    let updates = [("w", &w_next), ("m", &m_next), ("v", &v_next)];
    let inner = [&change, &square, &far, &length, &scaled, &step];
    let outputs: Vec<(&str, &Value)> = inner.iter().map(|value| ("inner", *value)).collect();
    let outputs = if seen { outputs.as_slice() } else { &[] };
    Program::new(&graph, &[], outputs, &updates).unwrap()
}

#[test]
fn adam_has_the_bits_of_its_operations_and_runs_in_place() {
    for length in LENGTHS {
        for product in [false, true] {
            let run = |program: &Program, isa: Isa| {
                let mut executor = executor(isa, 1);
                for (seed, name) in (0..).zip(["w", "m", "v", "g"]) {
                    // A velocity is not negative.
                    let start = numbers(&[length], seed);
                    let start = start.as_f32().unwrap().iter().map(|x| x.abs());
                    let start = Tensor::from_f32(&[length], start.collect()).unwrap();
                    executor.create_state(name, &start).unwrap();
                }
                for (name, value) in [("s", 0.01), ("t", 0.001)] {
                    executor.create_state(name, &Tensor::scalar(value)).unwrap();
                }
                let left = Tensor::from_f32(&[1, 1], vec![-0.7]).unwrap();
                executor.create_state("left", &left).unwrap();
                let plan = executor.compile(program, &Bindings::new()).unwrap();
                let mut outputs = output_tensors(program, &Bindings::new()).unwrap();
                for _ in 0..3 {
                    executor.run(plan, &[], &mut outputs).unwrap();
                }
                let states = ["w", "m", "v"].map(|name| bits(&executor.read_state(name).unwrap()));
                (executor.step_names(plan), states)
            };
            let (hidden, seen) = (adam(length, product, false), adam(length, product, true));
            for isa in Isa::available() {
                let (names, found) = run(&hidden, isa);
                assert_eq!(names.len(), 1, "{names:?}");
                assert_eq!(found, run(&seen, isa).1, "{length} {product} {isa}");
            }
        }
    }
}
