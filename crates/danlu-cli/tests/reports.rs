//! What a run folder shows to people, and the lists and comparisons of runs, through the binary.

mod common;

use common::{Place, idx_folder};
use serde_json::Value;

/// A small classifier of 8x8 pictures in three classes.
const RECIPE: &str = r#"
name = "tiny"
description = "Three classes <of> nothing"

[data]
source = "pictures"
pixel_scale = 0.00392156862745098

[[model.layers]]
type = "Flatten"

[[model.layers]]
type = "Dense"
units = 3
activation = "softmax"

[training]
optimizer = "adam"
loss = "sparse_categorical_crossentropy"
metrics = ["accuracy"]
epochs = 3
batch_size = 8
validation_split = 0.25
"#;

fn place() -> Place {
    let place = Place::new();
    let labels: Vec<u8> = (0..24).map(|index| index % 3).collect();
    idx_folder(&place, "pictures", &labels);
    place.write("tiny.toml", RECIPE);
    place
}

fn text(place: &Place, name: &str) -> String {
    String::from_utf8(place.read(name)).unwrap()
}

#[test]
fn a_run_has_a_report_that_asks_for_nothing() {
    let place = place();
    place.good("train tiny.toml --out run --quiet");
    let page = text(&place, "run/report.html");
    for part in [
        "<title>tiny</title>",
        "Three classes &lt;of&gt; nothing",
        "Trained on 18 examples for 3 epochs",
        "On 24 test examples that it never saw:",
        "validation_split".replace('_', " ").as_str(),
        "predicted as",
        "The first batch",
        "danlu train run/recipe.toml --out again",
        "class=\"state finished\"",
        "default-src 'none'",
    ] {
        assert!(page.contains(part), "{part}");
    }
    // Nothing is loaded from anywhere, and nothing runs.
    for part in [
        "<script", "http://", "https://", "@import", "url(", "src=", "<link", "<iframe",
    ] {
        let allowed = page
            .replace("http://www.w3.org/2000/svg", "")
            .replace("url(#", "");
        assert!(!allowed.contains(part), "{part}");
    }
    let curves = text(&place, "run/curves.svg");
    assert!(
        curves.contains("validation") && curves.contains(">Loss<") && curves.contains(">Accuracy<")
    );
    let first = text(&place, "run/first_batch.svg");
    assert_eq!(first.matches("data:image/png").count(), 8);
    let run: Value = serde_json::from_slice(&place.read("run/run.json")).unwrap();
    assert_eq!(run["data"]["training_examples"], 18);
    assert_eq!(run["data"]["validation_examples"], 6);
    assert_eq!(run["data"]["test_examples"], 24);
    assert!(run["started"].as_str().unwrap().ends_with('Z'));
    assert!(run["seconds"].as_f64().unwrap() > 0.0);
}

#[test]
fn predictions_of_the_test_part_are_kept() {
    let place = place();
    let report = place.json("train tiny.toml --out run --quiet --json");
    let file = std::fs::File::open(place.path("run/test_predictions.npz")).unwrap();
    drop(file);
    let input = danlu::data::sources::Input::open(place.path("run/test_predictions.npz")).unwrap();
    let mut arrays = danlu::data::sources::Npz::open(input).unwrap();
    assert_eq!(arrays.arrays(), ["index", "y_true", "y_pred"]);
    let classes = arrays.read("y_true").unwrap().to_f64();
    let predicted = arrays.read("y_pred").unwrap();
    assert_eq!(predicted.shape(), [24, 3]);
    let right = predicted
        .as_f32()
        .unwrap()
        .chunks(3)
        .zip(&classes)
        .filter(|(row, class)| {
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            row[**class as usize] == most
        });
    let accuracy = right.count() as f64 / 24.0;
    let told = report["test"]["accuracy"].as_f64().unwrap();
    assert!((accuracy - told).abs() < 1e-6, "{accuracy} and {told}");
}

#[test]
fn a_run_that_failed_has_its_curves_and_says_why() {
    let place = place();
    let line = "train tiny.toml --out run --learning-rate 1e38";
    let stderr = place.bad(line, 1);
    assert!(place.has("run/report.html"), "{stderr}");
    let page = text(&place, "run/report.html");
    assert!(
        page.contains("class=\"state failed\"") && page.contains("the training failed:"),
        "{page}"
    );
}

