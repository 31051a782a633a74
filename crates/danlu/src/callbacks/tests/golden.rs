//! What Keras' callbacks did with the same metrics.

use std::path::Path;

use serde_json::{Value, json};

use super::{EpochRun, model};
use crate::callbacks::{
    Callback, Control, LearningRateScheduler, Logs, Phase, StepLogs, SwapEMAWeights,
    TerminateOnNaN, from_json,
};
use crate::golden::{assert_near, assert_tensor, list, load, tensor, tensors, text};
use crate::prelude::*;

/// The callback of a case.
fn callback(class: &str, arguments: &Value) -> Box<dyn Callback> {
    let mut described = json!({ "type": class });
    for (name, value) in arguments.as_object().unwrap() {
        described[name] = value.clone();
    }
    from_json(&described).unwrap()
}

fn monitor(case: &Value) -> &str {
    case["arguments"]["monitor"].as_str().unwrap_or("val_loss")
}

/// As fit gives numbers that were computed in 32 bits.
fn single(value: f64) -> f64 {
    f64::from(value as f32)
}

#[test]
fn rates_are_reduced_where_keras_reduces_them() {
    for case in list(&load("callbacks"), "plateaus") {
        let name = text(case, "name");
        let mut model = model(case["learning_rate"].as_f64().unwrap());
        let reduce = callback("ReduceLROnPlateau", &case["arguments"]);
        let mut run = EpochRun::begin(reduce, &mut model, None);
        let values = list(case, "values").iter();
        for (epoch, (value, rate)) in values.zip(list(case, "rates")).enumerate() {
            let value = value.as_f64().map(single);
            run.epoch(epoch, monitor(case), value, &mut model).unwrap();
            let found = model.learning_rate().unwrap() as f32;
            let expected = rate.as_f64().unwrap() as f32;
            assert_eq!(found, expected, "{name}: after epoch {epoch}");
        }
    }
}

#[test]
fn the_same_files_are_saved_after_the_same_epochs_and_batches() {
    for case in list(&load("callbacks"), "checkpoints") {
        let name = text(case, "name");
        let folder = tempfile::tempdir().unwrap();
        let mut model = model(0.01);
        let mut arguments = case["arguments"].clone();
        arguments["verbose"] = json!(1);
        let checkpoint = callback("ModelCheckpoint", &arguments);
        let mut run = EpochRun::begin(checkpoint, &mut model, Some(folder.path()));
        let steps = case["steps"].as_u64().unwrap() as usize;
        let mut saved = Vec::new();
        let note = |run: &mut EpochRun, saved: &mut Vec<Value>, epoch, step: Option<usize>| {
            for note in run.callback.take_notes() {
                saved.push(json!([epoch, step, note.facts["file"]]));
            }
        };
        for (epoch, value) in list(case, "values").iter().enumerate() {
            let value = value.as_f64();
            for step in 0..steps {
                let value = value.unwrap() + (steps - 1 - step) as f64 / 8.0;
                run.step(epoch, step, monitor(case), single(value), &mut model);
                note(&mut run, &mut saved, epoch, Some(step));
            }
            let value = value.map(single);
            run.epoch(epoch, monitor(case), value, &mut model).unwrap();
            note(&mut run, &mut saved, epoch, None);
        }
        assert_eq!(&saved, list(case, "saved"), "{name}");
        for entry in &saved {
            let path = folder.path().join(entry[2].as_str().unwrap());
            assert!(path.is_file(), "{name}: {}", path.display());
        }
    }
}

#[test]
fn the_learning_rate_of_an_epoch_is_that_of_the_rule() {
    for case in list(&load("callbacks"), "schedulers") {
        let rule = match text(case, "rule") {
            "halves" => |_: usize, rate: f64| rate * 0.5,
            "from_epoch" => |epoch: usize, _: f64| 0.1 / (epoch as f64 + 1.0),
            _ => |epoch: usize, rate: f64| if epoch < 3 { rate } else { rate * 0.3 },
        };
        let mut model = model(case["learning_rate"].as_f64().unwrap());
        let scheduler = Box::new(LearningRateScheduler::new(rule));
        let mut run = EpochRun::begin(scheduler, &mut model, None);
        for (epoch, rate) in list(case, "rates").iter().enumerate() {
            run.callback.on_epoch_begin(epoch, &mut model).unwrap();
            let found = model.learning_rate().unwrap() as f32;
            assert_eq!(
                found,
                rate.as_f64().unwrap() as f32,
                "{} {epoch}",
                case["name"]
            );
        }
    }
}

#[test]
fn a_loss_that_is_no_number_ends_the_training_at_once() {
    for case in list(&load("callbacks"), "terminators") {
        let mut model = model(0.01);
        let mut callback = TerminateOnNaN::new();
        let losses = list(case, "losses").iter();
        let losses = losses.map(|loss| loss.as_str().unwrap().parse::<f64>().unwrap());
        let mut stopped = None;
        for (step, loss) in losses.enumerate() {
            let step_logs = StepLogs {
                phase: Phase::Training,
                epoch: 0,
                step: step + 1,
                steps: None,
                examples: 1,
                iteration: step as u64 + 1,
                logs: Logs {
                    names: &["loss".to_owned()],
                    values: &[loss],
                },
            };
            let control = callback.on_batch_end(&step_logs, &mut model).unwrap();
            if control == Control::Finish {
                stopped = Some(step as u64);
                break;
            }
        }
        assert_eq!(stopped, case["stopped"].as_u64(), "{}", case["name"]);
    }
}

