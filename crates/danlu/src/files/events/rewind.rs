//! Cutting event files back to where a training goes on.

use std::fs::OpenOptions;
use std::path::Path;

use super::super::error::{Problem, Result};
use super::message::{Field, fields};
use super::record;

/// Cuts every event file of a folder before the first event that a training which goes on will write again: one of a tag `epoch_...`
/// from epoch `epoch` (counted from 0) on, `batch_...` above `batches`, `evaluation_..._vs_iterations` above `iteration`. A record that
/// a kill left half-written goes too. So readers see each step once.
///
/// A folder that is not there has nothing to cut.
///
/// # Errors
/// A file cannot be read or cut.
pub fn rewind(folder: impl AsRef<Path>, epoch: u64, batches: u64, iteration: u64) -> Result<()> {
    let folder = folder.as_ref();
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Problem::io("list it", error).in_file(folder)),
    };
    for entry in entries.flatten() {
        let is_events = entry.file_name().to_string_lossy().contains("tfevents");
        if !is_events || !entry.path().is_file() {
            continue;
        }
        let path = entry.path();
        let failed = |action: &'static str| {
            let path = path.clone();
            move |error| Problem::io(action, error).in_file(&path)
        };
        let bytes = std::fs::read(&path).map_err(failed("read it"))?;
        let keep = kept(&bytes, epoch, batches, iteration);
        if keep < bytes.len() {
            let file = OpenOptions::new().write(true).open(&path);
            file.and_then(|file| file.set_len(keep as u64))
                .map_err(failed("cut it"))?;
        }
    }
    Ok(())
}

/// How many bytes of a file are before the first event that is to be cut.
fn kept(bytes: &[u8], epoch: u64, batches: u64, iteration: u64) -> usize {
    let mut at = 0;
    while let Some(event) = record::first(&bytes[at..]) {
        let (step, tags) = step_and_tags(event);
        // Histograms and images of an epoch stand behind its numbers, and go with them.
        let beyond = |tag: &&str| match tag {
            tag if tag.starts_with("epoch_") => step >= epoch,
            tag if tag.starts_with("batch_") => step > batches,
            tag if tag.ends_with("_vs_iterations") => step > iteration,
            _ => false,
        };
        if tags.iter().any(beyond) {
            break;
        }
        at += record::HEAD + event.len() + record::TAIL;
    }
    at
}

/// An event's step and the tags of its summary.
pub(super) fn step_and_tags(event: &[u8]) -> (u64, Vec<&str>) {
    let mut step = 0;
    let mut tags = Vec::new();
    for (number, field) in fields(event) {
        match (number, field) {
            (2, Field::Number(value)) => step = value,
            (5, Field::Bytes(summary)) => {
                for (_, value) in fields(summary) {
                    let Field::Bytes(value) = value else { continue };
                    let tag = fields(value).find_map(|field| match field {
                        (1, Field::Bytes(tag)) => std::str::from_utf8(tag).ok(),
                        _ => None,
                    });
                    tags.extend(tag);
                }
            }
            _ => {}
        }
    }
    (step, tags)
}
