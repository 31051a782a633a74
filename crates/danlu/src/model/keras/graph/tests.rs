//! Functional models as tf.keras 2 wrote them, by hand after `get_network_config` of TensorFlow 2.15: the calls of a model in a
//! model count from 1, since the call that made the model counts as well.

use serde_json::{Value, json};

use crate::Model;

fn input(name: &str, size: usize) -> Value {
    json!({ "class_name": "InputLayer", "name": name, "inbound_nodes": [], "config": {
        "batch_input_shape": [null, size], "dtype": "float32", "sparse": false, "ragged": false, "name": name,
    } })
}

fn dense(name: &str, units: usize, calls: Value) -> Value {
    json!({ "class_name": "Dense", "name": name, "inbound_nodes": calls, "config": {
        "name": name, "trainable": true, "dtype": "float32", "units": units, "activation": "linear", "use_bias": true,
        "kernel_initializer": { "class_name": "GlorotUniform", "config": { "seed": null } },
        "bias_initializer": { "class_name": "Zeros", "config": {} },
        "kernel_regularizer": null, "bias_regularizer": null, "activity_regularizer": null,
        "kernel_constraint": null, "bias_constraint": null,
    } })
}

fn merge(class: &str, name: &str, calls: Value) -> Value {
    json!({ "class_name": class, "name": name, "inbound_nodes": calls,
            "config": { "name": name, "trainable": true, "dtype": "float32" } })
}

/// A functional model in a model, of 3 numbers from 3.
fn inner(calls: Value) -> Value {
    json!({ "class_name": "Functional", "name": "inner", "inbound_nodes": calls, "config": {
        "name": "inner", "trainable": true,
        "layers": [input("within", 3), dense("low", 3, json!([[["within", 0, 0, {}]]]))],
        "input_layers": [["within", 0, 0]], "output_layers": [["low", 0, 0]],
    } })
}

/// A chain in a model, of 3 numbers from 3.
fn chain(name: &str, has_input: bool, calls: Value) -> Value {
    let mut layers = vec![dense("one", 3, Value::Null)];
    if has_input {
        layers.insert(0, input("begin", 3));
    } else {
        layers[0]["config"]["batch_input_shape"] = json!([null, 3]);
    }
    json!({ "class_name": "Sequential", "name": name, "inbound_nodes": calls,
            "config": { "name": name, "layers": layers } })
}

fn model(layers: Vec<Value>, inputs: Value, outputs: Value) -> crate::Result<Model> {
    let mut model = Model::from_keras(&json!({ "class_name": "Functional", "config": {
        "name": "model", "trainable": true, "layers": layers, "input_layers": inputs, "output_layers": outputs,
    } }))?;
    model.build()?;
    Ok(model)
}

/// Where the inputs of a layer's calls come from, as we write them.
fn origins(model: &Model, layer: &str) -> Value {
    let written = model.to_keras();
    let layers = written["config"]["layers"].as_array().unwrap();
    let layer = layers.iter().find(|found| found["name"] == layer).unwrap();
    let calls = layer["inbound_nodes"].as_array().unwrap().iter();
    let calls = calls.map(|call| match &call["args"][0] {
        Value::Array(tensors) => tensors
            .iter()
            .map(|tensor| tensor["config"]["keras_history"].clone())
            .collect(),
        tensor => json!([tensor["config"]["keras_history"]]),
    });
    calls.collect()
}

