//! `danlu predict`

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use danlu::Model;
use danlu::data::ArrayDataset;
use danlu::data::files::{check_writable, write_atomically};
use danlu::data::sources::{npy, read_inputs};
use danlu::graph::Tensor;
use danlu::training::PredictOptions;
use serde_json::{Value, json};

use crate::arguments::{DeviceArguments, PredictArguments};
use crate::classifier::{self, Reading};
use crate::data::pixel_scale;
use crate::failure::{Failure, Result};
use crate::output::{self, Messages};
use crate::{device, models};

/// Outputs of one input, and how its examples are called.
struct Predicted {
    names: Vec<String>,
    outputs: Tensor,
}

/// Prints or writes the outputs of a model for pictures and arrays.
///
/// # Errors
/// Model or inputs cannot be read, or do not fit each other.
pub fn run(arguments: &PredictArguments) -> Result<()> {
    let messages = Messages {
        quiet: arguments.quiet,
    };
    let extension = arguments.out.as_deref().map(|path| {
        path.extension()
            .and_then(|text| text.to_str())
            .unwrap_or("")
    });
    if let (Some(extension), Some(path)) = (extension, &arguments.out)
        && !["npy", "csv", "jsonl"].contains(&extension)
    {
        return Err(Failure::Usage(format!(
            "--out {}: expected a file that ends in .npy, .csv or .jsonl",
            path.display()
        )));
    }
    if let Some(path) = &arguments.out {
        check_writable(path)?;
    }
    if arguments.inputs.iter().filter(|path| *path == "-").count() > 1 {
        return Err(Failure::usage(
            "`-` was given more than once, but standard input can be read only once",
        ));
    }
    let single = |device: &DeviceArguments| DeviceArguments {
        threads: device.threads.or(Some(1)),
        isa: device.isa.clone(),
    };
    let one_picture =
        arguments.inputs.len() == 1 && arguments.inputs[0].to_lowercase().ends_with(".png");
    let device = if one_picture {
        single(&arguments.device)
    } else {
        arguments.device.clone()
    };
    let mut model = models::load(&arguments.model, device::open(&device)?.executor, false)?;
    let shape = model.input_shape().ok_or_else(|| {
        Failure::failed(
            "the model does not know the shape of its input; build it with an Input layer",
        )
    })?;
    let mut scale = None;
    let mut predicted = Vec::new();
    for path in &arguments.inputs {
        let inputs = read_inputs(path, &shape)?;
        let count = inputs.examples.shape()[0];
        let mut dataset = ArrayDataset::from_named(
            "inputs",
            vec![("x".to_owned(), Arc::new(inputs.examples))],
            Vec::new(),
        )?;
        dataset = dataset.with_example_shape(&shape)?;
        if inputs.pixels {
            let scale =
                *scale.get_or_insert_with(|| pixel_scale(&model, arguments.pixel_scale, messages));
            dataset = dataset.with_pixel_scale(scale as f32);
        }
        let outputs = model.predict(
            dataset,
            PredictOptions::new().batch_size(arguments.batch_size),
        )?;
        let names = match count {
            1 => vec![inputs.name],
            _ => (0..count)
                .map(|index| format!("{}[{index}]", inputs.name))
                .collect(),
        };
        predicted.push(Predicted { names, outputs });
    }
    if let (Some("npy"), Some(path)) = (extension, &arguments.out) {
        let joined = join(predicted)?;
        return Ok(write_atomically(path, |file| npy::write(file, &joined))?);
    }
    for one in &predicted {
        warn_of_nan(one, messages);
    }
    let entries = entries(&model, &predicted);
    match (extension, &arguments.out) {
        (Some("jsonl"), Some(path)) => {
            let lines: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
            write(path, &lines)
        }
        (Some(_), Some(path)) => write(path, &csv(&entries)),
        _ if arguments.json => output::json(&Value::Array(entries)),
        _ => output::data(&entries.iter().map(line).collect::<String>()),
    }
}

