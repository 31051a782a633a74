//! Functional models: against Keras', and what is wrong with a graph.

use serde_json::Value as Json;

use crate::golden::{assert_near, assert_tensor, list, load, tensor, tensors, text};
use crate::prelude::*;
use crate::{Error, Model};

fn all(case: &Json, name: &str) -> Vec<Tensor> {
    list(case, name).iter().map(tensor).collect()
}

fn named<S: Into<String>>(
    names: Vec<S>,
    tensors: Vec<Tensor>,
) -> Vec<(String, std::sync::Arc<Tensor>)> {
    let tensors = tensors.into_iter().map(std::sync::Arc::new);
    names.into_iter().map(S::into).zip(tensors).collect()
}

/// The model of a case with its weights, and inputs for it.
fn model(case: &Json) -> (Model, ArrayDataset) {
    let mut model = Model::from_keras(&case["config"]).unwrap();
    model.build().unwrap();
    model.set_weights(&all(case, "weights")).unwrap();
    let inputs = named(model.input_names(), all(case, "inputs"));
    let data = ArrayDataset::from_named("the data", inputs, Vec::new()).unwrap();
    (model, data)
}

#[test]
fn models_of_keras_predict_what_they_do_there() {
    for case in list(&load("functional"), "cases") {
        let (mut model, data) = model(case);
        let name = text(case, "name");
        let found = model
            .predict_outputs(&data, PredictOptions::new().batch_size(2))
            .unwrap();
        let expected = all(case, "outputs");
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(&expected) {
            assert_tensor(name, found, expected, 1e-5);
        }
        // Keras cuts long words, and we do not.
        let summary = text(case, "summary");
        if !summary.contains('…') {
            assert_eq!(model.summary().trim_end(), summary, "{name}");
        }
    }
}

#[test]
fn models_of_keras_are_trained_as_there() {
    let mut trained = 0;
    for case in list(&load("functional"), "cases") {
        if case.get("history").is_none() {
            continue;
        }
        trained += 1;
        let (mut model, _) = model(case);
        let name = text(case, "name");
        model.compile_from_config(&case["compile"]).unwrap();
        let targets = match &case["compile"]["loss"] {
            Json::Object(losses) => losses.keys().cloned().collect(),
            _ => model.output_names(),
        };
        let inputs = named(model.input_names(), all(case, "inputs"));
        let targets = named(targets, all(case, "targets"));
        let names: Vec<String> = targets.iter().map(|(name, _)| name.clone()).collect();
        let mut data = ArrayDataset::from_named("the data", inputs, targets).unwrap();
        if let Some(weights) = case.get("sample_weight") {
            for (name, weights) in names.iter().zip(tensors(weights)) {
                data = data.with_target_weights(name, weights).unwrap();
            }
        }
        let options = FitOptions::new()
            .epochs(2)
            .batch_size(5)
            .shuffle(false)
            .verbose(false);
        let history = model.fit(&data, options).unwrap();
        for key in case["history"].as_object().unwrap().keys() {
            // Keras has one key for both outputs of `inner`.
            if name == "twice" && key == "inner_loss" {
                continue;
            }
            let expected: Vec<f64> = list(&case["history"], key)
                .iter()
                .map(|v| v.as_f64().unwrap())
                .collect();
            let found = history
                .get(key)
                .unwrap_or_else(|| panic!("{name}: no {key}"));
            assert_near(&format!("{name} {key}"), found, &expected, 2e-5);
        }
        let after = all(case, "after");
        for ((name, found), expected) in model.named_weights().unwrap().iter().zip(&after) {
            assert_tensor(name, found, expected, 2e-5);
        }
        let again = model.compile_config().unwrap();
        for key in ["loss", "loss_weights", "metrics", "weighted_metrics"] {
            let own = |value: &Json| match value {
                // Weights of 1 change nothing.
                Json::Array(weights) if weights.iter().all(|one| one.as_f64() == Some(1.0)) => {
                    Json::Null
                }
                value => value.clone(),
            };
            if name != "named" && name != "twice" {
                assert_eq!(own(&again[key]), own(&case["compile"][key]), "{name} {key}");
            }
        }
    }
    assert_eq!(trained, 4);
}

