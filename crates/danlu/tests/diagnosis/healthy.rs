//! Twenty trainings that go well, of which nothing is to be said.

use danlu::diagnosis::Kind;
use danlu::layers::LayerSpec;
use danlu::optimizers::schedules::CosineDecay;
use danlu::prelude::*;

use super::material::*;

/// Nothing is said, and the loss falls.
fn is_healthy(mut model: Sequential, examples: &Examples, options: (usize, f64), batch: usize) {
    let outcome = train(&mut model, examples, options, batch);
    let none: Vec<(Kind, Option<&str>)> = Vec::new();
    let said: Vec<String> = outcome
        .found
        .iter()
        .map(|one| format!("epoch {}: {one}", one.epoch))
        .collect();
    assert_eq!(outcome.kinds(), none, "{}", said.join("\n"));
    let losses = outcome.history.unwrap().get("loss").unwrap().to_vec();
    println!("{:.3} to {:.3}", losses[0], losses[losses.len() - 1]);
    assert!(
        losses.len() < 2 || losses[losses.len() - 1] < losses[0],
        "{losses:?}"
    );
}

/// The digits recipe's layers.
fn digits_layers(dropout: f64) -> Vec<LayerSpec> {
    vec![
        Input::new([8, 8, 1]).into(),
        Conv2D::new(32, [3, 3])
            .padding("same")
            .activation("relu")
            .into(),
        MaxPooling2D::new([2, 2]).into(),
        Conv2D::new(64, [3, 3])
            .padding("same")
            .activation("relu")
            .into(),
        MaxPooling2D::new([2, 2]).into(),
        Dropout::new(dropout).into(),
        Flatten::new().into(),
        Dense::new(128).activation("relu").into(),
        Dropout::new(dropout).into(),
        Dense::new(10).activation("softmax").into(),
    ]
}

fn digits_model(dropout: f64, rate: f64) -> Sequential {
    let mut model = model(digits_layers(dropout));
    model
        .compile(Adam::new(rate), CLASSES, ["accuracy"])
        .unwrap();
    model
}

#[test]
fn the_digits_recipe() {
    let options = (10, 0.2);
    is_healthy(digits_model(0.5, 0.002), &digits(1000), options, 16);
}

#[test]
fn the_digits_recipe_without_dropout() {
    let options = (8, 0.2);
    is_healthy(digits_model(0.0, 0.001), &digits(1000), options, 32);
}

#[test]
fn few_epochs_in_large_batches() {
    let options = (2, 0.1);
    is_healthy(digits_model(0.3, 0.003), &digits(600), options, 200);
}

#[test]
fn little_data_in_small_batches() {
    let options = (5, 0.2);
    is_healthy(digits_model(0.5, 0.001), &digits(60), options, 4);
}

#[test]
fn pixels_that_are_not_scaled() {
    let mut examples = digits(600);
    examples
        .x
        .as_f32_mut()
        .unwrap()
        .iter_mut()
        .for_each(|x| *x *= 255.0);
    let options = (4, 0.0);
    is_healthy(digits_model(0.2, 0.0005), &examples, options, 32);
}

#[test]
fn sorted_labels() {
    let mut order: Vec<(i32, usize)> = digits(600)
        .y
        .as_i32()
        .unwrap()
        .iter()
        .copied()
        .zip(0..)
        .collect();
    order.sort();
    let all = digits(600);
    let (x, y) = (all.x.as_f32().unwrap(), all.y.as_i32().unwrap());
    let sorted = Examples {
        x: Tensor::from_f32(
            &[600, 8, 8, 1],
            order
                .iter()
                .flat_map(|(_, row)| x[row * 64..][..64].to_vec())
                .collect(),
        )
        .unwrap(),
        y: Tensor::from_i32(&[600], order.iter().map(|(_, row)| y[*row]).collect()).unwrap(),
    };
    is_healthy(digits_model(0.3, 0.001), &sorted, (4, 0.0), 16);
}

