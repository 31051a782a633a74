//! Optimizers and their state through files of the real Keras, in both directions: a training that goes on there, and then
//! here again, goes on as if it had never left.

use std::process::Command;

use danlu::optimizers::from_json;
use danlu::prelude::*;
use serde_json::{Value, json};

const SCRIPT: &str = r#"
import json, os, sys
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras, numpy as np
folder = sys.argv[1]
data = json.load(open(f"{folder}/cases.json"))
def array(json): return np.array(json["values"], "float32").reshape(json["shape"])
x, y = array(data["x"]), array(data["y"])
results = {}
for case in data["cases"]:
    name = case["name"]
    # Keras does not find its own Lamb when it loads a `.h5`.
    for extension in ["keras"] if case["class"] == "Lamb" else ["keras", "h5"]:
        model = keras.saving.load_model(f"{folder}/{name}.{extension}")
        assert type(model.optimizer).__name__ == case["class"], name
    model = keras.saving.load_model(f"{folder}/{name}.keras")
    for _ in range(2):
        model.train_on_batch(x, y)
    if not case["differs"]:
        for index, (found, expected) in enumerate(zip(model.get_weights(), case["after"], strict=True)):
            difference = np.abs(found - array(expected)).max()
            assert difference < 1e-5, (name, index, difference)
    model.save(f"{folder}/{name}_back.keras")
    # Keras gives two variables of Adafactor's one name, and then cannot save a `.h5`.
    if case["class"] != "Adafactor":
        model.save(f"{folder}/{name}_back.h5")
    for _ in range(2):
        model.train_on_batch(x, y)
    results[name] = [w.ravel().tolist() for w in model.get_weights()]
json.dump(results, open(f"{folder}/results.json", "w"))
"#;

fn numbers(shape: &[usize], start: usize) -> Tensor {
    let count: usize = shape.iter().product();
    let values = (start..start + count).map(|i| ((i * 7919 + 13) % 101) as f32 / 50.0 - 1.0);
    Tensor::from_f32(shape, values.collect()).unwrap()
}

fn array(tensor: &Tensor) -> Value {
    json!({ "shape": tensor.shape(), "values": tensor.to_f64() })
}

fn recipes() -> Vec<Value> {
    let cosine = json!({
        "type": "CosineDecay", "initial_learning_rate": 0.01, "decay_steps": 20, "warmup_target": 0.05, "warmup_steps": 4,
    });
    let mut recipes: Vec<Value> = danlu::optimizers::names()
        .iter()
        // PyTorch's, not Keras'.
        .filter(|name| !["SparseAdam", "LBFGS"].contains(&name.as_str()))
        .flat_map(|name| {
            [
                json!({ "type": name, "learning_rate": 0.01 }),
                json!({
                    "type": name, "learning_rate": cosine, "weight_decay": 0.01, "use_ema": true, "ema_momentum": 0.8,
                    "ema_overwrite_frequency": 2, "gradient_accumulation_steps": 2, "global_clipnorm": 0.5,
                }),
            ]
        })
        .collect();
    recipes.extend([
        json!({ "type": "SGD", "momentum": 0.9, "nesterov": true, "loss_scale_factor": 8.0 }),
        json!({ "type": "RMSprop", "momentum": 0.9, "centered": true }),
        json!({ "type": "Adam", "amsgrad": true, "clipvalue": 0.1 }),
        json!({ "type": "Muon", "weight_decay": null, "rms_rate": 0.1, "exclude_layers": ["dense_1"] }),
    ]);
    for schedule in [
        json!({ "type": "ExponentialDecay", "initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5 }),
        json!({ "type": "PiecewiseConstantDecay", "boundaries": [2, 4], "values": [0.1, 0.05, 0.01] }),
        json!({ "type": "PolynomialDecay", "initial_learning_rate": 0.1, "decay_steps": 5, "cycle": true }),
        json!({ "type": "InverseTimeDecay", "initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.5 }),
        json!({ "type": "CosineDecayRestarts", "initial_learning_rate": 0.1, "first_decay_steps": 3 }),
    ] {
        recipes.push(json!({ "type": "SGD", "learning_rate": schedule }));
    }
    // Keras passes over both, and so trains another way; it must load the file all the same.
    recipes.push(json!({
        "type": "AdamW", "exclude_from_weight_decay": ["bias"], "learning_rate_multipliers": { "dense": 0.1 },
    }));
    recipes
}

fn train(model: &mut Model, x: &Tensor, y: &Tensor, steps: usize) {
    for _ in 0..steps {
        model.train_on_batch(x, y, None).unwrap();
    }
}

/// Needs the real Keras: `DANLU_KERAS_PYTHON=/path/to/python cargo test -p danlu --test keras_optimizers -- --ignored`.
#[test]
#[ignore = "needs Keras 3.15.1: DANLU_KERAS_PYTHON names its python"]
fn trainings_go_on_in_keras_and_back_again() {
    let folder = tempfile::tempdir().unwrap();
    let (x, y) = (numbers(&[6, 3], 0), numbers(&[6, 2], 500));
    let mut cases = Vec::new();
    for (place, recipe) in recipes().into_iter().enumerate() {
        let mut model = Sequential::from_layers([
            Input::new([3]).into(),
            Dense::new(4).activation("tanh").into(),
            Dense::new(2).into(),
        ])
        .into_model();
        let optimizer = from_json(&recipe).unwrap();
        let class = optimizer.class_name().to_owned();
        model.compile(optimizer, "mse", Vec::<&str>::new()).unwrap();
        train(&mut model, &x, &y, 3);
        let name = format!("case{place}");
        for extension in ["keras", "h5"] {
            model
                .save(folder.path().join(format!("{name}.{extension}")))
                .unwrap();
        }
        train(&mut model, &x, &y, 2);
        let after: Vec<Value> = model.weights().unwrap().iter().map(array).collect();
        let differs = recipe.get("exclude_from_weight_decay").is_some();
        cases.push(json!({
            "name": name, "class": class, "after": after, "differs": differs, "recipe": recipe,
        }));
    }
    let document = json!({ "x": array(&x), "y": array(&y), "cases": cases });
    std::fs::write(folder.path().join("cases.json"), document.to_string()).unwrap();
    let python = std::env::var("DANLU_KERAS_PYTHON").unwrap();
    let output = Command::new(python)
        .args(["-c", SCRIPT])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let results = std::fs::read_to_string(folder.path().join("results.json")).unwrap();
    let results: Value = serde_json::from_str(&results).unwrap();
    for case in &cases {
        let name = case["name"].as_str().unwrap();
        for extension in ["keras", "h5"] {
            if extension == "h5" && case["class"] == "Adafactor" {
                continue;
            }
            let path = folder.path().join(format!("{name}_back.{extension}"));
            let mut model = Model::load(&path).unwrap();
            assert!(
                model.warnings().is_empty(),
                "{case}: {:?}",
                model.warnings()
            );
            train(&mut model, &x, &y, 2);
            let expected = results[name].as_array().unwrap();
            for (found, expected) in model.weights().unwrap().iter().zip(expected) {
                for (found, expected) in found.to_f64().iter().zip(expected.as_array().unwrap()) {
                    let expected = expected.as_f64().unwrap();
                    assert!(
                        (found - expected).abs() < 1e-5,
                        "{case} {extension}: {found}, Keras {expected}"
                    );
                }
            }
        }
    }
}
