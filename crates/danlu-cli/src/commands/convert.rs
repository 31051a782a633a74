//! `danlu convert`

use crate::arguments::{ConvertArguments, DeviceArguments};
use crate::failure::{Failure, Result};
use crate::{device, models, output};

/// Writes a model in another format.
///
/// # Errors
/// The model cannot be read, or the file not be written.
pub fn run(arguments: &ConvertArguments) -> Result<()> {
    let to = &arguments.output;
    if !["keras", "h5", "hdf5", "safetensors"].contains(&models::extension(to).as_str()) {
        return Err(Failure::Usage(format!(
            "`{}`: expected a file to write that ends in .keras, .h5 or .safetensors",
            to.display()
        )));
    }
    let one = DeviceArguments {
        threads: Some(1),
        isa: None,
    };
    let model = models::load(&arguments.input, device::open(&one)?.executor, true)?;
    for warning in model.warnings() {
        output::Messages { quiet: false }.warning(warning);
    }
    model.save(to)?;
    output::say(&format!("wrote {}", to.display()));
    Ok(())
}
