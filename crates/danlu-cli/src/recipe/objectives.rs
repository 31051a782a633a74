//! What a recipe says of a model's outputs: losses, their weights, metrics; one for all, a list in order, or by the outputs' names.

use danlu::data::suggest;
use danlu::losses::Loss;
use danlu::metrics::Metric;
use danlu::training::Objective;
use danlu::{Config, Model};
use serde_json::Value;

use super::document::Document;
use super::library_error;
use crate::failure::Result;

/// What a key of `training` says of the outputs.
#[derive(Clone, Debug)]
pub enum ByOutput {
    /// The same of all.
    All(Value),
    /// Of each, in order.
    InOrder(Vec<Value>),
    /// By name.
    ByName(Config),
}

use ByOutput::{All, ByName, InOrder};

/// Losses, their weights and metrics.
#[derive(Clone, Debug, Default)]
pub struct Objectives {
    /// The losses, where they are not a model's own.
    pub losses: Option<ByOutput>,
    weights: Option<ByOutput>,
    metrics: Option<ByOutput>,
    /// The metrics that weights of examples touch.
    weighted: Option<ByOutput>,
}

/// A loss, metrics, and metrics that weights touch.
type Alike = (Loss, Vec<Metric>, Vec<Metric>);

/// Whether a value is a thing with a type rather than a table by name.
fn has_type(value: &Value) -> bool {
    value.get("type").is_some() || value.get("class_name").is_some()
}

impl Objectives {
    /// Reads `training.loss`, `training.loss_weights`, `training.metrics` and `training.weighted_metrics`.
    ///
    /// # Errors
    /// One of them is none; the error says where.
    pub fn read(
        document: &Document,
        loss: Option<&Value>,
        weights: Option<&Value>,
        metrics: Option<&Value>,
        weighted: Option<&Value>,
    ) -> Result<Objectives> {
        let losses = loss.map(|value| match value {
            Value::Object(entries) if !has_type(value) => ByName(entries.clone()),
            Value::Array(entries) => InOrder(entries.clone()),
            value => All(value.clone()),
        });
        let weights = weights.map(|value| match value {
            Value::Object(entries) => ByName(entries.clone()),
            Value::Array(entries) => InOrder(entries.clone()),
            value => All(value.clone()),
        });
        let lists = |value: &Value| match value {
            Value::Object(entries) if !has_type(value) => ByName(entries.clone()),
            Value::Array(lists) if !lists.is_empty() && lists.iter().all(Value::is_array) => {
                InOrder(lists.clone())
            }
            value => All(value.clone()),
        };
        let objectives = Objectives {
            losses,
            weights,
            metrics: metrics.map(lists),
            weighted: weighted.map(lists),
        };
        for (path, value) in each(LOSS, &objectives.losses) {
            read_loss(document, &path, value)?;
        }
        for (path, value) in each(WEIGHTS, &objectives.weights) {
            read_weight(document, &path, value)?;
        }
        for (path, metrics) in [
            (METRICS, &objectives.metrics),
            (WEIGHTED, &objectives.weighted),
        ] {
            // One metric by name may stand without a list around it.
            let alone = matches!(metrics, Some(ByName(_)));
            for (path, value) in each(path, metrics) {
                read_metrics(document, &path, value, alone)?;
            }
        }
        Ok(objectives)
    }

    /// Whether all outputs have the same loss, the same metrics and the weight 1.
    pub fn are_alike(&self) -> bool {
        matches!(self.losses, Some(All(_)))
            && matches!(self.metrics, None | Some(All(_)))
            && matches!(self.weighted, None | Some(All(_)))
            && self.weights.is_none()
    }

    /// The loss of all outputs, the metrics, and the metrics that weights touch.
    ///
    /// # Errors
    /// One of them is none.
    pub fn alike(&self, document: &Document) -> Result<Option<Alike>> {
        let Some(All(loss)) = &self.losses else {
            return Ok(None);
        };
        let list = |path: &str, metrics: &Option<ByOutput>| match metrics {
            Some(All(metrics)) => read_metrics(document, path, metrics, false),
            _ => Ok(Vec::new()),
        };
        let metrics = list(METRICS, &self.metrics)?;
        let weighted = list(WEIGHTED, &self.weighted)?;
        Ok(Some((read_loss(document, LOSS, loss)?, metrics, weighted)))
    }

