//! A folder with IDX files, named as MNIST's are: `train-images-idx3-ubyte`, `t10k-labels.idx1-ubyte.gz`, `emnist-letters-test-images-idx3-ubyte`.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Input, Source, idx, pair};
use crate::{ArrayDataset, Error, Result};

/// What a file name says.
#[derive(Debug, PartialEq)]
struct Named {
    /// What stands before `images` or `labels`.
    prefix: String,
    images: bool,
    gzipped: bool,
}

/// A file of images and one of labels that belong together.
struct Pair {
    prefix: String,
    images: PathBuf,
    labels: PathBuf,
}

/// Opens a folder with a training part (a prefix with `train`), a test part (`t10k` or `test`), or one part of any prefix, which becomes
/// the training part.
///
/// # Errors
/// The folder cannot be read, holds no such files or those of several datasets, images lack their labels, or a file is damaged.
pub(crate) fn open(folder: &Path, name: &str) -> Result<Source> {
    let pairs = find_pairs(folder)?;
    let is_test = |pair: &&Pair| pair.prefix.contains("t10k") || pair.prefix.contains("test");
    let is_train = |pair: &&Pair| pair.prefix.contains("train") && !is_test(pair);
    let mut train: Vec<&Pair> = pairs.iter().filter(is_train).collect();
    let test: Vec<&Pair> = pairs.iter().filter(is_test).collect();
    if train.is_empty() && test.is_empty() {
        train = pairs.iter().collect();
    }
    for (part, found) in [("training", &train), ("test", &test)] {
        if let [first, second, ..] = found.as_slice() {
            return Err(Error::mismatch(
                format!("the folder `{}`", folder.display()),
                format!("one {part} part"),
                format!(
                    "`{}` and `{}`",
                    first.images.display(),
                    second.images.display()
                ),
                "put each dataset into a folder of its own",
            ));
        }
    }
    let read = |found: Vec<&Pair>, part: &str| {
        let pair = found.first();
        pair.map(|pair| read_pair(pair, &format!("{part} part of {name}")))
            .transpose()
    };
    let (train, test) = (read(train, "training")?, read(test, "test")?);
    Source::new(name, Some(folder), train, test)
}

fn read_pair(files: &Pair, name: &str) -> Result<ArrayDataset> {
    let [images, labels] = [&files.images, &files.labels];
    let names = [images.display().to_string(), labels.display().to_string()];
    let images = idx::read(&mut Input::open(images)?)?;
    let labels = idx::read(&mut Input::open(labels)?)?;
    pair(name, [&names[0], &names[1]], images, labels)
}

fn find_pairs(folder: &Path) -> Result<Vec<Pair>> {
    let failed = |error| Error::file("read", folder.display().to_string(), error);
    let mut files = Vec::new();
    let (mut has_pictures, mut has_tables) = (false, false);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        match parse(&name) {
            Some(named) if path.is_file() => files.push((named, path)),
            _ => {
                has_pictures |= path.is_dir() || name.ends_with(".png") || name.ends_with(".jpg");
                has_tables |= name.ends_with(".csv");
            }
        }
    }
    // An unzipped file goes before the same one zipped; the order in the folder does not matter.
    files.sort_by(|(left, _), (right, _)| {
        (&left.prefix, left.images, left.gzipped).cmp(&(&right.prefix, right.images, right.gzipped))
    });
    files.dedup_by(|(left, _), (right, _)| {
        left.prefix == right.prefix && left.images == right.images
    });
    if files.is_empty() {
        let received = match (has_tables, has_pictures) {
            (true, _) => "a folder with CSV files",
            (false, true) => "a folder with pictures or folders in it",
            (false, false) => "a folder without IDX files",
        };
        return Err(Error::Unsupported {
            subject: folder.display().to_string(),
            received: received.to_owned(),
            supported: "this version reads folders with IDX files, plain or gzipped (train-images-idx3-ubyte, \
                        train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte), and NPZ files \
                        (x_train, y_train, x_test, y_test, or x, y)"
                .to_owned(),
        });
    }
    join(folder, files)
}

fn join(folder: &Path, files: Vec<(Named, PathBuf)>) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    let mut files = files.into_iter().peekable();
    while let Some((first, path)) = files.next() {
        // Sorted: labels (`images` is false) stand right before the images of the same prefix.
        match files.next_if(|(second, _)| second.prefix == first.prefix) {
            Some((_, images)) => pairs.push(Pair {
                prefix: first.prefix,
                images,
                labels: path,
            }),
            None => {
                let (there, missing) = match first.images {
                    true => ("images", "labels"),
                    false => ("labels", "images"),
                };
                return Err(Error::NotFound {
                    subject: format!("the file of {missing} that belongs to `{}`", path.display()),
                    advice: format!(
                        "put `{}`, named as the file of {there} is, into `{}`",
                        format_args!("{}{missing}...", first.prefix),
                        folder.display()
                    ),
                });
            }
        }
    }
    Ok(pairs)
}

