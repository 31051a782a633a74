//! Eight trainings that learn nothing, or nothing that lasts: dead and saturated units, overfitting, plateaus.

use danlu::diagnosis::Kind;
use danlu::prelude::*;

use super::material::*;

#[test]
fn biases_below_zero_leave_units_dead() {
    let examples = clouds(256, 8, 4, 0.5);
    let mut model = model([
        Input::new([8]).into(),
        Dense::new(32).activation("relu").name("alive"),
        Dense::new(32)
            .activation("relu")
            .bias_initializer(Initializer::Constant { value: -50.0 })
            .name("dead"),
        Dense::new(4).activation("softmax").into(),
    ]);
    model
        .compile(Adam::default(), CLASSES, ["accuracy"])
        .unwrap();
    at(
        &first(model, &examples, 1, 32, Kind::DeadUnits),
        1,
        8,
        Some("dead"),
    );
}

#[test]
fn a_relu_that_answers_for_numbers_below_zero_dies() {
    let mut examples = curve(256, 4, 1.0, 0.1);
    let targets = examples.y.as_f32_mut().unwrap().iter_mut();
    targets.for_each(|target| *target -= 9.0);
    let mut model = model([
        Input::new([4]).into(),
        Dense::new(16).activation("tanh").into(),
        Dense::new(1).activation("relu").name("answer"),
    ]);
    model
        .compile(Adam::new(0.5), "mse", Vec::<&str>::new())
        .unwrap();
    let found = first(model, &examples, 3, 32, Kind::DeadUnits);
    at(&found, found.epoch, 8 * found.epoch as u64, Some("answer"));
}

#[test]
fn a_convolution_with_dead_channels_is_named() {
    let examples = digits(256);
    let mut model = model([
        Input::new([8, 8, 1]).into(),
        Conv2D::new(16, [3, 3]).name("first"),
        ReLU::new().name("first_relu"),
        Conv2D::new(16, [3, 3])
            .bias_initializer(Initializer::Constant { value: -20.0 })
            .name("second"),
        ReLU::new().name("second_relu"),
        Flatten::new().into(),
        Dense::new(10).activation("softmax").into(),
    ]);
    model
        .compile(Adam::default(), CLASSES, ["accuracy"])
        .unwrap();
    at(
        &first(model, &examples, 1, 64, Kind::DeadUnits),
        1,
        4,
        Some("second_relu"),
    );
}

#[test]
fn inputs_that_are_not_scaled_saturate_tanh() {
    let mut examples = clouds(256, 8, 4, 1.0);
    examples
        .x
        .as_f32_mut()
        .unwrap()
        .iter_mut()
        .for_each(|x| *x = *x * 200.0 + 500.0);
    let mut model = model([
        Input::new([8]).into(),
        Dense::new(16).activation("tanh").name("hidden"),
        Dense::new(4).activation("softmax").into(),
    ]);
    model
        .compile(Adam::default(), CLASSES, ["accuracy"])
        .unwrap();
    at(
        &first(model, &examples, 1, 32, Kind::SaturatedUnits),
        1,
        8,
        Some("hidden"),
    );
}

#[test]
fn labels_learned_by_heart_overfit() {
    let examples = shuffled(clouds(120, 16, 3, 1.0), 3);
    let mut model = deep(
        16,
        2,
        64,
        "relu",
        Initializer::GlorotUniform { seed: None },
        3,
    );
    model
        .compile(Adam::new(0.003), CLASSES, ["accuracy"])
        .unwrap();
    let options = (40, 0.3);
    let outcome = train(&mut model, &examples, options, 16);
    assert_eq!(outcome.kinds(), [(Kind::Overfitting, None)]);
    let found = &outcome.found[0];
    assert!((6..30).contains(&found.epoch), "{found}");
    println!("{found}");
}

#[test]
fn a_few_noisy_numbers_overfit() {
    let examples = curve(80, 12, 1.0, 3.0);
    let mut model = model([
        Input::new([12]).into(),
        Dense::new(128).activation("relu").into(),
        Dense::new(64).activation("relu").into(),
        Dense::new(1).into(),
    ]);
    model
        .compile(Adam::new(0.003), "mse", Vec::<&str>::new())
        .unwrap();
    let options = (60, 0.25);
    let outcome = train(&mut model, &examples, options, 16);
    assert_eq!(outcome.kinds(), [(Kind::Overfitting, None)]);
}

#[test]
fn a_rate_of_nearly_nothing_stays_on_a_plateau() {
    let examples = clouds(256, 8, 4, 1.0);
    let mut model = deep(8, 1, 16, "relu", wide(0.001), 4);
    model
        .compile(SGD::new(1e-6), CLASSES, ["accuracy"])
        .unwrap();
    let found = first(model, &examples, 6, 32, Kind::Plateau);
    at(&found, 5, 40, None);
    assert!(
        found
            .message
            .contains("the loss stays at 1.386 for 5 epochs"),
        "{found}"
    );
}

#[test]
fn labels_that_belong_to_other_examples_stay_on_a_plateau() {
    let examples = shuffled(clouds(2048, 4, 4, 1.0), 4);
    let mut model = model([
        Input::new([4]).into(),
        Dense::new(4).activation("softmax").into(),
    ]);
    model
        .compile(Adam::new(0.01), CLASSES, ["accuracy"])
        .unwrap();
    let found = first(model, &examples, 10, 64, Kind::Plateau);
    assert!(
        (5..=8).contains(&found.epoch) && found.layer.is_none(),
        "{found}"
    );
}
