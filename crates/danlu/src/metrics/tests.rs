//! Metrics against Keras' values.

use danlu_graph::executor::output_tensors;
use danlu_graph::{Bindings, Executor, Graph, Program, Shape, Value};
use serde_json::{Value as Json, json};

use super::{
    AUC, Average, Direction, F1Score, MeanIoU, MetricFunction, PrecisionAtRecall, Totals, names,
    register_metric,
};
use crate::golden::{assert_near, evaluate, list, load, tensor, text};
use crate::losses::Huber;
use crate::prelude::*;

mod several;

/// The running value after each batch against Keras', in the arithmetic that training has.
fn assert_running(
    name: &str,
    metric: &Metric,
    batches: &[Json],
    tolerance: f64,
    device: &mut dyn Executor,
) {
    let mut sums: Vec<Vec<f64>> = Vec::new();
    for batch in batches {
        let graph = Graph::new();
        let input = |key: &str| {
            let given = (!batch[key].is_null()).then(|| tensor(&batch[key]))?;
            let shape = Shape::batch_of(&given.shape()[1..]);
            let value = graph.input(key, shape, given.dtype()).unwrap();
            Some((value, given))
        };
        let given = ["y_true", "y_pred", "sample_weight"].map(input);
        let values = given
            .each_ref()
            .map(|given| given.as_ref().map(|(value, _)| value));
        let [Some(y_true), Some(y_pred), weights] = values else {
            panic!("{name}: targets and predictions");
        };
        let totals = metric.totals(y_true, y_pred, weights).unwrap();
        let inputs: Vec<&Value> = values.into_iter().flatten().collect();
        let outputs: Vec<(&str, &Value)> = totals.iter().map(|total| ("total", total)).collect();
        let program = Program::new(&graph, &inputs, &outputs, &[]).unwrap();
        let tensors: Vec<&Tensor> = given.iter().flatten().map(|(_, tensor)| tensor).collect();
        let bindings = Bindings::batch(tensors[0].shape()[0]);
        let mut found = output_tensors(&program, &bindings).unwrap();
        let plan = device.compile(&program, &bindings).unwrap();
        device.run(plan, &tensors, &mut found).unwrap();
        device.release(plan);
        sums.resize(found.len(), Vec::new());
        for (sum, total) in sums.iter_mut().zip(found) {
            sum.resize(total.len(), 0.0);
            let added = total.to_f64();
            sum.iter_mut()
                .zip(added)
                .for_each(|(sum, added)| *sum += added);
        }
        let mut ends = Vec::new();
        for sum in &sums {
            ends.push(ends.last().unwrap_or(&0) + sum.len());
        }
        let sums = sums.concat();
        let totals = Totals::new(&sums, &ends);
        let result = &batch["result"];
        let expected: Vec<f64> = match result.as_array() {
            Some(several) => several.iter().map(|one| one.as_f64().unwrap()).collect(),
            None => vec![result.as_f64().unwrap()],
        };
        let outputs = tensors[1].shape().last().copied().unwrap_or(1);
        assert_eq!(metric.count(outputs), expected.len(), "{name}");
        let found: Vec<f64> = (0..expected.len())
            .map(|place| metric.result_at(totals, place))
            .collect();
        assert_near(name, &found, &expected, tolerance);
        let mean = expected.iter().sum::<f64>() / expected.len() as f64;
        assert_near(name, &[metric.result(totals)], &[mean], tolerance);
    }
}

#[test]
fn running_values_are_those_of_keras() {
    let mut device = crate::default_executor().unwrap();
    for case in list(&load("metrics"), "cases") {
        let metric = match case.get("asked").and_then(|asked| asked.as_str()) {
            Some(asked) => Metric::from_name(asked).unwrap(),
            None => {
                let config = case.get("config").cloned().unwrap_or(json!({}));
                let object = json!({ "class_name": case["metric"], "config": config });
                Metric::from_json(&object).unwrap()
            }
        };
        assert_running(
            text(case, "name"),
            &metric,
            list(case, "batches"),
            1e-6,
            &mut *device,
        );
    }
}

