//! Layers with parameters of every kind, called as Keras called them.

use std::collections::BTreeMap;

use danlu_graph::reference::{Array, ReferenceExecutor};
use danlu_graph::{Bindings, Graph, Program, Shape, Value, gradients_from};
use serde_json::Value as Json;

use crate::golden::{assert_near, config, list, load, sizes, tensor, tensors, text};
use crate::layers::{BuildContext, CallContext, Effects, LayerSpec, RandomInputs, state_name};
use crate::prelude::*;
use crate::regularizers::{RegularizerFunction, register_regularizer};
use crate::{Arguments, Config, Result};

fn numbers(json: &Json) -> Vec<f64> {
    tensor(json).to_f64()
}

fn array(tensor: &Tensor) -> Array {
    Array::new(tensor.shape().to_vec(), DType::F32, tensor.to_f64())
}

/// What a case of fixtures/golden/parameters.json gives: output, the gradients of its sum with the cotangent, the parameters
/// afterwards, and the losses that the layer added.
struct Called {
    output: Vec<f64>,
    gradients: Vec<Vec<f64>>,
    after: Vec<Vec<f64>>,
    losses: Vec<f64>,
}

fn call(case: &Json) -> Called {
    let mut spec = LayerSpec::from_arguments(text(case, "layer"), config(&case["config"])).unwrap();
    let x_shape = sizes(&case["input"]["shape"]);
    let shape = Shape::batch_of(&x_shape[1..]);
    let mut context = BuildContext::default();
    spec.layer
        .build(&mut context, std::slice::from_ref(&shape))
        .unwrap();
    let parameters = context.into_parameters();
    let names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
    let expected: Vec<&str> = list(case, "weight_names")
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    assert_eq!(names, expected);
    let graph = Graph::new();
    let x = graph.input("x", shape.clone(), DType::F32).unwrap();
    let cotangent = graph.input("cotangent", shape, DType::F32).unwrap();
    let number = |name| graph.input(name, Shape::scalar(), DType::I64).unwrap();
    let random = RandomInputs {
        seed: number("seed"),
        step: number("step"),
        first_example: number("first_example"),
    };
    let effects = Effects::default();
    let context = CallContext {
        training: case["training"].as_bool().unwrap(),
        trainable: spec.trainable,
        random: Some(&random),
        ..CallContext::new(&graph, "layer", &parameters, &effects)
    };
    let y = spec.layer.call(&context, std::slice::from_ref(&x)).unwrap();
    let state = |name: &str| context.parameter(name).unwrap();
    let trained: Vec<Value> = parameters
        .iter()
        .filter(|p| p.trainable && spec.trainable)
        .map(|p| state(&p.name))
        .collect();
    let targets: Vec<&Value> = std::iter::once(&x).chain(&trained).collect();
    let slopes = gradients_from(&[(&y, &cotangent)], &targets).unwrap();
    let updates = effects.updates.take().into_iter();
    let updates: BTreeMap<String, Value> = updates.map(|one| (one.state, one.value)).collect();
    let after: Vec<Value> = parameters
        .iter()
        .map(|p| {
            updates
                .get(&state_name("layer", &p.name))
                .cloned()
                .unwrap_or(state(&p.name))
        })
        .collect();
    let losses = effects.losses.borrow().clone();
    let all = std::iter::once(&y)
        .chain(&slopes)
        .chain(&after)
        .chain(&losses);
    let outputs: Vec<(&str, &Value)> = all.map(|value| ("value", value)).collect();
    let program = Program::new(&graph, &[&x, &cotangent], &outputs, &[]).unwrap();
    let mut executor = ReferenceExecutor::new();
    for (parameter, weight) in parameters.iter().zip(tensors(&case["weights"])) {
        executor.set_state(&state_name("layer", &parameter.name), array(&weight));
    }
    let inputs = [
        array(&tensor(&case["input"])),
        array(&tensor(&case["cotangent"])),
    ];
    let values = executor
        .evaluate(&program, &Bindings::batch(x_shape[0]), &inputs)
        .unwrap();
    let mut found = program
        .outputs()
        .iter()
        .map(|output| values[output.node].data.clone());
    Called {
        output: found.next().unwrap(),
        gradients: found.by_ref().take(slopes.len()).collect(),
        after: found.by_ref().take(after.len()).collect(),
        losses: found.map(|loss| loss[0]).collect(),
    }
}

#[test]
fn layers_with_statistics_do_what_keras_does() {
    for case in list(&load("parameters"), "layers") {
        let name = text(case, "name");
        let called = call(case);
        assert_near(name, &called.output, &numbers(&case["output"]), 1e-5);
        let slopes = list(case, "weight_gradients").iter();
        let slopes: Vec<&Json> = std::iter::once(&case["input_gradient"])
            .chain(slopes)
            .collect();
        assert_eq!(called.gradients.len(), slopes.len(), "{name}");
        for (place, (found, expected)) in called.gradients.iter().zip(slopes).enumerate() {
            assert_near(
                &format!("{name}: gradient {place}"),
                found,
                &numbers(expected),
                1e-5,
            );
        }
        let after = list(case, "weights_after");
        assert_eq!(called.after.len(), after.len(), "{name}");
        for (found, expected) in called.after.iter().zip(after) {
            assert_near(
                &format!("{name}: weights after"),
                found,
                &numbers(expected),
                1e-5,
            );
        }
        let losses = list(case, "losses")
            .iter()
            .map(|loss| loss.as_f64().unwrap());
        let losses: Vec<f64> = losses.collect();
        assert_near(&format!("{name}: losses"), &called.losses, &losses, 1e-5);
    }
}

