//! Adversarial examples by the fast gradient sign method, and training against them (Goodfellow et al. 2015, "Explaining and
//! Harnessing Adversarial Examples", sections 4 and 6), on the digits that come with the build.
//!
//! `cargo run --release --example adversarial`

use danlu::data::{BatchSource, Batches};
use danlu::graph::Value;
use danlu::prelude::*;
use danlu::training::{CustomStep, StepBuilder};

const LOSS: &str = "sparse_categorical_crossentropy";

/// Shares of the test part that a model gets right.
#[derive(Debug)]
pub struct Accuracy {
    /// On the pictures as they are.
    pub clean: f64,
    /// On pictures that were changed against the model, each pixel by `epsilon` at most.
    pub attacked: f64,
}

/// Pictures of a batch, changed so that the model's loss rises, within 0 to 1.
fn attack(step: &StepBuilder, x: &Value, y: &Value, epsilon: f64) -> danlu::Result<Value> {
    let output = step.call_model(&[x], false)?.remove(0);
    let loss = step.loss(LOSS, y, &output)?;
    let gradient = step.gradients(&loss, &[x])?.remove(0);
    let moved = x.add(&gradient.sign()?.multiply_scalar(epsilon)?)?;
    Ok(moved
        .maximum_scalar(0.0)?
        .minimum_scalar(1.0)?
        .stop_gradient()?)
}

/// Trains for so many epochs, against attacks or not, and gives what is right afterwards.
pub fn train(adversarial: bool, epochs: u64, epsilon: f64) -> danlu::Result<Accuracy> {
    let digits = danlu::data::open_builtin("digits")?.with_pixel_scale(1.0 / 255.0);
    let (Some(train), Some(test)) = (digits.train, digits.test) else {
        return Err("digits lacks a part".to_owned().into());
    };
    let x = Symbol::input(Input::new([8, 8, 1]));
    let hidden = Conv2D::new(16, [3, 3])
        .padding("same")
        .activation("relu")
        .apply(&x);
    let hidden = Dense::new(64)
        .activation("relu")
        .apply(Flatten::new().apply(&hidden));
    let mut model = Model::new(&x, Dense::new(10).activation("softmax").apply(&hidden))?;
    model.build()?;
    let inputs = [
        ("x", &[8, 8, 1][..], DType::F32),
        ("y", &[][..], DType::I32),
    ];
    let mut learn = model.custom_step("learn", &inputs, |step, inputs| {
        let (x, y) = (&inputs[0], &inputs[1]);
        let output = step.call_model(&[x], true)?.remove(0);
        let mut loss = step.loss(LOSS, y, &output)?;
        if adversarial {
            let moved = attack(step, x, y, epsilon)?;
            let output = step.call_model(&[&moved], true)?.remove(0);
            let other = step.loss(LOSS, y, &output)?;
            loss = loss.add(&other)?.multiply_scalar(0.5)?;
        }
        step.minimize(&loss, &[], Adam::default())?;
        step.output("loss", &loss);
        Ok(())
    })?;
    let mut judge = model.custom_step("judge", &inputs, |step, inputs| {
        let (x, y) = (&inputs[0], &inputs[1]);
        for (name, x) in [
            ("clean", x.clone()),
            ("attacked", attack(step, x, y, epsilon)?),
        ] {
            let output = step.call_model(&[&x], false)?.remove(0);
            let right = output.argmax(-1)?.cast(DType::I32)?.equal(y)?;
            step.output(name, &right.cast(DType::F32)?.sum_all()?);
        }
        Ok(())
    })?;
    let mut batch = Batch::default();
    let mut batches = Batches::new(std::sync::Arc::new(train), 64, Some(0))?;
    for epoch in 0..epochs {
        batches.start_pass(epoch);
        while batches.next_batch(&mut batch)? {
            model.run_step(&mut learn, &[&batch.features[0], &batch.targets[0]])?;
        }
    }
    let count = test.len() as f64;
    let mut right = [0.0; 2];
    let mut batches = Batches::new(std::sync::Arc::new(test), 99, None)?;
    while batches.next_batch(&mut batch)? {
        add(&mut right, &mut model, &mut judge, &batch)?;
    }
    let [clean, attacked] = right.map(|right| right / count);
    Ok(Accuracy { clean, attacked })
}

fn add(
    right: &mut [f64; 2],
    model: &mut Model,
    judge: &mut CustomStep,
    batch: &Batch,
) -> danlu::Result<()> {
    let found = model.run_step(judge, &[&batch.features[0], &batch.targets[0]])?;
    for (sum, own) in right.iter_mut().zip(found) {
        *sum += own.get_f64(0);
    }
    Ok(())
}

#[allow(dead_code)]
fn main() -> danlu::Result<()> {
    for (how, adversarial) in [("without attacks", false), ("with attacks", true)] {
        let Accuracy { clean, attacked } = train(adversarial, 30, 0.1)?;
        println!(
            "trained {how}: {:.1} % right, {:.1} % under attack",
            clean * 100.0,
            attacked * 100.0
        );
    }
    Ok(())
}
