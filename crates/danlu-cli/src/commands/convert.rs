//! `danlu convert`

use crate::arguments::{ConvertArguments, DeviceArguments};
use crate::failure::{Failure, Result};
use crate::{device, models};

/// Writes a model in another format.
///
/// # Errors
/// The model cannot be read, or the file not be written.
pub fn run(arguments: &ConvertArguments) -> Result<()> {
    let output = &arguments.output;
    if !["keras", "h5", "hdf5", "safetensors"].contains(&models::extension(output).as_str()) {
        return Err(Failure::Usage(format!(
            "`{}`: expected a file to write that ends in .keras, .h5 or .safetensors",
            output.display()
        )));
    }
    let one = DeviceArguments {
        threads: Some(1),
        isa: None,
    };
    let model = models::load(&arguments.input, device::open(&one)?.executor, true)?;
    model.save(output)?;
    crate::output::say(&format!("wrote {}", output.display()));
    Ok(())
}
