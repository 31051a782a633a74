use serde_json::{Value, json};

use crate::golden::{assert_tensor, list, load, tensor, tensors, text};
use crate::prelude::*;

fn model(config: &Value, case: &Value) -> Model {
    let mut model = Model::from_keras(config).unwrap();
    model.build().unwrap();
    model.set_weights(&tensors(&case["weights"])).unwrap();
    model
}

fn check(case: &Value, mut model: Model) -> Model {
    let inputs = list(case, "inputs").iter().map(tensor);
    let inputs = inputs.map(std::sync::Arc::new);
    let names = model.input_names().into_iter().map(str::to_owned);
    let inputs = names.zip(inputs).collect();
    let data = ArrayDataset::from_named("the data", inputs, Vec::new()).unwrap();
    let options = PredictOptions::new().batch_size(2);
    let found = model.predict_outputs(&data, options).unwrap();
    assert_eq!(found.len(), list(case, "outputs").len());
    let name = text(case, "name");
    for (place, (found, expected)) in found.iter().zip(list(case, "outputs")).enumerate() {
        assert_tensor(&format!("{name} {place}"), found, &tensor(expected), 1e-5);
    }
    model
}

#[test]
fn operations_compute_what_they_do_in_keras() {
    for case in list(&load("operations"), "cases") {
        check(case, model(&case["config"], case));
    }
}

#[test]
fn operations_are_written_as_they_were_read() {
    let (mut operations, mut layers) = (0, 0);
    for case in list(&load("operations"), "cases") {
        let model = model(&case["config"], case);
        let written = model.to_keras();
        let found = written["config"]["layers"].as_array().unwrap();
        for layer in case["config"]["config"]["layers"].as_array().unwrap() {
            let found = found.iter().find(|found| found["name"] == layer["name"]);
            let found = found.unwrap();
            match model.layer(text(layer, "name")).unwrap().as_operation() {
                Some(_) => {
                    assert_eq!(found, layer);
                    operations += 1;
                }
                None => layers += usize::from(found["class_name"] != layer["class_name"]),
            }
        }
        let again = check(case, self::model(&written, case));
        assert_eq!(again.to_keras(), written);
    }
    assert!(operations > 40 && layers > 15, "{operations} {layers}");
}

#[test]
fn a_model_of_an_h5_says_less_and_is_the_same() {
    for case in list(&load("operations"), "cases") {
        let mut config = case["config"].clone();
        for layer in config["config"]["layers"].as_array_mut().unwrap() {
            let layer = layer.as_object_mut().unwrap();
            layer.shift_remove("module");
            layer.shift_remove("registered_name");
            layer.shift_remove("build_config");
        }
        let read = check(case, model(&config, case));
        assert_eq!(read.to_keras(), model(&case["config"], case).to_keras());
    }
}

#[test]
fn what_a_layer_does_exactly_is_that_layer() {
    for (name, layers) in [
        ("sum", "Add"),
        ("sum_of_other_ranks", "ExpandDims Add"),
        ("number_after", "Rescaling Rescaling Rescaling"),
        ("number_before", "Rescaling Rescaling"),
        ("negative", "Rescaling"),
        ("together", "Stack Stack Concatenate Concatenate"),
        (
            "axes",
            "Squeeze Squeeze ExpandDims ExpandDims Permute Reshape Reshape",
        ),
    ] {
        let golden = load("operations");
        let case = list(&golden, "cases");
        let case = case.iter().find(|case| case["name"] == name).unwrap();
        let model = Model::from_keras(&case["config"]).unwrap();
        let classes = model.layers().map(|(_, layer)| layer.class_name());
        let classes: Vec<&str> = classes.filter(|class| *class != "InputLayer").collect();
        assert_eq!(classes.join(" "), layers, "{name}");
    }
}

#[test]
fn an_h5_cannot_have_operations() {
    let golden = load("operations");
    let case = list(&golden, "cases");
    let case = case.iter().find(|case| case["name"] == "powers").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let inner = model(&case["config"], case);
    inner.save(folder.path().join("model.keras")).unwrap();
    let error = inner.save(folder.path().join("model.h5")).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("layer absolute (Absolute)"), "{error}");
    assert!(error.contains("save the model as .keras"), "{error}");

    let x = Symbol::input(Input::new([4]));
    let y = SharedLayer::new(inner).apply(&x);
    let mut outer = Model::new(x, y).unwrap();
    outer.build().unwrap();
    let error = outer.save(folder.path().join("model.hdf5")).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("layer functional (Functional): layer absolute"),
        "{error}"
    );
    assert!(!folder.path().join("model.h5").exists());
}

