//! Learning rates, multipliers, averages and optimizers of one's own, in models.

use danlu_graph::Tensor;
use serde_json::{Value as Json, json};

use super::harness::{data, fit, model};
use crate::optimizers::schedules::{ExponentialDecay, PiecewiseConstantDecay};
use crate::optimizers::{
    Options, Parameter, Slot, Step, Trained, Update, from_json, names, register_optimizer, to_json,
};
use crate::prelude::*;
use crate::{Arguments, Config, Result, config};

#[test]
fn wrong_arguments_are_errors() {
    for (object, expected) in [
        (
            json!({ "type": "Adam", "learning_rat": 0.1 }),
            "did you mean `learning_rate`?",
        ),
        (
            json!({ "type": "Adam", "clipnorm": 1.0, "clipvalue": 1.0 }),
            "only way of clipping",
        ),
        (json!({ "type": "Adam", "beta_1": 1.0 }), "`beta_1`"),
        (
            json!({ "type": "Adam", "learning_rate": "fast" }),
            "a number, or a schedule",
        ),
        (
            json!({ "type": "Adam", "learning_rate": -0.1 }),
            "`learning_rate`",
        ),
        (
            json!({ "type": "Adam", "weight_decay": -0.1 }),
            "`weight_decay`",
        ),
        (
            json!({ "type": "Adam", "ema_momentum": 1.5 }),
            "`ema_momentum`",
        ),
        (
            json!({ "type": "Adam", "ema_overwrite_frequency": 0 }),
            "`ema_overwrite_frequency`",
        ),
        (
            json!({ "type": "Adam", "gradient_accumulation_steps": 1 }),
            "at least 2",
        ),
        (
            json!({ "type": "Adam", "loss_scale_factor": 0.0 }),
            "`loss_scale_factor`",
        ),
        (
            json!({ "type": "Adam", "learning_rate_multipliers": { "dense": -1 } }),
            "multipliers.dense",
        ),
        (
            json!({ "type": "Adam", "learning_rate_multipliers": { "dense": "x" } }),
            "by layer",
        ),
        (
            json!({ "type": "Adam", "exclude_from_weight_decay": "bias" }),
            "a list of texts",
        ),
        (
            json!({ "type": "Adam", "exclude_from_weight_decay": ["bias", "(ker"] }),
            "received `(ker`: ",
        ),
        (
            json!({ "type": "Adam", "exclude_from_weight_decay": [""] }),
            "found in every name",
        ),
        (
            json!({ "type": "Muon", "exclude_layers": ["dense[0-"] }),
            "regular expressions such as",
        ),
        (
            json!({ "type": "Adagrad", "initial_accumulator_value": -1.0 }),
            "`initial_accumulator_value`",
        ),
        (json!({ "type": "RMSprop", "rho": 1.5 }), "`rho`"),
        (
            json!({ "type": "Ftrl", "learning_rate_power": 0.5 }),
            "`learning_rate_power`",
        ),
        (json!({ "type": "Lion", "beta_1": 0.0 }), "`beta_1`"),
        (
            json!({ "type": "Adafactor", "clip_threshold": 0.0 }),
            "`clip_threshold`",
        ),
        (json!({ "type": "Muon", "ns_steps": 0 }), "`ns_steps`"),
        (
            json!({ "type": "Muon", "exclude_layers": ["(a"] }),
            "`exclude_layers`",
        ),
        (json!("adma"), "did you mean `adam`?"),
        (json!({ "type": "RMSProb" }), "did you mean `RMSprop`?"),
    ] {
        let error = from_json(&object).unwrap_err().to_string();
        assert!(error.contains(expected), "{object}: {error}");
    }
    let mut model = Sequential::new();
    model.add(Input::new([1]));
    model.add(Dense::new(1));
    let result = model.compile(SGD::new(-1.0), "mse", Vec::<&str>::new());
    assert!(result.unwrap_err().to_string().contains("`learning_rate`"));
    let result = model.compile(SGD::new(f64::NAN), "mse", Vec::<&str>::new());
    assert!(result.unwrap_err().to_string().contains("`learning_rate`"));
    let muon = Muon::default().rms_rate(Some(-1.0));
    assert!(muon.check().unwrap_err().to_string().contains("`rms_rate`"));
}

#[test]
fn names_are_those_of_keras_in_any_case() {
    for name in ["adamw", "AdamW", "rmsprop", "SGD", "sgd", "ADAM"] {
        let optimizer = from_json(&json!(name)).unwrap();
        assert!(optimizer.class_name().eq_ignore_ascii_case(name));
    }
    assert!(names().contains(&"Adafactor".to_owned()));
}