#[test]
fn all_metrics_have_keras_values_names_directions_and_files() {
    let file = load("metrics");
    let cases = list(&file, "others");
    assert!(cases.len() > 200, "{} cases", cases.len());
    let mut device = crate::default_executor().unwrap();
    for case in cases {
        let name = text(case, "name");
        let serialized = &case["serialized"];
        let metric =
            Metric::from_json(serialized).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_running(name, &metric, list(case, "batches"), 1e-5, &mut *device);
        let mut expected = in_floats(serialized);
        let weights = expected.pointer("/config/label_weights/config/value");
        if let Some(list) = weights.cloned() {
            // Keras cannot read the tensor that it writes here; a list it can.
            expected["config"]["label_weights"] = list;
        }
        assert_eq!(in_floats(&metric.to_json()), expected, "{name}");
        assert_eq!(metric.name(), text(case, "metric_name"), "{name}");
        let mut nameless = serialized.clone();
        nameless["config"]
            .as_object_mut()
            .unwrap()
            .shift_remove("name");
        let nameless = Metric::from_json(&nameless).unwrap();
        assert_eq!(nameless.name(), text(case, "metric_name"), "{name}");
        let direction = match case["direction"].as_str() {
            Some("up") => Some(Direction::Up),
            Some(_) => Some(Direction::Down),
            None => None,
        };
        assert_eq!(metric.direction(), direction, "{name}");
    }
}

/// The same with 0 as 0.0: Keras writes a default of 0 as a whole number.
fn in_floats(json: &Json) -> Json {
    match json {
        Json::Number(number) => json!(number.as_f64()),
        Json::Array(values) => values.iter().map(in_floats).collect(),
        Json::Object(entries) => {
            let entries = entries.iter();
            Json::Object(
                entries
                    .map(|(key, value)| (key.clone(), in_floats(value)))
                    .collect(),
            )
        }
        other => other.clone(),
    }
}

/// A classifier of three outputs, and data for it.
fn classifier(units: usize, activation: &str) -> (Sequential, Tensor, Tensor) {
    let mut model = Sequential::new();
    model.add(Input::new([4]));
    model.add(Dense::new(units).activation(activation));
    let x = (0..14 * 4).map(|i| ((i * 7919 + 13) % 101) as f32 / 50.0 - 1.0);
    let y = (0..14 * units).map(|i| (i * i % 3 % 2) as f32);
    let x = Tensor::from_f32(&[14, 4], x.collect()).unwrap();
    (
        model,
        x,
        Tensor::from_f32(&[14, units], y.collect()).unwrap(),
    )
}

#[test]
fn an_evaluation_in_batches_is_that_of_the_whole() {
    let (mut model, x, y) = classifier(3, "sigmoid");
    let metrics = [
        Metric::new(AUC::new()),
        Metric::new(F1Score::new().average(Average::Macro).threshold(0.4)),
        Metric::new(PrecisionAtRecall::new(0.4)),
        Metric::new(super::R2Score::new()),
        Metric::new(super::Precision::new()),
        Metric::new(super::Precision::new().top_k(1)),
        Metric::new(super::OneHotMeanIoU::new(3)),
        Metric::from_name("root_mean_squared_error").unwrap(),
    ];
    let weighted = vec![
        Metric::new(super::Recall::new()),
        Metric::new(super::Precision::new()),
    ];
    model
        .compile_with("sgd", "binary_crossentropy", metrics.to_vec(), weighted)
        .unwrap();
    let expected = "loss, auc, f1_score, precision_at_recall, r2_score, precision, precision_1, one_hot_mean_io_u, \
                    root_mean_squared_error, recall, precision_2";
    assert_eq!(model.metric_names().join(", "), expected);
    let data = || {
        let weights = (0..14).map(|i| (i % 4) as f32 * 0.5).collect();
        let weights = Tensor::from_f32(&[14], weights).unwrap();
        ArrayDataset::new(x.clone(), y.clone())
            .unwrap()
            .with_weights(weights)
            .unwrap()
    };
    let whole = model
        .evaluate(data(), EvaluateOptions::new().batch_size(14))
        .unwrap();
    let parts = model
        .evaluate(data(), EvaluateOptions::new().batch_size(5))
        .unwrap();
    for (name, value) in whole.iter() {
        assert_near(name, &[parts[name]], &[value], 1e-6);
    }
    assert!(
        whole
            .iter()
            .any(|(name, value)| name == "auc" && value > 0.05 && value < 0.95)
    );
    assert_ne!(whole["precision"], whole["precision_2"]);
    let history = model
        .fit(
            data(),
            FitOptions::new().epochs(2).batch_size(5).verbose(false),
        )
        .unwrap();
    assert_eq!(history.get("precision_1").unwrap().len(), 2);
    let batch = model.train_on_batch(&x, &y, None).unwrap();
    assert!(batch.get("f1_score").is_some());
}