#[test]
fn calls_of_inner_models_count_from_one() {
    let layers = vec![
        input("a", 3),
        input("b", 3),
        inner(json!([[["a", 0, 0, {}]], [["b", 0, 0, {}]]])),
        chain("begun", true, json!([[["inner", 1, 0, {}]]])),
        chain("open", false, json!([[["inner", 2, 0, {}]]])),
        merge(
            "Add",
            "sum",
            json!([[["inner", 2, 0, {}], ["begun", 1, 0, {}], ["open", 0, 0, {}]]]),
        ),
        dense("head", 2, json!([[["sum", 0, 0, {}]]])),
    ];
    let outputs = json!([
        ["head", 0, 0],
        ["inner", 1, 0],
        ["begun", 1, 0],
        ["open", 0, 0]
    ]);
    let model = model(layers, json!([["a", 0, 0], ["b", 0, 0]]), outputs).unwrap();
    assert_eq!(
        origins(&model, "inner"),
        json!([[["a", 0, 0]], [["b", 0, 0]]])
    );
    assert_eq!(origins(&model, "begun"), json!([[["inner", 0, 0]]]));
    assert_eq!(origins(&model, "open"), json!([[["inner", 1, 0]]]));
    let sum = json!([[["inner", 1, 0], ["begun", 0, 0], ["open", 0, 0]]]);
    assert_eq!(origins(&model, "sum"), sum);
    // As Keras 3 writes it: functional models count from 1 here, and here only.
    let outputs = json!([
        ["head", 0, 0],
        ["inner", 1, 0],
        ["begun", 0, 0],
        ["open", 0, 0]
    ]);
    assert_eq!(model.to_keras()["config"]["output_layers"], outputs);
    assert_eq!(model.output_shapes().unwrap(), [[2], [3], [3], [3]]);
}

#[test]
fn plain_layers_and_their_arguments() {
    let normalization = json!({ "class_name": "BatchNormalization", "name": "norm",
        "inbound_nodes": [[["x", 0, 0, { "training": false }]], [["one", 0, 0, {}]]],
        "config": { "name": "norm", "trainable": true, "dtype": "float32", "axis": [1], "momentum": 0.99, "epsilon": 0.001,
            "center": true, "scale": true } });
    let layers = vec![
        input("x", 4),
        normalization,
        // Some layers of one input are without the inner list.
        dense("one", 4, json!([["norm", 0, 0, {}]])),
        merge(
            "Subtract",
            "less",
            json!([[["norm", 1, 0, {}], ["one", 0, 0, {}]]]),
        ),
    ];
    let model = model(layers, json!([["x", 0, 0]]), json!([["less", 0, 0]])).unwrap();
    assert_eq!(
        origins(&model, "norm"),
        json!([[["x", 0, 0]], [["one", 0, 0]]])
    );
    assert_eq!(
        origins(&model, "less"),
        json!([[["norm", 1, 0], ["one", 0, 0]]])
    );
    let training: Vec<_> = model.calls.iter().map(|call| call.training).collect();
    assert_eq!(training, [None, Some(false), None, None, None]);
}

#[test]
fn what_cannot_be_read_is_named() {
    let error = |calls: Value| {
        let layers = vec![input("x", 4), dense("one", 4, calls)];
        let model = model(layers, json!([["x", 0, 0]]), json!([["one", 0, 0]]));
        model.unwrap_err().to_string()
    };
    let text = error(json!([[["x", 0, 0, { "mask": [1, 2] }]]]));
    assert!(
        text.contains("layer one") && text.contains("`mask` = [1,2]"),
        "{text}"
    );
    let text = error(json!([[["y", 0, 0, {}]]]));
    assert!(text.contains("no layer of this model named `y`"), "{text}");
    let text = error(json!([[["x", 0, 1, {}]]]));
    assert!(text.contains("output 1"), "{text}");

    // `x + 1` in tf.keras 2.
    let lambda = json!({ "class_name": "TFOpLambda", "name": "plus", "inbound_nodes": [["x", 0, 0, { "y": 1.0 }]],
        "config": { "name": "plus", "trainable": true, "dtype": "float32", "function": "__operators__.add" } });
    let layers = vec![input("x", 4), lambda];
    let model = model(layers, json!([["x", 0, 0]]), json!([["plus", 0, 0]]));
    let text = model.unwrap_err().to_string();
    assert!(text.contains("layer plus (TFOpLambda)"), "{text}");
}
