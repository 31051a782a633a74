//! The one error of this crate.

use std::io;

/// What went wrong with a file or a dataset: what failed and where, what was expected, what was received, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The system refused to open, read or write a file.
    #[error("cannot {action} `{path}`: {source}{advice}")]
    File {
        /// What was tried: `open`, `read`, `write`, ...
        action: &'static str,
        /// The file or folder.
        path: String,
        /// What the system said.
        source: io::Error,
        /// What to do, beginning with `; `, or nothing.
        advice: &'static str,
    },
    /// A file is damaged, cut off, or not what it claims to be.
    #[error("`{file}`, byte {offset}: expected {expected}, received {received}")]
    Format {
        /// The file, and the entry of an archive.
        file: String,
        /// Bytes from the start of the file; where it is compressed, of what it holds.
        offset: u64,
        /// What belongs there.
        expected: String,
        /// What is there, and what to do.
        received: String,
    },
    /// A valid thing that this version cannot handle.
    #[error("`{subject}`: {received} cannot be read; {supported}")]
    Unsupported {
        /// The file or folder.
        subject: String,
        /// What it is.
        received: String,
        /// What can be read instead, or how to convert.
        supported: String,
    },
    /// Two things that must fit do not.
    #[error("{subject}: expected {expected}, received {received}{advice}")]
    Mismatch {
        /// What is wrong, with the file where there is one.
        subject: String,
        /// What it should be.
        expected: String,
        /// What it is.
        received: String,
        /// What to do, beginning with `; `, or nothing.
        advice: String,
    },
    /// A label that is no class.
    #[error(
        "{dataset}: example {example} has the label {value}, but the labels of {classes} classes are 0 to {last}; \
         correct the label or give the model more outputs",
        last = classes.saturating_sub(1)
    )]
    Label {
        /// The dataset or the file.
        dataset: String,
        /// Which example, counted from 0.
        example: usize,
        /// Its label.
        value: String,
        /// How many classes there are.
        classes: usize,
    },
    /// There is no example.
    #[error("{subject} holds no example; training, evaluating and predicting need at least one")]
    Empty {
        /// The dataset or the file.
        subject: String,
    },
    /// Nothing is where it was looked for.
    #[error("{subject} was not found: {advice}")]
    NotFound {
        /// What was looked for.
        subject: String,
        /// Where it was looked for and what to do.
        advice: String,
    },
    /// A name that stands for nothing.
    #[error("there is no {kind} named `{name}`{suggestion}")]
    Unknown {
        /// What kind of thing was looked for, such as `built-in dataset`.
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// As [`suggest::hint`](crate::suggest::hint) makes it, or nothing.
        suggestion: String,
    },
    /// An example that does not exist was asked for.
    #[error("example {index} was asked for, but there are {length}, counted from 0")]
    Index {
        /// Which example.
        index: usize,
        /// How many there are.
        length: usize,
    },
    /// Memory could not be had.
    #[error(
        "`{subject}`: {bytes} bytes of memory could not be had; free some memory or use less data"
    )]
    Memory {
        /// What needs the memory.
        subject: String,
        /// How many bytes were asked for.
        bytes: u64,
    },
    /// An array could not be made.
    #[error(transparent)]
    Tensor(#[from] danlu_graph::Error),
    /// What a user's own dataset or iterator reported.
    #[error(transparent)]
    Other(#[from] Box<dyn std::error::Error + Send + Sync>),
}

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A file that the system refused, with advice for the common reasons.
    pub fn file(action: &'static str, path: impl Into<String>, source: io::Error) -> Error {
        let advice = match source.kind() {
            io::ErrorKind::NotFound => "; check the path",
            io::ErrorKind::PermissionDenied => "; check who may read and write there",
            io::ErrorKind::ReadOnlyFilesystem => "; choose a folder on another disk",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "; free some space or choose another disk"
            }
            _ => "",
        };
        Error::File {
            action,
            path: path.into(),
            source,
            advice,
        }
    }

    /// Two things that must fit do not; `advice` is a clause such as `resize it to 28x28 first`, or nothing.
    pub fn mismatch(
        subject: impl Into<String>,
        expected: impl Into<String>,
        received: impl Into<String>,
        advice: &str,
    ) -> Error {
        let advice = match advice {
            "" => String::new(),
            advice => format!("; {advice}"),
        };
        Error::Mismatch {
            subject: subject.into(),
            expected: expected.into(),
            received: received.into(),
            advice,
        }
    }
}
