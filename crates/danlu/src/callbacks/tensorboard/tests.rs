use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::files::events::testing::{Summary, summaries};
use crate::golden;
use crate::prelude::*;

fn model() -> Model {
    let mut model = Sequential::new();
    model.add(Input::new([6, 6, 1]));
    model.add(Conv2D::new(4, [3, 3]).activation("relu").name("conv2d"));
    model.add(Flatten::new().name("flatten"));
    model.add(Dense::new(3).activation("softmax").name("dense"));
    let mut model = model.into_model();
    model.set_name("sequential");
    model
        .compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
        .unwrap();
    model
}

fn data() -> (Tensor, Tensor) {
    let x = (0..12 * 36).map(|value| (value as f32 / 200.0).sin());
    let x = Tensor::from_f32(&[12, 6, 6, 1], x.collect()).unwrap();
    let y = Tensor::from_i32(&[12], (0..12).map(|value| value % 3).collect()).unwrap();
    (x, y)
}

fn options<'a>() -> FitOptions<'a> {
    FitOptions::new()
        .epochs(3)
        .batch_size(4)
        .validation_split(0.25)
        .verbose(false)
}

fn of_config(config: &Value) -> Result<TensorBoard> {
    let mut arguments = Arguments::new(OWNER, config.as_object().unwrap().clone());
    let callback = TensorBoard::from_config(&mut arguments)?;
    arguments.finish()?;
    Ok(callback)
}

fn found(folder: &Path) -> Vec<Value> {
    let mut found: Vec<(u64, String, String, Vec<u64>)> = summaries(folder)
        .into_iter()
        .map(
            |Summary {
                 step,
                 tag,
                 plugin,
                 shape,
                 ..
             }| (step, tag, plugin, shape),
        )
        .collect();
    found.sort();
    found.into_iter().map(|one| json!(one)).collect()
}

#[test]
fn summaries_are_those_of_keras() {
    for case in golden::list(&golden::load("tensorboard_events"), "cases") {
        let name = golden::text(case, "name");
        let folder = tempfile::tempdir().unwrap();
        let mut arguments = case["arguments"].clone();
        arguments["log_dir"] = json!(folder.path().display().to_string());
        let callback = of_config(&arguments).unwrap();
        model().fit(data(), options().callback(callback)).unwrap();
        for part in ["train", "validation"] {
            let mut found = found(&folder.path().join(part));
            let mut expected = case["summaries"][part].as_array().unwrap().clone();
            if case["arguments"]["update_freq"].is_number() {
                // Keras leaves the numbers of an epoch out unless that many divide its last batch's; Danlu writes them.
                let epochs = found.iter().filter(|one| one[1] == "epoch_loss");
                assert_eq!(epochs.count(), 3, "{name}, {part}");
                let of_batch = |one: &Value| one[1].as_str().unwrap().starts_with("batch_");
                found.retain(of_batch);
                expected.retain(of_batch);
            }
            assert_eq!(found, expected, "{name}, {part}");
        }
    }
}

#[test]
fn weights_are_written_as_keras_writes_them() {
    let golden = golden::load("tensorboard_events");
    let mut model = model();
    model.build().unwrap();
    let weights = golden::list(&golden, "weights").iter().map(|weight| {
        let values = weight["values"].as_array().unwrap();
        let values = values.iter().map(|value| value.as_f64().unwrap() as f32);
        Tensor::from_f32(&golden::sizes(&weight["shape"]), values.collect()).unwrap()
    });
    model.set_weights(&weights.collect::<Vec<_>>()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut callback = TensorBoard::new("").write_images(true);
    callback.place = folder.path().to_owned();
    callback.weights(0, &model).unwrap();
    callback.train().unwrap().flush().unwrap();
    let found = summaries(&folder.path().join("train"));
    let expected = golden::list(&golden, "written");
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.tag, golden::text(expected, "tag"));
        if let Some(buckets) = expected["buckets"].as_array() {
            let buckets = buckets.iter().flat_map(|bucket| bucket.as_array().unwrap());
            let buckets: Vec<f64> = buckets.map(|number| number.as_f64().unwrap()).collect();
            golden::assert_near(&found.tag, &found.numbers, &buckets, 1e-12);
        } else {
            let size = [0, 1].map(|place| String::from_utf8(found.texts[place].clone()).unwrap());
            assert_eq!(
                json!(size.map(|side| side.parse::<u64>().unwrap())),
                expected["size"]
            );
            let pixels: Vec<Vec<u8>> = found.texts[2..].iter().map(|file| pixels(file)).collect();
            assert_eq!(json!(pixels), expected["pixels"], "{}", found.tag);
        }
    }
}

fn pixels(file: &[u8]) -> Vec<u8> {
    let input = danlu_data::sources::Input::from_bytes("picture", file.to_vec());
    let picture = danlu_data::sources::png::read(&mut { input }, None).unwrap();
    picture.as_u8().unwrap().to_vec()
}

#[test]
fn a_training_that_goes_on_writes_each_step_once() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display().to_string();
    let mut first = TensorBoard::new(&place).update_freq(UpdateFrequency::Batches(1));
    let mut trained = model();
    trained.fit(data(), options().callback(&mut first)).unwrap();
    // As it was after two epochs of three batches: the third one is lost.
    let state = CallbackState::default()
        .with("batches", 6)
        .with("iteration", 6);
    let all = found(&folder.path().join("train"));
    let is_kept = |one: &&Value| {
        let step = one[0].as_u64().unwrap();
        match one[1].as_str().unwrap() {
            tag if tag.starts_with("batch_") => step <= 6,
            _ => step < 2,
        }
    };
    let kept: Vec<Value> = all.iter().filter(is_kept).cloned().collect();
    assert_eq!((all.len(), kept.len()), (28, 19));
    let start = TrainingStart {
        initial_epoch: 2,
        epochs: 3,
        steps: None,
        examples: None,
        validation_examples: None,
        folder: None,
        resumed: true,
    };
    let mut second = TensorBoard::new(&place).update_freq(UpdateFrequency::Batches(1));
    second.on_train_begin(&start, &mut trained).unwrap();
    second.restore(&state).unwrap();
    assert_eq!(found(&folder.path().join("train")), kept);
    assert_eq!((second.batches, second.iteration), (6, 6));
    let validation = found(&folder.path().join("validation"));
    let last = validation.iter().map(|one| one[0].as_u64().unwrap()).max();
    assert_eq!(last, Some(6), "{validation:?}");
    assert!(!second.graph_due);
}

#[test]
fn what_there_is_not_is_refused_by_name() {
    for (config, part) in [
        (json!({ "profile_batch": 2 }), "--profile"),
        (json!({ "embeddings_freq": 1 }), "embeddings_freq"),
        (json!({ "embeddings_metadata": "x" }), "embeddings_metadata"),
        (json!({ "update_freq": "epochs" }), "update_freq"),
        (json!({ "update_freq": 0 }), "update_freq"),
        (json!({ "histogram_freq": -1 }), "histogram_freq"),
        (json!({ "log_dirs": "x" }), "log_dir"),
    ] {
        let error = of_config(&config).unwrap_err().to_string();
        assert!(error.contains(part), "{config}: {error}");
    }
    of_config(&json!({ "profile_batch": 0, "embeddings_freq": 0, "embeddings_metadata": null }))
        .unwrap();
}
