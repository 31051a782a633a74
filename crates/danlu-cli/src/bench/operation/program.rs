//! The programs of an operation, and their runs.

use danlu::graph::operations::random::{key, stream, uniform_at};
use danlu::graph::operations::{
    Binary, BinaryKind, ConvolutionOptions, LogSoftmax, Padding, PoolingWindow, Reduce, Softmax,
    Unary, UnaryKind,
};
use danlu::graph::{
    Bindings, DType, Dim, Executor, Graph, PlanId, Program, StepProfile, Tensor, Value,
    gradients_from, tensor::element_count,
};

use super::{Direction, Kind, Operation, joined};
use crate::bench::measured::Costs;
use crate::failure::{Failure, Result};

impl Operation {
    /// Operands and result in a graph. The operands are states, which are aligned as a model's values are.
    ///
    /// # Errors
    /// The sizes do not fit each other.
    pub(super) fn build(&self) -> danlu::graph::Result<(Graph, Vec<Value>, Value)> {
        let graph = Graph::new();
        let input = graph.state(INPUT, &self.shape, DType::F32)?;
        let weights = |shape: &[usize]| graph.state(WEIGHTS, shape, DType::F32);
        let padding = |same: bool, window, strides, dilations| {
            let sizes = [Dim::fixed(self.shape[1]), Dim::fixed(self.shape[2])];
            let padding = match same {
                true => Padding::Same,
                false => Padding::Valid,
            };
            padding.resolve([&sizes[0], &sizes[1]], window, strides, dilations)
        };
        let (other, result) = match &self.kind {
            &Kind::Convolution {
                filters,
                window,
                strides,
                dilations,
                same,
                groups,
            } => {
                let channels = self.shape[3];
                if !channels.is_multiple_of(groups) || !filters.is_multiple_of(groups) {
                    return Err(danlu::graph::Error::new(format!(
                        "{channels} channels and {filters} filters cannot be cut into {groups} groups"
                    )));
                }
                let kernel = weights(&[window[0], window[1], channels / groups, filters])?;
                let options = ConvolutionOptions {
                    strides,
                    dilations,
                    padding: padding(same, window, strides, dilations)?,
                    groups,
                };
                let result = input.conv2d(&kernel, options)?;
                (Some(kernel), result)
            }
            &Kind::Product { columns } => {
                let right = weights(&[self.shape[1], columns])?;
                let result = input.matmul(&right)?;
                (Some(right), result)
            }
            &Kind::Pooling {
                max,
                window,
                strides,
                same,
            } => {
                let window = PoolingWindow {
                    size: window,
                    strides,
                    padding: padding(same, window, strides, [1; 2])?,
                };
                let result = match max {
                    true => input.max_pool2d(window)?,
                    false => input.average_pool2d(window)?,
                };
                (None, result)
            }
            &Kind::Unary(kind) => (None, graph.add(Unary { kind }.into(), &[&input])?),
            &Kind::Binary(kind) => {
                let other = weights(&self.shape)?;
                let result = graph.add(Binary { kind }.into(), &[&input, &other])?;
                (Some(other), result)
            }
            Kind::Softmax => (None, graph.add(Softmax.into(), &[&input])?),
            Kind::LogSoftmax => (None, graph.add(LogSoftmax.into(), &[&input])?),
            Kind::Reduce(kind, axes) => {
                let reduce = Reduce {
                    kind: *kind,
                    axes: axes.clone(),
                    keep_dims: false,
                };
                (None, graph.add(reduce.into(), &[&input])?)
            }
        };
        let operands = std::iter::once(input).chain(other).collect();
        Ok((graph, operands, result))
    }

    /// The program of a direction. The result stays where a model would leave it, in the arena; one element of it comes out,
    /// so that it is needed and copying it costs nothing.
    fn program(&self, direction: Direction) -> danlu::graph::Result<Program> {
        let (graph, operands, mut result) = self.build()?;
        if let Some(operand) = direction.operand {
            let shape = result.shape().as_fixed().unwrap_or_default();
            let gradient = graph.state(GRADIENT, &shape, DType::F32)?;
            result = gradients_from(&[(&result, &gradient)], &[&operands[operand]])?.remove(0);
        }
        let rank = result.shape().rank();
        let element = match rank {
            0 => result,
            _ => result.slice(&vec![0; rank], &vec![Dim::fixed(1); rank], &vec![1; rank])?,
        };
        // Each run writes this state: what depends on states that nobody writes would be computed once only.
        let touched = graph.state(TOUCHED, &[1], DType::F32)?;
        let outputs = [("element", &element), (TOUCHED, &touched)];
        Program::new(&graph, &[], &outputs, &[])
    }

