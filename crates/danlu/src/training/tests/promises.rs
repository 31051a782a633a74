//! What fit, evaluate and predict promise.

use danlu_data::{Batch, Specification};

use crate::prelude::*;
use crate::training::{EpochLogs, Phase, StepLogs};
use crate::{Error, Model, Result};

fn numbers(shape: &[usize], start: usize) -> Tensor {
    let count: usize = shape.iter().product();
    let values = (start..start + count).map(|i| ((i * 7919 + 13) % 101) as f32 / 50.0 - 1.0);
    Tensor::from_f32(shape, values.collect()).unwrap()
}

fn labels(count: usize, classes: usize) -> Tensor {
    let values = (0..count).map(|i| ((i * 31) % classes) as u8);
    Tensor::from_u8(&[count], values.collect()).unwrap()
}

fn classifier() -> Model {
    let mut model = Sequential::new();
    model.add(Input::new([4]));
    model.add(Dense::new(6).activation("relu"));
    model.add(Dropout::new(0.3));
    model.add(Dense::new(3).activation("softmax"));
    model
        .compile(
            Adam::new(0.01),
            "sparse_categorical_crossentropy",
            ["accuracy"],
        )
        .unwrap();
    model.into_model()
}

fn quiet<'a>() -> FitOptions<'a> {
    FitOptions::new().verbose(false).batch_size(4)
}

#[test]
fn the_same_seed_gives_the_same_bits_also_when_a_training_goes_on() {
    let (x, y) = (numbers(&[10, 4], 0), labels(10, 3));
    let mut one = classifier();
    one.fit((&x, &y), quiet().epochs(4)).unwrap();
    let mut other = classifier();
    other.fit((&x, &y), quiet().epochs(2)).unwrap();
    other
        .fit((&x, &y), quiet().initial_epoch(2).epochs(4))
        .unwrap();
    assert_eq!(one.weights().unwrap(), other.weights().unwrap());
    let mut third = classifier();
    third.fit((&x, &y), quiet().epochs(4).seed(1)).unwrap();
    assert_ne!(one.weights().unwrap(), third.weights().unwrap());
}

#[test]
fn a_saved_model_trains_on_as_if_nothing_had_happened() {
    let (x, y) = (numbers(&[10, 4], 0), labels(10, 3));
    let folder = tempfile::tempdir().unwrap();
    let mut one = classifier();
    one.fit((&x, &y), quiet().epochs(2)).unwrap();
    one.metadata_mut()
        .insert("pixel_scale".to_owned(), 0.5.into());
    for name in ["model.keras", "model.h5"] {
        let path = folder.path().join(name);
        one.save(&path).unwrap();
        let mut loaded = Model::load(&path).unwrap();
        assert_eq!(loaded.metadata(), one.metadata());
        assert_eq!(loaded.weights().unwrap(), one.weights().unwrap());
        assert_eq!(
            loaded.optimizer_state().unwrap(),
            one.optimizer_state().unwrap()
        );
        assert_eq!(loaded.iteration().unwrap(), 6);
        let options = || quiet().initial_epoch(2).epochs(3);
        loaded.fit((&x, &y), options()).unwrap();
        let mut here = Model::load(&path).unwrap();
        here.fit((&x, &y), options()).unwrap();
        assert_eq!(loaded.weights().unwrap(), here.weights().unwrap());
        let bare = Model::load_with(&path, LoadOptions::new().optimizer_state(false)).unwrap();
        assert!(bare.is_compiled() && bare.optimizer_state().unwrap().is_empty());
    }
    let path = folder.path().join("weights.safetensors");
    one.save(&path).unwrap();
    let mut other = classifier();
    other.load_weights(&path).unwrap();
    assert_eq!(other.weights().unwrap(), one.weights().unwrap());
    assert!(Model::load(&path).is_err());
}

