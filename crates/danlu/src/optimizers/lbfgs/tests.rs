//! L-BFGS against PyTorch, alone and in models.

use serde_json::{Value as Json, json};

use super::*;
use crate::golden::{assert_near, list, load, text};
use crate::optimizers::from_json;
use crate::prelude::*;

fn numbers(json: &serde_json::Value) -> Vec<f64> {
    let values = json.as_array().unwrap().iter();
    values.map(|value| value.as_f64().unwrap()).collect()
}

/// Value and gradient of the functions of the script.
fn function(name: &str, p: &[f64]) -> (f64, Vec<f64>) {
    let mut gradient = vec![0.0; p.len()];
    let mut value = 0.0;
    match name {
        "rosenbrock" => {
            for i in 0..p.len() - 1 {
                let (apart, left) = (p[i + 1] - p[i] * p[i], 1.0 - p[i]);
                value += 100.0 * apart * apart + left * left;
                gradient[i] -= 400.0 * apart * p[i] + 2.0 * left;
                gradient[i + 1] += 200.0 * apart;
            }
        }
        "bowl" => {
            for (i, gradient) in gradient.iter_mut().enumerate() {
                let k = i as f64 + 1.0;
                let apart = p[i] - 1.0 / k;
                value += k * apart * apart / 2.0;
                *gradient = k * apart;
            }
        }
        "waves" => {
            for (p, gradient) in p.iter().zip(&mut gradient) {
                value += (3.0 * p).cos() + 0.1 * p * p;
                *gradient = -3.0 * (3.0 * p).sin() + 0.2 * p;
            }
        }
        other => panic!("{other}"),
    }
    (value, gradient)
}

fn lbfgs(arguments: &serde_json::Value) -> LBFGS {
    let mut lbfgs = LBFGS::new();
    for (name, value) in arguments.as_object().unwrap() {
        let size = || value.as_u64().unwrap() as usize;
        lbfgs = match name.as_str() {
            "learning_rate" => lbfgs.learning_rate(value.as_f64().unwrap()),
            "tolerance_grad" => lbfgs.tolerance_grad(value.as_f64().unwrap()),
            "tolerance_change" => lbfgs.tolerance_change(value.as_f64().unwrap()),
            "max_iter" => lbfgs.max_iter(size()),
            "max_eval" => lbfgs.max_eval(size()),
            "history_size" => lbfgs.history_size(size()),
            "line_search_fn" => lbfgs.line_search_fn(value.as_str().unwrap()),
            other => panic!("{other}"),
        };
    }
    lbfgs
}

#[test]
fn places_and_evaluations_are_those_of_pytorch() {
    for case in list(&load("lbfgs"), "cases") {
        let name = text(case, "function");
        let mut lbfgs = lbfgs(&case["arguments"]);
        let mut place = numbers(&case["start"]);
        for (number, call) in list(case, "calls").iter().enumerate() {
            let what = format!("{name} {} call {number}", case["arguments"]);
            let mut asked = 0;
            let done = lbfgs.minimize(&mut place, |p| {
                asked += 1;
                Ok(function(name, p))
            });
            let done = done.unwrap();
            assert_near(&what, &place, &numbers(&call["place"]), 1e-5);
            let first = call["first_loss"].as_f64().unwrap();
            assert_near(&what, &[done.first_loss], &[first], 1e-5);
            assert_eq!(asked, call["evaluations"], "{what}");
            assert_eq!(asked, done.evaluations, "{what}");
        }
    }
}

#[test]
fn wrong_arguments_are_errors() {
    let run = |mut lbfgs: LBFGS| {
        let bowl = |p: &[f64]| Ok(function("bowl", p));
        lbfgs
            .minimize(&mut [1.0, 2.0], bowl)
            .unwrap_err()
            .to_string()
    };
    assert!(run(LBFGS::new().learning_rate(-1.0)).contains("`learning_rate`"));
    assert!(run(LBFGS::new().tolerance_grad(f64::NAN)).contains("`tolerance_grad`"));
    assert!(run(LBFGS::new().max_iter(0)).contains("`max_iter`"));
    assert!(run(LBFGS::new().history_size(0)).contains("`history_size`"));
    let error = run(LBFGS::new().line_search_fn("strong_wolf"));
    assert!(error.contains("did you mean `strong_wolfe`?"), "{error}");
    let mut lbfgs = LBFGS::new();
    lbfgs
        .minimize(&mut [1.0, 2.0], |p| Ok(function("bowl", p)))
        .unwrap();
    let error = lbfgs.minimize(&mut [1.0], |p| Ok(function("bowl", p)));
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("the 2 numbers of the call before")
    );
    let error = LBFGS::new().minimize(&mut [1.0], |_| Ok((1.0, vec![1.0, 2.0])));
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("1 elements of the gradient")
    );
}