#[test]
fn what_keras_2_wrote_is_read_where_it_says_nothing() {
    let file = |decay: f64| {
        json!({ "class_name": "SGD", "config": {
            "name": "SGD", "learning_rate": 0.1, "decay": decay, "momentum": 0.0, "nesterov": false,
            "is_legacy_optimizer": false, "jit_compile": true,
        } })
    };
    assert_eq!(from_json(&file(0.0)).unwrap().class_name(), "SGD");
    let error = from_json(&file(0.5)).unwrap_err().to_string();
    assert!(error.contains("`decay`"), "{error}");
}

/// The shared arguments as methods, against the same in a recipe.
#[test]
fn methods_set_what_recipes_set() {
    let built = AdamW::new(PiecewiseConstantDecay::new([2], [0.1, 0.2]))
        .weight_decay(0.5)
        .exclude_from_weight_decay(["bias"])
        .clipping(Clipping::GlobalNorm(2.0))
        .use_ema(true)
        .ema_momentum(0.5)
        .ema_overwrite_frequency(3)
        .loss_scale_factor(4.0)
        .gradient_accumulation_steps(2)
        .learning_rate_multiplier("dense", 0.1)
        .learning_rate_multiplier("dense", 0.2)
        .beta_1(0.8)
        .amsgrad(true);
    let recipe = from_json(&json!({
        "type": "AdamW", "weight_decay": 0.5, "exclude_from_weight_decay": ["bias"], "global_clipnorm": 2.0,
        "use_ema": true, "ema_momentum": 0.5, "ema_overwrite_frequency": 3, "loss_scale_factor": 4.0,
        "gradient_accumulation_steps": 2, "learning_rate_multipliers": { "dense": 0.2 }, "beta_1": 0.8, "amsgrad": true,
        "learning_rate": { "type": "PiecewiseConstantDecay", "boundaries": [2], "values": [0.1, 0.2] },
    }));
    let recipe = recipe.unwrap();
    assert_eq!(to_json(&built, 0.0), to_json(&*recipe, 0.0));
    let constant = built.learning_rate(0.25);
    assert_eq!(to_json(&constant, 0.25)["config"]["learning_rate"], 0.25);
}

/// As `re.search` of Python would, in the parameter's own name and in that with its layer's.
#[test]
fn what_a_pattern_is_found_in_does_not_decay() {
    for (patterns, decaying) in [
        (
            &["bias"] as &[&str],
            &["dense/kernel", "bn/gamma"] as &[&str],
        ),
        (&["^(bias|gamma)$"], &["dense/kernel"]),
        (&["^dense"], &["bn/gamma"]),
        (&["a$", "bi.s"], &["dense/kernel"]),
        (&["kern[^e]"], &["dense/kernel", "dense/bias", "bn/gamma"]),
    ] {
        let adam = Adam::default().exclude_from_weight_decay(patterns.iter().copied());
        let names = ["dense/kernel", "dense/bias", "bn/gamma"];
        let kept = names.into_iter().filter(|name| adam.options().decays(name));
        assert_eq!(kept.collect::<Vec<_>>(), decaying, "{patterns:?}");
    }
}

#[test]
fn a_schedule_is_read_and_not_set() {
    let mut model = model(&json!("sgd"), 1);
    let decay = ExponentialDecay::new(0.1, 3.0, 0.5);
    model
        .compile(SGD::new(decay), "mse", Vec::<&str>::new())
        .unwrap();
    assert!((model.learning_rate().unwrap() - 0.1).abs() < 1e-8);
    fit(&mut model, 2);
    // Three steps in each epoch.
    assert!((model.learning_rate().unwrap() - 0.025).abs() < 1e-8);
    let error = model.set_learning_rate(0.1).unwrap_err().to_string();
    assert!(error.contains("the schedule ExponentialDecay"), "{error}");
    let names: Vec<String> = model
        .optimizer_state()
        .unwrap()
        .into_iter()
        .map(|(n, _)| n)
        .collect();
    assert_eq!(names, ["optimizer/iteration"]);
}

/// A schedule trains as a rate that is set before each step does.
#[test]
fn a_schedule_is_the_rate_of_each_step() {
    let (y, x) = data();
    let pieces = PiecewiseConstantDecay::new([0, 1], [0.3, 0.05, 0.01]);
    let mut scheduled = model(&json!("sgd"), 1);
    let optimizer = SGD::new(pieces).momentum(0.9);
    scheduled
        .compile(optimizer, "mse", Vec::<&str>::new())
        .unwrap();
    let mut set = model(&json!({ "type": "SGD", "momentum": 0.9 }), 1);
    for rate in [0.3, 0.05, 0.01, 0.01] {
        set.set_learning_rate(rate).unwrap();
        for model in [&mut scheduled, &mut set] {
            model.train_on_batch(&x, &y, None).unwrap();
        }
        assert_eq!(scheduled.weights().unwrap(), set.weights().unwrap());
    }
}

