//! Normalization layers that take their statistics from the training data: `adapt = true`.

use std::sync::Arc;

use danlu::data::{Dataset, validation_split};
use danlu::{Config, Model};
use serde_json::Value;

use super::document::Document;
use super::{ModelPart, Recipe};
use crate::failure::Result;
use crate::output::Messages;

/// The key, which is no argument of Keras': there `adapt` is a method that is called before training.
const KEY: &str = "adapt";

/// Takes the key from a layer's arguments, checked.
///
/// # Errors
/// It is not true or false, or the layer has nothing to adapt.
pub fn take(document: &Document, path: &str, class: &str, arguments: &mut Config) -> Result<()> {
    if class != "Normalization" {
        // Any other layer reports it as it does every key that it does not know.
        return Ok(());
    }
    let path = format!("{path}.{KEY}");
    match arguments.shift_remove(KEY) {
        None | Some(Value::Bool(false)) => Ok(()),
        Some(Value::Bool(true)) => {
            match ["mean", "variance"]
                .iter()
                .find(|key| arguments.contains_key(**key))
            {
                Some(key) => {
                    let message = format!(
                        "`{path}`: the data give mean and variance, so leave out `{key}`, or leave out `{KEY}`"
                    );
                    Err(document.error(&path, &message))
                }
                None => Ok(()),
            }
        }
        Some(other) => {
            let message = format!("`{path}` must be true or false, received {other}");
            Err(document.error(&path, &message))
        }
    }
}

impl Recipe {
    /// Gives the layers with `adapt = true` mean and variance of the examples that are trained on; those that are kept for
    /// validation are not looked at. Where training begins with another model's weights, their statistics stay.
    ///
    /// # Errors
    /// The data does not fit the model, or is not finite.
    pub fn adapt(
        &self,
        model: &mut Model,
        data: &Arc<dyn Dataset>,
        messages: Messages,
    ) -> Result<()> {
        let Some(layers) = self.document.get("model.layers").and_then(Value::as_array) else {
            return Ok(());
        };
        let names = match &self.model {
            // A graph's layers have another order than the recipe's.
            ModelPart::Graph(graph) => graph.names(),
            _ => model.layer_names().into_iter().map(str::to_owned).collect(),
        };
        // An input layer that the recipe does not have comes first.
        let inserted = names.len().saturating_sub(layers.len());
        let mut examples = None;
        for (place, layer) in layers.iter().enumerate() {
            if layer["type"] != "Normalization" {
                continue;
            }
            let path = format!("model.layers.{place}");
            if layer[KEY] != true {
                if layer["mean"].is_null() && self.init.is_none() {
                    messages.warning(&format!(
                        "layer {place} (Normalization) has mean 0 and variance 1, and so changes nothing: give it {KEY} = true, or mean and variance"
                    ));
                }
                continue;
            }
            if self.init.is_some() {
                messages.note(&format!(
                    "note: layer {place} (Normalization) keeps mean and variance of the weights that training begins with"
                ));
                continue;
            }
            let Some(name) = names.get(place + inserted) else {
                continue;
            };
            let examples = match &examples {
                Some(examples) => examples,
                None => examples.insert(self.training_part(data)?),
            };
            model
                .adapt(name, examples)
                .map_err(|error| self.library_error(&path, &error))?;
        }
        Ok(())
    }

    /// The examples that are trained on.
    fn training_part(&self, data: &Arc<dyn Dataset>) -> Result<Arc<dyn Dataset>> {
        match self.training.validation_split {
            0.0 => Ok(data.clone()),
            share => {
                let (training, _) = validation_split(data.clone(), share)?;
                Ok(Arc::new(training))
            }
        }
    }
}