/// Keras writes the step and the learning rate alone where a compiled model was never trained, and the state of all layers
/// where one was frozen after the training.
#[test]
fn an_optimizer_state_that_does_not_fit_is_begun_anew_as_in_keras() {
    let (x, y) = (numbers(&[10, 4], 0), labels(10, 3));
    let mut fresh = classifier();
    let mut file = fresh.to_file().unwrap();
    file.optimizer = Some(vec![
        ("0".to_owned(), Tensor::from_i64(&[], vec![0]).unwrap()),
        ("1".to_owned(), Tensor::scalar(0.01)),
    ]);
    let mut loaded = Model::from_file(file, LoadOptions::new()).unwrap();
    assert!(loaded.warnings().is_empty());
    fresh.fit((&x, &y), quiet()).unwrap();
    loaded.fit((&x, &y), quiet()).unwrap();
    assert_eq!(loaded.weights().unwrap(), fresh.weights().unwrap());
    assert_eq!(
        loaded.optimizer_state().unwrap(),
        fresh.optimizer_state().unwrap()
    );

    let mut file = fresh.to_file().unwrap();
    file.config["config"]["layers"][1]["config"]["trainable"] = false.into();
    let frozen = Model::from_file(file, LoadOptions::new()).unwrap();
    assert!(frozen.warnings()[0].contains("10 arrays, where this model's optimizer has 6"));
    assert_eq!(frozen.iteration().unwrap(), 0);
}

#[test]
fn compile_settings_that_cannot_be_used_are_named() {
    let mut file = classifier().to_file().unwrap();
    let whole = file.compile_config.take().unwrap();
    for (key, value, expected) in [
        ("optimizer", serde_json::Value::Null, "without an optimizer"),
        ("loss", serde_json::Value::Null, "without a loss"),
        (
            "loss_weights",
            serde_json::json!({ "other": 0.5 }),
            "output of this model",
        ),
    ] {
        let mut file = classifier().to_file().unwrap();
        let mut compile = whole.clone();
        compile[key] = value;
        file.compile_config = Some(compile);
        let model = Model::from_file(file, LoadOptions::new()).unwrap();
        let warnings = model.warnings().join("\n");
        assert!(
            !model.is_compiled() && warnings.contains(expected),
            "{warnings}"
        );
    }
}

#[test]
fn models_of_keras_predict_and_train_on_as_in_keras() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/keras_files");
    for name in [
        "article",
        "convolutions",
        "pooling",
        "binary",
        "categorical",
        "dropout",
        "lazy",
        "normalized",
        "uncompiled",
    ] {
        for extension in ["keras", "h5"] {
            let mut model = Model::load(format!("{folder}/{name}.{extension}")).unwrap();
            assert!(
                model
                    .warnings()
                    .iter()
                    .all(|warning| !warning.contains("cannot be used")),
                "{name}: {:?}",
                model.warnings()
            );
            let arrays = npz(&format!("{folder}/{name}.npz"));
            let array = |wanted: &str| {
                arrays
                    .iter()
                    .find(|(name, _)| name == wanted)
                    .map(|(_, a)| a.clone())
            };
            let x = array("x").unwrap();
            let what = format!("{name}.{extension}");
            let found = model.predict(&x, PredictOptions::new()).unwrap();
            crate::golden::assert_tensor(&what, &found, &array("predictions").unwrap(), 1e-5);
            let Some(y) = array("y") else { continue };
            model.train_on_batch(&x, &y, None).unwrap();
            for (index, weight) in model.weights().unwrap().iter().enumerate() {
                if let Some(expected) = array(&format!("after_{index}")) {
                    crate::golden::assert_tensor(&what, weight, &expected, 1e-5);
                }
            }
        }
    }
}

fn npz(path: &str) -> Vec<(String, Tensor)> {
    let input = danlu_data::sources::Input::open(path).unwrap();
    let mut archive = danlu_data::sources::Npz::open(input).unwrap();
    let names = archive.arrays().to_vec();
    names
        .into_iter()
        .map(|name| {
            let array = archive.read(&name).unwrap();
            (name, array)
        })
        .collect()
}

#[test]
fn any_iterator_of_batches_can_be_trained_on() {
    let dataset = ArrayDataset::new(numbers(&[12, 4], 0), labels(12, 3)).unwrap();
    let specification: Specification = dataset.specification().clone();
    let mut number = 0;
    let batches = std::iter::from_fn(move || {
        let mut batch = Batch::default();
        number = (number + 5) % 10;
        let made = dataset.get(&[number, number + 1, 2], &mut batch);
        Some(made.map(|()| batch))
    });
    let mut source = IteratorSource::once(specification, batches);
    let mut model = classifier();
    let history = model
        .fit(&mut source, quiet().epochs(3).steps_per_epoch(4))
        .unwrap();
    assert_eq!(history.epochs, [0, 1, 2]);
    assert_eq!(model.iteration().unwrap(), 12);
}

