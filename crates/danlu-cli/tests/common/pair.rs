//! A functional model of two inputs and two outputs, and data for it.

use std::io::Write as _;

use serde_json::Value;

use super::{Place, npy};

/// Two inputs of 3 and 2 numbers, a layer that is used twice, two outputs.
pub const RECIPE: &str = r#"
name = "pair"

[data]
source = "pair.npz"

[model]
inputs = ["left", "right"]
outputs = ["sum", "kind"]

[[model.layers]]
type = "Input"
name = "right"

[[model.layers]]
type = "Input"
name = "left"

[[model.layers]]
type = "Dense"
units = 4
activation = "tanh"
name = "widen"
inputs = ["right"]

[[model.layers]]
type = "Dense"
units = 4
activation = "tanh"
name = "narrow"
inputs = ["left"]

[[model.layers]]
type = "Dense"
units = 8
activation = "relu"
name = "tower"
inputs = [["narrow"], ["widen"]]

[[model.layers]]
type = "Concatenate"
name = "both"
inputs = ["tower[0]", "tower[1]", "widen"]

[[model.layers]]
type = "Dense"
units = 1
name = "sum"

[[model.layers]]
type = "Dense"
units = 2
activation = "softmax"
name = "kind"
inputs = ["both"]

[training]
optimizer = { type = "Adam", learning_rate = 0.02 }
loss = { sum = "mse", kind = "sparse_categorical_crossentropy" }
loss_weights = { kind = 0.5 }
metrics = { sum = ["mae"], kind = ["accuracy"] }
epochs = 12
batch_size = 16
seed = 3
"#;

/// An array's name, shape and elements.
pub type Array = (&'static str, &'static [usize], Vec<f32>);

/// An NPZ file of f32 arrays, not compressed.
pub fn npz(arrays: &[Array]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for (name, shape, values) in arrays {
        let file = npy(shape, values);
        let name = format!("{name}.npy");
        let start = bytes.len() as u32;
        let mut common = Vec::new();
        common.extend([20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0]);
        common.extend(crc32(&file).to_le_bytes());
        common.extend((file.len() as u32).to_le_bytes());
        common.extend((file.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        bytes.write_all(b"PK\x03\x04").unwrap();
        bytes.extend(&common);
        bytes.extend(name.as_bytes());
        bytes.extend(file);
        directory.write_all(b"PK\x01\x02\x14\x00").unwrap();
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(start.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = bytes.len() as u32;
    let count = (arrays.len() as u16).to_le_bytes();
    bytes.extend(&directory);
    bytes.write_all(b"PK\x05\x06\0\0\0\0").unwrap();
    bytes.extend(count);
    bytes.extend(count);
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(sum & 1))
        })
    })
}

/// Examples whose sum of all numbers is one target, and its sign the other.
pub fn examples(count: usize, seed: usize) -> [Vec<f32>; 4] {
    let number = |place: usize| (((place * 7919 + seed * 104_729) % 1009) as f32) / 504.5 - 1.0;
    let left: Vec<f32> = (0..3 * count).map(number).collect();
    let right: Vec<f32> = (0..2 * count).map(|place| number(place + 50_000)).collect();
    let sums = left.chunks(3).zip(right.chunks(2));
    let sums: Vec<f32> = sums
        .map(|(left, right)| left.iter().chain(right).sum())
        .collect();
    let kinds = sums.iter().map(|&sum| f32::from(u8::from(sum > 0.0)));
    let kinds = kinds.collect();
    [left, right, sums, kinds]
}

pub fn pair(place: &Place) {
    let [left, right, sums, kinds] = examples(128, 1);
    let [left2, right2, sums2, kinds2] = examples(48, 2);
    place.write(
        "pair.npz",
        npz(&[
            ("x_left_train", &[128, 3], left),
            ("x_right_train", &[128, 2], right),
            ("y_kind_train", &[128], kinds),
            ("y_sum_train", &[128], sums),
            ("y_sum_test", &[48], sums2),
            ("y_kind_test", &[48], kinds2),
            ("x_right_test", &[48, 2], right2),
            ("x_left_test", &[48, 3], left2),
        ]),
    );
    place.write("pair.toml", RECIPE);
}

pub fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}
