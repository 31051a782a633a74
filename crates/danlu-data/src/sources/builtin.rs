//! Datasets that have a name.

use std::env;
use std::path::{Path, PathBuf};

use super::{Source, digits, folder};
use crate::{Error, Result, suggest};

/// The names of the built-in datasets.
pub const BUILTIN: [&str; 2] = ["digits", "mnist"];

/// Opens a built-in dataset. `digits` comes with the build; `mnist` is looked for in `$DANLU_DATA/mnist`, then in the user's cache
/// (`$XDG_CACHE_HOME/danlu/mnist`, by default `~/.cache/danlu/mnist`). Nothing is downloaded.
///
/// # Errors
/// There is no dataset of this name; its files are not there (the error says which files to put where), or damaged.
pub fn open_builtin(name: &str) -> Result<Source> {
    match name {
        "digits" => digits::open(),
        "mnist" => open_mnist(&places()),
        _ => Err(Error::Unknown {
            kind: "built-in dataset",
            name: name.to_owned(),
            suggestion: suggest::hint(name, BUILTIN),
        }),
    }
}

/// The folders that hold a folder for each built-in dataset, in the order in which they are searched.
fn places() -> Vec<PathBuf> {
    let folder = |variable: &str| {
        let value = env::var_os(variable)?;
        (!value.is_empty()).then(|| PathBuf::from(value))
    };
    let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
    let mut places: Vec<PathBuf> = folder("DANLU_DATA").into_iter().collect();
    places.extend(cache.map(|cache| cache.join("danlu")));
    places
}

fn open_mnist(places: &[PathBuf]) -> Result<Source> {
    let folders: Vec<PathBuf> = places.iter().map(|place| place.join("mnist")).collect();
    let Some(found) = folders.iter().find(|folder| folder.is_dir()) else {
        return Err(Error::NotFound {
            subject: "the dataset `mnist`".to_owned(),
            advice: mnist_advice(&folders),
        });
    };
    let source = folder::open(found, "mnist")?;
    match (&source.train, &source.test) {
        (Some(_), Some(_)) => Ok(source),
        (train, _) => Err(Error::NotFound {
            subject: format!(
                "the {} part of the dataset `mnist`",
                if train.is_none() { "training" } else { "test" }
            ),
            advice: mnist_advice(std::slice::from_ref(found)),
        }),
    }
}

fn mnist_advice(folders: &[PathBuf]) -> String {
    let files = [
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ];
    let folders = match folders {
        [] => "a folder, and name it with --data".to_owned(),
        folders => {
            let shown: Vec<String> = folders
                .iter()
                .map(|folder: &PathBuf| Path::display(folder).to_string())
                .collect();
            format!("{} (or name their folder with --data)", shown.join(" or "))
        }
    };
    format!(
        "this version downloads nothing. Put the four files {} (unzipped or not) into {folders}. \
         They are `The MNIST database of handwritten digits` by LeCun, Cortes and Burges, \
         http://yann.lecun.com/exdb/mnist/, also at https://ossci-datasets.s3.amazonaws.com/mnist/ and \
         https://storage.googleapis.com/cvdf-datasets/mnist/",
        files.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dataset;

    #[test]
    fn digits_come_with_the_build() {
        let source = open_builtin("digits").unwrap();
        let (train, test) = (source.train.unwrap(), source.test.unwrap());
        assert_eq!((train.len(), test.len()), (1500, 297));
        assert_eq!(train.features()[0].shape(), [1500, 8, 8, 1]);
        assert_eq!(train.specification().classes, Some(10));
        // The first picture and the first labels of scikit-learn's `load_digits`, its row 0, 0, 5, 13, 9, 1, 0, 0 brought to 255.
        let pixels = &train.features()[0].as_u8().unwrap()[..8];
        assert_eq!(pixels, [0, 0, 80, 207, 143, 16, 0, 0]);
        assert_eq!(
            train.targets()[0].as_u8().unwrap()[..10],
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
        );
    }

    #[test]
    fn an_unknown_name_gets_the_nearest() {
        let error = open_builtin("mnsit").unwrap_err().to_string();
        assert_eq!(
            error,
            "there is no built-in dataset named `mnsit`; did you mean `mnist`?"
        );
    }

    #[test]
    fn a_missing_dataset_says_which_files_go_where() {
        let place = tempfile::tempdir().unwrap();
        let error = open_mnist(&[place.path().to_path_buf()])
            .unwrap_err()
            .to_string();
        for part in ["t10k-labels-idx1-ubyte.gz", "yann.lecun.com", "--data"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(
            error.contains(&place.path().join("mnist").display().to_string()),
            "{error}"
        );
    }
}
