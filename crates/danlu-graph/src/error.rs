//! The one error of this crate.

use std::fmt;

/// What went wrong while a graph was built, a program compiled or run: a sentence for people, with the path of the
/// layer in which it happened where there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    message: String,
    path: Option<String>,
}

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error that says what failed, what was expected, what was received.
    pub fn new(message: impl Into<String>) -> Error {
        Error {
            message: message.into(),
            path: None,
        }
    }

    /// The same error with the path of the layer in which it happened; an inner path that is already there stays.
    #[must_use]
    pub fn at(mut self, path: &str) -> Error {
        if self.path.is_none() && !path.is_empty() {
            self.path = Some(path.to_owned());
        }
        self
    }

    /// The layer in which it happened, such as `classifier/conv2d_1`.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// The sentence without the path.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(formatter, "{path}: {}", self.message),
            None => formatter.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}