fn changes(optimizer: Json) -> Vec<f64> {
    let (y, x) = data();
    let mut model = model(&optimizer, 1);
    model.build().unwrap();
    let before = model.weights().unwrap();
    model.train_on_batch(&x, &y, None).unwrap();
    let after = model.weights().unwrap();
    let change = |(old, new): (Tensor, Tensor)| -> f64 {
        let pairs = old.to_f64().into_iter().zip(new.to_f64());
        pairs.map(|(old, new)| (new - old).abs()).sum()
    };
    before.into_iter().zip(after).map(change).collect()
}

#[test]
fn rates_of_layers_are_multiplied() {
    let plain = changes(json!({ "type": "SGD", "learning_rate": 0.1 }));
    let multiplied = changes(json!({
        "type": "SGD", "learning_rate": 0.1,
        "learning_rate_multipliers": { "dense": 0.25, "dense/bias": 3, "dense_1/kernel": 0 },
    }));
    assert!(plain.iter().all(|&change| change > 1e-3), "{plain:?}");
    let wanted = [0.25, 3.0, 0.0, 1.0];
    for ((found, plain), factor) in multiplied.iter().zip(&plain).zip(wanted) {
        assert!(
            (found - plain * factor).abs() < 1e-5,
            "{multiplied:?}, {plain:?}"
        );
    }
    let (y, x) = data();
    let mut model = model(
        &json!({ "type": "Adam", "learning_rate_multipliers": { "denze_1": 0.5 } }),
        1,
    );
    let error = model.train_on_batch(&x, &y, None).unwrap_err().to_string();
    assert!(error.contains("did you mean `dense_1`?"), "{error}");
}

#[test]
fn fit_ends_with_the_averages() {
    let recipe =
        json!({ "type": "SGD", "learning_rate": 0.1, "use_ema": true, "ema_momentum": 0.75 });
    let mut averaged = model(&recipe, 1);
    let mut plain = model(&json!({ "type": "SGD", "learning_rate": 0.1 }), 1);
    let (y, x) = data();
    let mut average: Vec<f64> = Vec::new();
    for step in 0..3 {
        plain.train_on_batch(&x, &y, None).unwrap();
        let values = plain.weights().unwrap();
        let values = values.iter().flat_map(|weight| weight.to_f64());
        if step == 0 {
            average = values.collect();
        } else {
            let both = average.iter_mut().zip(values);
            both.for_each(|(average, value)| *average = 0.75 * *average + 0.25 * value);
        }
    }
    let options = FitOptions::new()
        .epochs(3)
        .batch_size(24)
        .shuffle(false)
        .verbose(false);
    averaged.fit((&x, &y), options).unwrap();
    let found = averaged.weights().unwrap();
    let found: Vec<f64> = found.iter().flat_map(|weight| weight.to_f64()).collect();
    crate::golden::assert_near("averages", &found, &average, 1e-6);
    let apart = plain.weights().unwrap()[0].to_f64()[0] - found[0];
    assert!(apart.abs() > 1e-4, "{apart}");
}

#[test]
fn summaries_count_what_the_optimizer_keeps() {
    let mut model = model(
        &json!({ "type": "Adam", "amsgrad": true, "use_ema": true }),
        1,
    );
    fit(&mut model, 1);
    // 21 parameters, four numbers each, the iteration and the rate.
    assert!(
        model.summary().contains("Optimizer params: 86 "),
        "{}",
        model.summary()
    );
}

/// The sign of the gradient, with a count of steps.
#[derive(Clone, Debug)]
struct TestSign {
    options: Options,
}

impl Optimizer for TestSign {
    fn class_name(&self) -> &str {
        "TestSign"
    }
    fn from_config(arguments: &mut Arguments) -> Result<TestSign> {
        let options = Options::new(0.5).take(arguments)?;
        Ok(TestSign { options })
    }
    fn config(&self) -> Config {
        config! {}
    }
    fn options(&self) -> &Options {
        &self.options
    }
    fn slots(&self, _: &Trained) -> Vec<Slot> {
        vec![Slot::new("steps", &[])]
    }
    fn update(&self, _: &Step, parameter: &Parameter) -> Result<Update> {
        let change = parameter
            .gradient
            .sign()?
            .multiply(&parameter.learning_rate)?;
        Ok(Update {
            value: parameter.value.subtract(&change)?,
            slots: vec![parameter.slots[0].add_scalar(1.0)?],
        })
    }
    fn check(&self) -> Result<()> {
        self.options.check("TestSign")
    }
}

