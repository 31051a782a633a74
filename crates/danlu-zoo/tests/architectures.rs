//! The architectures against Keras' and the papers', by name and as files.

use std::collections::HashMap;

use danlu::layers::LayerSpec;
use danlu::prelude::*;
use danlu::{Config, config};
use danlu_zoo::{CifarResNet, LeNet5, ResNet, VGG, build, describe, names};
use serde_json::Value as Json;

fn golden() -> Json {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/golden/applications.json"
    );
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// Built without drawing random numbers, which takes longer than all else.
fn built(name: &str) -> Model {
    let mut model = build(name, config! { "kernel_initializer": "zeros" }).unwrap();
    model.build().unwrap();
    model
}

/// The names of the layers whose outputs a layer of Keras' config takes.
fn inputs(layer: &Json) -> Vec<Json> {
    fn visit(value: &Json, names: &mut Vec<Json>) {
        match value {
            Json::Object(object)
                if object.get("class_name") == Some(&"__keras_tensor__".into()) =>
            {
                names.push(value["config"]["keras_history"][0].clone());
            }
            Json::Object(object) => object.values().for_each(|value| visit(value, names)),
            Json::Array(values) => values.iter().for_each(|value| visit(value, names)),
            _ => {}
        }
    }
    let mut names = Vec::new();
    visit(&layer["inbound_nodes"], &mut names);
    names
}

/// The cells of a summary's row, by the layer's name; words that were wrapped are joined again.
fn rows(summary: &str) -> HashMap<String, Vec<String>> {
    let mut rows = HashMap::new();
    for block in summary.split(['├', '┡', '└']).skip(1) {
        let mut cells = vec![String::new(); 4];
        for line in block.lines().filter(|line| line.starts_with('│')) {
            let parts = line.trim_matches('│').split('│');
            for (cell, part) in cells.iter_mut().zip(parts) {
                *cell = format!("{cell} {}", part.trim()).trim().to_owned();
            }
        }
        let name = cells[0].split(' ').next().unwrap().to_owned();
        rows.insert(name, cells);
    }
    rows
}

fn is_keras(name: &str) {
    let golden = golden();
    let cases = golden["cases"].as_array().unwrap();
    let case = cases.iter().find(|case| case["name"] == name).unwrap();
    let model = built(name);
    assert_eq!(model.count_parameters(), case["parameters"]);
    let described = build(name, Config::new()).unwrap().to_keras();
    let layers = described["config"]["layers"].as_array().unwrap();
    let expected = case["layers"].as_array().unwrap();
    assert_eq!(layers.len(), expected.len());
    let rows = rows(&model.summary());
    for (layer, expected) in layers.iter().zip(expected) {
        let title = expected[0].as_str().unwrap();
        // Keras counts the inputs of a process.
        if expected[1] != "InputLayer" {
            assert_eq!(layer["name"], expected[0]);
        }
        assert_eq!(layer["class_name"], expected[1], "{title}");
        assert_eq!(inputs(layer), *expected[4].as_array().unwrap(), "{title}");
        for (argument, value) in expected[5].as_object().unwrap() {
            let mut found = &layer["config"][argument];
            if argument == "kernel_initializer" {
                found = &found["class_name"];
            }
            assert_eq!(found, value, "{title}: {argument}");
        }
        let weights = model.layer_weights(layer["name"].as_str().unwrap());
        let sizes = weights.unwrap().into_iter().map(|weight| weight.len());
        assert_eq!(Json::from(sizes.sum::<usize>()), expected[3], "{title}");
        let sizes = expected[2].as_array().unwrap().iter();
        let sizes: Vec<String> = sizes.map(Json::to_string).collect();
        let shape = format!("(None, {})", sizes.join(", "));
        if expected[1] != "InputLayer" {
            assert_eq!(rows[title][1], shape, "{title}");
        }
    }
}

#[test]
fn resnet50_is_layer_by_layer_that_of_keras() {
    is_keras("resnet50");
}

#[test]
fn vgg16_is_layer_by_layer_that_of_keras() {
    is_keras("vgg16");
}

#[test]
fn parameters_are_as_many_as_published() {
    // Torchvision's ResNet-18 and 34 and VGG-11 and 13 (models.resnet18() etc., version 0.24), LeNet-5 as it is usually built, and the
    // exact numbers of the paper's 0.27, 0.46, 0.66, 0.85 and 1.7 million; statistics of normalizations do not count there.
    for (name, count) in [
        ("lenet5", 61_706),
        ("resnet18", 11_689_512),
        ("resnet20", 269_722),
        ("resnet32", 464_154),
        ("resnet34", 21_797_672),
        ("resnet44", 658_586),
        ("resnet56", 853_018),
        ("resnet110", 1_727_962),
    ] {
        let model = built(name);
        assert_eq!(model.count_trainable_parameters(), count, "{name}");
    }
    let projected = CifarResNet::new(20).shortcut("projection");
    let mut projected = projected.build().unwrap();
    projected.build().unwrap();
    assert_eq!(projected.count_trainable_parameters(), 272_474);
}

