//! Metrics against Keras' values.

use serde_json::json;

use crate::golden::{assert_near, constant, evaluate, list, load, text, weights};
use crate::losses::broadcast_weights;
use crate::prelude::*;

#[test]
fn running_values_are_those_of_keras() {
    for case in list(&load("metrics"), "cases") {
        let name = text(case, "name");
        let metric = match case.get("asked").and_then(|asked| asked.as_str()) {
            Some(asked) => Metric::from_name(asked).unwrap(),
            None => {
                let config = case.get("config").cloned().unwrap_or(json!({}));
                let object = json!({ "class_name": case["metric"], "config": config });
                Metric::from_json(&object).unwrap()
            }
        };
        let (mut sum, mut count) = (0.0, 0.0);
        for batch in list(case, "batches") {
            let graph = danlu_graph::Graph::new();
            let y_true = constant(&graph, &batch["y_true"]);
            let y_pred = constant(&graph, &batch["y_pred"]);
            let mut values = metric.values(&y_true, &y_pred).unwrap();
            match weights(&graph, &batch["sample_weight"]) {
                None => count += evaluate(&graph, &[&values])[0].data.len() as f64,
                Some(weights) => {
                    let axes: Vec<isize> = (1..values.shape().rank() as isize).collect();
                    if !axes.is_empty() {
                        values = values.mean(&axes, false).unwrap();
                    }
                    let weights = broadcast_weights(&weights, &values.shape()).unwrap();
                    values = values.multiply(&weights).unwrap();
                    count += evaluate(&graph, &[&weights])[0].data.iter().sum::<f64>();
                }
            }
            sum += evaluate(&graph, &[&values])[0].data.iter().sum::<f64>();
            let expected = [batch["result"].as_f64().unwrap()];
            let found = if count == 0.0 { 0.0 } else { sum / count };
            assert_near(name, &[found], &expected, 1e-6);
        }
    }
}

#[test]
fn an_unknown_metric_is_an_error_with_a_suggestion() {
    let error = Metric::from_name("acuracy").unwrap_err().to_string();
    assert!(error.contains("did you mean `accuracy`?"), "{error}");
}
