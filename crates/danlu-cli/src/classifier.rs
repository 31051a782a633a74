//! What a model's outputs mean: classes and probabilities, or numbers.

use danlu::Model;

/// How outputs become probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Numbers that are no probabilities.
    Numbers,
    /// Probabilities of the classes.
    Probabilities,
    /// Logits of the classes.
    Logits,
    /// The probability of class 1.
    Probability,
    /// The logit of class 1.
    Logit,
}

/// How a model's outputs are to be read: a classifier ends in softmax or sigmoid, or was compiled with a cross-entropy.
pub fn reading(model: &Model) -> Reading {
    let units = model
        .output_shape()
        .and_then(|shape| shape.last().copied())
        .unwrap_or(0);
    let activation = model
        .layers()
        .last()
        .map(|(_, layer)| match layer.class_name() {
            "Softmax" => "softmax".to_owned(),
            _ => match layer.config().get("activation") {
                Some(serde_json::Value::String(name)) => name.clone(),
                _ => String::new(),
            },
        });
    let loss = model.compile_config().map_or(String::new(), |config| {
        config["loss"].to_string().to_lowercase()
    });
    let crossentropy = loss.contains("crossentropy");
    match (activation.as_deref(), units) {
        (_, 0) => Reading::Numbers,
        (Some("sigmoid"), 1) => Reading::Probability,
        (_, 1) if loss.contains("binary") => Reading::Logit,
        (_, 1) => Reading::Numbers,
        (Some("softmax" | "sigmoid"), _) => Reading::Probabilities,
        _ if crossentropy => Reading::Logits,
        _ => Reading::Numbers,
    }
}

/// The probabilities of the classes for one example's outputs.
pub fn probabilities(reading: Reading, outputs: &[f32]) -> Option<Vec<f64>> {
    let sigmoid = |x: f32| 1.0 / (1.0 + (-f64::from(x)).exp());
    match reading {
        Reading::Numbers => None,
        Reading::Probabilities => Some(outputs.iter().map(|&value| f64::from(value)).collect()),
        Reading::Probability => outputs
            .first()
            .map(|&p| vec![1.0 - f64::from(p), f64::from(p)]),
        Reading::Logit => outputs.first().map(|&x| vec![1.0 - sigmoid(x), sigmoid(x)]),
        Reading::Logits => {
            let largest = outputs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let powers: Vec<f64> = outputs
                .iter()
                .map(|&x| f64::from(x - largest).exp())
                .collect();
            let sum: f64 = powers.iter().sum();
            Some(powers.into_iter().map(|power| power / sum).collect())
        }
    }
}

/// The first of the largest; `None` where one is no number.
pub fn largest(values: &[f64]) -> Option<usize> {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if value.is_nan() {
            return None;
        }
        if *value > values[best] {
            best = index;
        }
    }
    Some(best)
}