#[test]
fn a_callback_sees_every_step_and_can_stop() {
    #[derive(Default)]
    struct Watch {
        steps: Vec<(Phase, usize, Option<usize>, usize)>,
        epochs: usize,
    }
    impl Callback for Watch {
        fn watches_batches(&self) -> bool {
            true
        }
        fn on_batch_end(&mut self, step: &StepLogs<'_>, _: &mut Model) -> Result<Control> {
            self.steps
                .push((step.phase, step.step, step.steps, step.examples));
            assert!(step.logs.get("loss").is_some_and(f64::is_finite));
            Ok(Control::Continue)
        }
        fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, model: &mut Model) -> Result<Control> {
            self.epochs += 1;
            assert!(epoch.logs.get("val_accuracy").is_some());
            model.set_learning_rate(0.005)?;
            Ok(if self.epochs == 2 {
                Control::Stop
            } else {
                Control::Continue
            })
        }
    }
    let mut watch = Watch::default();
    let mut model = classifier();
    let data = (numbers(&[10, 4], 0), labels(10, 3));
    let options = quiet().epochs(5).validation_split(0.3).callback(&mut watch);
    let history = model.fit(data, options).unwrap();
    assert!(history.stopped && history.epochs == [0, 1]);
    let expected = [
        (Phase::Training, 1, Some(2), 4),
        (Phase::Training, 2, Some(2), 3),
        (Phase::Validation, 1, Some(1), 3),
    ];
    assert_eq!(watch.steps[..3], expected);
    assert_eq!(model.learning_rate(), Some(0.005));
}

#[test]
fn losses_and_metrics_can_be_closures() {
    let mut model = Sequential::new();
    model.add(Input::new([2]));
    model.add(Dense::new(1));
    let loss = Loss::custom("huberish", |y_true, y_pred| {
        y_pred
            .subtract(y_true)?
            .square()?
            .add_scalar(1.0)?
            .sqrt()?
            .mean(&[-1], false)
    });
    let metric = Metric::custom("bias", |y_true, y_pred| {
        y_pred.subtract(y_true)?.mean(&[-1], false)
    });
    model.compile(SGD::new(0.1), loss, [metric]).unwrap();
    let (x, y) = (numbers(&[8, 2], 0), numbers(&[8, 1], 5));
    let history = model.fit((&x, &y), quiet().epochs(10)).unwrap();
    let losses = history.get("loss").unwrap();
    assert!(losses[9] < losses[0]);
    assert!(history.get("bias").is_some());
}

#[test]
fn what_cannot_be_trained_is_an_error_before_anything_happens() {
    let text = |result: Result<History>| result.unwrap_err().to_string();
    let (x, y) = (numbers(&[10, 4], 0), labels(10, 3));
    let data = || (x.clone(), y.clone());
    let mut model = classifier();
    let before = model.weights().unwrap();
    assert!(text(model.fit(data(), quiet().epochs(0))).contains("`epochs` must be at least 1"));
    assert!(text(model.fit(data(), quiet().batch_size(0))).contains("`batch_size`"));
    assert!(text(model.fit(data(), quiet().validation_split(1.0))).contains("`validation_split`"));
    let wrong = numbers(&[10, 5], 0);
    assert!(
        text(model.fit((wrong, y.clone()), quiet()))
            .contains("examples of shape [4], received [5]")
    );
    let bad = Tensor::from_i32(&[10], vec![0, 1, 2, 0, 1, 2, 0, 1, 2, 3]).unwrap();
    let error = text(model.fit((x.clone(), bad), quiet().shuffle(false).batch_size(10)));
    assert!(
        error.contains("example 9 has the label 3") && error.contains("3 classes"),
        "{error}"
    );
    let one_hot = numbers(&[10, 3], 0);
    let error = text(model.fit((x.clone(), one_hot), quiet()));
    assert!(
        error.contains("one-hot targets need categorical_crossentropy"),
        "{error}"
    );
    let empty = (numbers(&[0, 4], 0), labels(0, 3));
    assert!(text(model.fit(empty, quiet())).contains("holds no example"));
    assert_eq!(model.weights().unwrap(), before);
    let mut bare = Sequential::new();
    bare.add(Dense::new(1));
    assert!(text(bare.fit(data(), quiet())).contains("call compile"));
}

