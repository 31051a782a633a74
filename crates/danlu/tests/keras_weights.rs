//! Checkpoints of weights alone (`ModelCheckpoint` with `save_weights_only`), ours in the real Keras and Keras' in ours.

use std::process::Command;

use danlu::callbacks::ModelCheckpoint;
use danlu::prelude::*;
use serde_json::{Value, json};

/// Builds the same model, loads our weights, compares the predictions, trains on with Keras' own callback, and says what it
/// predicts then.
const SCRIPT: &str = r#"
import json, os, sys
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras, numpy as np
from keras import layers
folder = sys.argv[1]
case = json.load(open(f"{folder}/case.json"))
x = np.array(case["x"], "float32").reshape(12, 6, 6, 2)
y = np.array(case["y"], "int32")
def make():
    model = keras.Sequential([
        keras.Input([6, 6, 2]),
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.BatchNormalization(),
        layers.SeparableConv2D(3, 3),
        layers.Flatten(),
        layers.Dense(8, activation="relu"),
        layers.Dropout(0.2),
        layers.Dense(3, activation="softmax"),
    ])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model
model = make()
ours = np.array(case["predictions"], "float32").reshape(12, 3)
assert np.abs(model.predict(x, verbose=0) - ours).max() > 1e-3
# Keras loads an optimizer's state only where the optimizer has been built.
model.optimizer.build(model.trainable_variables)
model.load_weights(f"{folder}/ours.weights.h5")
difference = np.abs(model.predict(x, verbose=0) - ours).max()
assert difference < 1e-5, difference
assert int(model.optimizer.iterations) == case["iterations"], model.optimizer.iterations
checkpoint = keras.callbacks.ModelCheckpoint(f"{folder}/theirs.weights.h5", save_weights_only=True)
model.fit(x, y, epochs=2, batch_size=4, verbose=0, callbacks=[checkpoint])
again = make()
again.load_weights(f"{folder}/theirs.weights.h5")
theirs = again.predict(x, verbose=0)
json.dump([float(number) for number in theirs.ravel()], open(f"{folder}/theirs.json", "w"))
"#;

fn model() -> Sequential {
    let mut model = Sequential::from_layers([
        Input::new([6, 6, 2]).into(),
        Conv2D::new(4, [3, 3])
            .padding("same")
            .activation("relu")
            .into(),
        BatchNormalization::new().into(),
        SeparableConv2D::new(3, [3, 3]).into(),
        Flatten::new().into(),
        Dense::new(8).activation("relu").into(),
        Dropout::new(0.2).into(),
        Dense::new(3).activation("softmax").into(),
    ]);
    let loss = "sparse_categorical_crossentropy";
    model.compile("adam", loss, Vec::<&str>::new()).unwrap();
    model
}

/// Needs the real Keras: `DANLU_KERAS_PYTHON=/path/to/python cargo test -p danlu --test keras_weights -- --ignored`.
#[test]
#[ignore = "needs Keras 3.15.1: DANLU_KERAS_PYTHON names its python"]
fn weights_of_checkpoints_go_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let x = (0..12 * 72).map(|i| ((i * 7919 + 13) % 101) as f32 / 50.0 - 1.0);
    let x = Tensor::from_f32(&[12, 6, 6, 2], x.collect()).unwrap();
    let y = Tensor::from_i32(&[12], (0..12).map(|i| i % 3).collect()).unwrap();
    let mut ours = model();
    let path = at("ours.weights.h5");
    let checkpoint = ModelCheckpoint::new(path.to_str().unwrap()).save_weights_only(true);
    let options = FitOptions::new().epochs(3).batch_size(4).verbose(false);
    ours.fit((&x, &y), options.callback(checkpoint)).unwrap();
    let predictions = ours.predict(&x, PredictOptions::new()).unwrap();
    let case = json!({
        "x": x.to_f64(), "y": y.to_f64(), "predictions": predictions.to_f64(),
        "iterations": ours.iteration().unwrap(),
    });
    std::fs::write(at("case.json"), case.to_string()).unwrap();

    let python = std::env::var("DANLU_KERAS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = Command::new(python);
    let output = command.args(["-c", SCRIPT]).arg(folder.path()).output();
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");

    let theirs: Value = serde_json::from_slice(&std::fs::read(at("theirs.json")).unwrap()).unwrap();
    let mut again = model();
    again.load_weights(at("theirs.weights.h5")).unwrap();
    let found = again.predict(&x, PredictOptions::new()).unwrap();
    for (place, expected) in theirs.as_array().unwrap().iter().enumerate() {
        let (found, expected) = (found.get_f64(place), expected.as_f64().unwrap());
        assert!(
            (found - expected).abs() < 1e-5,
            "[{place}] is {found}, in Keras {expected}"
        );
    }
    assert_ne!(found.to_f64(), predictions.to_f64());
}
