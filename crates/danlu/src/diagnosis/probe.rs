//! A look at one batch: the norms of parameters and of their gradients, and what the activations give. It is a program of its own
//! over the model's state, which it does not change: the training does not notice.

use std::sync::Arc;

use danlu_data::{Batch, Dataset};
use danlu_graph::executor::output_tensors;
use danlu_graph::operations::{BinaryKind, Operation, UnaryKind};
use danlu_graph::{
    Bindings, DType, GRADIENT, PlanId, Program, Tensor, TensorData, Value, gradients,
};

use crate::training::{Data, Feed, Mode, OPTIMIZER, StepGraph, Stepper, parameters};
use crate::{Model, Result};

/// Examples that are looked at, at most, before units are called dead.
const EXAMPLES: usize = 256;

/// So small that nothing is lost, and large enough to divide by.
const TINY: f64 = 1e-30;

/// A parameter that trains.
#[derive(Clone, Debug)]
pub(super) struct Parameter {
    /// `dense/kernel`.
    pub name: String,
    /// Whether it has two axes or more.
    pub kernel: bool,
    elements: usize,
    pub norm: f64,
    pub gradient: f64,
}

impl Parameter {
    pub fn layer(&self) -> &str {
        self.name.rsplit_once('/').map_or("", |(layer, _)| layer)
    }
}

/// A function of one element that can get stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Relu,
    Sigmoid,
    Tanh,
}

/// What an activation gives.
#[derive(Clone, Debug)]
pub(super) struct Activation {
    pub layer: String,
    pub function: Function,
    /// For each unit: the largest value of a ReLU, the mean slope of another, as a share of its largest.
    pub units: Vec<f32>,
}

/// What a look at a batch shows.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    /// Without penalties.
    pub loss: f64,
    /// In the model's order.
    pub parameters: Vec<Parameter>,
    pub activations: Vec<Activation>,
    /// The class that every example is taken for, where there is one such.
    pub only_class: Option<usize>,
}

pub(super) struct Probe {
    dataset: Arc<dyn Dataset>,
    stepper: Stepper,
    plan: PlanId,
    size: usize,
    layout: Measured,
    has_classes: bool,
    batch: Batch,
    outputs: Vec<Tensor>,
}

impl Probe {
    /// A look at batches of this many examples. Fails where there is no room for it.
    pub fn new(model: &mut Model, dataset: &Arc<dyn Dataset>, size: usize) -> Result<Probe> {
        let action = "diagnose";
        let size = size.clamp(1, dataset.len().max(1));
        let feed = Feed::new(Data::Indexed(dataset.clone()), size, None)?;
        let signature = feed.signature(model, Mode::Gradient, action)?;
        let seed = model.seed();
        let stepper = model.stepper(signature, &feed, seed)?;
        model.ensure_optimizer_state(action)?;
        let step = model.step_graph(&stepper.signature)?;
        let mut layout = Measured::default();
        let mut outputs = vec![step.data_loss.cast(DType::F32)?];
        let trained = model.trained();
        let values = parameters(&step.graph, &trained)?;
        let slopes = gradients(&step.data_loss, &values.iter().collect::<Vec<_>>())?;
        for ((described, value), slope) in trained.iter().zip(&values).zip(&slopes) {
            let elements = described.shape.iter().product();
            if elements == 0 {
                continue;
            }
            layout.parameters.push(Parameter {
                name: described.name.clone(),
                kernel: described.shape.len() > 1,
                elements,
                norm: 0.0,
                gradient: 0.0,
            });
            outputs.extend(extent(value)?);
            outputs.extend(extent(slope)?);
        }
        let names: Vec<&str> = trained.iter().map(|one| one.name.as_str()).collect();
        for (activation, value) in activations(model, &step, &names)? {
            layout.activations.push(activation);
            outputs.push(value);
        }
        let classes = step.predictions.first().filter(|value| {
            let last = value.shape().dims().last().and_then(|size| size.as_fixed());
            value.shape().rank() == 2 && last.is_some_and(|size| size > 1)
        });
        if let Some(classes) = classes {
            outputs.push(classes.argmax(-1)?);
        }
        let inputs: Vec<&Value> = step.inputs.iter().collect();
        let named: Vec<String> = (0..outputs.len()).map(|place| place.to_string()).collect();
        let named: Vec<(&str, &Value)> = named.iter().map(String::as_str).zip(&outputs).collect();
        let program = Program::new(&step.graph, &inputs, &named, &[])?;
        let bindings = Bindings::batch(size);
        Ok(Probe {
            dataset: dataset.clone(),
            plan: model.executor()?.compile(&program, &bindings)?,
            size,
            layout,
            has_classes: classes.is_some(),
            batch: Batch::default(),
            outputs: output_tensors(&program, &bindings)?,
            stepper,
        })
    }

