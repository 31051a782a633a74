//! A folder of files that is there whole or not at all, whatever ends the process or fills the disk.
//!
//! It is written beside its place (`.NAME.new`), synced, and swapped in by two renames, between which the one before is
//! `.NAME.old`. So at every moment one of the three is whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file's name and bytes.
pub(super) type Entry = (&'static str, Vec<u8>);

/// Told of every file operation, before and after it; an error that it gives stands for one of the system's.
pub(super) type Hook<'a> = &'a mut dyn FnMut() -> io::Result<()>;

/// Does a file operation, with the hook told before and after.
type Operation<'a> = &'a mut dyn FnMut(&mut dyn FnMut() -> io::Result<()>) -> io::Result<()>;

/// The folder, what is being written, and what was there before: where a whole one may be, the likeliest first.
pub(super) fn places(folder: &Path) -> [PathBuf; 3] {
    let beside = |ending: &str| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        folder.with_file_name(format!(".{name}.{ending}"))
    };
    [folder.to_owned(), beside("new"), beside("old")]
}

/// Puts these files in the place of the folder. `whole` says whether a folder that was left behind is complete.
///
/// After an error the folder is as it was.
pub(super) fn replace(
    folder: &Path,
    files: &[Entry],
    whole: &dyn Fn(&Path) -> bool,
    hook: Hook<'_>,
) -> io::Result<()> {
    let [_, new, old] = places(folder);
    let parent = folder.parent().filter(|path| !path.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let mut operation = |run: &mut dyn FnMut() -> io::Result<()>| {
        hook()?;
        run()?;
        hook()
    };
    clear_up(folder, whole, &mut operation)?;
    let written = (|| {
        operation(&mut || fs::create_dir(&new))?;
        for (name, bytes) in files {
            let mut file = None;
            operation(&mut || {
                file = Some(File::create_new(new.join(name))?);
                Ok(())
            })?;
            let Some(mut file) = file else { continue };
            operation(&mut || file.write_all(bytes))?;
            operation(&mut || file.sync_all())?;
        }
        operation(&mut || sync_folder(&new))?;
        if folder.exists() {
            operation(&mut || fs::rename(folder, &old))?;
        }
        operation(&mut || fs::rename(&new, folder))?;
        operation(&mut || sync_folder(parent))
    })();
    if written.is_ok() {
        // The new one is in its place: what cannot be removed now is removed next time.
        let _ = operation(&mut || fs::remove_dir_all(&old));
        return Ok(());
    }
    // The first error is the one to report. The one before goes back to its place, also where the new one is there already:
    // nobody is told that it is.
    if old.exists() {
        if folder.exists() {
            let _ = fs::rename(folder, &new);
        }
        let _ = fs::rename(&old, folder);
    }
    let _ = fs::remove_dir_all(&new);
    written
}

/// Ends what a killed process had begun: one whole folder is left, in its place.
pub(super) fn clear_up(
    folder: &Path,
    whole: &dyn Fn(&Path) -> bool,
    operation: Operation<'_>,
) -> io::Result<()> {
    let [_, new, old] = places(folder);
    if !folder.exists() {
        let left = [&new, &old].into_iter().find(|place| whole(place));
        if let Some(left) = left {
            operation(&mut || fs::rename(left, folder))?;
        }
    }
    for left in [&new, &old] {
        if left.exists() {
            operation(&mut || fs::remove_dir_all(left))?;
        }
    }
    Ok(())
}

/// Makes names durable where the system can; where it cannot open folders, the files are safe all the same.
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder) {
        Ok(folder) => folder.sync_all(),
        Err(_) => Ok(()),
    }
}
