//! Metrics that are several numbers, in history, results and early stopping.

use super::super::{ClassAggregation, F1Score, Metric, Precision, R2Score, Recall};
use super::classifier;
use crate::prelude::*;
use crate::training::{Control, EpochLogs, StepLogs};

fn metrics() -> Vec<Metric> {
    vec![
        Metric::new(F1Score::new().threshold(0.5)),
        Metric::new(Precision::new().thresholds(&[0.4, 0.6])),
        Metric::new(Recall::new().thresholds(&[0.5])),
        Metric::new(R2Score::new().class_aggregation(ClassAggregation::None)).named("r2"),
    ]
}

const NAMES: [&str; 10] = [
    "loss",
    "f1_score[0]",
    "f1_score[1]",
    "f1_score[2]",
    "precision[0]",
    "precision[1]",
    "recall",
    "r2[0]",
    "r2[1]",
    "r2[2]",
];

#[test]
fn each_number_has_a_name_and_nothing_is_lost() {
    let (mut model, x, y) = classifier(3, "sigmoid");
    let weighted = vec![Metric::new(F1Score::new())];
    model
        .compile_with("sgd", "mse", metrics(), weighted)
        .unwrap();
    let names = model.metric_names();
    assert_eq!(names[..10], NAMES);
    assert_eq!(names[10], "weighted_f1_score[0]");
    let results = model.evaluate((&x, &y), EvaluateOptions::new()).unwrap();
    let each = results.list("f1_score");
    assert_eq!(each.len(), 3);
    assert_eq!(each[2], results["f1_score[2]"]);
    assert_eq!(results.list("recall"), [results["recall"]]);
    assert!(results.list("f1").is_empty());
    // Alone, each output's score is what it is among the others.
    for (output, &score) in each.iter().enumerate() {
        let column = |tensor: &Tensor| -> Vec<bool> {
            let numbers = tensor.to_f64().into_iter().skip(output).step_by(3);
            numbers.map(|number| number > 0.5).collect()
        };
        let said = column(&model.predict(&x, PredictOptions::new()).unwrap());
        let so = column(&y);
        let both = said.iter().zip(&so).filter(|(said, so)| **said && **so);
        let all = said.iter().chain(&so).filter(|one| **one).count();
        let expected = 2.0 * both.count() as f64 / all.max(1) as f64;
        assert!(
            (score - expected).abs() < 1e-5,
            "{output}: {score}, {expected}"
        );
    }
    let options = FitOptions::new()
        .epochs(2)
        .validation_split(0.25)
        .verbose(false);
    let history = model.fit((&x, &y), options).unwrap();
    let list = history.list("val_precision");
    assert_eq!(list.len(), 2);
    assert_eq!(
        list[1],
        [
            history.last("val_precision[0]").unwrap(),
            history.last("val_precision[1]").unwrap()
        ]
    );
    assert_eq!(history.get("r2[1]").unwrap().len(), 2);
    // As a recipe writes it, which knows no null.
    let written = serde_json::json!({ "type": "R2Score", "class_aggregation": "none" });
    let json = Metric::from_json(&written).unwrap().to_json();
    assert!(json["config"]["class_aggregation"].is_null(), "{json}");
    assert_eq!(history.list("loss").len(), 2);
}

#[test]
fn a_model_that_is_built_by_its_data_has_the_names_too() {
    let (_, x, y) = classifier(3, "sigmoid");
    let mut model = Sequential::new();
    model.add(Dense::new(3).activation("sigmoid"));
    model.compile("sgd", "mse", metrics()).unwrap();
    assert!(model.metric_names().contains(&"f1_score".to_owned()));
    let history = model
        .fit((&x, &y), FitOptions::new().verbose(false))
        .unwrap();
    let names: Vec<&str> = history
        .metrics
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, NAMES);
    // Known before the data are seen where the model is built by hand.
    let mut model = Sequential::new();
    model.add(Dense::new(2));
    model.compile("sgd", "mse", [F1Score::new()]).unwrap();
    model.build_for(&[4]).unwrap();
    assert_eq!(model.metric_names(), ["loss", "f1_score[0]", "f1_score[1]"]);
}

#[test]
fn one_of_the_numbers_can_be_watched() {
    let (mut model, x, y) = classifier(3, "sigmoid");
    model.compile("sgd", "mse", metrics()).unwrap();
    let watch = |monitor: &str| {
        FitOptions::new()
            .epochs(3)
            .validation_split(0.25)
            .verbose(false)
            .early_stopping(EarlyStopping::new().monitor(monitor))
    };
    let error = model.fit((&x, &y), watch("val_f1_score")).unwrap_err();
    assert!(error.to_string().contains("`val_f1_score[0]`"), "{error}");
    let mut seen = Seen::default();
    let options = watch("val_f1_score[1]").callback(&mut seen);
    let history = model.fit((&x, &y), options).unwrap();
    // More is better, as of the whole metric: what does not grow stops it.
    let best = history.early_stopping.unwrap();
    assert_eq!(
        best.best,
        history
            .metrics
            .iter()
            .find_map(|(name, values)| { (name == "val_f1_score[1]").then(|| values[0]) })
    );
    assert_eq!(best.stopped_epoch, Some(1));
    assert_eq!(seen.names, NAMES);
}

#[derive(Default)]
struct Seen {
    names: Vec<String>,
}

impl Callback for Seen {
    fn watches_batches(&self) -> bool {
        true
    }
    fn on_batch_end(&mut self, step: &StepLogs<'_>, _: &mut Model) -> crate::Result<Control> {
        self.names = step.logs.names.to_vec();
        Ok(Control::Continue)
    }
    fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, _: &mut Model) -> crate::Result<Control> {
        assert_eq!(epoch.logs.values.len(), 2 * NAMES.len());
        Ok(Control::Continue)
    }
}
