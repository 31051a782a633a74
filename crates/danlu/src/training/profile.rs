//! Where the time of a training goes.

use danlu_graph::Profile;

use crate::{Model, Result};

use super::program::Mode;

impl Model {
    /// Measures the steps of every plan from now on, or no longer: see [`training_profiles`](Self::training_profiles).
    ///
    /// # Errors
    /// The model has no device yet and none can be started.
    pub fn measure(&mut self, on: bool) -> Result<()> {
        self.executor()?.measure(on);
        Ok(())
    }

    /// What was measured of the plans of training steps, with the number of examples of a step: one for full batches,
    /// one for the last, shorter ones. Empty where nothing was measured, or the device cannot measure.
    pub fn training_profiles(&self) -> Vec<(usize, Profile)> {
        let Some(executor) = &self.executor else {
            return Vec::new();
        };
        self.plans
            .iter()
            .filter(|plan| plan.signature.mode == Mode::Train)
            .filter_map(|plan| Some((plan.batch, executor.profile(plan.id)?)))
            .filter(|(_, profile)| profile.runs > 0)
            .collect()
    }
}
