use super::*;
use crate::golden::{config, list, load, sizes, text};
use crate::prelude::*;

fn moments(initializer: &Initializer, shape: &[usize]) -> (f64, f64, f64, f64) {
    let tensor = initializer.values(shape, 1, "layer/kernel").unwrap();
    let values = tensor.to_f64();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    let fourth = values.iter().map(|x| (x - mean).powi(4)).sum::<f64>() / count;
    let largest = values.iter().fold(0f64, |a, b| a.max(b.abs()));
    (mean, variance.sqrt(), fourth / variance.powi(2), largest)
}

#[test]
fn deviations_and_shapes_are_those_of_keras() {
    // (3, 3, 16, 32): fan_in 144, fan_out 288.
    let shape = [3, 3, 16, 32];
    for (name, deviation, kurtosis) in [
        ("glorot_uniform", (1f64 / 216.0).sqrt(), 1.8),
        ("he_uniform", (2f64 / 144.0).sqrt(), 1.8),
        ("lecun_uniform", (1f64 / 144.0).sqrt(), 1.8),
        ("glorot_normal", (1f64 / 216.0).sqrt(), 2.37),
        ("he_normal", (2f64 / 144.0).sqrt(), 2.37),
        ("lecun_normal", (1f64 / 144.0).sqrt(), 2.37),
        ("random_normal", 0.05, 3.0),
        ("random_uniform", 0.05 / 3f64.sqrt(), 1.8),
        ("truncated_normal", 0.05 * TRUNCATED_DEVIATION, 2.37),
    ] {
        let initializer = Initializer::from_name(name).unwrap();
        let (mean, found, shape_of, _) = moments(&initializer, &shape);
        assert!(
            mean.abs() < 4.0 * deviation / 4608f64.sqrt(),
            "{name}: mean {mean}"
        );
        assert!(
            (found / deviation - 1.0).abs() < 0.04,
            "{name}: {found} for {deviation}"
        );
        assert!(
            (shape_of - kurtosis).abs() < 0.25,
            "{name}: kurtosis {shape_of}"
        );
    }
}

#[test]
fn an_orthogonal_matrix_is_orthogonal() {
    for shape in [[7, 4], [4, 7]] {
        let initializer = Initializer::Orthogonal {
            gain: 2.0,
            seed: None,
        };
        let tensor = initializer.values(&shape, 3, "a/kernel").unwrap();
        let (rows, columns) = (shape[0], shape[1]);
        let at = |i: usize, j: usize| tensor.get_f64(i * columns + j);
        let small = rows.min(columns);
        for a in 0..small {
            for b in 0..small {
                let dot: f64 = if rows >= columns {
                    (0..rows).map(|i| at(i, a) * at(i, b)).sum()
                } else {
                    (0..columns).map(|j| at(a, j) * at(b, j)).sum()
                };
                let expected = if a == b { 4.0 } else { 0.0 };
                assert!((dot - expected).abs() < 1e-5, "{shape:?} {a} {b}: {dot}");
            }
        }
    }
}