    /// The batch of this number; each is spread over the whole dataset, which may be sorted.
    fn take(&mut self, number: usize) -> Result<()> {
        let batches = self.batches();
        let count = self.size * batches;
        let length = self.dataset.len();
        let indices: Vec<usize> = (0..self.size)
            .map(|place| (place * batches + number) * length / count)
            .collect();
        Ok(self.dataset.get(&indices, &mut self.batch)?)
    }

    /// Examples of a batch.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The number of batches that there are to look at.
    pub fn batches(&self) -> usize {
        (EXAMPLES.min(self.dataset.len()) / self.size).max(1)
    }

    /// The root mean squares of inputs and of targets that are floats, of the first batch.
    pub fn scales(&mut self) -> Result<(f64, f64)> {
        self.take(0)?;
        Ok((
            root_mean_square(&self.batch.features),
            root_mean_square(&self.batch.targets),
        ))
    }

    /// What the batch of this number shows.
    pub fn look(&mut self, model: &mut Model, number: usize) -> Result<Measured> {
        self.take(number)?;
        self.run(model)?;
        Ok(self.read())
    }

    /// The loss of each batch, and what it is where each example is compared with another's target. A model that has learned anything
    /// tells the two apart, whatever the loss.
    pub fn losses_of_strangers(&mut self, model: &mut Model) -> Result<Vec<(f64, f64)>> {
        let half = self.size / 2;
        let mut losses = Vec::with_capacity(self.batches());
        for number in 0..self.batches() {
            self.take(number)?;
            self.run(model)?;
            let own = self.outputs[0].get_f64(0);
            for target in &mut self.batch.targets {
                rotate(target, half);
            }
            self.run(model)?;
            losses.push((own, self.outputs[0].get_f64(0)));
        }
        Ok(losses)
    }

    fn run(&mut self, model: &mut Model) -> Result<()> {
        // Dropout draws what the examples of this place would draw: nothing is used up by it.
        let (inputs, count) = self.stepper.inputs(&self.batch, None, 0)?;
        let executor = model.executor()?;
        Ok(executor.run(self.plan, &inputs[..count], &mut self.outputs)?)
    }

    fn read(&self) -> Measured {
        let mut measured = self.layout.clone();
        let mut outputs = self.outputs.iter();
        let mut next = || outputs.next().map_or(f64::NAN, |tensor| tensor.get_f64(0));
        measured.loss = next();
        for parameter in &mut measured.parameters {
            let count = (parameter.elements as f64).sqrt();
            parameter.norm = next() * next().sqrt() * count;
            parameter.gradient = next() * next().sqrt() * count;
        }
        for activation in &mut measured.activations {
            if let Some(values) = outputs.next().and_then(Tensor::as_f32) {
                activation.units = values.to_vec();
            }
        }
        if let Some(classes) = outputs.next().filter(|_| self.has_classes) {
            let first = classes.get_f64(0);
            let all = (1..classes.len()).all(|place| classes.get_f64(place) == first);
            measured.only_class = (all && classes.len() > 1).then_some(first as usize);
        }
        measured
    }
}

/// The largest magnitude, and the mean square of the elements divided by it: a norm of any size, which squares in float32 could
/// not hold.
fn extent(value: &Value) -> Result<[Value; 2]> {
    let axes: Vec<isize> = (0..value.shape().rank() as isize).collect();
    let largest = value.abs()?.max(&axes, false)?;
    let scaled = value.divide(&largest.maximum_scalar(TINY)?)?;
    Ok([largest, scaled.square()?.mean_all()?])
}

