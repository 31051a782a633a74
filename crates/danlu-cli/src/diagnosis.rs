//! What `danlu train` says of a training that goes wrong.

use std::sync::Arc;

use danlu::Model;
use danlu::callbacks::Note;
use danlu::data::{Dataset, validation_split};
use danlu::diagnosis::{Diagnose, Diagnosis};
use danlu::training::{FitOptions, History, TrainingState};
use serde_json::Value;

use crate::failure::Result;
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
    let diagnose = match split > 0.0 {
        true => Diagnose::new(validation_split(data.clone(), split)?.0)?,
        false => Diagnose::new(data)?,
    };
    let mut diagnose = diagnose.batch_size(recipe.training.batch_size);
    if let Err(error) = diagnose.begin(model) {
        messages.warning(&format!("the training is not looked at: {error}"));
        return Ok(None);
    }
    Ok(Some(diagnose))
}

/// Whether a note is what [`Diagnose`] found.
pub fn is_diagnosis(note: &Note) -> bool {
    Diagnosis::from_json(&Value::Object(note.facts.clone())).is_some()
}

/// Whether the parameters of a state are all finite.
pub fn is_sound(state: &TrainingState) -> bool {
    let mut numbers = state.weights().iter();
    numbers.all(|(_, tensor)| {
        let numbers = tensor.as_f32().unwrap_or_default();
        numbers.iter().all(|number| number.is_finite())
    })
}

/// What was found, as `run.json` and `--json` hold it.
pub fn to_json(found: &[Diagnosis]) -> Value {
    let found = found.iter();
    found.map(|one| Value::Object(one.to_json())).collect()
}

/// A training that a `TerminateOnNaN` ended, as the error that it is without one: such a model is of no use.
pub fn not_finite(history: &History, model: &Model) -> Option<danlu::Error> {
    let name = history.ended_by.as_deref()?;
    let note = history.notes.iter().rfind(|note| note.callback == name)?;
    let value = note.facts.get("loss")?.as_str()?.parse().ok()?;
    let step = note.facts.get("step")?.as_u64()?;
    (name == "TerminateOnNaN").then(|| danlu::Error::NotFinite {
        what: "the loss".to_owned(),
        epoch: note.epoch + 1,
        step: usize::try_from(step).ok(),
        value,
        learning_rate: model.learning_rate().unwrap_or(f64::NAN),
        diagnosis: None,
    })
}

/// An error of `fit` with where a number that is not finite began: the steps since `state`, or since the model was `made`, are run
/// once more. `options` have the learning rates that callbacks set on the way.
pub fn explain(
    error: danlu::Error,
    data: &Arc<dyn Dataset>,
    options: FitOptions<'_>,
    state: Option<Arc<TrainingState>>,
    make: impl FnOnce() -> Result<Model>,
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
    let since = match state.as_ref().map(|state| (state.epoch(), state.step())) {
        None => "the training".to_owned(),
        Some((done, 0)) => format!("what follows epoch {done}"),
        Some((done, step)) => format!("what follows step {step} of epoch {}", done + 1),
    };
    messages.note(&format!(
        "{what} became {value}: {since} is run once more, to see where it began",
    ));
    let find = || -> Result<Option<Diagnosis>> {
        let mut model = make()?;
        let options = options.epochs(epoch);
        let options = match state {
            Some(state) => options.resume(state),
            None => options,
        };
        Ok(model.find_non_finite(data, options)?)
    };
    // The first error is the one to report. What comes later than it is of another training: callbacks may have changed this one.
    let last = (epoch, step.map_or(u64::MAX, |step| step as u64));
    let found = find().unwrap_or(None);
    let found = found.filter(|found| (found.epoch, found.step) <= last);
    danlu::Error::NotFinite {
        what,
        epoch,
        step,
        value,
        learning_rate,
        diagnosis: found.map(Box::new),
    }
}