/// Counts the training steps, and adds the largest element of a step's input to the loss.
#[derive(Debug)]
struct Steps {
    wrong: &'static str,
}

impl Layer for Steps {
    fn class_name(&self) -> &str {
        "Steps"
    }
    fn build(&mut self, context: &mut BuildContext, _: &[Shape]) -> Result<()> {
        context.count("steps")?;
        context.statistic("largest", &[], "zeros")?;
        context.parameter("gain", &[], "ones")
    }
    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let steps = context.parameter("steps")?;
        let one = context.graph().scalar(1.0, DType::I64)?;
        context.update("steps", &steps.add(&one)?)?;
        let largest = inputs[0].max(&[0, 1], false)?;
        context.update("largest", &largest)?;
        context.add_loss(&largest)?;
        match self.wrong {
            "trained" => context.update("gain", &largest)?,
            "twice" => context.update("largest", &largest)?,
            "shape" => context.update("largest", &inputs[0])?,
            "name" => context.update("lragest", &largest)?,
            "loss" => context.add_loss(&inputs[0])?,
            _ => {}
        }
        Ok(inputs[0].multiply(&context.parameter("gain")?)?)
    }
    fn config(&self) -> Config {
        Config::new()
    }
    fn from_config(_: &mut Arguments) -> Result<Steps> {
        Ok(Steps { wrong: "" })
    }
}

fn pairs(examples: usize) -> (Tensor, Tensor) {
    let numbers = |count: usize, start: usize| -> Vec<f32> {
        (start..start + count)
            .map(|i| ((i * 7919 + 13) % 101) as f32 / 50.0 - 1.0)
            .collect()
    };
    let x = Tensor::from_f32(&[examples, 3], numbers(3 * examples, 0)).unwrap();
    let y = Tensor::from_f32(&[examples, 2], numbers(2 * examples, 5)).unwrap();
    (x, y)
}

fn counting(steps: LayerSpec) -> Model {
    let mut model = Sequential::from_layers([Input::new([3]).into(), steps, Dense::new(2).into()]);
    model
        .compile(SGD::new(0.01), "mse", Vec::<&str>::new())
        .unwrap();
    model.into()
}

#[test]
fn a_layer_s_own_statistics_change_in_training_alone() {
    let (x, y) = pairs(7);
    let quiet = || {
        FitOptions::new()
            .verbose(false)
            .batch_size(4)
            .shuffle(false)
    };
    let mut model = counting(Steps { wrong: "" }.name("steps"));
    // Trained first, then the rest in the order of declaration.
    let weights = |model: &Model| model.layer_weights("steps").unwrap();
    assert_eq!(weights(&model)[1], Tensor::scalar_i64(0));
    model
        .fit((&x, &y), quiet().epochs(3).validation_split(0.2))
        .unwrap();
    assert_eq!(weights(&model)[1], Tensor::scalar_i64(6));
    let before = weights(&model);
    let loss = model
        .evaluate((&x, &y), EvaluateOptions::new())
        .unwrap()
        .loss();
    model.predict(&x, PredictOptions::new()).unwrap();
    assert_eq!(weights(&model), before);
    // The last training batch was the fifth example; all are evaluated at once.
    let largest = |rows: std::ops::Range<usize>| {
        let all = &x.as_f32().unwrap()[3 * rows.start..3 * rows.end];
        all.iter().copied().fold(f32::MIN, f32::max)
    };
    assert_eq!(before[2].to_f64(), [f64::from(largest(4..5))]);
    let plain = model.predict(&x, PredictOptions::new()).unwrap().to_f64();
    let squares = plain.iter().zip(y.to_f64()).map(|(a, b)| (a - b).powi(2));
    let expected = squares.sum::<f64>() / 14.0 + f64::from(largest(0..7));
    assert!((loss - expected).abs() < 1e-5, "{loss}, {expected}");

    let mut frozen = counting(Steps { wrong: "" }.name("steps").trainable(false));
    frozen.fit((&x, &y), quiet()).unwrap();
    assert_eq!(weights(&frozen)[1], Tensor::scalar_i64(0));
}

#[test]
fn updates_and_losses_that_cannot_be_are_errors() {
    for (wrong, part) in [
        (
            "trained",
            "the new value of `gain`: expected of a parameter that was declared with",
        ),
        (
            "shape",
            "the new value of `largest`: expected float32 (), received float32 (batch, 3)",
        ),
        ("name", "did you mean `largest`?"),
        (
            "loss",
            "a loss that a layer adds: expected one float32 without axes",
        ),
    ] {
        let mut model = Sequential::new();
        model.add(Input::new([3]));
        model.add(Steps { wrong });
        let error = model.build().unwrap_err().to_string();
        assert!(
            error.contains(part) && error.contains("layer steps (Steps)"),
            "{error}"
        );
    }
    let (x, y) = pairs(2);
    let mut model = counting(Steps { wrong: "twice" }.into());
    let error = model.train_on_batch(&x, &y, None).unwrap_err().to_string();
    assert!(
        error.contains("expected one in a call, received two"),
        "{error}"
    );
}

