//! Eight trainings whose gradients explode or vanish, each with the layer and the step at which it is to be seen.

use danlu::diagnosis::Kind;
use danlu::layers::LayerSpec;
use danlu::prelude::*;

use super::material::*;

#[test]
fn large_initial_weights_of_a_deep_relu_network_explode() {
    let examples = clouds(256, 8, 4, 0.5);
    let mut model = deep(8, 6, 32, "relu", wide(1.0), 4);
    model
        .compile(SGD::new(1e-6), CLASSES, ["accuracy"])
        .unwrap();
    let found = first(model, &examples, 2, 32, Kind::ExplodingGradients);
    assert_eq!((found.epoch, found.step), (0, 0), "before the first step");
    // The smallest kernel: with ReLUs, norm and gradient's norm are the same product in every layer.
    assert_eq!(found.layer.as_deref(), Some("answer"), "{found}");
}

#[test]
fn a_rate_that_moves_weights_by_more_than_their_size_explodes() {
    let examples = clouds(256, 8, 4, 1.0);
    let mut model = deep(
        8,
        1,
        16,
        "tanh",
        Initializer::GlorotUniform { seed: None },
        4,
    );
    model
        .compile(SGD::new(300.0), CLASSES, ["accuracy"])
        .unwrap();
    let found = first(model, &examples, 3, 32, Kind::ExplodingGradients);
    at(&found, 0, 0, Some("answer"));
}

#[test]
fn targets_that_are_not_scaled_explode_under_gradient_descent() {
    let examples = curve(256, 6, 1e4, 0.1);
    let mut model = model([
        Input::new([6]).into(),
        Dense::new(16).activation("tanh").name("hidden"),
        Dense::new(1).name("price"),
    ]);
    model
        .compile(SGD::new(0.01), "mse", Vec::<&str>::new())
        .unwrap();
    let found = first(model, &examples, 2, 32, Kind::ExplodingGradients);
    at(&found, 0, 0, Some("price"));
}

#[test]
fn a_convolution_with_large_weights_explodes() {
    let examples = digits(256);
    let start = || wide(2.0);
    let mut model = model([
        Input::new([8, 8, 1]).into(),
        Conv2D::new(16, [3, 3])
            .activation("relu")
            .kernel_initializer(start())
            .name("first"),
        Conv2D::new(16, [3, 3])
            .activation("relu")
            .kernel_initializer(start())
            .name("second"),
        Conv2D::new(16, [3, 3])
            .activation("relu")
            .kernel_initializer(start())
            .name("third"),
        Flatten::new().into(),
        Dense::new(10)
            .kernel_initializer(start())
            .activation("softmax")
            .name("answer"),
    ]);
    model
        .compile(Adam::default(), CLASSES, ["accuracy"])
        .unwrap();
    let found = first(model, &examples, 1, 32, Kind::ExplodingGradients);
    at(&found, 0, 0, Some("answer"));
}

#[test]
fn many_sigmoids_vanish() {
    let examples = clouds(256, 8, 4, 0.5);
    let mut model = deep(
        8,
        9,
        16,
        "sigmoid",
        Initializer::GlorotUniform { seed: None },
        4,
    );
    model
        .compile(Adam::default(), CLASSES, ["accuracy"])
        .unwrap();
    at(
        &first(model, &examples, 1, 32, Kind::VanishingGradients),
        1,
        8,
        Some("dense"),
    );
}

#[test]
fn small_initial_weights_vanish() {
    let examples = clouds(256, 8, 4, 0.5);
    let mut model = deep(8, 5, 16, "tanh", wide(0.01), 4);
    model
        .compile(SGD::new(0.01), CLASSES, ["accuracy"])
        .unwrap();
    at(
        &first(model, &examples, 1, 32, Kind::VanishingGradients),
        1,
        8,
        Some("dense"),
    );
}

#[test]
fn deep_convolutions_with_sigmoids_vanish() {
    let examples = digits(128);
    let mut layers: Vec<LayerSpec> = vec![Input::new([8, 8, 1]).into()];
    for _ in 0..8 {
        layers.push(
            Conv2D::new(8, [3, 3])
                .padding("same")
                .activation("sigmoid")
                .into(),
        );
    }
    layers.push(Flatten::new().into());
    layers.push(Dense::new(10).activation("softmax").into());
    let mut model = model(layers);
    model
        .compile(Adam::default(), CLASSES, ["accuracy"])
        .unwrap();
    at(
        &first(model, &examples, 1, 32, Kind::VanishingGradients),
        1,
        4,
        Some("conv2d"),
    );
}

#[test]
fn a_regression_through_small_tanh_layers_vanishes() {
    let examples = curve(128, 4, 1.0, 0.1);
    let mut layers: Vec<LayerSpec> = vec![Input::new([4]).into()];
    for _ in 0..10 {
        layers.push(
            Dense::new(12)
                .activation("tanh")
                .kernel_initializer(wide(0.08))
                .into(),
        );
    }
    layers.push(Dense::new(1).into());
    let mut model = model(layers);
    model
        .compile(RMSprop::new(1e-4), "mae", Vec::<&str>::new())
        .unwrap();
    at(
        &first(model, &examples, 1, 16, Kind::VanishingGradients),
        1,
        8,
        Some("dense"),
    );
}
