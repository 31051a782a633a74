//! What a model was compiled with, as Keras' `compile_config`, in both directions.

use serde_json::{Value, json};

use super::super::Model;
use super::shorten;
use crate::losses::Loss;
use crate::metrics::Metric;
use crate::training::{Objective, OutputObjective};
use crate::{Error, Result, optimizers};

impl Model {
    /// Optimizer, losses and metrics as Keras' `compile_config`; `None` where the model is not compiled.
    pub fn compile_config(&self) -> Option<Value> {
        let compiled = self.compiled.as_ref()?;
        let objectives = compiled.objectives.as_slice();
        let losses = objectives.iter().map(|one| match &one.loss {
            Some(loss) => loss.to_json(),
            None => Value::Null,
        });
        let list = |metrics: &[Metric]| match metrics {
            [] => Value::Null,
            metrics => metrics.iter().map(Metric::to_json).collect(),
        };
        let metrics = |of: fn(&OutputObjective) -> &[Metric]| {
            let lists: Vec<Value> = objectives.iter().map(|one| list(of(one))).collect();
            match lists.iter().all(Value::is_null) {
                true => Value::Null,
                false => self.by_output(lists),
            }
        };
        let weights: Vec<f64> = objectives.iter().map(|one| one.weight).collect();
        let weights = match weights.iter().all(|&weight| weight == 1.0) {
            true => Value::Null,
            false => self.by_output(weights.into_iter().map(Value::from).collect()),
        };
        Some(json!({
            "optimizer": optimizers::to_json(&*compiled.optimizer, compiled.learning_rate),
            "loss": self.by_output(losses.collect()),
            "loss_weights": weights,
            "metrics": metrics(|one| &one.metrics),
            "weighted_metrics": metrics(|one| &one.weighted_metrics),
            "run_eagerly": false,
            "steps_per_execution": 1,
            "jit_compile": false,
        }))
    }

    /// One value for each output, as Keras writes it.
    fn by_output(&self, mut values: Vec<Value>) -> Value {
        match &self.output_keys {
            Some(keys) => Value::Object(keys.iter().cloned().zip(values).collect()),
            None if values.len() == 1 => values.swap_remove(0),
            None => Value::Array(values),
        }
    }

    /// Compiles with Keras' `compile_config`; where it has neither an optimizer nor a loss nothing happens.
    ///
    /// # Errors
    /// It holds something that is not supported, or only one of the two.
    pub fn compile_from_config(&mut self, config: &Value) -> Result<()> {
        let given = |name: &str| config.get(name).filter(|value| !value.is_null());
        let (optimizer, loss) = match (given("optimizer"), given("loss")) {
            (Some(optimizer), Some(loss)) => (optimizer, loss),
            (None, None) => return Ok(()),
            (Some(_), None) => {
                let advice = "compile with a loss";
                return Err(Error::unsupported(
                    "compile",
                    "a model without a loss",
                    advice,
                ));
            }
            // Keras writes this where the same model was saved as `.h5` before; it then trains on with RMSprop.
            (None, Some(_)) => {
                let advice =
                    "compile with an optimizer, or save from Keras as `.keras` before `.h5`";
                let feature = "a model with a loss and without an optimizer";
                return Err(Error::unsupported("compile", feature, advice));
            }
        };
        let optimizer = optimizers::from_json(optimizer)?;
        let names = self.objective_names();
        let losses = match is_one(loss) {
            true => names.iter().map(|_| Some(loss)).collect(),
            false => for_outputs("loss", loss, &names)?,
        };
        let weights = match given("loss_weights") {
            Some(weight) if weight.is_number() => names.iter().map(|_| Some(weight)).collect(),
            weights => entries_of("loss_weights", weights, &names)?,
        };
        let metrics = entries_of("metrics", given("metrics"), &names)?;
        let weighted = entries_of("weighted_metrics", given("weighted_metrics"), &names)?;
        let mut objectives = Vec::new();
        for (place, name) in names.iter().enumerate() {
            let mut objective = match losses[place] {
                Some(loss) => Objective::new(Loss::from_json(loss)?),
                None => Objective::none(),
            };
            if let Some(weight) = weights[place] {
                let number = weight.as_f64();
                objective = objective.weight(number.ok_or_else(|| {
                    Error::argument("compile", "loss_weights", "numbers", weight.to_string())
                })?);
            }
            let objective = objective
                .metrics(metrics_of(metrics[place])?)
                .weighted_metrics(metrics_of(weighted[place])?);
            objectives.push(objective.resolve(name)?);
        }
        self.compile_objectives(optimizer, objectives)
    }
}

/// Whether this is a loss or a metric, not several.
fn is_one(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.contains_key("class_name"),
        Value::Array(_) => false,
        _ => true,
    }
}

/// The metrics of an output: one, or a list.
fn metrics_of(value: Option<&Value>) -> Result<Vec<Metric>> {
    match value {
        None => Ok(Vec::new()),
        Some(Value::Array(metrics)) => metrics.iter().map(Metric::from_json).collect(),
        Some(metric) => Ok(vec![Metric::from_json(metric)?]),
    }
}

/// As [`for_outputs`], where a list for one output may stand without a list around it.
fn entries_of<'a>(
    what: &'static str,
    value: Option<&'a Value>,
    names: &[String],
) -> Result<Vec<Option<&'a Value>>> {
    match (value, names) {
        (None, names) => Ok(vec![None; names.len()]),
        (Some(value), [_]) if is_one(value) => Ok(vec![Some(value)]),
        (Some(value @ Value::Array(entries)), [_]) => match entries.as_slice() {
            [only @ Value::Array(_)] => Ok(vec![Some(only)]),
            [only] if only.is_number() => Ok(vec![Some(only)]),
            _ => Ok(vec![Some(value)]),
        },
        (Some(value), names) => for_outputs(what, value, names),
    }
}

/// The entry of each output, from a list in order or a table by name.
fn for_outputs<'a>(
    what: &'static str,
    value: &'a Value,
    names: &[String],
) -> Result<Vec<Option<&'a Value>>> {
    let known = |value: &'a Value| Some(value).filter(|value| !value.is_null());
    match value {
        Value::Array(entries) if entries.len() == names.len() => {
            Ok(entries.iter().map(known).collect())
        }
        Value::Object(entries) => {
            let own = names.iter().map(String::as_str);
            if let Some(name) = entries.keys().find(|name| !names.contains(name)) {
                return Err(Error::unknown("output of this model", name, own));
            }
            Ok(own.map(|name| entries.get(name).and_then(known)).collect())
        }
        other => Err(Error::argument(
            "compile",
            what,
            format!("one for each of the outputs {}", names.join(", ")),
            shorten(&other.to_string()),
        )),
    }
}
