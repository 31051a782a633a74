//! Models of ours in the real Keras: they predict the same, and one further step gives the same weights.

use std::process::Command;

use danlu::prelude::*;
use serde_json::json;

const SCRIPT: &str = r#"
import json, os, sys
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras, numpy as np
folder = sys.argv[1]
def array(json): return np.array(json["values"], json["dtype"]).reshape(json["shape"])
for case in json.load(open(f"{folder}/cases.json")):
    x, y, after = array(case["x"]), array(case["y"]), [array(w) for w in case["after"]]
    for extension in ["keras", "h5"]:
        name = f"{case['name']}.{extension}"
        model = keras.saving.load_model(f"{folder}/{name}")
        difference = np.abs(model.predict(x, verbose=0) - array(case["predictions"])).max()
        assert difference < 1e-5, (name, "predictions", difference)
        if case["evaluation"]:
            found = model.evaluate(x, y, verbose=0, return_dict=True)
            # Read from a .h5, Keras calls "mae" by its long name.
            known = {key: value for key, value in case["evaluation"].items() if key in found}
            assert len(known) == len(found) - (2 if extension == "h5" else 0), (name, list(found))
            for key, expected in known.items():
                assert abs(found[key] - expected) < 1e-5 * max(1, abs(expected)), (name, key, found[key], expected)
        loss = model.train_on_batch(x, y)
        if extension == "keras" and not case["random"]:
            for index, (found, expected) in enumerate(zip(model.get_weights(), after, strict=True)):
                difference = np.abs(found - expected).max()
                assert difference < 1e-5, (name, index, difference)
        print(name, "good")
"#;

fn numbers(shape: &[usize], start: usize) -> Tensor {
    let count: usize = shape.iter().product();
    let values = (start..start + count).map(|i| ((i * 7919 + 13) % 101) as f32 / 50.0 - 1.0);
    Tensor::from_f32(shape, values.collect()).unwrap()
}

fn array(tensor: &Tensor) -> serde_json::Value {
    json!({ "dtype": tensor.dtype().name(), "shape": tensor.shape(), "values": tensor.to_f64() })
}

fn chain(layers: impl IntoIterator<Item = LayerSpec>) -> Sequential {
    Sequential::from_layers(layers)
}

