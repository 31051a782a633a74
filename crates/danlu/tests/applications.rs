//! Models of Keras' applications: read, predicted with, written, and read by Keras again.

mod keras_script;

use std::path::{Path, PathBuf};

use danlu::prelude::*;
use keras_script::{array, run, succeeded};
use serde_json::Value;

const SCRIPT: &str = "applications.py";

/// The share of the logits' range by which they differ, and the model.
fn difference(case: &Value, path: &Path) -> Result<(f32, Model), String> {
    let mut model = Model::load(path).map_err(|error| error.to_string())?;
    let parameters: usize = model.weights().unwrap().iter().map(Tensor::len).sum();
    if case["parameters"].as_u64() != Some(parameters as u64) {
        return Err(format!("{parameters} parameters"));
    }
    let expected = array(&case["logits"]);
    let found = model.predict(array(&case["x"]), PredictOptions::new());
    let found = found.map_err(|error| error.to_string())?;
    if found.shape() != expected.shape() {
        return Err(format!("logits of shape {:?}", found.shape()));
    }
    let expected = expected.as_f32().unwrap();
    let smallest = expected.iter().copied().fold(f32::INFINITY, f32::min);
    let largest = expected.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let pairs = found.as_f32().unwrap().iter().zip(expected);
    let worst = pairs.map(|(found, expected)| (found - expected).abs());
    // A NaN must not be lost in a maximum.
    let worst = worst.fold(0.0, |a: f32, b| if b <= a { a } else { b });
    Ok((worst / (largest - smallest), model))
}

/// Needs the real Keras: `DANLU_KERAS_PYTHON=/path/to/python cargo test --release -p danlu --test applications -- --ignored --nocapture`.
/// `DANLU_APPLICATIONS` names others, each with the size of its pictures (`ResNet50:64,Xception:96`); `DANLU_GRAPHS` names a folder that keeps them.
#[test]
#[ignore = "needs Keras 3.15.1: DANLU_KERAS_PYTHON names its python"]
fn applications_of_keras_predict_the_same() {
    let own = tempfile::tempdir().unwrap();
    let given = |name: &str, default: &str| std::env::var(name).unwrap_or(default.to_owned());
    let folder = PathBuf::from(given("DANLU_GRAPHS", own.path().to_str().unwrap()));
    let place = folder.to_str().unwrap();
    let names = given("DANLU_APPLICATIONS", "ResNet50:64,VGG16:64,MobileNetV2:96");
    if !folder.join("cases.json").exists() {
        let mut arguments = vec!["make", place];
        arguments.extend(names.split(','));
        succeeded(&run(SCRIPT, &arguments));
    }
    let document = std::fs::read_to_string(folder.join("cases.json")).unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();

    let mut faults = Vec::new();
    for case in document["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        for extension in ["keras", "h5"] {
            match difference(case, &folder.join(format!("{name}.{extension}"))) {
                Ok((difference, model)) => {
                    println!("{name}.{extension}: logits within {difference:.1e} of their range");
                    let near = difference <= 1e-4;
                    if !near {
                        faults.push(format!("{name}.{extension}: {difference:.1e} of the range"));
                    }
                    let path = folder.join(format!("ours_{name}.{extension}"));
                    model.save(path).unwrap();
                }
                Err(fault) => faults.push(format!("{name}.{extension}: {fault}")),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let checked = run(SCRIPT, &["check", place]);
    print!("{}", String::from_utf8_lossy(&checked.stdout));
    succeeded(&checked);
}
