//! The graph of a functional model in Keras' config: for each layer the list of its calls (`inbound_nodes`), each with the
//! calls that its inputs come from.
//!
//! Source: `Functional.get_config` and `functional_from_config` of Keras 3.15.1; Keras 2 wrote calls as lists.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::super::{Call, Model, Source};
use super::operation::{is_operation, operation_from_keras};
use super::{damaged, layer_from_keras, layer_to_keras, with_batch};
use crate::{Config, Error, Result};

impl Model {
    /// Layers with their calls, inputs and outputs.
    pub(super) fn add_graph(&self, config: &mut Config) {
        let layers = self.nodes.iter().enumerate().map(|(place, node)| {
            let mut layer = layer_to_keras(node);
            layer["name"] = json!(node.name);
            let calls = self.calls.iter().filter(|call| call.node == place);
            let calls = calls.filter_map(|call| self.call_to_keras(call));
            layer["inbound_nodes"] = calls.collect();
            layer
        });
        config.insert("layers".to_owned(), layers.collect());
        let inputs: Vec<Value> = self
            .input_names()
            .iter()
            .map(|name| json!([name, 0, 0]))
            .collect();
        // A single one is not in a list.
        let ends = |mut ends: Vec<Value>| match ends.len() {
            1 => ends.swap_remove(0),
            _ => Value::Array(ends),
        };
        config.insert("input_layers".to_owned(), ends(inputs));
        let outputs = self.outputs.iter().filter_map(|source| {
            let (name, mut call, output, is_graph) = self.history(source)?;
            // Keras counts the calls of a functional model from 1 here, and only here.
            call += usize::from(is_graph);
            Some(json!([name, call, output]))
        });
        let outputs = match &self.output_keys {
            Some(keys) => Value::Object(keys.iter().cloned().zip(outputs).collect()),
            None => ends(outputs.collect()),
        };
        config.insert("output_layers".to_owned(), outputs);
    }

    /// A call's inputs; nothing for that of an input layer.
    fn call_to_keras(&self, call: &Call) -> Option<Value> {
        let tensor = |source: &Source| {
            let Source::Call { call, output } = *source else {
                return None;
            };
            let shape = self.calls[call].output_shapes.get(output);
            let shape = shape.and_then(super::super::example).map(with_batch);
            let (name, call, output, _) = self.history(source)?;
            Some(json!({
                "class_name": "__keras_tensor__",
                "config": {
                    "shape": shape,
                    "dtype": "float32",
                    "keras_history": [name, call, output],
                },
            }))
        };
        let mut tensors: Vec<Value> = call.inputs.iter().map(tensor).collect::<Option<_>>()?;
        if let Some(operation) = self.nodes[call.node].layer.as_operation() {
            return Some(json!({ "args": operation.arguments(tensors), "kwargs": {} }));
        }
        let argument = match tensors.len() {
            1 => tensors.swap_remove(0),
            _ => Value::Array(tensors),
        };
        let arguments = match call.training {
            Some(training) => json!({ "training": training }),
            None => json!({}),
        };
        Some(json!({ "args": [argument], "kwargs": arguments }))
    }

    /// The layer of a source, the number of its call among the layer's, the output, and whether the layer is a functional model.
    pub(in crate::model) fn history(&self, source: &Source) -> Option<(&str, usize, usize, bool)> {
        let Source::Call { call, output } = *source else {
            return None;
        };
        let place = self.calls[call].node;
        let before = &self.calls[..call];
        let number = before.iter().filter(|call| call.node == place).count();
        let node = &self.nodes[place];
        let is_graph = node
            .layer
            .as_model()
            .is_some_and(|model| !model.is_sequential());
        Some((&node.name, number, output, is_graph))
    }
}

/// Where a result comes from, as Keras writes it: the layer's name, the number of the call, the output.
type History<'a> = (&'a str, usize, usize);

/// A call that is not made yet.
struct Pending<'a> {
    node: usize,
    inputs: Vec<History<'a>>,
    training: Option<bool>,
}