    /// What each output of a model is trained for, by its name.
    ///
    /// # Errors
    /// A list has another length than the model has outputs, or a name is that of no output.
    pub fn of(&self, document: &Document, model: &Model) -> Result<Vec<(String, Objective)>> {
        let names = model.output_names();
        let losses = by_output(document, LOSS, &self.losses, &names)?;
        let weights = by_output(document, WEIGHTS, &self.weights, &names)?;
        let metrics = by_output(document, METRICS, &self.metrics, &names)?;
        let weighted = by_output(document, WEIGHTED, &self.weighted, &names)?;
        let alone = |metrics: &Option<ByOutput>| matches!(metrics, Some(ByName(_)));
        let mut objectives = Vec::with_capacity(names.len());
        for (place, name) in names.into_iter().enumerate() {
            let mut objective = match &losses[place] {
                Some((path, loss)) => Objective::new(read_loss(document, path, loss)?),
                None => Objective::none(),
            };
            if let Some((path, weight)) = &weights[place] {
                objective = objective.weight(read_weight(document, path, weight)?);
            }
            if let Some((path, metrics)) = &metrics[place] {
                let metrics = read_metrics(document, path, metrics, alone(&self.metrics))?;
                objective = objective.metrics(metrics);
            }
            if let Some((path, metrics)) = &weighted[place] {
                let metrics = read_metrics(document, path, metrics, alone(&self.weighted))?;
                objective = objective.weighted_metrics(metrics);
            }
            objectives.push((name, objective));
        }
        Ok(objectives)
    }
}

const LOSS: &str = "training.loss";
const WEIGHTS: &str = "training.loss_weights";
const METRICS: &str = "training.metrics";
const WEIGHTED: &str = "training.weighted_metrics";

/// The entries with their paths.
fn each<'a>(path: &str, values: &'a Option<ByOutput>) -> Vec<(String, &'a Value)> {
    match values {
        None => Vec::new(),
        Some(All(value)) => vec![(path.to_owned(), value)],
        Some(InOrder(values)) => {
            let values = values.iter().enumerate();
            let entry = |(place, value)| (format!("{path}.{place}"), value);
            values.map(entry).collect()
        }
        Some(ByName(values)) => {
            let entry = |(name, value): (&String, &'a Value)| (format!("{path}.{name}"), value);
            values.iter().map(entry).collect()
        }
    }
}

/// The entry of each output with its path.
fn by_output<'a>(
    document: &Document,
    path: &str,
    values: &'a Option<ByOutput>,
    names: &[String],
) -> Result<Vec<Option<(String, &'a Value)>>> {
    let entries = each(path, values);
    match values {
        None => Ok(vec![None; names.len()]),
        Some(All(_)) => Ok(vec![entries.into_iter().next(); names.len()]),
        Some(InOrder(_)) if entries.len() == names.len() => {
            Ok(entries.into_iter().map(Some).collect())
        }
        Some(InOrder(_)) => {
            let message = format!(
                "`{path}` has {} entries, but the model has {} output(s): {}; give one for each, or a table by the outputs' names",
                entries.len(),
                names.len(),
                names.join(", ")
            );
            Err(document.error(path, &message))
        }
        Some(ByName(values)) => {
            if let Some(name) = values.keys().find(|name| !names.contains(name)) {
                let hint = suggest::hint(name, names.iter().map(String::as_str));
                let message = format!("`{path}`: the model has no output named `{name}`{hint}");
                return Err(document.error(&format!("{path}.{name}"), &message));
            }
            let entry = |name: &String| Some((format!("{path}.{name}"), values.get(name)?));
            Ok(names.iter().map(entry).collect())
        }
    }
}

fn read_loss(document: &Document, path: &str, value: &Value) -> Result<Loss> {
    Loss::from_json(value).map_err(|error| library_error(document, path, &error))
}

fn read_weight(document: &Document, path: &str, value: &Value) -> Result<f64> {
    let weight = value.as_f64().filter(|weight| *weight >= 0.0);
    weight.ok_or_else(|| {
        let message = format!("`{path}` must be a number that is not negative, received {value}");
        document.error(path, &message)
    })
}

/// A list of metrics, or one of them alone.
fn read_metrics(
    document: &Document,
    path: &str,
    value: &Value,
    alone: bool,
) -> Result<Vec<Metric>> {
    let read = |path: &str, value: &Value| {
        Metric::from_json(value).map_err(|error| library_error(document, path, &error))
    };
    match value {
        Value::Array(metrics) => {
            let metrics = metrics.iter().enumerate();
            let metric = |(place, metric)| read(&format!("{path}.{place}"), metric);
            metrics.map(metric).collect()
        }
        value if alone => Ok(vec![read(path, value)?]),
        value => {
            let message = format!("`{path}` must be a list of metrics, received {value}");
            Err(document.error(path, &message))
        }
    }
}
