//! What all tests here share: cases, numbers, and the comparison with the reference.

use std::cell::RefCell;

use danlu_cpu::{CpuExecutor, CpuOptions, Isa};
use danlu_graph::executor::output_tensors;
use danlu_graph::operations::random::uniform_at;
use danlu_graph::reference::{Array, ReferenceExecutor};
use danlu_graph::{Bindings, DType, Executor, Graph, Program, Result, Shape, Tensor, Value};
use proptest::prelude::*;

/// A program with what it is run on.
#[derive(Clone)]
pub struct Case {
    pub program: Program,
    pub bindings: Bindings,
    pub inputs: Vec<Tensor>,
    pub states: Vec<(String, Tensor)>,
}

/// Results of each of several runs: outputs, then states.
pub type Runs = Vec<(Vec<Tensor>, Vec<Tensor>)>;

impl Case {
    /// A case of one operation without state: `build` is given values of the tensors' types.
    pub fn of(
        inputs: Vec<Tensor>,
        build: impl FnOnce(&Graph, &[Value]) -> Result<Vec<Value>>,
    ) -> Result<Case> {
        let shapes: Vec<Shape> = inputs.iter().map(|x| Shape::from(x.shape())).collect();
        Case::with_shapes(shapes, inputs, Bindings::new(), build)
    }

    /// As [`of`](Self::of), where shapes have named dimensions.
    pub fn with_shapes(
        shapes: Vec<Shape>,
        inputs: Vec<Tensor>,
        bindings: Bindings,
        build: impl FnOnce(&Graph, &[Value]) -> Result<Vec<Value>>,
    ) -> Result<Case> {
        let graph = Graph::new();
        let values = shapes
            .into_iter()
            .zip(&inputs)
            .enumerate()
            .map(|(index, (shape, tensor))| {
                graph.input(&format!("x{index}"), shape, tensor.dtype())
            })
            .collect::<Result<Vec<Value>>>()?;
        let results = build(&graph, &values)?;
        let given: Vec<&Value> = values.iter().collect();
        let outputs: Vec<(&str, &Value)> = results.iter().map(|value| ("out", value)).collect();
        Ok(Case {
            program: Program::new(&graph, &given, &outputs, &[])?,
            bindings,
            inputs,
            states: Vec::new(),
        })
    }

    /// Runs on an executor, several times over the same state.
    pub fn run(&self, executor: &mut dyn Executor, times: usize) -> Result<Runs> {
        for (name, value) in &self.states {
            executor.create_state(name, value)?;
        }
        let plan = executor.compile(&self.program, &self.bindings)?;
        let inputs: Vec<&Tensor> = self.inputs.iter().collect();
        let runs = (0..times)
            .map(|_| {
                let mut outputs = output_tensors(&self.program, &self.bindings)?;
                executor.run(plan, &inputs, &mut outputs)?;
                let states = self.states.iter();
                let states = states.map(|(name, _)| executor.read_state(name));
                Ok((outputs, states.collect::<Result<Vec<Tensor>>>()?))
            })
            .collect();
        executor.release(plan);
        runs
    }

    /// The reference's results where every input is its magnitude: what the rounding errors of a sum are measured by.
    fn magnitudes(&self) -> Vec<Tensor> {
        let magnitude = |tensor: &Tensor| {
            let data = tensor.to_f64().iter().map(|x| x.abs()).collect();
            Array::new(tensor.shape().to_vec(), tensor.dtype(), data)
                .to_tensor()
                .unwrap()
        };
        let case = Case {
            inputs: self.inputs.iter().map(magnitude).collect(),
            ..self.clone()
        };
        case.run(&mut ReferenceExecutor::new(), 1)
            .unwrap()
            .remove(0)
            .0
    }

    /// Runs everywhere: close to the reference, and the same bits for 1, 2 and 3 threads.
    pub fn check(&self, close: Close) {
        self.check_runs(close, 1);
    }

