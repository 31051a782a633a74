//! Programs put together at random, with states that change places and are read while they change, against the reference
//! over several runs. Every value is a small whole number, so that all sums are exact and every bit must agree.

use danlu_graph::operations::ConvolutionOptions;
use danlu_graph::{Bindings, DType, Dim, Graph, Program, Result, Shape, Value};
use proptest::prelude::*;

use crate::harness::*;

/// Larger values are cut back.
const MOST: f64 = 8.0;

/// A program under construction.
struct Builder {
    graph: Graph,
    values: Vec<Value>,
    sizes: [usize; 2],
}

impl Builder {
    fn pick(&self, code: u16) -> Value {
        // The younger half twice as often, so that chains grow.
        let count = self.values.len();
        let index = usize::from(code) % (count + count / 2);
        self.values[if index < count {
            index
        } else {
            count - 1 - (index - count)
        }]
        .clone()
    }

    fn small(&self, value: &Value) -> Result<Value> {
        value.maximum_scalar(-MOST)?.minimum_scalar(MOST)
    }

    /// One more value, if the operation takes what was picked.
    fn step(&mut self, [operation, a, b, option]: [u16; 4]) -> Result<()> {
        let (x, y) = (self.pick(a), self.pick(b));
        let rank = x.shape().rank();
        let axis = usize::from(option) % rank.max(1);
        let dims = x.shape().dims().to_vec();
        let next = match operation % 26 {
            0 => self.small(&x.add(&y)?)?,
            1 => self.small(&x.subtract(&y)?)?,
            2 => self.small(&x.multiply(&y)?)?,
            3 => x.maximum(&y)?,
            4 => x.greater(&y)?.select(&x, &y.negate()?)?,
            5 => x.relu()?,
            6 => self.small(&x.square()?.add_scalar(f64::from(option % 5) - 2.0)?)?,
            7 => x
                .cast(DType::I32)?
                .multiply_scalar(3.0)?
                .cast(DType::I8)?
                .cast(DType::F32)?
                .minimum_scalar(MOST)?,
            8 | 9 => self.small(&x.matmul_with(&y, option % 2 == 1, option / 2 % 2 == 1)?)?,
            10 | 11 => self.small(&x.sum(&[axis as isize], option / 16 % 2 == 0)?)?,
            12 => x.max(&[axis as isize], option / 16 % 2 == 0)?,
            13 => {
                // All axes but one, or all.
                let axes: Vec<isize> = (0..rank as isize)
                    .filter(|&own| own as usize != axis || option > 30_000)
                    .collect();
                self.small(&x.sum(&axes, false)?)?
            }
            14 => x.broadcast_to(&y.shape())?,
            15 if rank >= 2 => {
                // Two neighbours joined, which leaves `batch` alone in front.
                let at = 1.max(axis).min(rank - 1);
                let mut dims = dims;
                if at == 1 && rank == 2 {
                    dims.insert(1, Dim::fixed(1))
                } else {
                    let joined = &dims[at - 1] * &dims[at];
                    dims.splice(at - 1..=at, [joined]);
                }
                x.reshape(&Shape::from(dims))?
            }
            16 => {
                let mut dims = dims;
                dims.insert(axis, Dim::fixed(1));
                x.reshape(&Shape::from(dims))?
            }
            17 => {
                let mut order: Vec<usize> = (0..rank).collect();
                order.rotate_left(axis);
                x.transpose(&order)?
            }
            18 if rank >= 1 && dims[axis].as_fixed().is_some_and(|size| size >= 2) => {
                let half = dims[axis].as_fixed().unwrap_or(2) / 2;
                let parts = [
                    x.narrow(axis as isize, half, half)?,
                    x.narrow(axis as isize, 0, half)?,
                ];
                self.graph
                    .concatenate(&[&parts[0], &parts[1], &x], axis as isize)?
                    .narrow(axis as isize, half, 2 * half)?
            }
            19 => x.stop_gradient()?.negate()?,
            20 if rank >= 2 => {
                let [h, w] = self.sizes;
                let image = x.reshape(&Shape::batch_of(&[h, w, 1]))?;
                let kernel = y.reshape(&Shape::from(vec![
                    Dim::fixed(1),
                    Dim::fixed(1),
                    Dim::fixed(1),
                    y.shape().element_count(),
                ]))?;
                let options = ConvolutionOptions {
                    strides: [1, 1],
                    dilations: [1, 1],
                    padding: [[0; 2]; 2],
                    groups: 1,
                };
                self.small(&image.conv2d(&kernel, options)?)?
            }
            21 if rank >= 1 => x
                .argmax(axis as isize)?
                .cast(DType::F32)?
                .minimum_scalar(MOST)?,
            22 | 23 => {
                let Some(rows) = y.shape().dims().first().and_then(Dim::as_fixed) else {
                    return Ok(());
                };
                let indices = x.abs()?.minimum_scalar(rows as f64 - 1.0)?;
                let indices = indices.cast(DType::I32)?;
                let read = y.gather(&indices)?;
                match operation % 26 {
                    22 => read,
                    _ => self.small(&y.scatter_add(&indices, &read.negate()?)?)?,
                }
            }
            24 if rank >= 1 => {
                let (exclusive, reverse) = (option / 16 % 2 == 0, option / 32 % 2 == 0);
                self.small(&x.cumulative_sum(axis as isize, exclusive, reverse)?)?
            }
            25 if rank >= 1 => x.sort(axis as isize, option / 16 % 2 == 0)?,
            _ => x.abs()?,
        };
        // Values that grow with the number of axes or examples squared take too long.
        let count = next
            .shape()
            .evaluate(&Bindings::batch(4))?
            .iter()
            .product::<usize>();
        if count <= 40_000 {
            self.values.push(next);
        }
        Ok(())
    }

