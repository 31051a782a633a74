//! Training steps of one's own: the examples, as they are run.

use danlu::prelude::*;

#[path = "../examples/accumulation.rs"]
mod accumulation;
#[path = "../examples/adversarial.rs"]
mod adversarial;
#[path = "../examples/gan.rs"]
mod gan;
#[path = "../examples/transfer.rs"]
mod transfer;

#[test]
fn a_generator_comes_nearer_to_the_digits() {
    let played = gan::play(12).unwrap();
    let [before, after] = played.distance;
    assert!(after < 0.5 * before, "{before} {after}");
    assert!(
        played
            .losses
            .iter()
            .all(|loss| loss.is_finite() && *loss > 0.05),
        "{:?}",
        played.losses
    );
    assert_eq!(played.pictures.shape(), [256, 64]);
}

#[test]
fn adversarial_training_helps_against_attacks() {
    let plain = adversarial::train(false, 12, 0.1).unwrap();
    let hardened = adversarial::train(true, 12, 0.1).unwrap();
    assert!(
        plain.clean > 0.85 && hardened.clean > 0.85,
        "{plain:?} {hardened:?}"
    );
    assert!(plain.attacked < plain.clean - 0.1, "{plain:?}");
    assert!(
        hardened.attacked > plain.attacked + 0.1,
        "{plain:?} {hardened:?}"
    );
}

#[test]
fn what_was_learned_of_five_digits_helps_with_the_other_five() {
    let data = danlu::data::open_builtin("digits").unwrap();
    let (train, test) = (data.train.unwrap(), data.test.unwrap());
    let outcomes = transfer::run(&train, &test, 0, &[6]).unwrap();
    let [outcome] = outcomes[..] else {
        panic!("{outcomes:?}");
    };
    assert!(outcome.transferred > 0.6, "{outcome:?}");
    assert!(outcome.transferred > outcome.scratch + 0.1, "{outcome:?}");
}

#[test]
fn accumulated_gradients_are_those_of_the_whole() {
    let x = Tensor::from_f32(
        &[8, 2],
        (0..16)
            .map(|place| ((place * 7) % 5) as f32 * 0.3)
            .collect(),
    )
    .unwrap();
    let y = Tensor::from_f32(&[8, 1], (0..8).map(|place| place as f32 * 0.1).collect()).unwrap();
    let whole = accumulation::train(&x, &y, 1, 20).unwrap();
    let parts = accumulation::train(&x, &y, 4, 20).unwrap();
    for (one, other) in whole.iter().zip(&parts) {
        for (one, other) in one.to_f64().iter().zip(other.to_f64()) {
            assert!((one - other).abs() < 1e-5, "{one} {other}");
        }
    }
}

/// The line's weights after two steps of Adam, with a step of another optimizer, whose rate is 0, between them or not.
fn two_steps(another: bool) -> Vec<Tensor> {
    let x = Symbol::input(Input::new([2]));
    let mut model = Model::new(&x, Dense::new(1).name("line").apply(&x)).unwrap();
    model.build().unwrap();
    let inputs = [("x", &[2][..], DType::F32)];
    let mut step = |name: &str, rate: f64| {
        model.custom_step(name, &inputs, |step, inputs| {
            let y = step.call("line", &[&inputs[0]])?.remove(0);
            step.minimize(&y.multiply(&y)?.sum_all()?, &["line"], Adam::new(rate))
        })
    };
    let mut own = step("own", 0.1).unwrap();
    // Made after it: what the two shared would begin anew, with a rate of 0.
    let mut other = another.then(|| step("other", 0.0).unwrap());
    let data = [0.5, -1.0].map(|x| Tensor::from_f32(&[1, 2], vec![x, 2.0]).unwrap());
    model.run_step(&mut own, &[&data[0]]).unwrap();
    if let Some(other) = &mut other {
        model.run_step(other, &[&data[1]]).unwrap();
    }
    model.run_step(&mut own, &[&data[1]]).unwrap();
    model.weights().unwrap()
}

#[test]
fn the_optimizers_of_steps_keep_states_of_their_own() {
    assert_eq!(two_steps(true), two_steps(false));
}

#[test]
fn wrong_steps_are_refused() {
    let x = Symbol::input(Input::new([2]));
    let mut model = Model::new(&x, Dense::new(1).name("line").apply(&x)).unwrap();
    model.build().unwrap();
    let inputs = [("x", &[2][..], DType::F32)];
    let mut message = |layer: &'static str, twice: bool| {
        let step = model.custom_step("s", &inputs, |step, inputs| {
            let loss = step.call(layer, &[&inputs[0]])?.remove(0).sum_all()?;
            for _ in 0..=usize::from(twice) {
                step.minimize(&loss, &["line"], "sgd")?;
            }
            Ok(())
        });
        step.err().map(|error| error.to_string())
    };
    assert!(
        message("lime", false)
            .unwrap()
            .contains("did you mean `line`")
    );
    assert!(
        message("line", true)
            .unwrap()
            .contains("a step of its own for each optimizer")
    );
    assert_eq!(message("line", false), None);
    let mut step = model
        .custom_step("s", &inputs, |step, inputs| {
            step.output("y", &step.call("line", &[&inputs[0]])?[0]);
            Ok(())
        })
        .unwrap();
    let error = model.run_step(&mut step, &[]).unwrap_err().to_string();
    assert!(
        error.contains("1 inputs of one example at least"),
        "{error}"
    );
    let wide = Tensor::zeros(&[3, 5], DType::F32).unwrap();
    assert!(model.run_step(&mut step, &[&wide]).is_err());
    model.compile("sgd", "mse", Vec::<&str>::new()).unwrap();
    let x = Tensor::zeros(&[3, 2], DType::F32).unwrap();
    let error = model.run_step(&mut step, &[&x]).unwrap_err().to_string();
    assert!(error.contains("make the step again"), "{error}");
}