/// Needs the real Keras: `DANLU_KERAS_PYTHON=/path/to/python cargo test -p danlu --test keras_models -- --ignored`.
#[test]
#[ignore = "needs Keras 3.15.1: DANLU_KERAS_PYTHON names its python"]
fn keras_goes_on_with_our_models() {
    let folder = tempfile::tempdir().unwrap();
    let classes = Tensor::from_i32(&[8], (0..8).map(|i| i % 3).collect()).unwrap();
    let mut cases = Vec::new();
    let mut save = |name: &str, mut model: Sequential, x: Tensor, y: Tensor, random: bool| {
        for _ in 0..3 {
            model.train_on_batch(&x, &y, None).unwrap();
        }
        let predictions = model.predict(&x, PredictOptions::new()).unwrap();
        let results = model.evaluate((&x, &y), EvaluateOptions::new().batch_size(3));
        let evaluation: serde_json::Map<_, _> = match name {
            "metrics" => {
                let results = results.unwrap();
                let results = results.iter();
                results
                    .map(|(name, value)| (name.to_owned(), json!(value)))
                    .collect()
            }
            _ => serde_json::Map::new(),
        };
        for extension in ["keras", "h5"] {
            let path = folder.path().join(format!("{name}.{extension}"));
            model.save(path).unwrap();
        }
        model.train_on_batch(&x, &y, None).unwrap();
        let after: Vec<_> = model.weights().unwrap().iter().map(array).collect();
        cases.push(json!({
            "name": name, "x": array(&x), "y": array(&y), "random": random,
            "predictions": array(&predictions), "after": after, "evaluation": evaluation,
        }));
    };

    let mut model = chain([
        Input::new([8, 8, 1]).into(),
        Conv2D::new(3, [3, 3]).activation("relu").into(),
        MaxPooling2D::new([2, 2]).into(),
        Flatten::new().into(),
        Dense::new(8).activation("relu").into(),
        Dense::new(3).activation("softmax").into(),
    ]);
    model
        .compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        .unwrap();
    save(
        "article",
        model,
        numbers(&[8, 8, 8, 1], 0),
        classes.clone(),
        false,
    );

    let mut model = chain([
        Input::new([9, 7, 4]).into(),
        Rescaling::new(0.5).offset(0.25).into(),
        Conv2D::new(6, [3, 2])
            .strides([2, 2])
            .padding("same")
            .groups(2)
            .into(),
        Conv2D::new(4, [3, 3])
            .padding("same")
            .dilation_rate([2, 2])
            .use_bias(false)
            .into(),
        ActivationLayer::new("tanh").into(),
        AveragePooling2D::new([2, 2]).padding("same").into(),
        Reshape::new([-1, 4]).into(),
        Flatten::new().into(),
        Dense::new(3).kernel_initializer("he_normal").name("head"),
    ]);
    let optimizer = SGD::new(0.05)
        .momentum(0.9)
        .nesterov(true)
        .clipping(Clipping::GlobalNorm(1.0));
    let loss = SparseCategoricalCrossentropy::new().from_logits(true);
    let metric = Metric::new(SparseCategoricalAccuracy {}).named("right");
    model.compile(optimizer, loss, [metric]).unwrap();
    save(
        "convolutions",
        model,
        numbers(&[8, 9, 7, 4], 3),
        classes.clone(),
        false,
    );

    let mut model = chain([
        Input::new([5]).into(),
        Dense::new(6).activation("sigmoid").into(),
        Dense::new(2).into(),
    ]);
    model.compile(SGD::new(0.1), "mse", ["mae", "mse"]).unwrap();
    save(
        "regression",
        model,
        numbers(&[8, 5], 1),
        numbers(&[8, 2], 2),
        false,
    );

    let mut model = chain([
        Input::new([6]).into(),
        Dense::new(4).activation("relu").into(),
        Dropout::new(0.5).seed(3).into(),
        Dense::new(1).activation("sigmoid").trainable(false),
    ]);
    let metrics = [Metric::new(BinaryAccuracy::new().threshold(0.4))];
    model
        .compile(
            Adam::new(0.01),
            BinaryCrossentropy::new().label_smoothing(0.1),
            metrics,
        )
        .unwrap();
    let y = Tensor::from_f32(&[8, 1], (0..8).map(|i| (i % 2) as f32).collect()).unwrap();
    save("dropout", model, numbers(&[8, 6], 1), y, true);

    let mut adapted = Normalization::new();
    adapted.adapt(&numbers(&[9, 6, 5, 2], 4)).unwrap();
    let kernel_constraint = MaxNorm::new(1.2).axis([0, 1, 2]);
    let mut model = chain([
        Input::new([6, 5, 2]).into(),
        adapted.into(),
        Conv2D::new(4, [3, 3])
            .use_bias(false)
            .kernel_regularizer(L2::new(0.02))
            .kernel_constraint(kernel_constraint)
            .into(),
        BatchNormalization::new()
            .momentum(0.7)
            .gamma_regularizer("l1")
            .into(),
        PReLU::new()
            .shared_axes([1, 2])
            .alpha_initializer("ones")
            .into(),
        GroupNormalization::new().groups(2).epsilon(0.01).into(),
        Flatten::new().into(),
        Dense::new(5)
            .bias_constraint("non_neg")
            .activity_regularizer(L1L2::new(0.01, 0.02)),
        LayerNormalization::new().into(),
        RMSNormalization::new().into(),
        BatchNormalization::new().trainable(false),
        ActivityRegularization::new(0.01, 0.02).into(),
        Dense::new(4)
            .kernel_regularizer("orthogonal_regularizer")
            .kernel_constraint(MinMaxNorm::new(0.5, 1.0).rate(0.5))
            .into(),
        Normalization::new()
            .statistics(&[0.1, 0.2, 0.3, 0.4], &[1.0, 2.0, 3.0, 4.0])
            .invert(true)
            .into(),
        UnitNormalization::new().into(),
        Dense::new(3).activation("softmax").into(),
    ]);
    let loss = "sparse_categorical_crossentropy";
    model.compile(SGD::new(0.05), loss, ["accuracy"]).unwrap();
    save(
        "normalized",
        model,
        numbers(&[8, 6, 5, 2], 6),
        classes,
        false,
    );

    let mut model = chain([
        Input::new([4]).into(),
        Embedding::new(6, 3).name("words"),
        Flatten::new().into(),
        Dense::new(2).into(),
    ]);
    let metrics = Vec::<&str>::new();
    // Not Adam: on TensorFlow Keras squares the gradients of a word that comes twice before it adds them up.
    let optimizer = SGD::new(0.05).momentum(0.9);
    model.compile(optimizer, "mse", metrics).unwrap();
    let words = (0..32).map(|i| (i * i % 5) as f32).collect();
    let words = Tensor::from_f32(&[8, 4], words).unwrap();
    save("embedding", model, words, numbers(&[8, 2], 4), false);

    let mut model = chain([
        Input::new([5]).into(),
        Dense::new(3).activation("sigmoid").into(),
    ]);
    // No loss as a metric: Keras writes it into a `.h5` as a name that it cannot read there.
    let metrics = [
        json!("mape"),
        json!({ "type": "AUC", "label_weights": [0.5, 2.0, 1.0] }),
        json!({ "type": "AUC", "curve": "PR", "multi_label": true, "name": "pr" }),
        json!({ "type": "F1Score", "average": "macro" }),
        json!({ "type": "Precision" }),
        json!({ "type": "Precision", "top_k": 1 }),
        json!({ "type": "SensitivityAtSpecificity", "specificity": 0.4 }),
        json!({ "type": "OneHotIoU", "num_classes": 3, "target_class_ids": [0, 2] }),
        json!({ "type": "TopKCategoricalAccuracy", "k": 2 }),
        json!({ "type": "R2Score", "class_aggregation": "variance_weighted_average" }),
        json!({ "type": "RootMeanSquaredError", "name": "root" }),
        json!({ "type": "CosineSimilarity" }),
        json!({ "type": "LogCoshError" }),
        json!({ "type": "BinaryCrossentropy", "label_smoothing": 0.1 }),
    ];
    let metrics = metrics
        .iter()
        .map(|metric| Metric::from_json(metric).unwrap())
        .collect();
    let weighted = vec![Metric::from_name("mae").unwrap()];
    let loss =
        json!({ "type": "BinaryFocalCrossentropy", "gamma": 1.5, "apply_class_balancing": true });
    let loss = Loss::from_json(&loss).unwrap();
    model
        .compile_with(SGD::new(0.1), loss, metrics, weighted)
        .unwrap();
    let y = (0..24).map(|i| f32::from(u8::from(i % 3 == i / 3 % 3)));
    let y = Tensor::from_f32(&[8, 3], y.collect()).unwrap();
    save("metrics", model, numbers(&[8, 5], 4), y, false);

    let cases = serde_json::to_string(&cases).unwrap();
    std::fs::write(folder.path().join("cases.json"), cases).unwrap();
    let python = std::env::var("DANLU_KERAS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(python)
        .args(["-c", SCRIPT])
        .arg(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    assert_eq!(text.matches("good").count(), 14, "{text}");
}
