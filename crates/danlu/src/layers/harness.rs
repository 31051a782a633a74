//! What every layer's test goes through: its config survives, its parameters are trained, gradients agree with finite
//! differences in f64, its models survive both formats of files, and threads change no bit.

use danlu_graph::reference::{Array, ReferenceExecutor};
use danlu_graph::{Bindings, DType, Executor, Graph, Program, Shape, Tensor, Value, gradients};

use super::{
    BuildContext, CallContext, Effects, Layer, LayerSpec, Parameter, RandomInputs, state_name,
};
use crate::Model;
use crate::prelude::*;

mod merge;
pub use merge::{merge, refuses_merge};

const BATCH: usize = 2;

/// Checks a layer for examples of this shape.
pub fn check(layer: impl Layer, example: &[usize]) {
    check_with(Box::new(layer), example, &numbers);
}

/// As [`check`], for a layer that takes whole numbers below `count`: it is given a little more, which it cuts off.
pub fn check_indices(layer: impl Layer, example: &[usize], count: usize) {
    check_with(Box::new(layer), example, &|shape, start| {
        let mut array = numbers(shape, start);
        let index = |x: &f64| ((x + 1.0) * 50.0).floor() % count as f64 + 0.25;
        array.data = array.data.iter().map(index).collect();
        array
    });
}

/// Inputs of a shape, from this number of a series on.
type Inputs<'a> = &'a dyn Fn(&[usize], usize) -> Array;

fn check_with(mut layer: Box<dyn Layer>, example: &[usize], inputs: Inputs<'_>) {
    agrees_with_itself(&mut *layer, &[example], inputs);
    files_keep_it(&*layer, example, inputs);
    threads_change_nothing(&*layer, example, inputs);
    training_lowers_the_loss(layer, example, inputs);
}

/// As [`check`], for a layer of several inputs, which is called in a graph: it stands in no `Sequential`. `examples` is the shape of
/// an example of each input.
pub fn check_merge(layer: impl Layer, examples: &[&[usize]]) {
    let mut layer: Box<dyn Layer> = Box::new(layer);
    agrees_with_itself(&mut *layer, examples, &numbers);
    merge::threads_and_batches_change_nothing(&mut *layer, examples);
}

/// The layer's config and gradients.
fn agrees_with_itself(layer: &mut dyn Layer, examples: &[&[usize]], inputs: Inputs<'_>) {
    config_survives(layer);
    let parameters = build(layer, examples);
    config_says_all(layer, &parameters, examples);
    gradients_agree(layer, &parameters, examples, inputs);
}

/// Checks that a model with this layer cannot be built, and that the error says `part`.
pub fn refuses(layer: impl Layer, example: &[usize], part: &str) {
    let mut model = Sequential::new();
    model.add(Input::new(example));
    model.add(layer);
    let error = model.build().unwrap_err().to_string();
    assert!(error.contains(part), "{error}");
}

/// The layer's output for ones, in training, at this step.
pub fn call_in_training(layer: impl Layer, example: &[usize], step: i64) -> Tensor {
    let mut layer: Box<dyn Layer> = Box::new(layer);
    let parameters = build(&mut *layer, &[example]);
    let (program, _) = program(&*layer, &parameters, &[example], false);
    let mut shape = vec![BATCH];
    shape.extend(example);
    let ones = Tensor::from_f32(&shape, vec![1.0; shape.iter().product()]).unwrap();
    let number = |number: i64| Tensor::from_i64(&[], vec![number]).unwrap();
    let mut executor = ReferenceExecutor::new();
    let plan = executor.compile(&program, &Bindings::batch(BATCH)).unwrap();
    let mut outputs = vec![Tensor::zeros(&shape, DType::F32).unwrap()];
    let inputs = [&ones, &number(7), &number(step), &number(0)];
    executor.run(plan, &inputs, &mut outputs).unwrap();
    outputs.remove(0)
}

/// The mean and standard deviation of these numbers.
pub fn mean_and_deviation(values: &[f32]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let squares = values
        .iter()
        .map(|&value| (f64::from(value) - mean).powi(2));
    (mean, (squares.sum::<f64>() / count).sqrt())
}

fn config_survives(layer: &dyn Layer) {
    let class = layer.class_name();
    let again = LayerSpec::from_arguments(class, layer.config()).unwrap();
    assert_eq!(again.layer.config(), layer.config(), "{class}");
}

/// A layer made of the config has the same parameters and does the same.
fn config_says_all(layer: &dyn Layer, parameters: &[Parameter], examples: &[&[usize]]) {
    let class = layer.class_name();
    let again = LayerSpec::from_arguments(class, layer.config()).unwrap();
    let mut again = again.layer;
    let others = build(&mut *again, examples);
    assert_eq!(format!("{others:?}"), format!("{parameters:?}"), "{class}");
    let text = |layer: &dyn Layer, parameters: &[Parameter]| {
        let (program, _) = program(layer, parameters, examples, false);
        program.to_string()
    };
    let (found, expected) = (text(&*again, &others), text(layer, parameters));
    assert_eq!(found, expected, "{class}");
}