/// Says which examples have outputs that are no numbers.
fn warn_of_nan(predicted: &Predicted, messages: Messages) {
    let values = predicted.outputs.as_f32().unwrap_or(&[]);
    let size = (values.len() / predicted.names.len().max(1)).max(1);
    let bad = |outputs: &[f32]| !outputs.iter().all(|value| value.is_finite());
    let mut places = values
        .chunks(size)
        .enumerate()
        .filter(|(_, outputs)| bad(outputs));
    let Some((first, _)) = places.next() else {
        return;
    };
    let others = match places.count() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    messages.warning(&format!(
        "the outputs for {}{others} are infinite or no numbers (NaN): look for such numbers, or very large ones, in the input",
        predicted.names[first]
    ));
}

fn write(path: &Path, text: &str) -> Result<()> {
    Ok(write_atomically(path, |file| {
        file.write_all(text.as_bytes())
    })?)
}

/// All outputs as one array.
fn join(predicted: Vec<Predicted>) -> Result<Tensor> {
    let mut shape = predicted
        .first()
        .map(|one| one.outputs.shape().to_vec())
        .unwrap_or_default();
    shape[0] = predicted.iter().map(|one| one.outputs.shape()[0]).sum();
    let values = predicted
        .iter()
        .flat_map(|one| one.outputs.as_f32().unwrap_or(&[]).iter().copied());
    Tensor::from_f32(&shape, values.collect()).map_err(Failure::failed)
}

/// One JSON object for each example.
fn entries(model: &Model, predicted: &[Predicted]) -> Vec<Value> {
    let reading = classifier::reading(model);
    let names = model
        .metadata()
        .get("class_names")
        .and_then(Value::as_array)
        .cloned();
    let mut entries = Vec::new();
    for one in predicted {
        let values = one.outputs.as_f32().unwrap_or(&[]);
        let size = values.len() / one.names.len().max(1);
        for (index, name) in one.names.iter().enumerate() {
            let outputs = &values[index * size..(index + 1) * size];
            let mut entry =
                json!({ "input": name, "outputs": nested(outputs, &one.outputs.shape()[1..]) });
            let flat = one.outputs.shape().len() == 2 && reading != Reading::Numbers;
            if let Some(probabilities) =
                classifier::probabilities(reading, outputs).filter(|_| flat)
            {
                // Where the outputs are no numbers there is no class; both are null then.
                let class = classifier::largest(&probabilities);
                let label = |class: usize| {
                    let label = names.as_ref().and_then(|names| names.get(class)).cloned();
                    label.unwrap_or_else(|| json!(class.to_string()))
                };
                entry["class"] = json!(class);
                entry["label"] = class.map_or(Value::Null, label);
                entry["probabilities"] = json!(probabilities);
            }
            entries.push(entry);
        }
    }
    entries
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

/// An example for people.
fn line(entry: &Value) -> String {
    let input = entry["input"].as_str().unwrap_or("");
    match (entry["label"].as_str(), entry["class"].as_u64()) {
        (Some(label), Some(class)) => {
            let probability = entry["probabilities"][class as usize]
                .as_f64()
                .unwrap_or(0.0);
            format!("{input}: {label} ({:.1} %)\n", probability * 100.0)
        }
        _ if entry.get("class").is_some() => {
            format!("{input}: no class (the outputs are no numbers)\n")
        }
        _ => format!("{input}: {}\n", entry["outputs"]),
    }
}

fn csv(entries: &[Value]) -> String {
    let numbers = |value: &Value| -> Vec<String> {
        match value {
            Value::Array(values) => values.iter().map(ToString::to_string).collect(),
            value => vec![value.to_string()],
        }
    };
    let quoted = |text: &str| match text.contains([',', '"', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    };
    let classes = entries
        .first()
        .is_some_and(|entry| entry.get("class").is_some());
    let count = entries
        .first()
        .map_or(0, |entry| numbers(&entry["outputs"]).len());
    let mut text = "input".to_owned();
    if classes {
        text.push_str(",class,label");
    }
    for index in 0..count {
        text.push_str(&format!(",output_{index}"));
    }
    text.push('\n');
    for entry in entries {
        text.push_str(&quoted(entry["input"].as_str().unwrap_or("")));
        if classes {
            text.push_str(&format!(
                ",{},{}",
                entry["class"],
                quoted(entry["label"].as_str().unwrap_or(""))
            ));
        }
        for number in numbers(&entry["outputs"]) {
            text.push_str(&format!(",{}", quoted(&number)));
        }
        text.push('\n');
    }
    text
}
