use std::path::Path;
use std::sync::Arc;

use danlu_data::{Batch, BatchSource, Batches, Dataset, IteratorSource, Specification};

use super::TrainingState;
use crate::callbacks::{Callback, CallbackState, Control, StepLogs};
use crate::optimizers::schedules::CosineDecay;
use crate::prelude::*;
use crate::training::{EarlyStopping, History, Phase};
use crate::{Model, Result};

/// 22 examples in batches of 4, the last of an epoch shorter.
const EXAMPLES: usize = 22;

fn data() -> (Tensor, Tensor) {
    let number = |i: usize| ((i * 7919 + 13) % 101) as f32 / 50.0 - 1.0;
    let x = (0..EXAMPLES * 4).map(number).collect();
    let y = (0..EXAMPLES).map(|i| ((i * 31) % 3) as u8).collect();
    (
        Tensor::from_f32(&[EXAMPLES, 4], x).unwrap(),
        Tensor::from_u8(&[EXAMPLES], y).unwrap(),
    )
}

/// Whatever keeps something from step to step: dropout, statistics, averages, gradients that wait, a schedule.
fn model() -> Model {
    let mut model = Sequential::new();
    model.add(Input::new([4]));
    model.add(Dense::new(6).activation("relu"));
    model.add(BatchNormalization::new());
    model.add(Dropout::new(0.4));
    model.add(Dense::new(3).activation("softmax"));
    let schedule = CosineDecay::new(0.05, 40.0);
    let optimizer = Adam::new(schedule)
        .use_ema(true)
        .ema_momentum(0.9)
        .gradient_accumulation_steps(3);
    let metrics = ["accuracy", "sparse_top_k_categorical_accuracy"];
    model
        .compile(optimizer, "sparse_categorical_crossentropy", metrics)
        .unwrap();
    model.into_model()
}

fn options<'a>() -> FitOptions<'a> {
    let stopping = EarlyStopping::new().patience(2).restore_best_weights(true);
    FitOptions::new()
        .verbose(false)
        .batch_size(4)
        .epochs(6)
        .seed(7)
        .validation_split(0.2)
        .early_stopping(stopping)
}

/// Keeps every state that there is, and interrupts where it is told to.
#[derive(Default)]
struct Collect {
    states: Vec<Arc<TrainingState>>,
    stop: Option<(Phase, usize)>,
    asked: usize,
}

impl Callback for Collect {
    fn watches_batches(&self) -> bool {
        true
    }
    fn on_batch_end(&mut self, step: &StepLogs<'_>, _: &mut Model) -> Result<Control> {
        self.asked += 1;
        Ok(match self.stop == Some((step.phase, step.step)) {
            true => Control::Stop,
            false => Control::Continue,
        })
    }
    fn wants_state(&self) -> bool {
        true
    }
    fn on_state(&mut self, state: &Arc<TrainingState>, _: &Model) -> Result<()> {
        self.states.push(state.clone());
        Ok(())
    }
    fn state(&self) -> Result<CallbackState> {
        Ok(CallbackState::default().with("asked", self.asked))
    }
    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        self.asked = state.read("Collect").count("asked")?.unwrap_or(0);
        Ok(())
    }
}

/// What must be the same, bit for bit.
fn outcome(model: &Model, history: &History) -> String {
    let weights = model.named_weights().unwrap();
    let optimizer = model.optimizer_state().unwrap();
    format!("{weights:?} {optimizer:?} {history:?}")
}

/// What is different from the usual options.
type Change = dyn for<'a> Fn(FitOptions<'a>) -> FitOptions<'a>;

/// A training that is not cut, with all its states and its outcome; or one that is interrupted.
fn collect(change: &Change, stop: Option<(Phase, usize)>) -> (Collect, String) {
    let mut all = Collect {
        stop,
        ..Collect::default()
    };
    let mut whole = model();
    let (x, y) = data();
    let options = change(options()).callback(&mut all);
    let history = whole.fit((&x, &y), options).unwrap();
    let outcome = outcome(&whole, &history);
    (all, outcome)
}

#[test]
fn from_every_state_a_training_ends_in_the_same_bits() {
    let variants: [&Change; 3] = [
        &|options| options,
        // Epochs that end in the middle of the data, and such that go over it more than once.
        &|options| options.steps_per_epoch(3),
        &|options| options.steps_per_epoch(7),
    ];
    for (number, change) in variants.into_iter().enumerate() {
        let (all, expected) = collect(change, None);
        assert!(all.states.len() > 12, "{}", all.states.len());
        assert!(all.states.iter().any(|state| state.step() > 1));
        let (x, y) = data();
        for state in &all.states {
            let mut rest = Collect::default();
            let mut other = model();
            let options = change(options()).callback(&mut rest);
            let options = options.resume(state.clone());
            let history = other.fit((&x, &y), options).unwrap();
            let place = (number, state.epoch(), state.step());
            assert_eq!(outcome(&other, &history), expected, "{place:?}");
            assert_eq!(rest.asked, all.asked, "{place:?}");
        }
    }
}

