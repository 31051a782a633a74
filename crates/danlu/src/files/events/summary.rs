//! The values of summaries.

use danlu_graph::Tensor;

use super::Image;
use super::message::Message;

/// Buckets of a histogram, TensorBoard's default.
const BUCKETS: usize = 30;
/// Numbers of `DataType`.
const FLOAT: u64 = 1;
const DOUBLE: u64 = 2;
const STRING: u64 = 7;

/// A `Summary.Value`: a tensor that a plugin reads.
fn value(tag: &str, plugin: &str, content: &[u8], tensor: &Message) -> Message {
    let mut data = Message::new().text(1, plugin);
    if !content.is_empty() {
        data = data.text(2, content);
    }
    let metadata = Message::new().message(1, &data);
    Message::new()
        .text(1, tag)
        .message(9, &metadata)
        .message(8, tensor)
}

/// The beginning of a `TensorProto`.
fn tensor(dtype: u64, shape: &[usize]) -> Message {
    let shape = shape.iter().fold(Message::new(), |shape, &size| {
        shape.message(2, &Message::new().number(1, size as u64))
    });
    Message::new().number(1, dtype).message(2, &shape)
}

/// The value of a scalar, f32 as Keras writes it.
pub(super) fn scalar(tag: &str, value: f64) -> Message {
    let content = (value as f32).to_le_bytes();
    self::value(tag, "scalars", &[], &tensor(FLOAT, &[]).text(4, content))
}

/// The value of a histogram: `[left edge, right edge, count]` for each bucket.
pub(super) fn histogram(tag: &str, values: &Tensor) -> Message {
    let buckets = buckets(values);
    let numbers = buckets.iter().flatten();
    let content: Vec<u8> = numbers.flat_map(|number| number.to_le_bytes()).collect();
    let tensor = tensor(DOUBLE, &[buckets.len(), 3]).text(4, content);
    value(tag, "histograms", &[], &tensor)
}

/// The value of images: width and height as texts, then the PNG files.
pub(super) fn images(tag: &str, images: &[Image<'_>]) -> Message {
    let size = |side: fn(&Image<'_>) -> usize| images.first().map_or(0, side).to_string();
    let sizes = [size(|image| image.width), size(|image| image.height)];
    let mut tensor = tensor(STRING, &[2 + images.len()]);
    for size in &sizes {
        tensor = tensor.text(8, size);
    }
    for image in images {
        tensor = tensor.text(8, image.png);
    }
    value(tag, "images", &[], &tensor)
}

/// The value that holds Keras' description of a model.
pub(super) fn keras_model(json: &str) -> Message {
    let tensor = tensor(STRING, &[]).text(8, json);
    value("keras", "graph_keras_model", b"1", &tensor)
}

/// As `tensorboard/plugins/histogram/summary_v2.py`: where all numbers are the same, the last bucket has them; where there are
/// none, there are no buckets.
pub(super) fn buckets(values: &Tensor) -> Vec<[f64; 3]> {
    match values.as_f32() {
        Some(values) => of_numbers(values.iter().map(|&value| f64::from(value))),
        None => of_numbers(values.to_f64().into_iter()),
    }
}

fn of_numbers(values: impl Iterator<Item = f64> + Clone) -> Vec<[f64; 3]> {
    let finite = || values.clone().filter(|value| value.is_finite());
    let (mut least, mut most, mut count) = (f64::INFINITY, f64::NEG_INFINITY, 0u64);
    for value in finite() {
        least = least.min(value);
        most = most.max(value);
        count += 1;
    }
    if count == 0 {
        return Vec::new();
    }
    let range = most - least;
    if range == 0.0 {
        let mut buckets = vec![[least, least, 0.0]; BUCKETS];
        buckets[BUCKETS - 1][2] = count as f64;
        return buckets;
    }
    let width = range / BUCKETS as f64;
    let mut counts = [0u64; BUCKETS];
    for value in finite() {
        counts[(((value - least) / width) as usize).min(BUCKETS - 1)] += 1;
    }
    let edge = |place: usize| match place {
        BUCKETS => most,
        place => least + width * place as f64,
    };
    let bucket = |(place, &count): (usize, &u64)| [edge(place), edge(place + 1), count as f64];
    counts.iter().enumerate().map(bucket).collect()
}
