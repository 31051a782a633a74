//! Trainings that Keras did.

use serde_json::Value;

use crate::golden::{assert_near, assert_tensor, list, load, sizes, tensor, tensors, text};
use crate::losses::Loss;
use crate::metrics::Metric;
use crate::prelude::*;
use crate::{Config, Model, config, optimizers};

fn model(case: &Value) -> Model {
    let mut layers = vec![(
        "Input".to_owned(),
        config! { "shape": sizes(&case["input_shape"]) },
    )];
    for layer in list(case, "layers") {
        let mut arguments: Config = layer.as_object().unwrap().clone();
        arguments.shift_remove("type");
        arguments.shift_remove("weights");
        layers.push((text(layer, "type").to_owned(), arguments));
    }
    let mut model = Model::from_layers(layers).unwrap();
    let metrics = |name: &str| -> Vec<Metric> {
        let metrics = case
            .get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        metrics
            .iter()
            .map(|metric| Metric::from_json(metric).unwrap())
            .collect()
    };
    let optimizer = optimizers::from_json(&case["optimizer"]).unwrap();
    let loss = Loss::from_json(&case["loss"]).unwrap();
    model
        .compile_with(
            optimizer,
            loss,
            metrics("metrics"),
            metrics("weighted_metrics"),
        )
        .unwrap();
    let weights: Vec<Tensor> = list(case, "layers")
        .iter()
        .flat_map(|layer| tensors(&layer["weights"]))
        .collect();
    model.set_weights(&weights).unwrap();
    model
}

fn check_weights(what: &str, model: &Model, expected: &Value) {
    let expected: Vec<Tensor> = expected
        .as_array()
        .unwrap()
        .iter()
        .flat_map(tensors)
        .collect();
    for (found, expected) in model.weights().unwrap().iter().zip(&expected) {
        assert_tensor(what, found, expected, 2e-5);
    }
}

#[test]
fn fit_does_what_keras_does() {
    for file in ["fit", "parameters"] {
        for case in list(&load(file), "fits") {
            check_fit(case);
        }
    }
}

fn check_fit(case: &Value) {
    let name = text(case, "name");
    let mut model = model(case);
    let (x, y) = (tensor(&case["x"]), tensor(&case["y"]));
    let before = model.predict(&x, PredictOptions::new()).unwrap();
    assert_tensor(name, &before, &tensor(&case["predictions_before"]), 1e-5);
    let mut data = ArrayDataset::new(x.clone(), y.clone()).unwrap();
    let mut options = FitOptions::new().shuffle(false).verbose(false);
    for (argument, value) in case["fit"].as_object().unwrap() {
        let number = value.as_u64().unwrap_or(0) as usize;
        options = match argument.as_str() {
            "epochs" => options.epochs(number),
            "batch_size" => options.batch_size(number),
            "initial_epoch" => options.initial_epoch(number),
            "steps_per_epoch" => options.steps_per_epoch(number),
            "validation_freq" => options.validation_freq(number),
            "validation_split" => options.validation_split(value.as_f64().unwrap()),
            "validation_data" => {
                let mut parts = tensors(value).into_iter();
                options.validation_data((parts.next().unwrap(), parts.next().unwrap()))
            }
            "class_weight" => {
                let weights = value.as_object().unwrap().values();
                let weights = weights.map(|weight| weight.as_f64().unwrap() as f32);
                options.class_weight(&weights.collect::<Vec<f32>>())
            }
            "sample_weight" => {
                data = data.with_weights(tensor(value)).unwrap();
                options
            }
            other => panic!("{name}: argument {other}"),
        };
    }
    let history = model.fit(data, options).unwrap();
    let expected = case["history"].as_object().unwrap();
    assert_eq!(history.metrics.len(), expected.len(), "{name}: {history:?}");
    for (metric, values) in expected {
        let values: Vec<f64> = values
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v.as_f64().unwrap())
            .collect();
        let what = format!("{name}: {metric}");
        assert_near(&what, history.get(metric).expect(&what), &values, 1e-5);
    }
    check_weights(name, &model, &case["weights_after"]);
    let results = model
        .evaluate((&x, &y), EvaluateOptions::new().batch_size(7))
        .unwrap();
    for (metric, value) in case["evaluate_after"].as_object().unwrap() {
        let what = format!("{name}: {metric} after");
        assert_near(
            &what,
            &[results[metric.as_str()]],
            &[value.as_f64().unwrap()],
            2e-5,
        );
    }
    let after = model
        .predict(&x, PredictOptions::new().batch_size(7))
        .unwrap();
    assert_tensor(name, &after, &tensor(&case["predictions_after"]), 2e-5);
}

#[test]
fn steps_on_batches_do_what_keras_does() {
    let golden = load("fit");
    let case = &golden["on_batch"];
    let mut model = model(case);
    let (x, y) = (tensor(&case["x"]), tensor(&case["y"]));
    for (number, call) in list(case, "calls").iter().enumerate() {
        let method = text(call, "method");
        if method == "reset_metrics" {
            model.reset_metrics();
            continue;
        }
        let (from, to) = (call["from"].as_u64().unwrap(), call["to"].as_u64().unwrap());
        let x = x.rows(from as usize, to as usize).unwrap();
        let y = y.rows(from as usize, to as usize).unwrap();
        let results = match method {
            "train_on_batch" => model.train_on_batch(&x, &y, None),
            _ => model.test_on_batch(&x, &y, None),
        };
        let results = results.unwrap();
        let expected = match &call["returns"] {
            Value::Array(values) => values.clone(),
            returns => vec![returns["loss"].clone(), returns["accuracy"].clone()],
        };
        let expected: Vec<f64> = expected
            .iter()
            .map(|value| value.as_f64().unwrap())
            .collect();
        let found = [results["loss"], results["accuracy"]];
        let what = format!("call {number}, {method}");
        assert_near(&what, &found, &expected, 1e-5);
        check_weights(&what, &model, &call["weights"]);
    }
}

#[test]
fn the_validation_part_begins_where_keras_begins_it() {
    for case in list(&load("fit"), "splits") {
        let examples = case["examples"].as_u64().unwrap() as usize;
        if examples > 2000 {
            continue;
        }
        let split = case["validation_split"].as_f64().unwrap();
        let y = Tensor::zeros(&[examples, 1], DType::F32).unwrap();
        let data = ArrayDataset::new(y.clone(), y).unwrap();
        let parts = danlu_data::validation_split(std::sync::Arc::new(data), split);
        match case["first_validation"].as_u64() {
            Some(first) => assert_eq!(parts.unwrap().0.len(), first as usize, "{case}"),
            None => assert!(parts.is_err(), "{case}"),
        }
    }
}