#[test]
#[ignore = "takes 2 GB of memory and some seconds"]
fn parameters_of_the_large_ones_are_as_many_as_published() {
    for (name, count) in [("vgg11", 132_863_336), ("vgg13", 133_047_848)] {
        assert_eq!(built(name).count_parameters(), count, "{name}");
    }
    for (name, count) in golden()["counts"].as_object().unwrap() {
        assert_eq!(built(name).count_parameters(), *count, "{name}");
    }
}

#[test]
fn shapes_are_as_asked() {
    let shape = |model: danlu::Result<Model>| {
        let mut model = model.unwrap();
        model.build().unwrap();
        model.output_shape().unwrap()
    };
    let narrow = || ResNet::new(50).width(0.125).input_shape([64, 96, 3]);
    assert_eq!(shape(narrow().classes(7).build()), [7]);
    let headless = || narrow().include_top(false);
    assert_eq!(shape(headless().build()), [2, 3, 256]);
    assert_eq!(shape(headless().pooling("avg").build()), [256]);
    let headless = VGG::new(16).width(0.1).include_top(false).pooling("max");
    assert_eq!(shape(headless.input_shape([40, 33, 2]).build()), [51]);
    let small = CifarResNet::new(20).width(0.3).input_shape([9, 7, 1]);
    assert_eq!(shape(small.include_top(false).build()), [3, 2, 20]);
    assert_eq!(
        shape(
            LeNet5::new()
                .padding("valid")
                .input_shape([32, 32, 1])
                .build()
        ),
        [10]
    );
    let small = LeNet5::new().input_shape([12, 12, 3]).include_top(false);
    assert_eq!(shape(small.build()), [1, 1, 16]);
}

#[test]
fn a_summary_says_what_is_connected() {
    let text = built("resnet20").summary();
    let rows = rows(&text);
    assert_eq!(rows["conv3_block1_0_concat"][1], "(None, 16, 16, 32)");
    let inputs = &rows["conv3_block1_add"][3];
    assert_eq!(
        inputs,
        "conv3_block1_0_concat[0][0], conv3_block1_2_bn[0][0]"
    );
    assert!(text.contains("Total params: 271,098"), "{text}");
    assert!(text.contains("Trainable params: 269,722"), "{text}");
}

#[test]
fn regularizers_and_dropout_are_where_they_belong() {
    let model = VGG::new(11).width(0.05).dropout(0.5).weight_decay(2e-4);
    let model = model.build().unwrap();
    let names = model.layer_names();
    let end = ["fc1", "fc1_dropout", "fc2", "fc2_dropout", "predictions"];
    assert_eq!(names[names.len() - 5..], end);
    for (name, layer) in model.layers() {
        let config = layer.config();
        let regularizer = config.get("kernel_regularizer");
        if let Some(regularizer) = regularizer {
            assert_eq!(regularizer["config"]["l2"], 1e-4, "{name}");
        }
        let expected = ["Conv2D", "Dense"].contains(&layer.class_name());
        assert_eq!(regularizer.is_some(), expected, "{name}");
    }
    let model = build("resnet20", config! { "dropout": 0.1 }).unwrap();
    assert!(model.layer("dropout").is_some());
}

#[test]
fn models_survive_keras_files() {
    let folder = tempfile::tempdir().unwrap();
    let x: Vec<f32> = (0..2 * 32 * 32 * 3)
        .map(|index| (index as f32 * 0.7).sin())
        .collect();
    let x = Tensor::from_f32(&[2, 32, 32, 3], x).unwrap();
    let arguments = config! { "width": 0.25, "input_shape": [32, 32, 3], "classes": 5 };
    for name in ["lenet5", "vgg11", "resnet18", "resnet20", "resnet50"] {
        let mut model = build(name, arguments.clone()).unwrap();
        model.set_seed(3);
        let expected = model.predict(&x, PredictOptions::new()).unwrap();
        for extension in ["keras", "h5"] {
            let file = folder.path().join(format!("{name}.{extension}"));
            model.save(&file).unwrap();
            let mut again = Model::load(&file).unwrap();
            assert_eq!(again.to_keras(), model.to_keras(), "{name}.{extension}");
            let found = again.predict(&x, PredictOptions::new()).unwrap();
            assert_eq!(found, expected, "{name}.{extension}");
        }
    }
}

#[test]
fn training_steps_lower_the_loss_of_resnet20() {
    let mut model = build(
        "resnet20",
        config! { "width": 0.5, "input_shape": [8, 8, 1] },
    )
    .unwrap();
    let pixels: Vec<f32> = (0..16 * 64)
        .map(|index| ((index * 7919) % 256) as f32 / 255.0)
        .collect();
    let x = Tensor::from_f32(&[16, 8, 8, 1], pixels).unwrap();
    let y = Tensor::from_u8(&[16], (0..16).map(|index| index % 10).collect()).unwrap();
    let optimizer = SGD::new(0.05).momentum(0.9);
    model
        .compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])
        .unwrap();
    let options = FitOptions::new().epochs(8).batch_size(16).verbose(false);
    let history = model.fit((&x, &y), options).unwrap();
    let losses = history.get("loss").unwrap();
    assert!(
        losses[1] < losses[0] && losses[7] < 0.5 * losses[0],
        "{losses:?}"
    );
}

