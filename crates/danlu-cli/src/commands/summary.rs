//! `danlu summary`

use danlu::data::Dataset;

use crate::arguments::{DeviceArguments, SummaryArguments};
use crate::data::DataSource;
use crate::failure::{Failure, Result};
use crate::recipe::ModelPart;
use crate::recipe::build::DataShape;
use crate::{commands::train, device, models, output};

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
    let model = if models::is_model(&arguments.subject) {
        models::load(&arguments.subject, executor, false)?
    } else {
        let recipe = train::recipe(&arguments.subject, |_| Ok(()))?;
        if let ModelPart::File(file) = &recipe.model {
            models::load(&file.display().to_string(), executor, false)?
        } else {
            let source = match &arguments.data {
                Some(text) => Some(DataSource::from_argument(text)?),
                None => recipe.source.clone(),
            };
            // MNIST's sizes are known, so that its recipe can be looked at without its files.
            let (example, classes) = match source {
                Some(DataSource::Builtin(name)) if name == "mnist" => (vec![28, 28, 1], Some(10)),
                Some(source) => {
                    let source = source.open()?;
                    let part = source.train.as_ref().or(source.test.as_ref());
                    let part = part.ok_or_else(|| Failure::failed("the data has no examples"))?;
                    let specification = part.specification();
                    (
                        specification.features[0].shape.clone(),
                        specification.classes,
                    )
                }
                None => {
                    return Err(Failure::usage(
                        "the recipe names no data: give --data, for the input's shape",
                    ));
                }
            };
            recipe.build(
                &DataShape {
                    example: &example,
                    classes,
                },
                executor,
            )?
        }
    };
    match arguments.graph {
        true => output::data(&model.graph_text(model.is_compiled())?),
        false => output::data(&format!("{}\n", model.summary().trim_end())),
    }
}
