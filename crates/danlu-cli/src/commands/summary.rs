//! `danlu summary`

use crate::arguments::{DeviceArguments, SummaryArguments};
use crate::failure::Result;
use crate::{device, output, subject};

/// Prints the layers of a model or a recipe, or the operations of its program.
///
/// # Errors
/// The model or recipe cannot be read.
pub fn run(arguments: &SummaryArguments) -> Result<()> {
    let one = DeviceArguments {
        threads: Some(1),
        isa: None,
    };
    let executor = device::open(&one)?.executor;
    let model = subject::model(&arguments.subject, arguments.data.as_deref(), executor)?;
    match arguments.graph {
        true => output::data(&model.graph_text(model.is_compiled())?),
        false => output::data(&format!("{}\n", model.summary().trim_end())),
    }
}
