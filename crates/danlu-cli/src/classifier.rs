//! What a model's outputs mean: classes and probabilities, or numbers.

use danlu::Model;
use danlu::activations::Activation;
use serde_json::Value;

use crate::failure::Result;

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

/// How each of a model's outputs is to be read: a classifier ends in softmax or sigmoid, or was compiled with a cross-entropy.
///
/// # Errors
/// The model is not built.
pub fn readings(model: &Model) -> Result<Vec<Reading>> {
    let shapes = model.output_shapes().unwrap_or_default();
    let activations = model.output_activations()?;
    let losses = losses(model);
    let outputs = shapes.iter().zip(activations).enumerate();
    let readings = outputs.map(|(place, (shape, activation))| {
        let units = shape.last().copied().unwrap_or(0);
        let loss = losses
            .get(place)
            .map(|loss| loss.to_string().to_lowercase());
        reading(units, activation, &loss.unwrap_or_default())
    });
    Ok(readings.collect())
}

fn reading(units: usize, activation: Option<Activation>, loss: &str) -> Reading {
    match (activation, units) {
        (_, 0) => Reading::Numbers,
        (Some(Activation::Sigmoid), 1) => Reading::Probability,
        (_, 1) if loss.contains("binary") => Reading::Logit,
        (_, 1) => Reading::Numbers,
        (Some(Activation::Softmax | Activation::Sigmoid), _) => Reading::Probabilities,
        _ if loss.contains("crossentropy") => Reading::Logits,
        _ => Reading::Numbers,
    }
}

/// The loss of each output as Keras' config; null where it has none, nothing where the model is not compiled.
pub fn losses(model: &Model) -> Vec<Value> {
    let names = model.output_names();
    let config = model.compile_config().unwrap_or_default();
    let loss = &config["loss"];
    let is_one = |loss: &Value| loss.is_string() || loss.get("class_name").is_some();
    match loss {
        Value::Null => Vec::new(),
        Value::Array(losses) => losses.clone(),
        loss if is_one(loss) => vec![loss.clone(); names.len()],
        losses => names.iter().map(|name| losses[name].clone()).collect(),
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
