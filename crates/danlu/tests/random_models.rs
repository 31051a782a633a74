//! Random models of the real Keras: read, predicted with, written, and read by Keras again.

use std::path::Path;
use std::process::{Command, Output};

use danlu::layers::layer_names;
use danlu::prelude::*;
use serde_json::Value;

fn script(arguments: &[&str]) -> Output {
    let python = std::env::var("DANLU_KERAS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/keras_files/random_models.py"
    );
    let mut command = Command::new(python);
    command.arg(script).args(arguments).output().unwrap()
}

fn succeeded(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
}

fn numbers(json: &Value) -> (Vec<usize>, Vec<f32>) {
    let numbers = |name: &str| json[name].as_array().unwrap().iter();
    let shape = numbers("shape").map(|size| size.as_u64().unwrap() as usize);
    let values = numbers("values").map(|value| value.as_f64().unwrap() as f32);
    (shape.collect(), values.collect())
}

fn agrees(case: &Value, path: &Path) -> Result<Model, String> {
    let (shape, x) = numbers(&case["x"]);
    let x = Tensor::from_f32(&shape, x).unwrap();
    let (shape, expected) = numbers(&case["predictions"]);
    let mut model = Model::load(path).map_err(|error| error.to_string())?;
    if !model.warnings().is_empty() {
        return Err(model.warnings().join("; "));
    }
    let found = model.predict(&x, PredictOptions::new());
    let found = found.map_err(|error| error.to_string())?;
    if found.shape() != shape {
        return Err(format!("shape {:?}, in Keras {shape:?}", found.shape()));
    }
    let tolerance = match case["layers"].as_array().unwrap().len() {
        ..=10 => 1e-5,
        _ => 1e-4,
    };
    let pairs = found.as_f32().unwrap().iter().zip(&expected);
    for (place, (found, expected)) in pairs.enumerate() {
        let near = (found - expected).abs() <= tolerance * expected.abs().max(1.0);
        if !near {
            return Err(format!("[{place}] is {found}, in Keras {expected}"));
        }
    }
    Ok(model)
}

/// Needs the real Keras: `DANLU_KERAS_PYTHON=/path/to/python cargo test -p danlu --test random_models -- --ignored`.
/// `DANLU_SEED` (0) and `DANLU_MODELS` (120) draw others.
#[test]
#[ignore = "needs Keras 3.15.1: DANLU_KERAS_PYTHON names its python"]
fn random_models_of_keras_predict_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let given = |name: &str, default: &str| std::env::var(name).unwrap_or(default.to_owned());
    let (seed, count) = (given("DANLU_SEED", "0"), given("DANLU_MODELS", "120"));
    let names = layer_names();
    let mut arguments = vec!["make", place, &seed, &count];
    arguments.extend(names.iter().map(String::as_str));
    succeeded(&script(&arguments));
    let document = std::fs::read_to_string(folder.path().join("cases.json")).unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();

    let mut faults = Vec::new();
    for (index, case) in document["cases"].as_array().unwrap().iter().enumerate() {
        for extension in ["keras", "h5"] {
            let path = folder.path().join(format!("model_{index}.{extension}"));
            match agrees(case, &path) {
                Ok(model) => {
                    let path = folder.path().join(format!("ours_{index}.{extension}"));
                    model.save(path).unwrap();
                }
                Err(fault) => faults.push(format!(
                    "model_{index}.{extension} {}: {fault}",
                    case["layers"]
                )),
            }
        }
    }
    println!("layers of Keras in no model: {}", document["not_drawn"]);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    succeeded(&script(&["check", place]));
}
