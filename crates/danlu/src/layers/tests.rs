//! Layers forward and backward, and their default arguments, against Keras.

use danlu_graph::reference::{Array, ReferenceExecutor};
use danlu_graph::{Bindings, DType, Graph, Program, Shape, Tensor, Value, gradients};
use serde_json::{Value as Json, json};

use super::{BuildContext, CallContext, Effects, LayerSpec, state_name};
use crate::golden::{assert_near, assert_tensor, config, list, load, sizes, tensor, tensors, text};
use crate::prelude::*;
use crate::{Model, config};

/// Files of this layout in fixtures/golden.
const FILES: [&str; 3] = ["convolutions", "layers", "plain_layers"];

#[test]
fn layers_compute_what_keras_computes() {
    for file in FILES {
        for case in list(&load(file), "cases") {
            outputs_agree(case);
            gradients_agree(case);
        }
    }
}

/// On the CPU, in a model.
fn outputs_agree(case: &Json) {
    let name = text(case, "name");
    let mut arguments = config(&case["config"]);
    arguments.insert("name".to_owned(), json!("it"));
    let layers = [
        (
            "Input".to_owned(),
            config! { "shape": sizes(&case["input_shape"]) },
        ),
        (text(case, "layer").to_owned(), arguments),
    ];
    let mut model = Model::from_layers(layers).unwrap();
    model.build().unwrap();
    let (shape, expected) = (model.output_shape().unwrap(), sizes(&case["output_shape"]));
    assert_eq!(shape, expected, "{name}");
    let parameters = case["parameters"].as_u64().unwrap();
    assert_eq!(model.count_parameters() as u64, parameters, "{name}");
    model
        .set_layer_weights("it", &tensors(&case["weights"]))
        .unwrap();
    let found = model
        .predict(tensor(&case["input"]), PredictOptions::new())
        .unwrap();
    assert_tensor(name, &found, &tensor(&case["output"]), 1e-5);
}

/// The gradients of sum(output * cotangent), in f64.
fn gradients_agree(case: &Json) {
    let name = text(case, "name");
    let class = text(case, "layer");
    let mut layer = LayerSpec::from_arguments(class, config(&case["config"]))
        .unwrap()
        .layer;
    let input = tensor(&case["input"]);
    let example = &input.shape()[1..];
    let mut build = BuildContext::default();
    layer
        .build(&mut build, &[Shape::batch_of(example)])
        .unwrap();
    let parameters = build.into_parameters();

    let graph = Graph::new();
    let typed = |name: &str, shape: Shape| graph.input(name, shape, DType::F32).unwrap();
    let x = typed("x", Shape::batch_of(example));
    let effects = Effects::default();
    let context = CallContext::new(&graph, "it", &parameters, &effects);
    let y = layer.call(&context, std::slice::from_ref(&x)).unwrap();
    let cotangent = typed("cotangent", y.shape());
    let loss = y.multiply(&cotangent).unwrap().sum_all().unwrap();
    let mut variables = vec![x.clone()];
    variables.extend(
        parameters
            .iter()
            .map(|p| context.parameter(&p.name).unwrap()),
    );
    let variables: Vec<&Value> = variables.iter().collect();
    let slopes = gradients(&loss, &variables).unwrap();
    let outputs: Vec<(&str, &Value)> = slopes.iter().map(|slope| ("slope", slope)).collect();
    let program = Program::new(&graph, &[&x, &cotangent], &outputs, &[]).unwrap();

    let mut executor = ReferenceExecutor::new();
    let array =
        |tensor: &Tensor| Array::new(tensor.shape().to_vec(), tensor.dtype(), tensor.to_f64());
    for (parameter, weight) in parameters.iter().zip(tensors(&case["weights"])) {
        executor.set_state(&state_name("it", &parameter.name), array(&weight));
    }
    let inputs = [array(&input), array(&tensor(&case["cotangent"]))];
    let bindings = Bindings::batch(input.shape()[0]);
    let values = executor.evaluate(&program, &bindings, &inputs).unwrap();
    let mut expected = vec![tensor(&case["input_gradient"])];
    expected.extend(tensors(&case["weight_gradients"]));
    assert_eq!(expected.len(), program.outputs().len(), "{name}");
    for (place, (output, expected)) in program.outputs().iter().zip(expected).enumerate() {
        let found = &values[output.node];
        assert_eq!(found.shape, expected.shape(), "{name}: gradient {place}");
        let what = format!("{name}: gradient {place}");
        assert_near(&what, &found.data, &expected.to_f64(), 1e-5);
    }
}

#[test]
fn defaults_are_those_of_keras() {
    for file in FILES.into_iter().chain(["parameters"]) {
        for (class, defaults) in load(file)["default_configs"].as_object().unwrap() {
            let spec = LayerSpec::from_file(class, config(defaults)).unwrap();
            for (argument, value) in spec.layer.config() {
                let same = match (value.as_f64(), defaults[&argument].as_f64()) {
                    (Some(a), Some(b)) => a == b,
                    _ => value == defaults[&argument],
                };
                let expected = &defaults[&argument];
                assert!(same, "{class}: {argument} is {value}, in Keras {expected}");
            }
        }
    }
}

#[test]
fn an_argument_that_must_be_given_is_found_under_a_name_near_it() {
    let refused = |class: &str, arguments: Json| {
        let arguments = arguments.as_object().unwrap().clone();
        let error = LayerSpec::from_arguments(class, arguments).err().unwrap();
        error.to_string()
    };
    let error = refused("Conv2D", json!({ "filters": 3, "kernel_sise": 3 }));
    let expected = "Conv2D has no argument `kernel_sise`; did you mean `kernel_size`?";
    assert_eq!(error, expected);
    // An argument that there is was not meant for another.
    let error = refused("Embedding", json!({ "output_dim": 3 }));
    assert!(error.contains("`input_dim` must be given"), "{error}");
}
