//! Plans that were compiled: one for each program and number of examples, at most so many at a time.

use danlu_graph::executor::output_tensors;
use danlu_graph::{Bindings, Executor, PlanId, Tensor};

use crate::{Model, Result};

use super::program::{Added, Signature};

/// A full and a last batch, each for training, validation and prediction, and two for what comes between.
const CAPACITY: usize = 8;

pub(super) struct Plan {
    pub signature: Signature,
    pub batch: usize,
    pub id: PlanId,
    pub outputs: Vec<Tensor>,
    /// What a batch adds to each entry.
    pub entries: Vec<Vec<Total>>,
    used: u64,
}

/// What a batch adds to a metric, or a part of it: a number, or an output of the plan.
#[derive(Clone, Copy)]
pub(super) enum Total {
    Number(f64),
    Output(usize),
}

/// Plans over the model's state.
#[derive(Default)]
pub(crate) struct PlanCache {
    plans: Vec<Plan>,
    clock: u64,
    generation: u64,
}

impl PlanCache {
    /// Releases all plans: the model has changed.
    pub fn clear(&mut self, executor: Option<&mut (dyn Executor + 'static)>) {
        if let Some(executor) = executor {
            for plan in &self.plans {
                executor.release(plan.id);
            }
        }
        self.plans.clear();
        self.generation += 1;
    }

    /// How often everything was released.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Plan> {
        self.plans.iter()
    }

    pub(super) fn get(&mut self, place: usize) -> &mut Plan {
        &mut self.plans[place]
    }

    fn find(&mut self, signature: &Signature, batch: usize) -> Option<usize> {
        self.clock += 1;
        let fits = |plan: &Plan| plan.batch == batch && plan.signature == *signature;
        let place = self.plans.iter().position(fits)?;
        self.plans[place].used = self.clock;
        Some(place)
    }
}

impl Model {
    /// The place of the plan for this program and number of examples; compiled if it is not there. Allocates nothing if
    /// it is.
    pub(super) fn plan(&mut self, signature: &Signature, batch: usize) -> Result<usize> {
        if let Some(place) = self.plans.find(signature, batch) {
            return Ok(place);
        }
        let step = self.step_program(signature)?;
        let bindings = Bindings::batch(batch);
        if self.plans.plans.len() >= CAPACITY {
            let oldest =
                (0..self.plans.plans.len()).min_by_key(|&place| self.plans.plans[place].used);
            if let Some(place) = oldest {
                let old = self.plans.plans.remove(place);
                self.executor()?.release(old.id);
            }
        }
        let id = self.executor()?.compile(&step.program, &bindings)?;
        let total = |added: &Added| {
            Ok(match added {
                Added::Elements(dim) => Total::Number(dim.evaluate(&bindings)? as f64),
                Added::Output(place) => Total::Output(*place),
            })
        };
        let entries = step.entries.iter();
        let entries = entries
            .map(|added| added.iter().map(total).collect())
            .collect::<Result<_>>()?;
        self.plans.plans.push(Plan {
            signature: signature.clone(),
            batch,
            id,
            outputs: output_tensors(&step.program, &bindings)?,
            entries,
            used: self.plans.clock,
        });
        Ok(self.plans.plans.len() - 1)
    }
}
