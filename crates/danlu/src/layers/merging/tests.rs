//! Layers of several inputs forward and backward, their default arguments and what they refuse, against Keras.

use danlu_graph::executor::output_tensors;
use danlu_graph::reference::{Array, ReferenceExecutor};
use danlu_graph::{Bindings, DType, Graph, Program, Shape, Tensor, Value, gradients};
use serde_json::Value as Json;

use crate::golden::{assert_near, assert_tensor, config, list, load, sizes, tensor, tensors, text};
use crate::layers::harness::inputs_of;
use crate::layers::{BuildContext, CallContext, Effects, LayerSpec};

#[test]
fn layers_of_several_inputs_compute_what_keras_computes() {
    for case in list(&load("merging"), "cases") {
        agrees(case);
    }
}

/// The output on the CPU, and the gradients of sum(output * cotangent) there and in f64.
fn agrees(case: &Json) {
    let name = text(case, "name");
    let spec = LayerSpec::from_arguments(text(case, "layer"), config(&case["config"])).unwrap();
    let mut layer = spec.layer;
    let given = tensors(&case["inputs"]);
    let shapes: Vec<Shape> = given
        .iter()
        .map(|tensor| Shape::batch_of(&tensor.shape()[1..]))
        .collect();
    layer.build(&mut BuildContext::default(), &shapes).unwrap();

    let graph = Graph::new();
    let mut inputs = inputs_of(&graph, &shapes);
    let effects = Effects::default();
    let context = CallContext::new(&graph, "it", &[], &effects);
    let y = layer.call(&context, &inputs).unwrap();
    let cotangent = graph.input("cotangent", y.shape(), DType::F32).unwrap();
    inputs.push(cotangent);
    let inputs: Vec<&Value> = inputs.iter().collect();
    let loss = y.multiply(inputs[given.len()]).unwrap().sum_all().unwrap();
    let slopes = gradients(&loss, &inputs[..given.len()]).unwrap();
    let mut outputs = vec![("y", &y)];
    outputs.extend(slopes.iter().map(|slope| ("slope", slope)));
    let program = Program::new(&graph, &inputs, &outputs, &[]).unwrap();

    let mut expected = vec![tensor(&case["output"])];
    expected.extend(tensors(&case["input_gradients"]));
    let cotangent = tensor(&case["cotangent"]);
    let bindings = Bindings::batch(cotangent.shape()[0]);
    let inputs: Vec<&Tensor> = given.iter().chain([&cotangent]).collect();
    let mut executor = crate::default_executor().unwrap();
    let plan = executor.compile(&program, &bindings).unwrap();
    let mut found = output_tensors(&program, &bindings).unwrap();
    executor.run(plan, &inputs, &mut found).unwrap();
    let inputs: Vec<Array> = inputs.into_iter().map(Array::from_tensor).collect();
    let values = ReferenceExecutor::new()
        .evaluate(&program, &bindings, &inputs)
        .unwrap();
    assert_eq!(found.len(), expected.len(), "{name}");
    for (place, (found, expected)) in found.iter().zip(&expected).enumerate() {
        let what = format!("{name}: output {place}");
        assert_tensor(&what, found, expected, 1e-5);
        let reference = &values[program.outputs()[place].node];
        assert_near(&what, &reference.data, &expected.to_f64(), 1e-5);
    }
}

#[test]
fn what_keras_refuses_is_refused() {
    for case in list(&load("merging"), "refused") {
        let spec = LayerSpec::from_arguments(text(case, "layer"), config(&case["config"])).unwrap();
        let mut layer = spec.layer;
        let shapes = list(case, "shapes").iter().map(sizes);
        let shapes: Vec<Shape> = shapes.map(|shape| Shape::batch_of(&shape)).collect();
        let built = layer.build(&mut BuildContext::default(), &shapes);
        let error = built.expect_err(&case.to_string()).to_string();
        let named = error.contains(layer.class_name());
        assert!(named && error.contains(&shapes[0].to_string()), "{error}");
    }
}

#[test]
fn defaults_are_those_of_keras() {
    for (class, defaults) in load("merging")["default_configs"].as_object().unwrap() {
        let spec = LayerSpec::from_file(class, config(defaults)).unwrap();
        for (argument, value) in spec.layer.config() {
            assert_eq!(value, defaults[&argument], "{class}: {argument}");
        }
    }
}
