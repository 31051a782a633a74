//! Reads fixtures/golden: values that Keras 3.15.1 computed.

use danlu_graph::reference::{Array, ReferenceExecutor};
use danlu_graph::{Bindings, DType, Graph, Program, Tensor, Value};
use serde_json::Value as Json;

use crate::Config;

/// A file of fixtures/golden.
pub fn load(name: &str) -> Json {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/golden/");
    let text = std::fs::read_to_string(format!("{folder}{name}.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

pub fn list<'a>(json: &'a Json, name: &str) -> &'a Vec<Json> {
    json[name].as_array().unwrap()
}

pub fn text<'a>(json: &'a Json, name: &str) -> &'a str {
    json[name].as_str().unwrap()
}

pub fn sizes(json: &Json) -> Vec<usize> {
    json.as_array()
        .unwrap()
        .iter()
        .map(|size| size.as_u64().unwrap() as usize)
        .collect()
}

pub fn config(json: &Json) -> Config {
    json.as_object().unwrap().clone()
}

pub fn tensor(json: &Json) -> Tensor {
    let shape = sizes(&json["shape"]);
    let values = json["values"].as_array().unwrap();
    match text(json, "dtype") {
        "float32" => {
            let values = values.iter().map(|value| value.as_f64().unwrap() as f32);
            Tensor::from_f32(&shape, values.collect()).unwrap()
        }
        "int32" => {
            let values = values.iter().map(|value| value.as_i64().unwrap() as i32);
            Tensor::from_i32(&shape, values.collect()).unwrap()
        }
        other => panic!("dtype {other}"),
    }
}

pub fn tensors(json: &Json) -> Vec<Tensor> {
    json.as_array().unwrap().iter().map(tensor).collect()
}

/// Within `tolerance` of the larger of 1 and the expected value.
pub fn assert_near(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: number of values");
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (found - expected).abs() <= tolerance * expected.abs().max(1.0),
            "{what}[{index}]: {found}, Keras {expected}"
        );
    }
}

pub fn assert_tensor(what: &str, found: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(found.shape(), expected.shape(), "{what}: shape");
    assert_near(what, &found.to_f64(), &expected.to_f64(), tolerance);
}

/// Evaluates values of a graph of constants.
pub fn evaluate(graph: &Graph, values: &[&Value]) -> Vec<Array> {
    let outputs: Vec<(&str, &Value)> = values.iter().map(|value| ("value", *value)).collect();
    let program = Program::new(graph, &[], &outputs, &[]).unwrap();
    let all = ReferenceExecutor::new()
        .evaluate(&program, &Bindings::new(), &[])
        .unwrap();
    program
        .outputs()
        .iter()
        .map(|output| all[output.node].clone())
        .collect()
}

/// An input as a constant.
pub fn constant(graph: &Graph, json: &Json) -> Value {
    graph.constant(tensor(json)).unwrap()
}

/// Optional weights as a constant.
pub fn weights(graph: &Graph, json: &Json) -> Option<Value> {
    (!json.is_null()).then(|| constant(graph, json).cast(DType::F32).unwrap())
}
