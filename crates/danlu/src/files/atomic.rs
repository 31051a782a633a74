//! Files that are there whole or not at all.

use std::io::Write as _;
use std::path::Path;

use super::error::{Problem, Result};

/// Writes a file as [`danlu_data::files::write_atomically`] does: after a crash there is the old file or the new one.
///
/// # Errors
/// The folder does not exist or cannot be written, or the disk is full; what was at `path` is unchanged.
pub(super) fn write_atomically(path: &Path, parts: &[&[u8]]) -> Result<()> {
    let written = danlu_data::files::write_atomically(path, |writer| {
        parts.iter().try_for_each(|part| writer.write_all(part))
    });
    written.map_err(|error| {
        let problem = match error {
            danlu_data::Error::File { source, .. } => Problem::io("write it", source),
            _ => {
                let folder = path.parent().unwrap_or(path);
                Problem::Missing {
                    what: format!("the folder `{}`", folder.display()),
                    advice: "Make it first, or choose another".to_owned(),
                }
            }
        };
        problem.in_file(path)
    })
}
