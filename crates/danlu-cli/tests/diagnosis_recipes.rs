//! What `danlu train` says of recipes whose diagnoses were written down before they were run for the first time.

mod common;

use std::path::PathBuf;

use common::Place;
use serde_json::Value;

/// Those of which it says something else than was expected.
const MISSED: [&str; 1] = ["ex_rate"];

fn folder() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/diagnosis"
    ))
}

/// Whether a diagnosis is one of those that were expected.
fn is(found: &Value, expected: &Value) -> bool {
    let among = |list: &Value, one: &Value| {
        list.is_null() || list.as_array().is_some_and(|list| list.contains(one))
    };
    let within = |range: &Value, one: &Value| {
        range.is_null() || (range[0].as_u64() <= one.as_u64() && one.as_u64() <= range[1].as_u64())
    };
    let example = expected["example"].as_u64();
    let example = example.map(|example| format!("example {example} "));
    among(&expected["kinds"], &found["kind"])
        && among(&expected["layers"], &found["layer"])
        && within(&expected["epochs"], &found["epoch"])
        && within(&expected["steps"], &found["step"])
        && example.is_none_or(|words| found["message"].as_str().unwrap().contains(&words))
}

/// Trains the recipes of which this many are there, and fails with the names of those that come out otherwise than known.
fn check(faulty: bool) {
    let text = std::fs::read(folder().join("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&text).unwrap();
    let place = Place::new();
    let mut wrong = Vec::new();
    let mut count = 0;
    for (name, expected) in expected.as_object().unwrap() {
        let expected = expected.as_array().unwrap();
        if expected.is_empty() == faulty {
            continue;
        }
        count += 1;
        let recipe = folder().join(format!("{name}.toml"));
        place.run(&format!("train {} --out {name} --quiet", recipe.display()));
        let record: Value =
            serde_json::from_slice(&place.read(&format!("{name}/run.json"))).unwrap();
        let found = record["diagnoses"].as_array().unwrap();
        let good = match faulty {
            true => found
                .iter()
                .any(|found| expected.iter().any(|one| is(found, one))),
            false => found.is_empty(),
        };
        if good == MISSED.contains(&name.as_str()) {
            wrong.push(format!("{name}: {}", record["diagnoses"]));
        }
    }
    assert_eq!(count, 12);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn faulty_recipes_are_named_with_layer_and_step() {
    check(true);
}

#[test]
fn of_healthy_recipes_nothing_is_said() {
    check(false);
}
