//! A small generative adversarial network (Goodfellow et al. 2014, "Generative Adversarial Nets", algorithm 1) on the digits that
//! come with the build: two steps over one model, each with its own optimizer, run one after the other.
//!
//! `cargo run --release --example gan`

use danlu::data::{BatchSource, Batches};
use danlu::graph::{Shape, Value};
use danlu::prelude::*;
use danlu::training::StepBuilder;

const NOISE: usize = 16;

/// What a training of the two came to.
pub struct Played {
    /// The losses of the critic and of the generator in the last epoch, means over its steps.
    pub losses: [f64; 2],
    /// Mean absolute difference between the mean picture of the digits and that of 256 made ones, before and after.
    pub distance: [f64; 2],
    /// Made pictures, (256, 64), numbers from 0 to 1.
    pub pictures: Tensor,
}

/// Generator and critic as the two layers of one model.
fn model() -> danlu::Result<Model> {
    let mut generator = Sequential::from_layers([
        Input::new([NOISE]).into(),
        Dense::new(64).activation("relu").into(),
        BatchNormalization::new().into(),
        Dense::new(64).activation("sigmoid").into(),
    ]);
    generator.set_name("generator");
    let mut critic = Sequential::from_layers([
        Input::new([64]).into(),
        Dense::new(64).into(),
        LeakyReLU::new().into(),
        Dropout::new(0.3).into(),
        Dense::new(1).into(),
    ]);
    critic.set_name("critic");
    let noise = Symbol::input(Input::new([NOISE]).name("noise"));
    let made = SharedLayer::new(generator).apply(&noise);
    let score = SharedLayer::new(critic).apply(&made);
    let mut model = Model::new(&noise, [&made, &score])?;
    model.build()?;
    Ok(model)
}

/// A number for each element of a value.
fn filled(like: &Value, number: f64) -> danlu::Result<Value> {
    Ok(like
        .multiply_scalar(0.0)?
        .add_scalar(number)?
        .stop_gradient()?)
}

/// Plays for so many epochs.
pub fn play(epochs: u64) -> danlu::Result<Played> {
    let digits = danlu::data::open_builtin("digits")?.with_pixel_scale(1.0 / 255.0);
    let Some(digits) = digits.train else {
        return Err("digits has no training part".to_owned().into());
    };
    let mut model = model()?;
    let inputs = [("pictures", &[8, 8, 1][..], DType::F32)];
    // Noise for as many pictures as there are in the batch.
    let noise = |step: &StepBuilder, pictures: &Value| {
        let examples = pictures.shape().dims()[0].clone();
        step.random_normal(&Shape::from(vec![examples, NOISE.into()]))
    };
    let flat = |pictures: &Value| pictures.reshape(&Shape::batch_of(&[64]));
    let rate = |rate| Adam::new(rate).beta_1(0.5);
    let mut critic = model.custom_step("critic", &inputs, |step, inputs| {
        let made = step.call("generator", &[&noise(step, &inputs[0])?])?;
        let real = step.call("critic", &[&flat(&inputs[0])?])?.remove(0);
        let fake = step.call("critic", &[&made[0]])?.remove(0);
        let logits = BinaryCrossentropy::new().from_logits(true);
        let right = step.loss(logits.clone(), &filled(&real, 1.0)?, &real)?;
        let wrong = step.loss(logits, &filled(&fake, 0.0)?, &fake)?;
        let loss = right.add(&wrong)?;
        step.minimize(&loss, &["critic"], rate(1e-3))?;
        step.output("loss", &loss);
        Ok(())
    })?;
    let mut generator = model.custom_step("generator", &inputs, |step, inputs| {
        let made = step.call("generator", &[&noise(step, &inputs[0])?])?;
        let fake = step.call("critic", &[&made[0]])?.remove(0);
        let logits = BinaryCrossentropy::new().from_logits(true);
        let loss = step.loss(logits, &filled(&fake, 1.0)?, &fake)?;
        step.minimize(&loss, &["generator"], rate(2e-3))?;
        step.output("loss", &loss);
        Ok(())
    })?;
    let mut make = model.custom_step("make", &inputs, |step, inputs| {
        let noise = noise(step, &inputs[0])?;
        let pictures = step.call_as("generator", &[&noise], false)?;
        step.output("pictures", &pictures[0]);
        Ok(())
    })?;
    let some = Tensor::zeros(&[256, 8, 8, 1], DType::F32)?;
    let real = mean_picture(&digits.features()[0].to_f64(), 1.0 / 255.0);
    let distance = |made: &Tensor| {
        let made = mean_picture(&made.to_f64(), 1.0);
        let pairs = real.iter().zip(made);
        pairs.map(|(one, other)| (one - other).abs()).sum::<f64>() / 64.0
    };
    let before = distance(&model.run_step(&mut make, &[&some])?[0]);
    let mut batches = Batches::new(std::sync::Arc::new(digits), 64, Some(0))?;
    let mut batch = Batch::default();
    let mut losses = [0.0; 2];
    for epoch in 0..epochs {
        batches.start_pass(epoch);
        let (mut sums, mut steps) = ([0.0; 2], 0.0);
        while batches.next_batch(&mut batch)? {
            sums[0] += model.run_step(&mut critic, &[&batch.features[0]])?[0].get_f64(0);
            sums[1] += model.run_step(&mut generator, &[&batch.features[0]])?[0].get_f64(0);
            steps += 1.0;
        }
        losses = sums.map(|sum| sum / steps);
    }
    let pictures = model.run_step(&mut make, &[&some])?[0].clone();
    Ok(Played {
        losses,
        distance: [before, distance(&pictures)],
        pictures,
    })
}

fn mean_picture(pictures: &[f64], scale: f64) -> Vec<f64> {
    let mut mean = vec![0.0; 64];
    for picture in pictures.chunks(64) {
        for (sum, pixel) in mean.iter_mut().zip(picture) {
            *sum += pixel * scale;
        }
    }
    let count = (pictures.len() / 64) as f64;
    mean.into_iter().map(|sum| sum / count).collect()
}

#[allow(dead_code)]
fn main() -> danlu::Result<()> {
    let played = play(60)?;
    let [critic, generator] = played.losses;
    println!("loss of the critic {critic:.3}, of the generator {generator:.3}");
    let [before, after] = played.distance;
    println!("mean picture: {before:.4} from the digits' at first, {after:.4} at last");
    let pixels = played.pictures.to_f64();
    for picture in pixels.chunks(64).take(3) {
        for row in picture.chunks(8) {
            let shade =
                |pixel: &f64| [" ", ".", "o", "#"][((pixel * 4.0) as usize).min(3)].repeat(2);
            println!("{}", row.iter().map(shade).collect::<String>());
        }
        println!();
    }
    Ok(())
}
