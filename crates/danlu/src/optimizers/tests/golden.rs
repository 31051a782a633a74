//! Against Keras: five steps on recorded gradients, 200 on gradients that are a formula.

use danlu_graph::Tensor;
use danlu_graph::reference::ReferenceExecutor;
use serde_json::{Value as Json, json};

use super::runner::Runner;
use crate::cpu::CpuOptions;
use crate::golden::{assert_near, assert_tensor, list, load, tensors, text};
use crate::optimizers::{LearningRate, Optimizer, from_json, to_json};

fn optimizer_of(case: &Json) -> Box<dyn Optimizer> {
    let mut object = json!({ "class_name": case["optimizer"], "config": case["arguments"] });
    if case["exclude_from_weight_decay"].is_array() {
        object["danlu"] = json!({ "exclude_from_weight_decay": case["exclude_from_weight_decay"] });
    }
    from_json(&object).unwrap()
}

#[test]
fn steps_are_those_of_keras() {
    let golden = load("optimizers");
    let start = tensors(&golden["variables"]);
    for case in list(&golden, "cases") {
        let optimizer = optimizer_of(case);
        let executor = Box::new(ReferenceExecutor::new());
        let mut runner = Runner::new(&*optimizer, &["kernel", "bias"], &start, executor);
        for (number, (gradients, expected)) in list(&golden, "gradients")
            .iter()
            .zip(list(case, "steps"))
            .enumerate()
        {
            runner.step(&tensors(gradients));
            let what = format!("{}, step {number}", text(case, "name"));
            for (found, expected) in runner
                .parameters()
                .iter()
                .zip(tensors(&expected["variables"]))
            {
                assert_tensor(&what, found, &expected, 1e-6);
            }
            let (found, expected) = (runner.state(), tensors(&expected["slots"]));
            assert_eq!(found.len(), expected.len() + 2);
            for (found, expected) in found[2..].iter().zip(&expected) {
                assert_tensor(&what, found, expected, 1e-5);
            }
        }
    }
}

/// As the script has it.
fn gradient(step: usize, place: usize, shape: &[usize]) -> Tensor {
    let size = [1.0, 0.1, 4.0][step % 3];
    let count: usize = shape.iter().product();
    let values = (0..count).map(|k| {
        let wave = 0.7 * k as f64 + 1.3 * place as f64 + 0.37 * step as f64;
        (size * wave.sin() + 0.2 * (k as f64).cos()) as f32
    });
    Tensor::from_f32(shape, values.collect()).unwrap()
}

/// Steps from one number to another, compared with what Keras had after those that are recorded.
fn run(runner: &mut Runner, case: &Json, start: &[Tensor], steps: std::ops::Range<usize>) {
    for step in steps {
        let gradients = start.iter().enumerate();
        let gradients = gradients.map(|(place, value)| gradient(step, place, value.shape()));
        runner.step(&gradients.collect::<Vec<_>>());
        let recorded = list(case, "steps").iter();
        let Some(expected) = recorded.clone().find(|one| one["step"] == step + 1) else {
            continue;
        };
        let what = |place: &dyn std::fmt::Display| {
            format!("{}, step {}: {place}", text(case, "name"), step + 1)
        };
        let expected_values = tensors(&expected["variables"]);
        for (place, (found, expected)) in
            runner.parameters().iter().zip(&expected_values).enumerate()
        {
            assert_tensor(&what(&place), found, expected, 1e-5);
        }
        let expected = tensors(&expected["state"]);
        for ((found, expected), name) in runner
            .state()
            .iter()
            .zip(&expected)
            .zip(runner.state_names())
        {
            assert_eq!(found.shape(), expected.shape(), "{}", what(name));
            assert_near(&what(name), &found.to_f64(), &expected.to_f64(), 1e-5);
        }
    }
}