#[test]
fn a_loss_that_is_no_number_stops_the_training() {
    let mut model = Sequential::new();
    model.add(Input::new([2]));
    model.add(Dense::new(1));
    model
        .compile(SGD::new(1e30), "mse", Vec::<&str>::new())
        .unwrap();
    let error = model
        .fit(
            (numbers(&[8, 2], 0), numbers(&[8, 1], 5)),
            quiet().epochs(3),
        )
        .unwrap_err();
    assert!(matches!(error, Error::NotFinite { .. }), "{error}");
    assert!(
        error.to_string().contains("smaller learning rate"),
        "{error}"
    );
}

#[test]
fn a_model_without_input_is_built_by_its_data() {
    let mut model = Sequential::new();
    model.add(Dense::new(3).activation("tanh"));
    model.add(Dense::new(1));
    model.compile("adam", "mse", ["mae"]).unwrap();
    assert!(!model.is_built());
    model
        .fit((numbers(&[8, 2], 0), numbers(&[8, 1], 5)), quiet())
        .unwrap();
    assert_eq!(model.count_parameters(), 2 * 3 + 3 + 3 + 1);
    assert!(model.graph_text(true).unwrap().contains("# dense"));
}

#[test]
fn layers_can_be_added_to_a_trained_model() {
    let mut model = Sequential::new();
    model.add(Input::new([4]));
    model.add(Dense::new(3));
    model.compile("adam", "mse", ["mae"]).unwrap();
    let x = numbers(&[8, 4], 0);
    model.fit((&x, &numbers(&[8, 3], 1)), quiet()).unwrap();
    let kept = model.layer_weights("dense").unwrap();
    model.add(Dense::new(2));
    assert!(!model.is_built());
    model.build().unwrap();
    assert_eq!(model.layer_weights("dense").unwrap(), kept);
    model.fit((&x, &numbers(&[8, 2], 1)), quiet()).unwrap();
    assert_ne!(model.layer_weights("dense").unwrap(), kept);
    assert_eq!(model.iteration().unwrap(), 2);
}

#[test]
fn parameters_that_are_not_trainable_stay() {
    let mut model = Sequential::new();
    model.add(Input::new([4]));
    model.add(Dense::new(3).trainable(false));
    model.add(Dense::new(2));
    model.compile(SGD::default(), "mse", ["mae"]).unwrap();
    let frozen = model.layer_weights("dense").unwrap();
    model
        .fit((numbers(&[8, 4], 0), numbers(&[8, 2], 1)), quiet())
        .unwrap();
    assert_eq!(model.layer_weights("dense").unwrap(), frozen);
    assert_eq!(model.count_trainable_parameters(), 8);
}

