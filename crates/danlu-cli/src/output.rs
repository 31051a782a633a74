//! Data on stdout, everything else on stderr.

use std::io::{ErrorKind, Write};

use crate::failure::{Failure, Result};

/// Writes data to stdout.
///
/// # Errors
/// [`Failure::ReaderGone`] where the reader closed the pipe; stdout is full or closed.
pub fn data(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::ReaderGone,
        _ => Failure::Failed(format!("cannot write to standard output: {error}")),
    })
}

/// Writes a JSON document and a line break to stdout.
///
/// # Errors
/// As [`data`].
pub fn json(value: &serde_json::Value) -> Result<()> {
    data(&format!("{value}\n"))
}

/// Writes a line to stderr. Where that cannot be done there is nobody to tell.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// What is said on stderr: notes are left out with `--quiet`, warnings never.
#[derive(Clone, Copy, Debug)]
pub struct Messages {
    /// Whether notes are left out.
    pub quiet: bool,
}

impl Messages {
    /// Something that is good to know.
    pub fn note(self, text: &str) {
        if !self.quiet {
            say(text);
        }
    }

    /// Something that is probably wrong.
    pub fn warning(self, text: &str) {
        say(&format!("warning: {text}"));
    }
}