    /// As [`check`](Self::check), several runs over the same state.
    pub fn check_runs(&self, close: Close, times: usize) {
        let expected = self.run(&mut ReferenceExecutor::new(), times).unwrap();
        let scale = match close {
            Close::Terms(_) => Some(self.magnitudes()),
            _ => None,
        };
        EXECUTORS.with_borrow_mut(|executors| {
            for of_isa in executors.iter_mut() {
                let mut first: Option<Runs> = None;
                for executor in of_isa {
                    let found = self.run(executor, times).unwrap();
                    let what = executor.describe();
                    match &first {
                        None => {
                            self.compare(&what, close, &found, &expected, scale.as_deref());
                            first = Some(found);
                        }
                        Some(first) => assert!(
                            bits(&found) == bits(first),
                            "{what}: other bits than 1 thread"
                        ),
                    }
                }
            }
        });
    }

    fn compare(
        &self,
        what: &str,
        close: Close,
        found: &Runs,
        expected: &Runs,
        scale: Option<&[Tensor]>,
    ) {
        for (run, (found, expected)) in found.iter().zip(expected).enumerate() {
            for (index, (found, expected)) in found.0.iter().zip(&expected.0).enumerate() {
                let scale = scale.map(|scale| scale[index].to_f64());
                let what = format!("{what}: run {run}, output {index} {:?}", found.shape());
                close.assert(&what, found, expected, scale.as_deref());
            }
            for (index, (found, expected)) in found.1.iter().zip(&expected.1).enumerate() {
                let what = format!("{what}: run {run}, state {}", self.states[index].0);
                close.assert(&what, found, expected, None);
            }
        }
    }
}

/// How close to the reference a result must be; NaN, infinities and integers always exactly.
#[derive(Clone, Copy)]
pub enum Close {
    /// The reference's value rounded to the dtype.
    Exactly,
    /// Off by at most `relative * |value| + absolute`.
    Within { relative: f64, absolute: f64 },
    /// A sum of about this many terms: `2 epsilon (2 + sqrt(terms))` of the sum of magnitudes.
    Terms(usize),
}

impl Close {
    fn assert(self, what: &str, found: &Tensor, expected: &Tensor, scale: Option<&[f64]>) {
        assert_eq!(found.shape(), expected.shape(), "{what}");
        assert_eq!(found.dtype(), expected.dtype(), "{what}");
        let (a, e) = (found.to_f64(), expected.to_f64());
        for place in 0..a.len() {
            let (a, e) = (a[place], e[place]);
            let allowed = match (self, scale) {
                _ if !found.dtype().is_float() || !e.is_finite() => 0.0,
                (Close::Exactly, _) => 0.0,
                (Close::Within { relative, absolute }, _) => relative * e.abs() + absolute,
                (Close::Terms(terms), scale) => {
                    let scale = scale.map_or(e.abs(), |scale| scale[place]);
                    2.0 * f64::from(f32::EPSILON) * (2.0 + (terms as f64).sqrt()) * scale
                }
            };
            let same = a == e || (a.is_nan() && e.is_nan()) || (a - e).abs() <= allowed;
            assert!(
                same,
                "{what}: element {place} is {a}, not {e} (allowed {allowed:e})"
            );
        }
    }
}

thread_local! {
    /// Executors of 1, 2 and 3 threads, for each instruction set.
    static EXECUTORS: RefCell<Vec<Vec<CpuExecutor>>> = RefCell::new(
        Isa::available().into_iter().map(|isa| {
            [1, 2, 3].map(|threads| executor(isa, threads)).into_iter().collect()
        }).collect(),
    );
}

/// An executor.
pub fn executor(isa: Isa, threads: usize) -> CpuExecutor {
    let options = CpuOptions {
        threads: Some(threads),
        isa: Some(isa),
    };
    CpuExecutor::new(options).unwrap()
}

