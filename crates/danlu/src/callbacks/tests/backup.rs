//! A training that was cut and is begun again.

use std::path::Path;

use serde_json::json;

use crate::callbacks::{
    BackupAndRestore, Callback, LambdaCallback, SaveFrequency, SwapEMAWeights, from_json,
};
use crate::prelude::*;
use crate::{Error, Model, Result};

fn model() -> Model {
    let mut model = Sequential::new();
    model.add(Input::new([1]));
    model.add(Dense::new(3).activation("tanh"));
    model.add(Dropout::new(0.5));
    model.add(Dense::new(1));
    let optimizer = Adam::new(0.05).use_ema(true).ema_momentum(0.9);
    model.compile(optimizer, "mse", ["mae"]).unwrap();
    model.into_model()
}

fn data() -> (Tensor, Tensor) {
    let x = (0..10).map(|i| i as f32 / 4.0 - 1.0).collect();
    let y = (0..10).map(|i| (i * i) as f32 / 50.0).collect();
    let shape = [10, 1];
    let tensor = |values| Tensor::from_f32(&shape, values).unwrap();
    (tensor(x), tensor(y))
}

/// Three epochs of three steps, which fail after so many steps.
fn train(
    model: &mut Model,
    folder: &Path,
    frequency: SaveFrequency,
    steps: Option<u64>,
) -> (Result<History>, usize) {
    let mut seen = 0;
    let fails = LambdaCallback::new().on_batch_end(|step, _| {
        if step.phase == crate::callbacks::Phase::Training {
            seen += 1;
        }
        match Some(step.iteration) == steps {
            true => Err(Error::from("cut".to_owned())),
            false => Ok(Control::Continue),
        }
    });
    let options = FitOptions::new()
        .verbose(false)
        .epochs(3)
        .batch_size(3)
        .validation_split(0.2)
        .folder(folder)
        .callback(SwapEMAWeights::new().swap_on_epoch(true))
        .callback(BackupAndRestore::new("deep/backup").save_freq(frequency))
        .callback(fails);
    (model.fit(data(), options), seen)
}

#[test]
fn a_training_that_was_cut_at_any_step_ends_in_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let mut whole = model();
    let (expected, steps) = train(&mut whole, folder.path(), SaveFrequency::Epoch, None);
    let expected = expected.unwrap();
    assert_eq!(steps, 9);
    let backup = folder.path().join("deep/backup");
    assert!(!backup.exists());
    for frequency in [SaveFrequency::Epoch, SaveFrequency::Batches(2)] {
        for cut in 1..=9 {
            let mut first = model();
            let (failed, _) = train(&mut first, folder.path(), frequency, Some(cut));
            assert!(failed.is_err(), "{cut}");
            let mut second = model();
            let (history, steps) = train(&mut second, folder.path(), frequency, None);
            assert_eq!(history.unwrap(), expected, "{frequency:?}, cut {cut}");
            assert_eq!(second.weights().unwrap(), whole.weights().unwrap());
            // The callback that fails hears of the last step before it could be kept.
            let kept = match frequency {
                SaveFrequency::Epoch => (cut as usize - 1) / 3 * 3,
                SaveFrequency::Batches(every) => (cut as usize - 1) / every * every,
            };
            assert_eq!(steps, 9 - kept, "{frequency:?}, cut {cut}");
            assert!(!backup.exists());
        }
    }
}

#[test]
fn averages_that_were_in_place_when_the_last_epoch_was_kept_stay_the_result() {
    let folder = tempfile::tempdir().unwrap();
    let (mut first, mut second) = (model(), model());
    let made = || BackupAndRestore::new("backup").delete_checkpoint(false);
    let options = || {
        FitOptions::new()
            .verbose(false)
            .folder(folder.path())
            .callback(SwapEMAWeights::new().swap_on_epoch(true))
            .callback(made())
    };
    first.fit(data(), options()).unwrap();
    assert!(folder.path().join("backup").exists());
    let history = second.fit(data(), options()).unwrap();
    assert_eq!(history.epochs, [0]);
    assert_eq!(second.iteration().unwrap(), 1);
    assert_eq!(second.weights().unwrap(), first.weights().unwrap());
}

#[test]
fn a_backup_that_cannot_be_is_an_error() {
    let error = |described| from_json(&described).map(|_| ()).unwrap_err().to_string();
    assert!(error(json!({ "type": "BackupAndRestore" })).contains("backup_dir"));
    let described = json!({ "type": "BackupAndRestore", "backup_dir": "" });
    assert!(error(described).contains("the name of a folder"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("other")).unwrap();
    let mut backup = BackupAndRestore::new("other");
    let error = backup
        .saved_state(Some(folder.path()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("state.json"), "{error}");
}
