//! Keras' legacy `.h5`: the architecture as JSON in attributes, weights by layer.
//!
//! Source: `keras/src/legacy/saving/legacy_h5_format.py` of Keras 3.15.1. Layout:
//! - attributes of the root: `keras_version`, `backend`, `model_config`, `training_config`, and our `danlu`;
//! - `/model_weights`: attribute `layer_names`; for each layer a group with attribute `weight_names` and the arrays at those
//!   paths; `top_level_model_weights`;
//! - `/optimizer_weights`: attribute `weight_names`, and the arrays.
//!
//! We write the optimizer's state to `/danlu_optimizer_weights` (same form): Keras cannot go on training after loading
//! a `.h5` with `/optimizer_weights`, its own included, and ignores our group.

use std::fs::File;

use danlu_graph::Tensor;
use serde_json::Value;

use super::error::Problem;
use super::hdf5::{self, Attribute, Group, Object, Reader, Source};
use super::{BACKEND, KERAS_VERSION, LayerWeights, ModelFile, Parts, Weights, config};

const OURS: &str = "danlu_optimizer_weights";
const THEIRS: &str = "optimizer_weights";
const TOP_LEVEL: &str = "top_level_model_weights";

pub(super) fn read(file: File, parts: Parts) -> Result<ModelFile, Problem> {
    let reader = Reader::open(Source::file(file)?)?;
    let root = reader.root()?;
    let Some(model_config) = json(&root, "model_config")? else {
        let known = [
            "layers",
            "layer_names",
            "model_weights",
            "vars",
            "_layer_checkpoint_dependencies",
        ];
        let names = root.names()?;
        let weights_only = root.texts("layer_names")?.is_some()
            || names.iter().any(|name| known.contains(&name.as_str()));
        return Err(if weights_only {
            Problem::WeightsOnly
        } else {
            Problem::Missing {
                what: "the attribute \"model_config\"".to_owned(),
                advice: "This HDF5 file is no model that Keras saved".to_owned(),
            }
        });
    };
    let compile_config = json(&root, "training_config")?
        .filter(|value| !value.is_null())
        .map(config::compile_from_legacy);
    let layers = match root.find("model_weights")? {
        Some(group) => layers(&group)?,
        None => {
            return Err(Problem::Missing {
                what: "the group /model_weights".to_owned(),
                advice: "Save the model again".to_owned(),
            });
        }
    };
    let optimizer = match parts {
        Parts::Inference => None,
        Parts::Everything => match root.find(OURS)? {
            Some(group) => Some(weights(&group)?),
            None => root
                .find(THEIRS)?
                .map(|group| weights(&group))
                .transpose()?,
        },
    };
    Ok(ModelFile {
        config: config::model_from_legacy(model_config),
        compile_config,
        layers,
        optimizer,
        danlu: json(&root, "danlu")?,
        keras_version: root.text("keras_version")?,
        backend: root.text("backend")?,
    })
}

fn json(root: &Object<'_>, name: &str) -> Result<Option<Value>, Problem> {
    root.text(name)?
        .map(|text| config::parse(&format!("the attribute \"{name}\""), text.as_bytes()))
        .transpose()
}

/// The weights of every layer, in the model's order.
fn layers(group: &Object<'_>) -> Result<Vec<LayerWeights>, Problem> {
    let names = group
        .texts("layer_names")?
        .ok_or_else(|| Problem::Missing {
            what: "the attribute \"layer_names\" of /model_weights".to_owned(),
            advice: "Save the model again".to_owned(),
        })?;
    if let Some(top) = group.find(TOP_LEVEL)?
        && !weights(&top)?.is_empty()
    {
        return Err(Problem::unsupported(
            format!("/model_weights/{TOP_LEVEL} (weights that belong to no layer)"),
            "give the weights to a layer",
        ));
    }
    names
        .into_iter()
        .map(|name| {
            let layer = group.find(&name)?.ok_or_else(|| Problem::Missing {
                what: format!("the group /model_weights/{name}"),
                advice: "Save the model again".to_owned(),
            })?;
            let weights = weights(&layer)?;
            Ok(LayerWeights {
                name,
                weights,
                ..LayerWeights::default()
            })
        })
        .collect()
}

/// The arrays that `weight_names` lists, in that order.
fn weights(group: &Object<'_>) -> Result<Weights, Problem> {
    let names = group.texts("weight_names")?.unwrap_or_default();
    names
        .into_iter()
        .map(|name| {
            let array = group.find(&name)?.ok_or_else(|| Problem::Missing {
                what: format!("the array /{}/{name}", group.path()),
                advice: "Save the model again".to_owned(),
            })?;
            Ok((name, array.tensor()?))
        })
        .collect()
}

pub(super) fn write(file: &ModelFile) -> Result<Vec<u8>, Problem> {
    let mut root = Group::default();
    let version = file.keras_version.as_deref().unwrap_or(KERAS_VERSION);
    let backend = file.backend.as_deref().unwrap_or(BACKEND);
    let text = |text: &str| Attribute::Text(text.to_owned());
    root.attribute("backend", text(backend));
    root.attribute("keras_version", text(version));
    root.attribute(
        "model_config",
        Attribute::Text(config::model_to_legacy(&file.config).to_string()),
    );
    if let Some(compile) = &file.compile_config {
        let training = config::compile_to_legacy(compile);
        root.attribute("training_config", Attribute::Text(training.to_string()));
    }
    if let Some(danlu) = &file.danlu {
        root.attribute("danlu", Attribute::Text(danlu.to_string()));
    }
    let model = file.name();
    let group = root.group("model_weights")?;
    group.attribute("backend", text(backend));
    group.attribute("keras_version", text(version));
    group.attribute(
        "layer_names",
        Attribute::Texts(file.layers.iter().map(|layer| layer.name.clone()).collect()),
    );
    add(group.group(TOP_LEVEL)?, &[], "")?;
    for layer in &file.layers {
        // Keras calls weights `model/layer/kernel`; names that are paths already stay as they are.
        let prefix = format!("{model}/{}/", layer.name);
        let weights: Vec<&(String, Tensor)> = match layer.trainable.as_slice() {
            [] => layer.weights.iter().collect(),
            trainable => {
                let of = |wanted: bool| {
                    let all = layer.weights.iter().zip(trainable);
                    all.filter(move |(_, own)| **own == wanted)
                        .map(|(weight, _)| weight)
                };
                of(true).chain(of(false)).collect()
            }
        };
        add(group.group(&layer.name)?, &weights, &prefix)?;
    }
    if let Some(optimizer) = &file.optimizer {
        let optimizer: Vec<&(String, Tensor)> = optimizer.iter().collect();
        add(root.group(OURS)?, &optimizer, "")?;
    }
    hdf5::write(&root)
}

fn add<'a>(
    group: &mut Group<'a>,
    weights: &[&'a (String, Tensor)],
    prefix: &str,
) -> Result<(), Problem> {
    let names: Vec<String> = weights
        .iter()
        .map(|(name, _)| match name.contains('/') {
            true => name.clone(),
            false => format!("{prefix}{name}"),
        })
        .collect();
    for (name, (_, tensor)) in names.iter().zip(weights.iter().copied()) {
        group.array(name, tensor)?;
    }
    group.attribute("weight_names", Attribute::Texts(names));
    Ok(())
}
