//! What `danlu` says of graphs and of data that are no good: a message with the line, and nothing left behind.

mod common;

use common::Place;
use common::pair::{Array, RECIPE, examples, npz, pair};

#[test]
fn broken_graphs_are_refused_with_their_lines() {
    let place = Place::new();
    pair(&place);
    let line = |text: &str| {
        let lines = RECIPE.lines();
        lines.take_while(|line| !line.contains(text)).count() + 1
    };
    let both = "inputs = [\"both\"]";
    for (from, to, expected, at) in [
        (
            "[\"right\"]\n\n",
            "[\"kind\"]\n\n",
            "a circle: ",
            Some("[\"right\"]\n"),
        ),
        (
            both,
            "inputs = [\"bohth\"]",
            "did you mean `both`?",
            Some(both),
        ),
        (
            both,
            "inputs = [\"tower\"]",
            "`tower[0]` to `tower[1]`",
            Some(both),
        ),
        (both, "inputs = []", "a list of names of layers", Some(both)),
        (
            both,
            "inputs = \"both\"",
            "a list of names of layers",
            Some(both),
        ),
        (
            both,
            "inputs = [[\"both\"], \"sum\"]",
            "a list of names of layers",
            Some(both),
        ),
        (
            "name = \"sum\"",
            "name = \"kind\"",
            "that no other layer has",
            None,
        ),
        (
            "\"tower[0]\", \"tower[1]\", \"widen\"",
            "\"tower[0]\", \"widen\"",
            "layer tower (Dense)",
            None,
        ),
        (
            "type = \"Concatenate\"",
            "type = \"Add\"",
            "layer both (Add)",
            None,
        ),
        (
            "outputs = [\"sum\", \"kind\"]",
            "outputs = [\"sum\"]",
            "layer kind (Dense)",
            None,
        ),
        (
            "outputs = [\"sum\", \"kind\"]",
            "outputs = [\"sum\", \"knid\"]",
            "did you mean `kind`?",
            Some("outputs ="),
        ),
        (
            "outputs = [\"sum\", \"kind\"]",
            "outputs = [\"sum\", \"kind\", \"left\"]",
            "layer left (Input)",
            Some("outputs ="),
        ),
        (
            "inputs = [\"left\", \"right\"]",
            "inputs = [\"left\"]",
            "no `right`",
            Some("inputs = [\"left\""),
        ),
        ("name = \"left\"", "name = \"lefd\"", "did you mean", None),
        ("units = 1\n", "", "needs `units`", None),
        (
            "loss = { sum = \"mse\", kind = \"sparse_categorical_crossentropy\" }",
            "loss = [\"mse\", \"mse\", \"mse\"]",
            "3 entries, but the model has 2 output(s): sum, kind",
            Some("loss = {"),
        ),
        (
            "loss = { sum = \"mse\"",
            "loss = { sun = \"mse\"",
            "did you mean `sum`?",
            Some("loss = {"),
        ),
        (
            "loss = { sum = \"mse\"",
            "loss = { sum = \"msee\"",
            "did you mean `mse`?",
            Some("loss = {"),
        ),
        (
            "{ kind = 0.5 }",
            "{ kind = -0.5 }",
            "a number that is not negative",
            Some("loss_weights"),
        ),
        ("{ kind = 0.5 }", "[1]", "1 entries", Some("loss_weights")),
        (
            "sum = [\"mae\"]",
            "sum = [\"mea\"]",
            "did you mean `mae`?",
            Some("metrics = {"),
        ),
        (
            "sum = [\"mae\"]",
            "summ = [\"mae\"]",
            "did you mean `sum`?",
            Some("metrics = {"),
        ),
    ] {
        assert!(RECIPE.contains(from), "{from}");
        place.write("bad.toml", RECIPE.replacen(from, to, 1));
        let stderr = place.bad_training("bad.toml --out no", 2);
        assert!(
            stderr.contains(expected),
            "{to}: `{expected}` is not in: {stderr}"
        );
        if let Some(at) = at {
            let near = format!("bad.toml, line {}", line(at.trim_end()));
            assert!(
                stderr.contains(&format!("{near}: ")),
                "{to}: `{near}` is not in: {stderr}"
            );
        }
    }
}

#[test]
fn data_that_does_not_fit_the_model_is_refused() {
    let place = Place::new();
    pair(&place);
    let [left, right, sums, kinds] = examples(16, 5);
    let all: Vec<Array> = vec![
        ("x_left", &[16, 3], left),
        ("x_right", &[16, 2], right),
        ("y_sum", &[16], sums),
        ("y_kind", &[16], kinds),
    ];
    let with = |change: &dyn Fn(&mut Vec<Array>)| {
        let mut arrays = all.clone();
        change(&mut arrays);
        npz(&arrays)
    };
    place.write("good.npz", with(&|_| ()));
    place.good("train pair.toml --data good.npz --epochs 1 --quiet --out fine");
    let weights = |arrays: &mut Vec<Array>| {
        let zeros = vec![0.0; 16];
        arrays.push(("weight_sum", &[16], zeros));
    };
    place.write("weights.npz", with(&weights));
    let weighted = place.json("train pair.toml --data weights.npz --epochs 1 --json --out w");
    assert_eq!(weighted["history"]["sum_loss"][0].as_f64(), Some(0.0));
    assert!(weighted["history"]["kind_loss"][0].as_f64() > Some(0.0));
    place.write(
        "surplus.npz",
        with(&|arrays| arrays.push(("x_more", &[16, 2], vec![0.0; 32]))),
    );
    place.write("missing.npz", with(&|arrays| drop(arrays.remove(3))));
    place.write("name.npz", with(&|arrays| arrays[0].0 = "x_lefft"));
    place.write("shape.npz", with(&|arrays| arrays[1].1 = &[32, 1]));
    place.write("label.npz", with(&|arrays| arrays[3].2[7] = 2.0));
    for (file, expected, code) in [
        ("surplus.npz", "3 arrays", 2),
        ("missing.npz", "2 target arrays: sum, kind", 2),
        ("name.npz", "no input of this name (lefft, right)", 2),
        ("shape.npz", "16 examples, as many as in", 1),
        ("label.npz", "the label 2", 1),
    ] {
        let stderr = place.bad_training(&format!("pair.toml --data {file} --out no"), code);
        assert!(stderr.contains(expected), "{file}: {stderr}");
    }
    // A chain takes one input.
    let chain = "name = \"c\"\n[[model.layers]]\ntype = \"Dense\"\nunits = 1\n[training]\noptimizer = \"sgd\"\nloss = \"mse\"\n";
    place.write("chain.toml", chain);
    let stderr = place.bad_training("chain.toml --data good.npz --out no", 2);
    assert!(stderr.contains("2 inputs (left, right)"), "{stderr}");
}
