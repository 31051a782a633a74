//! Optimizers, schedules and rates of layers in recipes.

mod common;

use common::Place;

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