fn build(layer: &mut dyn Layer, examples: &[&[usize]]) -> Vec<Parameter> {
    let mut context = BuildContext::default();
    layer.build(&mut context, &batches_of(examples)).unwrap();
    context.into_parameters()
}

fn batches_of(examples: &[&[usize]]) -> Vec<Shape> {
    let shapes = examples.iter().map(|example| Shape::batch_of(example));
    shapes.collect()
}

/// Inputs of a graph, f32 of these shapes.
pub fn inputs_of(graph: &Graph, shapes: &[Shape]) -> Vec<Value> {
    let places = shapes.iter().enumerate();
    let input = |(place, shape): (usize, &Shape)| {
        let name = format!("x{place}");
        graph.input(&name, shape.clone(), DType::F32).unwrap()
    };
    places.map(input).collect()
}

/// A program of the layer in training: outputs `y` or, where asked for, `sum y^2` and its gradients with respect to each
/// input and parameter. Inputs: those of the layer, seed, step, first example.
fn program(
    layer: &dyn Layer,
    parameters: &[Parameter],
    examples: &[&[usize]],
    differentiate: bool,
) -> (Program, Vec<String>) {
    let graph = Graph::new();
    let xs = inputs_of(&graph, &batches_of(examples));
    let number = |name| graph.input(name, Shape::scalar(), DType::I64).unwrap();
    let random = RandomInputs {
        seed: number("seed"),
        step: number("step"),
        first_example: number("first_example"),
    };
    let effects = Effects::default();
    let context = CallContext {
        training: true,
        random: Some(&random),
        ..CallContext::new(&graph, "layer", parameters, &effects)
    };
    let y = layer.call(&context, &xs).unwrap();
    let mut inputs: Vec<&Value> = xs.iter().collect();
    inputs.extend([&random.seed, &random.step, &random.first_example]);
    if !differentiate {
        return (
            Program::new(&graph, &inputs, &[("y", &y)], &[]).unwrap(),
            Vec::new(),
        );
    }
    let loss = y.square().unwrap().sum_all().unwrap();
    let names: Vec<String> = parameters
        .iter()
        .map(|p| state_name("layer", &p.name))
        .collect();
    let states: Vec<Value> = parameters
        .iter()
        .map(|p| {
            graph
                .state(&state_name("layer", &p.name), &p.shape, DType::F32)
                .unwrap()
        })
        .collect();
    let with_respect_to: Vec<&Value> = xs.iter().chain(&states).collect();
    let slopes = gradients(&loss, &with_respect_to).unwrap();
    let mut outputs = vec![("loss", &loss)];
    outputs.extend(slopes.iter().map(|slope| ("slope", slope)));
    (Program::new(&graph, &inputs, &outputs, &[]).unwrap(), names)
}

fn numbers(shape: &[usize], start: usize) -> Array {
    let count: usize = shape.iter().product();
    let data = (start..start + count).map(|i| ((i * 7919 + 13) % 101) as f64 / 50.0 - 1.0 + 0.003);
    Array::new(shape.to_vec(), DType::F32, data.collect())
}

fn gradients_agree(
    layer: &dyn Layer,
    parameters: &[Parameter],
    examples: &[&[usize]],
    given: Inputs<'_>,
) {
    let (program, names) = program(layer, parameters, examples, true);
    let bindings = Bindings::batch(BATCH);
    let mut executor = ReferenceExecutor::new();
    for (index, (name, parameter)) in names.iter().zip(parameters).enumerate() {
        executor.set_state(name, numbers(&parameter.shape, 31 * (index + 1)));
    }
    let mut inputs: Vec<Array> = examples
        .iter()
        .enumerate()
        .map(|(place, example)| {
            let mut input = given(&[&[BATCH], *example].concat(), 17 * place);
            // No element is as large as one of another input: there extremes have no derivative.
            for number in &mut input.data {
                *number += 0.004 * place as f64;
            }
            input
        })
        .collect();
    inputs.extend([7.0, 0.0, 0.0].map(|number| Array::scalar(number, DType::I64)));
    let output = |values: &[Array], place: usize| values[program.outputs()[place].node].clone();
    let values = executor.evaluate(&program, &bindings, &inputs).unwrap();
    let slopes: Vec<Array> = (0..examples.len() + names.len())
        .map(|place| output(&values, place + 1))
        .collect();
    let step = 1e-5;
    for (place, slope) in slopes.iter().enumerate() {
        let count = slope.data.len();
        for element in (0..count).step_by(count.div_ceil(12)) {
            let mut loss_at = |offset: f64| {
                if place < examples.len() {
                    let kept = inputs[place].data[element];
                    inputs[place].data[element] = kept + offset;
                    let values = executor.evaluate(&program, &bindings, &inputs).unwrap();
                    inputs[place].data[element] = kept;
                    return output(&values, 0).data[0];
                }
                let name = &names[place - examples.len()];
                let kept = executor.state(name).unwrap().clone();
                let mut moved = kept.clone();
                moved.data[element] += offset;
                executor.set_state(name, moved);
                let values = executor.evaluate(&program, &bindings, &inputs).unwrap();
                executor.set_state(name, kept);
                output(&values, 0).data[0]
            };
            let expected = (loss_at(step) - loss_at(-step)) / (2.0 * step);
            let found = slope.data[element];
            assert!(
                (found - expected).abs() <= 1e-5 * expected.abs().max(1.0),
                "{}: gradient {place}, element {element}: {found}, by differences {expected}",
                layer.class_name(),
            );
        }
    }
}

