//! `danlu` from data to predictions, as somebody at a terminal would.

mod common;

use common::{Place, idx, npy, pixels};
use serde_json::Value;

#[test]
fn training_leaves_a_run_folder_and_says_what_happened() {
    let place = Place::new();
    let result = place.json("train digits --epochs 2 --json --out d");
    let keys: Vec<&str> = result
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    for key in [
        "history",
        "test",
        "model",
        "run",
        "resumed_from",
        "threads",
        "seconds",
        "samples_per_second",
    ] {
        assert!(keys.contains(&key), "{key} is not in {keys:?}");
    }
    let losses = result["history"]["loss"].as_array().unwrap();
    assert_eq!(losses.len(), 2);
    assert!(losses[1].as_f64() < losses[0].as_f64(), "{losses:?}");
    assert!(result["test"]["accuracy"].as_f64().unwrap() > 0.6);
    assert_eq!(result["resumed_from"], Value::Null);

    for name in [
        "recipe.toml",
        "run.json",
        "history.csv",
        "metrics.jsonl",
        "model.keras",
        "final.safetensors",
        "best/model.json",
        "best/weights.safetensors",
        "last/model.json",
        "last/weights.safetensors",
        "last/optimizer.safetensors",
        "last/state.json",
    ] {
        assert!(place.has(&format!("d/{name}")), "{name}");
    }
    let record: Value = serde_json::from_slice(&place.read("d/run.json")).unwrap();
    assert_eq!(record["state"], "finished");
    assert_eq!(record["test"], result["test"]);
    let history = String::from_utf8(place.read("d/history.csv")).unwrap();
    assert_eq!(history.lines().count(), 3, "{history}");
    let metrics = String::from_utf8(place.read("d/metrics.jsonl")).unwrap();
    let lines: Vec<Value> = metrics
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[1]["loss"], losses[1]);

    for model in ["d", "d/model.keras"] {
        let results = place.json(&format!("evaluate {model} --data digits --json"));
        assert_eq!(results, result["test"], "{model}");
    }
    // A run that was killed has no model.keras yet; its checkpoints serve.
    std::fs::remove_file(place.path("d/model.keras")).unwrap();
    let results = place.json("evaluate d --data digits --json");
    assert_eq!(results, result["test"], "the best checkpoint");
}

#[test]
fn early_stopping_and_metrics_stand_in_a_recipe() {
    let place = Place::new();
    let before = "[data]\nsource = \"digits\"\n[[model.layers]]\ntype = \"Flatten\"\n\
                  [[model.layers]]\ntype = \"Dense\"\nactivation = \"softmax\"\n";
    let training = "[training]\noptimizer = { type = \"Adam\", learning_rate = 0.05 }\n\
                    loss = { type = \"SparseCategoricalCrossentropy\", ignore_class = 3 }\n\
                    metrics = [\"accuracy\", { type = \"SparseTopKCategoricalAccuracy\", k = 2 }]\n\
                    epochs = 30\nbatch_size = 64\nvalidation_split = 0.2\nseed = 1\n\
                    early_stopping = { monitor = \"val_accuracy\", patience = 1, restore_best_weights = true }\n";
    place.write("r.toml", format!("{before}{training}"));
    let result = place.json("train r.toml --json --out r");
    let did = &result["early_stopping"];
    let accuracy = result["history"]["val_accuracy"].as_array().unwrap();
    let top = result["history"]["sparse_top_k_categorical_accuracy"]
        .as_array()
        .unwrap();
    assert!(top[0].as_f64() > result["history"]["accuracy"][0].as_f64());
    assert_eq!(
        did["stopped_epoch"].as_u64(),
        Some(accuracy.len() as u64),
        "{did}"
    );
    assert!(accuracy.len() < 30, "{accuracy:?}");
    assert_eq!(did["restored_epoch"], did["best_epoch"]);
    let best: Value = serde_json::from_slice(&place.read("r/best/state.json")).unwrap();
    assert_eq!(best["epoch"], did["best_epoch"]);
    assert_eq!(best["val_accuracy"], did["best"]);
    // What fit left is what the run folder keeps as best.
    assert_eq!(
        place.read("r/final.safetensors"),
        place.read("r/best/weights.safetensors")
    );
    let record: Value = serde_json::from_slice(&place.read("r/run.json")).unwrap();
    assert_eq!(record["state"], "finished");
    assert_eq!(record["early_stopping"], *did);
    // The recipe in the folder says it all again, and the model keeps its metrics.
    let again = place.json("train r/recipe.toml --json --out again");
    assert_eq!(again["history"], result["history"]);
    let results = place.json("evaluate r/model.keras --data digits --json");
    assert_eq!(results, result["test"]);
    let stderr = place.bad_training(
        "r.toml --set training.early_stopping.monitor=val_acuracy --out b",
        2,
    );
    assert!(stderr.contains("did you mean `val_accuracy`?"), "{stderr}");
    let stderr = place.bad_training("r.toml --set training.validation_split=0.0 --out b", 2);
    assert!(stderr.contains("validation"), "{stderr}");
    let stderr = place.bad_training(
        "r.toml --set training.early_stopping.patience=-1 --out b",
        2,
    );
    assert!(
        stderr.contains("patience") && stderr.contains("0 or above"),
        "{stderr}"
    );
}

