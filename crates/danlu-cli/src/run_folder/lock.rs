//! One process at a time trains in a run folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use crate::failure::{Failure, Result};

const NAME: &str = ".lock";

/// Held as long as this lives; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a run folder; `path` is what errors call the folder.
    ///
    /// # Errors
    /// Another process has it, or the folder cannot be written.
    pub fn take(folder: &Path, path: &Path) -> Result<Lock> {
        let failed = |error: std::io::Error| {
            Failure::from(danlu::data::Error::file(
                "write in",
                path.display().to_string(),
                error,
            ))
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(folder.join(NAME)).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut process = String::new();
                // Only for the message.
                let _ = file.read_to_string(&mut process);
                return Err(Failure::Failed(format!(
                    "another process ({}) trains in the run folder `{}`: wait until it has ended, or end it",
                    process.trim(),
                    path.display()
                )));
            }
            // Some file systems have no locks; a run there is no worse than one without.
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let written = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(failed)?;
        Ok(Lock { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_told_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path(), Path::new("runs/a")).unwrap();
        let error = Lock::take(folder.path(), Path::new("runs/a")).unwrap_err();
        assert!(error.to_string().contains("runs/a"), "{error}");
        assert!(
            error.to_string().contains(&std::process::id().to_string()),
            "{error}"
        );
        drop(lock);
        Lock::take(folder.path(), Path::new("runs/a")).unwrap();
    }
}