    /// Random operands for a direction, and its plan.
    ///
    /// # Errors
    /// There is no memory for the operands.
    pub fn prepare<'a>(
        &self,
        direction: Direction,
        executor: &'a mut dyn Executor,
    ) -> Result<Prepared<'a>> {
        let program = self.program(direction).map_err(Failure::usage)?;
        let mut prepared = Prepared {
            states: Vec::new(),
            plan: None,
            element: Vec::new(),
            touched: Tensor::scalar(0.0),
            executor,
        };
        for (name, value_type) in program.states() {
            let shape = value_type.shape.as_fixed().unwrap_or_default();
            let tensor = self.random(&name, &shape)?;
            prepared
                .executor
                .create_state(&name, &tensor)
                .map_err(Failure::failed)?;
            if name == TOUCHED {
                prepared.touched = tensor;
            }
            prepared.states.push(name);
        }
        let bindings = Bindings::new();
        let plan = prepared.executor.compile(&program, &bindings);
        prepared.plan = Some(plan.map_err(Failure::failed)?);
        prepared.element =
            danlu::graph::executor::output_tensors(&program, &bindings).map_err(Failure::failed)?;
        Ok(prepared)
    }

    /// Numbers from -1 up to 1, or from above 0 where the function wants them so.
    fn random(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let above_zero = matches!(
            self.kind,
            Kind::Unary(UnaryKind::Log | UnaryKind::Log1p | UnaryKind::Sqrt)
                | Kind::Binary(BinaryKind::Power)
        );
        let count = element_count(shape).map_err(Failure::usage)?;
        let mut values: Vec<f32> = Vec::new();
        values.try_reserve_exact(count).map_err(|_| {
            Failure::Failed(format!(
                "there is no memory for an array of shape {}",
                joined(shape)
            ))
        })?;
        let key = key(0, stream(name, 0));
        values.extend((0..count as u64).map(|place| {
            let number = uniform_at(key, 0, 0, place);
            match above_zero {
                true => number + 0.125,
                false => 2.0 * number - 1.0,
            }
        }));
        Tensor::from_f32(shape, values).map_err(Failure::failed)
    }
}

/// The names of the states.
const INPUT: &str = "input";
const WEIGHTS: &str = "weights";
const GRADIENT: &str = "gradient";
const TOUCHED: &str = "touched";

/// The operation that takes the one element out, which is no part of what is measured.
const PROBE: &str = "slice";

/// A direction of an operation, ready to run.
pub struct Prepared<'a> {
    executor: &'a mut dyn Executor,
    states: Vec<String>,
    plan: Option<PlanId>,
    element: Vec<Tensor>,
    touched: Tensor,
}

impl Prepared<'_> {
    /// Runs it once.
    ///
    /// # Errors
    /// Never at present; part of the signature that all programs share.
    pub fn run(&mut self) -> Result<()> {
        let Some(plan) = self.plan else {
            return Ok(());
        };
        self.executor
            .write_state(TOUCHED, &self.touched)
            .and_then(|()| self.executor.run(plan, &[], &mut self.element))
            .map_err(Failure::failed)
    }

    /// What a run costs at least.
    pub fn costs(&mut self) -> Costs {
        self.executor.measure(true);
        let profile = self.plan.and_then(|plan| self.executor.profile(plan));
        self.executor.measure(false);
        let steps = profile.map_or(Vec::new(), |profile| profile.steps);
        let is_probe =
            |step: &StepProfile| matches!(&step.operations[..], [one] if one.name == PROBE);
        Costs::of(steps.iter().filter(|step| !is_probe(step)))
    }
}

impl Drop for Prepared<'_> {
    fn drop(&mut self) {
        if let Some(plan) = self.plan {
            self.executor.release(plan);
        }
        for state in &self.states {
            // Nothing uses it any more; one that stays all the same is overwritten.
            let _ = self.executor.remove_state(state);
        }
    }
}
