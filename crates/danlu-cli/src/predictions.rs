//! A model's outputs for examples, as JSON, as CSV and for people.

use danlu::Model;
use danlu::graph::Tensor;
use serde_json::{Value, json};

use crate::classifier::{self, Reading};
use crate::failure::{Failure, Result};

/// What a model said of examples that came together.
pub struct Predicted {
    /// How the examples are called.
    pub names: Vec<String>,
    /// One array for each output of the model, each `(examples, ...)`.
    pub outputs: Vec<Tensor>,
}

impl Predicted {
    /// The numbers of each example of an output.
    fn rows(&self, output: usize) -> std::slice::Chunks<'_, f32> {
        let values = self.outputs[output].as_f32().unwrap_or(&[]);
        let size = values.len() / self.names.len().max(1);
        values.chunks(size.max(1))
    }

    /// A sentence about the examples whose outputs are no numbers, where there are such.
    pub fn not_numbers(&self) -> Option<String> {
        let bad = |outputs: &[f32]| !outputs.iter().all(|value| value.is_finite());
        let mut places: Vec<usize> = Vec::new();
        for output in 0..self.outputs.len() {
            let rows = self.rows(output).enumerate();
            places.extend(rows.filter(|(_, row)| bad(row)).map(|(place, _)| place));
        }
        places.sort_unstable();
        places.dedup();
        let first = places.first()?;
        let others = match places.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        Some(format!(
            "the outputs for {}{others} are infinite or no numbers (NaN): look for such numbers, or very large ones, in the input",
            self.names[*first]
        ))
    }
}

/// Each output of all examples as one array.
///
/// # Errors
/// There is no memory for it.
pub fn join(predicted: Vec<Predicted>) -> Result<Vec<Tensor>> {
    let outputs = predicted.first().map_or(0, |one| one.outputs.len());
    let joined = |output: usize| {
        let parts = || predicted.iter().map(|one| &one.outputs[output]);
        let mut shape = parts()
            .next()
            .map(|one| one.shape().to_vec())
            .unwrap_or_default();
        shape[0] = parts().map(|one| one.shape()[0]).sum();
        let values = parts().flat_map(|one| one.as_f32().unwrap_or(&[]).iter().copied());
        Tensor::from_f32(&shape, values.collect()).map_err(Failure::failed)
    };
    (0..outputs).map(joined).collect()
}

/// One JSON object for each example: `input`, `outputs` and, where an output is a classifier's, `class`, `label` and `probabilities`;
/// objects by the outputs' names where there are several.
///
/// # Errors
/// The model is not built.
pub fn entries(model: &Model, predicted: &[Predicted]) -> Result<Vec<Value>> {
    let readings = classifier::readings(model)?;
    let names = model.output_names();
    let classes = model.metadata().get("class_names");
    let mut entries = Vec::new();
    for one in predicted {
        let mut own: Vec<Value> = one
            .names
            .iter()
            .map(|name| json!({ "input": name }))
            .collect();
        for (output, name) in names.iter().enumerate() {
            let shape = &one.outputs[output].shape()[1..];
            for (entry, row) in own.iter_mut().zip(one.rows(output)) {
                let mut put = |key: &str, value: Value| match names.len() {
                    1 => entry[key] = value,
                    _ => entry[key][name] = value,
                };
                put("outputs", nested(row, shape));
                let reading = match shape.len() {
                    1 => readings[output],
                    _ => Reading::Numbers,
                };
                let Some(probabilities) = classifier::probabilities(reading, row) else {
                    continue;
                };
                // Where the outputs are no numbers there is no class; both are null then.
                let class = classifier::largest(&probabilities);
                let label = |class: usize| {
                    let label = classes.and_then(|classes| classes.get(class)).cloned();
                    label.unwrap_or_else(|| json!(class.to_string()))
                };
                put("class", json!(class));
                put("label", class.map_or(Value::Null, label));
                put("probabilities", json!(probabilities));
            }
        }
        entries.append(&mut own);
    }
    Ok(entries)
}

/// Numbers as nested lists of this shape. A number that JSON does not have becomes null.
fn nested(values: &[f32], shape: &[usize]) -> Value {
    match shape {
        [] => json!(values.first().copied().map(f64::from)),
        [_, rest @ ..] => {
            let size = rest.iter().product::<usize>().max(1);
            Value::Array(values.chunks(size).map(|part| nested(part, rest)).collect())
        }
    }
}

/// What an entry says of an output under a key, if it says anything.
fn find<'a>(names: &[String], entry: &'a Value, key: &str, name: &str) -> Option<&'a Value> {
    match names.len() {
        1 => entry.get(key),
        _ => entry.get(key)?.get(name),
    }
}

/// An example for people.
pub fn line(names: &[String], entry: &Value) -> String {
    let input = entry["input"].as_str().unwrap_or("");
    let text = |name: &String| {
        let find = |key: &str| find(names, entry, key, name);
        let label = find("label").and_then(Value::as_str);
        let class = find("class").and_then(Value::as_u64);
        let text = match (label, class) {
            (Some(label), Some(class)) => {
                let probabilities = find("probabilities");
                let probability = probabilities.and_then(|all| all[class as usize].as_f64());
                format!("{label} ({:.1} %)", probability.unwrap_or(0.0) * 100.0)
            }
            _ if find("class").is_some() => "no class (the outputs are no numbers)".to_owned(),
            _ => find("outputs").unwrap_or(&Value::Null).to_string(),
        };
        match names.len() {
            1 => text,
            _ => format!("{name} {text}"),
        }
    };
    let texts: Vec<String> = names.iter().map(text).collect();
    format!("{input}: {}\n", texts.join(", "))
}

/// A table with a line for each example; the columns of several outputs begin with the outputs' names.
pub fn csv(names: &[String], entries: &[Value]) -> String {
    let numbers = |value: Option<&Value>| -> Vec<String> {
        match value {
            Some(Value::Array(values)) => values.iter().map(ToString::to_string).collect(),
            value => value.iter().map(ToString::to_string).collect(),
        }
    };
    let quoted = |text: &str| match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    };
    let mut header = vec!["input".to_owned()];
    let first = entries.first().unwrap_or(&Value::Null);
    for name in names {
        let (prefix, number) = match names.len() {
            1 => (String::new(), "output_".to_owned()),
            _ => (format!("{name}_"), format!("{name}_")),
        };
        if find(names, first, "class", name).is_some() {
            header.push(format!("{prefix}class"));
            header.push(format!("{prefix}label"));
        }
        let count = numbers(find(names, first, "outputs", name)).len();
        header.extend((0..count).map(|index| format!("{number}{index}")));
    }
    let header: Vec<String> = header.iter().map(|title| quoted(title)).collect();
    let mut text = format!("{}\n", header.join(","));
    for entry in entries {
        let mut cells = vec![quoted(entry["input"].as_str().unwrap_or(""))];
        for name in names {
            if let Some(class) = find(names, entry, "class", name) {
                let label = find(names, entry, "label", name).and_then(Value::as_str);
                cells.push(class.to_string());
                cells.push(quoted(label.unwrap_or("")));
            }
            let numbers = numbers(find(names, entry, "outputs", name));
            cells.extend(numbers.iter().map(|number| quoted(number)));
        }
        text.push_str(&format!("{}\n", cells.join(",")));
    }
    text
}
