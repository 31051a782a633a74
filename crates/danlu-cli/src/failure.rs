//! Why a command ends without what it was asked for, and the exit code that says so.

use std::fmt;

/// A result with this crate's [`Failure`].
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why a command ends early.
#[derive(Debug)]
pub enum Failure {
    /// The command line, a recipe or a path is no good: exit code 2.
    Usage(String),
    /// Everything else that fails: exit code 1.
    Failed(String),
    /// Ctrl-C: exit code 130.
    Interrupted(String),
    /// Nobody reads our output any more, which is no error: exit code 0.
    ReaderGone,
}

impl Failure {
    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Failure::Usage(_) => 2,
            Failure::Failed(_) => 1,
            Failure::Interrupted(_) => 130,
            Failure::ReaderGone => 0,
        }
    }

    /// What failed, or must be changed, said by this error.
    pub fn failed(error: impl fmt::Display) -> Failure {
        Failure::Failed(error.to_string())
    }

    /// What must be changed on the command line or in a recipe, said by this error.
    pub fn usage(error: impl fmt::Display) -> Failure {
        Failure::Usage(error.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(text) | Failure::Failed(text) | Failure::Interrupted(text) => {
                formatter.write_str(text)
            }
            Failure::ReaderGone => formatter.write_str("nobody reads the output"),
        }
    }
}

impl From<danlu::data::Error> for Failure {
    fn from(error: danlu::data::Error) -> Failure {
        match error {
            danlu::data::Error::NotFound { .. } | danlu::data::Error::Unknown { .. } => {
                Failure::usage(error)
            }
            error => Failure::failed(error),
        }
    }
}

impl From<danlu::Error> for Failure {
    fn from(error: danlu::Error) -> Failure {
        match error {
            danlu::Error::Data(error) => error.into(),
            error => Failure::failed(error),
        }
    }
}

impl From<danlu::files::Error> for Failure {
    fn from(error: danlu::files::Error) -> Failure {
        Failure::failed(error)
    }
}
