//! Exponential decay.

use danlu_graph::Value;

use super::{Schedule, check_steps, share};
use crate::optimizers::arithmetic::power_of;
use crate::optimizers::check_rate;
use crate::optimizers::options::own_arguments;
use crate::{Arguments, Config, Result, config};

/// `initial_learning_rate decay_rate ^ (step / decay_steps)`; as stairs, the quotient is rounded down (Keras).
#[derive(Clone, Debug)]
pub struct ExponentialDecay {
    initial_learning_rate: f64,
    decay_steps: f64,
    decay_rate: f64,
    staircase: bool,
}

impl ExponentialDecay {
    /// From this rate, in units of so many steps, times this rate in each.
    pub fn new(initial_learning_rate: f64, decay_steps: f64, decay_rate: f64) -> ExponentialDecay {
        ExponentialDecay {
            initial_learning_rate,
            decay_steps,
            decay_rate,
            staircase: false,
        }
    }
}

own_arguments!(ExponentialDecay {
    /// Whether the rate changes only every `decay_steps` steps. Default `false`.
    staircase: bool,
});

impl Schedule for ExponentialDecay {
    fn class_name(&self) -> &str {
        "ExponentialDecay"
    }
    fn from_config(arguments: &mut Arguments) -> Result<ExponentialDecay> {
        let initial_learning_rate = arguments.number("initial_learning_rate")?;
        let initial_learning_rate =
            arguments.required("initial_learning_rate", initial_learning_rate)?;
        let decay_steps = arguments.number("decay_steps")?;
        let decay_steps = arguments.required("decay_steps", decay_steps)?;
        let decay_rate = arguments.number("decay_rate")?;
        let decay_rate = arguments.required("decay_rate", decay_rate)?;
        let default = ExponentialDecay::new(initial_learning_rate, decay_steps, decay_rate);
        Ok(ExponentialDecay {
            staircase: arguments.boolean("staircase")?.unwrap_or(default.staircase),
            ..default
        })
    }
    fn config(&self) -> Config {
        config! {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
        }
    }
    fn rate(&self, iteration: &Value) -> Result<Value> {
        let mut units = share(iteration, self.decay_steps)?;
        if self.staircase {
            units = units.floor()?;
        }
        Ok(power_of(self.decay_rate, &units)?.multiply_scalar(self.initial_learning_rate)?)
    }
    fn check(&self) -> Result<()> {
        check_rate(
            "ExponentialDecay",
            "initial_learning_rate",
            self.initial_learning_rate,
        )?;
        check_steps("ExponentialDecay", "decay_steps", self.decay_steps)?;
        check_rate("ExponentialDecay", "decay_rate", self.decay_rate)
    }
}
