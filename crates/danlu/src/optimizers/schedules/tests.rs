//! Schedules against the rates of Keras and PyTorch.

use serde_json::json;

use super::*;
use crate::golden::{assert_near, list, load, text};
use crate::optimizers::LearningRate;

#[test]
fn rates_are_those_of_keras_and_pytorch() {
    let golden = load("schedules");
    let mut seen = std::collections::BTreeSet::new();
    for case in list(&golden, "cases") {
        let mut recipe = case["arguments"].clone();
        recipe["type"] = case["schedule"].clone();
        let from_recipe = from_json("Adam", &recipe).unwrap();
        let file = json!({ "class_name": case["schedule"], "config": case["config"] });
        let from_file = from_json("Adam", &file).unwrap();
        let again = from_json("Adam", &to_json(&*from_file)).unwrap();
        for schedule in [&from_recipe, &from_file, &again] {
            let steps = list(case, "steps").iter();
            let rates = steps.map(|step| rate_at(&**schedule, step.as_u64().unwrap()).unwrap());
            let expected = list(case, "rates").iter();
            let expected: Vec<f64> = expected.map(|rate| rate.as_f64().unwrap()).collect();
            let what = format!("{} {}", text(case, "schedule"), case["arguments"]);
            // Rates are small: against the largest of them, not against 1.
            let largest = expected.iter().copied().fold(0.0, f64::max);
            let scaled = |rates: Vec<f64>| -> Vec<f64> {
                rates.into_iter().map(|rate| rate / largest).collect()
            };
            assert_near(&what, &scaled(rates.collect()), &scaled(expected), 1e-5);
        }
        seen.insert(text(case, "schedule").to_owned());
    }
    seen.insert("Warmup".to_owned());
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), builtin_names());
}

/// Those that no test registered.
fn builtin_names() -> Vec<String> {
    let mut names = names();
    names.retain(|name| name != "Halving");
    names
}

#[test]
fn a_warmup_before_a_cosine_is_keras_cosine_with_a_warmup() {
    let built_in = CosineDecay::new(0.01, 60.0)
        .alpha(0.1)
        .warmup_target(Some(0.3))
        .warmup_steps(20.0);
    let inner = CosineDecay::new(0.3, 60.0).alpha(0.1);
    let wrapped = Warmup::new(inner, 20.0).initial_learning_rate(0.01);
    for step in [0, 1, 7, 19, 20, 21, 50, 79, 80, 1000] {
        let rates = [rate_at(&wrapped, step), rate_at(&built_in, step)].map(Result::unwrap);
        assert!((rates[0] - rates[1]).abs() < 1e-7, "{step}: {rates:?}");
    }
    let constant = Warmup::new(0.5, 4.0);
    let rates = [0, 1, 3, 4, 100].map(|step| rate_at(&constant, step).unwrap());
    assert_eq!(rates, [0.0, 0.125, 0.375, 0.5, 0.5]);
    let again = from_json("SGD", &to_json(&wrapped)).unwrap();
    assert_eq!(
        rate_at(&*again, 30).unwrap(),
        rate_at(&wrapped, 30).unwrap()
    );
}

#[test]
fn wrong_arguments_are_errors() {
    for (object, expected) in [
        (
            json!({ "type": "ExponentialDecai" }),
            "did you mean `ExponentialDecay`?",
        ),
        (
            json!({ "type": "ExponentialDecay", "decay_steps": 3, "decay_rate": 0.5 }),
            "`initial_learning_rate` must be given",
        ),
        (
            json!({ "type": "CosineDecay", "initial_learning_rate": 0.1, "decay_steps": 0 }),
            "`decay_steps`",
        ),
        (
            json!({ "type": "CosineDecay", "initial_learning_rate": -0.1, "decay_steps": 5 }),
            "`initial_learning_rate`",
        ),
        (
            json!({ "type": "CosineDecay", "initial_learning_rate": 0.1, "decay_steps": 5, "alhpa": 0.1 }),
            "did you mean `alpha`?",
        ),
        (
            json!({ "type": "PiecewiseConstantDecay", "boundaries": [5, 3], "values": [1, 2, 3] }),
            "each above",
        ),
        (
            json!({ "type": "PiecewiseConstantDecay", "boundaries": [5], "values": [1, 2, 3] }),
            "one value more",
        ),
        (
            json!({ "type": "CosineDecayRestarts", "initial_learning_rate": 0.1, "first_decay_steps": 5, "t_mul": 0.5 }),
            "`t_mul`",
        ),
        (
            json!({ "type": "OneCycle", "max_learning_rate": 0.1, "total_steps": 3 }),
            "`pct_start`",
        ),
        (
            json!({ "type": "OneCycle", "max_learning_rate": 0.1, "total_steps": 30, "anneal_strategy": "cosine" }),
            "no annealing named `cosine`",
        ),
        (
            json!({ "type": "Warmup", "schedule": 0.1, "warmup_steps": 2.5 }),
            "a whole number of steps",
        ),
        (
            json!({ "type": "Warmup", "schedule": { "type": "CosineDecay", "initial_learning_rate": 0.1, "decay_steps": -1 }, "warmup_steps": 2 }),
            "`decay_steps`",
        ),
    ] {
        let error = LearningRate::from_json("Adam", &object)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{object}: {error}");
    }
    let error = LearningRate::from_json("Adam", &json!("fast"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("a number, or a schedule"), "{error}");
}

#[derive(Debug)]
struct Halving;

impl Schedule for Halving {
    fn class_name(&self) -> &str {
        "Halving"
    }
    fn from_config(_: &mut Arguments) -> Result<Halving> {
        Ok(Halving)
    }
    fn config(&self) -> Config {
        Config::new()
    }
    fn rate(&self, iteration: &Value) -> Result<Value> {
        crate::optimizers::arithmetic::power_of(0.5, &iteration.cast(DType::F32)?)
    }
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

#[test]
fn own_schedules_can_be_registered() {
    assert!(register_schedule::<Halving>("CosineDecay").is_err());
    register_schedule::<Halving>("Halving").unwrap();
    let again = from_json("Adam", &to_json(&Halving)).unwrap();
    assert_eq!(rate_at(&*again, 3).unwrap(), 0.125);
    assert_eq!(to_json(&Halving)["registered_name"], "danlu>Halving");
}