#[test]
fn an_identity_may_be_oblong() {
    let initializer = Initializer::from_name("identity").unwrap();
    let tensor = initializer.values(&[2, 3], 0, "a/kernel").unwrap();
    assert_eq!(tensor.to_f64(), [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    assert!(initializer.values(&[1, 1, 2, 3], 0, "a/kernel").is_err());
}

#[test]
fn the_seed_and_the_path_decide() {
    let glorot = Initializer::GlorotUniform { seed: None };
    let first = glorot.values(&[4, 4], 0, "dense/kernel").unwrap();
    assert_eq!(first, glorot.values(&[4, 4], 0, "dense/kernel").unwrap());
    assert_ne!(first, glorot.values(&[4, 4], 1, "dense/kernel").unwrap());
    assert_ne!(first, glorot.values(&[4, 4], 0, "dense_1/kernel").unwrap());
    let own = Initializer::GlorotUniform { seed: Some(1) };
    assert_eq!(
        own.values(&[4, 4], 0, "a").unwrap(),
        glorot.values(&[4, 4], 1, "a").unwrap()
    );
}

#[test]
fn statistics_and_configs_are_those_of_keras() {
    for case in list(&load("initializers"), "cases") {
        let (class, arguments) = (text(case, "class"), config(&case["arguments"]));
        let name = format!("{class} {arguments:?}");
        let initializer = json::from_parts("", class, arguments, false).unwrap();
        let written = initializer.to_json();
        assert_eq!(written["class_name"], class);
        let mut own = config(&written["config"]);
        own.shift_remove("seed");
        own.sort_keys();
        let mut expected = config(&case["config"]);
        expected.sort_keys();
        assert_eq!(own, expected, "{name}");
        for statistics in list(case, "statistics") {
            let shape = sizes(&statistics["shape"]);
            let number = |name: &str| statistics[name].as_f64().unwrap();
            let values = initializer.values(&shape, 11, "a/kernel").unwrap().to_f64();
            let count = values.len() as f64;
            let mean = values.iter().sum::<f64>() / count;
            let central =
                |power| values.iter().map(|x| (x - mean).powi(power)).sum::<f64>() / count;
            let deviation = central(2).sqrt();
            let near = |what: &str, found: f64, expected: f64, spread: f64| {
                let distance = (found - expected).abs();
                assert!(
                    distance <= 6.0 * spread + 1e-6,
                    "{name} {shape:?} {what}: {found}, {expected}"
                );
            };
            near("mean", mean, number("mean"), number("mean_spread"));
            // What orthogonal matrices have is the mean square, of which the mean takes a little.
            let spread = number("std_spread") + 2e-4 * number("std");
            near("std", deviation, number("std"), spread);
            if number("kurtosis") > 0.0 {
                near(
                    "kurtosis",
                    central(4) / central(2).powi(2),
                    number("kurtosis"),
                    0.03,
                );
            }
            // Where the distribution ends, ends ours; a normal one has no end.
            if (0.1..2.6).contains(&number("kurtosis")) {
                let largest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let smallest = values.iter().copied().fold(f64::INFINITY, f64::min);
                near("max", largest, number("max"), 0.005 * number("std"));
                near("min", smallest, number("min"), 0.005 * number("std"));
            }
        }
    }
}

#[test]
fn names_that_keras_has_are_known_and_others_refused() {
    for (name, class) in [
        ("zero", "Zeros"),
        ("one", "Ones"),
        ("normal", "RandomNormal"),
        ("uniform", "RandomUniform"),
        ("IdentityInitializer", "Identity"),
        ("OrthogonalInitializer", "Orthogonal"),
        ("GlorotUniform", "GlorotUniform"),
        ("variance_scaling", "VarianceScaling"),
    ] {
        assert_eq!(
            Initializer::from_name(name).unwrap().to_json()["class_name"],
            class
        );
    }
    let normal = crate::config! { "distribution": "normal" };
    let scaling = json::from_parts("", "VarianceScaling", normal, false).unwrap();
    assert_eq!(
        scaling.to_json()["config"]["distribution"],
        "truncated_normal"
    );
    for (name, arguments, part) in [
        (
            "glorot_unifrom",
            crate::config! {},
            "did you mean `glorot_uniform`?",
        ),
        (
            "STFT",
            crate::config! {},
            "the initializer `STFT` is not supported",
        ),
        (
            "random_normal",
            crate::config! { "stddev": -1.0 },
            "RandomNormal: `stddev` must be",
        ),
        (
            "random_uniform",
            crate::config! { "minval": 1.0 },
            "`minval` must be at most `maxval`",
        ),
        (
            "variance_scaling",
            crate::config! { "scale": 0.0 },
            "`scale` must be a number above 0",
        ),
        (
            "variance_scaling",
            crate::config! { "mode": "fan" },
            "`mode` must be `fan_in`",
        ),
        (
            "constant",
            crate::config! { "value": [1.0] },
            "`value` must be a number",
        ),
        (
            "he_normal",
            crate::config! { "gain": 1.0 },
            "has no argument `gain`",
        ),
    ] {
        let error = json::from_parts("", name, arguments, false)
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error}");
    }
    let mut model = Sequential::new();
    model.add(Input::new([2]));
    let infinite = Initializer::Constant {
        value: f64::INFINITY,
    };
    model.add(Dense::new(2).kernel_initializer(infinite));
    let error = model.build().unwrap_err().to_string();
    assert!(error.contains("`value` must be a finite number"), "{error}");
}
