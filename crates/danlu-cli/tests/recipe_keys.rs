//! What a recipe can say beside layers: statistics from the data, weights of classes, metrics that are several numbers.

mod common;

use common::Place;
use danlu::data::{Batch, Dataset};
use serde_json::Value;

/// A recipe for the built-in digits.
fn recipe(layers: &str, training: &str) -> String {
    format!(
        "[data]\nsource = \"digits\"\n[[model.layers]]\ntype = \"Flatten\"\n{layers}\n[training]\noptimizer = \"sgd\"\n{training}\n"
    )
}

const CLASSIFIER: &str = "[[model.layers]]\ntype = \"Dense\"\nactivation = \"softmax\"";
const CROSSENTROPY: &str = "loss = \"sparse_categorical_crossentropy\"";

#[test]
fn a_normalization_is_adapted_to_what_is_trained_on() {
    let place = Place::new();
    let adapted =
        "[[model.layers]]\ntype = \"Normalization\"\nname = \"standard\"\naxis = []\nadapt = true";
    let layers = format!("{adapted}\n{CLASSIFIER}");
    let training = format!("{CROSSENTROPY}\nvalidation_split = 0.25");
    place.write("a.toml", recipe(&layers, &training));
    place.good("train a.toml --out a -q");
    let mut model = danlu::Model::load(place.path("a/model.keras")).unwrap();
    let weights = model.layer_weights("standard").unwrap();

    let digits = danlu::data::open_builtin("digits").unwrap().train.unwrap();
    let count = digits.len() * 3 / 4;
    let mut batch = Batch::default();
    let indices: Vec<usize> = (0..count).collect();
    digits
        .with_pixel_scale(1.0)
        .get(&indices, &mut batch)
        .unwrap();
    // Nothing says otherwise, so pixels are multiplied by 1/255.
    let pixels: Vec<f64> = batch.features[0]
        .to_f64()
        .iter()
        .map(|x| x / 255.0)
        .collect();
    let mean = pixels.iter().sum::<f64>() / pixels.len() as f64;
    let squares: f64 = pixels.iter().map(|x| (x - mean).powi(2)).sum();
    let near = |found: f64, expected: f64| (found - expected).abs() < 1e-5 * expected;
    assert!(
        near(weights[0].to_f64()[0], mean),
        "{weights:?}, mean {mean}"
    );
    let variance = squares / pixels.len() as f64;
    assert!(
        near(weights[1].to_f64()[0], variance),
        "{weights:?}, {variance}"
    );

    let resolved = String::from_utf8(place.read("a/recipe.toml")).unwrap();
    assert!(resolved.contains("adapt = true"), "{resolved}");
    // The run's own recipe trains the same.
    place.good("train a/recipe.toml --out b -q");
    assert_eq!(
        place.read("a/final.safetensors"),
        place.read("b/final.safetensors")
    );
    // The weights that training begins with bring their own statistics.
    let output = place.run("train a.toml --init a --set training.validation_split=0.9 --out c");
    let note = String::from_utf8(output.stderr).unwrap();
    assert!(note.contains("keeps mean and variance"), "{note}");
    model = danlu::Model::load(place.path("c/model.keras")).unwrap();
    assert_eq!(model.layer_weights("standard").unwrap(), weights);
}

