//! Event files are read by the real TensorBoard.

use std::process::Command;

use danlu::data::sources::png;
use danlu::files::events::{EventWriter, Image};
use danlu::prelude::*;

const SCRIPT: &str = r#"
import io, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util
from tensorboard.compat.proto.graph_pb2 import GraphDef
from PIL import Image
folder = sys.argv[1]
events = EventAccumulator(folder, size_guidance={"tensors": 0})
events.Reload()
tags = events.Tags()["tensors"]
assert sorted(tags) == sorted(["epoch_loss", "kernel/histogram", "first", "keras"]), tags
plugin = lambda tag: events.SummaryMetadata(tag).plugin_data.plugin_name
assert plugin("epoch_loss") == "scalars" and plugin("kernel/histogram") == "histograms"
assert plugin("first") == "images" and plugin("keras") == "graph_keras_model"
array = lambda event: tensor_util.make_ndarray(event.tensor_proto)
loss = [(e.step, float(array(e))) for e in events.Tensors("epoch_loss")]
assert loss == [(0, 1.5), (1, 0.75), (2, 0.5)], loss
[histogram] = [array(e) for e in events.Tensors("kernel/histogram")]
assert histogram.shape == (30, 3) and histogram[:, 2].sum() == 100, histogram
[pictures] = [array(e) for e in events.Tensors("first")]
assert [pictures[0], pictures[1]] == [b"3", b"2"], pictures
image = Image.open(io.BytesIO(pictures[2]))
assert image.size == (3, 2) and list(image.getdata()) == [0, 50, 100, 150, 200, 250]
graph = events.Graph()
nodes = {node.name: (node.op, list(node.input)) for node in graph.node}
assert nodes["dense"] == ("Dense", ["flatten"]), nodes
shape = graph.node[-1].attr["_output_shapes"].list.shape[0]
assert [d.size for d in shape.dim] == [-1, 5], shape
# What draws the conceptual graph takes Keras' description too.
import json
from tensorboard.plugins.graph import keras_util
[text] = [array(e).item() for e in events.Tensors("keras")]
drawn = keras_util.keras_model_to_graph_def(json.loads(text))
assert any(node.name.endswith("dense") for node in drawn.node), drawn
"#;

fn run(folder: &std::path::Path) {
    let python = std::env::var("DANLU_KERAS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(python)
        .args(["-c", SCRIPT])
        .arg(folder)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}

#[test]
#[ignore = "needs TensorBoard and Pillow: DANLU_KERAS_PYTHON=/path/to/python"]
fn tensorboard_reads_scalars_histograms_images_and_graphs() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = Sequential::new();
    model.add(Input::new([2, 3]));
    model.add(Flatten::new().name("flatten"));
    model.add(Dense::new(5).name("dense"));
    let mut model = model.into_model();
    model.build().unwrap();
    let mut first = EventWriter::create(folder.path()).unwrap();
    first.graph(&model).unwrap();
    first.scalar("epoch_loss", 0, 1.5).unwrap();
    let values = (0..100).map(|value| value as f32).collect();
    let values = Tensor::from_f32(&[100], values).unwrap();
    first.histogram("kernel/histogram", 0, &values).unwrap();
    let pixels = Tensor::from_u8(&[2, 3, 1], vec![0, 50, 100, 150, 200, 250]).unwrap();
    let mut file = Vec::new();
    png::write(&mut file, &pixels).unwrap();
    let image = Image {
        width: 3,
        height: 2,
        png: &file,
    };
    first.images("first", 0, &[image]).unwrap();
    first.scalar("epoch_loss", 1, 99.0).unwrap();
    first.flush().unwrap();
    // A training that goes on from the end of the first epoch.
    danlu::files::events::rewind(folder.path(), 1, 0, 0).unwrap();
    let mut second = EventWriter::create(folder.path()).unwrap();
    second.scalar("epoch_loss", 1, 0.75).unwrap();
    second.scalar("epoch_loss", 2, 0.5).unwrap();
    second.flush().unwrap();
    run(folder.path());
}
