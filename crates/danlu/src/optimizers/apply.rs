//! A step of any optimizer: what Keras does around each optimizer's own rule.

use danlu_graph::{DType, Graph, Value};

use super::arithmetic::{divide_by, from_number};
use super::state::{ACCUMULATOR, AVERAGE, ITERATION, LEARNING_RATE, shared_name, slot_name};
use super::{LearningRate, Optimizer, Parameter, Slot, Step, Trained};
use crate::{Error, Result};

/// The new values of the parameters and of everything that the optimizer keeps, by the names of their states.
///
/// `values` are the parameters, `gradients` those of the loss, multiplied by
/// [`loss_scale_factor`](super::Options::loss_scale_factor) where there is one.
///
/// # Errors
/// A multiplier is for a layer that does not train, or an operation does not take these values.
pub(crate) fn updates(
    optimizer: &dyn Optimizer,
    graph: &Graph,
    trained: &[Trained],
    values: &[Value],
    gradients: &[Value],
) -> Result<Vec<(String, Value)>> {
    let options = optimizer.options();
    check_multipliers(optimizer, trained)?;
    let iteration = graph.state(ITERATION, &[], DType::I64)?;
    let rate = match &options.learning_rate {
        LearningRate::Constant(_) => graph.state(LEARNING_RATE, &[], DType::F32)?,
        LearningRate::Schedule(schedule) => schedule.rate(&iteration)?,
    };
    let mut updates = vec![(ITERATION.to_owned(), iteration.add_scalar(1.0)?)];
    let mut gradients = gradients.to_vec();
    if let Some(scale) = options.loss_scale_factor {
        gradients = gradients
            .iter()
            .map(|gradient| divide_by(gradient, scale))
            .collect::<Result<_>>()?;
    }
    // With accumulation, the optimizer counts its own steps, and all that changes at them alone goes through `gate`.
    let mut step = Step {
        iteration: iteration.clone(),
        shared: Vec::new(),
    };
    let mut acts = None;
    if let Some(steps) = options.gradient_accumulation_steps {
        let now = every(&iteration, steps)?;
        step.iteration = divide_by(&iteration, steps as f64)?;
        let zero = graph.scalar(0.0, DType::F32)?;
        for (gradient, parameter) in gradients.iter_mut().zip(trained) {
            let name = slot_name(&parameter.name, ACCUMULATOR);
            let waiting = graph.state(&name, &parameter.shape, DType::F32)?;
            let sum = gradient.add(&waiting)?;
            updates.push((name, now.select(&zero, &sum)?));
            *gradient = divide_by(&sum, steps as f64)?;
        }
        acts = Some(now);
    }
    let gate = |new: &Value, old: &Value| -> Result<Value> {
        match &acts {
            Some(now) => Ok(now.select(new, old)?),
            None => Ok(new.clone()),
        }
    };
    let clipped = options.clipping.apply(&gradients)?;
    let shared = states(graph, &optimizer.shared_slots(), shared_name)?;
    step.shared = shared.iter().map(|(_, old)| old.clone()).collect();
    step.shared = optimizer.begin(&step)?;
    for ((name, old), new) in shared.iter().zip(&step.shared) {
        updates.push((name.clone(), gate(new, old)?));
    }
    for ((described, value), gradient) in trained.iter().zip(values).zip(clipped) {
        let name = &described.name;
        graph.scope(name, || -> Result<()> {
            let learning_rate = match options.multiplier(name) {
                Some(factor) => rate.multiply_scalar(factor)?,
                None => rate.clone(),
            };
            let decay = optimizer.weight_decay(described);
            let decayed = match decay.filter(|_| options.decays(name)) {
                Some(decay) => {
                    let change = value.multiply_scalar(decay)?.multiply(&learning_rate)?;
                    value.subtract(&change)?
                }
                None => value.clone(),
            };
            let slots = states(graph, &optimizer.slots(described), |slot| {
                slot_name(name, slot)
            })?;
            let parameter = Parameter {
                described: described.clone(),
                value: decayed,
                gradient,
                learning_rate,
                slots: slots.iter().map(|(_, old)| old.clone()).collect(),
            };
            let update = optimizer.update(&step, &parameter)?;
            let mut new = gate(&update.value, value)?;
            for ((name, old), new) in slots.into_iter().zip(update.slots) {
                if new.node() != old.node() {
                    updates.push((name, gate(&new, &old)?));
                }
            }
            if options.use_ema {
                let name = slot_name(name, AVERAGE);
                let old = graph.state(&name, &described.shape, DType::F32)?;
                let average = averaged(&step, &old, &new, options.ema_momentum)?;
                if let Some(frequency) = options.ema_overwrite_frequency {
                    new = every(&step.iteration, frequency)?.select(&average, &new)?;
                }
                updates.push((name, average));
            }
            updates.push((name.clone(), new));
            Ok(())
        })?;
    }
    Ok(updates)
}

/// Names and values of the states of these slots.
fn states(
    graph: &Graph,
    slots: &[Slot],
    name: impl Fn(&str) -> String,
) -> Result<Vec<(String, Value)>> {
    slots
        .iter()
        .map(|slot| {
            let name = name(slot.name);
            let value = graph.state(&name, &slot.shape, slot.dtype)?;
            Ok((name, value))
        })
        .collect()
}

/// Whether the step after so many is the last of a group of `steps`: a truth value.
fn every(iteration: &Value, steps: usize) -> Result<Value> {
    let next = iteration.add_scalar(1.0)?;
    let whole = divide_by(&next, steps as f64)?.multiply_scalar(steps as f64)?;
    Ok(next.equal(&whole)?)
}

/// The average after this step; after the first it is the value itself.
fn averaged(step: &Step, old: &Value, value: &Value, momentum: f64) -> Result<Value> {
    let zero = step.iteration.graph().scalar(0.0, DType::I64)?;
    let later = step.iteration.not_equal(&zero)?.cast(DType::F32)?;
    let momentum = later.multiply_scalar(momentum)?;
    let new = from_number(1.0, &momentum)?.multiply(value)?;
    Ok(momentum.multiply(old)?.add(&new)?.flush_tiny()?)
}

fn check_multipliers(optimizer: &dyn Optimizer, trained: &[Trained]) -> Result<()> {
    let mut names: Vec<&str> = trained
        .iter()
        .flat_map(|one| {
            let layer = one.name.rsplit_once('/').map_or("", |(layer, _)| layer);
            [layer, one.name.as_str()]
        })
        .collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(*name));
    for (name, _) in &optimizer.options().learning_rate_multipliers {
        if !names.contains(&name.as_str()) {
            let kind = "layer with parameters to train (in learning_rate_multipliers)";
            return Err(Error::unknown(kind, name, names));
        }
    }
    Ok(())
}