#[test]
fn a_normalization_without_statistics_is_warned_of_and_bad_ones_are_refused() {
    let place = Place::new();
    let layers =
        |more: &str| format!("[[model.layers]]\ntype = \"Normalization\"\n{more}\n{CLASSIFIER}");
    place.write("plain.toml", recipe(&layers(""), CROSSENTROPY));
    let output = place.run("train plain.toml --out p -q");
    let warning = String::from_utf8(output.stderr).unwrap();
    assert!(warning.contains("give it adapt = true"), "{warning}");
    for (name, more, part) in [
        ("yes", "adapt = \"yes\"", "must be true or false"),
        (
            "both",
            "adapt = true\nmean = 0.5\nvariance = 2.0",
            "leave out `mean`",
        ),
    ] {
        let file = format!("{name}.toml");
        place.write(&file, recipe(&layers(more), CROSSENTROPY));
        let error = place.bad_training(&file, 2);
        assert!(error.contains(part) && error.contains("line"), "{error}");
    }
    let dense = format!("{CLASSIFIER}\nadapt = true");
    place.write("dense.toml", recipe(&dense, CROSSENTROPY));
    let error = place.bad_training("dense.toml", 2);
    assert!(error.contains("Dense has no argument `adapt`"), "{error}");
}

#[test]
fn classes_have_weights() {
    let place = Place::new();
    let train = |name: &str, more: &str| -> Value {
        let training = format!(
            "{CROSSENTROPY}\nmetrics = [\"accuracy\"]\nweighted_metrics = [\"accuracy\"]\n{more}"
        );
        place.write(&format!("{name}.toml"), recipe(CLASSIFIER, &training));
        place.json(&format!(
            "train {name}.toml --epochs 2 --json -q --out {name}"
        ))["history"]
            .clone()
    };
    let list = train("list", "class_weight = [1, 1, 5.0, 1, 0]");
    let table = train("table", "class_weight = { 2 = 5.0, 4 = 0 }");
    let plain = train("plain", "");
    assert_eq!(list, table);
    assert_ne!(list["loss"], plain["loss"]);
    assert_ne!(list["weighted_accuracy"], list["accuracy"]);
    assert_eq!(plain["weighted_accuracy"], plain["accuracy"]);
    for (name, weights) in [
        ("negative", "[1, -1]"),
        ("empty", "[]"),
        ("word", "{ cat = 1.0 }"),
        ("number", "3"),
    ] {
        let training = format!("{CROSSENTROPY}\nclass_weight = {weights}");
        place.write(&format!("{name}.toml"), recipe(CLASSIFIER, &training));
        let error = place.bad_training(&format!("{name}.toml"), 2);
        assert!(error.contains("`training.class_weight` must be"), "{error}");
    }
}

#[test]
fn each_number_of_a_metric_is_reported() {
    let place = Place::new();
    let layers = "[[model.layers]]\ntype = \"Dense\"\nunits = 1\nactivation = \"sigmoid\"";
    let training = "loss = \"mse\"\nepochs = 2\nvalidation_split = 0.2\n\
                    metrics = [{ type = \"TruePositives\", thresholds = [0.1, 0.9], name = \"hits\" }]\n\
                    early_stopping = { monitor = \"val_hits[1]\", mode = \"max\", patience = 5 }";
    place.write("m.toml", recipe(layers, training));
    let result = place.json("train m.toml --json -q --out m");
    for key in ["hits[0]", "hits[1]", "val_hits[0]", "val_hits[1]"] {
        let numbers = result["history"][key].as_array().unwrap();
        assert_eq!(numbers.len(), 2, "{key}");
        assert!(numbers.iter().all(Value::is_number), "{key}");
    }
    let test = &result["test"];
    assert!(
        test["hits[0]"].as_f64() >= test["hits[1]"].as_f64(),
        "{test}"
    );
    assert!(test["hits[0]"].as_f64() > Some(0.0), "{test}");
    let csv = String::from_utf8(place.read("m/history.csv")).unwrap();
    assert!(
        csv.starts_with("epoch,loss,hits[0],hits[1],val_loss,"),
        "{csv}"
    );
    // The model's file remembers the metric, as Keras writes it.
    assert_eq!(place.json("evaluate m --data digits --json"), *test);
    place.write(
        "w.toml",
        recipe(layers, &training.replace("val_hits[1]", "val_hits")),
    );
    let error = place.bad_training("w.toml", 2);
    assert!(error.contains("did you mean `val_hits[0]`?"), "{error}");
}