#[test]
fn graphs_survive_both_formats() {
    let folder = tempfile::tempdir().unwrap();
    for case in list(&load("functional"), "cases") {
        let (mut model, data) = model(case);
        let name = text(case, "name");
        if let Some(config) = case.get("compile") {
            model.compile_from_config(config).unwrap();
        }
        let expected = model.predict_outputs(&data, PredictOptions::new()).unwrap();
        for extension in ["keras", "h5"] {
            let path = folder.path().join(format!("{name}.{extension}"));
            model.save(&path).unwrap();
            let mut again = Model::load(&path).unwrap();
            assert!(again.warnings().is_empty(), "{:?}", again.warnings());
            assert_eq!(again.to_keras(), model.to_keras(), "{name}.{extension}");
            // A `.h5` spells names of losses out.
            if extension == "keras" {
                assert_eq!(again.compile_config(), model.compile_config());
            }
            assert_eq!(
                again.named_weights().unwrap(),
                model.named_weights().unwrap()
            );
            let found = again.predict_outputs(&data, PredictOptions::new()).unwrap();
            assert_eq!(found, expected, "{name}.{extension}");
        }
    }
}

#[test]
fn graphs_are_made_of_symbols_in_keras_order() {
    let inside = Symbol::input(Input::new([4]).name("inside"));
    let left = Dense::new(3).activation("tanh").name("left").apply(&inside);
    let normal = BatchNormalization::new().name("norm").apply(&inside);
    let right = Dense::new(3).name("right").apply(&normal);
    let mut inner = Model::new(&inside, [&left, &right]).unwrap();
    inner.set_name("inner");
    let mut chain = Sequential::from_layers([
        Input::new([3]).into(),
        Dense::new(2).name("first"),
        BatchNormalization::new().name("second"),
    ]);
    chain.set_name("chain");
    let a = Symbol::input(Input::new([4]).name("a"));
    let b = Symbol::input(Input::new([4]).name("b"));
    let shared = SharedLayer::new(Dense::new(4).name("shared"));
    let total = Add::new()
        .name("total")
        .apply([shared.apply(&a), shared.apply(&b)]);
    let both = SharedLayer::new(inner).apply_all(&total);
    let chain = SharedLayer::new(chain);
    let (r, s) = (chain.apply(&both[0]), chain.apply(&both[1]));
    let merged = Concatenate::new().name("both").apply([&r, &s, &a]);
    let price = Dense::new(1).name("price").apply(&merged);
    let kind = ActivationLayer::new("softmax").name("kind").apply(&r);
    let mut model = Model::new([&a, &b], [&price, &kind]).unwrap();
    model.set_name("nested");
    model.build().unwrap();
    let golden = load("functional");
    let case = &list(&golden, "cases")[0];
    assert_eq!(text(case, "name"), "nested");
    assert_eq!(model.summary().trim_end(), text(case, "summary"));
    model.set_weights(&all(case, "weights")).unwrap();
    let inputs = named(model.input_names(), all(case, "inputs"));
    let data = ArrayDataset::from_named("the data", inputs, Vec::new()).unwrap();
    let found = model.predict_outputs(&data, PredictOptions::new()).unwrap();
    for (found, expected) in found.iter().zip(&all(case, "outputs")) {
        assert_tensor("nested", found, expected, 1e-5);
    }
}

#[test]
fn arithmetic_on_symbols_makes_layers() {
    let a = Symbol::input(Input::new([2]));
    let b = Symbol::input(Input::new([2]));
    let result = -(&(&a + &b) * &(&a - &b)) * 2.0 + 1.0 - 4.0;
    let mut model = Model::new([&a, &b], &result).unwrap();
    model.build().unwrap();
    let one = Tensor::from_f32(&[1, 2], vec![3.0, 1.0]).unwrap();
    let two = Tensor::from_f32(&[1, 2], vec![2.0, 5.0]).unwrap();
    let inputs = named(vec!["input_layer", "input_layer_1"], vec![one, two]);
    let data = ArrayDataset::from_named("the data", inputs, Vec::new()).unwrap();
    let found = model.predict(&data, PredictOptions::new()).unwrap();
    assert_eq!(found.as_f32().unwrap(), [-13.0, 45.0]);
}

