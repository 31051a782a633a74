//! Weights of another model, as far as they fit.

use std::fmt;
use std::path::Path;

use danlu_graph::Tensor;

use super::Model;
use super::saving::{converted, is_safetensors};
use crate::files::{self, LayerWeights};
use crate::{Error, Result};

/// What became of each layer when weights of another model were loaded.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct LoadReport {
    /// The layers that took their weights.
    pub loaded: Vec<String>,
    /// Layers of the model whose weights were not among those given; they stay as they were.
    pub missing: Vec<String>,
    /// Layers that were given and that the model does not have.
    pub unused: Vec<String>,
    /// Layers whose weights have other shapes; they stay as they were.
    pub mismatched: Vec<Mismatch>,
}

/// A layer whose weights have other shapes than those that were given for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mismatch {
    /// The layer.
    pub layer: String,
    /// The shapes of its weights.
    pub expected: Vec<Vec<usize>>,
    /// The shapes of those that were given.
    pub received: Vec<Vec<usize>>,
}

impl fmt::Display for LoadReport {
    /// One line for each of the four kinds that there are.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |formatter: &mut fmt::Formatter<'_>, what: &str, names: &[String]| match names
            .is_empty()
        {
            true => Ok(()),
            false => writeln!(formatter, "{what}: {}", names.join(", ")),
        };
        line(formatter, "loaded", &self.loaded)?;
        line(
            formatter,
            "not in the weights, left as they were",
            &self.missing,
        )?;
        line(formatter, "not in the model, not used", &self.unused)?;
        let mismatched = self.mismatched.iter().map(|one| {
            format!(
                "{} (expected {:?}, received {:?})",
                one.layer, one.expected, one.received
            )
        });
        let mismatched: Vec<String> = mismatched.collect();
        line(formatter, "of other shapes, left as they were", &mismatched)
    }
}

impl Model {
    /// Loads from a `.keras`, `.h5` or `.safetensors` of another model the weights of the layers that have the same name here
    /// (Keras' `load_weights(by_name=True, skip_mismatch=True)`), and says what became of each layer.
    ///
    /// # Errors
    /// The model is not built; the file cannot be read; no layer takes any weights. Then nothing has changed.
    pub fn load_weights_by_name(&mut self, path: impl AsRef<Path>) -> Result<LoadReport> {
        let layers = read_layers(path.as_ref())?;
        self.take_weights(layers, true, &path.as_ref().display().to_string())
    }

    /// As [`load_weights_by_name`](Self::load_weights_by_name), where the first layer with weights takes those of the file's
    /// first, and so on, whatever their names.
    ///
    /// # Errors
    /// As there.
    pub fn load_weights_by_order(&mut self, path: impl AsRef<Path>) -> Result<LoadReport> {
        if is_safetensors(path.as_ref()) {
            return Err(Error::unsupported(
                path.as_ref().display().to_string(),
                "loading by order from .safetensors, which has no order",
                "load by name, or from .keras or .h5",
            ));
        }
        let layers = read_layers(path.as_ref())?;
        self.take_weights(layers, false, &path.as_ref().display().to_string())
    }

    /// As [`load_weights_by_name`](Self::load_weights_by_name), from a model in memory.
    ///
    /// # Errors
    /// As there; the other model is not built.
    pub fn copy_weights_from(&mut self, other: &Model) -> Result<LoadReport> {
        self.take_weights(other.to_file()?.layers, true, &other.name)
    }

    fn take_weights(
        &mut self,
        given: Vec<LayerWeights>,
        by_name: bool,
        origin: &str,
    ) -> Result<LoadReport> {
        self.require_built("load_weights")?;
        let mut given: Vec<Option<LayerWeights>> = given
            .into_iter()
            .filter(|layer| !layer.weights.is_empty())
            .map(Some)
            .collect();
        let mut report = LoadReport::default();
        let mut values: Vec<(String, Tensor)> = Vec::new();
        let own = self.nodes.iter().filter(|node| !node.parameters.is_empty());
        for (place, node) in own.enumerate() {
            let found = match by_name {
                true => given
                    .iter_mut()
                    .find(|one| one.as_ref().is_some_and(|one| one.name == node.name)),
                false => given.get_mut(place),
            };
            let Some(layer) = found.and_then(Option::take) else {
                report.missing.push(node.name.clone());
                continue;
            };
            let order = node.file_order(&layer);
            let expected: Vec<Vec<usize>> = order
                .iter()
                .map(|&place| node.parameters[place].shape.clone())
                .collect();
            let received: Vec<Vec<usize>> = layer
                .weights
                .iter()
                .map(|(_, weight)| weight.shape().to_vec())
                .collect();
            if expected != received {
                report.mismatched.push(Mismatch {
                    layer: node.name.clone(),
                    expected,
                    received,
                });
                continue;
            }
            let states: Vec<String> = node.states().map(|(name, _)| name).collect();
            for (&place, (_, weight)) in order.iter().zip(layer.weights) {
                let weight = converted(weight, node.parameters[place].dtype)?;
                values.push((states[place].clone(), weight));
            }
            report.loaded.push(node.name.clone());
        }
        report.unused = given
            .into_iter()
            .flatten()
            .map(|layer| layer.name)
            .collect();
        if report.loaded.is_empty() {
            return Err(Error::mismatch(
                format!("the weights of {}", self.name),
                "weights for one of its layers at least",
                format!(
                    "those of {origin}: {}",
                    report.to_string().trim_end().replace('\n', "; ")
                ),
                "load a model whose layers have the same names and shapes",
            ));
        }
        let executor = self.executor()?;
        for (name, value) in values {
            executor.write_state(&name, &value)?;
        }
        Ok(report)
    }
}

/// The weights of a file, by layer.
fn read_layers(path: &Path) -> Result<Vec<LayerWeights>> {
    match is_safetensors(path) {
        true => Ok(files::safetensors::read_weights(path)?),
        false => Ok(files::read_for_inference(path)?.layers),
    }
}
