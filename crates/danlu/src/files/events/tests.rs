use super::rewind::step_and_tags;
use super::testing::{all, at, events};
use super::*;
use crate::prelude::*;

/// The tensor of an event's summary.
const TENSOR: [u64; 3] = [5, 1, 8];

fn steps(path: &Path) -> Vec<(u64, String)> {
    let events = events(path);
    let known = events.iter().flat_map(|event| {
        let (step, tags) = step_and_tags(event);
        let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
        tags.into_iter().map(move |tag| (step, tag))
    });
    known.collect()
}

#[test]
fn a_file_holds_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(folder.path().join("train")).unwrap();
    writer.scalar("epoch_loss", 3, 0.25).unwrap();
    let values = Tensor::from_f32(&[2, 2], vec![-1.0, 0.0, f32::NAN, 29.0]).unwrap();
    writer.histogram("kernel/histogram", 300, &values).unwrap();
    let image = Image {
        width: 5,
        height: 7,
        png: b"a picture",
    };
    writer.images("first", 0, &[image, image]).unwrap();
    writer.flush().unwrap();

    let events = events(writer.path());
    assert_eq!(at(&events[0], &[3]), Some(b"brain.Event:2".as_slice()));
    let expected = [(3, "epoch_loss"), (300, "kernel/histogram"), (0, "first")];
    for (event, (step, tag)) in events[1..].iter().zip(expected) {
        assert_eq!(step_and_tags(event), (step, vec![tag]));
    }
    let plugin = |event: &'_ [u8]| at(event, &[5, 1, 9, 1, 1]).unwrap().to_vec();
    assert_eq!(plugin(&events[1]), b"scalars");
    let tensor = at(&events[1], &TENSOR).unwrap();
    assert_eq!(at(tensor, &[4]), Some(0.25f32.to_le_bytes().as_slice()));

    assert_eq!(plugin(&events[2]), b"histograms");
    let content = at(&events[2], &[5, 1, 8, 4]).unwrap();
    let numbers: Vec<f64> = content
        .chunks(8)
        .map(|eight| f64::from_le_bytes(eight.try_into().unwrap()))
        .collect();
    // 30 buckets from -1 to 29, each 1 wide.
    assert_eq!(numbers[..6], [-1.0, 0.0, 1.0, 0.0, 1.0, 1.0]);
    assert_eq!(numbers[87..], [28.0, 29.0, 1.0]);
    assert_eq!(numbers.len(), 90);

    assert_eq!(plugin(&events[3]), b"images");
    let tensor = at(&events[3], &TENSOR).unwrap();
    let texts: [&[u8]; 4] = [b"5", b"7", b"a picture", b"a picture"];
    assert_eq!(all(tensor, 8), texts);
}

#[test]
fn the_ends_of_histograms() {
    let buckets =
        |values: Vec<f32>| summary::buckets(&Tensor::from_f32(&[values.len()], values).unwrap());
    assert!(buckets(Vec::new()).is_empty());
    assert!(buckets(vec![f32::INFINITY]).is_empty());
    let same = buckets(vec![2.0, 2.0]);
    assert_eq!(
        (same.len(), same[0], same[29]),
        (30, [2.0, 2.0, 0.0], [2.0, 2.0, 2.0])
    );
    let spread = buckets((0..1000).map(|value| value as f32).collect());
    assert_eq!(spread.iter().map(|bucket| bucket[2]).sum::<f64>(), 1000.0);
    assert_eq!((spread[0][0], spread[29][1]), (0.0, 999.0));
}

#[test]
fn a_graph_has_a_node_for_each_use_of_a_layer() {
    let input = Symbol::input(Input::new([4]).name("x"));
    let shared = SharedLayer::new(Dense::new(4).name("twice"));
    let once = shared.apply(&input);
    let twice = shared.apply(&once);
    let sum = Add::new().name("sum").apply([&once, &twice]);
    let mut model = Model::new(&input, &sum).unwrap();
    model.build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(folder.path()).unwrap();
    writer.graph(&model).unwrap();
    writer.flush().unwrap();
    let events = events(writer.path());
    let graph = at(events.last().unwrap(), &[4]).unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let nodes: Vec<(String, String, Vec<String>)> = all(graph, 1)
        .into_iter()
        .map(|node| {
            let inputs = all(node, 3).into_iter().map(text).collect();
            (
                text(at(node, &[1]).unwrap()),
                text(at(node, &[2]).unwrap()),
                inputs,
            )
        })
        .collect();
    let node = |name: &str, kind: &str, inputs: &[&str]| {
        let inputs = inputs.iter().map(|input| (*input).to_owned());
        (name.to_owned(), kind.to_owned(), inputs.collect::<Vec<_>>())
    };
    assert_eq!(
        nodes,
        [
            node("x", "InputLayer", &[]),
            node("twice", "Dense", &["x"]),
            node("twice.2", "Dense", &["twice"]),
            node("sum", "Add", &["twice", "twice.2"]),
        ]
    );
}

#[test]
fn what_a_training_will_write_again_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = EventWriter::create(folder.path()).unwrap();
    for epoch in 0..3 {
        for batch in 1..=2 {
            writer.scalar("batch_loss", epoch * 2 + batch, 1.0).unwrap();
        }
        writer
            .scalar("evaluation_loss_vs_iterations", 100 + epoch * 2 + 2, 1.0)
            .unwrap();
        writer.scalar("epoch_loss", epoch, 1.0).unwrap();
        writer
            .histogram("w/histogram", epoch, &Tensor::scalar(1.0))
            .unwrap();
    }
    writer.flush().unwrap();
    let path = writer.path().to_owned();
    let whole = steps(&path);
    assert_eq!(whole.len(), 15);
    // From the middle of the second epoch on: its first batch is kept.
    rewind(folder.path(), 1, 3, 103).unwrap();
    assert_eq!(steps(&path), whole[..6]);
    // Half of a record goes too, and nothing else.
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&bytes[..], &bytes[..30]].concat()).unwrap();
    rewind(folder.path(), 1, 3, 103).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    rewind(folder.path().join("nothing"), 1, 3, 103).unwrap();
}
