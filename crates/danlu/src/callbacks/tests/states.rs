//! A callback whose state is put into a new one decides as if nothing had happened, wherever it was cut.

use serde_json::{Value, json};

use super::{EpochRun, model};
use crate::Model;
use crate::callbacks::{CallbackState, Note, from_json};
use crate::graph::Tensor;

/// Numbers that fall, rise and stay, with some that are missing or none.
fn values(seed: u64) -> Vec<Option<f64>> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state >> 33
    };
    (0..14)
        .map(|_| match next() % 12 {
            0 => None,
            1 => Some(f64::NAN),
            2 => Some(f64::INFINITY),
            _ => Some((next() % 40) as f64 / 10.0 + 0.1 / 3.0),
        })
        .collect()
}

/// What can be seen of an epoch: what it answered, what it said, the learning rate and the weights.
type Seen = (String, Vec<Note>, Option<f64>, Vec<Tensor>);

/// One epoch, with two batches, of a callback that watches `loss`.
fn epoch(run: &mut EpochRun, epoch: usize, value: Option<f64>, model: &mut Model) -> Seen {
    let weight = Tensor::from_f32(&[1], vec![epoch as f32]).unwrap();
    let mut weights = model.weights().unwrap();
    weights[1] = weight;
    model.set_weights(&weights).unwrap();
    run.callback.on_epoch_begin(epoch, model).unwrap();
    for step in 0..2 {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            run.step(epoch, step, "loss", value, model);
        }
    }
    let control = run.epoch(epoch, "loss", value, model).unwrap();
    let notes = run.callback.take_notes();
    (
        format!("{control:?}"),
        notes,
        model.learning_rate(),
        model.weights().unwrap(),
    )
}

/// Through JSON text, as a file keeps it.
fn saved(state: CallbackState) -> CallbackState {
    let text = Value::Object(state.config).to_string();
    let config: Value = serde_json::from_str(&text).unwrap();
    CallbackState {
        config: config.as_object().unwrap().clone(),
        tensors: state.tensors,
    }
}

fn end(run: &mut EpochRun, model: &mut Model) -> Vec<Tensor> {
    run.callback
        .on_train_end(&Default::default(), model)
        .unwrap();
    model.weights().unwrap()
}

fn check(described: &Value) {
    for seed in 0..6 {
        let values = values(seed);
        let whole_folder = tempfile::tempdir().unwrap();
        let mut whole_model = model(0.5);
        let made = || from_json(described).unwrap();
        let mut whole = EpochRun::begin(made(), &mut whole_model, Some(whole_folder.path()));
        let mut expected = Vec::new();
        for (number, &value) in values.iter().enumerate() {
            expected.push(epoch(&mut whole, number, value, &mut whole_model));
        }
        let expected_end = end(&mut whole, &mut whole_model);
        for cut in 0..values.len() {
            let folder = tempfile::tempdir().unwrap();
            let mut model = model(0.5);
            let mut first = EpochRun::begin(made(), &mut model, Some(folder.path()));
            let (before, after) = values.split_at(cut);
            let mut found = Vec::new();
            for (number, &value) in before.iter().enumerate() {
                found.push(epoch(&mut first, number, value, &mut model));
            }
            let state = saved(first.callback.state().unwrap());
            // What was done after the state was taken is done again.
            let mut lost = super::model(0.5);
            for (number, &value) in after.iter().take(2).enumerate() {
                epoch(&mut first, cut + number, value, &mut lost);
            }
            let mut second = EpochRun::begin(made(), &mut model, Some(folder.path()));
            second.callback.restore(&state).unwrap();
            assert_eq!(
                saved(second.callback.state().unwrap()),
                state,
                "{described}"
            );
            for (number, &value) in after.iter().enumerate() {
                found.push(epoch(&mut second, cut + number, value, &mut model));
            }
            // NaN is not equal to itself.
            assert_eq!(
                format!("{found:?}"),
                format!("{expected:?}"),
                "{described}, cut {cut}"
            );
            assert_eq!(
                end(&mut second, &mut model),
                expected_end,
                "{described}, cut {cut}"
            );
            for entry in std::fs::read_dir(whole_folder.path()).unwrap() {
                let name = entry.unwrap().file_name();
                let read = |folder: &tempfile::TempDir| std::fs::read(folder.path().join(&name));
                let (one, other) = (read(&whole_folder).unwrap(), read(&folder).unwrap());
                assert!(one == other, "{described}, cut {cut}: {name:?}");
            }
        }
    }
}

#[test]
fn early_stopping() {
    for best in [false, true] {
        check(
            &json!({ "type": "EarlyStopping", "monitor": "loss", "patience": 3, "restore_best_weights": best }),
        );
    }
    check(
        &json!({ "type": "EarlyStopping", "monitor": "loss", "baseline": 1.0, "start_from_epoch": 3 }),
    );
}

#[test]
fn plateaus() {
    check(
        &json!({ "type": "ReduceLROnPlateau", "monitor": "loss", "patience": 2, "cooldown": 2, "factor": 0.5 }),
    );
}

#[test]
fn checkpoints() {
    check(
        &json!({ "type": "ModelCheckpoint", "filepath": "{epoch}.weights.h5", "save_weights_only": true, "monitor": "loss", "save_best_only": true }),
    );
    check(
        &json!({ "type": "ModelCheckpoint", "filepath": "{epoch}_{batch}.safetensors", "save_weights_only": true, "save_freq": 3 }),
    );
}

#[test]
fn tables() {
    check(&json!({ "type": "CSVLogger", "filename": "log.csv" }));
    check(&json!({ "type": "CSVLogger", "filename": "log.csv", "append": true }));
}

#[test]
fn convergence() {
    check(&json!({ "type": "StopAtConvergence", "min_change": 0.5, "patience": 2 }));
}

#[test]
fn schedules() {
    let schedule = json!({ "type": "ExponentialDecay", "initial_learning_rate": 0.5, "decay_steps": 2, "decay_rate": 0.5 });
    check(&json!({ "type": "LearningRateScheduler", "schedule": schedule, "verbose": 1 }));
}
