//! Every chain that is a formula, in a program made of its terms.

use danlu_graph::operations::{Binary, Unary};

use super::chains::{bits, instructions, wild};
use super::*;
use crate::kernels::vector::{Chain, Term};

const VECTORS: [&str; 5] = ["a", "b", "c", "d", "e"];
const SCALARS: [&str; 3] = ["s", "t", "u"];

/// The formula of vectors of a length; its result goes into the state of a vector, or out. `seen` shows what it hides.
fn program(chain: Chain, length: usize, state: Option<usize>, seen: bool) -> Program {
    let graph = Graph::new();
    let mut values: Vec<Value> = Vec::new();
    let mut inner = Vec::new();
    for term in chain.terms() {
        let value = match term {
            Term::Vector(place) => graph.state(VECTORS[place], &[length], DType::F32),
            Term::Scalar(place) => graph.state(SCALARS[place], &[], DType::F32),
            Term::Unary(kind, x) => graph.add(Unary { kind }.into(), &[&values[x]]),
            Term::Binary(kind, x, y) => {
                graph.add(Binary { kind }.into(), &[&values[x], &values[y]])
            }
        };
        values.push(value.unwrap());
        if matches!(term, Term::Unary(..) | Term::Binary(..)) {
            inner.push(values.len() - 1);
        }
    }
    inner.pop();
    let result = values.last().unwrap();
    let mut outputs: Vec<(&str, &Value)> = Vec::new();
    let mut updates = Vec::new();
    match state {
        Some(place) => updates.push((VECTORS[place], result)),
        None => outputs.push(("result", result)),
    }
    if seen {
        outputs.extend(inner.iter().map(|&place| ("inner", &values[place])));
    }
    Program::new(&graph, &[], &outputs, &updates).unwrap()
}

/// The first output, or the state, after two runs.
fn result(
    chain: Chain,
    length: usize,
    state: Option<usize>,
    seen: bool,
    executor: &mut dyn Executor,
    start: fn(&[usize], u32) -> Tensor,
) -> Tensor {
    let program = program(chain, length, state, seen);
    for (name, place) in VECTORS[..chain.vectors()].iter().zip(1..) {
        executor
            .create_state(name, &start(&[length], place))
            .unwrap();
    }
    for (name, value) in SCALARS.iter().zip([0.37, 1e-3, 0.8]) {
        executor.create_state(name, &Tensor::scalar(value)).unwrap();
    }
    let plan = executor.compile(&program, &Bindings::new()).unwrap();
    let mut outputs = output_tensors(&program, &Bindings::new()).unwrap();
    for _ in 0..2 {
        executor.run(plan, &[], &mut outputs).unwrap();
    }
    match state {
        Some(place) => executor.read_state(VECTORS[place]).unwrap(),
        None => outputs.remove(0),
    }
}

#[test]
fn a_formula_is_one_operation_unless_somebody_looks_inside() {
    for &chain in Chain::FORMULAS {
        let (hidden, seen) = (
            program(chain, 20, None, false),
            program(chain, 20, None, true),
        );
        assert_eq!(instructions(&hidden), 1, "{chain:?}");
        assert!(instructions(&seen) > 1, "{chain:?}");
        assert!(chain.vectors() + chain.scalars() <= crate::kernels::vector::MOST_OPERANDS);
    }
}

#[test]
fn a_formula_has_the_bits_of_its_functions() {
    for &chain in Chain::FORMULAS {
        for length in [1, 17, 127, 128, 129, 1000, 9000] {
            for state in std::iter::once(None).chain((0..chain.vectors()).map(Some)) {
                for isa in Isa::available() {
                    let of = |seen| {
                        let mut executor = executor(isa, 1);
                        bits(&result(chain, length, state, seen, &mut executor, wild))
                    };
                    assert_eq!(of(false), of(true), "{chain:?}, {length}, {state:?}, {isa}");
                }
            }
        }
    }
}

#[test]
fn a_formula_is_what_the_reference_says() {
    // Roots of numbers that stay above 0.
    let positive = |shape: &[usize], seed| {
        let start = numbers(shape, seed);
        let values = start.as_f32().unwrap().iter().map(|x| x + 1.0);
        Tensor::from_f32(shape, values.collect()).unwrap()
    };
    for &chain in Chain::FORMULAS {
        let mut reference = ReferenceExecutor::new();
        let expected = result(chain, 300, None, false, &mut reference, positive);
        for isa in Isa::available() {
            let found = result(chain, 300, None, false, &mut executor(isa, 1), positive);
            for (x, y) in found.to_f64().iter().zip(expected.to_f64()) {
                let near = (x - y).abs() <= 1e-5 * (1.0 + y.abs());
                assert!(near, "{chain:?}, {isa}: {x} {y}");
            }
        }
    }
}
