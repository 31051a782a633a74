//! Operations that stand between layers in Keras' functional models, such as `x + 1` and `x[:, 0]`. One that a layer of ours
//! does exactly becomes that layer; any other is an [`Operation`].
//!
//! Source: what `Functional.get_config` of Keras 3.15.1 writes.

use serde_json::{Value, json};

use super::damaged;
use crate::activations::Activation;
use crate::choice::FromName;
use crate::config::{Config, snake_case};
use crate::layers::{
    ActivationLayer, Add, LayerSpec, Maximum, Minimum, Multiply, Operand, Operation, Permute,
    Rescaling, Subtract, operands,
};
use crate::{Error, Result};

/// Whether an entry of a model's layers is an operation. A `.h5` has no module that would say it, but an operation has neither
/// dtype nor `trainable`, which layers have.
pub(super) fn is_operation(layer: &Value) -> bool {
    if let Some(module) = layer.get("module").and_then(Value::as_str) {
        return module.starts_with("keras.src.ops") || module.starts_with("keras.ops");
    }
    let config = layer.get("config");
    let has = |name: &str| config.is_some_and(|config| config.get(name).is_some());
    let calls = layer.get("inbound_nodes").and_then(Value::as_array);
    let called = calls.and_then(|calls| calls.first());
    called.is_some_and(|call| call.get("args").is_some())
        && layer.get("registered_name").is_none()
        && !["trainable", "dtype", "layers"].into_iter().any(has)
}

/// The layer that an operation is here.
pub(super) fn operation_from_keras(layer: &Value) -> Result<LayerSpec> {
    let class = layer.get("class_name").and_then(Value::as_str);
    let class = class.ok_or_else(|| damaged("an operation with a class_name", Some(layer)))?;
    let title = match layer.pointer("/config/name").and_then(Value::as_str) {
        Some(name) => format!("layer {name} ({class})"),
        None => format!("an operation {class}"),
    };
    read(layer, class).map_err(|error| error.in_layer(&title))
}

fn read(layer: &Value, class: &str) -> Result<LayerSpec> {
    let empty = Config::new();
    let config = layer.get("config").and_then(Value::as_object);
    let config = config.unwrap_or(&empty);
    let calls = layer.get("inbound_nodes").and_then(Value::as_array);
    let [call] = calls.map(Vec::as_slice).unwrap_or_default() else {
        return Err(Error::unsupported(
            format!("the operation {class}"),
            "that it is called several times, or never",
            "",
        ));
    };
    let arguments = call.get("args");
    let arguments = arguments.ok_or_else(|| damaged("a call with args", Some(call)))?;
    let operands = operands(class, arguments)?;
    if let Some(layer) = as_layer(class, config, &operands)? {
        return Ok(layer);
    }
    Ok(Operation::read(class, config, arguments, operands)?.into())
}

/// The layer that does exactly what an operation does.
fn as_layer(class: &str, config: &Config, operands: &[Operand]) -> Result<Option<LayerSpec>> {
    let layer = match operands {
        // Layers broadcast another way where one value has more axes.
        [Operand::Value(Some(a)), Operand::Value(Some(b))] if a == b => match class {
            "Add" => Some(Add::new().into()),
            "Maximum" => Some(Maximum::new().into()),
            "Minimum" => Some(Minimum::new().into()),
            "Multiply" => Some(Multiply::new().into()),
            "Subtract" => Some(Subtract::new().into()),
            _ => None,
        },
        [Operand::Value(_), Operand::Constant(number)] if number.shape().is_empty() => {
            scaled(class, number.get_f64(0), false)
        }
        [Operand::Constant(number), Operand::Value(_)] if number.shape().is_empty() => {
            scaled(class, number.get_f64(0), true)
        }
        [Operand::Value(_)] => return of_one(class, config),
        [Operand::Values(2..)] if class == "Concatenate" => {
            let axis = config.get("axis").cloned().unwrap_or(json!(0));
            let spec = LayerSpec::from_arguments(class, crate::config! { "axis": axis });
            return spec.map(Some);
        }
        _ => None,
    };
    Ok(layer)
}

/// A sum, difference or product with a number, which may stand before the value.
fn scaled(class: &str, number: f64, before: bool) -> Option<LayerSpec> {
    let (scale, offset) = match (class, before) {
        ("Add", _) => (1.0, number),
        ("Subtract", false) => (1.0, -number),
        ("Subtract", true) => (-1.0, number),
        ("Multiply", _) => (number, 0.0),
        _ => return None,
    };
    Some(Rescaling::new(scale).offset(offset).into())
}

fn of_one(class: &str, config: &Config) -> Result<Option<LayerSpec>> {
    let layer =
        |class: &str, arguments: Config| LayerSpec::from_arguments(class, arguments).map(Some);
    // All arguments but the name.
    let arguments = || {
        let arguments = config.iter().filter(|(name, _)| name.as_str() != "name");
        let arguments = arguments.map(|(name, value)| (name.clone(), value.clone()));
        arguments.collect::<Config>()
    };
    match class {
        "Negative" => Ok(Some(Rescaling::new(-1.0).into())),
        "Relu" => layer("ReLU", arguments()),
        "Elu" => layer("ELU", arguments()),
        "LeakyRelu" => layer("LeakyReLU", arguments()),
        "Softmax" => layer("Softmax", arguments()),
        "Exp" => Ok(Some(ActivationLayer::new(Activation::Exponential).into())),
        "Transpose" => Ok(axes(config.get("axes")).map(|dims| Permute::new(dims).into())),
        "Reshape" => {
            let shape = config.get("newshape").and_then(Value::as_array);
            let shape = shape.and_then(|shape| shape.split_first());
            match shape {
                // The number of examples is what is left.
                Some((first, rest)) if first.is_null() || first.as_i64() == Some(-1) => {
                    layer("Reshape", crate::config! { "target_shape": rest })
                }
                _ => Err(Error::unsupported(
                    "the operation Reshape",
                    format!(
                        "the shape {}",
                        config.get("newshape").unwrap_or(&Value::Null)
                    ),
                    "give -1 for the number of examples, and the other sizes as numbers",
                )),
            }
        }
        // Those that are activations without arguments.
        _ if arguments().is_empty() => {
            let activation = Activation::from_name(&snake_case(class)).ok();
            Ok(activation.map(|activation| ActivationLayer::new(activation).into()))
        }
        _ => Ok(None),
    }
}

/// The axes of a permutation that leaves the examples where they are.
fn axes(axes: Option<&Value>) -> Option<Vec<usize>> {
    let axes = axes?.as_array()?.iter();
    let axes = axes.map(|axis| axis.as_u64().and_then(|axis| usize::try_from(axis).ok()));
    let axes: Vec<usize> = axes.collect::<Option<_>>()?;
    let (&first, rest) = axes.split_first()?;
    (first == 0).then(|| rest.to_vec())
}

#[cfg(test)]
mod tests;