fn normalized() -> Model {
    let mut adapted = Normalization::new();
    adapted.adapt(&pairs(5).0).unwrap();
    let mut model = Sequential::from_layers([
        Input::new([3]).into(),
        adapted.into(),
        Dense::new(4)
            .kernel_regularizer(Halves)
            .kernel_constraint(UnitNorm::new())
            .activity_regularizer("l2"),
        BatchNormalization::new().momentum(0.5).into(),
        Dense::new(2).bias_regularizer(L1::new(0.1)).into(),
    ]);
    model
        .compile(SGD::new(0.05).momentum(0.9), "mean_squared_error", ["mae"])
        .unwrap();
    model.into()
}

/// Half of the sum of squares.
#[derive(Debug)]
struct Halves;

impl RegularizerFunction for Halves {
    fn class_name(&self) -> &str {
        "Halves"
    }
    fn config(&self) -> Config {
        Config::new()
    }
    fn penalty(&self, value: &Value) -> Result<Value> {
        Ok(value.square()?.sum_all()?.multiply_scalar(0.5)?)
    }
    fn from_config(_: &mut Arguments) -> Result<Halves> {
        Ok(Halves)
    }
}

#[test]
fn what_parameters_have_survives_saving_and_training_goes_on() {
    register_regularizer::<Halves>("Halves").unwrap();
    let (x, y) = pairs(6);
    let mut model = normalized();
    model.train_on_batch(&x, &y, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut loaded = Vec::new();
    for name in ["model.keras", "model.h5"] {
        let path = folder.path().join(name);
        model.save(&path).unwrap();
        let again = Model::load(&path).unwrap();
        assert_eq!(again.weights().unwrap(), model.weights().unwrap(), "{name}");
        assert_eq!(again.to_keras(), model.to_keras(), "{name}");
        loaded.push(again);
    }
    let results = model.train_on_batch(&x, &y, None).unwrap();
    for mut again in loaded {
        assert_eq!(again.train_on_batch(&x, &y, None).unwrap(), results);
        assert_eq!(again.weights().unwrap(), model.weights().unwrap());
    }
}

#[test]
fn a_benchmark_leaves_statistics_and_constrained_parameters_as_they_were() {
    let mut model = normalized();
    let before = model.weights().unwrap();
    let mut benchmark = model.benchmark(6, true).unwrap();
    benchmark.run().unwrap();
    drop(benchmark);
    assert_eq!(model.weights().unwrap(), before);
}

#[test]
fn recipes_write_tables() {
    let table = |text: &str| serde_json::from_str::<Config>(text).unwrap();
    let layers = [
        ("Input", r#"{ "shape": [3] }"#),
        (
            "Dense",
            r#"{ "units": 2, "kernel_regularizer": { "type": "L2", "l2": 0.5 }, "bias_constraint": "non_neg",
                "kernel_constraint": { "type": "MaxNorm", "max_value": 3, "axis": 1 }, "activity_regularizer": "l1" }"#,
        ),
        (
            "BatchNormalization",
            r#"{ "gamma_regularizer": { "type": "l1_l2", "l1": 0.1 } }"#,
        ),
    ];
    let layers = layers.map(|(class, text)| (class.to_owned(), table(text)));
    let mut model = Model::from_layers(layers).unwrap();
    model.build().unwrap();
    let config = model.to_keras();
    let dense = &config["config"]["layers"][1]["config"];
    assert_eq!(
        dense["kernel_regularizer"]["config"],
        Json::from(table(r#"{ "l2": 0.5 }"#))
    );
    assert_eq!(dense["kernel_constraint"]["config"]["axis"], 1);
    assert_eq!(dense["activity_regularizer"]["class_name"], "L1");
    for (argument, value, part) in [
        (
            "kernel_regularizer",
            r#"{ "type": "L2", "l1": 0.5 }"#,
            "L2 has no argument `l1`; did you mean `l2`?",
        ),
        (
            "kernel_regularizer",
            r#"{ "type": "L4" }"#,
            "no regularizer named `L4`",
        ),
        (
            "kernel_constraint",
            r#"{ "type": "MaxNorm", "max_value": -1 }"#,
            "`max_value` must be",
        ),
        ("activity_regularizer", r#""l_2""#, "did you mean `l2`?"),
        (
            "bias_constraint",
            "3",
            "`bias_constraint` must be a name or an object with a type",
        ),
    ] {
        let mut arguments = table(r#"{ "units": 2 }"#);
        arguments.insert(argument.to_owned(), serde_json::from_str(value).unwrap());
        let error = Model::from_layers([("Dense".to_owned(), arguments)])
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(part) && error.contains("layer 0 (Dense)"),
            "{error}"
        );
    }
}