/// The activations of layers that can get stuck, each with a number for each of its units.
fn activations(
    model: &Model,
    step: &StepGraph,
    trained: &[&str],
) -> Result<Vec<(Activation, Value)>> {
    let values = step.graph.values();
    let mut learned = vec![false; values.len()];
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); values.len()];
    for (place, value) in values.iter().enumerate() {
        learned[place] = match value.operation() {
            Operation::State(state) => trained.contains(&state.name.as_str()),
            _ => value.inputs().iter().any(|input| learned[input.node()]),
        };
        for input in value.inputs() {
            users[input.node()].push(place);
        }
    }
    let is_output = |place: usize| step.predictions.iter().any(|one| one.node() == place);
    let mut found = Vec::new();
    for (place, value) in values.iter().enumerate() {
        let Operation::Unary(unary) = value.operation() else {
            continue;
        };
        let function = match unary.kind {
            UnaryKind::Relu => Function::Relu,
            UnaryKind::Sigmoid => Function::Sigmoid,
            UnaryKind::Tanh => Function::Tanh,
            _ => continue,
        };
        let path = value.path();
        let inside = |place: usize| values[place].path() == path;
        let mut last = place;
        // A ReLU that is cut off above is a ReLU; a function that is a part of another (of swish, say) is none of its own.
        let cut = users[place].iter().find(|&&user| {
            let minimum = BinaryKind::Minimum;
            inside(user)
                && match values[user].operation() {
                    Operation::Binary(binary) => binary.kind == minimum,
                    operation => matches!(operation, Operation::Select(_)),
                }
        });
        if let Some(&cut) = cut.filter(|_| function == Function::Relu) {
            last = cut;
        }
        let is_part = users[last].iter().any(|&user| inside(user));
        let is_answer = is_output(last) && function != Function::Relu;
        if !learned[place] || !is_layer(model, &path) || is_part || is_answer {
            continue;
        }
        if let Some(units) = by_unit(model, &path, function, value)? {
            let activation = Activation {
                layer: path,
                function,
                units: Vec::new(),
            };
            found.push((activation, units));
        }
    }
    Ok(found)
}

/// Whether a path is a layer's forward pass.
fn is_layer(model: &Model, path: &str) -> bool {
    let first = path.split('/').next().unwrap_or("");
    let of_gradient = path.rsplit('/').next() == Some(GRADIENT);
    !of_gradient && first != OPTIMIZER && model.layer_names().contains(&first)
}

/// One number for each unit, f32; `None` where there is no axis of units.
fn by_unit(model: &Model, path: &str, function: Function, value: &Value) -> Result<Option<Value>> {
    let shape = value.shape();
    let first = model.layer(path).is_some_and(|layer| {
        let format = layer.config();
        format.get("data_format").and_then(|text| text.as_str()) == Some("channels_first")
    });
    let axis = match first {
        true => 1,
        false => shape.rank().saturating_sub(1),
    };
    let fixed = shape.dims().get(axis).and_then(|size| size.as_fixed());
    if shape.rank() < 2 || fixed.is_none() {
        return Ok(None);
    }
    let axes = (0..shape.rank()).filter(|&other| other != axis);
    let axes: Vec<isize> = axes.map(|axis| axis as isize).collect();
    let value = value.cast(DType::F32)?;
    // A sigmoid is half a tanh of half: 4 s (1 - s) is 1 - (2 s - 1)^2.
    let within = match function {
        Function::Relu => return Ok(Some(value.max(&axes, false)?)),
        Function::Sigmoid => value.multiply_scalar(2.0)?.add_scalar(-1.0)?,
        Function::Tanh => value,
    };
    let lost = within.square()?.mean(&axes, false)?;
    Ok(Some(lost.multiply_scalar(-1.0)?.add_scalar(1.0)?))
}

fn root_mean_square(tensors: &[Tensor]) -> f64 {
    let numbers = tensors.iter().filter_map(Tensor::as_f32).flatten();
    let (mut sum, mut count) = (0.0, 0usize);
    for &number in numbers {
        sum += f64::from(number) * f64::from(number);
        count += 1;
    }
    (sum / count.max(1) as f64).sqrt()
}

/// Moves every example of a tensor by so many places.
fn rotate(tensor: &mut Tensor, examples: usize) {
    let rows = tensor.shape().first().copied().unwrap_or(1).max(1);
    let elements = tensor.len() / rows * examples;
    match tensor.data_mut() {
        TensorData::F32(values) => values.rotate_left(elements),
        TensorData::I32(values) => values.rotate_left(elements),
        TensorData::I64(values) => values.rotate_left(elements),
        TensorData::BF16(values) | TensorData::F16(values) => values.rotate_left(elements),
        TensorData::U8(values) => values.rotate_left(elements),
        TensorData::I8(values) => values.rotate_left(elements),
        TensorData::Bool(values) => values.rotate_left(elements),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Kernels of norm 1 of `layer_0`, `layer_1`, ..., whose gradients have these norms; the loss is 1.
    pub fn measured(gradients: &[f64]) -> Measured {
        let parameters = gradients.iter().enumerate();
        let parameters = parameters.map(|(place, &gradient)| Parameter {
            name: format!("layer_{place}/kernel"),
            kernel: true,
            elements: 1,
            norm: 1.0,
            gradient,
        });
        Measured {
            loss: 1.0,
            parameters: parameters.collect(),
            ..Measured::default()
        }
    }
}
