//! Event files, read back.

use std::path::Path;

use super::message::{Field, fields};
use super::record;

/// What a summary holds.
pub struct Summary {
    pub step: u64,
    pub tag: String,
    pub plugin: String,
    pub shape: Vec<u64>,
    /// Of a tensor of f64.
    pub numbers: Vec<f64>,
    /// Of a tensor of texts.
    pub texts: Vec<Vec<u8>>,
}

/// The events of a file, undamaged to its end.
pub fn events(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let mut rest = bytes.as_slice();
    let mut events = Vec::new();
    while !rest.is_empty() {
        let event = record::first(rest).unwrap();
        rest = &rest[record::HEAD + event.len() + record::TAIL..];
        events.push(event.to_vec());
    }
    events
}

/// The content of a field on the way down through messages.
pub fn at<'a>(message: &'a [u8], way: &[u64]) -> Option<&'a [u8]> {
    way.iter().try_fold(message, |message, number| {
        fields(message).find_map(|(own, field)| match field {
            Field::Bytes(bytes) if own == *number => Some(bytes),
            _ => None,
        })
    })
}

/// All contents of a field.
pub fn all(message: &[u8], number: u64) -> Vec<&[u8]> {
    let own = fields(message).filter(|(own, _)| *own == number);
    own.filter_map(|(_, field)| match field {
        Field::Bytes(bytes) => Some(bytes),
        _ => None,
    })
    .collect()
}

fn number(message: &[u8], number: u64) -> u64 {
    let found = fields(message).find_map(|(own, field)| match field {
        Field::Number(value) if own == number => Some(value),
        _ => None,
    });
    found.unwrap_or(0)
}

/// All summaries of a folder's files, in order.
pub fn summaries(folder: &Path) -> Vec<Summary> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let events: Vec<Vec<u8>> = files.iter().flat_map(|file| events(file)).collect();
    let mut summaries = Vec::new();
    for event in &events {
        for value in at(event, &[5]).map_or(Vec::new(), |summary| all(summary, 1)) {
            let text = |way: &[u64]| String::from_utf8(at(value, way).unwrap().to_vec()).unwrap();
            let tensor = at(value, &[8]).unwrap();
            let shape = at(tensor, &[2]).unwrap();
            let content = at(tensor, &[4]).unwrap_or(&[]);
            summaries.push(Summary {
                step: number(event, 2),
                tag: text(&[1]),
                plugin: text(&[9, 1, 1]),
                shape: all(shape, 2)
                    .into_iter()
                    .map(|size| number(size, 1))
                    .collect(),
                numbers: content
                    .chunks_exact(8)
                    .map(|eight| f64::from_le_bytes(eight.try_into().unwrap()))
                    .collect(),
                texts: all(tensor, 8).into_iter().map(<[u8]>::to_vec).collect(),
            });
        }
    }
    summaries
}
