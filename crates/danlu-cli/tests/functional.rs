//! Functional models through the command: recipes, data of several inputs and targets, predictions, training on.

mod common;

use common::pair::{Array, examples, keys, npz, pair};
use common::{Place, npy, pixels};
use serde_json::Value;

#[test]
fn several_inputs_and_outputs_from_data_to_predictions() {
    let place = Place::new();
    pair(&place);
    let result = place.json("train pair.toml --json --out r --threads 1");
    let names = ["loss", "sum_loss", "sum_mae", "kind_loss", "kind_accuracy"];
    assert_eq!(keys(&result["history"]), names);
    assert_eq!(keys(&result["test"]), names);
    let test = |name: &str| result["test"][name].as_f64().unwrap();
    assert!((test("loss") - test("sum_loss") - 0.5 * test("kind_loss")).abs() < 1e-5);
    assert!(
        test("kind_accuracy") > 0.8 && test("sum_mae") < 0.4,
        "{result}"
    );
    let history = String::from_utf8(place.read("r/history.csv")).unwrap();
    assert!(history.starts_with("epoch,loss,sum_loss,sum_mae,kind_loss,kind_accuracy\n"));
    // The number of threads and the recipe in the folder change nothing.
    let again = place.json("train r/recipe.toml --json --out again --threads 2");
    assert_eq!(again["history"], result["history"]);

    for model in ["r", "r/model.keras", "r/best"] {
        let results = place.json(&format!("evaluate {model} --data pair.npz --json"));
        assert_eq!(keys(&results), names, "{model}");
    }
    assert_eq!(
        place.json("evaluate r --data pair.npz --json"),
        result["test"]
    );
    let summary = place.good("summary r");
    assert!(
        summary.contains("tower[0][0]") && summary.contains("tower[1][0]"),
        "{summary}"
    );
    // The recipe's own shapes come from the data.
    assert!(place.good("summary pair.toml").contains("(None, 3)"));
    for file in ["m.h5", "m.keras"] {
        place.good(&format!("convert r {file}"));
        let results = place.json(&format!("evaluate {file} --data pair.npz --json"));
        assert_eq!(results, result["test"], "{file}");
    }
    let bench = place.json("bench r --train --batch 4 --iterations 2 --no-peak --json");
    assert_eq!(bench["results"][0]["direction"], "train");
}

#[test]
fn predictions_of_several_outputs() {
    let place = Place::new();
    pair(&place);
    place.good("train pair.toml --epochs 2 --quiet --out r");
    let [left, right, ..] = examples(5, 4);
    place.write("left.npy", npy(&[5, 3], &left));
    place.write("right.npy", npy(&[5, 2], &right));
    let arrays: &[Array] = &[
        ("right", &[5, 2], right.clone()),
        ("x_left", &[5, 3], left.clone()),
    ];
    place.write("both.npz", npz(arrays));
    let named = place.json("predict r --input right=right.npy --input left=left.npy --json");
    let entries = named.as_array().unwrap();
    assert_eq!(entries.len(), 5);
    assert_eq!(entries[0]["input"], "left.npy, right.npy[0]");
    for entry in entries {
        assert_eq!(keys(&entry["outputs"]), ["sum", "kind"]);
        assert_eq!(entry["outputs"]["sum"].as_array().unwrap().len(), 1);
        // Only `kind` is a classifier.
        for key in ["class", "label", "probabilities"] {
            assert_eq!(keys(&entry[key]), ["kind"], "{key}");
        }
        let probabilities = &entry["outputs"]["kind"];
        let class = usize::from(probabilities[1].as_f64() > probabilities[0].as_f64());
        assert_eq!(entry["class"]["kind"], class);
        assert_eq!(entry["label"]["kind"], class.to_string());
    }
    let together = place.json("predict r both.npz --batch-size 2 --json");
    for (one, other) in entries.iter().zip(together.as_array().unwrap()) {
        assert_eq!(one["outputs"], other["outputs"]);
    }
    assert_eq!(together[1]["input"], "both.npz[1]");
    place.write("l.npy", npy(&[3], &left[3..6]));
    place.write("r.npy", npy(&[1, 2], &right[2..4]));
    let text = place.good("predict r --input left=l.npy --input right=r.npy");
    assert!(
        text.starts_with("l.npy, r.npy: sum [") && text.contains("], kind "),
        "{text}"
    );

    place.good("predict r both.npz --out p.csv");
    let csv = String::from_utf8(place.read("p.csv")).unwrap();
    assert!(
        csv.starts_with("input,sum_0,kind_class,kind_label,kind_0,kind_1\nboth.npz[0],"),
        "{csv}"
    );
    assert_eq!(csv.lines().count(), 6);
    place.good("predict r both.npz --out p.jsonl");
    let lines = String::from_utf8(place.read("p.jsonl")).unwrap();
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(first, together[0]);
    place.good("predict r both.npz both.npz --out p.npz");
    assert!(place.read("p.npz").starts_with(b"PK"));

    for (arguments, expected) in [
        ("both.npz --out p.npy", "write an .npz"),
        ("left.npy", "an NPZ file with the inputs left, right"),
        ("--input left=left.npy", "give --input right=FILE, too"),
        (
            "--input left=left.npy --input rihgt=right.npy",
            "did you mean `right`?",
        ),
        ("--input left=left.npy --input left=left.npy", "given twice"),
        ("--input left=left.npy both.npz", "cannot be used with"),
        ("--input left", "expected NAME=FILE"),
        ("--input left=- --input right=-", "only once"),
        (
            "--input left=left.npy --input right=left.npy",
            "expected [2]",
        ),
    ] {
        let stderr = place.bad(&format!("predict r {arguments}"), 2);
        assert!(stderr.contains(expected), "{arguments}: {stderr}");
    }
    place.write("short.npz", npz(&arrays[..1]));
    let stderr = place.bad("predict r short.npz", 2);
    assert!(stderr.contains("expected x_left, or left"), "{stderr}");
    place.write("six.npy", npy(&[4, 2], &right[..8]));
    let stderr = place.bad("predict r --input left=left.npy --input right=six.npy", 1);
    assert!(stderr.contains("as many examples"), "{stderr}");
    assert!(!place.has("p.npy"));
}

