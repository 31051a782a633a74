//! Callbacks in recipes.

mod common;

use common::Place;
use serde_json::Value;

/// A recipe for the built-in digits with these tables behind `[training]`.
fn recipe(training: &str, callbacks: &str) -> String {
    format!(
        "[data]\nsource = \"digits\"\n[[model.layers]]\ntype = \"Flatten\"\n[[model.layers]]\ntype = \"Dense\"\nactivation = \"softmax\"\n\
         [training]\nloss = \"sparse_categorical_crossentropy\"\nbatch_size = 100\nvalidation_split = 0.2\n{training}\n{callbacks}\n"
    )
}

const SGD: &str = "optimizer = { type = \"SGD\", learning_rate = 0.5 }\nepochs = 3";

#[test]
fn what_callbacks_do_is_said_recorded_and_written_into_the_run_folder() {
    let place = Place::new();
    // No improvement is as large as that.
    let reduce = "[[training.callbacks]]\ntype = \"ReduceLROnPlateau\"\nmonitor = \"loss\"\nmin_delta = 100.0\npatience = 1\nfactor = 0.5";
    let save = "[[training.callbacks]]\ntype = \"ModelCheckpoint\"\nfilepath = \"epochs/{epoch:02d}.keras\"";
    let weights = "[[training.callbacks]]\ntype = \"ModelCheckpoint\"\nfilepath = \"{epoch}.weights.h5\"\nsave_weights_only = true\nsave_best_only = true";
    let table =
        "[[training.callbacks]]\ntype = \"CSVLogger\"\nfilename = \"log.csv\"\nseparator = \";\"";
    let all = [reduce, save, weights, table].join("\n");
    place.write("a.toml", recipe(SGD, &all));
    let output = place.run("train a.toml --out a --json");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    let line = "epoch 2: loss no longer improves: learning rate reduced from 0.5 to 0.25";
    assert_eq!(stderr.matches(line).count(), 1, "{stderr}");
    assert!(stderr.contains("reduced from 0.25 to 0.125"), "{stderr}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let run: Value = serde_json::from_slice(&place.read("a/run.json")).unwrap();
    for events in [&report["events"], &run["events"]] {
        assert_eq!(events.as_array().unwrap().len(), 2, "{events}");
        assert_eq!(events[0]["callback"], "ReduceLROnPlateau");
        assert_eq!(
            (&events[0]["epoch"], &events[0]["text"]),
            (&2.into(), &line.into())
        );
        assert_eq!(events[0]["facts"]["learning_rate"], 0.25);
    }
    for epoch in 1..=3 {
        assert!(place.has(&format!("a/epochs/0{epoch}.keras")), "{epoch}");
    }
    let last = danlu::Model::load(place.path("a/epochs/03.keras")).unwrap();
    let model = danlu::Model::load(place.path("a/model.keras")).unwrap();
    assert_eq!(last.weights().unwrap(), model.weights().unwrap());
    assert!(place.has("a/1.weights.h5"));
    let table = String::from_utf8(place.read("a/log.csv")).unwrap();
    assert!(
        table.starts_with("epoch;learning_rate;loss;val_loss\r\n0;0.5;"),
        "{table}"
    );
    assert_eq!(
        report["history"]["learning_rate"],
        serde_json::json!([0.5, 0.5, 0.25])
    );
    let history = String::from_utf8(place.read("a/history.csv")).unwrap();
    assert!(
        history.starts_with("epoch,loss,val_loss,learning_rate\n"),
        "{history}"
    );
    assert_eq!(table.lines().count(), 4);
    // The run's own recipe does the same.
    place.good("train a/recipe.toml --out b -q");
    for name in [
        "final.safetensors",
        "log.csv",
        "recipe.toml",
        "epochs/02.keras",
    ] {
        let (one, other) = (
            place.read(&format!("a/{name}")),
            place.read(&format!("b/{name}")),
        );
        assert!(one == other, "{name}");
    }
}

#[test]
fn a_training_ends_where_a_callback_says_so() {
    let place = Place::new();
    let converged = "[[training.callbacks]]\ntype = \"StopAtConvergence\"\nmin_change = 100.0";
    place.write("a.toml", recipe(SGD, converged));
    let report = place.json("train a.toml --out a -q --json");
    assert_eq!(report["history"]["loss"].as_array().unwrap().len(), 2);
    assert_eq!(report["events"][0]["callback"], "StopAtConvergence");
    let run: Value = serde_json::from_slice(&place.read("a/run.json")).unwrap();
    assert_eq!(run["state"], "finished");

    let gradient = "[[training.callbacks]]\ntype = \"StopAtConvergence\"\nmin_gradient_norm = 1e9";
    place.write("b.toml", recipe(SGD, gradient));
    let report = place.json("train b.toml --out b -q --json");
    assert_eq!(
        report["history"]["gradient_norm"].as_array().unwrap().len(),
        1
    );

    let nan = "[[training.callbacks]]\ntype = \"TerminateOnNaN\"";
    let diverging = "optimizer = { type = \"SGD\", learning_rate = 1e38 }\nepochs = 3";
    place.write("c.toml", recipe(diverging, nan));
    let stderr = place.bad("train c.toml --out c", 1);
    assert!(
        stderr.contains("training ends") && stderr.contains("the loss became"),
        "{stderr}"
    );
    let run: Value = serde_json::from_slice(&place.read("c/run.json")).unwrap();
    assert_eq!(run["state"], "failed");
    // It is traced to its first operation, as without the callback.
    let traced = run["diagnoses"].as_array().unwrap().last().unwrap();
    assert_eq!(traced["kind"], "non_finite");
    assert!(stderr.contains("the first to be"), "{stderr}");
    place.write("d.toml", recipe(diverging, ""));
    place.bad("train d.toml --out d", 1);
    let plain: Value = serde_json::from_slice(&place.read("d/run.json")).unwrap();
    assert_eq!(plain["diagnoses"].as_array().unwrap().last(), Some(traced));
    let events = run["events"].as_array().unwrap();
    assert_eq!(events.last().unwrap()["callback"], "TerminateOnNaN");
    let off = "train c.toml --out off --set training.diagnose=false";
    let stderr = place.bad(off, 1);
    assert!(stderr.contains("try a smaller learning rate"), "{stderr}");
    assert!(!place.has("c/model.keras"));
}

#[test]
fn what_is_wrong_with_a_callback_is_said_with_its_place_before_there_is_a_run() {
    let place = Place::new();
    for (table, words) in [
        (
            "type = \"ReduceLROnPlateu\"",
            "did you mean `ReduceLROnPlateau`?",
        ),
        (
            "type = \"ReduceLROnPlateau\"\npatiense = 3",
            "did you mean `patience`?",
        ),
        ("type = \"ReduceLROnPlateau\"\nfactor = 2.0", "`factor`"),
        (
            "type = \"ReduceLROnPlateau\"\nmonitor = \"val_los\"",
            "did you mean `val_loss`?",
        ),
        (
            "type = \"ModelCheckpoint\"\nfilepath = \"{los}.keras\"",
            "did you mean `loss`?",
        ),
        (
            "type = \"ModelCheckpoint\"\nfilepath = \"a.txt\"",
            "ends in .keras",
        ),
        ("type = \"SwapEMAWeights\"", "use_ema"),
        ("type = \"LambdaCallback\"", "not supported"),
        ("factor = 0.5", "needs a `type`"),
    ] {
        place.write(
            "a.toml",
            recipe(SGD, &format!("[[training.callbacks]]\n{table}")),
        );
        let error = place.bad_training("a.toml", 2);
        assert!(error.contains(words), "{table}: {error}");
    }
    place.write("a.toml", recipe(SGD, "[[training.callbacks]]\ntype = \"CSVLogger\"\nfilename = \"a\"\n[[training.callbacks]]\ntype = \"CSVLogger\"\nfile = \"b\""));
    let error = place.bad_training("a.toml", 2);
    assert!(error.contains("a.toml, line 17"), "{error}");
    place.write(
        "a.toml",
        recipe(&format!("{SGD}\ncallbacks = \"EarlyStopping\""), ""),
    );
    assert!(
        place
            .bad_training("a.toml", 2)
            .contains("[[training.callbacks]]")
    );
}
