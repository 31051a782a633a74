//! `danlu bench` and `danlu train --profile`. Nothing here says how fast anything is.

mod common;

use common::Place;
use serde_json::Value;

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{value} is no number"))
}

fn near(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-6 * left.abs().max(right.abs())
}

fn directions(result: &Value) -> Vec<&str> {
    let entries = result["results"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| entry["direction"].as_str().unwrap())
        .collect()
}

#[test]
fn models_and_recipes_are_timed_for_each_batch() {
    let place = Place::new();
    for train in ["", "--train"] {
        let line = format!("bench digits --batch 1,3 {train} --iterations 4 --threads 2 --json");
        let result = place.json(&line);
        let peak = number(&result["peak"]["gflops"]);
        let bandwidth = number(&result["peak"]["gigabytes_per_second"]);
        assert!(peak > 0.0 && bandwidth > 0.0);
        let entries = result["results"].as_array().unwrap();
        let batches: Vec<_> = entries
            .iter()
            .map(|entry| entry["batch"].as_u64())
            .collect();
        assert_eq!(batches, [Some(1), Some(3)]);
        for entry in entries {
            assert_eq!(entry["threads"], 2);
            assert_eq!(entry["iterations"], 4);
            assert_eq!(
                entry["direction"],
                if train.is_empty() { "predict" } else { "train" }
            );
            let median = number(&entry["median_us"]);
            assert!(median > 0.0 && number(&entry["best_us"]) <= median);
            let batch = number(&entry["batch"]);
            assert!(near(number(&entry["us_per_sample"]), median / batch));
            // The products of the recipe's first dense layer alone: 256 inputs, 128 units.
            let flops = number(&entry["gflops"]) * median * 1e3;
            assert!(flops > batch * 2.0 * 256.0 * 128.0, "{flops}");
            assert!(near(
                number(&entry["share_of_peak"]),
                number(&entry["gflops"]) / peak
            ));
            let bytes = number(&entry["gigabytes_per_second"]);
            assert!(near(
                number(&entry["share_of_bandwidth"]),
                bytes / bandwidth
            ));
        }
    }
}

#[test]
fn a_model_that_is_timed_stays_as_it_is() {
    let place = Place::new();
    place.good("train digits --epochs 1 --quiet --out d");
    let before = place.read("d/model.keras");
    for subject in ["d", "d/model.keras"] {
        let line = format!("bench {subject} --train --batch 2 --iterations 2 --no-peak --json");
        let result = place.json(&line);
        assert_eq!(result["peak"], Value::Null);
        assert_eq!(result["results"][0]["share_of_peak"], Value::Null);
    }
    assert!(place.read("d/model.keras") == before);
    place.good("train digits --epochs 1 --quiet --out f --save w.safetensors");
    let stderr = place.bad("bench w.safetensors --batch 1", 2);
    assert!(stderr.contains("weights only"), "{stderr}");
    let files = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/keras_files");
    let uncompiled = format!("bench {files}/uncompiled.keras --batch 2 --iterations 1 --no-peak");
    place.good(&uncompiled);
    let stderr = place.bad(&format!("{uncompiled} --train"), 2);
    assert!(stderr.contains("is not compiled"), "{stderr}");
}

