//! An optimizer's step alone, again and again: how fast its kernels are.

use danlu_graph::operations::random::{key, stream, uniform_at};
use danlu_graph::tensor::element_count;
use danlu_graph::{
    Bindings, DType, Executor, Graph, Operation, PlanId, Profile, Program, Tensor, Value,
};

use super::{Optimizer, Trained, layout, updates};
use crate::{Error, Result};

const PARAMETER: &str = "parameter";
const GRADIENT: &str = "gradient";

/// The step of an optimizer on one parameter, whose gradient lies in memory: what training does besides forward and backward,
/// where no product makes the gradient on the way.
pub struct StepAlone {
    executor: Box<dyn Executor>,
    plan: PlanId,
    read: usize,
    written: usize,
}

impl StepAlone {
    /// The step on a parameter of this shape, with a random value and gradient.
    ///
    /// # Errors
    /// An argument of the optimizer has a value that it cannot have; there is no memory.
    pub fn new(
        optimizer: &dyn Optimizer,
        shape: &[usize],
        mut executor: Box<dyn Executor>,
    ) -> Result<StepAlone> {
        optimizer.check()?;
        let graph = Graph::new();
        let trained = [Trained {
            name: PARAMETER.to_owned(),
            shape: shape.to_vec(),
        }];
        let mut made = |name: &str| -> Result<Value> {
            executor.create_state(name, &random(name, shape)?)?;
            Ok(graph.state(name, shape, DType::F32)?)
        };
        let (value, gradient) = (made(PARAMETER)?, made(GRADIENT)?);
        for state in layout(optimizer, &trained) {
            let start = state.start(&*executor)?;
            executor.create_state(&state.name, &start)?;
        }
        let updates = updates(optimizer, &graph, &trained, &[value], &[gradient])?;
        let updates: Vec<(&str, &Value)> = updates.iter().map(|(n, v)| (n.as_str(), v)).collect();
        let program = Program::new(&graph, &[], &[], &updates)?;
        let size = |node: usize| {
            let shape = program.nodes()[node].value_type.shape.as_fixed();
            shape.map_or(0, |shape| shape.iter().product::<usize>()) * size_of::<f32>()
        };
        let states = program.nodes().iter().enumerate();
        let states = states.filter(|(_, node)| matches!(node.operation, Operation::State(_)));
        let read = states.map(|(node, _)| size(node)).sum();
        let written = program.updates().iter().map(|update| size(update.node));
        let written = written.sum();
        let plan = executor.compile(&program, &Bindings::new())?;
        Ok(StepAlone {
            executor,
            plan,
            read,
            written,
        })
    }

    /// Runs it once. Allocates nothing.
    ///
    /// # Errors
    /// Never with Danlu's own optimizers.
    pub fn run(&mut self) -> Result<()> {
        Ok(self.executor.run(self.plan, &[], &mut [])?)
    }

    /// Bytes that a step cannot but read, and those that it cannot but write: the parameter, its gradient and the optimizer's
    /// state once each.
    pub fn bytes(&self) -> (usize, usize) {
        (self.read, self.written)
    }

    /// The steps of the plan with what each costs at least. `None` where the device cannot say.
    pub fn costs(&mut self) -> Option<Profile> {
        self.executor.measure(true);
        let profile = self.executor.profile(self.plan);
        self.executor.measure(false);
        profile
    }
}

/// Numbers from -0.05 up to, without, 0.05.
fn random(name: &str, shape: &[usize]) -> Result<Tensor> {
    let count = element_count(shape)?;
    let mut values: Vec<f32> = Vec::new();
    values.try_reserve_exact(count).map_err(|_| {
        let bytes = count.saturating_mul(size_of::<f32>());
        Error::from(format!(
            "there is no memory for a {name} of shape {shape:?} ({bytes} bytes)"
        ))
    })?;
    let key = key(0, stream(name, 0));
    values.extend((0..count as u64).map(|place| 0.1 * uniform_at(key, 0, 0, place) - 0.05));
    Ok(Tensor::from_f32(shape, values)?)
}