#[test]
fn batch_normalization_and_shortcuts_under_gradient_descent() {
    let mut layers: Vec<LayerSpec> = vec![Input::new([8, 8, 1]).into()];
    for filters in [16, 16, 32, 32] {
        layers.push(
            Conv2D::new(filters, [3, 3])
                .padding("same")
                .use_bias(false)
                .into(),
        );
        layers.push(BatchNormalization::new().into());
        layers.push(ReLU::new().into());
    }
    layers.push(GlobalAveragePooling2D::new().into());
    layers.push(Dense::new(10).activation("softmax").into());
    let mut model = model(layers);
    let rate = CosineDecay::new(0.1, 100.0);
    model
        .compile(SGD::new(rate).momentum(0.9), CLASSES, ["accuracy"])
        .unwrap();
    is_healthy(model, &digits(640), (5, 0.0), 32);
}

#[test]
fn a_deep_network_that_is_normalized() {
    let mut layers: Vec<LayerSpec> = vec![Input::new([16]).into()];
    for _ in 0..10 {
        layers.push(Dense::new(32).kernel_initializer("he_normal").into());
        layers.push(BatchNormalization::new().into());
        layers.push(ActivationLayer::new("relu").into());
    }
    layers.push(Dense::new(4).activation("softmax").into());
    let mut model = model(layers);
    model
        .compile(Adam::new(0.001), CLASSES, ["accuracy"])
        .unwrap();
    is_healthy(model, &clouds(512, 16, 4, 1.0), (6, 0.0), 32);
}

#[test]
fn a_deep_relu_network_with_the_right_start() {
    let mut layers: Vec<LayerSpec> = vec![Input::new([16]).into()];
    for _ in 0..8 {
        layers.push(
            Dense::new(64)
                .activation("relu")
                .kernel_initializer("he_normal")
                .into(),
        );
    }
    layers.push(Dense::new(4).activation("softmax").into());
    let mut model = model(layers);
    model
        .compile(Adam::new(0.0005), CLASSES, ["accuracy"])
        .unwrap();
    is_healthy(model, &clouds(512, 16, 4, 1.0), (6, 0.0), 32);
}

#[test]
fn tanh_and_sigmoid_in_few_layers() {
    let mut model = model([
        Input::new([64]).into(),
        Dense::new(64).activation("tanh").into(),
        Dense::new(32).activation("sigmoid").into(),
        Dense::new(10).activation("softmax").into(),
    ]);
    model
        .compile(Adam::new(0.005), CLASSES, ["accuracy"])
        .unwrap();
    let mut examples = digits(600);
    examples.x = Tensor::from_f32(&[600, 64], examples.x.as_f32().unwrap().to_vec()).unwrap();
    is_healthy(model, &examples, (10, 0.2), 32);
}

#[test]
fn a_sigmoid_that_answers() {
    let mut examples = clouds(256, 6, 2, 0.2);
    examples.y = Tensor::from_f32(
        &[256, 1],
        (0..256).map(|place| (place % 2) as f32).collect(),
    )
    .unwrap();
    let mut model = model([
        Input::new([6]).into(),
        Dense::new(8).activation("relu").into(),
        Dense::new(1).activation("sigmoid").into(),
    ]);
    model
        .compile(Adam::new(0.02), "binary_crossentropy", ["accuracy"])
        .unwrap();
    is_healthy(model, &examples, (30, 0.0), 32);
}

fn regression(units: usize) -> Sequential {
    model([
        Input::new([6]).into(),
        Dense::new(units).activation("relu").into(),
        Dense::new(1).into(),
    ])
}

#[test]
fn a_regression() {
    let mut model = regression(32);
    model.compile(Adam::new(0.01), "mse", ["mae"]).unwrap();
    is_healthy(model, &curve(512, 6, 1.0, 0.1), (20, 0.2), 32);
}

#[test]
fn a_regression_of_large_numbers() {
    let mut model = regression(32);
    model
        .compile(Adam::new(0.5), "mae", Vec::<&str>::new())
        .unwrap();
    is_healthy(model, &curve(512, 6, 1e4, 0.1), (20, 0.0), 32);
}

