//! Transfer learning: a network that learned five classes of digits, whose head is replaced and which then learns the other
//! five from 100 pictures, against the same network that learns those 100 pictures from nothing. Prints the table of the book's
//! chapter on functional models.
//!
//! `cargo run --release --example transfer` with MNIST's four files where `danlu::data` looks for them, or, on the digits that come
//! with the build, `cargo run --release --example transfer -- digits`.

use danlu::prelude::*;

/// What a seed came to: shares of the test pictures of the other five classes that are right.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Of the network that learned five classes before.
    pub transferred: f64,
    /// Of the one that did not.
    pub scratch: f64,
}

/// The first pictures of the classes from `first` on, five of them, which are called 0 to 4; `each` of a class at most.
fn five(data: &ArrayDataset, first: i32, each: usize, skip: usize) -> danlu::Result<ArrayDataset> {
    let (pictures, labels) = (&data.features()[0], &data.targets()[0]);
    let size: usize = pictures.shape()[1..].iter().product();
    let pixels = pictures.to_f64();
    let mut counts = [0; 5];
    let (mut chosen, mut kinds) = (Vec::new(), Vec::new());
    for (place, picture) in pixels.chunks(size).enumerate() {
        let kind = labels.get_f64(place) as i32 - first;
        let Ok(class) = usize::try_from(kind) else {
            continue;
        };
        let Some(count) = counts.get_mut(class) else {
            continue;
        };
        *count += 1;
        if *count > skip && *count <= skip + each {
            chosen.extend(picture.iter().map(|&pixel| (pixel / 255.0) as f32));
            kinds.push(kind);
        }
    }
    let mut shape = pictures.shape().to_vec();
    shape[0] = kinds.len();
    let pictures = Tensor::from_f32(&shape, chosen)?;
    let kinds = Tensor::from_i32(&[kinds.len()], kinds)?;
    Ok(ArrayDataset::new(pictures, kinds)?)
}

/// The body: what is learned about pictures whatever their classes.
fn body(shape: &[usize], seed: u64) -> danlu::Result<Model> {
    let mut body = Sequential::new();
    body.add(Input::new(shape));
    for (place, filters) in [32, 32, 64, 64, 128].into_iter().enumerate() {
        body.add(Conv2D::new(filters, [3, 3]).padding("same").use_bias(false));
        body.add(BatchNormalization::new().momentum(0.9));
        body.add(ReLU::new());
        if place % 2 == 1 {
            body.add(MaxPooling2D::new([2, 2]));
        }
    }
    body.add(GlobalAveragePooling2D::new());
    body.set_name("body");
    body.set_seed(seed);
    body.build()?;
    Ok(body.into_model())
}

/// A body with a head for five classes.
fn with_head(body: Model, shape: &[usize], seed: u64) -> danlu::Result<Model> {
    let pictures = Symbol::input(Input::new(shape));
    let features = SharedLayer::new(body).apply(&pictures);
    let head = Dense::new(5).activation("softmax").name("head");
    let mut model = Model::new(&pictures, head.apply(&features))?;
    model.set_seed(seed);
    model.compile(
        Adam::default(),
        "sparse_categorical_crossentropy",
        ["accuracy"],
    )?;
    Ok(model)
}

fn learn(model: &mut Model, data: &ArrayDataset, epochs: usize, seed: u64) -> danlu::Result<()> {
    let options = FitOptions::new()
        .epochs(epochs)
        .batch_size(20)
        .seed(seed)
        .verbose(false);
    model.fit(data, options).map(drop)
}

/// Both ways, with 100 pictures of this seed's own (20 of each class), seen so many times: after each number of epochs.
pub fn run(
    train: &ArrayDataset,
    test: &ArrayDataset,
    seed: u64,
    epochs: &[usize],
) -> danlu::Result<Vec<Outcome>> {
    let shape = train.specification().features[0].shape.clone();
    let before = five(train, 0, 1000, 0)?;
    let few = five(train, 5, 20, 20 * seed as usize)?;
    let judged = five(test, 5, usize::MAX / 2, 0)?;
    let mut first = with_head(body(&shape, seed)?, &shape, seed)?;
    learn(&mut first, &before, 3, seed)?;
    // The body leaves its head behind; its weights come along.
    let learned = first.layer_weights("body")?;
    let accuracy = |body: Model, epochs: usize| -> danlu::Result<f64> {
        let mut model = with_head(body, &shape, seed)?;
        learn(&mut model, &few, epochs, seed)?;
        Ok(model.evaluate(&judged, EvaluateOptions::new())?["accuracy"])
    };
    let outcome = |&epochs: &usize| {
        let mut own = body(&shape, seed)?;
        own.set_weights(&learned)?;
        Ok(Outcome {
            transferred: accuracy(own, epochs)?,
            scratch: accuracy(body(&shape, seed)?, epochs)?,
        })
    };
    epochs.iter().map(outcome).collect()
}

/// How often the 100 pictures are seen.
const EPOCHS: [usize; 2] = [10, 30];

#[allow(dead_code)]
fn main() -> danlu::Result<()> {
    let name = std::env::args().nth(1).unwrap_or("mnist".to_owned());
    let data = danlu::data::open_builtin(&name)?;
    let (Some(train), Some(test)) = (data.train, data.test) else {
        return Err(format!("{name} lacks a part").into());
    };
    println!(
        "| epochs | seed | transferred | from scratch | points better |\n|---|---|---|---|---|"
    );
    let mut sums = [[0.0; 2]; EPOCHS.len()];
    for seed in 0..5 {
        let outcomes = run(&train, &test, seed, &EPOCHS)?;
        for ((epochs, outcome), sums) in EPOCHS.iter().zip(outcomes).zip(&mut sums) {
            let shares = [outcome.transferred, outcome.scratch];
            print_row(*epochs, &seed.to_string(), shares);
            *sums = [sums[0] + shares[0] / 5.0, sums[1] + shares[1] / 5.0];
        }
    }
    for (epochs, means) in EPOCHS.iter().zip(sums) {
        print_row(*epochs, "mean", means);
    }
    Ok(())
}

fn print_row(epochs: usize, name: &str, shares: [f64; 2]) {
    let [transferred, scratch] = shares.map(|share| share * 100.0);
    println!(
        "| {epochs} | {name} | {transferred:.1} % | {scratch:.1} % | {:.1} |",
        transferred - scratch
    );
}
