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

#[test]
fn a_model_s_layer_takes_statistics_of_what_comes_to_it() {
    let data: Vec<f32> = (0..700 * 3).map(|i| (i * 37 % 101) as f32 / 10.0).collect();
    let data = Tensor::from_f32(&[700, 3], data).unwrap();
    let before = || Dense::new(2).activation("tanh").name("before");
    let mut model = Sequential::new();
    model.add(Input::new([3]));
    model.add(before());
    model.add(Normalization::new().name("standard"));
    model.add(Dense::new(1).name("after"));
    model.compile("sgd", "mse", ["mae"]).unwrap();
    let others = model.layer_weights("before").unwrap();
    model.adapt("standard", &data).unwrap();
    assert_eq!(model.layer_weights("before").unwrap(), others);
    // The layer alone, on what the first layer gives.
    let mut first = Sequential::new();
    first.add(Input::new([3]));
    first.add(before());
    first.build().unwrap();
    first.set_weights(&others).unwrap();
    let hidden = first.predict(&data, PredictOptions::new()).unwrap();
    let mut alone = Normalization::new();
    alone.adapt(&hidden).unwrap();
    let expected = alone.adapted().unwrap();
    let found = model.layer_weights("standard").unwrap();
    crate::golden::assert_tensor("mean", &found[0], &expected[0], 1e-6);
    crate::golden::assert_tensor("variance", &found[1], &expected[1], 1e-6);
    assert!(expected[1].to_f64()[0] > 1e-3);
    // Training leaves them as they are.
    let y = Tensor::zeros(&[700, 1], DType::F32).unwrap();
    model
        .fit((&data, &y), FitOptions::new().verbose(false))
        .unwrap();
    assert_eq!(model.layer_weights("standard").unwrap(), found);
}

#[test]
fn what_cannot_be_adapted_is_an_error() {
    let data = Tensor::from_f32(&[2, 2], vec![1.0, 2.0, 3.0, f32::NAN]).unwrap();
    let mut model = Sequential::new();
    model.add(Input::new([2]));
    model.add(Normalization::new().name("standard"));
    model.add(
        Normalization::new()
            .statistics(&[0.0], &[1.0])
            .name("given"),
    );
    model.add(Dense::new(1).name("dense"));
    model.build().unwrap();
    let mut check = |layer: &str, part: &str| {
        let error = model.adapt(layer, &data).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    };
    check("standrad", "did you mean `standard`?");
    check(
        "dense",
        "the name of a Normalization layer, received `dense`, which is Dense",
    );
    check("given", "mean and variance were given");
    check("standard", "infinite or NaN");
    let wide = Tensor::zeros(&[2, 3], DType::F32).unwrap();
    assert!(model.adapt("standard", &wide).is_err());
    let unchanged = model.layer_weights("standard").unwrap();
    assert_eq!(unchanged[0].to_f64(), [0.0, 0.0]);
    assert_eq!(unchanged[1].to_f64(), [1.0, 1.0]);
}