#[test]
fn operations_are_timed_in_every_direction() {
    let place = Place::new();
    let convolution = "--op conv2d --shape 2x8x8x4 --kernel 6x3x3 --padding same";
    let result = place.json(&format!(
        "bench {convolution} --iterations 3 --no-peak --json"
    ));
    let all = ["forward", "input_gradient", "weight_gradient"];
    assert_eq!(directions(&result), all);
    for entry in result["results"].as_array().unwrap() {
        let flops = number(&entry["gflops"]) * number(&entry["median_us"]) * 1e3;
        assert!(near(flops, 2.0 * 2.0 * 64.0 * 6.0 * 36.0), "{entry}");
        assert_eq!(entry["batch"], 2);
        assert_eq!(entry["shape"], serde_json::json!([2, 8, 8, 4]));
    }
    let line = "bench --op matmul --shape 64x50x7 --batch 1,5 --iterations 1 --no-peak --json";
    let result = place.json(line);
    assert_eq!(directions(&result), [all, all].concat());
    assert_eq!(result["results"][4]["batch"], 5);
    assert_eq!(result["results"][4]["shape"], serde_json::json!([5, 50]));
    for (line, expected) in [
        ("max_pool2d --shape 2x8x8x3 --kernel 2x2", &all[..2]),
        (
            "average_pool2d --shape 2x8x8x3 --kernel 3 --stride 1 --padding same",
            &all[..2],
        ),
        ("softmax --shape 4x10", &all[..1]),
        ("sum --shape 4x10 --axes 1", &all[..1]),
        ("relu --shape 4x10", &all[..1]),
        ("add --shape 1000", &all[..1]),
    ] {
        let line = format!("bench --op {line} --isa portable --iterations 1 --no-peak --json");
        let result = place.json(&line);
        assert_eq!(directions(&result), expected, "{line}");
        assert_eq!(result["isa"], "portable");
    }
}

#[test]
fn tables_are_for_people_and_notes_go_to_stderr() {
    let place = Place::new();
    let output = place.run("bench --op exp --shape 64x64 --iterations 2");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("exp 64x64: "), "{text}");
    assert!(lines[0].contains("; peak "), "{text}");
    assert!(lines[2].starts_with("direction  batch"), "{text}");
    assert!(lines[3].starts_with("forward       64"), "{text}");
    assert_eq!(lines[2].len(), lines[3].len(), "{text}");
    let warm = place.run("bench --op exp --shape 64x64 --threads 1 --no-peak");
    assert!(!warm.stderr.is_empty() && warm.status.success());
    let quiet = place.run("bench --op exp --shape 64x64 --iterations 2 --no-peak --quiet");
    assert!(quiet.stderr.is_empty());
    let help = place.good("bench --help");
    assert!(help.contains("conv2d            --shape 32x28x28x64 --kernel 64x3x3"));
}

#[test]
fn mistakes_are_usage_errors() {
    let place = Place::new();
    for (line, expected) in [
        ("bench", "MODEL|RECIPE"),
        ("bench digitz", "did you mean `digits`?"),
        ("bench nowhere.keras", "there is no model"),
        ("bench digits --batch 0", "from 1 to"),
        ("bench digits --batch 1,x", "from 1 to"),
        ("bench digits --iterations 0", "from 1 to"),
        ("bench digits --isa avx1024", "avx1024"),
        ("bench digits --threads 0", "from 1 to"),
        ("bench digits --op relu --shape 3", "cannot be used with"),
        ("bench digits --shape 3", "--op"),
        ("bench --op relu --shape 3 --train", "cannot be used with"),
        ("bench --op rellu --shape 3", "did you mean `relu`?"),
        ("bench --op relu", "needs --shape"),
        ("bench --op conv2d --shape 32x28x28x64", "needs --kernel"),
        (
            "bench --op conv2d --shape 32x28x28 --kernel 64x3x3",
            "BATCHxHEIGHTxWIDTHxCHANNELS",
        ),
        (
            "bench --op conv2d --shape 32x28x28x64 --kernel 64x3x3 --padding valud",
            "valid",
        ),
        ("bench --op conv2d --shape 1x2x2x1 --kernel 1x3x3", "conv2d"),
        ("bench --op matmul --shape 3x4", "ROWSxDEPTHxCOLUMNS"),
        ("bench --op relu --shape 3x4 --kernel 2", "has no --kernel"),
        (
            "bench --op relu --shape 99999999999999x99999999999999",
            "relu",
        ),
    ] {
        let stderr = place.bad(line, 2);
        assert!(stderr.contains(expected), "{line}: {stderr}");
    }
}

