//! Random models of the real Keras: read, predicted with, written, and read by Keras again.

mod keras_script;

use std::path::Path;

use danlu::layers::layer_names;
use danlu::prelude::*;
use keras_script::{array, compare, run, succeeded};
use serde_json::Value;

const SCRIPT: &str = "random_models.py";

fn agrees(case: &Value, path: &Path) -> Result<Model, String> {
    let mut model = Model::load(path).map_err(|error| error.to_string())?;
    if !model.warnings().is_empty() {
        return Err(model.warnings().join("; "));
    }
    let found = model.predict(array(&case["x"]), PredictOptions::new());
    let found = found.map_err(|error| error.to_string())?;
    let tolerance = match case["layers"].as_array().unwrap().len() {
        ..=10 => 1e-5,
        _ => 1e-4,
    };
    compare(&found, &array(&case["predictions"]), tolerance)?;
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
    succeeded(&run(SCRIPT, &arguments));
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
    succeeded(&run(SCRIPT, &["check", place]));
}
