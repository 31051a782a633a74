//! Where data comes from: one file per format, datasets that have a name or a path, inputs to predict.

mod arrays;
mod builtin;
pub mod digits;
mod elements;
mod folder;
pub mod idx;
mod input;
pub mod npy;
mod npy_header;
pub mod npz;
pub mod png;
mod predict;
mod stream;
mod targets;

use std::path::{Path, PathBuf};

use danlu_graph::{DType, Tensor};

use crate::dataset::FingerprintBuilder;
use crate::{ArrayDataset, Dataset, Error, Fingerprint, Result};

pub use builtin::{BUILTIN, open_builtin};
pub use input::{Format, Input};
pub use npz::Npz;
pub use predict::{Inputs, read_inputs, read_named_inputs, read_opened};
pub use targets::TargetRule;

/// A dataset as it lies in files: with a training part, a test part, or both.
#[derive(Clone, Debug)]
pub struct Source {
    /// The name of a built-in dataset, or of the folder or file.
    pub name: String,
    /// Where it was found; `None` where it came with the build.
    pub path: Option<PathBuf>,
    /// The examples to train on, or all where the files make no difference.
    pub train: Option<ArrayDataset>,
    /// The examples to test on.
    pub test: Option<ArrayDataset>,
    /// Identifies the arrays of both parts.
    pub fingerprint: Fingerprint,
}

impl Source {
    /// Parts that fit each other; the number of classes becomes the larger of the two.
    ///
    /// # Errors
    /// No part, a part without examples, examples of different shapes.
    pub fn new(
        name: &str,
        path: Option<&Path>,
        train: Option<ArrayDataset>,
        test: Option<ArrayDataset>,
    ) -> Result<Source> {
        let parts = [&train, &test];
        if parts.iter().all(|part| part.is_none()) {
            return Err(Error::Empty {
                subject: format!("the dataset `{name}`"),
            });
        }
        let mut builder = FingerprintBuilder::default();
        for part in parts {
            builder.number(part.iter().len());
            if let Some(part) = part {
                // No element counts as no example, too: an axis of 0 could promise any number of examples.
                let mut arrays = part.features().iter().chain(part.targets());
                if arrays.any(|array| array.is_empty()) {
                    return Err(Error::Empty {
                        subject: part.specification().name.clone(),
                    });
                }
                builder.fingerprint(part.fingerprint());
            }
        }
        if let (Some(train), Some(test)) = (&train, &test) {
            check_alike(train, test)?;
        }
        let classes = parts
            .iter()
            .filter_map(|part| part.as_ref()?.specification().classes)
            .max();
        let with_classes = |part: ArrayDataset| match classes {
            Some(classes) if part.specification().classes.is_some() => {
                let names = part.specification().class_names.clone();
                part.with_classes(classes, names)
            }
            _ => part,
        };
        Ok(Source {
            name: name.to_owned(),
            path: path.map(Path::to_path_buf),
            train: train.map(with_classes),
            test: test.map(with_classes),
            fingerprint: builder.finish(),
        })
    }

    /// The same data with features that are stored as bytes multiplied by `pixel_scale` in batches.
    #[must_use]
    pub fn with_pixel_scale(mut self, pixel_scale: f32) -> Source {
        self.train = self.train.map(|part| part.with_pixel_scale(pixel_scale));
        self.test = self.test.map(|part| part.with_pixel_scale(pixel_scale));
        self
    }
}

/// Opens the data at a path, the only place that is searched: a folder with IDX files named as MNIST's are, or an NPZ file with `x_train` and
/// `y_train` (and `x_test`, `y_test`), or `x` and `y`; where there are several inputs or targets, `x_<input>_train`, `y_<output>_train` and so
/// on; `weight`, `weight_<output>` weight the examples. Grey pictures (bytes without an axis of channels) become (height, width, 1).
///
/// # Errors
/// Nothing is there, it cannot be read by this version, is damaged, or its parts do not fit each other.
pub fn open_path(path: impl AsRef<Path>) -> Result<Source> {
    let path = path.as_ref();
    let name = match path.file_stem() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => path.display().to_string(),
    };
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return folder::open(path, &name),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NotFound {
                subject: format!("`{}`", path.display()),
                advice: "a path that is given is the only place that is searched; check it"
                    .to_owned(),
            });
        }
        Err(error) => return Err(Error::file("open", path.display().to_string(), error)),
    }
    let mut input = Input::open(path)?;
    match input.format()? {
        Format::Zip => arrays::open(Npz::open(input)?, &name, path),
        Format::Idx => Err(Error::Unsupported {
            subject: path.display().to_string(),
            received: "an IDX file alone".to_owned(),
            supported: "give the folder that holds the images and their labels".to_owned(),
        }),
        format => Err(input::unsupported(input.name(), format)),
    }
}