#[test]
fn every_architecture_is_described_and_takes_its_defaults() {
    for name in names() {
        let described = describe(name).unwrap();
        assert!(!described.summary.is_empty(), "{name}");
        let same = build(name, described.defaults).unwrap();
        let plain = build(name, Config::new()).unwrap();
        assert_eq!(same.to_keras(), plain.to_keras(), "{name}");
        assert_eq!(plain.name(), name);
    }
}

#[test]
fn wrong_names_and_arguments_are_errors() {
    let refused = |name: &str, arguments: Config, expected: &str| {
        let error = build(name, arguments).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(
        "resnet21",
        Config::new(),
        "no architecture named `resnet21`; did you mean `resnet",
    );
    refused(
        "resnet20",
        config! { "clases": 3 },
        "resnet20 has no argument `clases`; did you mean `classes`?",
    );
    refused(
        "resnet20",
        config! { "padding": "same" },
        "resnet20 has no argument `padding`",
    );
    refused(
        "vgg16",
        config! { "input_shape": [28, 28, 1] },
        "vgg16: `input_shape` must be (height, width, channels) of at least (32, 32, 1)",
    );
    refused(
        "vgg16",
        config! { "input_shape": [28, 28] },
        "three whole numbers",
    );
    refused(
        "resnet50",
        config! { "width": 0.0 },
        "resnet50: `width` must be above 0",
    );
    refused("resnet50", config! { "width": 65 }, "at most 64");
    refused(
        "resnet50",
        config! { "dropout": 1.0 },
        "`dropout` must be from 0",
    );
    refused(
        "resnet50",
        config! { "weight_decay": -1.0 },
        "`weight_decay` must be",
    );
    refused(
        "resnet50",
        config! { "pooling": "avg" },
        "left out where `include_top` is true",
    );
    refused(
        "resnet50",
        config! { "pooling": "average", "include_top": false },
        "no pooling named `average`",
    );
    refused(
        "resnet50",
        config! { "classifier_activation": "sotfmax" },
        "did you mean `softmax`?",
    );
    refused(
        "resnet50",
        config! { "kernel_initializer": "he_norm" },
        "did you mean `he_normal`?",
    );
    refused(
        "resnet20",
        config! { "shortcut": "identify" },
        "did you mean `identity`?",
    );
    refused(
        "lenet5",
        config! { "padding": "causal" },
        "`same` or `valid`",
    );
    refused(
        "lenet5",
        config! { "input_shape": [8, 8, 1] },
        "at least (12, 12, 1)",
    );
    let refused = |model: danlu::Result<Model>, expected: &str| {
        let error = model.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(CifarResNet::new(21).build(), "`depth` must be 6n + 2");
    refused(ResNet::new(20).build(), "`depth` must be 18, 34");
    refused(VGG::new(12).build(), "`depth` must be 11, 13");
    refused(
        ResNet::new(18).classes(0).build(),
        "`classes` must be at least 1",
    );
}

#[test]
fn a_frozen_body_costs_no_gradient_and_keeps_its_statistics() {
    let body = CifarResNet::new(20).width(0.25).input_shape([8, 8, 1]);
    let compiled = |trainable: bool| {
        let body = body.clone().include_top(false).pooling("avg");
        let body = LayerSpec::from(body.build().unwrap()).trainable(trainable);
        let x = Symbol::input(Input::new([8, 8, 1]));
        let hidden = body.name("body").apply(&x);
        let head = Dense::new(10).activation("softmax").apply(hidden);
        let mut model = Model::new(x, head).unwrap();
        let loss = "sparse_categorical_crossentropy";
        model.compile(Adam::default(), loss, ["accuracy"]).unwrap();
        model
    };
    let operations = |model: &Model, training| model.graph_text(training).unwrap();
    let (whole, mut frozen) = (compiled(true), compiled(false));
    for gradient in ["conv2d_weight_gradient", "conv2d_input_gradient"] {
        assert!(operations(&whole, true).contains(gradient));
        assert!(!operations(&frozen, true).contains(gradient));
    }
    // The body's part of the step is that of a prediction: no statistics of a batch, nothing that moves.
    let of_body = |text: &str| text.lines().filter(|line| line.contains("body")).count();
    let step = operations(&frozen, true);
    assert_eq!(of_body(&step), of_body(&operations(&frozen, false)));
    let before = frozen.layer_weights("body").unwrap();
    let x = Tensor::from_f32(&[4, 8, 8, 1], vec![0.5; 256]).unwrap();
    let y = Tensor::from_u8(&[4], vec![0, 1, 2, 3]).unwrap();
    let head = frozen.layer_weights("dense").unwrap();
    let options = FitOptions::new().epochs(2).verbose(false);
    frozen.fit((&x, &y), options).unwrap();
    assert_eq!(frozen.layer_weights("body").unwrap(), before);
    assert_ne!(frozen.layer_weights("dense").unwrap(), head);
}