/// The fields of lines.
fn read_csv(text: &str, separator: char) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    for letter in text.replace("\r\n", "\n").chars() {
        match letter {
            '"' => quoted = !quoted,
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            letter if letter == separator && !quoted => row.push(std::mem::take(&mut field)),
            letter => field.push(letter),
        }
    }
    assert!(field.is_empty() && row.is_empty(), "an unfinished line");
    rows
}

#[test]
fn the_rows_of_the_table_are_those_of_keras() {
    for case in list(&load("callbacks"), "loggers") {
        let name = text(case, "name");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        if let Some(before) = case["before"].as_str() {
            std::fs::write(&path, before).unwrap();
        }
        let mut arguments = case["arguments"].clone();
        arguments["filename"] = json!("log.csv");
        let mut model = model(0.01);
        let mut epoch = 0;
        for run in list(case, "runs") {
            let logger = callback("CSVLogger", &arguments);
            let mut callback = EpochRun::begin(logger, &mut model, Some(folder.path()));
            for logs in run.as_array().unwrap() {
                let logs = logs.as_object().unwrap().iter();
                let (names, values): (Vec<String>, Vec<f64>) = logs
                    .map(|(name, value)| (name.clone(), value.as_f64().unwrap()))
                    .unzip();
                callback.logs(epoch, &names, &values, &mut model).unwrap();
                epoch += 1;
            }
        }
        let written = std::fs::read_to_string(&path).unwrap();
        let separator = case["arguments"]["separator"].as_str().unwrap_or(",");
        let rows = json!(read_csv(&written, separator.chars().next().unwrap()));
        assert_eq!(rows, case["rows"], "{name}");
        assert_eq!(
            written.matches("\r\n").count(),
            written.matches('\n').count(),
            "{name}"
        );
    }
}

/// Notes the weights after every epoch.
#[derive(Default)]
struct Weights(Vec<Vec<Tensor>>);

impl Callback for Weights {
    fn on_epoch_end(
        &mut self,
        _: &crate::callbacks::EpochLogs<'_>,
        model: &mut Model,
    ) -> crate::Result<Control> {
        self.0.push(model.weights()?);
        Ok(Control::Continue)
    }
}

#[test]
fn averages_take_the_place_of_weights_when_keras_swaps_them() {
    for case in list(&load("callbacks"), "swaps") {
        let name = text(case, "name");
        let mut model = Sequential::new();
        model.add(Input::new([3]));
        model.add(Dense::new(1));
        let optimizer = SGD::new(0.1).use_ema(true).ema_momentum(0.9);
        model.compile(optimizer, "mse", Vec::<&str>::new()).unwrap();
        let kernel = tensor(&case["kernel"]);
        let bias = Tensor::from_f32(&[1], vec![0.0]).unwrap();
        model.set_weights(&[kernel, bias]).unwrap();
        let swap = || SwapEMAWeights::new().swap_on_epoch(case["swap_on_epoch"] == true);
        let mut seen = Weights::default();
        let mut options = FitOptions::new()
            .batch_size(4)
            .epochs(case["epochs"].as_u64().unwrap() as usize)
            .shuffle(false)
            .verbose(false)
            .callback(swap())
            .callback(&mut seen);
        let validation = case["validation"].as_array();
        let validation = validation.map(|parts| (tensor(&parts[0]), tensor(&parts[1])));
        if let Some((x, y)) = validation.clone() {
            let frequency = case["validation_freq"].as_u64().unwrap() as usize;
            options = options.validation_data((x, y)).validation_freq(frequency);
        }
        let data = (tensor(&case["x"]), tensor(&case["y"]));
        let history = model.fit(data, options).unwrap();
        for (key, expected) in case["history"].as_object().unwrap() {
            let expected: Vec<f64> = expected
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_f64().unwrap())
                .collect();
            assert_near(
                &format!("{name}: {key}"),
                history.get(key).unwrap(),
                &expected,
                1e-5,
            );
        }
        let expected = list(case, "weights_of_epochs").iter().map(tensors);
        for (found, expected) in seen.0.iter().zip(expected) {
            assert_tensor(name, &found[0], &expected[0], 1e-5);
        }
        let expected = tensors(&case["weights"]);
        assert_tensor(name, &model.weights().unwrap()[0], &expected[0], 1e-5);
        if let Some((x, y)) = validation {
            let options = EvaluateOptions::new().callback(swap());
            let found = model.evaluate((x, y), options).unwrap().loss();
            let expected = case["evaluated_swapped"].as_f64().unwrap();
            assert_near(name, &[found], &[expected], 1e-5);
        }
    }
}

/// What the loss and metrics of a folder's files are for.
#[test]
fn weights_alone_can_be_loaded_again() {
    for ending in ["weights.h5", "safetensors"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(format!("one.{ending}"));
        let path: &Path = &path;
        let mut one = model(0.01);
        let weights = vec![
            Tensor::from_f32(&[1, 1], vec![0.25]).unwrap(),
            Tensor::from_f32(&[1], vec![-3.0]).unwrap(),
        ];
        one.set_weights(&weights).unwrap();
        one.save_weights(path).unwrap();
        let mut other = model(0.01);
        other.load_weights(path).unwrap();
        assert_eq!(other.weights().unwrap(), weights, "{ending}");
    }
}