#[test]
fn a_saved_model_trains_on_with_all_that_it_was_compiled_with() {
    let place = Place::new();
    pair(&place);
    place.good("train pair.toml --epochs 2 --quiet --out r --save m.keras");
    // Two epochs and two more, in the order of the first ones, are not four: shuffling begins anew. Without it they are.
    let options = "--set training.shuffle=false";
    let whole = place.json(&format!(
        "train pair.toml {options} --epochs 4 --json --out whole"
    ));
    place.good(&format!(
        "train pair.toml {options} --epochs 2 --quiet --out half"
    ));
    let rest = place.json(&format!(
        "train half/model.keras {options} --data pair.npz --epochs 2 --batch-size 16 --json --out rest"
    ));
    for (name, values) in whole["history"].as_object().unwrap() {
        let own = &rest["history"][name];
        assert_eq!(own[0], values[2], "{name}");
        assert_eq!(own[1], values[3], "{name}");
    }
    let other = place.json(
        "train m.keras --data pair.npz --json --out o --set training.optimizer=sgd \
         --set training.loss=[\"mae\",\"sparse_categorical_crossentropy\"] --set training.loss_weights.sum=0.25",
    );
    assert_eq!(keys(&other["history"]), ["loss", "sum_loss", "kind_loss"]);
    let stderr = place.bad_training(
        "m.keras --data pair.npz --out p --set training.optimizer=sgd --set training.loss.kindd=mse",
        2,
    );
    assert!(
        stderr.contains("no output named `kindd`; did you mean `kind`?"),
        "{stderr}"
    );
}

#[test]
fn the_multitask_recipe_learns_both_tasks() {
    let place = Place::new();
    let result = place.json("train digits-multitask --epochs 4 --json --out d");
    let test = |name: &str| result["test"][name].as_f64().unwrap();
    assert!(
        test("digit_accuracy") > 0.85 && test("even_accuracy") > 0.85,
        "{result}"
    );
    // The model remembers what its targets are made of.
    assert_eq!(
        place.json("evaluate d --data digits --json"),
        result["test"]
    );
    let data = "evaluate d --data digits-multitask --json";
    assert_eq!(place.json(data), result["test"]);
    let on = place.json("train d --data digits --json --out on");
    assert!(on["history"]["even_accuracy"].is_array(), "{on}");
    assert_eq!(place.json("evaluate on --data digits --json"), on["test"]);
    place.write("x.idx", common::idx(&[3, 8, 8], &pixels(3, 64)));
    let entries = place.json("predict d x.idx --json");
    assert_eq!(keys(&entries[0]["class"]), ["digit", "even"]);
    assert_eq!(
        entries[0]["probabilities"]["even"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    // One task alone: the classes are those of its targets.
    let alone = "train digits --epochs 1 --json --out even --set data.targets.y.from=y \
                 --set data.targets.y.map=[1,0,1,0,1,0,1,0,1,0] --set model.layers.8.units=2";
    assert!(place.json(alone)["test"]["accuracy"].as_f64().unwrap() > 0.5);
    for (set, expected) in [
        ("data.targets.even.map=[1,0]", "label 2"),
        ("data.targets.even.map=[\"a\"]", "a number for each class"),
        ("data.targets.even.form=\"y\"", "did you mean `from`?"),
        ("data.targets.digit=\"z\"", "no target named `z`"),
        ("data.targets.digit=3", "the name of a target"),
    ] {
        let arguments = format!("digits-multitask --out no --set {set}");
        let output = place.run(&format!("train {arguments}"));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{set}");
        assert!(stderr.contains(expected), "{set}: {stderr}");
        assert!(!place.has("no"));
    }
}

#[test]
fn a_normalization_in_a_graph_is_adapted() {
    let place = Place::new();
    pair(&place);
    let [left, right, sums, kinds] = examples(64, 9);
    let scaled = left.iter().map(|value| value * 50.0 + 300.0).collect();
    place.write(
        "scaled.npz",
        npz(&[
            ("x_left", &[64, 3], scaled),
            ("x_right", &[64, 2], right),
            ("y_sum", &[64], sums),
            ("y_kind", &[64], kinds),
        ]),
    );
    let recipe = String::from_utf8(place.read("pair.toml")).unwrap();
    let layer = "[[model.layers]]\ntype = \"Normalization\"\nadapt = true\nname = \"even\"\ninputs = [\"left\"]\n\n";
    let from = "[[model.layers]]\ntype = \"Dense\"\nunits = 4\nactivation = \"tanh\"\nname = \"narrow\"\ninputs = [\"left\"]";
    assert!(recipe.contains(from));
    let to = format!("{layer}{}", from.replace("\"left\"", "\"even\""));
    place.write("scaled.toml", recipe.replace(from, &to));
    let result = place.json("train scaled.toml --data scaled.npz --epochs 30 --json --out s");
    let accuracy = result["history"]["kind_accuracy"].as_array().unwrap();
    assert!(accuracy[29].as_f64() > Some(0.8), "{accuracy:?}");
}
