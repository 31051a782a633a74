//! `danlu train --resume`: runs that go on, and those that are refused.

mod common;

use common::Place;
use common::runs::{
    RECIPE, assert_equal, assert_same, outcome, start, wait_for, whatever_was_planned,
};
use serde_json::Value;

/// A place with the recipe of so many epochs.
fn place(epochs: usize) -> Place {
    let place = Place::new();
    place.write(
        "r.toml",
        RECIPE.replace("epochs = 8", &format!("epochs = {epochs}")),
    );
    place
}

fn record(place: &Place, run: &str) -> Value {
    serde_json::from_slice(&place.read(&format!("{run}/run.json"))).unwrap()
}

#[test]
fn a_finished_run_says_so_and_more_epochs_are_as_if_planned() {
    let place = place(2);
    let first = place.json("train r.toml --out a --json --quiet");
    assert_eq!(first["resumed_from"], Value::Null);
    let again = place.run("train --resume a --json");
    assert!(again.status.success());
    let stderr = String::from_utf8_lossy(&again.stderr);
    assert!(
        stderr.contains("a is finished") && stderr.contains("--epochs"),
        "{stderr}"
    );
    let report: Value = serde_json::from_slice(&again.stdout).unwrap();
    for key in ["history", "test", "early_stopping", "model", "run"] {
        assert_eq!(report[key], first[key], "{key}");
    }
    // What a process that was killed had begun goes.
    for left in ["a/checkpoints/.38.new", "a/.best.new"] {
        std::fs::create_dir(place.path(left)).unwrap();
        place.write(&format!("{left}/model.json"), "{");
    }
    let output = place.run("train --resume a --epochs 4 --threads 3 --json");
    assert!(!place.has("a/checkpoints/.38.new") && !place.has("a/.best.new"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && stderr.contains("after epoch 2"),
        "{stderr}"
    );
    assert!(!stderr.contains("CosineDecay"), "{stderr}");
    let longer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(longer["resumed_from"]["epoch"], 2);
    assert_eq!(longer["resumed_from"]["step"], 0);
    let whole = place.json("train r.toml --epochs 4 --out b --json --quiet");
    assert_eq!(longer["history"], whole["history"]);
    assert_eq!(longer["test"], whole["test"]);
    let files = |run: &str| whatever_was_planned(outcome(&place.path(run)));
    assert_equal(&files("a"), &files("b"), "more epochs");
    let kept = std::fs::read_dir(place.path("a/checkpoints")).unwrap();
    assert_eq!(kept.count(), 2);
    let stderr = place.bad("train --resume a --epochs 3", 2);
    assert!(stderr.contains("4 epochs"), "{stderr}");
    // The schedule ends with step 200, in epoch 6.
    place.good("train --resume a --epochs 6 --quiet");
    let output = place.run("train --resume a --epochs 7");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("CosineDecay") && stderr.contains("last rate"),
        "{stderr}"
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_a_checkpoint_at_the_batch() {
    let place = place(40);
    let mut child = start(&place, "train r.toml --out cut --quiet");
    assert!(wait_for(&mut child, &place.path("cut/last/state.json")));
    let process = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-INT", &process])
        .status();
    assert!(sent.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("danlu train --resume cut"), "{stderr}");
    assert_eq!(record(&place, "cut")["state"], "interrupted");
    let state: Value = serde_json::from_slice(&place.read("cut/last/state.json")).unwrap();
    let said = format!(
        "after {} epoch(s) and {} step(s)",
        state["epoch"], state["step"]
    );
    assert!(stderr.contains(&said), "{stderr}, {said}");
    // Until it goes on, what it has serves.
    place.good("evaluate cut --data digits --quiet");
    let epochs = state["epoch"].as_u64().unwrap() + 3;
    let report = place.json(&format!(
        "train --resume cut --epochs {epochs} --json --quiet"
    ));
    assert_eq!(report["resumed_from"]["epoch"], state["epoch"]);
    assert_eq!(report["resumed_from"]["step"], state["step"]);
    place.good(&format!(
        "train r.toml --epochs {epochs} --out whole --quiet"
    ));
    assert_same(
        &place.path("cut"),
        &outcome(&place.path("whole")),
        "interrupted",
    );
    assert_eq!(record(&place, "cut")["state"], "finished");
}

#[test]
fn two_processes_do_not_train_in_one_folder() {
    let place = place(400);
    let mut child = start(&place, "train r.toml --out a --quiet");
    assert!(wait_for(&mut child, &place.path("a/last")));
    let stderr = place.bad("train --resume a", 1);
    assert!(
        stderr.contains("another process") && stderr.contains(&child.id().to_string()),
        "{stderr}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(record(&place, "a")["state"], "running");
    place.good("train --resume a --epochs 1 --quiet");
}

#[test]
fn what_would_change_the_training_is_refused_by_name() {
    let place = place(1);
    place.good("train r.toml --out a --quiet");
    let before = outcome(&place.path("a"));
    for (option, name) in [
        ("--batch-size 8", "--batch-size"),
        ("--learning-rate 0.1", "--learning-rate"),
        ("--validation-split 0.5", "--validation-split"),
        ("--seed 1", "--seed"),
        ("--pixel-scale 1", "--pixel-scale"),
        ("--set training.seed=1", "--set"),
        ("--init a", "--init"),
        ("--out b", "--out"),
        ("r.toml", "recipe or model"),
    ] {
        let stderr = place.bad(&format!("train --resume a {option}"), 2);
        assert!(
            stderr.contains(name) && stderr.contains("--resume"),
            "{stderr}"
        );
    }
    place.bad("train r.toml --force", 2);
    place.bad("train", 2);
    let stderr = place.bad("train --resume nowhere", 2);
    assert!(stderr.contains("does not exist"), "{stderr}");
    place.write("folder/file", "");
    let stderr = place.bad("train --resume folder", 2);
    assert!(stderr.contains("run.json"), "{stderr}");
    let stderr = place.bad("train --resume a --epochs 2 --isa portable", 2);
    assert!(
        stderr.contains("instruction set") && stderr.contains("--force"),
        "{stderr}"
    );
    common::idx_folder(&place, "other", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let stderr = place.bad("train --resume a --epochs 2 --data other", 2);
    assert!(stderr.contains("fingerprint"), "{stderr}");
    assert_same(&place.path("a"), &before, "refused");
    let text = String::from_utf8(place.read("a/run.json")).unwrap();
    place.write("a/run.json", text.replace("\"format\": 1", "\"format\": 9"));
    let stderr = place.bad("train --resume a --epochs 2", 2);
    assert!(stderr.contains("newer version"), "{stderr}");
    place.write("a/run.json", text);
    place.good("train --resume a --epochs 2 --isa portable --force --quiet");
}

#[test]
fn damaged_checkpoints_are_named_and_another_one_serves() {
    let place = place(3);
    place.good("train r.toml --out a --quiet");
    let weights = place.read("a/last/weights.safetensors");
    place.write("a/last/weights.safetensors", &weights[..weights.len() / 2]);
    // As if it had been killed before it was finished.
    let text = String::from_utf8(place.read("a/run.json")).unwrap();
    place.write("a/run.json", text.replace("finished", "running"));
    let output = place.run("train --resume a --json");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    for words in ["last/weights.safetensors", "going on from", "checkpoints/"] {
        assert!(stderr.contains(words), "{stderr}");
    }
    // A training's end writes no checkpoint that is there already: train on, and all are whole again.
    place.good("train --resume a --epochs 4 --quiet");
    place.good("train r.toml --epochs 4 --out b --quiet");
    let files = |run: &str| whatever_was_planned(outcome(&place.path(run)));
    assert_equal(&files("a"), &files("b"), "damaged");

    for folder in std::fs::read_dir(place.path("a/checkpoints")).unwrap() {
        std::fs::write(folder.unwrap().path().join("state.json"), "{").unwrap();
    }
    for name in ["last", "best"] {
        place.write(&format!("a/{name}/state.json"), "{");
    }
    let stderr = place.bad("train --resume a --epochs 9", 1);
    assert!(
        stderr.contains("last/state.json") && stderr.contains("recipe.toml"),
        "{stderr}"
    );
}

#[test]
fn a_run_without_a_checkpoint_starts_over() {
    let place = place(2);
    place.good("train r.toml --out a --quiet");
    let whole = outcome(&place.path("a"));
    for name in ["last", "best", "checkpoints"] {
        std::fs::remove_dir_all(place.path("a").join(name)).unwrap();
    }
    let text = String::from_utf8(place.read("a/run.json")).unwrap();
    place.write("a/run.json", text.replace("finished", "running"));
    let output = place.run("train --resume a --json");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("starting over"), "{stderr}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["resumed_from"], Value::Null);
    assert_same(&place.path("a"), &whole, "started over");
}

#[test]
fn a_model_that_is_trained_on_goes_on_without_its_file() {
    let place = place(1);
    place.good("train r.toml --out a --quiet");
    std::fs::copy(place.path("a/model.keras"), place.path("m.keras")).unwrap();
    place.good("train m.keras --data digits --epochs 2 --out whole --quiet");
    place.good("train m.keras --data digits --epochs 1 --out cut --quiet");
    std::fs::remove_file(place.path("m.keras")).unwrap();
    place.good("train --resume cut --epochs 2 --quiet");
    assert_same(
        &place.path("cut"),
        &outcome(&place.path("whole")),
        "a model",
    );
}

#[test]
fn checkpoints_are_made_as_the_recipe_says() {
    let place = place(5);
    let set = |text: &str| format!("train r.toml --set training.checkpoint.{text}");
    for (bad, word) in [
        ("keap=1", "did you mean `keep`?"),
        ("keep=-1", "keep"),
        ("every_epochs=0", "every_epochs"),
        ("every_seconds=-1.0", "every_seconds"),
    ] {
        let stderr = place.bad(&set(bad), 2);
        assert!(stderr.contains(word), "{stderr}");
    }
    place.good(&format!(
        "{} --set training.checkpoint.keep=9 --out a --quiet",
        set("every_epochs=2")
    ));
    let kept = std::fs::read_dir(place.path("a/checkpoints")).unwrap();
    let mut kept: Vec<u64> = kept
        .map(|entry| {
            entry
                .unwrap()
                .file_name()
                .to_str()
                .unwrap()
                .parse()
                .unwrap()
        })
        .collect();
    kept.sort_unstable();
    // 38 steps an epoch: after the second, the fourth and the last.
    assert_eq!(kept, [76, 152, 190]);
    // A kept one is a model, too.
    place.good("evaluate a/checkpoints/76 --data digits --quiet");
}

#[test]
fn a_run_that_was_killed_while_its_first_checkpoint_was_written_lacks_nothing_in_the_end() {
    let place = place(3);
    place.good("train r.toml --out whole --quiet");
    place.good("train r.toml --epochs 1 --out cut --quiet");
    // Of the first epoch's three, the best one is written first: here the process was killed after it.
    for name in ["last", "checkpoints"] {
        std::fs::remove_dir_all(place.path("cut").join(name)).unwrap();
    }
    let text = String::from_utf8(place.read("cut/run.json")).unwrap();
    place.write("cut/run.json", text.replace("finished", "running"));
    let set = "--epochs 2";
    let report = place.json(&format!("train --resume cut {set} --json --quiet"));
    assert_eq!(report["resumed_from"]["epoch"], 1);
    place.good(&format!("train r.toml {set} --out two --quiet"));
    let files = |run: &str| whatever_was_planned(outcome(&place.path(run)));
    assert_equal(&files("cut"), &files("two"), "killed in the first epoch");
    place.good("train --resume cut --epochs 3 --quiet");
    assert_equal(&files("cut"), &files("whole"), "and on");
}

#[test]
fn a_run_goes_on_with_and_without_looks_at_it() {
    let place = place(3);
    place.good("train r.toml --out whole --quiet");
    for (number, looks) in [("0", true), ("1", false)] {
        let set = format!("--set training.diagnose={looks}");
        place.good(&format!(
            "train r.toml --epochs 2 --out {number} {set} --quiet"
        ));
        let recipe = format!("{number}/recipe.toml");
        let text = String::from_utf8(place.read(&recipe)).unwrap();
        let (before, after) = (
            format!("diagnose = {looks}"),
            format!("diagnose = {}", !looks),
        );
        assert!(text.contains(&before), "{text}");
        place.write(&recipe, text.replace(&before, &after));
        place.good(&format!("train --resume {number} --epochs 3 --quiet"));
        for name in ["final.safetensors", "history.csv"] {
            let (own, whole) = (format!("{number}/{name}"), format!("whole/{name}"));
            assert!(place.read(&own) == place.read(&whole), "{own}");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_place_that_cannot_be_written_is_named() {
    let place = place(1);
    place.write("file", "");
    for (out, code) in [("/proc/danlu/run", 1), ("file/run", 2), ("file/runs/a", 2)] {
        let stderr = place.bad(&format!("train r.toml --quiet --out {out}"), code);
        assert!(
            stderr.contains("cannot make the run folder") && stderr.contains(out),
            "{stderr}"
        );
        let advice = stderr.contains("--out") || stderr.contains("may write");
        assert!(advice, "{stderr}");
    }
}

/// A folder that is mounted read-only: root may write where permissions forbid it.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "mounts a folder read-only, which needs root"]
fn a_run_folder_that_became_read_only_is_named_and_left_as_it_is() {
    let place = place(1);
    place.good("train r.toml --out a --quiet");
    let before = outcome(&place.path("a"));
    let mount = |words: &[&str]| {
        let mut command = std::process::Command::new("mount");
        command.args(words).arg(place.path("a"));
        command.status().is_ok_and(|status| status.success())
    };
    let folder = place.path("a");
    let folder = folder.to_str().unwrap();
    if !mount(&["--bind", folder]) || !mount(&["-o", "remount,ro,bind"]) {
        eprintln!("NOT TESTED: this test may not mount a folder; run it as root");
        return;
    }
    struct Mounted(std::path::PathBuf);
    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg(&self.0).status();
        }
    }
    let mounted = Mounted(place.path("a"));
    let stderr = place.bad("train --resume a --epochs 2 --quiet", 1);
    assert!(
        stderr.contains("`a`") && stderr.to_lowercase().contains("read-only"),
        "{stderr}"
    );
    let stderr = place.bad("train r.toml --quiet --out a/inside", 1);
    assert!(stderr.contains("a/inside"), "{stderr}");
    // It serves all the same.
    place.good("evaluate a --data digits --quiet");
    drop(mounted);
    assert_same(&place.path("a"), &before, "read-only");
    place.good("train --resume a --epochs 2 --quiet");
}

/// A disk of 2 MB: needs the right to mount.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "mounts a small disk, which needs root"]
fn a_full_disk_ends_the_training_and_loses_nothing() {
    let place = place(6);
    let disk = place.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
        .arg(&disk)
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("NOT TESTED: this test may not mount a disk; run it as root");
        return;
    }
    struct Mounted(std::path::PathBuf);
    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg(&self.0).status();
        }
    }
    let _mounted = Mounted(disk.clone());
    place.good("train r.toml --out whole --quiet --set training.checkpoint.keep=0");
    place.good("train r.toml --epochs 2 --out disk/a --quiet --set training.checkpoint.keep=0");
    let free = || {
        let output = std::process::Command::new("df")
            .arg("--output=avail")
            .arg(&disk)
            .output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        text.lines()
            .last()
            .unwrap()
            .trim()
            .parse::<usize>()
            .unwrap()
            * 1024
    };
    // Less and less room, so that each file in turn is the one that no longer fits.
    let all = free();
    let mut failed = 0;
    for left in (0..40)
        .map(|number| number * 8192)
        .filter(|&left| left < all)
    {
        std::fs::write(disk.join("full"), vec![1; free().saturating_sub(left)]).unwrap();
        let output = place.run("train --resume disk/a --epochs 6 --quiet");
        std::fs::remove_file(disk.join("full")).unwrap();
        if output.status.success() {
            break;
        }
        failed += 1;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            stderr.contains("free some space") || stderr.contains("Free some space"),
            "{stderr}"
        );
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        place.good("evaluate disk/a --data digits --quiet");
    }
    assert!(failed > 0);
    place.good("train --resume disk/a --epochs 6 --quiet");
    assert_same(
        &disk.join("a"),
        &outcome(&place.path("whole")),
        "a full disk",
    );
}
