//! Sizes on the command line: `32x28x28x64`, `3x3`, `2`.

use crate::failure::{Failure, Result};

/// Sizes joined with `x`, all above 0.
///
/// # Errors
/// They are not; `example` shows how it is meant.
pub fn sizes(option: &str, text: &str, example: &str) -> Result<Vec<usize>> {
    let parts = text.split(['x', 'X']);
    let sizes: Option<Vec<usize>> = parts
        .map(|part| part.parse().ok().filter(|&size| size > 0))
        .collect();
    sizes.ok_or_else(|| wrong(option, text, example))
}

/// As [`sizes`], exactly so many.
///
/// # Errors
/// As [`sizes`], or there are more or fewer.
pub fn exactly<const COUNT: usize>(
    option: &str,
    text: &str,
    example: &str,
) -> Result<[usize; COUNT]> {
    sizes(option, text, example)?
        .try_into()
        .map_err(|_| wrong(option, text, example))
}

/// Rows and columns: `3x3`, or `3` for both.
///
/// # Errors
/// It is neither.
pub fn pair(option: &str, text: &str) -> Result<[usize; 2]> {
    let example = "ROWSxCOLUMNS, such as 2x2, or one number for both";
    match sizes(option, text, example)?[..] {
        [both] => Ok([both; 2]),
        [rows, columns] => Ok([rows, columns]),
        _ => Err(wrong(option, text, example)),
    }
}

fn wrong(option: &str, text: &str, example: &str) -> Failure {
    Failure::Usage(format!(
        "{option} `{text}`: expected whole numbers above 0 joined with x: {example}"
    ))
}
