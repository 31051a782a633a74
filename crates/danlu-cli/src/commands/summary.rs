//! `danlu summary`

use std::io::Write as _;
use std::path::Path;

use danlu::data::files::{check_writable, write_atomically};

use crate::arguments::{DeviceArguments, SummaryArguments};
use crate::failure::{Failure, Result};
use crate::{device, models, output, subject};

/// Prints the layers of a model or a recipe, or the operations of its program, or writes its picture.
///
/// # Errors
/// The model or recipe cannot be read, or the picture not be written.
pub fn run(arguments: &SummaryArguments) -> Result<()> {
    if let Some(path) = &arguments.svg {
        check_picture(path)?;
    }
    let one = DeviceArguments {
        threads: Some(1),
        isa: None,
    };
    let executor = device::open(&one)?.executor;
    let model = subject::model(&arguments.subject, arguments.data.as_deref(), executor)?;
    if let Some(path) = &arguments.svg {
        let picture = model.to_svg()?;
        write_atomically(path, |file| file.write_all(picture.as_bytes()))?;
        output::say(&format!("wrote {}", path.display()));
        return Ok(());
    }
    match arguments.graph {
        true => output::data(&model.graph_text(model.is_compiled())?),
        false => output::data(&format!("{}\n", model.summary().trim_end())),
    }
}

fn check_picture(path: &Path) -> Result<()> {
    let wrong = |problem: String| Failure::Usage(format!("--svg {}: {problem}", path.display()));
    if models::extension(path) != "svg" {
        return Err(wrong("expected a file that ends in .svg".to_owned()));
    }
    check_writable(path).map_err(|error| wrong(error.to_string()))
}
