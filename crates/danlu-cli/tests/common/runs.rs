//! Runs that are cut and go on: what must be the same, and ways to cut them.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Place;

/// Everything that keeps something from step to step: dropout, statistics, averages, a schedule, the weights of the best epoch.
pub const RECIPE: &str = r#"
name = "cut"

[data]
source = "digits"
pixel_scale = 0.00392156862745098

[[model.layers]]
type = "Conv2D"
filters = 8
kernel_size = [3, 3]
activation = "relu"

[[model.layers]]
type = "BatchNormalization"

[[model.layers]]
type = "Flatten"

[[model.layers]]
type = "Dropout"
rate = 0.3

[[model.layers]]
type = "Dense"
units = 10
activation = "softmax"

[training]
optimizer = { type = "Adam", learning_rate = { type = "CosineDecay", initial_learning_rate = 0.01, decay_steps = 200 }, use_ema = true }
loss = "sparse_categorical_crossentropy"
metrics = ["accuracy"]
epochs = 8
batch_size = 32
validation_split = 0.2
seed = 5
early_stopping = { monitor = "val_accuracy", patience = 6, restore_best_weights = true }

[training.checkpoint]
every_seconds = 0.03
keep = 2
"#;

/// The same with a learning rate that is lowered where nothing improves any more, which a schedule does not allow.
pub fn reduced() -> String {
    let schedule = "{ type = \"CosineDecay\", initial_learning_rate = 0.01, decay_steps = 200 }";
    let callback = "[[training.callbacks]]\ntype = \"ReduceLROnPlateau\"\nfactor = 0.3\npatience = 0\n\
                    min_delta = 0.02\nmonitor = \"val_loss\"\n";
    format!("{}\n{callback}", RECIPE.replace(schedule, "0.01"))
}

/// The files that must be the same to the last bit, with what is in them.
pub fn outcome(run: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for name in ["final.safetensors", "history.csv", "metrics.jsonl"] {
        files.push((name.to_owned(), std::fs::read(run.join(name)).unwrap()));
    }
    let mut folders = vec!["last".to_owned(), "best".to_owned()];
    let kept = std::fs::read_dir(run.join("checkpoints"));
    for entry in kept.into_iter().flatten() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        folders.push(format!("checkpoints/{name}"));
    }
    for folder in folders {
        for entry in std::fs::read_dir(run.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let bytes = std::fs::read(entry.path()).unwrap();
            files.push((format!("{folder}/{name}"), bytes));
        }
    }
    files.sort();
    files
}

/// Fails, with the file's name, where two runs differ.
pub fn assert_same(run: &Path, whole: &[(String, Vec<u8>)], what: &str) {
    assert_equal(&outcome(run), whole, what);
}

/// The same of what was read already.
pub fn assert_equal(own: &[(String, Vec<u8>)], whole: &[(String, Vec<u8>)], what: &str) {
    let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
        files.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(own), names(whole), "{what}");
    for ((name, bytes), (_, expected)) in own.iter().zip(whole) {
        assert!(bytes == expected, "{what}: {name} differs");
    }
}

/// What does not say how many epochs were planned: a checkpoint from before that number was changed keeps the recipe of then.
pub fn whatever_was_planned(files: Vec<(String, Vec<u8>)>) -> Vec<(String, Vec<u8>)> {
    let says = |name: &str| {
        !name.starts_with("last/") && (name.ends_with("model.json") || name.ends_with("state.json"))
    };
    let files = files.into_iter().filter(|(name, _)| !says(name));
    files.collect()
}

/// Starts the command line, split at blanks, and does not wait.
pub fn start(place: &Place, line: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_danlu"))
        .args(line.split_whitespace())
        .current_dir(place.0.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits, for a minute at most, until there is something at a path, or the process has ended; gives whether there is.
pub fn wait_for(child: &mut Child, path: &Path) -> bool {
    let began = Instant::now();
    while !path.exists() {
        if child.try_wait().unwrap().is_some() {
            return path.exists();
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{}",
            path.display()
        );
        std::thread::yield_now();
    }
    true
}

/// A place in a training: epochs that were finished, and steps of the next one.
pub fn place_of(state: &Value) -> Option<(u64, u64)> {
    Some((state["epoch"].as_u64()?, state["step"].as_u64()?))
}

/// Where the last checkpoint on the disk stands.
pub fn last_place(run: &Path) -> Option<(u64, u64)> {
    let places = ["last", ".last.old"].iter();
    places
        .filter_map(|name| {
            let text = std::fs::read(run.join(name).join("state.json")).ok()?;
            place_of(&serde_json::from_slice(&text).ok()?)
        })
        .max()
}