#[test]
fn a_model_takes_its_weights_into_another() {
    let mut base = Sequential::from_layers([Input::new([3]).into(), Dense::new(2).into()]);
    base.build().unwrap();
    let weights = base.weights().unwrap();
    let x = Symbol::input(Input::new([3]));
    let head = Dense::new(1).apply(SharedLayer::new(base).apply(&x));
    let mut model = Model::new(&x, &head).unwrap();
    model.build().unwrap();
    let names: Vec<String> = model
        .named_weights()
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names,
        [
            "sequential/dense/kernel",
            "sequential/dense/bias",
            "dense/kernel",
            "dense/bias"
        ]
    );
    assert_eq!(model.layer_weights("sequential").unwrap(), weights);
}

#[test]
fn a_shared_dropout_draws_anew_at_each_call() {
    let x = Symbol::input(Input::new([64]));
    let dropout = SharedLayer::new(Dropout::new(0.5));
    let both = Concatenate::new().apply([dropout.apply(&x), dropout.apply(&x)]);
    let mut model = Model::new(&x, &both).unwrap();
    model.compile("sgd", "mae", Vec::<&str>::new()).unwrap();
    // Where both halves drop the same elements, a difference of 0 is left of each pair.
    let weights: Vec<f32> = (0..128)
        .map(|place| if place < 64 { 2.0 } else { 0.0 })
        .collect();
    let ones = Tensor::from_f32(&[1, 64], vec![1.0; 64]).unwrap();
    let targets = Tensor::from_f32(&[1, 128], weights).unwrap();
    let loss = model.train_on_batch(&ones, &targets, None).unwrap().loss();
    // |first - 2| + |second| over 128, elements being 0 or 2: equal halves give exactly 1.
    assert!((loss - 1.0).abs() > 1e-3, "{loss}");
}

fn message(result: crate::Result<Model>) -> String {
    let error: Error = result.and_then(|mut model| model.build()).unwrap_err();
    error.to_string()
}

#[test]
fn broken_graphs_are_errors_that_name_the_layers() {
    let (a, b) = (
        || Symbol::input(Input::new([4]).name("a")),
        || Symbol::input(Input::new([3]).name("b")),
    );
    let (x, y) = (a(), b());
    let text = message(Model::new(&x, Add::new().name("sum").apply([&x, &y])));
    assert!(
        text.contains("an output that needs b (InputLayer)") && text.contains("sum (Add)"),
        "{text}"
    );
    let text = message(Model::new([&x, &y], Add::new().name("sum").apply([&x, &y])));
    assert!(
        text.contains("sum (Add)") && text.contains('4') && text.contains('3'),
        "{text}"
    );
    let text = message(Model::new(Dense::new(2).name("middle").apply(a()), b()));
    assert!(
        text.contains("the result of layer middle (Dense)"),
        "{text}"
    );
    let x = a();
    let twice = Dense::new(2)
        .name("d")
        .apply(Dense::new(2).name("d").apply(&x));
    let text = message(Model::new(&x, twice));
    assert!(text.contains("(Dense)") && text.contains("`d`"), "{text}");
    let x = a();
    let shared = Dense::new(2).name("taken").apply(&x);
    Model::new(&x, &shared).unwrap();
    let text = message(Model::new(&x, &shared));
    assert!(text.contains("which a model took before"), "{text}");
    let text = message(Model::new(Vec::new(), a()));
    assert!(text.contains("at least one symbol"), "{text}");
    let mut loose = load("functional")["cases"][4]["config"].clone();
    let call = &mut loose["config"]["layers"][1]["inbound_nodes"][0]["args"][0]["config"];
    call["keras_history"][0] = "out".into();
    let text = message(Model::from_keras(&loose));
    assert!(
        text.contains("a cycle or a loose end") && text.contains("layer conv (Conv2D)"),
        "{text}"
    );
    call_that_is_not_there(loose);
}

