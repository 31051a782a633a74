//! Decay in steps.

use danlu_graph::Value;

use super::{Schedule, check_steps, share};
use crate::optimizers::arithmetic::power_of;
use crate::optimizers::check_rate;
use crate::optimizers::options::own_arguments;
use crate::{Arguments, Config, Result, config};

/// `initial_learning_rate gamma ^ floor(step / step_size)`: PyTorch's `StepLR`, by the step.
#[derive(Clone, Debug)]
pub struct StepDecay {
    initial_learning_rate: f64,
    step_size: f64,
    gamma: f64,
}

impl StepDecay {
    /// From this rate, the same for so many steps.
    pub fn new(initial_learning_rate: f64, step_size: f64) -> StepDecay {
        StepDecay {
            initial_learning_rate,
            step_size,
            gamma: 0.1,
        }
    }
}

own_arguments!(StepDecay {
    /// What the rate is multiplied by then. Default 0.1.
    gamma: f64,
});

impl Schedule for StepDecay {
    fn class_name(&self) -> &str {
        "StepDecay"
    }
    fn from_config(arguments: &mut Arguments) -> Result<StepDecay> {
        let initial_learning_rate = arguments.number("initial_learning_rate")?;
        let initial_learning_rate =
            arguments.required("initial_learning_rate", initial_learning_rate)?;
        let step_size = arguments.number("step_size")?;
        let step_size = arguments.required("step_size", step_size)?;
        let default = StepDecay::new(initial_learning_rate, step_size);
        Ok(StepDecay {
            gamma: arguments.number("gamma")?.unwrap_or(default.gamma),
            ..default
        })
    }
    fn config(&self) -> Config {
        config! {
            "initial_learning_rate": self.initial_learning_rate,
            "step_size": self.step_size,
            "gamma": self.gamma,
        }
    }
    fn rate(&self, iteration: &Value) -> Result<Value> {
        let stairs = share(iteration, self.step_size)?.floor()?;
        Ok(power_of(self.gamma, &stairs)?.multiply_scalar(self.initial_learning_rate)?)
    }
    fn check(&self) -> Result<()> {
        check_rate(
            "StepDecay",
            "initial_learning_rate",
            self.initial_learning_rate,
        )?;
        check_steps("StepDecay", "step_size", self.step_size)?;
        check_rate("StepDecay", "gamma", self.gamma)
    }
}
