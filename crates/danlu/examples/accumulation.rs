//! Gradients of several small batches added up before one step: what a batch too large for memory would do. Two steps over one
//! model: one adds gradients to numbers that the steps keep, one changes the parameters by them. (An optimizer's
//! `gradient_accumulation_steps` does the same within `fit`; this is how such a loop is written.)
//!
//! `cargo run --release --example accumulation`

use danlu::prelude::*;

/// The weights after `updates` of them, each by the mean gradient of `parts` batches, into which `x` and `y` are cut.
pub fn train(x: &Tensor, y: &Tensor, parts: usize, updates: usize) -> danlu::Result<Vec<Tensor>> {
    let features = x.shape()[1];
    let input = Symbol::input(Input::new([features]));
    let line = Dense::new(1).kernel_initializer("ones").name("line");
    let mut model = Model::new(&input, line.apply(&input))?;
    model.build()?;
    let names = ["line/kernel", "line/bias"];
    let shapes = [vec![features, 1], vec![1]];
    let inputs = [
        ("x", &[features][..], DType::F32),
        ("y", &[1][..], DType::F32),
    ];
    let mut collect = model.custom_step("collect", &inputs, |step, inputs| {
        let output = step.call("line", &[&inputs[0]])?.remove(0);
        let loss = step.loss("mse", &inputs[1], &output)?;
        let parameters = [step.parameter(names[0])?, step.parameter(names[1])?];
        let gradients = step.gradients(&loss, &[&parameters[0], &parameters[1]])?;
        for ((name, shape), gradient) in names.iter().zip(&shapes).zip(gradients) {
            let sum = step.state(name, shape)?.add(&gradient)?;
            step.set_state(name, &sum)?;
        }
        step.output("loss", &loss);
        Ok(())
    })?;
    let count = [("parts", &[][..], DType::F32)];
    let mut apply = model.custom_step("apply", &count, |step, inputs| {
        let count = inputs[0].sum_all()?;
        let mut means = Vec::new();
        for (name, shape) in names.iter().zip(&shapes) {
            let sum = step.state(name, shape)?;
            means.push(sum.divide(&count)?);
            step.set_state(name, &sum.multiply_scalar(0.0)?)?;
        }
        let gradients = [(names[0], &means[0]), (names[1], &means[1])];
        step.apply_gradients(&gradients, Adam::new(0.1))
    })?;
    let rows = x.shape()[0] / parts;
    let count = Tensor::from_f32(&[1], vec![parts as f32])?;
    for _ in 0..updates {
        for start in (0..parts).map(|part| part * rows) {
            let (x, y) = (x.rows(start, start + rows)?, y.rows(start, start + rows)?);
            model.run_step(&mut collect, &[&x, &y])?;
        }
        model.run_step(&mut apply, &[&count])?;
    }
    model.weights()
}

#[allow(dead_code)]
fn main() -> danlu::Result<()> {
    let x = Tensor::from_f32(
        &[8, 2],
        (0..16).map(|place| (place * 7 % 5) as f32).collect(),
    )?;
    let y = Tensor::from_f32(&[8, 1], (0..8).map(|place| place as f32).collect())?;
    for parts in [1, 4] {
        println!("{parts} parts: {:?}", train(&x, &y, parts, 20)?);
    }
    Ok(())
}
