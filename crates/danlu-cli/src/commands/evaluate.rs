//! `danlu evaluate`

use std::sync::Arc;

use danlu::Model;
use danlu::data::{Dataset, Source, validation_split};
use danlu::training::{EvaluateOptions, Results};
use serde_json::{Value, json};

use crate::arguments::EvaluateArguments;
use crate::data::{DataSource, has_pixels, pixel_scale};
use crate::failure::{Failure, Result};
use crate::output::{self, Messages};
use crate::recipe::targets;
use crate::{device, models};

/// Prints loss and metrics of a model on data.
///
/// # Errors
/// Model or data cannot be read, or do not fit each other.
pub fn run(arguments: &EvaluateArguments) -> Result<()> {
    let messages = Messages {
        quiet: arguments.quiet,
    };
    let device = device::open(&arguments.device)?;
    let mut model = models::load(&arguments.model, device.executor, false)?;
    for warning in model.warnings() {
        messages.warning(warning);
    }
    let mut source = DataSource::from_argument(&arguments.data)?.open()?;
    if has_pixels(&source) {
        source =
            source.with_pixel_scale(pixel_scale(&model, arguments.pixel_scale, messages) as f32);
    }
    let source = targets::of_model(source, model.metadata().get("targets"))?;
    let (part, what) = held_out(&model, &source)?;
    messages.note(&format!("evaluating on {what}: {} examples", part.len()));
    let results = evaluate(&mut model, &part)?;
    match arguments.json {
        true => output::json(&to_json(&results)),
        false => {
            let lines = results
                .iter()
                .map(|(name, value)| format!("{name}: {value:.4}\n"));
            output::data(&lines.collect::<String>())
        }
    }
}

/// Loss and metrics of a compiled model.
///
/// # Errors
/// The model is not compiled, or the data does not fit it.
pub fn evaluate(model: &mut Model, part: &Arc<dyn Dataset>) -> Result<Results> {
    Ok(model.evaluate(part, EvaluateOptions::new().batch_size(64))?)
}

/// Names and numbers.
pub fn to_json(results: &Results) -> Value {
    Value::Object(
        results
            .iter()
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect(),
    )
}

/// The part of the data to evaluate on, and what it is: the test part, else what the model's own training held out of
/// the same data, else all of it.
fn held_out(model: &Model, source: &Source) -> Result<(Arc<dyn Dataset>, &'static str)> {
    if let Some(test) = &source.test {
        return Ok((Arc::new(test.clone()), "the data's test part"));
    }
    let Some(train) = &source.train else {
        return Err(Failure::failed("the data has no examples"));
    };
    let whole: Arc<dyn Dataset> = Arc::new(train.clone());
    let split = model.metadata().get("split");
    let fraction = split
        .and_then(|split| split["validation"].as_f64())
        .unwrap_or(0.0);
    let same = split.and_then(|split| split["fingerprint"].as_str())
        == Some(&source.fingerprint.to_string());
    if same && fraction > 0.0 {
        let (_, validation) = validation_split(whole, fraction)?;
        return Ok((Arc::new(validation), "the rows that training held out"));
    }
    Ok((whole, "all of the data"))
}