#[test]
fn predictions_name_classes_and_do_not_depend_on_batches() {
    let place = Place::new();
    place.good("train digits --epochs 1 --quiet --out d");
    let bytes = pixels(100, 64);
    place.write("x.idx", idx(&[100, 8, 8], &bytes));
    let scaled: Vec<f32> = bytes
        .iter()
        .map(|&byte| f32::from(byte) * (0.003_921_568_627_450_98_f64 as f32))
        .collect();
    place.write("x.npy", npy(&[100, 8, 8], &scaled));
    let entries = place.json("predict d x.npy --json");
    let entries = entries.as_array().unwrap();
    assert_eq!(entries.len(), 100);
    for entry in entries {
        let class = entry["class"].as_u64().unwrap();
        assert_eq!(entry["label"], class.to_string());
        let probabilities: Vec<f64> = entry["probabilities"]
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value.as_f64().unwrap())
            .collect();
        assert_eq!(probabilities.len(), 10);
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-4);
        assert!(
            probabilities
                .iter()
                .all(|&one| one <= probabilities[class as usize])
        );
    }
    let mut files = Vec::new();
    for size in [1, 7, 64] {
        let name = format!("y{size}.npy");
        place.good(&format!(
            "predict d x.npy --batch-size {size} --out {name} --quiet"
        ));
        files.push(place.read(&name));
    }
    assert!(files.iter().all(|file| *file == files[0]));
    place.good("predict d x.idx --out pixels.npy --quiet");
    assert!(
        place.read("pixels.npy") == files[0],
        "pixels are scaled as in training"
    );
}

#[test]
fn threads_do_not_change_weights_and_a_shown_recipe_is_the_recipe() {
    let place = Place::new();
    let mut weights = Vec::new();
    for threads in [1, 2, 3] {
        place.good(&format!(
            "train digits --epochs 1 --quiet --threads {threads} --out t{threads}"
        ));
        weights.push(place.read(&format!("t{threads}/final.safetensors")));
    }
    assert!(weights.iter().all(|bytes| *bytes == weights[0]));
    place.write("f.toml", place.good("recipes show digits"));
    place.good("train f.toml --epochs 1 --quiet --out f");
    assert!(place.read("f/final.safetensors") == weights[0]);
    place.good("train f/recipe.toml --quiet --out again");
    assert!(place.read("again/final.safetensors") == weights[0]);
    place.good("train digits --epochs 1 --seed 1 --quiet --out other");
    assert!(place.read("other/final.safetensors") != weights[0]);
}