    /// A value for a state of this shape: one that has it, or one that is brought to it.
    fn fit(&self, code: u16, shape: &[usize]) -> Result<Value> {
        let target = Shape::from(shape);
        let fitting: Vec<&Value> = self
            .values
            .iter()
            .filter(|value| value.shape() == target)
            .collect();
        let value = self.pick(code);
        if !code.is_multiple_of(4) && !fitting.is_empty() {
            // The younger ones more often.
            let index = usize::from(code / 4) % (2 * fitting.len());
            return Ok(fitting[if index < fitting.len() {
                index
            } else {
                2 * fitting.len() - 1 - index
            }]
            .clone());
        }
        if let Ok(wide) = value.broadcast_to(&target) {
            return Ok(wide);
        }
        let axes: Vec<isize> = (0..value.shape().rank() as isize).collect();
        self.small(&value.sum(&axes, false)?)?.broadcast_to(&target)
    }
}

fn case(
    sizes: [usize; 2],
    batch: usize,
    operations: &[[u16; 4]],
    outputs: &[u16],
    updates: &[(bool, u16)],
    seed: u64,
) -> Result<Case> {
    let graph = Graph::new();
    let [a, b] = sizes;
    let input_shapes = [
        Shape::batch_of(&[a]),
        Shape::batch_of(&[a, b]),
        Shape::from([b].as_slice()),
    ];
    let state_shapes = [
        vec![a, b],
        vec![a, b],
        vec![a],
        vec![b],
        vec![b, a],
        vec![],
        vec![a, b],
    ];
    let whole =
        |shape: &[usize], own: u64| tensor(shape, DType::F32, Fill::Equals, 0.0, seed ^ own);
    let bindings = Bindings::batch(batch);
    let mut values = Vec::new();
    let mut inputs = Vec::new();
    for (shape, index) in input_shapes.iter().zip(0..) {
        values.push(graph.input(&format!("x{index}"), shape.clone(), DType::F32)?);
        inputs.push(whole(&shape.evaluate(&bindings)?, index));
    }
    let given = values.clone();
    values.push(graph.constant(whole(&[a, 1], 77))?);
    values.push(graph.constant(whole(&[a, b], 78))?);
    let mut states = Vec::new();
    for (shape, index) in state_shapes.iter().zip(0..) {
        let name = format!("s{index}");
        values.push(graph.state(&name, shape, DType::F32)?);
        states.push((name, whole(shape, 100 + index)));
    }
    let mut builder = Builder {
        graph: graph.clone(),
        values,
        sizes,
    };
    for &operation in operations {
        let _ = builder.step(operation);
    }
    let picked: Vec<Value> = outputs.iter().map(|&code| builder.pick(code)).collect();
    let results: Vec<(&str, &Value)> = picked.iter().map(|value| ("out", value)).collect();
    let mut changed = Vec::new();
    for ((shape, (name, _)), (change, code)) in state_shapes.iter().zip(&states).zip(updates) {
        if *change {
            changed.push((name.as_str(), builder.fit(*code, shape)?));
        }
    }
    let changes: Vec<(&str, &Value)> = changed.iter().map(|(name, value)| (*name, value)).collect();
    let given: Vec<&Value> = given.iter().collect();
    Ok(Case {
        program: Program::new(&graph, &given, &results, &changes)?,
        bindings,
        inputs,
        states,
    })
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn random_programs_agree_with_the_reference(
        sizes in prop::sample::select([[3, 2], [2, 5], [1, 4], [4, 1], [8, 7], [5, 17], [16, 33]].as_slice()),
        batch in prop_oneof![1 => Just(0usize), 4 => 1usize..5, 1 => Just(19)],
        operations in prop::collection::vec(any::<[u16; 4]>(), 1..40),
        outputs in prop::collection::vec(any::<u16>(), 0..6),
        updates in prop::collection::vec((prop::bool::weighted(0.8), any::<u16>()), 7),
        seed in any::<u64>(),
    ) {
        // Another size than in the shapes that are the same by chance.
        let case = case(sizes, batch, &operations, &outputs, &updates, seed).unwrap();
        case.check_runs(Close::Exactly, 3);
    }
}