fn call_that_is_not_there(mut config: Json) {
    let history = "/config/layers/1/inbound_nodes/0/args/0/config/keras_history";
    for (place, value, expected) in [
        (0, Json::from("nobody"), "nobody"),
        (2, Json::from(3), "output 3"),
    ] {
        let origin = config.pointer_mut(history).unwrap();
        *origin = serde_json::json!(["picture", 0, 0]);
        origin[place] = value;
        let text = message(Model::from_keras(&config));
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn losses_and_data_that_do_not_fit_the_outputs_are_errors() {
    let build = || {
        let x = Symbol::input(Input::new([4]).name("x"));
        let outputs = [
            Dense::new(3).name("kind").apply(&x),
            Dense::new(1).name("price").apply(&x),
        ];
        Model::new(&x, outputs).unwrap()
    };
    let mut model = build();
    let mut compile = |name: &str| {
        let objectives = [(name, Objective::new("mse"))];
        model.compile_outputs("sgd", objectives).map(drop)
    };
    let text = compile("prise").unwrap_err().to_string();
    assert!(text.contains("did you mean `price`"), "{text}");
    let text = build()
        .compile_outputs("sgd", [("kind", Objective::none())])
        .unwrap_err()
        .to_string();
    assert!(text.contains("a loss for one of the outputs"), "{text}");
    let text = build()
        .compile_outputs("sgd", [("kind", Objective::new("mse").weight(f64::NAN))])
        .unwrap_err()
        .to_string();
    assert!(text.contains("`kind`") && text.contains("weight"), "{text}");
    compile("price").unwrap();
    let x = || Tensor::zeros(&[2, 4], DType::F32).unwrap();
    // One output is trained, so one target is enough, and it is that output's.
    let price = Tensor::zeros(&[2, 1], DType::F32).unwrap();
    model
        .fit((&x(), &price), FitOptions::new().verbose(false))
        .unwrap();
    model.compile("sgd", "mse", Vec::<&str>::new()).unwrap();
    let error = model
        .fit((&x(), &price), FitOptions::new().verbose(false))
        .unwrap_err();
    assert!(
        error.to_string().contains("2 target arrays: kind, price"),
        "{error}"
    );
    let config = serde_json::json!({ "optimizer": "sgd", "loss": ["mse", "mse", "mse"] });
    let error = model.compile_from_config(&config).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("one for each of the outputs kind, price"),
        "{error}"
    );
    let error = model.predict(x(), PredictOptions::new()).unwrap_err();
    assert!(error.to_string().contains("predict_outputs"), "{error}");
}

/// Pictures to three kinds, and the way there in parts.
fn classifier() -> Model {
    let mut model = Sequential::from_layers([
        Input::new([6, 6, 1]).into(),
        Conv2D::new(2, [3, 3]).activation("relu").name("conv"),
        BatchNormalization::new().name("norm"),
        Flatten::new().name("flat"),
        Dense::new(3).activation("softmax").name("head"),
    ]);
    model.build().unwrap();
    model.into_model()
}

fn pictures() -> Tensor {
    let pixel = |place: i32| ((place * 37) % 23) as f32 / 23.0;
    Tensor::from_f32(&[4, 6, 6, 1], (0..144).map(pixel).collect()).unwrap()
}

#[test]
fn parts_of_a_model_give_what_its_layers_give() {
    let mut whole = classifier();
    let expected = whole.predict(pictures(), PredictOptions::new()).unwrap();
    let flat = whole
        .activations("flat", pictures(), PredictOptions::new())
        .unwrap();
    assert_eq!(flat.shape(), [4, 32]);
    let mut body = whole.part(&["flat"]).unwrap();
    assert_eq!(body.layer_names(), ["input_layer", "conv", "norm", "flat"]);
    let mut rest = whole.part_between(&["flat"], &["head"]).unwrap();
    let flat = body.predict(pictures(), PredictOptions::new()).unwrap();
    assert_eq!(
        rest.predict(&flat, PredictOptions::new()).unwrap(),
        expected
    );
    let both = whole.part(&["norm", "head"]).unwrap();
    assert_eq!(both.output_names(), ["norm", "head"]);
    // A graph's, with a model in it.
    let golden = load("functional");
    let (model, data) = model(&list(&golden, "cases")[0]);
    let mut part = model
        .part(&["chain"])
        .err()
        .map(|error| error.to_string())
        .unwrap();
    assert!(part.contains("called several times"), "{part}");
    let mut inner = model.part(&["inner"]).unwrap();
    assert_eq!(inner.output_names(), ["inner", "inner_1"]);
    let found = inner.predict_outputs(&data, PredictOptions::new()).unwrap();
    assert_eq!(found[1].shape(), [5, 3]);
    part = model
        .part_between(&["total"], &["both"])
        .unwrap_err()
        .to_string();
    assert!(part.contains("layer a (InputLayer)"), "{part}");
    assert!(
        model
            .part(&["totl"])
            .unwrap_err()
            .to_string()
            .contains("did you mean `total`")
    );
}

#[test]
fn frozen_layers_cost_nothing_and_keep_their_statistics() {
    let mut model = classifier();
    model.set_all_trainable(false);
    model.set_trainable("head", true).unwrap();
    model
        .compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        .unwrap();
    let before = model.named_weights().unwrap();
    let y = Tensor::from_i32(&[4], vec![0, 1, 2, 0]).unwrap();
    model.train_on_batch(&pictures(), &y, None).unwrap();
    for ((name, old), (_, new)) in before.iter().zip(model.named_weights().unwrap()) {
        assert_eq!(*old == new, !name.starts_with("head/"), "{name}");
    }
    let states = model.optimizer_state().unwrap();
    assert_eq!(states.len(), 2 + 4);
    let text = model.graph_text(true).unwrap();
    assert!(!text.contains("conv2d_weight_gradient"), "{text}");
    assert!(
        model
            .set_trainable("haed", true)
            .unwrap_err()
            .to_string()
            .contains("did you mean `head`")
    );
    // Of a model within a model.
    let x = Symbol::input(Input::new([6, 6, 1]));
    let mut base = classifier();
    base.set_name("base");
    let mut outer = Model::new(&x, SharedLayer::new(base).apply(&x)).unwrap();
    outer.build().unwrap();
    let all = outer.count_trainable_parameters();
    outer.set_trainable("base/conv", false).unwrap();
    assert_eq!(all - outer.count_trainable_parameters(), 20);
    assert!(!outer.is_trainable("base/conv").unwrap() && outer.is_trainable("base/head").unwrap());
    assert_eq!(
        outer.layer_weights("base/conv").unwrap()[0].shape(),
        [3, 3, 1, 2]
    );
    assert!(
        outer
            .layer_weights("base/conv/x")
            .unwrap_err()
            .to_string()
            .contains("a layer of a model")
    );
}

#[test]
fn weights_of_another_model_are_taken_as_far_as_they_fit() {
    let folder = tempfile::tempdir().unwrap();
    let old = classifier();
    let head = Dense::new(5).activation("softmax").name("head");
    let build = |head: LayerSpec, conv: &str| {
        let mut model = Sequential::from_layers([
            Input::new([6, 6, 1]).into(),
            Conv2D::new(2, [3, 3]).activation("relu").name(conv),
            BatchNormalization::new().name("norm"),
            Flatten::new().into(),
            head,
        ]);
        model.set_seed(7);
        model.build().unwrap();
        model.into_model()
    };
    let kernel = old.weight("conv/kernel").unwrap();
    for extension in ["keras", "h5", "safetensors"] {
        let path = folder.path().join(format!("old.{extension}"));
        old.save(&path).unwrap();
        let mut new = build(Dense::new(5).name("head"), "conv");
        let report = new.load_weights_by_name(&path).unwrap();
        assert_eq!(report.loaded, ["conv", "norm"], "{extension}");
        assert_eq!(report.mismatched[0].layer, "head");
        assert_eq!(new.weight("conv/kernel").unwrap(), kernel, "{extension}");
        let mut new = build(Dense::new(3).name("other"), "first");
        let report = new.load_weights_by_name(&path).unwrap();
        assert_eq!(
            (report.loaded.as_slice(), report.missing.as_slice()),
            (
                &["norm".to_owned()][..],
                &["first".to_owned(), "other".to_owned()][..]
            )
        );
        assert_eq!(report.unused.len(), 2);
        if extension == "safetensors" {
            assert!(
                new.load_weights_by_order(&path)
                    .unwrap_err()
                    .to_string()
                    .contains("no order")
            );
            continue;
        }
        let report = new.load_weights_by_order(&path).unwrap();
        assert_eq!(report.loaded, ["first", "norm", "other"]);
        assert_eq!(new.weight("first/kernel").unwrap(), kernel);
    }
    let mut new = build(head, "first");
    assert!(
        new.copy_weights_from(&old)
            .unwrap()
            .to_string()
            .contains("of other shapes")
    );
    let mut stranger = Sequential::from_layers([Input::new([2]).into(), Dense::new(1).name("x")]);
    stranger.build().unwrap();
    let error = stranger.copy_weights_from(&old).unwrap_err().to_string();
    assert!(
        error.contains("weights for one of its layers at least"),
        "{error}"
    );
}