/// The elements' bits, so that NaN equals itself and 0 is not -0.
pub fn bits(runs: &Runs) -> Vec<Vec<u64>> {
    let tensors = runs.iter().flat_map(|(outputs, states)| {
        outputs
            .iter()
            .chain(states)
            .map(|tensor| tensor.to_f64().into_iter().map(f64::to_bits).collect())
    });
    tensors.collect()
}

/// Numbers that look random and are the same everywhere, in [-1, 1).
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let key = [seed as u32, (seed >> 32) as u32 ^ 7];
    (0..count as u64)
        .map(|index| uniform_at(key, 0, 0, index) * 2.0 - 1.0)
        .collect()
}

/// What a floating point tensor is filled with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// In [-1, 1).
    Plain,
    /// Of many magnitudes, and here and there a NaN, an infinity, a zero of either sign, a huge or tiny number.
    Wild,
    /// Whole numbers from -4 to 3: many equals.
    Equals,
}

const SPECIAL: [f64; 12] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    0.0,
    -0.0,
    1e30,
    -1e30,
    1e-30,
    -1e-30,
    88.9,
    -104.5,
    0.5,
];

/// A tensor of this shape: floats by `fill`, integers over their whole range up to `most`.
pub fn tensor(shape: &[usize], dtype: DType, fill: Fill, most: f64, seed: u64) -> Tensor {
    let count = shape.iter().product();
    let spread = match dtype {
        DType::U8 | DType::I8 => 127.0,
        _ => most,
    };
    let values = numbers(count, seed);
    let other = numbers(count, seed ^ 0x5555);
    let data = values.iter().zip(other).map(|(&value, other)| {
        let value = f64::from(value);
        match dtype {
            DType::Bool => f64::from(u8::from(value > 0.0)),
            DType::U8 => ((value + 1.0) * 127.9).floor(),
            _ if !dtype.is_float() => (value * spread).floor(),
            _ if fill == Fill::Equals => (value * 4.0).floor(),
            _ if fill == Fill::Plain => value,
            _ if other > 0.8 => SPECIAL[((value + 1.0) * 6.0) as usize % SPECIAL.len()],
            _ => value * f64::from(other * 12.0).exp2(),
        }
    });
    Array::new(shape.to_vec(), dtype, data.collect())
        .to_tensor()
        .unwrap()
}

/// A tensor of floats in [-1, 1).
pub fn floats(shape: &[usize], seed: u64) -> Tensor {
    tensor(shape, DType::F32, Fill::Plain, 0.0, seed)
}

/// Sizes on both sides of a tile's edges.
fn around(tile: usize) -> [usize; 5] {
    [1, tile - 1, tile, tile + 1, 2 * tile + 3]
}

/// A size near the edges of lanes, rows and panels.
pub fn size() -> impl Strategy<Value = usize> {
    let mut sizes: Vec<usize> = [6, 8, 16, 24, 32].into_iter().flat_map(around).collect();
    sizes.sort_unstable();
    sizes.dedup();
    prop::sample::select(sizes)
}

/// A size near the edges of lanes and of a pass's tiles, chunks and shared work.
pub fn long_size() -> impl Strategy<Value = usize> {
    let sizes: Vec<usize> = [8, 16, 1024, 8192].into_iter().flat_map(around).collect();
    prop_oneof![8 => prop::sample::select(sizes), 1 => Just(100_003), 1 => Just(0)]
}

/// A small size, sometimes 0.
pub fn small_size() -> impl Strategy<Value = usize> {
    prop_oneof![1 => Just(0usize), 4 => Just(1), 12 => 2usize..6]
}

/// Number of cases; `DANLU_TEST_SCALE` multiplies it.
pub fn cases(count: u32) -> ProptestConfig {
    let scale = std::env::var("DANLU_TEST_SCALE").ok();
    let scale = scale.and_then(|scale| scale.parse().ok()).unwrap_or(1);
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(count * scale)
    }
}
