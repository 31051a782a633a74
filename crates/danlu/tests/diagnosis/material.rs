//! Data, models and trainings.

use danlu::diagnosis::{Diagnose, Diagnosis, Kind};
use danlu::layers::LayerSpec;
use danlu::prelude::*;

/// Examples with targets.
#[derive(Clone)]
pub struct Examples {
    pub x: Tensor,
    pub y: Tensor,
}

/// Numbers between 0 and 1 that look random.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32) / (1u64 << 24) as f32
    };
    (0..count).map(|_| next()).collect()
}

/// The sum of some: nearly normal, mean 0, variance 1.
pub fn normals(count: usize, seed: u64) -> Vec<f32> {
    let parts = numbers(count * 12, seed);
    parts
        .chunks(12)
        .map(|parts| parts.iter().sum::<f32>() - 6.0)
        .collect()
}

/// Clouds of points, one for each class.
pub fn clouds(count: usize, features: usize, classes: usize, spread: f32) -> Examples {
    let centers = normals(classes * features, 7);
    let noise = normals(count * features, 11);
    let labels: Vec<i32> = (0..count).map(|place| (place % classes) as i32).collect();
    let x = (0..count * features).map(|place| {
        let (row, column) = (place / features, place % features);
        centers[labels[row] as usize * features + column] + spread * noise[place]
    });
    Examples {
        x: Tensor::from_f32(&[count, features], x.collect()).unwrap(),
        y: Tensor::from_i32(&[count], labels.clone()).unwrap(),
    }
}

/// A number that depends on the features, and noise.
pub fn curve(count: usize, features: usize, scale: f32, noise: f32) -> Examples {
    let x = normals(count * features, 3);
    let extra = normals(count, 5);
    let y = x.chunks(features).zip(&extra).map(|(row, extra)| {
        let sum: f32 = row
            .iter()
            .enumerate()
            .map(|(place, x)| x * (place as f32 * 0.7).cos())
            .sum();
        scale * (sum + (row[0] * 2.0).sin() + noise * extra)
    });
    Examples {
        y: Tensor::from_f32(&[count, 1], y.collect()).unwrap(),
        x: Tensor::from_f32(&[count, features], x).unwrap(),
    }
}

/// The digits that come with Danlu, pixels from 0 to 1.
pub fn digits(count: usize) -> Examples {
    let source = danlu::data::sources::open_builtin("digits").unwrap();
    let train = source.with_pixel_scale(1.0 / 255.0).train.unwrap();
    let mut batch = Batch::default();
    train
        .get(&(0..count).collect::<Vec<_>>(), &mut batch)
        .unwrap();
    Examples {
        x: batch.features[0].clone(),
        y: batch.targets[0].clone(),
    }
}

/// The same features with targets that have nothing to do with them.
pub fn shuffled(examples: Examples, classes: usize) -> Examples {
    let count = examples.y.len();
    let labels = numbers(count, 17).into_iter();
    let labels = labels
        .map(|number| (number * classes as f32) as i32)
        .collect();
    Examples {
        y: Tensor::from_i32(&[count], labels).unwrap(),
        ..examples
    }
}

pub fn model(layers: impl IntoIterator<Item = LayerSpec>) -> Sequential {
    Sequential::from_layers(layers)
}

pub const CLASSES: &str = "sparse_categorical_crossentropy";

/// What came of a training.
pub struct Outcome {
    pub found: Vec<Diagnosis>,
    pub history: danlu::Result<History>,
}

impl Outcome {
    pub fn kinds(&self) -> Vec<(Kind, Option<&str>)> {
        let found = self.found.iter();
        found.map(|one| (one.kind, one.layer.as_deref())).collect()
    }
}

/// Trains under the eyes of `Diagnose`.
pub fn train(
    model: &mut Sequential,
    examples: &Examples,
    (epochs, split): (usize, f64),
    batch: usize,
) -> Outcome {
    let mut diagnose = Diagnose::new((&examples.x, &examples.y))
        .unwrap()
        .batch_size(batch);
    diagnose.begin(model).unwrap();
    let options = FitOptions::new()
        .epochs(epochs)
        .validation_split(split)
        .batch_size(batch)
        .verbose(false)
        .callback(&mut diagnose);
    let history = model.fit((&examples.x, &examples.y), options);
    Outcome {
        found: diagnose.found().to_vec(),
        history,
    }
}

/// A large random start.
pub fn wide(stddev: f64) -> Initializer {
    Initializer::RandomNormal {
        mean: 0.0,
        stddev,
        seed: None,
    }
}

/// Trains, and gives the first that was found of the kind.
pub fn first(
    mut model: Sequential,
    examples: &Examples,
    epochs: usize,
    batch: usize,
    kind: Kind,
) -> Diagnosis {
    let outcome = train(&mut model, examples, (epochs, 0.0), batch);
    for one in &outcome.found {
        println!("epoch {} step {}: {one}", one.epoch, one.step);
    }
    let found = outcome.found.iter().find(|one| one.kind == kind);
    found
        .unwrap_or_else(|| panic!("{:?} {:?}", outcome.kinds(), outcome.history))
        .clone()
}

pub fn at(found: &Diagnosis, epoch: usize, step: u64, layer: Option<&str>) {
    assert_eq!(
        (found.epoch, found.step, found.layer.as_deref()),
        (epoch, step, layer),
        "{found}"
    );
}

/// Dense layers of one width, named `dense`, `dense_1`, ..., and an answer.
pub fn deep(
    features: usize,
    layers: usize,
    units: usize,
    activation: &str,
    start: Initializer,
    classes: usize,
) -> Sequential {
    let mut all: Vec<LayerSpec> = vec![Input::new([features]).into()];
    for _ in 0..layers {
        let layer = Dense::new(units)
            .activation(activation)
            .kernel_initializer(start.clone());
        all.push(layer.into());
    }
    all.push(Dense::new(classes).activation("softmax").name("answer"));
    model(all)
}