/// Examples `x` and targets `y` as a dataset; `files` are what errors call the two.
fn pair(name: &str, files: [&str; 2], features: Tensor, targets: Tensor) -> Result<ArrayDataset> {
    let features = with_channels(features)?;
    if let (Some(examples), Some(labels)) = (features.shape().first(), targets.shape().first())
        && examples != labels
    {
        return Err(Error::mismatch(
            format!("`{}`", files[1]),
            format!("{examples} labels, one for each example of `{}`", files[0]),
            labels.to_string(),
            "the files do not belong together, or one is incomplete",
        ));
    }
    let named = |name: &str, tensor: Tensor| vec![(name.to_owned(), tensor.into())];
    ArrayDataset::from_named(name, named("x", features), named("y", targets))
}

/// Grey pictures with an axis of channels; all else as it is.
fn with_channels(features: Tensor) -> Result<Tensor> {
    match *features.shape() {
        [count, height, width] if features.dtype() == DType::U8 => {
            Ok(features.reshaped(&[count, height, width, 1])?)
        }
        _ => Ok(features),
    }
}

fn check_alike(train: &ArrayDataset, test: &ArrayDataset) -> Result<()> {
    let [train, test] = [train, test].map(ArrayDataset::specification);
    let fields = |specification: &crate::Specification| {
        let fields = specification.features.iter().chain(&specification.targets);
        fields
            .map(|field| (field.name.clone(), field.shape.clone()))
            .collect::<Vec<_>>()
    };
    for ((name, expected), (_, received)) in fields(train).into_iter().zip(fields(test)) {
        if expected != received {
            return Err(Error::mismatch(
                format!("one example's `{name}` in the {}", test.name),
                format!("shape {expected:?} as in the {}", train.name),
                format!("shape {received:?}"),
                "",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn npz(arrays: &[(&str, Tensor)]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::with_suffix(".npz").unwrap();
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, tensor) in arrays {
            let options = zip::write::SimpleFileOptions::default();
            writer.start_file(format!("{name}.npy"), options).unwrap();
            npy::write(&mut writer, tensor).unwrap();
        }
        let bytes = writer.finish().unwrap().into_inner();
        file.write_all(&bytes).unwrap();
        file
    }

    fn bytes(shape: &[usize]) -> Tensor {
        Tensor::zeros(shape, DType::U8).unwrap()
    }

    #[test]
    fn npz_files_as_keras_has_them_and_plain_ones_are_read() {
        let file = npz(&[
            ("x_test", bytes(&[2, 4, 5])),
            ("x_train", bytes(&[3, 4, 5])),
            ("y_train", bytes(&[3])),
            ("y_test", bytes(&[2])),
        ]);
        let source = open_path(file.path()).unwrap();
        assert_eq!(
            source.train.unwrap().specification().features[0].shape,
            [4, 5, 1]
        );
        assert_eq!(source.test.unwrap().len(), 2);

        let floats = Tensor::zeros(&[3, 4, 5], DType::F32).unwrap();
        let file = npz(&[("x", floats), ("y", bytes(&[3, 1]))]);
        let train = open_path(file.path()).unwrap().train.unwrap();
        assert_eq!(train.specification().features[0].shape, [4, 5]);
        assert!(!train.specification().features[0].pixels);
    }

    #[test]
    fn a_source_that_is_none_says_why() {
        let message = |path: &Path| open_path(path).unwrap_err().to_string();
        let text = message(Path::new("/no/such/data"));
        assert!(text.contains("the only place that is searched"), "{text}");
        let file = npz(&[("images", bytes(&[3, 4, 5]))]);
        assert!(message(file.path()).contains("received images"));
        let file = npz(&[("x", bytes(&[3, 4])), ("y", bytes(&[2]))]);
        assert!(message(file.path()).contains("expected 3 labels"));
        let file = npz(&[("x", bytes(&[1 << 40, 0])), ("y", bytes(&[1 << 40, 0]))]);
        assert!(message(file.path()).contains("no example"));
        let folder = tempfile::tempdir().unwrap();
        assert!(message(folder.path()).contains("this version reads"));
    }

    #[test]
    fn the_fingerprint_is_that_of_the_arrays() {
        let of = |x: Tensor, y: Tensor| {
            let part = ArrayDataset::new(x, y).unwrap();
            Source::new("x", None, Some(part), None)
                .unwrap()
                .fingerprint
        };
        let first = of(bytes(&[3, 4]), bytes(&[3]));
        assert_eq!(first, of(bytes(&[3, 4]), bytes(&[3])));
        assert_eq!(first.to_string().parse(), Ok(first));
        assert_ne!(first, of(bytes(&[3, 2, 2]), bytes(&[3])));
        assert_ne!(
            first,
            of(bytes(&[3, 4]), Tensor::zeros(&[3], DType::I8).unwrap())
        );
        let mut other = bytes(&[3, 4]);
        other.as_u8_mut().unwrap()[11] = 1;
        assert_ne!(first, of(other, bytes(&[3])));
    }
}