#[test]
fn a_training_goes_on_with_another_number_of_threads() {
    let (all, expected) = collect(&|options| options, None);
    let state = all.states[all.states.len() / 2].clone();
    let mut other = model();
    let three = crate::cpu::CpuOptions {
        threads: Some(3),
        ..crate::cpu::CpuOptions::default()
    };
    other
        .set_executor(crate::cpu_executor(three).unwrap())
        .unwrap();
    let (x, y) = data();
    let mut rest = Collect::default();
    let options = options().callback(&mut rest).resume(state);
    let history = other.fit((&x, &y), options).unwrap();
    assert_eq!(outcome(&other, &history), expected);
}

#[test]
fn an_interrupted_validation_is_done_anew() {
    let plain: &Change = &|options| {
        let stopping = EarlyStopping::new().patience(9);
        options.epochs(3).early_stopping(stopping)
    };
    let (all, expected) = collect(plain, None);
    for stop in [(Phase::Validation, 1), (Phase::Training, 2)] {
        let (cut, _) = collect(plain, Some(stop));
        let state = cut.states.last().unwrap().clone();
        assert_eq!(state.epoch(), 0);
        assert!(state.step() > 0 && state.history().epochs.is_empty());
        let mut other = model();
        let (x, y) = data();
        let mut rest = Collect::default();
        let options = plain(options()).callback(&mut rest).resume(state);
        let history = other.fit((&x, &y), options).unwrap();
        assert_eq!(outcome(&other, &history), expected);
        let again = usize::from(stop.0 == Phase::Validation);
        assert_eq!(rest.asked, all.asked + again);
    }
}

#[test]
fn more_epochs_are_as_if_they_had_been_planned() {
    fn never<'a>(options: FitOptions<'a>) -> FitOptions<'a> {
        let stopping = EarlyStopping::new().patience(9);
        options.early_stopping(stopping.restore_best_weights(true))
    }
    let (_, expected) = collect(&never, None);
    let (short, _) = collect(&|options| never(options).epochs(2), None);
    let state = short.states.last().unwrap().clone();
    assert!(state.is_done(2) && !state.is_done(6));
    let mut other = model();
    let (x, y) = data();
    let mut rest = Collect::default();
    let options = never(options()).callback(&mut rest).resume(state);
    let history = other.fit((&x, &y), options).unwrap();
    assert_eq!(outcome(&other, &history), expected);
}

#[test]
fn a_source_of_batches_is_read_up_to_its_place() {
    /// Hides the short way of `Batches`.
    struct Plain(Batches);
    impl BatchSource for Plain {
        fn specification(&self) -> &Specification {
            self.0.specification()
        }
        fn next_batch(&mut self, batch: &mut Batch) -> danlu_data::Result<bool> {
            self.0.next_batch(batch)
        }
        fn reset(&mut self) -> danlu_data::Result<()> {
            self.0.reset()
        }
    }
    let source = || {
        let (x, y) = data();
        let dataset: Arc<dyn Dataset> = Arc::new(danlu_data::ArrayDataset::new(x, y).unwrap());
        Plain(Batches::new(dataset, 4, Some(3)).unwrap())
    };
    let endless = || {
        let (mut inner, specification) = (source(), source().specification().clone());
        let batches = std::iter::from_fn(move || {
            let mut batch = Batch::default();
            if !inner.next_batch(&mut batch).unwrap() {
                inner.reset().unwrap();
                inner.next_batch(&mut batch).unwrap();
            }
            Some(Ok(batch))
        });
        IteratorSource::once(specification, batches)
    };
    for steps in [None, Some(4)] {
        let fit = |model: &mut Model, state: Option<Arc<TrainingState>>, own: &mut Collect| {
            let (mut one, mut other);
            let mut options = FitOptions::new().verbose(false).epochs(3).callback(own);
            if let Some(state) = state {
                options = options.resume(state);
            }
            let source: &mut dyn BatchSource = match steps {
                None => {
                    one = source();
                    &mut one
                }
                Some(steps) => {
                    options = options.steps_per_epoch(steps);
                    other = endless();
                    &mut other
                }
            };
            let history = model.fit(source, options).unwrap();
            outcome(model, &history)
        };
        let mut all = Collect::default();
        let expected = fit(&mut model(), None, &mut all);
        assert!(all.states.len() > 12);
        for state in all.states {
            let place = (steps, state.epoch(), state.step());
            let outcome = fit(&mut model(), Some(state), &mut Collect::default());
            assert_eq!(outcome, expected, "{place:?}");
        }
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (all, _) = collect(&|options| options, None);
    let state = all.states[1].clone();
    let (x, y) = data();
    let error = |options: FitOptions<'_>, model: &mut Model| {
        let error = model.fit((&x, &y), options.resume(state.clone()));
        error.unwrap_err().to_string()
    };
    let text = error(options().batch_size(5), &mut model());
    assert!(
        text.contains("batches of 4") && text.contains("batches of 5"),
        "{text}"
    );
    let text = error(options().validation_split(0.5), &mut model());
    assert!(
        text.contains("examples: 17") && text.contains("11"),
        "{text}"
    );
    let text = error(options(), &mut model());
    assert!(text.contains("Collect"), "{text}");
    let mut other = Sequential::from_layers([Input::new([4]).into(), Dense::new(3).into()]);
    other.compile("adam", "mse", ["mae"]).unwrap();
    let text = error(options(), &mut other);
    assert!(text.contains("fit") || text.contains("weight"), "{text}");
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

#[test]
fn a_state_in_a_folder_is_the_same_state() {
    let (all, _) = collect(&|options| options, None);
    let place = tempfile::tempdir().unwrap();
    let (first, second) = (place.path().join("a"), place.path().join("b"));
    // In the middle of an epoch there are sums, after the first there are weights that early stopping keeps.
    for state in [&all.states[1], &all.states[7], all.states.last().unwrap()] {
        state.save(&first).unwrap();
        let read = TrainingState::load(&first).unwrap();
        assert_eq!((read.epoch, read.step), (state.epoch, state.step));
        assert_eq!(read.history, state.history);
        assert_eq!(read.running, state.running);
        assert_eq!(read.callbacks, state.callbacks);
        assert_eq!(read.place, state.place);
        assert_eq!(read.learning_rate.to_bits(), state.learning_rate.to_bits());
        read.save(&second).unwrap();
        assert_eq!(files(&first), files(&second));
    }
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 2);
}