/// Reads a lower-case name: `<prefix>images<rest>` or `<prefix>labels<rest>`, the rest being nothing or `-idx3-ubyte`, `.idx`, `.gz` and the like.
fn parse(name: &str) -> Option<Named> {
    let (stem, gzipped) = match name.strip_suffix(".gz") {
        Some(stem) => (stem, true),
        None => (name, false),
    };
    let (at, images) = match (stem.rfind("images"), stem.rfind("labels")) {
        (Some(at), None) => (at, true),
        (None, Some(at)) => (at, false),
        _ => return None,
    };
    let prefix = &stem[..at];
    let rest = &stem[at + "images".len()..];
    let parts = rest.split(['-', '.', '_']);
    let idx = rest.is_empty()
        || (rest.starts_with(['-', '.', '_'])
            && parts
                .skip(1)
                .all(|part| matches!(part, "idx" | "idx1" | "idx2" | "idx3" | "idx4" | "ubyte")));
    let apart = prefix.is_empty() || prefix.ends_with(['-', '.', '_']);
    (idx && apart).then(|| Named {
        prefix: prefix.to_owned(),
        images,
        gzipped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;

    fn idx_file(shape: &[u32], fill: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, shape.len() as u8];
        bytes.extend(shape.iter().flat_map(|size| size.to_be_bytes()));
        bytes.resize(bytes.len() + shape.iter().product::<u32>() as usize, fill);
        bytes
    }

    fn folder(files: &[(&str, Vec<u8>)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        folder
    }

    fn message(files: &[(&str, Vec<u8>)]) -> String {
        open(folder(files).path(), "test").unwrap_err().to_string()
    }

    #[test]
    fn names_as_they_are_commonly_given_are_understood() {
        for (name, prefix, images, gzipped) in [
            ("train-images-idx3-ubyte.gz", "train-", true, true),
            ("train-images.idx3-ubyte", "train-", true, false),
            ("t10k-labels.idx1-ubyte", "t10k-", false, false),
            (
                "emnist-letters-test-images-idx3-ubyte",
                "emnist-letters-test-",
                true,
                false,
            ),
            ("x-images", "x-", true, false),
            ("images.idx", "", true, false),
        ] {
            let expected = Named {
                prefix: prefix.to_owned(),
                images,
                gzipped,
            };
            assert_eq!(parse(name), Some(expected), "{name}");
        }
        for name in [
            "images.png",
            "readme.txt",
            "train-images.npz",
            "myimages",
            "images-labels",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
    }

    #[test]
    fn four_files_make_a_dataset_and_grey_gets_a_channel() {
        let files = [
            ("train-images.idx3-ubyte", idx_file(&[3, 4, 5], 9)),
            (
                "train-images-idx3-ubyte.gz",
                b"the unzipped one goes first".to_vec(),
            ),
            ("train-labels.idx1-ubyte", idx_file(&[3], 2)),
            ("t10k-images-idx3-ubyte", idx_file(&[2, 4, 5], 9)),
            ("t10k-labels-idx1-ubyte", idx_file(&[2], 6)),
            ("notes.txt", Vec::new()),
        ];
        let folder = folder(&files);
        let source = open(folder.path(), "test").unwrap();
        let train = source.train.unwrap();
        assert_eq!(train.specification().features[0].shape, [4, 5, 1]);
        assert_eq!(train.len(), 3);
        assert_eq!(train.specification().classes, Some(7));
        assert_eq!(source.test.unwrap().specification().classes, Some(7));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let images = || ("train-images-idx3-ubyte", idx_file(&[3, 4, 5], 9));
        let labels = |count| ("train-labels-idx1-ubyte", idx_file(&[count], 1));
        let text = message(&[images(), labels(4)]);
        assert!(
            text.contains("train-images") && text.contains("train-labels"),
            "{text}"
        );
        assert!(
            text.contains("expected 3 labels") && text.contains("received 4"),
            "{text}"
        );
        let text = message(&[images()]);
        assert!(text.contains("the file of labels"), "{text}");
        let text = message(&[
            ("train-images-idx3-ubyte", idx_file(&[0, 4, 5], 9)),
            labels(0),
        ]);
        assert!(text.contains("no example"), "{text}");
        let test = [
            ("t10k-images-idx3-ubyte", idx_file(&[3, 4, 4], 9)),
            ("t10k-labels-idx1-ubyte", idx_file(&[3], 1)),
        ];
        let text = message(&[images(), labels(3), test[0].clone(), test[1].clone()]);
        assert!(
            text.contains("[4, 5, 1]") && text.contains("[4, 4, 1]"),
            "{text}"
        );
        let text = message(&[("train.csv", Vec::new())]);
        assert!(
            text.contains("CSV") && text.contains("this version reads"),
            "{text}"
        );
        let two = [
            "a-train-images",
            "a-train-labels",
            "b-train-images",
            "b-train-labels",
        ];
        let text = message(&two.map(|name| (name, idx_file(&[1, 1, 1], 0))));
        assert!(text.contains("a folder of its own"), "{text}");
    }
}