#[test]
fn what_a_metric_cannot_be_is_refused_with_advice() {
    let (mut model, x, y) = classifier(3, "sigmoid");
    for (metric, word) in [
        (Metric::new(super::Precision::new().top_k(4)), "top_k"),
        (Metric::new(super::Recall::new().class_id(3)), "class_id"),
        (Metric::new(AUC::new().num_thresholds(1)), "num_thresholds"),
        (
            Metric::new(AUC::new().label_weights(&[1.0])),
            "label_weights",
        ),
        (Metric::new(MeanIoU::new(3)), "targets"),
    ] {
        model.compile("sgd", "mse", [metric]).unwrap();
        let y = match word {
            "targets" => Tensor::from_i32(&[14, 1], vec![1; 14]).unwrap(),
            _ => y.clone(),
        };
        let error = model.test_on_batch(&x, &y, None).unwrap_err().to_string();
        assert!(error.contains(word), "{word}: {error}");
    }
    for (bad, word) in [
        (
            json!({ "type": "Precision", "thresholds": [] }),
            "at least one number",
        ),
        (
            json!({ "type": "Precision", "thresholds": [0.1, 1.2] }),
            "numbers from 0 to 1, received 1.2",
        ),
        (json!({ "type": "Recall", "thresholds": 1.5 }), "thresholds"),
        (json!({ "type": "PrecisionAtRecall" }), "recall"),
        (
            json!({ "type": "RecallAtPrecision", "precision": -0.5 }),
            "precision",
        ),
        (
            json!({ "type": "IoU", "num_classes": 2, "target_class_ids": [2] }),
            "target_class_ids",
        ),
        (json!({ "type": "FBetaScore", "beta": 0 }), "beta"),
        (json!({ "type": "F1Score", "average": "mean" }), "average"),
        (json!({ "type": "AUC", "curve": "RO" }), "curve"),
        (json!({ "type": "AUC", "num_labels": 3 }), "multi_label"),
        (json!({ "type": "TopKCategoricalAccuracy", "k": 0 }), "`k`"),
        (
            json!({ "type": "MeanIoU", "num_classes": 2, "dtype": "text" }),
            "dtype",
        ),
    ] {
        let error = Metric::from_json(&bad).unwrap_err().to_string();
        assert!(error.contains(word), "{bad}: {error}");
    }
}

#[test]
fn nothing_is_among_the_largest_beside_an_infinite_number() {
    let graph = Graph::new();
    let value = |shape: &[usize], numbers: Vec<f32>| {
        graph
            .constant(Tensor::from_f32(shape, numbers).unwrap())
            .unwrap()
    };
    let infinite = f32::INFINITY;
    let p = value(
        &[4, 3],
        vec![
            0.1,
            0.7,
            0.2,
            0.1,
            infinite,
            0.2,
            0.1,
            f32::NAN,
            0.9,
            0.5,
            0.5,
            0.1,
        ],
    );
    let y = value(&[4], vec![2.0, 0.0, 2.0, 1.0]);
    let metric = super::SparseTopKCategoricalAccuracy::new().k(2);
    let found = evaluate(&graph, &[&metric.values(&y, &p).unwrap()]);
    assert_eq!(found[0].data, [1.0, 0.0, 0.0, 1.0]);
}