/// Values that no model has, in the place of each value of a config in turn: an error or a model, and no great allocation.
#[test]
fn mangled_configs_are_errors() {
    use serde_json::{Value, json};
    fn places(value: &Value, path: &str, found: &mut Vec<String>) {
        found.push(path.to_owned());
        match value {
            Value::Object(fields) => {
                fields
                    .iter()
                    .for_each(|(name, value)| places(value, &format!("{path}/{name}"), found));
            }
            Value::Array(values) => {
                values
                    .iter()
                    .enumerate()
                    .for_each(|(i, value)| places(value, &format!("{path}/{i}"), found));
            }
            _ => {}
        }
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/keras_files");
    for name in ["article", "convolutions", "normalized", "pooling"] {
        let file = crate::files::read(format!("{folder}/{name}.keras")).unwrap();
        let whole = json!({ "config": file.config, "compile": file.compile_config });
        let mut found = Vec::new();
        places(&whole, "", &mut found);
        for place in found.into_iter().filter(|place| !place.is_empty()) {
            for value in [
                json!(null),
                json!(-1),
                json!(0),
                json!(2),
                json!(i64::MAX),
                json!(2_000_000_000),
                json!(1e300),
                json!("x"),
                json!([]),
                json!({}),
                json!([[1]]),
                json!(true),
            ] {
                let mut mangled = whole.clone();
                *mangled.pointer_mut(&place).unwrap() = value;
                let mut file = file.clone();
                file.config = mangled["config"].take();
                file.compile_config = Some(mangled["compile"].take());
                // Either is good; a panic or an abort is not.
                if let Ok(model) = Model::from_file(file, LoadOptions::new()) {
                    model.summary();
                }
            }
        }
    }
    let layers = [
        (
            "Input".to_owned(),
            crate::config! { "shape": [2_000_000_000] },
        ),
        (
            "Dense".to_owned(),
            crate::config! { "units": 2_000_000_000 },
        ),
    ];
    let error = Model::from_layers(layers)
        .unwrap()
        .build()
        .unwrap_err()
        .to_string();
    assert!(error.contains("memory"), "{error}");
}

#[test]
fn early_stopping_leaves_the_best_weights_and_says_what_it_did() {
    /// Notes which epoch was the best and with which weights it ended.
    #[derive(Default)]
    struct Notes(Vec<(Option<bool>, Vec<Tensor>)>);
    impl Callback for Notes {
        fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, model: &mut Model) -> Result<Control> {
            self.0.push((epoch.improved, model.weights()?));
            Ok(Control::Continue)
        }
    }
    let (x, y) = (numbers(&[24, 4], 0), labels(24, 3));
    let run = |restore: bool| {
        let mut model = classifier();
        model.set_learning_rate(1.5).unwrap();
        let mut notes = Notes::default();
        let watch = EarlyStopping::new()
            .patience(2)
            .restore_best_weights(restore);
        let options = FitOptions::new()
            .batch_size(4)
            .epochs(50)
            .validation_split(0.5);
        let options = options.early_stopping(watch).callback(&mut notes);
        let history = model.fit((&x, &y), options).unwrap();
        (model.weights().unwrap(), history, notes.0)
    };
    let (weights, history, notes) = run(true);
    let losses = history.get("val_loss").unwrap();
    let did = history.early_stopping.clone().unwrap();
    let best = (0..losses.len())
        .min_by(|&a, &b| losses[a].total_cmp(&losses[b]))
        .unwrap();
    assert_eq!(did.best_epoch, Some(best));
    assert_eq!(did.best, Some(losses[best]));
    assert_eq!(did.stopped_epoch, Some(losses.len() - 1));
    assert!(losses.len() == best + 3 && losses.len() < 50, "{losses:?}");
    assert!(!history.stopped);
    let last_best = notes
        .iter()
        .rposition(|(improved, _)| *improved == Some(true));
    assert_eq!(last_best, Some(best));
    assert_eq!(weights, notes[best].1);
    assert_ne!(weights, notes[losses.len() - 1].1);
    assert_eq!(did.restored_epoch, Some(best));
    let (weights, history, notes) = run(false);
    assert_eq!(weights, notes[losses.len() - 1].1);
    assert_eq!(history.early_stopping.unwrap().restored_epoch, None);
}

#[test]
fn early_stopping_watches_what_there_is() {
    let (x, y) = (numbers(&[10, 4], 0), labels(10, 3));
    let mut model = classifier();
    let before = model.weights().unwrap();
    let mut error = |watch: EarlyStopping, split: f64| {
        let options = quiet().validation_split(split).early_stopping(watch);
        model.fit((&x, &y), options).unwrap_err().to_string()
    };
    let text = error(EarlyStopping::new().monitor("val_los"), 0.5);
    assert!(text.contains("did you mean `val_loss`?"), "{text}");
    let text = error(EarlyStopping::new(), 0.0);
    assert!(
        text.contains("validation split") && text.contains("monitor `loss`"),
        "{text}"
    );
    let text = error(EarlyStopping::new().min_delta(f64::NAN), 0.5);
    assert!(text.contains("min_delta"), "{text}");
    assert_eq!(model.weights().unwrap(), before);
    let own = crate::metrics::Metric::custom("own", |_, y_pred| y_pred.mean(&[-1], false));
    model
        .compile("sgd", "sparse_categorical_crossentropy", [own])
        .unwrap();
    let watch = || EarlyStopping::new().monitor("own");
    let options = quiet().early_stopping(watch());
    let text = model.fit((&x, &y), options).unwrap_err().to_string();
    assert!(text.contains("`min` or `max`"), "{text}");
    let options = quiet().early_stopping(watch().mode(crate::training::MonitorMode::Max));
    assert!(model.fit((&x, &y), options).is_ok());
}