pub(super) fn from_keras(model: &Value) -> Result<Model> {
    let config = model.get("config");
    let field = |name: &str| config.and_then(|config| config.get(name));
    let layers = field("layers").and_then(Value::as_array);
    let layers = layers.ok_or_else(|| damaged("a list of layers", field("layers")))?;
    let name = field("name").and_then(Value::as_str);
    let mut result = Model::empty(name.unwrap_or("functional"));
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut pending: Vec<Vec<Pending>> = Vec::new();
    for layer in layers {
        let name = layer.get("name").or_else(|| layer.pointer("/config/name"));
        let name = name.and_then(Value::as_str);
        let name = name.ok_or_else(|| damaged("a layer with a name", Some(layer)))?;
        let is_operation = is_operation(layer);
        let spec = match is_operation {
            true => operation_from_keras(layer)?,
            false => layer_from_keras(layer)?,
        };
        let node = result.add_node(spec.name(name));
        if places.insert(name, node).is_some() {
            return Err(Error::mismatch(
                format!("the layers of {}", result.name),
                "one of each name",
                format!("two named `{name}`"),
                "",
            ));
        }
        let calls = layer.get("inbound_nodes").and_then(Value::as_array);
        let calls = calls.map(Vec::as_slice).unwrap_or_default();
        let calls = calls
            .iter()
            .map(|call| pending_call(name, node, call, is_operation));
        pending.push(calls.collect::<Result<_>>()?);
    }
    let ends = |name: &str| -> Result<Vec<(Option<String>, History)>> {
        let mut found = Vec::new();
        match field(name) {
            Some(value) => collect_ends(value, None, &mut found)
                .ok_or_else(|| damaged("layers, each with a call and an output", Some(value)))?,
            None => return Err(damaged(name, None)),
        }
        Ok(found)
    };
    let inputs = ends("input_layers")?;
    let mut outputs = ends("output_layers")?;
    // Keras counts the calls of a functional model from 1 here, and Keras 2 everywhere, and those of a Sequential with an
    // input as well.
    let of_keras_2 = layers.iter().any(is_of_keras_2);
    let from_one = |name: &str| {
        let place = places.get(name);
        let model = place.and_then(|&place| result.nodes[place].layer.as_model());
        model.is_some_and(|model| {
            let first = model.nodes.first();
            let has_input = first.is_some_and(|first| first.layer.input_shape().is_some());
            !model.is_sequential() || (of_keras_2 && has_input)
        })
    };
    let outputs_of_calls = outputs.iter_mut().map(|(_, history)| history);
    let inputs_of_calls = pending
        .iter_mut()
        .flatten()
        .flat_map(|call| &mut call.inputs);
    for (name, call, _) in outputs_of_calls.chain(inputs_of_calls.filter(|_| of_keras_2)) {
        *call -= usize::from(*call > 0 && from_one(name));
    }
    let mut calls = Made {
        places,
        of_nodes: vec![Vec::new(); result.nodes.len()],
    };
    let mut names: Vec<String> = Vec::new();
    for (place, (_, (name, _, _))) in inputs.iter().enumerate() {
        let node = calls.node(name)?;
        if result.nodes[node].layer.input_shape().is_none() || names.iter().any(|own| own == name) {
            return Err(Error::unsupported(
                format!("the model {}", result.name),
                format!("an input that is the result of layer `{name}`"),
                "inputs are InputLayers, each once",
            ));
        }
        names.push((*name).to_owned());
        let call = result.add_call(node, vec![Source::Input(place)]);
        calls.of_nodes[node].push(call);
    }
    result.inputs = Some(names);
    make_calls(&mut result, &mut calls, pending)?;
    result.outputs = outputs
        .iter()
        .map(|(_, history)| match calls.source(history)? {
            Some(source) => Ok(source),
            None => Err(damaged(
                "outputs of calls that there are",
                Some(&json!(history.0)),
            )),
        })
        .collect::<Result<_>>()?;
    let keys: Option<Vec<String>> = outputs.into_iter().map(|(key, _)| key).collect();
    result.output_keys = keys;
    Ok(result)
}

/// Whether the calls of a layer are written as Keras 2 did it.
fn is_of_keras_2(layer: &Value) -> bool {
    let calls = layer.get("inbound_nodes").and_then(Value::as_array);
    calls.is_some_and(|calls| calls.iter().any(Value::is_array))
}

/// The calls that were made, by layer.
struct Made<'a> {
    places: HashMap<&'a str, usize>,
    of_nodes: Vec<Vec<usize>>,
}

impl Made<'_> {
    fn node(&self, name: &str) -> Result<usize> {
        let found = self.places.get(name).copied();
        found
            .ok_or_else(|| Error::unknown("layer of this model", name, self.places.keys().copied()))
    }

    /// The output of a call; `None` where that call is not made yet.
    fn source(&self, &(name, number, output): &History) -> Result<Option<Source>> {
        let call = self.of_nodes[self.node(name)?].get(number).copied();
        Ok(call.map(|call| Source::Call { call, output }))
    }
}

