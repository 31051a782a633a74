//! Optimizers, schedules and rates of layers in recipes.

mod common;

use common::Place;
use common::pair::{Array, npz};
use common::runs::{assert_equal, outcome, whatever_was_planned};

const SETTING: &str = r#"{type="AdamW",learning_rate={type="Warmup",warmup_steps=10,schedule={type="CosineDecay",initial_learning_rate=0.003,decay_steps=200}},learning_rate_multipliers={dense=0.5},exclude_from_weight_decay=["bias"],use_ema=true,ema_momentum=0.9}"#;

#[test]
fn a_recipe_takes_an_optimizer_with_a_schedule_and_goes_on_with_it() {
    let place = Place::new();
    let line = format!("train digits --epochs 2 --json --out d --set training.optimizer={SETTING}");
    let result = place.json(&line);
    let losses = result["history"]["loss"].as_array().unwrap();
    assert!(losses[1].as_f64() < losses[0].as_f64(), "{losses:?}");
    // What the run wrote down is the same recipe.
    let recipe = String::from_utf8(place.read("d/recipe.toml")).unwrap();
    for text in [
        "Warmup",
        "CosineDecay",
        "0.003",
        "learning_rate_multipliers",
        "exclude_from_weight_decay",
    ] {
        assert!(recipe.contains(text), "{text}: {recipe}");
    }
    let again = place.json("train d/recipe.toml --epochs 2 --json --out e");
    assert_eq!(again["history"], result["history"]);
    // A model of a file trains on with its own.
    let on = place.json("train d/model.keras --data digits --epochs 1 --json --out g");
    assert!(on["history"]["loss"][0].as_f64() < losses[1].as_f64());
    let error = place.bad(
        "train d/model.keras --data digits --learning-rate 0.1 --out h",
        1,
    );
    assert!(error.contains("the schedule Warmup"), "{error}");
}

#[test]
fn what_is_wrong_in_an_optimizer_is_said() {
    let place = Place::new();
    for (setting, expected) in [
        (r#"{type="RMSpropp"}"#, "did you mean `RMSprop`?"),
        (
            r#"{type="AdamW",weight_deca=1}"#,
            "did you mean `weight_decay`?",
        ),
        (
            r#"{type="SGD",learning_rate={type="CosinDecay"}}"#,
            "did you mean `CosineDecay`?",
        ),
        (
            r#"{type="SGD",learning_rate={type="CosineDecay"}}"#,
            "`initial_learning_rate` must be given",
        ),
        (
            r#"{type="SGD",learning_rate_multipliers={danse=1}}"#,
            "did you mean `dense`?",
        ),
    ] {
        let line = format!("digits --epochs 1 --out d --set training.optimizer={setting}");
        let error = place.bad_training(&line, 2);
        assert!(error.contains(expected), "{setting}: {error}");
    }
}

/// All examples are one batch.
const LBFGS: &str = r#"
[data]
source = "few.npz"

[[model.layers]]
type = "Dense"
units = 6
activation = "tanh"
kernel_regularizer = { type = "L2", l2 = 0.001 }

[[model.layers]]
type = "Dropout"
rate = 0.1

[[model.layers]]
type = "Dense"
units = 3
activation = "softmax"

[training]
optimizer = { type = "LBFGS", max_iter = 6, history_size = 8, line_search_fn = "strong_wolfe" }
loss = "sparse_categorical_crossentropy"
metrics = ["accuracy"]
epochs = 6
batch_size = 60
seed = 3
"#;

/// 60 examples of three classes in two dimensions.
fn few(place: &Place) {
    let mut x = Vec::new();
    let mut y = Vec::new();
    for place in 0..60 {
        let (class, angle) = (place % 3, place as f32 * 0.7);
        x.extend([
            class as f32 + 0.3 * angle.sin(),
            0.3 * angle.cos() - class as f32 * 0.5,
        ]);
        y.push(class as f32);
    }
    let arrays: [Array; 2] = [("x", &[60, 2], x), ("y", &[60], y)];
    place.write("few.npz", npz(&arrays));
}

#[test]
fn l_bfgs_trains_goes_on_and_is_in_the_run_folder() {
    let place = Place::new();
    few(&place);
    place.write("r.toml", LBFGS);
    let whole = place.json("train r.toml --out whole --json --quiet");
    let losses = whole["history"]["loss"].as_array().unwrap();
    let loss = |epoch: usize| losses[epoch].as_f64().unwrap();
    // A step of it does what hundreds of SGD's do.
    assert!(loss(0) > 0.9 && loss(5) < 0.2, "{losses:?}");
    place.good("train r.toml --epochs 2 --out cut --quiet");
    place.good("train --resume cut --epochs 6 --threads 1 --quiet");
    let files = |run: &str| whatever_was_planned(outcome(&place.path(run)));
    assert_equal(&files("cut"), &files("whole"), "l-bfgs");
    // A file of a model keeps what it learnt of the curvature, too.
    let on = place.json(
        "train whole/model.keras --data few.npz --epochs 1 --batch-size 60 --json --out on --quiet",
    );
    assert!(on["history"]["loss"][0].as_f64().unwrap() < 0.3, "{on}");
}

#[test]
fn what_l_bfgs_cannot_do_is_said_before_training() {
    let place = Place::new();
    few(&place);
    place.write("r.toml", LBFGS);
    for (setting, expected) in [
        ("training.optimizer.clipnorm=1.0", "`clipnorm`"),
        (
            "training.optimizer.gradient_accumulation_steps=2",
            "take larger batches",
        ),
        (
            "training.optimizer.line_search_fn=\"wolfe\"",
            "there are: strong_wolfe",
        ),
        ("training.optimizer.max_iter=0", "`max_iter` must be"),
        ("training.optimizer.history=3", "history_size"),
        (
            "model.layers.0.kernel_constraint=\"non_neg\"",
            "the constraint on `dense/kernel`",
        ),
    ] {
        let line = format!("r.toml --epochs 1 --out d --set {setting}");
        let error = place.bad_training(&line, 2);
        assert!(error.contains(expected), "{setting}: {error}");
    }
}