#[test]
fn a_profile_sums_up_and_changes_nothing() {
    let place = Place::new();
    let line = "train digits --epochs 2 --seed 3 --threads 2 --json --quiet";
    let plain = place.json(&format!("{line} --out plain"));
    assert_eq!(plain["profile"], Value::Null);
    let result = place.json(&format!("{line} --profile --out profiled"));
    for name in ["final.safetensors", "history.csv"] {
        let (plain, profiled) = (format!("plain/{name}"), format!("profiled/{name}"));
        assert!(place.read(&plain) == place.read(&profiled), "{name}");
    }
    assert_eq!(result["history"], plain["history"]);

    let profile = &result["profile"];
    // 1,500 examples, 16 a step, twice.
    assert_eq!(profile["steps"], 188);
    let total = number(&profile["seconds"]);
    let outside = number(&profile["outside_seconds"]) + number(&profile["copying_seconds"]);
    for part in ["operations", "layers"] {
        let rows = profile[part].as_array().unwrap();
        let seconds: f64 = rows.iter().map(|row| number(&row["seconds"])).sum();
        let shares: f64 = rows.iter().map(|row| number(&row["share"])).sum();
        assert!((seconds + outside - total).abs() < 1e-3 * total, "{part}");
        assert!((shares * total - seconds).abs() < 1e-3 * total, "{part}");
    }
    let names: Vec<&str> = profile["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["layer"].as_str().unwrap())
        .collect();
    for name in ["conv2d", "dense", "dense_1", "loss", "accuracy"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let operations = profile["operations"].as_array().unwrap();
    let peak = number(&profile["peak"]["gflops"]);
    for row in operations {
        let gflops = number(&row["gflops"]);
        assert!(near(number(&row["share_of_peak"]), gflops / peak), "{row}");
    }
    // Whichever operations run as one: the first is found with its layer and stage.
    for (name, layer, stage) in [
        ("conv2d", "conv2d", "forward"),
        ("conv2d_input_gradient", "conv2d_1", "backward"),
        ("conv2d_weight_gradient", "conv2d", "backward"),
    ] {
        let does = |row: &&Value| row["operations"][0] == name && row["layer"] == layer;
        let row = operations.iter().find(does);
        let row = row.unwrap_or_else(|| panic!("{name} of {layer}: {operations:?}"));
        let found = row["stage"].as_str().unwrap();
        assert!(found.starts_with(stage), "{row}");
    }
    let mut all = operations
        .iter()
        .flat_map(|row| row["operations"].as_array().unwrap());
    assert!(all.any(|name| name == "max_pool2d"), "{operations:?}");
    assert!(number(&profile["arena_bytes"]) > 0.0 && number(&profile["waiting_seconds"]) >= 0.0);

    let text = place.good("train digits --epochs 1 --profile --quiet --out table");
    for expected in [
        "94 training steps",
        "layer",
        "conv2d_1",
        "outside: batches",
        "of memory",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn a_benchmark_says_where_the_time_went() {
    let place = Place::new();
    for (train, stages) in [
        ("", vec!["forward"]),
        ("--train", vec!["forward", "backward", "update"]),
    ] {
        let line =
            format!("bench digits --batch 3,5 {train} --iterations 4 --profile --threads 2 --json");
        let result = place.json(&line);
        for entry in result["results"].as_array().unwrap() {
            let profile = &entry["profile"];
            assert_eq!(profile["steps"], 4);
            let operations = profile["operations"].as_array().unwrap();
            let sum: f64 = operations.iter().map(|one| number(&one["seconds"])).sum();
            assert!(sum > 0.0 && sum <= number(&profile["seconds"]));
            let seen = |stage: &&str| {
                let named = |one: &Value| one["stage"].as_str().unwrap().contains(*stage);
                operations.iter().any(named)
            };
            let all = ["forward", "backward", "update"];
            let found: Vec<&str> = all.into_iter().filter(seen).collect();
            assert_eq!(found, stages);
        }
    }
    let text = place.good("bench digits --batch 2 --iterations 2 --profile --no-peak");
    assert!(text.contains("batch 2: 2 predictions in"), "{text}");
    assert!(text.contains("conv2d"), "{text}");
    let message = place.bad("bench --op relu --shape 3x4 --profile", 2);
    assert!(message.contains("--profile"), "{message}");
}
