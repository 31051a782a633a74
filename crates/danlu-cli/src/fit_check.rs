//! Whether data and model fit, before anything is written.

use danlu::Model;
use danlu::data::{Dataset, Source, check_labels_of};
use danlu::losses::Loss;
use serde_json::Value;

use crate::classifier;
use crate::failure::{Failure, Result};

/// Checks the shape of the examples, where there is one input, and that labels are classes.
///
/// # Errors
/// They do not fit.
pub fn check(model: &Model, source: &Source) -> Result<()> {
    let names = model.output_names();
    let losses = classifier::losses(model);
    let units = model.output_shapes().unwrap_or_default();
    let parts = [&source.train, &source.test];
    for part in parts.into_iter().flatten() {
        let specification = part.specification();
        if let ([field], Some([expected])) = (
            specification.features.as_slice(),
            model.input_shapes().as_deref(),
        ) && *expected != field.shape
        {
            return Err(Failure::Failed(format!(
                "{}: the model takes examples of shape {expected:?}, the data has {:?}",
                specification.name, field.shape
            )));
        }
        let fields = &specification.targets;
        let known = |name: &String| fields.iter().position(|field| field.name == *name);
        let in_order =
            names.len() == fields.len() && names.iter().all(|name| known(name).is_none());
        for (place, loss) in losses.iter().enumerate() {
            let target = known(&names[place]).or(in_order.then_some(place));
            let classes = units.get(place).and_then(|shape| shape.last().copied());
            if let (Some(target), Some(classes)) = (target, classes)
                && takes_classes(loss)?
            {
                check_labels_of(part, target, classes)?;
            }
        }
    }
    Ok(())
}

/// Whether targets of a loss must be classes, all of them.
fn takes_classes(loss: &Value) -> Result<bool> {
    if loss.is_null() {
        return Ok(false);
    }
    let loss = Loss::from_json(loss)?;
    let function = loss.function();
    Ok(function.takes_class_indices() && function.ignored_class().is_none())
}