#[test]
fn converted_and_continued_models() {
    let place = Place::new();
    place.good("train digits --epochs 1 --quiet --out d");
    let before = place.json("evaluate d --data digits --json --quiet");
    place.good("convert d/model.keras m.h5");
    place.good("convert m.h5 n.keras");
    for model in ["m.h5", "n.keras"] {
        let after = place.json(&format!("evaluate {model} --data digits --json --quiet"));
        assert_eq!(after, before, "{model}");
    }
    let state = |name: &str| -> Value { serde_json::from_slice(&place.read(name)).unwrap() };
    let first = state("d/last/state.json")["iteration"].as_u64().unwrap();
    let more = place.json("train d/model.keras --data digits --epochs 1 --json --out e");
    let second = state("e/last/state.json")["iteration"].as_u64().unwrap();
    assert!(second > first, "{first} {second}");
    let loss = |results: &Value| results["loss"].as_f64().unwrap();
    assert!(loss(&more["test"]) < loss(&before));
    // A run folder without its model, as after a crash: the checkpoint has the optimizer's state as well.
    std::fs::remove_file(place.path("d/model.keras")).unwrap();
    for (model, out) in [("d", "f"), ("d/last", "g"), ("d/best/model.json", "h")] {
        place.good(&format!(
            "train {model} --data digits --epochs 1 --quiet --out {out}"
        ));
        let weights = place.read(&format!("{out}/final.safetensors"));
        assert!(weights == place.read("e/final.safetensors"), "{model}");
    }
    // What every other command makes of it.
    place.good("convert d/best again.keras");
    for model in ["d", "d/best", "d/last", "again.keras"] {
        let after = place.json(&format!("evaluate {model} --data digits --json --quiet"));
        assert_eq!(after, before, "{model}");
    }
    place.write("x.idx", idx(&[3, 8, 8], &pixels(3, 64)));
    let outputs = |model: &str| place.json(&format!("predict {model} x.idx --json"));
    assert_eq!(outputs("d/best"), outputs("again.keras"));
    for (init, out) in [("d", "i"), ("d/last/weights.safetensors", "j")] {
        place.good(&format!(
            "train digits --init {init} --epochs 1 --quiet --out {out}"
        ));
    }
    assert!(place.read("i/final.safetensors") == place.read("j/final.safetensors"));
    std::fs::remove_file(place.path("d/last/optimizer.safetensors")).unwrap();
    place.good("evaluate d/last --data digits --quiet");
    let error = place.bad_training("d/last --data digits --epochs 1", 1);
    assert!(error.contains("optimizer.safetensors"), "{error}");
}

#[test]
fn a_picture_of_a_model_replaces_an_older_one() {
    let place = Place::new();
    place.write("digits.svg", "old");
    place.good("summary digits --svg digits.svg");
    let picture = String::from_utf8(place.read("digits.svg")).unwrap();
    assert!(picture.starts_with("<svg ") && picture.ends_with("</svg>\n"));
    for part in [">Conv2D<", ">Dense<", " parameters<"] {
        assert!(picture.contains(part), "{part}: {picture}");
    }
}

/// A small recipe on digits with a body of this many filters and a head of this name.
fn recipe(filters: usize, head: &str, more: &str) -> String {
    format!(
        r#"name = "small"
[data]
source = "digits"
[model]
{more}
[[model.layers]]
type = "Conv2D"
name = "body"
filters = {filters}
kernel_size = 3
strides = 2
trainable = {}
[[model.layers]]
type = "Flatten"
[[model.layers]]
type = "Dense"
name = "{head}"
units = 10
activation = "softmax"
[training]
optimizer = "adam"
loss = "sparse_categorical_crossentropy"
epochs = 1
"#,
        more.is_empty()
    )
}

#[test]
fn a_recipe_takes_what_fits_of_another_model_and_says_so() {
    let place = Place::new();
    place.write("first.toml", recipe(4, "head", ""));
    place.good("train first.toml --out first --quiet");
    let by_name = "init = \"first\"\ninit_by = \"name\"";
    place.write("second.toml", recipe(4, "other", by_name));
    let output = place.run("train second.toml --out second");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    for line in ["loaded: body", "left as they were: other", "not used: head"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    // The frozen body is the first model's, bit for bit.
    let body = |folder: &str| {
        let file = place.path(&format!("{folder}/final.safetensors"));
        let tensors = danlu::files::safetensors::read_tensors(file).unwrap();
        tensors
            .into_iter()
            .filter(|(name, _)| name.starts_with("body/"))
            .collect::<Vec<_>>()
    };
    assert_eq!(body("first").len(), 2);
    assert_eq!(body("first"), body("second"));

    let by_order = "init = \"first\"\ninit_by = \"order\"";
    place.write("third.toml", recipe(4, "other", by_order));
    place.good("train third.toml --out third --quiet");
    assert_eq!(body("first"), body("third"));

    place.write("fourth.toml", recipe(8, "other", by_name));
    let said = place.bad("train fourth.toml --out fourth", 1);
    assert!(said.contains("body"), "{said}");
    assert!(!place.has("fourth"));
    for (more, words) in [
        (
            "init = \"first\"\ninit_by = \"names\"",
            "\"name\" or \"order\"",
        ),
        ("init_by = \"name\"", "there is no `init`"),
        (
            "init = \"nowhere.keras\"\ninit_by = \"name\"",
            "nowhere.keras",
        ),
    ] {
        place.write("bad.toml", recipe(4, "other", more));
        let output = place.run("train bad.toml --out bad");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(words), "{said}");
        assert!(!place.has("bad"));
    }
}