#[test]
fn a_metric_of_one_s_own_is_known_by_its_name() {
    #[derive(Debug)]
    struct Spread;
    impl MetricFunction for Spread {
        fn class_name(&self) -> &str {
            "TestSpread"
        }
        fn name(&self) -> &str {
            "test_spread"
        }
        fn config(&self) -> crate::Config {
            crate::Config::new()
        }
        fn totals(
            &self,
            _: &Value,
            y_pred: &Value,
            _: Option<&Value>,
        ) -> crate::Result<Vec<Value>> {
            Ok(vec![y_pred.sum(&[0], false)?])
        }
        fn result(&self, totals: Totals<'_>) -> f64 {
            let sums = totals.get(0).iter().copied();
            sums.clone().fold(f64::MIN, f64::max) - sums.fold(f64::MAX, f64::min)
        }
    }
    register_metric("TestSpread", |_| Ok(Metric::new(Spread))).unwrap();
    assert!(names().contains(&"TestSpread".to_owned()));
    let (mut model, x, y) = classifier(3, "linear");
    model.compile("sgd", "mse", ["TestSpread"]).unwrap();
    let found = model.test_on_batch(&x, &y, None).unwrap()["TestSpread"];
    let predictions = model.predict(&x, PredictOptions::new()).unwrap().to_f64();
    let sums: Vec<f64> = (0..3)
        .map(|output| predictions.iter().skip(output).step_by(3).sum())
        .collect();
    let (most, least) = (
        sums.iter().copied().fold(f64::MIN, f64::max),
        sums.iter().copied().fold(f64::MAX, f64::min),
    );
    assert_near("spread", &[found], &[most - least], 1e-5);
    let mut again = Model::from_keras(&model.to_keras()).unwrap();
    again
        .compile_from_config(&model.compile_config().unwrap())
        .unwrap();
    assert_eq!(again.metric_names(), ["loss", "TestSpread"]);
    let object = Metric::new(Spread).to_json();
    assert_eq!(Metric::from_json(&object).unwrap().to_json(), object);
    assert!(register_metric("AUC", |_| Ok(Metric::new(Spread))).is_err());
    // A total that grows with the batch is none.
    let each = Metric::new(Each);
    model.compile("sgd", "mse", [each]).unwrap();
    let error = model.test_on_batch(&x, &y, None).unwrap_err().to_string();
    assert!(error.contains("sum over the examples"), "{error}");
}

#[derive(Debug)]
struct Each;

impl MetricFunction for Each {
    fn class_name(&self) -> &str {
        "Each"
    }
    fn name(&self) -> &str {
        "each"
    }
    fn config(&self) -> crate::Config {
        crate::Config::new()
    }
    fn totals(&self, _: &Value, y_pred: &Value, _: Option<&Value>) -> crate::Result<Vec<Value>> {
        Ok(vec![y_pred.clone()])
    }
}

#[test]
fn a_loss_is_a_metric_too() {
    let (mut model, x, y) = classifier(3, "linear");
    let own = Metric::of_loss(Huber::new().delta(0.5)).named("near");
    model
        .compile(
            "sgd",
            Huber::new(),
            [Metric::from_name("huber").unwrap(), own],
        )
        .unwrap();
    let found = model.test_on_batch(&x, &y, None).unwrap();
    assert_near("huber", &[found["huber"]], &[found.loss()], 1e-6);
    assert!(found["near"] < found["huber"]);
    let written = Metric::from_name("Huber").unwrap().to_json();
    assert_eq!(written["class_name"], "function");
    assert_eq!(written["config"], "huber");
    assert_eq!(Metric::from_json(&written).unwrap().name(), "huber");
}

#[test]
fn an_unknown_metric_is_an_error_with_a_suggestion() {
    let error = Metric::from_name("acuracy").unwrap_err().to_string();
    assert!(error.contains("did you mean `accuracy`?"), "{error}");
    let error = Metric::from_name("Precison").unwrap_err().to_string();
    assert!(
        error.to_lowercase().contains("did you mean `precision`?"),
        "{error}"
    );
}
