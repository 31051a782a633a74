//! Ending a training whose loss is no number.

use super::{Callback, Control, Note, Phase, StepLogs};
use crate::{Arguments, Model, Result};

const OWNER: &str = "TerminateOnNaN";

/// Ends the training after a batch whose loss is NaN or infinite (Keras' `TerminateOnNaN`), without an error: `fit` returns the
/// history of the epochs before. Without this callback, or with [`raise_error`](Self::raise_error), it is an error.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TerminateOnNaN {
    raise_error: bool,
    notes: Vec<Note>,
}

impl TerminateOnNaN {
    /// Ends the training without an error.
    pub fn new() -> TerminateOnNaN {
        TerminateOnNaN::default()
    }

    /// Whether `fit` reports an error all the same. Default `false`.
    #[must_use]
    pub fn raise_error(mut self, raise_error: bool) -> TerminateOnNaN {
        self.raise_error = raise_error;
        self
    }

    pub(super) fn from_config(arguments: &mut Arguments) -> Result<TerminateOnNaN> {
        let raise_error = arguments.boolean("raise_error")?.unwrap_or(false);
        Ok(TerminateOnNaN::new().raise_error(raise_error))
    }
}

impl Callback for TerminateOnNaN {
    fn name(&self) -> &str {
        OWNER
    }

    fn watches_batches(&self) -> bool {
        // The error is what `fit` reports by itself.
        !self.raise_error
    }

    fn on_batch_end(&mut self, step: &StepLogs<'_>, _: &mut Model) -> Result<Control> {
        // A mean is no number as soon as one of its numbers is none.
        let bad = |loss: &f64| step.phase == Phase::Training && !loss.is_finite();
        let Some(loss) = step.logs.get("loss").filter(bad) else {
            return Ok(Control::Continue);
        };
        let (epoch, number) = (step.epoch + 1, step.step);
        let text = format!("epoch {epoch}, step {number}: the loss is {loss}: training ends");
        let note = Note::new(OWNER, step.epoch, text);
        // As text: JSON has no NaN.
        let note = note.fact("loss", loss.to_string());
        self.notes.push(note.fact("step", number));
        Ok(Control::Finish)
    }

    fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }
}
