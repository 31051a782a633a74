//! `danlu layers`

use danlu::layers::{LayerDescription, describe_layer, layer_names};
use danlu::serde_json::{Value, json};

use crate::arguments::LayersArguments;
use crate::failure::{Failure, Result};
use crate::output;

/// Lists the layer types, or shows one with its arguments, their defaults and an example.
///
/// # Errors
/// There is no layer of this name.
pub fn run(arguments: &LayersArguments) -> Result<()> {
    let Some(name) = &arguments.name else {
        let all = layer_names().into_iter().map(|name| describe(&name));
        let all = all.collect::<Result<Vec<LayerDescription>>>()?;
        if arguments.json {
            return output::json(&all.iter().map(to_json).collect());
        }
        let width = all.iter().map(|layer| layer.class_name.len()).max();
        let width = width.unwrap_or(0);
        let mut text = String::new();
        for layer in &all {
            text.push_str(&format!("{:width$}  {}\n", layer.class_name, layer.summary));
        }
        return output::data(&text);
    };
    let layer = describe(name)?;
    if arguments.json {
        return output::json(&to_json(&layer));
    }
    output::data(&to_text(&layer))
}

fn describe(name: &str) -> Result<LayerDescription> {
    describe_layer(name).map_err(Failure::usage)
}

fn to_json(layer: &LayerDescription) -> Value {
    json!({
        "type": layer.class_name,
        "summary": layer.summary,
        "required": layer.required.keys().collect::<Vec<_>>(),
        "defaults": layer.defaults,
        "example": example(layer),
    })
}

/// The layer in a recipe.
fn example(layer: &LayerDescription) -> String {
    let mut text = format!("[[model.layers]]\ntype = \"{}\"\n", layer.class_name);
    for (argument, value) in &layer.required {
        text.push_str(&format!("{argument} = {value}\n"));
    }
    text
}

fn to_text(layer: &LayerDescription) -> String {
    let mut text = format!("{}: {}\n", layer.class_name, layer.summary);
    let required = layer.required.keys().map(|argument| (argument, None));
    let defaults = layer
        .defaults
        .iter()
        .map(|(name, value)| (name, Some(value)));
    let rows: Vec<(&String, Option<&Value>)> = required.chain(defaults).collect();
    if let Some(width) = rows.iter().map(|(name, _)| name.len()).max() {
        let width = width.max("argument".len());
        text.push_str(&format!("\n{:width$}  default\n", "argument"));
        for (name, value) in rows {
            let value = match value {
                None => "must be given".to_owned(),
                Some(value) => short(value),
            };
            text.push_str(&format!("{name:width$}  {value}\n"));
        }
    }
    text.push_str(&format!("\nIn a recipe:\n\n{}", example(layer)));
    text
}

/// A default as a recipe writes it: objects of Keras' by their class.
fn short(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Object(object) => match object.get("class_name").and_then(Value::as_str) {
            Some(class) => format!("\"{class}\""),
            None => value.to_string(),
        },
        other => other.to_string(),
    }
}