/// Makes calls in rounds, each call once what it needs is there.
fn make_calls(model: &mut Model, made: &mut Made, pending: Vec<Vec<Pending>>) -> Result<()> {
    let mut queues: Vec<_> = pending
        .into_iter()
        .map(|calls| calls.into_iter().peekable())
        .collect();
    loop {
        let (mut progress, mut waiting) = (false, None);
        for queue in &mut queues {
            while let Some(call) = queue.peek() {
                let sources: Result<Option<Vec<Source>>> =
                    call.inputs.iter().map(|input| made.source(input)).collect();
                let Some(sources) = sources? else {
                    waiting = waiting.or(Some((call.node, call.inputs[0].0.to_owned())));
                    break;
                };
                let node = call.node;
                for (source, (name, _, output)) in sources.iter().zip(&call.inputs) {
                    let Source::Call { call, .. } = source else {
                        continue;
                    };
                    let outputs = model.nodes[model.calls[*call].node].layer.outputs();
                    if *output >= outputs {
                        return Err(Error::mismatch(
                            model.nodes[node].title(),
                            format!("one of the {outputs} outputs of layer `{name}`"),
                            format!("output {output}"),
                            "",
                        ));
                    }
                }
                let training = call.training;
                let place = model.add_call(node, sources);
                model.calls[place].training = training;
                made.of_nodes[node].push(place);
                queue.next();
                progress = true;
            }
        }
        match (progress, waiting) {
            (_, None) => return Ok(()),
            (true, Some(_)) => {}
            (false, Some((node, input))) => {
                return Err(Error::mismatch(
                    format!("the graph of {}", model.name),
                    "layers that depend on the inputs alone",
                    format!(
                        "a cycle or a loose end: {} needs layer `{input}`, which cannot be computed before it",
                        model.nodes[node].title()
                    ),
                    "",
                ));
            }
        }
    }
}

/// `[name, call, output]`.
fn history(value: &Value) -> Option<History<'_>> {
    let [name, call, output, ..] = value.as_array()?.as_slice() else {
        return None;
    };
    let number = |value: &Value| value.as_u64().and_then(|value| usize::try_from(value).ok());
    Some((name.as_str()?, number(call)?, number(output)?))
}

/// Inputs or outputs of a model: one, a list, or a table, within each other.
fn collect_ends<'a>(
    value: &'a Value,
    key: Option<&str>,
    found: &mut Vec<(Option<String>, History<'a>)>,
) -> Option<()> {
    if let Some(history) = history(value) {
        found.push((key.map(str::to_owned), history));
        return Some(());
    }
    match value {
        Value::Array(values) => values
            .iter()
            .try_for_each(|value| collect_ends(value, None, found)),
        Value::Object(values) => values
            .iter()
            .try_for_each(|(key, value)| collect_ends(value, Some(key), found)),
        _ => None,
    }
}

/// A layer's call: where its inputs come from.
fn pending_call<'a>(
    layer: &str,
    node: usize,
    call: &'a Value,
    is_operation: bool,
) -> Result<Pending<'a>> {
    let unsupported = |feature: String| {
        Error::unsupported(
            format!("layer {layer}"),
            feature,
            "layers are applied to results of other layers alone",
        )
    };
    let mut pending = Pending {
        node,
        inputs: Vec::new(),
        training: None,
    };
    let own = |arguments: Option<&Value>| {
        training(arguments.and_then(Value::as_object)).map_err(unsupported)
    };
    match call {
        // Keras 2: [[name, call, output, arguments], ...], or for some layers one of these alone.
        Value::Array(inputs) => {
            let inputs = match history(call) {
                Some(_) => std::slice::from_ref(call),
                None => inputs.as_slice(),
            };
            for input in inputs {
                let origin = history(input).ok_or_else(|| damaged("a call", Some(input)))?;
                pending.inputs.push(origin);
                pending.training = pending.training.or(own(input.get(3))?);
            }
        }
        _ => {
            pending.training = own(call.get("kwargs"))?;
            let arguments = call.get("args");
            let arguments = arguments.ok_or_else(|| damaged("a call with args", Some(call)))?;
            tensors(arguments, is_operation, &mut pending.inputs).map_err(unsupported)?;
        }
    }
    match pending.inputs.is_empty() {
        true => Err(damaged("a call with inputs", Some(call))),
        false => Ok(pending),
    }
}

/// Whether the call says that it is, or is not, in training; the feature where it has another argument.
fn training(arguments: Option<&Config>) -> std::result::Result<Option<bool>, String> {
    let mut training = None;
    for (name, value) in arguments.into_iter().flatten() {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            // Models of several inputs are called with a mask for each: none.
            ("mask", Value::Array(masks)) if masks.iter().all(Value::is_null) => {}
            ("training", Value::Bool(given)) => training = Some(*given),
            _ => {
                let value = super::shorten(&value.to_string());
                return Err(format!("a call with the argument `{name}` = {value}"));
            }
        }
    }
    Ok(training)
}

/// The tensors of a call's arguments; beside them an operation has constants, which it knows.
fn tensors<'a>(
    value: &'a Value,
    is_operation: bool,
    found: &mut Vec<History<'a>>,
) -> std::result::Result<(), String> {
    match value {
        Value::Array(values) => values
            .iter()
            .try_for_each(|value| tensors(value, is_operation, found)),
        Value::Object(fields) if fields.get("class_name") == Some(&json!("__keras_tensor__")) => {
            let origin = value.pointer("/config/keras_history").and_then(history);
            found.push(origin.ok_or_else(|| "a tensor without an origin".to_owned())?);
            Ok(())
        }
        _ if is_operation => Ok(()),
        other => Err(format!(
            "a call with {} beside tensors",
            super::shorten(&other.to_string())
        )),
    }
}

#[cfg(test)]
mod tests;