/// The error of a model of `x`, of shape (3, 4), and one operation.
fn error(class: &str, config: Value, args: Value, kwargs: Value) -> String {
    let mut config = config;
    config["name"] = json!("operation");
    let tensor = json!({ "class_name": "__keras_tensor__", "config": {
        "shape": [null, 3, 4], "dtype": "float32", "keras_history": ["x", 0, 0],
    } });
    let args = args.to_string().replace("\"x\"", &tensor.to_string());
    let args: Value = serde_json::from_str(&args).unwrap();
    let model = json!({ "class_name": "Functional", "config": {
        "name": "m", "input_layers": ["x", 0, 0], "output_layers": ["operation", 0, 0],
        "layers": [
            { "module": "keras.layers", "class_name": "InputLayer", "name": "x", "inbound_nodes": [],
              "config": { "name": "x", "batch_shape": [null, 3, 4], "dtype": "float32" } },
            { "module": "keras.src.ops.numpy", "class_name": class, "config": config, "name": "operation",
              "registered_name": class, "inbound_nodes": [{ "args": args, "kwargs": kwargs }] },
        ],
    } });
    let built = Model::from_keras(&model).and_then(|mut model| model.build());
    built.unwrap_err().to_string()
}

#[test]
fn what_cannot_be_had_is_named_with_layer_and_operation() {
    let whole = json!({ "class_name": "__slice__", "config": { "start": null, "stop": null, "step": null } });
    let backwards =
        json!({ "class_name": "__slice__", "config": { "start": null, "stop": null, "step": -1 } });
    let array = |value: Value| json!({ "class_name": "__numpy__", "config": { "value": value, "dtype": "float32" } });
    let none = || json!({});
    for (class, config, args, kwargs, parts) in [
        (
            "Meen",
            none(),
            json!(["x"]),
            none(),
            ["no operation of Keras named `Meen`", "did you mean `Mean`"],
        ),
        (
            "Cumsum",
            json!({ "axis": 1 }),
            json!(["x"]),
            none(),
            ["layer operation (Cumsum)", "no operation of Keras named"],
        ),
        (
            "Mean",
            json!({ "axis": 0, "keepdims": false }),
            json!(["x"]),
            none(),
            ["the operation Mean", "axis 0 is not the examples"],
        ),
        (
            "Sum",
            json!({ "axis": null, "keepdims": false }),
            json!(["x"]),
            none(),
            ["layer operation (Sum)", "axis 0 is not the examples"],
        ),
        (
            "Sum",
            json!({ "axis": 1, "where": 2 }),
            json!(["x"]),
            none(),
            ["layer operation (Sum)", "`where`"],
        ),
        (
            "GetItem",
            none(),
            json!(["x", 0]),
            none(),
            [
                "layer operation (GetItem)",
                "an index of the axis of examples",
            ],
        ),
        (
            "GetItem",
            none(),
            json!(["x", [0, whole]]),
            none(),
            ["layer operation (GetItem)", "a part of axis 0"],
        ),
        (
            "GetItem",
            none(),
            json!(["x", [whole, backwards]]),
            none(),
            ["layer operation (GetItem)", "the index"],
        ),
        (
            "GetItem",
            none(),
            json!(["x", [whole, 3]]),
            none(),
            ["layer operation (GetItem)", "nothing of axis 1"],
        ),
        (
            "GetItem",
            none(),
            json!(["x", [whole, whole, whole, 3]]),
            none(),
            ["layer operation (GetItem)", "4 indices of (batch, 3, 4)"],
        ),
        (
            "Reshape",
            json!({ "newshape": [5, 12] }),
            json!(["x"]),
            none(),
            [
                "layer operation (Reshape)",
                "give -1 for the number of examples",
            ],
        ),
        (
            "Transpose",
            json!({ "axes": [1, 0, 2] }),
            json!(["x"]),
            none(),
            ["layer operation (Transpose)", "Transpose"],
        ),
        (
            "Squeeze",
            json!({ "axis": 1 }),
            json!(["x"]),
            none(),
            ["layer operation (Squeeze)", "axes of 1 of (batch, 3, 4)"],
        ),
        (
            "ExpandDims",
            json!({ "axis": 7 }),
            json!(["x"]),
            none(),
            ["layer operation (ExpandDims)", "a result of 4 axes"],
        ),
        (
            "Split",
            json!({ "axis": 1, "indices_or_sections": 2 }),
            json!(["x"]),
            none(),
            ["layer operation (Split)", "that 2 divides"],
        ),
        (
            "Stack",
            json!({ "axis": 9 }),
            json!([["x", "x"]]),
            none(),
            ["layer operation (Stack)", "an axis of a result of 4 axes"],
        ),
        (
            "Concatenate",
            json!({ "axis": 1 }),
            json!([["x"]]),
            none(),
            ["layer operation (Concatenate)", "a list of values"],
        ),
        (
            "Add",
            none(),
            json!(["x", array(json!([1, 2, 3]))]),
            none(),
            ["operation: shapes", "(batch, 3, 4)"],
        ),
        (
            "Add",
            none(),
            json!(["x", array(json!([[1], [2, 3]]))]),
            none(),
            ["layer operation (Add)", "an array of numbers"],
        ),
        (
            "Add",
            none(),
            json!(["x", "words"]),
            none(),
            [
                "layer operation (Add)",
                "two values, or a value and a number",
            ],
        ),
        (
            "Add",
            none(),
            json!(["x"]),
            none(),
            ["layer operation (Add)", "two values"],
        ),
        (
            "Square",
            none(),
            json!(["x"]),
            json!({ "out": 3 }),
            ["layer operation", "a call with the argument `out` = 3"],
        ),
    ] {
        let text = error(class, config, args, kwargs);
        for part in parts {
            assert!(text.contains(part), "{class}: {text}");
        }
    }
}