#[test]
fn damage_is_named() {
    let (all, _) = collect(&|options| options, None);
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("last");
    let save = || all.states[1].save(&folder).unwrap();
    let error = || TrainingState::load(&folder).unwrap_err().to_string();
    assert!(
        error().contains("no") || error().contains("not found"),
        "{}",
        error()
    );
    save();
    let names: Vec<String> = files(&folder).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    for name in &names {
        let path = folder.join(name);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(error().contains(name.as_str()), "{}", error());
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 4;
        if name != "state.json" {
            std::fs::write(&path, &flipped).unwrap();
            assert!(error().contains("hash"), "{}", error());
        }
        std::fs::remove_file(&path).unwrap();
        assert!(error().contains(name.as_str()), "{}", error());
        save();
        TrainingState::load(&folder).unwrap();
    }
    let path = folder.join("state.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("\"format\":1", "\"format\":2")).unwrap();
    assert!(error().contains("newer version"), "{}", error());
}

/// After every file operation of a save, and before it: what a kill there leaves, and what an error there leaves.
#[test]
fn whatever_ends_a_save_the_state_before_or_this_one_loads() {
    let (all, _) = collect(&|options| options, None);
    let (before, next) = (&all.states[1], &all.states[2]);
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("run/last");
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    let step = |folder: &Path| TrainingState::load(folder).unwrap().step();
    let mut operations = 0;
    next.save_watched(&folder, &mut || {
        operations += 1;
        Ok(())
    })
    .unwrap();
    assert!(operations > 30, "{operations}");
    let mut seen = Vec::new();
    for failing in 0..operations + 4 {
        let _ = std::fs::remove_dir_all(&folder);
        before.save(&folder).unwrap();
        let killed = place.path().join(format!("killed-{failing}"));
        let mut count = 0;
        let result = next.save_watched(&folder, &mut || {
            count += 1;
            match count - 1 == failing {
                true => {
                    copy(folder.parent().unwrap(), &killed);
                    Err(std::io::Error::from(std::io::ErrorKind::StorageFull))
                }
                false => Ok(()),
            }
        });
        match result {
            Ok(()) => assert_eq!(step(&folder), next.step),
            Err(error) => {
                assert!(error.to_string().contains("free some space"), "{error}");
                assert_eq!(step(&folder), before.step, "operation {failing}");
                assert_eq!(
                    std::fs::read_dir(folder.parent().unwrap()).unwrap().count(),
                    1
                );
            }
        }
        // Another process comes upon what the kill left: it reads it, and its own saves clear it up.
        if killed.exists() {
            let folder = killed.join("last");
            let found = step(&folder);
            assert!(
                [before.step, next.step].contains(&found),
                "operation {failing}"
            );
            seen.push(found);
            all.states[3].save(&folder).unwrap();
            assert_eq!(step(&folder), all.states[3].step);
            assert_eq!(std::fs::read_dir(&killed).unwrap().count(), 1);
        }
        next.save(&folder).unwrap();
        assert_eq!(step(&folder), next.step);
    }
    // From some operation on it is the new one.
    assert!(seen.is_sorted() && seen.first() != seen.last(), "{seen:?}");
}
