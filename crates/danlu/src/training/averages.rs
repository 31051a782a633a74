//! Moving averages of the parameters, which an optimizer with `use_ema` keeps.

use crate::callbacks::no_averages;
use crate::optimizers::average_name;
use crate::{Model, Result};

impl Model {
    fn keeps_averages(&self) -> bool {
        let compiled = self.compiled.as_ref();
        compiled.is_some_and(|one| one.has_state && one.optimizer.options().use_ema)
    }

    /// Puts the moving averages of the parameters in their place, where the optimizer keeps any, as `fit` does when it ends.
    ///
    /// # Errors
    /// The executor cannot give or take a state.
    pub(super) fn take_averages(&mut self) -> Result<()> {
        if !self.keeps_averages() {
            return Ok(());
        }
        let swapped = self.compiled.as_mut().map(|one| &mut one.averages_swapped);
        let swapped = swapped.is_some_and(std::mem::take);
        let trained = self.trained();
        let executor = self.executor()?;
        for parameter in trained {
            let average = average_name(&parameter.name);
            let (from, to) = match swapped {
                true => (&parameter.name, &average),
                false => (&average, &parameter.name),
            };
            let value = executor.read_state(from)?;
            executor.write_state(to, &value)?;
        }
        Ok(())
    }

    /// Lets the parameters and their moving averages change places; `swapped` says whether the averages are in the parameters' place
    /// then.
    ///
    /// # Errors
    /// The optimizer keeps none.
    pub(crate) fn swap_averages(&mut self, swapped: bool) -> Result<()> {
        if !self.keeps_averages() {
            return Err(no_averages());
        }
        let trained = self.trained();
        let executor = self.executor()?;
        for parameter in trained {
            let average = average_name(&parameter.name);
            let value = executor.read_state(&parameter.name)?;
            let mean = executor.read_state(&average)?;
            executor.write_state(&parameter.name, &mean)?;
            executor.write_state(&average, &value)?;
        }
        if let Some(compiled) = &mut self.compiled {
            compiled.averages_swapped = swapped;
        }
        Ok(())
    }
}
