//! Writing a file whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// Writes a file so that a crash, a full disk or an error in `write` leaves what was there before: the bytes go to a temporary
/// name in the same folder, are synced, and the name is changed. A path that is no regular file (`/dev/stdout`, a pipe) is
/// written as it is; a symbolic link stays one, and the file that it names is replaced.
///
/// `write` gets a buffered writer that can seek. Errors of other kinds travel through it as [`io::Error::other`].
///
/// # Errors
/// [`Error::File`] with the path and what to do: the folder does not exist, may not be written, the disk is full, or `write` failed.
pub fn write_atomically(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<()> {
    let path = path.as_ref();
    let failed = |source| Error::file("write", path.display().to_string(), source);
    let target = resolve(path).map_err(failed)?;
    if !begin(path, &target)? {
        let file = OpenOptions::new().write(true).open(&target);
        return file
            .and_then(|file| fill(file, write).map(drop))
            .map_err(failed);
    }
    let (temporary, file) = create_temporary(&target).map_err(failed)?;
    let written = fill(file, write)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(&temporary, &target));
    if let Err(error) = written {
        // The first error is the one to report; a leftover temporary file harms nothing.
        let _ = fs::remove_file(&temporary);
        return Err(failed(error));
    }
    sync_folder(folder_of(&target));
    Ok(())
}

/// Fails where [`write_atomically`] could not begin, so that this is known before hours of work; nothing is left behind.
///
/// # Errors
/// As [`write_atomically`].
pub fn check_writable(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    let failed = |source| Error::file("write", path.display().to_string(), source);
    let target = resolve(path).map_err(failed)?;
    if begin(path, &target)? {
        let (temporary, _) = create_temporary(&target).map_err(failed)?;
        fs::remove_file(temporary).map_err(failed)?;
    }
    Ok(())
}

/// Checks what can be seen of a target; whether it is to be written aside, being a regular file or nothing yet.
fn begin(path: &Path, target: &Path) -> Result<bool> {
    let failed = |source| Error::file("write", path.display().to_string(), source);
    let ends_in_separator = path.to_string_lossy().ends_with(std::path::is_separator);
    if let Ok(metadata) = fs::metadata(target) {
        if metadata.is_dir() {
            let error = io::Error::new(io::ErrorKind::IsADirectory, "it is a folder");
            return Err(failed(error));
        }
        if !metadata.is_file() {
            return Ok(false);
        }
    } else if ends_in_separator {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "it names a folder, not a file");
        return Err(failed(error));
    }
    let folder = folder_of(target);
    if !folder.is_dir() {
        return Err(Error::NotFound {
            subject: format!("the folder `{}`", folder.display()),
            advice: format!("make it before writing `{}`", path.display()),
        });
    }
    Ok(true)
}

fn fill(
    file: File,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<File> {
    let mut writer = BufWriter::with_capacity(64 << 10, file);
    let written = write(&mut writer).and_then(|()| writer.flush());
    // Taken apart rather than dropped: dropping would try to write what is left a second time.
    let (file, _) = writer.into_parts();
    written.map(|()| file)
}

/// Follows symbolic links, also ones to files that do not exist yet.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut target = path.to_path_buf();
    for _ in 0..40 {
        match fs::symlink_metadata(&target) {
            Ok(metadata) if metadata.is_symlink() => {
                let next = fs::read_link(&target)?;
                target = folder_of(&target).join(next);
            }
            _ => return Ok(target),
        }
    }
    Err(io::Error::other("too many symbolic links"))
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn create_temporary(target: &Path) -> io::Result<(PathBuf, File)> {
    if target.file_name().is_none() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it names no file",
        ));
    }
    loop {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        // Short and without the target's name, which may already be as long as a name may be.
        let name = format!(".danlu-{}-{number}.tmp", std::process::id());
        let temporary = target.with_file_name(name);
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

/// Makes the new name durable where the system can; where it cannot, the file itself is safe all the same.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = File::open(folder) {
        let _ = folder.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.keras");
        write_atomically(&path, |writer| writer.write_all(b"first")).unwrap();
        write_atomically(&path, |writer| writer.write_all(b"second")).unwrap();
        let error = write_atomically(&path, |writer| {
            writer.write_all(&vec![7; 1 << 20])?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        })
        .unwrap_err();
        assert!(error.to_string().contains("free some space"), "{error}");
        assert!(error.to_string().contains("model.keras"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(names(folder.path()), ["model.keras"]);
    }

    #[test]
    fn a_missing_folder_and_a_folder_as_target_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_atomically(folder.path().join("no/x.npy"), |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("make it before"), "{error}");
        let error = write_atomically(folder.path(), |_| Ok(())).unwrap_err();
        assert!(error.to_string().contains("it is a folder"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_device_is_an_error_and_a_link_stays_a_link() {
        let error = write_atomically("/dev/full", |writer| writer.write_all(b"x")).unwrap_err();
        assert!(error.to_string().contains("free some space"), "{error}");
        write_atomically("/dev/null", |writer| writer.write_all(b"x")).unwrap();

        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("target", &link).unwrap();
        write_atomically(&link, |writer| writer.write_all(b"x")).unwrap();
        assert_eq!(names(folder.path()), ["link", "target"]);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }
}
