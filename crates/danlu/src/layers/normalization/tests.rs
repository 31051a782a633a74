use super::*;
use crate::golden::{list, load, tensor, text};
use crate::layers::{LayerSpec, harness};
use crate::prelude::*;

#[test]
fn normalization_passes_the_harness() {
    let layer = Normalization::new().statistics(&[0.5, -1.0], &[2.0, 0.25]);
    harness::check(layer.invert(true), &[3, 2]);
    harness::check(
        Normalization::new().axis([]).statistics(&[0.5], &[4.0]),
        &[3],
    );
}

#[test]
fn adapted_statistics_are_those_of_keras() {
    for case in list(&load("parameters"), "adapted") {
        let name = text(case, "name");
        let arguments = crate::golden::config(&case["config"]);
        let mut arguments = Arguments::new("Normalization", arguments);
        let mut layer = Normalization::from_config(&mut arguments).unwrap();
        layer.adapt(&tensor(&case["data"])).unwrap();
        let data = tensor(&case["data"]);
        let mut again = layer.clone();
        again.adapt_dataset(&many(&data)).unwrap();
        for (found, expected) in again
            .adapted
            .iter()
            .flatten()
            .zip(layer.adapted.iter().flatten())
        {
            crate::golden::assert_tensor(name, found, expected, 1e-6);
        }
        let x = tensor(&case["x"]);
        let mut model = Sequential::new();
        model.add(Input::new(&x.shape()[1..]));
        model.add(layer);
        model.build().unwrap();
        let weights = model.weights().unwrap();
        for (found, expected) in weights.iter().zip(list(case, "weights")) {
            let expected = tensor(expected);
            crate::golden::assert_near(name, &found.to_f64(), &expected.to_f64(), 1e-5);
        }
        assert_eq!(weights[2], Tensor::scalar_i64(0), "{name}: count");
        let found = model.predict(&x, PredictOptions::new()).unwrap();
        crate::golden::assert_tensor(name, &found, &tensor(&case["output"]), 1e-5);
    }
}

/// The same examples so often that they are read in several pieces, the last of which is shorter.
fn many(data: &Tensor) -> ArrayDataset {
    let times = 100;
    let mut shape = data.shape().to_vec();
    shape[0] *= times;
    let labels = Tensor::zeros(&[shape[0]], DType::F32).unwrap();
    let values = data.as_f32().unwrap().repeat(times);
    ArrayDataset::new(Tensor::from_f32(&shape, values).unwrap(), labels).unwrap()
}

#[test]
fn nested_statistics_survive_and_spread() {
    let arguments = config! {
        "axis": [1, 2], "mean": [[1.0, 2.0], [3.0, 4.0]], "variance": [[1.0, 4.0], [9.0, 16.0]],
    };
    let spec = LayerSpec::from_arguments("Normalization", arguments.clone()).unwrap();
    assert_eq!(spec.layer.config()["mean"], arguments["mean"]);
    let mut model = Sequential::new();
    model.add(Input::new([2, 2]));
    model.add(spec);
    model.build().unwrap();
    let x = Tensor::from_f32(&[1, 2, 2], vec![2.0, 4.0, 9.0, 8.0]).unwrap();
    let found = model.predict(&x, PredictOptions::new()).unwrap();
    assert_eq!(found.to_f64(), [1.0, 1.0, 2.0, 1.0]);
}

#[test]
fn wrong_arguments_are_errors() {
    let layer = Normalization::new;
    let part = "`variance` must be finite numbers of at least 0";
    harness::refuses(layer().statistics(&[0.0], &[-1.0]), &[2], part);
    let part = "`mean` must be finite numbers";
    harness::refuses(layer().statistics(&[f64::NAN], &[1.0]), &[2], part);
    let part = "`mean` must be numbers of shape [2], or one";
    harness::refuses(layer().statistics(&[0.0; 3], &[1.0; 3]), &[2], part);
    let part = "`variance` must be of the shape of `mean`, [3]";
    harness::refuses(layer().statistics(&[0.0; 3], &[1.0; 2]), &[3], part);
    harness::refuses(layer().axis([0]), &[2], "not that of the examples");
    for (config, part) in [
        (config! { "mean": 1.0 }, "`variance` must be given"),
        (
            config! { "mean": [[1.0], []], "variance": 1.0 },
            "nested lists",
        ),
        (config! { "mean": [], "variance": [] }, "received none"),
    ] {
        let error = LayerSpec::from_arguments("Normalization", config).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    let mut given = layer().statistics(&[0.0], &[1.0]);
    let data = Tensor::from_f32(&[2, 1], vec![1.0, f32::NAN]).unwrap();
    let error = given.adapt(&data).unwrap_err().to_string();
    assert!(error.contains("mean and variance were given"), "{error}");
    let error = layer().adapt(&data).unwrap_err().to_string();
    assert!(error.contains("infinite or NaN"), "{error}");
    let empty = Tensor::zeros(&[0, 2], DType::F32).unwrap();
    assert!(layer().adapt(&empty).is_err());
}
