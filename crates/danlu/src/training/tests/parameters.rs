//! Layers with parameters of every kind, called as Keras called them.

use std::collections::BTreeMap;

use danlu_graph::reference::{Array, ReferenceExecutor};
use danlu_graph::{Bindings, Graph, Program, Shape, Value, gradients_from};
use serde_json::Value as Json;

use crate::golden::{assert_near, config, list, load, sizes, tensor, tensors, text};
use crate::layers::{BuildContext, CallContext, Effects, LayerSpec, RandomInputs, state_name};
use crate::prelude::*;

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
    let updates: BTreeMap<String, Value> = effects.updates.borrow().iter().cloned().collect();
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
