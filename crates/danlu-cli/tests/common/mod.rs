//! What the end-to-end tests share: the command in a folder of its own, and small data files.
#![allow(dead_code)] // Each test file uses a part of it.

pub mod pair;
pub mod runs;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// A folder of its own to run `danlu` in.
pub struct Place(pub TempDir);

impl Place {
    pub fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Runs the command line, split at blanks.
    pub fn run(&self, line: &str) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_danlu"))
            .args(line.split_whitespace())
            .current_dir(self.0.path())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            !stderr.contains("panicked") && !stderr.contains("this is a bug"),
            "{line}: {stderr}"
        );
        output
    }

    /// Runs what must succeed, and returns its standard output.
    pub fn good(&self, line: &str) -> String {
        let output = self.run(line);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs what must succeed and print JSON.
    pub fn json(&self, line: &str) -> Value {
        serde_json::from_str(&self.good(line)).unwrap()
    }

    /// Runs what must fail with this exit code and nothing on standard output, and returns standard error.
    pub fn bad(&self, line: &str, code: i32) -> String {
        let output = self.run(line);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{line}: {stderr}");
        assert!(output.stdout.is_empty(), "{line}");
        assert!(!stderr.trim().is_empty(), "{line}: no message");
        stderr
    }

    /// Runs a training that must fail before a run folder is made.
    pub fn bad_training(&self, arguments: &str, code: i32) -> String {
        let before = names(self.0.path());
        let stderr = self.bad(&format!("train {arguments}"), code);
        assert_eq!(names(self.0.path()), before, "train {arguments}");
        stderr
    }
}

fn names(folder: &Path) -> Vec<std::ffi::OsString> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

/// An IDX file of bytes.
pub fn idx(shape: &[u32], values: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, shape.len() as u8];
    for size in shape {
        bytes.extend(size.to_be_bytes());
    }
    bytes.extend(values);
    bytes
}

/// `count` pictures of this many pixels, each another one.
pub fn pixels(count: usize, size: usize) -> Vec<u8> {
    (0..count * size)
        .map(|index| ((index * 37 + index / size * 11) % 256) as u8)
        .collect()
}

/// A version 1 NPY file of f32 in C order.
pub fn npy(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let shape: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let mut header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}").into_bytes();
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(b' ');
    }
    header.push(b'\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header);
    for value in values {
        bytes.extend(value.to_le_bytes());
    }
    bytes
}

/// An MNIST-style folder of 8x8 pictures with these labels, the same for training and test.
pub fn idx_folder(place: &Place, folder: &str, labels: &[u8]) {
    let count = labels.len();
    let images = idx(&[count as u32, 8, 8], &pixels(count, 64));
    for part in ["train", "t10k"] {
        place.write(&format!("{folder}/{part}-images-idx3-ubyte"), &images);
        let labels = idx(&[count as u32], labels);
        place.write(&format!("{folder}/{part}-labels-idx1-ubyte"), labels);
    }
}