/// Rows of numbers as a tensor.
fn tensor(json: &Json) -> Tensor {
    let rows = json.as_array().unwrap();
    let mut shape = vec![rows.len()];
    if let Some(row) = rows[0].as_array() {
        shape.push(row.len());
    }
    let values = match rows[0].is_array() {
        true => rows.iter().flat_map(numbers).collect(),
        false => numbers(json),
    };
    let values = values.iter().map(|&value| value as f32).collect();
    Tensor::from_f32(&shape, values).unwrap()
}

/// The model of the script's trainings.
fn model(optimizer: impl crate::optimizers::IntoOptimizer) -> Model {
    let mut model: Model = Sequential::from_layers([
        Input::new([2]).into(),
        Dense::new(3).activation("tanh").into(),
        Dense::new(1).into(),
    ])
    .into();
    model.set_seed(4);
    model.compile(optimizer, "mse", ["mae"]).unwrap();
    model
}

fn fit(model: &mut Model, x: &Tensor, y: &Tensor, epochs: usize, batch_size: usize) -> Vec<f64> {
    let options = FitOptions::new()
        .epochs(epochs)
        .batch_size(batch_size)
        .shuffle(false)
        .verbose(false);
    let history = model.fit((x, y), options).unwrap();
    history.get("loss").unwrap().to_vec()
}

#[test]
fn models_train_as_in_pytorch() {
    for case in list(&load("lbfgs"), "trainings") {
        let mut object = case["arguments"].clone();
        object["type"] = "LBFGS".into();
        let mut model = model(from_json(&object).unwrap());
        let start: Vec<Tensor> = list(case, "start").iter().map(tensor).collect();
        model.set_weights(&start).unwrap();
        let size = |name: &str| case[name].as_u64().unwrap() as usize;
        let (x, y) = (tensor(&case["x"]), tensor(&case["y"]));
        let losses = fit(&mut model, &x, &y, size("epochs"), size("batch_size"));
        let what = case["arguments"].to_string();
        // Loss and gradients are f32 here and f64 there.
        assert_near(&what, &losses, &numbers(&case["losses"]), 1e-4);
        for (found, expected) in model.weights().unwrap().iter().zip(list(case, "end")) {
            let expected = tensor(expected).to_f64();
            assert_near(&what, &found.to_f64(), &expected, 1e-3);
        }
        let steps = size("epochs") * x.shape()[0] / size("batch_size");
        assert_eq!(model.iteration().unwrap(), steps as u64);
    }
}

#[test]
fn a_state_is_kept_whole_and_a_new_compile_forgets_it() {
    let golden = load("lbfgs");
    let case = &list(&golden, "trainings")[0];
    let (x, y) = (tensor(&case["x"]), tensor(&case["y"]));
    let mut one = model(LBFGS::new().max_iter(3));
    fit(&mut one, &x, &y, 2, 8);
    let state = one.optimizer_state().unwrap();
    let names: Vec<&str> = state.iter().map(|(name, _)| name.as_str()).collect();
    let expected = ["iteration", "learning_rate", "memory"];
    assert_eq!(names, expected.map(|name| format!("optimizer/{name}")));
    // Head, direction, gradient and pairs: the first iteration has none.
    let pairs = state[2].1.as_i64().unwrap()[5] as usize;
    assert!((1..=5).contains(&pairs), "{pairs}");
    assert_eq!(state[2].1.len(), 6 + 13 * (2 + 2 * pairs));
    let mut two = model(LBFGS::new().max_iter(3));
    two.set_weights(&one.weights().unwrap()).unwrap();
    two.set_named_optimizer_state(&state).unwrap();
    assert_eq!(two.optimizer_state().unwrap(), state);
    assert_eq!(fit(&mut two, &x, &y, 2, 8), fit(&mut one, &x, &y, 2, 8));
    assert_eq!(two.weights().unwrap(), one.weights().unwrap());
    two.compile(LBFGS::new(), "mse", ["mae"]).unwrap();
    assert_eq!(two.optimizer_state().unwrap(), []);
    // Not of another model, and not cut short.
    let mut wide = Sequential::from_layers([Input::new([2]).into(), Dense::new(7).into()]);
    wide.compile("lbfgs", "mse", Vec::<&str>::new()).unwrap();
    let error = wide.set_named_optimizer_state(&state).unwrap_err();
    assert!(error.to_string().contains("the 13 numbers"), "{error}");
    let mut cut = state.clone();
    let numbers = cut[2].1.as_i64().unwrap()[..20].to_vec();
    cut[2].1 = Tensor::from_i64(&[20], numbers).unwrap();
    let error = one.set_named_optimizer_state(&cut).unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    for head in [[1, 1, 0, 0, i64::MAX, i64::MAX], [1, 1, 0, 0, -1, 0]] {
        cut[2].1 = Tensor::from_i64(&[6], head.to_vec()).unwrap();
        assert!(one.set_named_optimizer_state(&cut).is_err());
    }
}

