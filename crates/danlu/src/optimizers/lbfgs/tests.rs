//! L-BFGS against PyTorch.

use super::*;
use crate::golden::{assert_near, list, load, text};

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
