//! What `danlu train` says of trainings that go wrong.

mod common;

use common::Place;
use serde_json::Value;

/// A recipe on the digits with two dense layers.
fn recipe(place: &Place, hidden: &str, training: &str) {
    let text = format!(
        r#"
name = "wrong"
[data]
source = "digits"
pixel_scale = 0.00392156862745098
[[model.layers]]
type = "Flatten"
[[model.layers]]
type = "Dense"
name = "hidden"
units = 16
{hidden}
[[model.layers]]
type = "Dense"
name = "answer"
units = 10
activation = "softmax"
[training]
loss = "sparse_categorical_crossentropy"
batch_size = 50
{training}
"#
    );
    place.write("wrong.toml", text);
}

const DEAD: &str =
    "activation = \"relu\"\nbias_initializer = { type = \"Constant\", value = -90.0 }";

fn record(place: &Place) -> Value {
    serde_json::from_slice(&place.read("run/run.json")).unwrap()
}

#[test]
fn dead_units_are_said_in_a_line_and_recorded() {
    let place = Place::new();
    recipe(&place, DEAD, "optimizer = \"adam\"\nepochs = 2");
    let output = place.run("train wrong.toml --out run --json --quiet");
    assert!(output.status.success());
    let stderr = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<&str> = stderr.lines().collect();
    assert_eq!(lines.len(), 1, "{stderr}");
    assert!(
        lines[0].starts_with("warning: 16 of the 16 units of hidden are dead"),
        "{stderr}"
    );
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = &report["diagnoses"][0];
    assert_eq!(found["kind"], "dead_units");
    assert_eq!(
        (&found["layer"], &found["epoch"], &found["step"]),
        (&"hidden".into(), &1.into(), &30.into())
    );
    assert_eq!(record(&place)["diagnoses"], report["diagnoses"]);
}

#[test]
fn it_can_be_turned_off_and_changes_nothing() {
    let place = Place::new();
    recipe(&place, DEAD, "optimizer = \"adam\"\nepochs = 2");
    place.good("train wrong.toml --out run --quiet");
    let output =
        place.run("train wrong.toml --out off --quiet --json --set training.diagnose=false");
    assert!(output.status.success() && output.stderr.is_empty());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["diagnoses"], serde_json::json!([]));
    assert_eq!(
        place.read("run/final.safetensors"),
        place.read("off/final.safetensors")
    );
    assert_eq!(place.read("run/history.csv"), place.read("off/history.csv"));
}

#[test]
fn a_loss_that_is_not_finite_is_traced_to_its_layer_and_the_checkpoint_stays() {
    let place = Place::new();
    // The rate grows a hundredfold in every epoch.
    let rate = "{ type = \"ExponentialDecay\", initial_learning_rate = 1e-3, decay_steps = 30, decay_rate = 1e8, staircase = true }";
    let training = format!("optimizer = {{ type = \"SGD\", learning_rate = {rate} }}\nepochs = 9");
    recipe(&place, "activation = \"linear\"", &training);
    let stderr = place.bad("train wrong.toml --out run", 1);
    assert!(stderr.contains("is run once more"), "{stderr}");
    let last = stderr.lines().last().unwrap();
    assert!(last.contains("the first to be"), "{stderr}");
    let record = record(&place);
    assert_eq!(record["state"], "failed");
    let diagnoses = record["diagnoses"].as_array().unwrap();
    let found = diagnoses.last().unwrap();
    assert_eq!(found["kind"], "non_finite");
    let epoch = found["epoch"].as_u64().unwrap();
    assert!(epoch >= 2, "{found}");
    assert!(last.contains(&format!("epoch {epoch}, step ")), "{last}");
    place.good("evaluate run --data digits");
}

#[test]
fn what_breaks_in_the_first_epoch_is_traced_from_the_start() {
    let place = Place::new();
    let training = "optimizer = { type = \"SGD\", learning_rate = 1e30 }\nepochs = 1";
    recipe(&place, "activation = \"linear\"", training);
    let stderr = place.bad("train wrong.toml --out run", 1);
    assert!(stderr.contains("has grown to"), "{stderr}");
    assert!(stderr.contains("(now 1.0e30)"), "{stderr}");
    let record = record(&place);
    let diagnoses = record["diagnoses"].as_array().unwrap();
    assert_eq!(diagnoses[0]["kind"], "exploding_gradients");
    let found = diagnoses.last().unwrap();
    assert_eq!(
        (&found["kind"], &found["epoch"]),
        (&"non_finite".into(), &1.into())
    );
    assert!(!place.has("run/last"));
}
