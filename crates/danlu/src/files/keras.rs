//! Keras 3's `.keras`: a zip archive of JSON and an HDF5 file of weights by position.
//!
//! Source: `keras/src/saving/saving_lib.py` of Keras 3.15.1. Layout:
//! - `metadata.json`: `keras_version`, `date_saved`;
//! - `config.json`: the model's configuration with `build_config` and `compile_config`;
//! - `model.weights.h5`: `layers/<class in snake case>[_N]/vars/0..`, nested objects below (`layers/lstm/cell/vars/0..`), and
//!   `optimizer/vars/0..`;
//! - `assets/danlu.json`: ours; Keras ignores it.
//!
//! So that the same model gives the same bytes, `date_saved` and the dates in the archive are the first day of 1980 instead
//! of now; Keras reads neither.

use std::collections::HashMap;
use std::fs::File;

use danlu_graph::Tensor;
use serde_json::{Value, json};

use super::error::Problem;
use super::hdf5::{self, Attribute, Group, Object, Reader, Source};
use super::zip::{self, Archive};
use super::{KERAS_VERSION, LayerWeights, ModelFile, Parts, Weights, config};

const METADATA: &str = "metadata.json";
const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.weights.h5";
const DANLU: &str = "assets/danlu.json";
/// The largest JSON that is read.
const LARGEST_JSON: u64 = 64 << 20;
/// Layers in layers in layers: how deep weights may lie.
const DEEPEST: usize = 8;
/// The state of random numbers, which older Keras 3 saved with dropout (3.15.1 does not); ours are counter-based.
const SEED_GENERATOR: &str = "seed_generator";

pub(super) fn read(file: File, parts: Parts) -> Result<ModelFile, Problem> {
    let archive = Archive::open(file)?;
    let document = |name: &str| {
        let what = format!("\"{name}\" in the archive");
        let text = archive.read(name, LARGEST_JSON)?;
        text.map(|text| config::parse(&what, &text)).transpose()
    };
    let Some(mut model) = document(CONFIG)? else {
        return Err(Problem::Missing {
            what: format!("\"{CONFIG}\" in the archive"),
            advice: "A .keras file is what Keras 3 or Danlu saves".to_owned(),
        });
    };
    config::without_addresses(&mut model);
    let compile_config = model
        .as_object_mut()
        .and_then(|fields| fields.shift_remove("compile_config"))
        .filter(|value| value.as_object().is_some_and(|fields| !fields.is_empty()));
    let danlu = document(DANLU)?;
    let metadata = document(METADATA)?;
    let keras_version = metadata
        .as_ref()
        .and_then(|metadata| metadata.get("keras_version"))
        .and_then(Value::as_str)
        .map(str::to_owned);

    let reader = Reader::open(archive.into_source(WEIGHTS)?)?;
    let root = reader.root()?;
    let layers = layers(&root, &model)?;
    let optimizer = match (parts, root.find("optimizer/vars")?) {
        (Parts::Everything, Some(group)) => {
            let mut weights = Weights::new();
            variables(&group, "", &mut weights)?;
            Some(weights)
        }
        _ => None,
    };
    Ok(ModelFile {
        config: model,
        compile_config,
        layers,
        optimizer,
        danlu,
        keras_version,
        backend: None,
    })
}

/// The weights in a `.weights.h5`, for a model of this configuration.
pub(super) fn read_weights(file: File, model: &Value) -> Result<Vec<LayerWeights>, Problem> {
    let reader = Reader::open(Source::file(file)?)?;
    let root = reader.root()?;
    if root.find("layers")?.is_none() {
        return Err(Problem::Missing {
            what: "the group /layers".to_owned(),
            advice:
                "A .weights.h5 is what Keras 3 or Danlu saves; call a file of older weights .h5"
                    .to_owned(),
        });
    }
    layers(&root, model)
}

/// The weights of the layers of a model of this configuration.
fn layers(root: &Object<'_>, model: &Value) -> Result<Vec<LayerWeights>, Problem> {
    let mut layers = Vec::new();
    let Some(group) = root.find("layers")? else {
        return Ok(layers);
    };
    for layer in config::layers(model) {
        let mut weights = Weights::new();
        if let Some(group) = group.find(&layer.group)? {
            collect(&group, Some(layer.value), "", DEEPEST, &mut weights)?;
        }
        layers.push(LayerWeights {
            name: layer.name.to_owned(),
            weights,
            ..LayerWeights::default()
        });
    }
    Ok(layers)
}

/// The arrays of a `vars` group, named by their numbers, behind `prefix`.
fn variables(group: &Object<'_>, prefix: &str, weights: &mut Weights) -> Result<(), Problem> {
    for name in natural_order(group.names()?) {
        if let Some(array) = group.find(&name)? {
            weights.push((format!("{prefix}{name}"), array.tensor()?));
        }
    }
    Ok(())
}

/// All weights of a layer: its own, then those of the layers in it, in the order of its configuration where that says one.
fn collect(
    group: &Object<'_>,
    layer: Option<&Value>,
    prefix: &str,
    depth: usize,
    weights: &mut Weights,
) -> Result<(), Problem> {
    if let Some(own) = group.find("vars")? {
        variables(&own, prefix, weights)?;
    }
    let Some(deeper) = depth.checked_sub(1) else {
        return Err(Problem::damaged(
            format!("/{}", group.path()),
            format!("layers at most {DEEPEST} deep"),
            "more",
        ));
    };
    let inner = layer.map(config::layers).unwrap_or_default();
    for layer in &inner {
        let path = format!("layers/{}", layer.group);
        if let Some(group) = group.find(&path)? {
            let prefix = format!("{prefix}{path}/");
            collect(&group, Some(layer.value), &prefix, deeper, weights)?;
        }
    }
    for name in natural_order(group.names()?) {
        if name == "vars" || name == SEED_GENERATOR || (name == "layers" && !inner.is_empty()) {
            continue;
        }
        if let Some(group) = group.find(&name)?.filter(|found| !found.is_dataset()) {
            collect(&group, None, &format!("{prefix}{name}/"), deeper, weights)?;
        }
    }
    Ok(())
}

