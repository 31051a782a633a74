//! Scripts of the real Keras: `DANLU_KERAS_PYTHON` names the python that has it.

use std::process::{Command, Output};

use danlu::prelude::*;
use serde_json::Value;

/// Runs a script of `fixtures/keras_files`.
pub fn run(script: &str, arguments: &[&str]) -> Output {
    let python = std::env::var("DANLU_KERAS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/keras_files");
    let mut command = Command::new(python);
    command.arg(format!("{folder}/{script}")).args(arguments);
    command.output().unwrap()
}

/// Fails with what the script printed, unless it ended well.
pub fn succeeded(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
}

/// The shape and numbers of an array in a script's JSON.
pub fn array(json: &Value) -> Tensor {
    let numbers = |name: &str| json[name].as_array().unwrap().iter();
    let shape: Vec<usize> = numbers("shape")
        .map(|size| size.as_u64().unwrap() as usize)
        .collect();
    let values = numbers("values").map(|value| value.as_f64().unwrap() as f32);
    Tensor::from_f32(&shape, values.collect()).unwrap()
}

/// The worst difference to what Keras found, in units of `tolerance` times the larger of 1 and the number.
#[allow(
    dead_code,
    reason = "one of the tests that share this file compares in its own way"
)]
pub fn compare(found: &Tensor, expected: &Tensor, tolerance: f32) -> Result<(), String> {
    if found.shape() != expected.shape() {
        let (found, expected) = (found.shape(), expected.shape());
        return Err(format!("shape {found:?}, in Keras {expected:?}"));
    }
    let pairs = found
        .as_f32()
        .unwrap()
        .iter()
        .zip(expected.as_f32().unwrap());
    for (place, (found, expected)) in pairs.enumerate() {
        let near = (found - expected).abs() <= tolerance * expected.abs().max(1.0);
        if !near {
            return Err(format!("[{place}] is {found}, in Keras {expected}"));
        }
    }
    Ok(())
}