#[test]
fn own_optimizers_can_be_registered() {
    let error = register_optimizer::<TestSign>("adam")
        .unwrap_err()
        .to_string();
    assert!(error.contains("none of Danlu's own"), "{error}");
    register_optimizer::<TestSign>("TestSign").unwrap();
    assert!(names().contains(&"TestSign".to_owned()));
    let mut model = model(&json!({ "type": "TestSign", "learning_rate": 0.125 }), 1);
    let before = model.weights().unwrap();
    let (y, x) = data();
    model.train_on_batch(&x, &y, None).unwrap();
    let after = model.weights().unwrap();
    let change = before[0].get_f64(0) - after[0].get_f64(0);
    assert!((change.abs() - 0.125).abs() < 1e-6, "{change}");
    let folder = tempfile::tempdir().unwrap();
    for name in ["own.keras", "own.h5"] {
        let path = folder.path().join(name);
        model.save(&path).unwrap();
        let loaded = Model::load(&path).unwrap();
        assert_eq!(loaded.optimizer().unwrap().class_name(), "TestSign");
        assert_eq!(
            loaded.optimizer_state().unwrap(),
            model.optimizer_state().unwrap()
        );
    }
    let config = to_json(model.optimizer().unwrap(), 0.125);
    assert_eq!(config["registered_name"], "danlu>TestSign");
}

/// The least squares of a linear model, which the normal equations give.
#[test]
fn lbfgs_finds_least_squares_and_leaves_the_optimizer_alone() {
    let (y, x) = data();
    let mut model: Model =
        Sequential::from_layers([Input::new([2]).into(), Dense::new(1).into()]).into_model();
    model.compile("adam", "mse", ["mae"]).unwrap();
    let state = |model: &Model| model.optimizer_state().unwrap();
    model.train_on_batch(&x, &y, None).unwrap();
    let before = state(&model);
    let mut lbfgs = LBFGS::new().line_search_fn("strong_wolfe");
    let done = model.fit_lbfgs(&mut lbfgs, &x, &y, None).unwrap();
    assert!(done.first_loss > 0.01 && done.loss < 1e-9, "{done:?}");
    // The data is made by these.
    let weights = model.weights().unwrap();
    crate::golden::assert_near("kernel", &weights[0].to_f64(), &[0.8, -0.5], 1e-4);
    crate::golden::assert_near("bias", &weights[1].to_f64(), &[0.3], 1e-4);
    assert_eq!(state(&model), before);
    // Examples that weigh nothing do not count.
    let mut wrong = y.to_f64();
    wrong[0] += 100.0;
    let wrong = Tensor::from_f32(&[24, 1], wrong.iter().map(|&y| y as f32).collect()).unwrap();
    let mut weight = vec![1.0; 24];
    weight[0] = 0.0;
    let weight = Tensor::from_f32(&[24], weight).unwrap();
    let done = model
        .fit_lbfgs(&mut LBFGS::new(), &x, &wrong, Some(&weight))
        .unwrap();
    assert!(done.loss < 1e-6, "{done:?}");
    // A refused call changes nothing.
    let before = model.weights().unwrap();
    let error = model.fit_lbfgs(&mut LBFGS::new().max_iter(0), &x, &y, None);
    assert!(error.unwrap_err().to_string().contains("`max_iter`"));
    assert_eq!(model.weights().unwrap(), before);
}

#[test]
fn what_decays_ends_at_zero_and_never_among_subnormal_numbers() {
    use super::runner::Runner;
    for object in [
        json!({ "type": "Adam" }),
        json!({ "type": "SGD", "momentum": 0.9 }),
        json!({ "type": "RMSprop", "momentum": 0.9, "centered": true, "rho": 0.9 }),
        json!({ "type": "Adamax", "beta_2": 0.9 }),
        json!({ "type": "Lion", "beta_2": 0.9 }),
        json!({ "type": "Muon", "exclude_embeddings": false }),
    ] {
        let optimizer = from_json(&object).unwrap();
        let start = Tensor::from_f32(&[20, 2], vec![0.5; 40]).unwrap();
        let executor = crate::cpu_executor(crate::cpu::CpuOptions::default()).unwrap();
        let mut runner = Runner::new(&*optimizer, &["dense/kernel"], &[start], executor);
        let gradient = |value: f32| [Tensor::from_f32(&[20, 2], vec![value; 40]).unwrap()];
        runner.step(&gradient(0.1));
        let mut smallest = f32::MAX;
        for _ in 0..1500 {
            runner.step(&gradient(0.0));
            for state in runner.state() {
                let values = state.as_f32().unwrap_or_default().iter();
                let sizes = values.map(|value| value.abs()).filter(|&size| size > 0.0);
                smallest = sizes.fold(smallest, f32::min);
            }
        }
        assert!(smallest < 1e-25, "{object}: nothing decayed: {smallest:e}");
        assert!(smallest > 7e-31, "{object}: {smallest:e}");
    }
}
