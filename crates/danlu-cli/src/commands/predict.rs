//! `danlu predict`

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use danlu::Model;
use danlu::data::files::{check_writable, write_atomically};
use danlu::data::sources::{Inputs, npy, npz, read_inputs, read_named_inputs};
use danlu::data::{ArrayDataset, suggest};
use danlu::training::PredictOptions;
use serde_json::Value;

use crate::arguments::{DeviceArguments, PredictArguments};
use crate::data::pixel_scale;
use crate::failure::{Failure, Result};
use crate::output::{self, Messages};
use crate::predictions::{Predicted, csv, entries, join, line};
use crate::{device, models};

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
        && !["npy", "npz", "csv", "jsonl"].contains(&extension)
    {
        return Err(Failure::Usage(format!(
            "--out {}: expected a file that ends in .npy, .npz, .csv or .jsonl",
            path.display()
        )));
    }
    if let Some(path) = &arguments.out {
        check_writable(path)?;
    }
    let named = named(&arguments.named)?;
    let files = named.iter().map(|(_, file)| *file);
    let all = files.chain(arguments.inputs.iter().map(String::as_str));
    if all.filter(|path| *path == "-").count() > 1 {
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
    let names = model.output_names();
    if let (Some("npy"), Some(path), [_, _, ..]) = (extension, &arguments.out, names.as_slice()) {
        return Err(Failure::Usage(format!(
            "--out {}: the model has the outputs {}, and an .npy file holds one; write an .npz, .csv or .jsonl file",
            path.display(),
            names.join(", ")
        )));
    }
    let mut scale = None;
    let mut predicted = Vec::new();
    for inputs in Groups::new(&model, &arguments.inputs, named)? {
        let (own, inputs) = inputs?;
        let count = inputs[0].examples.shape()[0];
        let has_pixels = inputs.iter().any(|input| input.pixels);
        let name = title(&inputs);
        let features = own.into_iter().zip(inputs);
        let features = features.map(|(name, input)| (name, Arc::new(input.examples)));
        let mut dataset = ArrayDataset::from_named("inputs", features.collect(), Vec::new())?;
        if has_pixels {
            let scale =
                *scale.get_or_insert_with(|| pixel_scale(&model, arguments.pixel_scale, messages));
            dataset = dataset.with_pixel_scale(scale as f32);
        }
        let outputs = model.predict_outputs(
            dataset,
            PredictOptions::new().batch_size(arguments.batch_size),
        )?;
        let names = match count {
            1 => vec![name],
            _ => (0..count).map(|index| format!("{name}[{index}]")).collect(),
        };
        predicted.push(Predicted { names, outputs });
    }
    match (extension, &arguments.out) {
        (Some("npy"), Some(path)) => {
            let outputs = join(predicted)?;
            return Ok(write_atomically(path, |file| {
                npy::write(file, &outputs[0])
            })?);
        }
        (Some("npz"), Some(path)) => {
            let outputs = join(predicted)?;
            let arrays = names.iter().map(String::as_str).zip(&outputs);
            let arrays: Vec<_> = arrays.collect();
            return Ok(write_atomically(path, |file| npz::write(file, &arrays))?);
        }
        _ => {}
    }
    for one in &predicted {
        if let Some(warning) = one.not_numbers() {
            messages.warning(&warning);
        }
    }
    let entries = entries(&model, &predicted)?;
    match (extension, &arguments.out) {
        (Some("jsonl"), Some(path)) => {
            let lines: String = entries.iter().map(|entry| format!("{entry}\n")).collect();
            write(path, &lines)
        }
        (Some(_), Some(path)) => write(path, &csv(&names, &entries)),
        _ if arguments.json => output::json(&Value::Array(entries)),
        _ => {
            let lines = entries.iter().map(|entry| line(&names, entry));
            output::data(&lines.collect::<String>())
        }
    }
}

/// What `--input` says: names of inputs with their files.
fn named(words: &[String]) -> Result<Vec<(&str, &str)>> {
    let pair = |word: &'_ String| -> Result<(usize, usize)> {
        match word.find('=') {
            Some(place) if place > 0 && place + 1 < word.len() => Ok((place, place + 1)),
            _ => Err(Failure::Usage(format!(
                "--input {word}: expected NAME=FILE, such as left=left.npy"
            ))),
        }
    };
    let pairs = words.iter().map(|word| {
        let (end, start) = pair(word)?;
        Ok((&word[..end], &word[start..]))
    });
    pairs.collect()
}

/// What a name in the report stands for: the file, or the files of all inputs.
fn title(inputs: &[Inputs]) -> String {
    let mut names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    names.dedup();
    names.join(", ")
}

/// Examples that go together: an array for each input of the model.
struct Groups<'a> {
    own: Vec<String>,
    shapes: Vec<Vec<usize>>,
    files: std::slice::Iter<'a, String>,
    /// The files of the inputs in the model's order, where they were given by name.
    named: Option<Vec<&'a str>>,
}

impl<'a> Groups<'a> {
    fn new(
        model: &Model,
        files: &'a [String],
        named: Vec<(&'a str, &'a str)>,
    ) -> Result<Groups<'a>> {
        let shapes = model.input_shapes().ok_or_else(|| {
            Failure::failed(
                "the model does not know the shape of its input; build it with an Input layer",
            )
        })?;
        let own: Vec<String> = model.input_names().into_iter().map(str::to_owned).collect();
        let mut found: Vec<Option<&str>> = vec![None; own.len()];
        for (name, file) in &named {
            let Some(place) = own.iter().position(|own| own == name) else {
                let hint = suggest::hint(name, own.iter().map(String::as_str));
                return Err(Failure::Usage(format!(
                    "--input {name}={file}: the model has no input named `{name}`{hint}"
                )));
            };
            if found[place].replace(file).is_some() {
                return Err(Failure::Usage(format!(
                    "--input {name}={file}: `{name}` was given twice; an array may hold several examples"
                )));
            }
        }
        if let Some(place) = found.iter().position(Option::is_none)
            && !named.is_empty()
        {
            return Err(Failure::Usage(format!(
                "the model has the inputs {}: give --input {}=FILE, too",
                own.join(", "),
                own[place]
            )));
        }
        Ok(Groups {
            own,
            shapes,
            files: files.iter(),
            named: found.into_iter().collect(),
        })
    }
}

impl Iterator for Groups<'_> {
    type Item = Result<(Vec<String>, Vec<Inputs>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let inputs = match (self.named.take(), self.own.as_slice()) {
            (Some(files), _) => {
                let files = files.iter().zip(&self.shapes);
                let inputs = files.map(|(file, shape)| read_inputs(file, shape));
                inputs.collect()
            }
            (None, [_]) => {
                let input = read_inputs(self.files.next()?, &self.shapes[0]);
                input.map(|input| vec![input])
            }
            (None, own) => {
                let file = self.files.next()?;
                let inputs: Vec<(&str, &[usize])> = own
                    .iter()
                    .zip(&self.shapes)
                    .map(|(name, shape)| (name.as_str(), shape.as_slice()))
                    .collect();
                read_named_inputs(file, &inputs)
            }
        };
        Some(match inputs {
            Ok(inputs) => Ok((self.own.clone(), inputs)),
            // One file for several inputs is a question of usage.
            Err(error @ danlu::data::Error::Mismatch { .. }) if self.own.len() > 1 => {
                Err(Failure::usage(error))
            }
            Err(error) => Err(error.into()),
        })
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    Ok(write_atomically(path, |file| {
        file.write_all(text.as_bytes())
    })?)
}