#[test]
fn runs_are_listed_filtered_and_sorted() {
    let place = place();
    place.good("train tiny.toml --quiet");
    place.good("train tiny.toml --quiet --seed 1 --epochs 1");
    place.write("runs/broken/recipe.toml", "name = \"broken\"");
    let list = place.good("runs");
    assert!(list.starts_with("run "), "{list}");
    assert_eq!(list.lines().count(), 3, "{list}");
    let stderr = String::from_utf8(place.run("runs").stderr).unwrap();
    assert!(
        stderr.contains("runs/broken") && stderr.contains("run.json"),
        "{stderr}"
    );

    let json = place.json("runs --json");
    let names = |json: &Value| -> Vec<String> {
        let runs = json["runs"].as_array().unwrap().iter();
        runs.map(|run| run["run"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&json), ["runs/tiny-1", "runs/tiny-2"]);
    assert_eq!(json["unreadable"][0]["run"], "runs/broken");
    let first = &json["runs"][0];
    assert_eq!(
        (&first["state"], &first["epochs"]),
        (&"finished".into(), &3.into())
    );
    for figure in ["loss", "val_accuracy", "test_accuracy"] {
        assert!(first["figures"][figure].is_f64(), "{first}");
    }
    let only = |filter: &str| names(&place.json(&format!("runs --json --filter {filter}")));
    assert_eq!(only("epochs=1"), ["runs/tiny-2"]);
    assert_eq!(only("seed<1"), ["runs/tiny-1"]);
    assert_eq!(only("state=finished --filter epochs>1"), ["runs/tiny-1"]);
    assert_eq!(
        names(&place.json("runs --json --sort epochs")),
        ["runs/tiny-2", "runs/tiny-1"]
    );
    assert_eq!(
        names(&place.json("runs --json --sort -epochs")),
        ["runs/tiny-1", "runs/tiny-2"]
    );
    let stderr = place.bad("runs --filter val_los>1", 2);
    assert!(stderr.contains("did you mean `val_loss`"), "{stderr}");
    let stderr = place.bad("runs --filter loss", 2);
    assert!(stderr.contains("val_accuracy>0.9"), "{stderr}");
    // Also where there is nothing to filter.
    std::fs::create_dir(place.path("empty")).unwrap();
    for filter in ["val_loss>>3", "loss", "=3"] {
        let stderr = place.bad(&format!("runs empty --filter {filter}"), 2);
        assert!(
            stderr.contains(filter) && stderr.contains("val_accuracy>0.9"),
            "{stderr}"
        );
    }
    let stderr = place.bad("runs nowhere", 2);
    assert!(stderr.contains("nowhere"), "{stderr}");
}

#[test]
fn runs_are_compared() {
    let place = place();
    place.good("train tiny.toml --quiet --out a");
    place.good("train tiny.toml --quiet --out b --epochs 5 --batch-size 4");
    let text = place.good("compare a b --svg both.svg");
    let line = |name: &str| {
        text.lines()
            .find(|line| line.starts_with(name))
            .unwrap()
            .to_owned()
    };
    assert!(line("training.epochs").ends_with("5"), "{text}");
    assert!(!text.contains("training.optimizer"), "{text}");
    assert_eq!(line("loss ").matches('*').count(), 1, "{text}");
    let svg = String::from_utf8(place.read("both.svg")).unwrap();
    assert!(
        svg.contains(">a</text>") && svg.contains(">b</text>") && svg.contains("Loss (validation)"),
        "{svg}"
    );
    let json = place.json("compare a b --json");
    assert_eq!(
        json["settings"]["training.batch_size"],
        serde_json::json!([8, 4])
    );
    let losses = &json["figures"]["loss"];
    let less = usize::from(losses["values"][1].as_f64() < losses["values"][0].as_f64());
    assert_eq!(losses["best"], serde_json::json!([less]));
    assert!(place.bad("compare a", 2).contains("two run folders"));
    assert!(place.bad("compare a nowhere", 2).contains("nowhere"));
}

#[test]
fn seeds_give_mean_and_spread() {
    let place = place();
    let report = place.json("train tiny.toml --quiet --json --out several --seeds 3 --seed 5");
    let seeds: Vec<u64> = report["seeds"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["seed"].as_u64().unwrap())
        .collect();
    assert_eq!(seeds, [5, 6, 7]);
    let loss = &report["figures"]["test_loss"];
    let values: Vec<f64> = loss["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|value| value.as_f64().unwrap())
        .collect();
    let mean = values.iter().sum::<f64>() / 3.0;
    assert!((loss["mean"].as_f64().unwrap() - mean).abs() < 1e-12);
    assert!(loss["standard_deviation"].as_f64().unwrap() > 0.0);
    // Each is the training that its seed alone makes.
    place.good("train tiny.toml --quiet --out alone --seed 6");
    assert!(
        place.read("alone/final.safetensors") == place.read("several/seed-6/final.safetensors")
    );
    assert!(place.has("several/seeds.json") && place.has("several/seed-7/report.html"));
    assert_eq!(
        place.json("runs several --json")["runs"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    // What is refused leaves nothing behind.
    place.bad_training(
        "tiny.toml --seeds 2 --out refused --set training.epoch=3",
        2,
    );
    place.bad_training("tiny.toml --seeds 0", 2);
}
