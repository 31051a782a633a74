use danlu_graph::{Graph, gradients};
use serde_json::json;

use super::*;
use crate::golden::{assert_near, constant, evaluate, list, load, tensor, text};

#[test]
fn a_misspelt_activation_is_an_error_with_a_suggestion() {
    let error = Activation::from_name("rleu").unwrap_err().to_string();
    assert_eq!(
        error,
        "there is no activation named `rleu`; did you mean `relu`?"
    );
}

#[test]
fn activations_and_their_gradients_are_those_of_keras() {
    let golden = load("activations");
    for case in list(&golden, "cases") {
        let name = text(case, "name");
        let activation = Activation::from_json("Activation", &case["activation"]).unwrap();
        let activation = activation.resolve().unwrap();
        let graph = Graph::new();
        let x = constant(&graph, &case["input"]);
        let y = activation.apply(&x).unwrap();
        let loss = y.multiply(&constant(&graph, &case["cotangent"])).unwrap();
        let slope = gradients(&loss.sum_all().unwrap(), &[&x])
            .unwrap()
            .remove(0);
        let found = evaluate(&graph, &[&y, &slope]);
        let (output, gradient) = (tensor(&case["output"]), tensor(&case["gradient"]));
        assert_eq!(found[0].shape, output.shape(), "{name}");
        assert_near(name, &found[0].data, &output.to_f64(), 1e-5);
        let what = format!("gradient of {name}");
        assert_near(&what, &found[1].data, &gradient.to_f64(), 1e-5);
    }
    let names: Vec<&str> = Activation::ALL.iter().map(|each| each.name()).collect();
    for name in golden["names"].as_array().unwrap() {
        let name = name.as_str().unwrap();
        match Activation::from_name(name) {
            Ok(activation) => assert!(names.contains(&activation.name()), "{name}"),
            Err(error) => assert_eq!(name, "threshold", "{error}"),
        }
    }
}

/// The nearest place whose numbers are at least 0 and sum to 1, by trying every set of numbers above 0.
fn nearest_on_simplex(z: &[f64]) -> Vec<f64> {
    let mut best = (f64::INFINITY, Vec::new());
    for set in 1_usize..1 << z.len() {
        let inside = |place: usize| set >> place & 1 == 1;
        let own: Vec<f64> = (0..z.len()).filter(|&i| inside(i)).map(|i| z[i]).collect();
        let threshold = (own.iter().sum::<f64>() - 1.0) / own.len() as f64;
        let place = |i: usize| if inside(i) { z[i] - threshold } else { 0.0 };
        let p: Vec<f64> = (0..z.len()).map(place).collect();
        let distance: f64 = z.iter().zip(&p).map(|(z, p)| (z - p).powi(2)).sum();
        if p.iter().all(|&p| p >= 0.0) && distance < best.0 {
            best = (distance, p);
        }
    }
    best.1
}

#[test]
fn sparsemax_is_the_nearest_distribution() {
    let rows: [[f64; 4]; 6] = [
        // All zeros in Keras 3.15.1, whose threshold adds up all cumulative sums.
        [0.6, 0.5, 0.25, -3.0],
        [0.1, 0.2, 0.3, 0.4],
        [2.0, 2.0, 2.0, 2.0],
        [-1.0, 5.0, 4.5, 4.4],
        [1e4, 1e4 + 0.5, 1e4 - 0.25, 0.0],
        [0.0, 1.0, -1.0, 0.0],
    ];
    let cotangent = [0.3, -1.0, 2.0, 0.7];
    for row in rows {
        let expected = nearest_on_simplex(&row);
        let graph = Graph::new();
        let tensor = |values: &[f64]| {
            let values = values.iter().map(|&value| value as f32).collect();
            let tensor = danlu_graph::Tensor::from_f32(&[4, 1], values).unwrap();
            graph.constant(tensor).unwrap()
        };
        let x = tensor(&row);
        let y = Activation::Sparsemax { axis: 0 }.apply(&x).unwrap();
        let loss = y.multiply(&tensor(&cotangent)).unwrap().sum_all().unwrap();
        let slope = gradients(&loss, &[&x]).unwrap().remove(0);
        let found = evaluate(&graph, &[&y, &slope]);
        assert_near("sparsemax", &found[0].data, &expected, 1e-6);
        // The gradient less its mean over what is above 0 (Proposition 2).
        let above = |place: &usize| expected[*place] > 1e-9;
        let places: Vec<usize> = (0..4).filter(above).collect();
        let mean = places.iter().map(|&i| cotangent[i]).sum::<f64>() / places.len() as f64;
        for (place, own) in cotangent.into_iter().enumerate() {
            let expected = if above(&place) { own - mean } else { 0.0 };
            // In the last row a number is just 0: either side's slope is right there.
            if row != rows[5] {
                assert!((found[1].data[place] - expected).abs() < 1e-5, "{row:?}");
            }
        }
    }
}

#[test]
fn arguments_survive_json() {
    let all = [
        Activation::Celu { alpha: 0.5 },
        Activation::Elu { alpha: 2.0 },
        Activation::Gelu { approximate: true },
        Activation::Glu { axis: 1 },
        Activation::Sparsemax { axis: 1 },
        Activation::HardShrink { threshold: 0.25 },
        Activation::LeakyRelu {
            negative_slope: 0.3,
        },
        Activation::LogSoftmax { axis: 1 },
        Activation::ReluWith {
            negative_slope: 0.1,
            max_value: Some(4.0),
            threshold: 0.5,
        },
        Activation::SoftmaxAlong { axis: 1 },
        Activation::SoftShrink { threshold: 0.75 },
        Activation::Squareplus { b: 1.0 },
        Activation::Threshold {
            threshold: 0.5,
            default_value: -1.0,
        },
    ];
    for activation in all.into_iter().chain(Activation::ALL) {
        let json = activation.to_json();
        let again = Activation::from_json("Dense", &json).unwrap();
        assert_eq!(again.resolve().unwrap(), activation, "{json}");
    }
    // A layer as an activation, as Keras writes it.
    let json = json!({
        "module": "keras.layers", "class_name": "LeakyReLU", "registered_name": null,
        "config": {"name": "leaky_re_lu", "trainable": true, "dtype": "float32"},
    });
    let activation = Activation::from_json("Dense", &json).unwrap();
    let slope = 0.3;
    let expected = Activation::LeakyRelu {
        negative_slope: slope,
    };
    assert_eq!(activation.resolve().unwrap(), expected);
}

#[test]
fn wrong_arguments_are_errors() {
    let message = |json: serde_json::Value| {
        let activation = Activation::from_json("Dense", &json);
        let resolved = activation.and_then(|activation| activation.resolve());
        resolved.unwrap_err().to_string()
    };
    let check = |json: serde_json::Value, part: &str| {
        let message = message(json);
        assert!(message.contains(part), "{message}");
    };
    check(json!("threshold"), "`threshold` must be given");
    check(json!({"type": "celu", "alpha": 0}), "and not 0");
    check(json!({"type": "gelu", "aproximate": true}), "`approximate`");
    check(json!({"type": "squareplus", "b": -1}), "at least 0");
    check(json!({"type": "relu", "max_value": -1}), "`max_value`");
    check(json!({"type": "gleu"}), "did you mean `gelu`?");
    let graph = Graph::new();
    let x = graph.scalar(1.0, danlu_graph::DType::F32).unwrap();
    let nan = Activation::Elu { alpha: f64::NAN };
    let error = nan.apply(&x).unwrap_err().to_string();
    assert!(
        error.contains("elu: `alpha` must be a finite number"),
        "{error}"
    );
}
