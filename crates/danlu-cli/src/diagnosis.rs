//! What `danlu train` says of a training that goes wrong.

use std::path::Path;
use std::sync::Arc;

use danlu::Model;
use danlu::data::{Dataset, validation_split};
use danlu::diagnosis::{Diagnose, Diagnosis};
use danlu::training::FitOptions;
use serde_json::Value;

use crate::failure::Result;
use crate::models;
use crate::output::Messages;
use crate::recipe::Recipe;

/// What looks at a training of this recipe on this data; nothing where the recipe says `diagnose = false`. A look that there is no
/// room for is left out.
///
/// # Errors
/// The data cannot be split.
pub fn watch(
    recipe: &Recipe,
    data: &Arc<dyn Dataset>,
    model: &mut Model,
    messages: Messages,
) -> Result<Option<Diagnose>> {
    if !recipe.training.diagnose {
        return Ok(None);
    }
    let split = recipe.training.validation_split;
    let mut diagnose = match split > 0.0 {
        true => Diagnose::new(validation_split(data.clone(), split)?.0)?,
        false => Diagnose::new(data)?,
    };
    diagnose = diagnose.batch_size(recipe.training.batch_size);
    match diagnose.begin(model) {
        Ok(found) => say(found, messages),
        Err(error) => {
            messages.warning(&format!("the training is not looked at: {error}"));
            return Ok(None);
        }
    }
    Ok(Some(diagnose))
}

/// Says what was found, a line each.
pub fn say(found: &[Diagnosis], messages: Messages) {
    for one in found {
        messages.warning(&one.to_string());
    }
}

/// What was found, as `run.json` and `--json` hold it.
pub fn to_json(found: &[Diagnosis]) -> Value {
    let found = found.iter();
    found.map(|one| Value::Object(one.to_json())).collect()
}

/// An error of `fit` with where a number that is not finite began: the epochs since the last checkpoint, or since `fresh` made
/// the model, are run once more.
pub fn explain(
    error: danlu::Error,
    last: &Path,
    data: &Arc<dyn Dataset>,
    options: FitOptions<'_>,
    fresh: impl FnOnce() -> Result<Model>,
    checkpoint: impl FnOnce() -> Result<Model>,
    messages: Messages,
) -> danlu::Error {
    let danlu::Error::NotFinite {
        what,
        epoch,
        step,
        value,
        learning_rate,
        diagnosis: None,
    } = error
    else {
        return error;
    };
    let kept = models::kept_epoch(last);
    let first = kept.unwrap_or(0);
    messages.note(&format!(
        "{what} became {value}: epoch {epoch} is run once more, to see where it began",
    ));
    let find = || -> Result<Option<Diagnosis>> {
        let mut model = match kept {
            Some(_) => checkpoint()?,
            None => fresh()?,
        };
        let options = options.initial_epoch(first).epochs(epoch);
        // A callback may have changed it since; a schedule goes its own way.
        let _ = model.set_learning_rate(learning_rate);
        Ok(model.find_non_finite(data, options)?)
    };
    // The first error is the one to report.
    let diagnosis = find().unwrap_or(None).map(Box::new);
    danlu::Error::NotFinite {
        what,
        epoch,
        step,
        value,
        learning_rate,
        diagnosis,
    }
}
