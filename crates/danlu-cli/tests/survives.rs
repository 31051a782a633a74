//! Runs that are killed at any moment end as the one that was not.
//!
//! Fifty times: `cargo test --release -p danlu-cli --test survives -- --ignored`

mod common;

use std::time::{Duration, Instant};

use common::Place;
use common::runs::{RECIPE, assert_same, last_place, outcome, place_of, reduced, start, wait_for};
use serde_json::Value;

/// Numbers that only look random, so that a failure can be repeated as far as the clock allows.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

/// Kills trainings this often and goes on with them, and compares what they leave with a training that nobody killed.
fn kill(times: u64) {
    let place = Place::new();
    place.write("0.toml", RECIPE);
    place.write("1.toml", reduced());
    let began = Instant::now();
    let wholes = ["0", "1"].map(|recipe| {
        place.good(&format!(
            "train {recipe}.toml --out whole-{recipe} --quiet --threads 2"
        ));
        outcome(&place.path(&format!("whole-{recipe}")))
    });
    let duration = began.elapsed() / 2;
    let reduced = String::from_utf8(place.read("whole-1/last/state.json")).unwrap();
    assert!(reduced.contains("ReduceLROnPlateau"), "{reduced}");
    let rates: Value = serde_json::from_str(&reduced).unwrap();
    assert_ne!(rates["training"]["learning_rate"], "0.01", "never reduced");
    let mut numbers = Numbers(20);
    let (mut kills, mut written, mut later) = (0, 0, 0);
    let mut number: usize = 0;
    while kills < times {
        number += 1;
        let run = place.path(&format!("cut-{number}"));
        let recipe = number % 2;
        let begin = format!("train {recipe}.toml --out cut-{number} --json --quiet");
        let resume = format!("train --resume cut-{number} --json --quiet");
        let mut line = begin.clone();
        // Killed once or twice, the second time while it goes on.
        for _ in 0..=numbers.below(2) {
            let threads = 1 + numbers.below(3);
            let mut child = start(&place, &format!("{line} --threads {threads}"));
            let writes = numbers.below(2) == 0;
            if writes {
                // While a checkpoint is written, some time into the training.
                let sleep = duration.mul_f64(numbers.below(800) as f64 / 1000.0);
                std::thread::sleep(sleep);
                wait_for(&mut child, &run.join(".last.new"));
                std::thread::sleep(Duration::from_micros(numbers.below(3000)));
            } else {
                let sleep = duration.mul_f64(numbers.below(1000) as f64 / 1000.0);
                std::thread::sleep(sleep);
            }
            if child.try_wait().unwrap().is_some() {
                // It was faster.
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            if !run.exists() {
                continue;
            }
            kills += 1;
            written += u64::from(run.join(".last.new").exists());
            line.clone_from(&resume);
        }
        let line = match run.exists() {
            true => &resume,
            false => &begin,
        };
        let last = last_place(&run);
        let threads = 1 + numbers.below(3);
        let report = place.json(&format!("{line} --threads {threads}"));
        let from = place_of(&report["resumed_from"]);
        assert!(from >= last, "{number}: {from:?} is behind {last:?}");
        later += u64::from(from.is_some_and(|(epoch, _)| epoch > 0));
        assert_same(
            &run,
            &wholes[recipe],
            &format!("run {number}, from {from:?}"),
        );
        let record: Value =
            serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
        assert_eq!(record["state"], "finished");
        std::fs::remove_dir_all(run).unwrap();
    }
    eprintln!(
        "{kills} kills, {written} of them while a checkpoint was written, in {number} runs; {later} of them went on after epoch 1"
    );
    assert!(later > 0, "no run went on after its first epoch");
}

#[test]
fn three_kills_change_nothing() {
    kill(3);
}

#[test]
#[ignore = "takes minutes; run it with --release"]
fn fifty_kills_change_nothing() {
    kill(50);
}
