//! Callbacks: what is done at certain moments of a training, by Keras' names or by one's own [`Callback`]. One file per callback.
//!
//! [`EarlyStopping`] and [`StopAtConvergence`] end a training, [`TerminateOnNaN`] one that has failed; [`ReduceLROnPlateau`] and
//! [`LearningRateScheduler`] set the learning rate; [`ModelCheckpoint`] saves; [`BackupAndRestore`] goes on where a
//! training was cut; [`CSVLogger`] writes a table, [`TensorBoard`] what TensorBoard shows;
//! [`SwapEMAWeights`] evaluates averages; [`LambdaCallback`] is closures.

mod backup_and_restore;
mod csv_logger;
mod early_stopping;
mod events;
mod format;
mod lambda_callback;
mod learning_rate_scheduler;
mod list;
mod model_checkpoint;
mod monitor;
mod reduce_lr_on_plateau;
mod registry;
mod setup;
mod state;
mod stop_at_convergence;
mod swap_ema_weights;
mod tensorboard;
mod terminate_on_nan;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use crate::training::{History, TrainingState};
use crate::{Model, Result};

pub use backup_and_restore::BackupAndRestore;
pub use csv_logger::CSVLogger;
pub use early_stopping::{EarlyStopped, EarlyStopping};
pub use events::{Control, EpochLogs, Logs, Note, Phase, StepLogs, TrainingStart};
pub use lambda_callback::LambdaCallback;
pub use learning_rate_scheduler::LearningRateScheduler;
pub(crate) use list::{CallbackList, Pass};
pub use model_checkpoint::{ModelCheckpoint, SaveFrequency};
pub use monitor::MonitorMode;
pub use reduce_lr_on_plateau::ReduceLROnPlateau;
pub use registry::{from_json, names, register_callback};
pub use setup::Setup;
pub use state::{CallbackState, StateReader};
pub use stop_at_convergence::StopAtConvergence;
pub use swap_ema_weights::SwapEMAWeights;
pub(crate) use swap_ema_weights::no_averages;
pub use tensorboard::{TensorBoard, UpdateFrequency};
pub use terminate_on_nan::TerminateOnNaN;

/// What the norm of the gradient is called in logs, where a callback [wants](Callback::wants_gradient_norm) it.
pub const GRADIENT_NORM: &str = "gradient_norm";

/// What the learning rate is called in logs, where a callback that [sets](Callback::sets_learning_rate) it is there.
pub const LEARNING_RATE: &str = "learning_rate";

/// Is told what happens in a training, and can change the model and end the training. Every method may be left out.
///
/// `fit` calls callbacks in the order in which it was given them. [`on_batch_end`](Self::on_batch_end) is called only of those
/// that [watch batches](Self::watches_batches), with borrowed numbers: between the third step of an epoch and its last nothing is
/// allocated but what callbacks allocate.
pub trait Callback {
    /// What errors, notes and saved states call it. Default: the name of its type.
    fn name(&self) -> &str {
        let path = std::any::type_name::<Self>();
        let path = path.split('<').next().unwrap_or(path);
        path.rsplit("::").next().unwrap_or(path)
    }

    /// Whether [`on_batch_end`](Self::on_batch_end) is to be called; asked once, when a training begins.
    fn watches_batches(&self) -> bool {
        false
    }

    /// Whether training steps are to compute the norm of the gradient; asked once, when a training begins. The mean of an epoch is in
    /// its logs as [`gradient_norm`](GRADIENT_NORM).
    fn wants_gradient_norm(&self) -> bool {
        false
    }

    /// Whether it sets the learning rate; asked once, when a training begins. Then the rate of an epoch's last step is in the epoch's logs
    /// as [`learning_rate`](LEARNING_RATE), as in Keras.
    fn sets_learning_rate(&self) -> bool {
        false
    }

    /// Checks what can be checked before the training begins, and before anything is written: names of metrics, numbers.
    ///
    /// # Errors
    /// Something is no good.
    fn check(&mut self, setup: &Setup<'_>) -> Result<()> {
        let _ = setup;
        Ok(())
    }

    /// The state of a training that was cut, for this one to go on from; asked before the training begins, unless `fit` was given
    /// [one](crate::training::FitOptions::resume). Relative paths are relative to `folder`.
    ///
    /// # Errors
    /// There is one that cannot be read.
    fn saved_state(&mut self, folder: Option<&Path>) -> Result<Option<TrainingState>> {
        let _ = folder;
        Ok(None)
    }

    /// A training begins: configuration and data were found good.
    ///
    /// # Errors
    /// What is reported ends the training, as it does in every other method.
    fn on_train_begin(&mut self, start: &TrainingStart<'_>, model: &mut Model) -> Result<()> {
        let _ = (start, model);
        Ok(())
    }

    /// Something that the user should know; said before the training begins.
    fn on_warning(&mut self, warning: &str) {
        let _ = warning;
    }

    /// A callback, this one or another, did or found something.
    fn on_note(&mut self, note: &Note) {
        let _ = note;
    }

    /// An epoch begins.
    ///
    /// # Errors
    /// What is reported ends the training.
    fn on_epoch_begin(&mut self, epoch: usize, model: &mut Model) -> Result<()> {
        let _ = (epoch, model);
        Ok(())
    }

