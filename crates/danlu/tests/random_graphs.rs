//! Random functional models of the real Keras: read, predicted with, written, and read by Keras again.

mod keras_script;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use danlu::layers::layer_names;
use danlu::prelude::*;
use keras_script::{array, compare, run, succeeded};
use serde_json::Value;

const SCRIPT: &str = "random_graphs.py";

/// What the generator must have drawn at least once, so that the test says something of it.
const PARTS: &[&str] = &[
    "Add",
    "Subtract",
    "Multiply",
    "Average",
    "Maximum",
    "Minimum",
    "Concatenate",
    "Dot",
    "residual",
    "excitation",
    "shared layer",
    "shared model",
    "functional model",
    "sequential model",
    "frozen model",
    "model of several outputs",
    "model called with training=False",
    "model in a model in a model",
    "several inputs",
    "several outputs",
    "named outputs",
    "output that others read",
];

fn agrees(case: &Value, path: &Path) -> Result<Model, String> {
    let mut model = Model::load(path).map_err(|error| error.to_string())?;
    // Keras compiles without a loss, too; here that is said, and the model left as it is.
    let known = |warning: &&String| warning.contains("a model without a loss");
    if let Some(warning) = model.warnings().iter().find(|warning| !known(warning)) {
        return Err(warning.clone());
    }
    let list = |name: &str| case[name].as_array().unwrap().iter();
    let inputs = list("inputs").map(|input| Arc::new(array(input)));
    let names = model.input_names().into_iter().map(str::to_owned);
    let inputs = names.zip(inputs).collect();
    let data = ArrayDataset::from_named("the case", inputs, Vec::new()).unwrap();
    let found = model.predict_outputs(&data, PredictOptions::new().batch_size(2));
    let found = found.map_err(|error| error.to_string())?;
    let names = model.output_names();
    if found.len() != list("outputs").count() {
        return Err(format!("the outputs are {names:?}"));
    }
    for (place, expected) in list("outputs").enumerate() {
        let own = match expected["key"].as_str() {
            Some(key) => names.iter().position(|name| name == key),
            None => Some(place),
        };
        let own = own.ok_or_else(|| format!("no output of {names:?} is {}", expected["key"]))?;
        compare(&found[own], &array(expected), 1e-4)
            .map_err(|fault| format!("output {place}{fault}"))?;
    }
    Ok(model)
}

/// Needs the real Keras: `DANLU_KERAS_PYTHON=/path/to/python cargo test --release -p danlu --test random_graphs -- --ignored`.
/// `DANLU_SEED` (0) and `DANLU_MODELS` (200) draw others; `DANLU_GRAPHS` names a folder that keeps them, and from which they are taken
/// where it has some.
#[test]
#[ignore = "needs Keras 3.15.1: DANLU_KERAS_PYTHON names its python"]
fn random_graphs_of_keras_predict_the_same() {
    let own = tempfile::tempdir().unwrap();
    let given = |name: &str, default: &str| std::env::var(name).unwrap_or(default.to_owned());
    let folder = PathBuf::from(given("DANLU_GRAPHS", own.path().to_str().unwrap()));
    let place = folder.to_str().unwrap();
    let (seed, count) = (given("DANLU_SEED", "0"), given("DANLU_MODELS", "200"));
    if !folder.join("cases.json").exists() {
        let names = layer_names();
        let mut arguments = vec!["make", place, &seed, &count];
        arguments.extend(names.iter().map(String::as_str));
        succeeded(&run(SCRIPT, &arguments));
    }
    let document = std::fs::read_to_string(folder.join("cases.json")).unwrap();
    let document: Value = serde_json::from_str(&document).unwrap();

    let mut faults = Vec::new();
    for case in document["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        for extension in ["keras", "h5"] {
            let ours = name.replace("graph", "ours");
            let read = agrees(case, &folder.join(format!("{name}.{extension}")));
            let written = read.and_then(|model| {
                let saved = model.save(folder.join(format!("{ours}.{extension}")));
                saved.map_err(|error| error.to_string())
            });
            if let Err(fault) = written {
                faults.push(format!("{name}.{extension} {}: {fault}", case["parts"]));
            }
        }
    }
    println!("models with each part: {}", document["parts"]);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let drawn = |part: &&&str| !document["parts"][**part].is_null();
    let missing: Vec<_> = PARTS.iter().filter(|part| !drawn(part)).collect();
    assert!(missing.is_empty(), "in no model: {missing:?}");
    succeeded(&run(SCRIPT, &["check", place]));
}