#[test]
fn what_it_cannot_be_combined_with_is_said() {
    for (argument, value) in [
        ("clipnorm", json!(1.0)),
        ("clipvalue", json!(1.0)),
        ("weight_decay", json!(0.1)),
        ("exclude_from_weight_decay", json!(["bias"])),
        ("use_ema", json!(true)),
        ("loss_scale_factor", json!(2.0)),
        ("gradient_accumulation_steps", json!(2)),
        ("learning_rate_multipliers", json!({ "dense": 0.1 })),
    ] {
        let error = from_json(&json!({ "type": "LBFGS", argument: value })).unwrap_err();
        let error = error.to_string();
        let parts = ["LBFGS", argument, "leave it out"];
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
    for (argument, value, expected) in [
        ("max_iter", json!(0), "`max_iter` must be a whole number"),
        ("max_eval", json!(-1), "`max_eval` must be a whole number"),
        ("tolerance_grad", json!("x"), "`tolerance_grad` must be"),
        ("tolerance_change", json!(-1.0), "`tolerance_change` must"),
        ("history_size", json!(1.5), "`history_size` must be"),
        ("line_search_fn", json!("wolfe"), "line search"),
        ("learning_rate", json!(-1), "`learning_rate` must be"),
        ("max_iters", json!(3), "did you mean `max_iter`?"),
    ] {
        let error = from_json(&json!({ "type": "LBFGS", argument: value })).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let mut bound = Sequential::from_layers([
        Input::new([2]).into(),
        Dense::new(1).kernel_constraint("non_neg").name("last"),
    ]);
    bound.compile("lbfgs", "mse", Vec::<&str>::new()).unwrap();
    let x = Tensor::from_f32(&[1, 2], vec![1.0, 2.0]).unwrap();
    let y = Tensor::from_f32(&[1, 1], vec![1.0]).unwrap();
    let error = bound.train_on_batch(&x, &y, None).unwrap_err().to_string();
    assert!(error.contains("the constraint on `last/kernel`"), "{error}");
}

#[test]
fn dropout_is_drawn_once_for_a_step_and_statistics_move() {
    let wave = |count: usize| (0..count).map(|place| (place as f32 * 0.7).sin()).collect();
    let x = Tensor::from_f32(&[8, 2], wave(16)).unwrap();
    let y = Tensor::from_f32(&[8, 1], wave(8)).unwrap();
    let mut model = Sequential::from_layers([
        Input::new([2]).into(),
        Dense::new(4).into(),
        BatchNormalization::new().momentum(0.5).name("norm"),
        Dropout::new(0.5).into(),
        Dense::new(1).into(),
    ]);
    // Were it drawn at each evaluation, the line search would find no step that lowers the loss by this much.
    let lbfgs = LBFGS::new().line_search_fn("strong_wolfe");
    model.compile(lbfgs, "mse", Vec::<&str>::new()).unwrap();
    let before = model.layer_weights("norm").unwrap();
    model.train_on_batch(&x, &y, None).unwrap();
    assert_ne!(model.layer_weights("norm").unwrap()[2], before[2]);
    let state = model.optimizer_state().unwrap();
    let pairs = state[2].1.as_i64().unwrap()[5];
    assert!(pairs >= 5, "{pairs}");
}
