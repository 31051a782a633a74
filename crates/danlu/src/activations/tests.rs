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
            Err(error) => assert!(["sparsemax", "threshold"].contains(&name), "{error}"),
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
    check(json!("sparsemax"), "not supported; use softmax");
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
