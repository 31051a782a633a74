//! The first operation of a step that gives a number that is not finite, of numbers that are: the step is run once more, with every
//! value on the way looked at.

use danlu_data::Batch;
use danlu_graph::executor::output_tensors;
use danlu_graph::operations::Operation;
use danlu_graph::{Bindings, DType, Program, Tensor, Value};

use super::explain::{Evidence, explain};
use super::{example, first_bad};
use crate::diagnosis::Diagnosis;
use crate::training::{StepGraph, Stepper, place_of};
use crate::{Model, Result};

/// Values that one program looks at, at most: a plan of all of a deep network's would take long to make.
const AT_ONCE: usize = 500;

/// The step in which it happened.
pub(crate) struct Found<'a> {
    pub batch: &'a Batch,
    pub weights: Option<&'a Tensor>,
    /// Examples of the pass before the batch.
    pub examples: usize,
    /// The numbers of the batch's examples, where they have any.
    pub indices: Option<&'a [usize]>,
    /// Both counted from 1.
    pub epoch: usize,
    pub step: usize,
    /// The parameter whose elements are the largest before the step, and how large.
    pub largest: Option<(String, f64)>,
}

/// Runs a training step on the state as it is, without changing it; `None` where all of it is finite.
pub(crate) fn locate(
    model: &mut Model,
    stepper: &mut Stepper,
    found: &Found<'_>,
) -> Result<Option<Diagnosis>> {
    let graph = model.step_graph(&stepper.signature)?;
    let values = graph.graph.values();
    let bad = bad_values(model, stepper, found, &graph, &values)?;
    let Some(culprit) = culprit(&graph, &values, &bad) else {
        return Ok(None);
    };
    let value = &values[culprit];
    let mut looked: Vec<&Value> = vec![value];
    let inputs = value.inputs();
    looked.extend(inputs.iter().filter(|input| input.dtype().is_float()));
    let tensors = run(model, stepper, found, &graph, &looked)?;
    let place = first_bad(&tensors[0]).unwrap_or(0);
    let shape = value.shape();
    let by_example = shape
        .dims()
        .first()
        .is_some_and(|size| size.as_fixed().is_none());
    let rows = found.batch.len().max(1);
    let row = place / (tensors[0].len() / rows).max(1);
    let (layer, stage) = place_of(&value.path());
    let evidence = Evidence {
        operation: value.operation(),
        layer,
        stage,
        result: tensors[0].get_f64(place),
        inputs: &tensors[1..],
        example: by_example.then(|| example(row, found.examples, found.indices)),
        largest: found.largest.clone(),
        data: found.batch.features.iter().map(largest).fold(0.0, f64::max),
        learning_rate: model.learning_rate(),
    };
    Ok(Some(explain(&evidence, found.epoch, found.step)))
}

/// The largest magnitude of a tensor's floats.
pub(crate) fn largest(tensor: &Tensor) -> f64 {
    let numbers = tensor.as_f32().unwrap_or_default().iter();
    numbers
        .fold(0.0, |most: f32, number| most.max(number.abs()))
        .into()
}

/// Of each value of the step whether it is not finite.
fn bad_values(
    model: &mut Model,
    stepper: &mut Stepper,
    found: &Found<'_>,
    graph: &StepGraph,
    values: &[Value],
) -> Result<Vec<bool>> {
    let mut serves = vec![false; values.len()];
    for (_, value) in graph.outputs.iter().chain(&graph.updates) {
        serves[value.node()] = true;
    }
    for place in (0..values.len())
        .rev()
        .filter(|&place| serves[place])
        .collect::<Vec<_>>()
    {
        mark(values, place, &mut serves);
    }
    let looked = |place: &usize| {
        let constant = matches!(values[*place].operation(), Operation::Constant(_));
        // What a constant such as minus infinity is for, only the operation that takes it shows.
        serves[*place] && values[*place].dtype().is_float() && !constant
    };
    let places: Vec<usize> = (0..values.len()).filter(looked).collect();
    let mut bad = vec![false; values.len()];
    for places in places.chunks(AT_ONCE) {
        let mut flags = Vec::new();
        for &place in places {
            let value = &values[place];
            let axes: Vec<isize> = (0..value.shape().rank() as isize).collect();
            let finite = value.is_finite()?.cast(DType::F32)?;
            flags.push(finite.min(&axes, false)?);
        }
        let flags = run(
            model,
            stepper,
            found,
            graph,
            &flags.iter().collect::<Vec<_>>(),
        )?;
        for (&place, flag) in places.iter().zip(&flags) {
            bad[place] = flag.get_f64(0) != 1.0;
        }
    }
    Ok(bad)
}

/// Marks what a value is made of.
fn mark(values: &[Value], from: usize, marks: &mut [bool]) {
    let mut open = vec![from];
    while let Some(place) = open.pop() {
        for input in values[place].inputs() {
            if !std::mem::replace(&mut marks[input.node()], true) {
                open.push(input.node());
            }
        }
    }
}

/// From the loss, or else from the new values, back along what is not finite to where it began.
fn culprit(graph: &StepGraph, values: &[Value], bad: &[bool]) -> Option<usize> {
    let roots = graph.outputs.iter().take(1).map(|(_, value)| value.node());
    let mut roots: Vec<usize> = roots.filter(|&place| bad[place]).collect();
    if roots.is_empty() {
        let updates = graph.updates.iter().map(|(_, value)| value.node());
        roots = updates.filter(|&place| bad[place]).collect();
    }
    let mut reached = vec![false; values.len()];
    let mut open = roots;
    let mut first: Option<usize> = None;
    while let Some(place) = open.pop() {
        if std::mem::replace(&mut reached[place], true) {
            continue;
        }
        let inputs = values[place].inputs();
        let mut from: Vec<usize> = inputs.iter().map(Value::node).collect();
        from.retain(|&input| bad[input]);
        if from.is_empty() {
            first = Some(first.map_or(place, |first| first.min(place)));
        }
        open.extend(from);
    }
    first
}

/// The values of a step on the state as it is.
fn run(
    model: &mut Model,
    stepper: &mut Stepper,
    found: &Found<'_>,
    graph: &StepGraph,
    values: &[&Value],
) -> Result<Vec<Tensor>> {
    let names: Vec<String> = (0..values.len()).map(|place| place.to_string()).collect();
    let named: Vec<(&str, &Value)> = names
        .iter()
        .map(String::as_str)
        .zip(values.iter().copied())
        .collect();
    let inputs: Vec<&Value> = graph.inputs.iter().collect();
    let program = Program::new(&graph.graph, &inputs, &named, &[])?;
    let bindings = Bindings::batch(found.batch.len());
    let mut outputs = output_tensors(&program, &bindings)?;
    let (inputs, count) = stepper.inputs(found.batch, found.weights, found.examples)?;
    let executor = model.executor()?;
    let plan = executor.compile(&program, &bindings)?;
    let ran = executor.run(plan, &inputs[..count], &mut outputs);
    executor.release(plan);
    ran?;
    Ok(outputs)
}