#[test]
fn two_hundred_steps_are_those_of_keras_also_when_its_state_is_restored_in_the_middle() {
    let golden = load("optimizer_runs");
    let start = tensors(&golden["variables"]);
    let names: Vec<&str> = list(&golden, "variable_names")
        .iter()
        .map(|name| name.as_str().unwrap())
        .collect();
    for case in list(&golden, "cases") {
        let optimizer = optimizer_of(case);
        let new = |threads| {
            let options = CpuOptions {
                threads: Some(threads),
                ..CpuOptions::default()
            };
            let executor = crate::cpu_executor(options).unwrap();
            Runner::new(&*optimizer, &names, &start, executor)
        };
        let mut whole = new(1);
        assert_eq!(
            whole.state_names().len(),
            list(case, "state_names").len(),
            "{}",
            case["name"]
        );
        run(&mut whole, case, &start, 0..200);
        if case["finalized"].is_array() {
            // What `fit` puts in the parameters' place.
            let kept = whole.state_names().iter().zip(whole.state());
            let averages = kept.filter(|(name, _)| name.ends_with("/average"));
            let expected = tensors(&case["finalized"]);
            assert_eq!(averages.clone().count(), expected.len());
            for ((name, average), expected) in averages.zip(&expected) {
                assert_tensor(name, &average, expected, 1e-5);
            }
        }
        let middle = list(case, "steps").iter().find(|one| one["step"] == 100);
        let middle = middle.unwrap();
        let mut restored = new(3);
        restored.restore(&tensors(&middle["variables"]), &tensors(&middle["state"]));
        run(&mut restored, case, &start, 100..200);
        // The same bits with more threads.
        let mut parallel = new(3);
        run(&mut parallel, case, &start, 0..200);
        assert_eq!(
            parallel.parameters(),
            whole.parameters(),
            "{}",
            case["name"]
        );
        assert_eq!(parallel.state(), whole.state(), "{}", case["name"]);
    }
}

/// Names as Keras has them: the parameter, then the slot.
#[test]
fn states_are_in_the_order_of_keras() {
    let golden = load("optimizer_runs");
    let start = tensors(&golden["variables"]);
    for case in list(&golden, "cases") {
        let names = ["kernel", "bias", "filters", "wide"];
        let executor = Box::new(ReferenceExecutor::new());
        let runner = Runner::new(&*optimizer_of(case), &names, &start, executor);
        for (found, expected) in runner.state_names().iter().zip(list(case, "state_names")) {
            let found = found.trim_start_matches("optimizer/").replace('/', "_");
            let expected = expected.as_str().unwrap();
            // Keras gives some no names of their own.
            let unnamed = match expected.starts_with("variable") {
                true => found == "u_product",
                false => names.contains(&expected) && found.starts_with(expected),
            };
            assert!(found == expected || unnamed, "{found}, Keras {expected}");
        }
    }
}

#[test]
fn configs_are_those_of_keras() {
    for file in ["optimizers", "optimizer_runs"] {
        for case in list(&load(file), "cases") {
            let optimizer = optimizer_of(case);
            let config = to_json(
                &*optimizer,
                optimizer.options().learning_rate.at(0).unwrap(),
            );
            let again = from_json(&config).unwrap();
            let rate = again.options().learning_rate.at(0).unwrap();
            assert_eq!(to_json(&*again, rate), config);
            assert_same(text(case, "name"), &config["config"], &case["config"]);
        }
    }
}

fn assert_same(case: &str, found: &Json, expected: &Json) {
    let (found, expected) = (found.as_object().unwrap(), expected.as_object().unwrap());
    let mut names: Vec<&String> = expected.keys().collect();
    names.retain(|name| *name != "name");
    assert_eq!(found.len(), expected.len(), "{case}");
    for name in names {
        match (found[name].as_f64(), expected[name].as_f64()) {
            (Some(a), Some(b)) => assert_eq!(a as f32, b as f32, "{case}: {name}"),
            _ if expected[name].is_object() => assert_same(case, &found[name], &expected[name]),
            _ => assert_eq!(found[name], expected[name], "{case}: {name}"),
        }
    }
}

#[test]
fn defaults_are_those_of_keras() {
    let golden = load("optimizer_runs");
    let mut seen = 0;
    for default in list(&golden, "defaults") {
        let optimizer = from_json(&default["class_name"]).unwrap();
        let config = to_json(
            &*optimizer,
            optimizer.options().learning_rate.at(0).unwrap(),
        );
        assert_eq!(config["config"]["name"], default["config"]["name"]);
        assert_same(
            text(default, "class_name"),
            &config["config"],
            &default["config"],
        );
        assert!(matches!(
            optimizer.options().learning_rate,
            LearningRate::Constant(_)
        ));
        seen += 1;
    }
    assert_eq!(seen, 14);
}
