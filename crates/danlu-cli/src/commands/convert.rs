//! `danlu convert`

use crate::arguments::{ConvertArguments, DeviceArguments};
use crate::failure::Result;
use crate::{device, models, output};

/// Writes a model in another format.
///
/// # Errors
/// The model cannot be read, or the file not be written.
pub fn run(arguments: &ConvertArguments) -> Result<()> {
    let one = DeviceArguments {
        threads: Some(1),
        isa: None,
    };
    let model = models::load(&arguments.input, device::open(&one)?.executor, true)?;
    for warning in model.warnings() {
        output::Messages { quiet: false }.warning(warning);
    }
    model.save(&arguments.output)?;
    output::say(&format!("wrote {}", arguments.output.display()));
    Ok(())
}
