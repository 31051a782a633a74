//! Averages of the parameters in their place while something looks at the model.

use super::{Callback, CallbackState, Control, EpochLogs, Phase, Setup, TrainingStart};
use crate::{Arguments, Error, Model, Result};

const OWNER: &str = "SwapEMAWeights";

/// Evaluates with the moving averages of the parameters, which an optimizer with `use_ema` keeps (Keras' `SwapEMAWeights`): they
/// change places with the parameters when a validation, evaluation or prediction begins, and back when it ends.
///
/// With [`swap_on_epoch`](Self::swap_on_epoch) they stand in the parameters' place, too, from the end of an epoch to the beginning
/// of the next, so that callbacks behind this one save them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwapEMAWeights {
    swap_on_epoch: bool,
    swapped: bool,
}

impl SwapEMAWeights {
    /// For validation alone.
    pub fn new() -> SwapEMAWeights {
        SwapEMAWeights::default()
    }

    /// Whether the averages are in the parameters' place between epochs. Default `false`.
    #[must_use]
    pub fn swap_on_epoch(mut self, swap_on_epoch: bool) -> SwapEMAWeights {
        self.swap_on_epoch = swap_on_epoch;
        self
    }

    pub(super) fn from_config(arguments: &mut Arguments) -> Result<SwapEMAWeights> {
        let swap_on_epoch = arguments.boolean("swap_on_epoch")?.unwrap_or(false);
        Ok(SwapEMAWeights::new().swap_on_epoch(swap_on_epoch))
    }

    fn set(&mut self, swapped: bool, model: &mut Model) -> Result<()> {
        if self.swapped != swapped {
            model.swap_averages(swapped)?;
            self.swapped = swapped;
        }
        Ok(())
    }
}

impl Callback for SwapEMAWeights {
    fn name(&self) -> &str {
        OWNER
    }

    fn check(&mut self, setup: &Setup<'_>) -> Result<()> {
        match setup.model().optimizer() {
            Some(optimizer) if optimizer.options().use_ema => Ok(()),
            _ => Err(no_averages()),
        }
    }

    fn on_train_begin(&mut self, _: &TrainingStart<'_>, model: &mut Model) -> Result<()> {
        // A training that was interrupted leaves them where they are.
        let compiled = model.compiled.as_ref();
        self.swapped = compiled.is_some_and(|compiled| compiled.averages_swapped);
        Ok(())
    }

    fn on_epoch_begin(&mut self, _: usize, model: &mut Model) -> Result<()> {
        self.set(false, model)
    }

    fn on_test_begin(&mut self, _: Phase, model: &mut Model) -> Result<()> {
        self.set(true, model)
    }

    fn on_test_end(&mut self, _: Phase, model: &mut Model) -> Result<()> {
        self.set(false, model)
    }

    fn on_epoch_end(&mut self, _: &EpochLogs<'_>, model: &mut Model) -> Result<Control> {
        if self.swap_on_epoch {
            self.set(true, model)?;
        }
        Ok(Control::Continue)
    }

    fn state(&self) -> Result<CallbackState> {
        Ok(CallbackState::default().with("swapped", self.swapped))
    }

    fn restore(&mut self, state: &CallbackState) -> Result<()> {
        self.swapped = state.read(OWNER).boolean("swapped")?.unwrap_or(false);
        Ok(())
    }
}

/// The error about an optimizer that keeps no averages.
pub(crate) fn no_averages() -> Error {
    Error::mismatch(
        OWNER,
        "an optimizer with use_ema",
        "one without",
        "compile with an optimizer such as SGD with use_ema = true",
    )
}