    /// A step was done: of training or validation, or of an evaluation or prediction, by `step.phase`.
    ///
    /// # Errors
    /// What is reported ends the training.
    fn on_batch_end(&mut self, step: &StepLogs<'_>, model: &mut Model) -> Result<Control> {
        let _ = (step, model);
        Ok(Control::Continue)
    }

    /// A validation, evaluation or prediction begins.
    ///
    /// # Errors
    /// What is reported ends the training.
    fn on_test_begin(&mut self, phase: Phase, model: &mut Model) -> Result<()> {
        let _ = (phase, model);
        Ok(())
    }

    /// A validation, evaluation or prediction ended.
    ///
    /// # Errors
    /// What is reported ends the training.
    fn on_test_end(&mut self, phase: Phase, model: &mut Model) -> Result<()> {
        let _ = (phase, model);
        Ok(())
    }

    /// An epoch was finished, validation included. The model may be saved, and its learning rate changed.
    ///
    /// # Errors
    /// What is reported ends the training.
    fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, model: &mut Model) -> Result<Control> {
        let _ = (epoch, model);
        Ok(Control::Continue)
    }

    /// The training ended without an error.
    ///
    /// # Errors
    /// What is reported is what `fit` returns.
    fn on_train_end(&mut self, history: &History, model: &mut Model) -> Result<()> {
        let _ = (history, model);
        Ok(())
    }

    /// What it did or found since this was last called; `fit` asks after each of the methods above, gives the notes to every
    /// callback's [`on_note`](Self::on_note) and keeps them in the history.
    fn take_notes(&mut self) -> Vec<Note> {
        Vec::new()
    }

    /// What it knows of the best epoch, where it is one that watches for it.
    fn early_stopped(&self) -> Option<&EarlyStopped> {
        None
    }

    /// Whether [`on_state`](Self::on_state) is to be called now; asked after all callbacks have seen a training step or the end of an
    /// epoch, and where a validation is interrupted. Copying the state costs time: of a large model more than a step.
    fn wants_state(&self) -> bool {
        false
    }

    /// The state of the training after what was seen last, all callbacks' own states included.
    ///
    /// # Errors
    /// What is reported ends the training.
    fn on_state(&mut self, state: &Arc<TrainingState>, model: &Model) -> Result<()> {
        let _ = (state, model);
        Ok(())
    }

    /// What must be kept so that a training that was cut goes on as if it had not been. Taken between epochs or batches.
    ///
    /// # Errors
    /// What is reported ends the training.
    fn state(&self) -> Result<CallbackState> {
        Ok(CallbackState::default())
    }

    /// Puts a state back, after [`on_train_begin`](Self::on_train_begin) of the training that goes on.
    ///
    /// # Errors
    /// The state is not one of this callback's.
    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        let _ = state;
        Ok(())
    }
}

/// Hands every method on to what it points to.
macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        impl<C: Callback + ?Sized> Callback for $pointer {
            fn name(&self) -> &str {
                (**self).name()
            }
            fn watches_batches(&self) -> bool {
                (**self).watches_batches()
            }
            fn wants_gradient_norm(&self) -> bool {
                (**self).wants_gradient_norm()
            }
            fn sets_learning_rate(&self) -> bool {
                (**self).sets_learning_rate()
            }
            fn check(&mut self, setup: &Setup<'_>) -> Result<()> {
                (**self).check(setup)
            }
            fn saved_state(&mut self, folder: Option<&Path>) -> Result<Option<TrainingState>> {
                (**self).saved_state(folder)
            }
            fn on_train_begin(&mut self, start: &TrainingStart<'_>, model: &mut Model) -> Result<()> {
                (**self).on_train_begin(start, model)
            }
            fn on_warning(&mut self, warning: &str) {
                (**self).on_warning(warning);
            }
            fn on_note(&mut self, note: &Note) {
                (**self).on_note(note);
            }
            fn on_epoch_begin(&mut self, epoch: usize, model: &mut Model) -> Result<()> {
                (**self).on_epoch_begin(epoch, model)
            }
            fn on_batch_end(&mut self, step: &StepLogs<'_>, model: &mut Model) -> Result<Control> {
                (**self).on_batch_end(step, model)
            }
            fn on_test_begin(&mut self, phase: Phase, model: &mut Model) -> Result<()> {
                (**self).on_test_begin(phase, model)
            }
            fn on_test_end(&mut self, phase: Phase, model: &mut Model) -> Result<()> {
                (**self).on_test_end(phase, model)
            }
            fn on_epoch_end(&mut self, epoch: &EpochLogs<'_>, model: &mut Model) -> Result<Control> {
                (**self).on_epoch_end(epoch, model)
            }
            fn on_train_end(&mut self, history: &History, model: &mut Model) -> Result<()> {
                (**self).on_train_end(history, model)
            }
            fn take_notes(&mut self) -> Vec<Note> {
                (**self).take_notes()
            }
            fn early_stopped(&self) -> Option<&EarlyStopped> {
                (**self).early_stopped()
            }
            fn wants_state(&self) -> bool {
                (**self).wants_state()
            }
            fn on_state(&mut self, state: &Arc<TrainingState>, model: &Model) -> Result<()> {
                (**self).on_state(state, model)
            }
            fn state(&self) -> Result<CallbackState> {
                (**self).state()
            }
            fn restore(&mut self, state: &CallbackState) -> Result<()> {
                (**self).restore(state)
            }
        }
    )*};
}

pointers!(&mut C, Box<C>);
