//! Losses against Keras' values: alone, and in models.

use danlu_graph::{Graph, gradients};
use serde_json::json;

use crate::golden::{
    assert_near, assert_tensor, config, constant, evaluate, list, load, tensor, text, weights,
};
use crate::prelude::*;
use crate::{Model, config};

#[test]
fn values_and_gradients_are_those_of_keras() {
    for case in list(&load("losses"), "cases") {
        let name = text(case, "name");
        let sample_weight = &case["sample_weight"];
        if !sample_weight.is_null() && sample_weight["shape"].as_array().unwrap().len() > 1 {
            // Weights by step: only one weight for each example is taken here.
            continue;
        }
        let object = json!({ "class_name": case["loss"], "config": case["config"] });
        let loss = Loss::from_json(&object).unwrap();
        let graph = Graph::new();
        let y_true = constant(&graph, &case["y_true"]);
        let y_pred = constant(&graph, &case["y_pred"]);
        let weights = weights(&graph, sample_weight);
        let value = loss.reduce(&y_true, &y_pred, weights.as_ref()).unwrap();
        let slope = gradients(&value, &[&y_pred]).unwrap().remove(0);
        let found = evaluate(&graph, &[&value, &slope]);
        let expected = [case["value"].as_f64().unwrap()];
        assert_near(name, &found[0].data, &expected, 1e-5);
        let expected = tensor(&case["gradient"]).to_f64();
        // TensorFlow's gradient takes it that targets sum to 1; those here are rounded, and ours is the loss's own.
        let tolerance = if name == "cce_soft_targets" {
            1e-4
        } else {
            1e-5
        };
        let what = format!("{name}: gradient");
        assert_near(&what, &found[1].data, &expected, tolerance);
    }
}

#[test]
fn a_model_s_loss_and_step_are_those_of_keras() {
    for case in list(&load("losses"), "in_model") {
        let name = text(case, "name");
        let kernel = tensor(&case["kernel"]);
        let units = kernel.shape()[1];
        let activation = text(case, "activation");
        let dense = |activation: &str| config! { "units": units, "use_bias": false, "activation": activation };
        let mut layers = vec![("Input".to_owned(), config! { "shape": [4] })];
        let mut add = |class: &str, config| layers.push((class.to_owned(), config));
        match text(case, "head") {
            "activation" => add("Dense", dense(activation)),
            "activation_layer" => {
                add("Dense", dense("linear"));
                add("Activation", config! { "activation": activation });
            }
            "activation_then_reshape" => {
                add("Dense", dense(activation));
                add("Reshape", config! { "target_shape": [units] });
            }
            _ => {
                add("Dense", dense(activation));
                add("Rescaling", config! { "scale": 1.0 });
            }
        }
        let mut model = Model::from_layers(layers).unwrap();
        let arguments = config! { "from_logits": case["from_logits"] };
        let loss = json!({ "class_name": case["loss"], "config": arguments });
        let loss = Loss::from_json(&loss).unwrap();
        model
            .compile(SGD::new(0.5), loss, Vec::<&str>::new())
            .unwrap();
        model.set_layer_weights("dense", &[kernel]).unwrap();
        let (x, y) = (tensor(&case["x"]), tensor(&case["y"]));
        let value = model.test_on_batch(&x, &y, None).unwrap().loss();
        assert_near(name, &[value], &[case["value"].as_f64().unwrap()], 1e-5);
        model.train_on_batch(&x, &y, None).unwrap();
        let after = model.layer_weights("dense").unwrap().remove(0);
        assert_tensor(name, &after, &tensor(&case["kernel_after_step"]), 2e-5);
    }
}

#[test]
fn the_article_s_mistake_is_a_warning_that_says_how_to_fix_it() {
    let warnings = |activation: &str, loss: Loss| {
        let mut model = Sequential::new();
        model.add(Input::new([4]));
        model.add(Dense::new(3).activation(activation));
        model.compile("adam", loss, ["accuracy"]).unwrap();
        model.warnings().join("\n")
    };
    let sparse =
        |from_logits| Loss::new(SparseCategoricalCrossentropy::new().from_logits(from_logits));
    assert_eq!(warnings("softmax", sparse(false)), "");
    assert_eq!(warnings("linear", sparse(true)), "");
    assert!(warnings("softmax", sparse(true)).contains("make the last activation linear"));
    assert!(warnings("linear", sparse(false)).contains("from_logits=true"));
    let categorical = Loss::new(CategoricalCrossentropy::new());
    assert!(warnings("sigmoid", categorical).contains("Use the activation softmax"));
    assert_eq!(warnings("linear", Loss::new(MeanSquaredError {})), "");
}

#[test]
fn an_unknown_loss_is_an_error_with_a_suggestion() {
    let error = Loss::from_name("sparse_categorical_crossentrpy")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("did you mean `sparse_categorical_crossentropy`?"),
        "{error}"
    );
    let arguments = config(&json!({ "type": "BinaryCrossentropy", "from_logit": true }));
    let error = Loss::from_json(&arguments.into()).unwrap_err().to_string();
    assert!(error.contains("did you mean `from_logits`?"), "{error}");
}
