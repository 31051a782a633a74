//! What can go wrong with a model file.

use std::io;
use std::path::{Path, PathBuf};

/// What went wrong with which file.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", path.display())]
pub struct Error {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    #[source]
    pub problem: Problem,
}

/// A result with this module's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can be wrong with a file: what was expected, what was received, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The operating system refused.
    #[error("cannot {action}: {error}{}", io_advice(error))]
    Io {
        /// What was tried.
        action: String,
        /// What the operating system answered.
        error: io::Error,
    },
    /// The extension names no format that holds a model.
    #[error("a model file ends in .keras, .h5 or .hdf5, but this name ends in {received}")]
    Extension {
        /// The extension, or what stands for it.
        received: String,
    },
    /// The file holds weights but no architecture.
    #[error(
        "this is a weights-only file: it says nothing about the model's layers. Give the model itself (.keras or .h5), or build the model from its recipe and load these weights into it"
    )]
    WeightsOnly,
    /// The content is of another format than the name promises.
    #[error("not {expected}: it starts with {received}")]
    WrongFormat {
        /// The format that was expected.
        expected: &'static str,
        /// How the file starts, and what that probably is.
        received: String,
    },
    /// The file ends too early.
    #[error(
        "truncated: {what} needs {expected} bytes, but there are {received}. Copy or download the file again"
    )]
    Truncated {
        /// What was being read.
        what: String,
        /// The bytes that it needs (or the place where it would end).
        expected: u64,
        /// The bytes that there are.
        received: u64,
    },
    /// The content contradicts its format.
    #[error(
        "damaged: {what}: expected {expected}, received {received}. Copy or download the file again"
    )]
    Damaged {
        /// What was being read.
        what: String,
        /// What should be there.
        expected: String,
        /// What is there.
        received: String,
    },
    /// The content is right, but nothing that Danlu can read or write.
    #[error("{what} is not supported: {advice}")]
    Unsupported {
        /// What was found.
        what: String,
        /// What to do.
        advice: String,
    },
    /// Something that every such file has is not there.
    #[error("{what} is missing. {advice}")]
    Missing {
        /// What is missing.
        what: String,
        /// What to do.
        advice: String,
    },
}

fn io_advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ". Free some space or choose another folder; nothing was changed"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ". Check the permissions or choose another folder"
        }
        io::ErrorKind::NotFound => ". Check the path",
        _ => "",
    }
}

impl Problem {
    /// The error with the file in which this was found.
    pub(super) fn in_file(self, path: &Path) -> Error {
        Error {
            path: path.to_owned(),
            problem: self,
        }
    }

    pub(super) fn io(action: impl Into<String>, error: io::Error) -> Problem {
        Problem::Io {
            action: action.into(),
            error,
        }
    }

    pub(super) fn damaged(
        what: impl Into<String>,
        expected: impl Into<String>,
        received: impl ToString,
    ) -> Problem {
        Problem::Damaged {
            what: what.into(),
            expected: expected.into(),
            received: received.to_string(),
        }
    }

    pub(super) fn unsupported(what: impl Into<String>, advice: impl Into<String>) -> Problem {
        Problem::Unsupported {
            what: what.into(),
            advice: advice.into(),
        }
    }
}

/// The first bytes of a file as a person would want to see them, and what they probably are.
pub(super) fn describe_start(start: &[u8]) -> String {
    let start = &start[..start.len().min(8)];
    let kind = match start {
        [] => return "nothing: the file is empty".to_owned(),
        [0x89, b'H', b'D', b'F', ..] => " (an HDF5 file: name it .h5)",
        [b'P', b'K', 3 | 5, ..] => " (a zip archive: a Keras model in one is named .keras)",
        [0x1f, 0x8b, ..] => " (gzip: unpack it first)",
        [b'<', ..] => " (probably a web page: the download went wrong)",
        [b'G', b'G', b'U', b'F', ..] => " (a GGUF file)",
        _ => "",
    };
    format!("\"{}\"{kind}", start.escape_ascii())
}