#[test]
fn a_linear_regression_that_is_done_after_an_epoch() {
    let mut model = model([Input::new([6]).into(), Dense::new(1).into()]);
    model
        .compile(SGD::new(0.01), "mse", Vec::<&str>::new())
        .unwrap();
    is_healthy(model, &curve(2048, 6, 1.0, 1.0), (12, 0.0), 16);
}

#[test]
fn an_autoencoder() {
    let x = digits(500).x.as_f32().unwrap().to_vec();
    let x = Tensor::from_f32(&[500, 64], x).unwrap();
    let mut model = model([
        Input::new([64]).into(),
        Dense::new(32).activation("relu").into(),
        Dense::new(8).activation("relu").into(),
        Dense::new(32).activation("relu").into(),
        Dense::new(64).activation("sigmoid").into(),
    ]);
    model
        .compile(Adam::new(0.003), "binary_crossentropy", Vec::<&str>::new())
        .unwrap();
    is_healthy(model, &Examples { y: x.clone(), x }, (12, 0.2), 32);
}

#[test]
fn a_loss_that_falls_slowly() {
    let mut model = model([
        Input::new([16]).into(),
        Dense::new(32).activation("relu").into(),
        Dense::new(4).activation("softmax").into(),
    ]);
    model
        .compile(SGD::new(0.0005), CLASSES, ["accuracy"])
        .unwrap();
    is_healthy(model, &clouds(512, 16, 4, 1.0), (15, 0.2), 32);
}

#[test]
fn noisy_classes_that_cannot_be_told_apart_wholly() {
    let mut model = model([
        Input::new([4]).into(),
        Dense::new(16).activation("relu").into(),
        Dense::new(3).activation("softmax").into(),
    ]);
    model
        .compile(Adam::new(0.005), CLASSES, ["accuracy"])
        .unwrap();
    is_healthy(model, &clouds(1024, 4, 3, 2.0), (20, 0.2), 32);
}

#[test]
fn weight_decay_and_clipping() {
    let mut model = model([
        Input::new([16]).into(),
        Dense::new(64)
            .activation("gelu")
            .kernel_regularizer(L2::new(0.01))
            .into(),
        Dense::new(64)
            .activation("swish")
            .kernel_regularizer(L2::new(0.01))
            .into(),
        Dense::new(4).activation("softmax").into(),
    ]);
    model
        .compile(
            AdamW::default().clipping(Clipping::GlobalNorm(1.0)),
            CLASSES,
            ["accuracy"],
        )
        .unwrap();
    is_healthy(model, &clouds(512, 16, 4, 1.0), (10, 0.0), 32);
}

#[test]
fn an_embedding() {
    let words = numbers(512 * 6, 21)
        .into_iter()
        .map(|number| (number * 50.0).floor());
    let words: Vec<f32> = words.collect();
    let y = words
        .chunks(6)
        .map(|row| i32::from(row.iter().sum::<f32>() > 147.0))
        .collect();
    let examples = Examples {
        x: Tensor::from_f32(&[512, 6], words).unwrap(),
        y: Tensor::from_i32(&[512], y).unwrap(),
    };
    let mut model = model([
        Input::new([6]).into(),
        Embedding::new(50, 8).into(),
        GlobalAveragePooling1D::new().into(),
        Dense::new(16).activation("relu").into(),
        Dense::new(2).activation("softmax").into(),
    ]);
    model
        .compile(Adam::new(0.01), CLASSES, ["accuracy"])
        .unwrap();
    is_healthy(model, &examples, (12, 0.0), 32);
}

#[test]
fn a_deep_linear_chain_with_other_optimizers() {
    for optimizer in ["rmsprop", "nadam", "lion", "adagrad"] {
        let mut model = model([
            Input::new([16]).into(),
            Dense::new(32).activation("elu").into(),
            Dense::new(32).activation("leaky_relu").into(),
            Dense::new(32).activation("selu").into(),
            Dense::new(4).activation("softmax").into(),
        ]);
        model.compile(optimizer, CLASSES, ["accuracy"]).unwrap();
        is_healthy(model, &clouds(512, 16, 4, 1.0), (8, 0.0), 32);
    }
}