/// `1` before `10`, `dense_2` before `dense_10`.
fn natural_order(mut names: Vec<String>) -> Vec<String> {
    names.sort_by_cached_key(|name| {
        let stem = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
        let number = name[stem.len()..].parse::<u64>().ok();
        (stem.to_owned(), number, name.len())
    });
    names
}

/// The pieces of the file, to be written one after the other.
pub(super) fn write(file: &ModelFile) -> Result<Vec<Vec<u8>>, Problem> {
    let mut model = file.config.clone();
    let Some(fields) = model.as_object_mut() else {
        return Err(Problem::damaged(
            "the model's configuration",
            "a JSON object",
            &file.config,
        ));
    };
    let compile = file.compile_config.clone().unwrap_or_else(|| json!({}));
    fields.insert("compile_config".to_owned(), compile);
    let metadata = json!({
        "keras_version": file.keras_version.as_deref().unwrap_or(KERAS_VERSION),
        "date_saved": "1980-01-01@00:00:00",
    });
    let mut contents = vec![
        (METADATA, metadata.to_string().into_bytes()),
        (CONFIG, model.to_string().into_bytes()),
        (WEIGHTS, weights_file(file)?),
    ];
    if let Some(danlu) = &file.danlu {
        contents.push((DANLU, danlu.to_string().into_bytes()));
    }
    let entries: Vec<(&str, &[u8])> = contents
        .iter()
        .map(|(name, content)| (*name, content.as_slice()))
        .collect();
    let mut headers = zip::headers(&entries)?.into_iter();
    let mut pieces = Vec::new();
    for (_, content) in contents {
        pieces.extend(headers.next());
        pieces.push(content);
    }
    pieces.extend(headers);
    Ok(pieces)
}

/// The file of weights alone, which is what a `.weights.h5` is.
pub(super) fn weights_file(file: &ModelFile) -> Result<Vec<u8>, Problem> {
    let mut root = Group::default();
    let name = |group: &mut Group<'_>, name: &str| {
        group.attribute("name", Attribute::Text(name.to_owned()));
    };
    name(root.group("vars")?, file.name());
    root.group("layers")?;
    let mut by_name: HashMap<&str, &Weights> = file
        .layers
        .iter()
        .map(|layer| (layer.name.as_str(), &layer.weights))
        .collect();
    for layer in config::layers(&file.config) {
        let group = root.group(&format!("layers/{}", layer.group))?;
        name(group.group("vars")?, layer.name);
        let weights = by_name.remove(layer.name).into_iter().flatten();
        let weights: Vec<(&str, &Tensor)> =
            weights.map(|(name, one)| (name.as_str(), one)).collect();
        write_layer(group, layer.value, &weights)?;
    }
    if let Some((layer, _)) = by_name.into_iter().find(|(_, weights)| !weights.is_empty()) {
        return Err(Problem::unsupported(
            format!("weights for \"{layer}\", which is no layer of the model,"),
            "give weights for the model's own layers",
        ));
    }
    if let Some(optimizer) = &file.optimizer {
        let group = root.group("optimizer/vars")?;
        let optimizer_name = file
            .compile_config
            .as_ref()
            .and_then(|compile| compile.pointer("/optimizer/config/name"))
            .and_then(Value::as_str);
        name(group, optimizer_name.unwrap_or("optimizer"));
        for (index, (_, tensor)) in optimizer.iter().enumerate() {
            group.array(&index.to_string(), tensor)?;
        }
    }
    hdf5::write(&root)
}

/// A layer's weights; those of a model that is a layer, called `dense/kernel`, each in the group of its layer.
fn write_layer<'a>(
    group: &mut Group<'a>,
    layer: &Value,
    weights: &[(&str, &'a Tensor)],
) -> Result<(), Problem> {
    let inner = config::layers(layer);
    if inner.is_empty() || weights.iter().any(|(name, _)| name.starts_with("layers/")) {
        for (path, tensor) in positions(weights) {
            group.array(&path, tensor)?;
        }
        return Ok(());
    }
    let mut placed = 0;
    for part in &inner {
        let prefix = format!("{}/", part.name);
        let own = weights.iter();
        let own = own.filter_map(|(name, tensor)| Some((name.strip_prefix(&prefix)?, *tensor)));
        let own: Vec<(&str, &Tensor)> = own.collect();
        placed += own.len();
        let group = group.group(&format!("layers/{}", part.group))?;
        let vars = group.group("vars")?;
        vars.attribute("name", Attribute::Text(part.name.to_owned()));
        write_layer(group, part.value, &own)?;
    }
    match placed == weights.len() {
        true => Ok(()),
        false => Err(Problem::unsupported(
            "a weight of a model within the model that belongs to none of its layers",
            "call weights `layer/weight`",
        )),
    }
}

/// Where each weight goes: `cell/0` says so itself, and anything else is counted.
fn positions<'a>(weights: &[(&str, &'a Tensor)]) -> impl Iterator<Item = (String, &'a Tensor)> {
    let mut count = 0;
    weights
        .iter()
        .map(move |(name, tensor)| match name.rsplit_once('/') {
            Some((nested, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                (format!("{nested}/vars/{number}"), *tensor)
            }
            _ => {
                count += 1;
                (format!("vars/{}", count - 1), *tensor)
            }
        })
}
