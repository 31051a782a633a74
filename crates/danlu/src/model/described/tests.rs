use super::*;
use crate::config;
use crate::prelude::*;

fn layer(class: &str, arguments: Config, inputs: &[&[&str]]) -> GraphLayer {
    let names = |names: &&[&str]| names.iter().map(|&name| name.to_owned()).collect();
    GraphLayer {
        class_name: class.to_owned(),
        arguments,
        inputs: inputs.iter().map(names).collect(),
    }
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Two inputs, a layer of both, a residual connection, two outputs; written in no good order.
fn example() -> Vec<GraphLayer> {
    vec![
        layer("Input", config! { "shape": [3], "name": "b" }, &[]),
        layer("Input", config! { "shape": [3], "name": "a" }, &[]),
        layer("Add", config! { "name": "sum" }, &[&["inner", "tower[1]"]]),
        layer(
            "Dense",
            config! { "units": 4, "name": "tower" },
            &[&["a"], &["b"]],
        ),
        layer(
            "Dense",
            config! { "units": 4, "name": "inner" },
            &[&["tower[0]"]],
        ),
        layer("Dense", config! { "units": 2, "name": "one" }, &[&["sum"]]),
        layer("Dense", config! { "units": 1 }, &[&["sum"]]),
    ]
}

#[test]
fn a_graph_by_names_is_the_one_of_symbols() {
    let mut model = Model::from_graph(&example(), &strings(&["a", "b"]), &[]).unwrap();
    let (a, b) = (
        Symbol::input(Input::new([3]).name("a")),
        Symbol::input(Input::new([3]).name("b")),
    );
    let tower = SharedLayer::new(Dense::new(4).name("tower"));
    let (first, second) = (tower.apply(&a), tower.apply(&b));
    let inner = Dense::new(4).name("inner").apply(&first);
    let sum = Add::new().name("sum").apply([&inner, &second]);
    let one = Dense::new(2).name("one").apply(&sum);
    let other = Dense::new(1).name("dense").apply(&sum);
    let mut expected = Model::new([a, b], [one, other]).unwrap();
    assert_eq!(model.input_names(), ["a", "b"]);
    assert_eq!(model.output_names(), ["one", "dense"]);
    model.build().unwrap();
    expected.build().unwrap();
    assert_eq!(model.to_keras(), expected.to_keras());
    let data = |name: &str| {
        let values = (0..6).map(|i| (i as f32 * 0.7 + name.len() as f32).sin());
        let tensor = Tensor::from_f32(&[2, 3], values.collect()).unwrap();
        (name.to_owned(), std::sync::Arc::new(tensor))
    };
    let features = vec![data("a"), data("b")];
    let data = danlu_data::ArrayDataset::from_named("d", features, Vec::new()).unwrap();
    let outputs = model.predict_outputs(&data, PredictOptions::new()).unwrap();
    assert_eq!(
        outputs,
        expected
            .predict_outputs(&data, PredictOptions::new())
            .unwrap()
    );
}

#[test]
fn inputs_and_outputs_can_be_chosen() {
    let model = Model::from_graph(&example(), &[], &strings(&["dense", "one"])).unwrap();
    assert_eq!(model.input_names(), ["b", "a"]);
    assert_eq!(model.output_names(), ["dense", "one"]);
    let mut layers = example();
    layers.truncate(4);
    layers.remove(2);
    let outputs = strings(&["tower[1]", "tower[0]"]);
    let model = Model::from_graph(&layers, &[], &outputs).unwrap();
    assert_eq!(model.output_names(), ["tower", "tower_1"]);
    assert_eq!(
        GraphLayer::names(&[
            layer("Dense", config! {}, &[]),
            layer("Dense", config! { "name": "dense" }, &[]),
            layer("Input", config! {}, &[]),
            layer("Dense", config! {}, &[]),
        ]),
        ["dense_1", "dense", "input_layer", "dense_2"]
    );
}

#[test]
fn broken_graphs_name_their_layers() {
    let error = |change: &dyn Fn(&mut Vec<GraphLayer>), inputs: &[&str], outputs: &[&str]| {
        let mut layers = example();
        change(&mut layers);
        let model = Model::from_graph(&layers, &strings(inputs), &strings(outputs));
        let built = model.and_then(|mut model| model.build());
        built.unwrap_err().to_string()
    };
    let reads = |place: usize, names: &'static [&'static str]| {
        move |layers: &mut Vec<GraphLayer>| layers[place].inputs = vec![strings(names)]
    };
    let nothing = |_: &mut Vec<GraphLayer>| {};
    let cases: Vec<(String, &[&str])> = vec![
        (
            error(&reads(4, &["sum"]), &[], &[]),
            &["sum reads inner reads sum", "layer sum (Add)"],
        ),
        (
            error(&reads(4, &["inner"]), &[], &[]),
            &["inner reads inner"],
        ),
        (
            error(&reads(5, &["summ"]), &[], &[]),
            &["layer one (Dense)", "did you mean `sum`?"],
        ),
        (
            error(&reads(5, &["tower"]), &[], &[]),
            &["used 2 time(s)", "`tower[0]` to `tower[1]`"],
        ),
        (error(&reads(5, &["tower[2]"]), &[], &[]), &["`tower[2]`"]),
        (error(&reads(5, &["sum[1]"]), &[], &[]), &["`sum[1]`"]),
        (error(&reads(0, &["a"]), &[], &[]), &["layer b (Input)"]),
        (error(&reads(6, &[]), &[], &[]), &["layer dense (Dense)"]),
        (
            error(&|layers| drop(layers.drain(..2)), &[], &[]),
            &["no layer of this model named `a`"],
        ),
        (
            error(
                &|layers| layers[5].arguments = config! { "units": 2, "name": "sum" },
                &[],
                &[],
            ),
            &["layer sum (Dense)", "the name of layer sum (Add), too"],
        ),
        (
            error(&reads(2, &["inner", "a"]), &[], &[]),
            &["layer sum (Add)", "4", "3"],
        ),
        (
            error(&reads(2, &["inner", "inner"]), &[], &["one", "dense"]),
            &[
                "layer tower (Dense)",
                "(use 1)",
                "none of the outputs (one, dense)",
            ],
        ),
        (error(&nothing, &[], &["one"]), &["layer dense (Dense)"]),
        (
            error(&nothing, &[], &["one", "dense", "two"]),
            &["the model's outputs", "`two`"],
        ),
        (error(&nothing, &[], &["one", "one"]), &["`one` twice"]),
        (
            error(&nothing, &[], &["one", "dense", "a"]),
            &["`outputs`", "layer a (Input)"],
        ),
        (error(&nothing, &["a"], &[]), &["`inputs`", "no `b`"]),
        (
            error(&nothing, &["a", "b", "sum"], &[]),
            &["layer sum (Add), which is no Input"],
        ),
        (
            error(&|layers| layers.truncate(2), &[], &[]),
            &["`outputs`", "none"],
        ),
        (
            error(
                &|layers| layers.push(layer("Input", config! { "shape": [2] }, &[])),
                &[],
                &[],
            ),
            &["layer input_layer (Input)"],
        ),
    ];
    for (place, (text, expected)) in cases.iter().enumerate() {
        for part in *expected {
            assert!(
                text.contains(part),
                "case {place}: `{part}` is not in: {text}"
            );
        }
    }
}

#[test]
fn a_layer_without_inputs_follows_the_one_before() {
    let first = layer("Dense", config! { "units": 2 }, &[]);
    let error = Model::from_graph(&[first], &[], &[])
        .unwrap_err()
        .to_string();
    assert!(error.contains("no layer before it"), "{error}");
    let chain = [
        layer("Input", config! { "shape": [3] }, &[]),
        layer("Dense", config! { "units": 2 }, &[]),
        layer("Softmax", config! {}, &[]),
    ];
    let mut model = Model::from_graph(&chain, &[], &[]).unwrap();
    model.build().unwrap();
    assert_eq!(model.layer_names(), ["input_layer", "dense", "softmax"]);
    assert_eq!(model.output_shape(), Some(vec![2]));
}