/// A model with another such layer between its input and a dense layer, trained for two steps by this number of threads.
fn trained(layer: &dyn Layer, example: &[usize], inputs: Inputs<'_>, threads: usize) -> Sequential {
    let again = LayerSpec::from_arguments(layer.class_name(), layer.config()).unwrap();
    let mut model = Sequential::new();
    let options = danlu_cpu::CpuOptions {
        threads: Some(threads),
        ..Default::default()
    };
    model
        .set_executor(crate::cpu_executor(options).unwrap())
        .unwrap();
    model.add(Input::new(example));
    model.add(again);
    model.add(Flatten::new());
    model.add(Dense::new(2));
    model
        .compile(Adam::new(0.05), "mse", Vec::<&str>::new())
        .unwrap();
    let x = batch_of(6, example, inputs);
    let y = numbers(&[6, 2], 3).to_tensor().unwrap();
    let options = FitOptions::new().epochs(1).batch_size(3).verbose(false);
    model.fit((&x, &y), options).unwrap();
    model
}

fn batch_of(count: usize, example: &[usize], inputs: Inputs<'_>) -> Tensor {
    let mut shape = vec![count];
    shape.extend(example);
    inputs(&shape, 5).to_tensor().unwrap()
}

fn files_keep_it(layer: &dyn Layer, example: &[usize], inputs: Inputs<'_>) {
    let class = layer.class_name();
    let model = &mut trained(layer, example, inputs, 1);
    let x = batch_of(5, example, inputs);
    let predictions = model.predict(&x, PredictOptions::new()).unwrap();
    let (config, weights) = (model.to_keras(), model.weights().unwrap());
    let folder = tempfile::tempdir().unwrap();
    for extension in ["keras", "h5"] {
        let path = folder.path().join(format!("model.{extension}"));
        model.save(&path).unwrap();
        let mut again = Model::load(&path).unwrap();
        assert_eq!(again.warnings(), [] as [&str; 0], "{class}.{extension}");
        assert_eq!(again.weights().unwrap(), weights, "{class}.{extension}");
        assert_eq!(again.to_keras(), config, "{class}.{extension}");
        let found = again.predict(&x, PredictOptions::new()).unwrap();
        assert_eq!(found.dtype(), DType::F32);
        assert_eq!(found, predictions, "{class}.{extension}");
    }
}

fn threads_change_nothing(layer: &dyn Layer, example: &[usize], inputs: Inputs<'_>) {
    let class = layer.class_name();
    let (mut one, mut three) = (
        trained(layer, example, inputs, 1),
        trained(layer, example, inputs, 3),
    );
    assert_eq!(one.weights().unwrap(), three.weights().unwrap(), "{class}");
    let x = batch_of(5, example, inputs);
    let found = one.predict(&x, PredictOptions::new()).unwrap();
    let expected = three.predict(&x, PredictOptions::new()).unwrap();
    assert_eq!(found, expected, "{class}");
}

/// The layer between a flat dense layer's output and targets; at least its own model must learn.
fn training_lowers_the_loss(layer: Box<dyn Layer>, example: &[usize], inputs: Inputs<'_>) {
    let class = layer.class_name().to_owned();
    let mut model = Sequential::new();
    model.add(Input::new(example));
    model.add(layer);
    model.add(Flatten::new());
    model.add(Dense::new(2));
    model
        .compile(Adam::new(0.05), "mse", Vec::<&str>::new())
        .unwrap();
    let mut shape = vec![6];
    shape.extend(example);
    let x = inputs(&shape, 5).to_tensor().unwrap();
    let y = numbers(&[6, 2], 3).to_tensor().unwrap();
    let model: &mut Model = &mut model;
    let before = model
        .evaluate((&x, &y), EvaluateOptions::new())
        .unwrap()
        .loss();
    let options = FitOptions::new().epochs(8).batch_size(6).verbose(false);
    model.fit((&x, &y), options).unwrap();
    let after = model
        .evaluate((&x, &y), EvaluateOptions::new())
        .unwrap()
        .loss();
    assert!(after < before, "{class}: {before} to {after}");
}
