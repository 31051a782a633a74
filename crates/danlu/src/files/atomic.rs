//! Files that are there whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::{Error, Problem, Result};

/// Writes a file under a temporary name in the same folder, syncs it and renames it: after a crash there is the old
/// file or the new one. The temporary file is removed where anything fails.
///
/// # Errors
/// The folder does not exist or cannot be written, or the disk is full; what was at `path` is unchanged.
pub(super) fn write_atomically(path: &Path, parts: &[&[u8]]) -> Result<()> {
    let fail = |action: &str, error: io::Error| -> Error {
        Problem::io(action.to_owned(), error).in_file(path)
    };
    let (temporary, mut file) =
        create_beside(path).map_err(|error| fail("create a file in its folder", error))?;
    let written = parts
        .iter()
        .try_for_each(|part| file.write_all(part))
        .and_then(|()| file.sync_all())
        .map_err(|error| fail("write it", error))
        .and_then(|()| {
            fs::rename(&temporary, path).map_err(|error| fail("put it in place", error))
        });
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    } else if let Some(folder) = path.parent() {
        // The content is synced; syncing the folder makes the rename durable where the system can do that.
        let _ = File::open(if folder.as_os_str().is_empty() {
            Path::new(".")
        } else {
            folder
        })
        .and_then(|folder| folder.sync_all());
    }
    written
}

/// A new file with a name of its own beside `path`.
fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    loop {
        let mut temporary = OsString::from(".");
        temporary.push(name);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        temporary.push(format!(".{}-{number}.tmp", std::process::id()));
        let temporary = path.with_file_name(temporary);
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&temporary)
        {
            Ok(file) => return Ok((temporary, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}
