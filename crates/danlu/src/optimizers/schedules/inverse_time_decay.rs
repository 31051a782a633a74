//! Inverse time decay.

use danlu_graph::{DType, Value};

use super::{Schedule, check_steps, share};
use crate::optimizers::check_rate;
use crate::optimizers::options::own_arguments;
use crate::{Arguments, Config, Result, config};

/// `initial_learning_rate / (1 + decay_rate step / decay_steps)`; as stairs, the quotient is rounded down (Keras).
#[derive(Clone, Debug)]
pub struct InverseTimeDecay {
    initial_learning_rate: f64,
    decay_steps: f64,
    decay_rate: f64,
    staircase: bool,
}

impl InverseTimeDecay {
    /// From this rate, in units of so many steps, this much more of a divisor in each.
    pub fn new(initial_learning_rate: f64, decay_steps: f64, decay_rate: f64) -> InverseTimeDecay {
        InverseTimeDecay {
            initial_learning_rate,
            decay_steps,
            decay_rate,
            staircase: false,
        }
    }
}

own_arguments!(InverseTimeDecay {
    /// Whether the rate changes only every `decay_steps` steps. Default `false`.
    staircase: bool,
});

impl Schedule for InverseTimeDecay {
    fn class_name(&self) -> &str {
        "InverseTimeDecay"
    }
    fn from_config(arguments: &mut Arguments) -> Result<InverseTimeDecay> {
        let initial_learning_rate = arguments.number("initial_learning_rate")?;
        let initial_learning_rate =
            arguments.required("initial_learning_rate", initial_learning_rate)?;
        let decay_steps = arguments.number("decay_steps")?;
        let decay_steps = arguments.required("decay_steps", decay_steps)?;
        let decay_rate = arguments.number("decay_rate")?;
        let decay_rate = arguments.required("decay_rate", decay_rate)?;
        let default = InverseTimeDecay::new(initial_learning_rate, decay_steps, decay_rate);
        Ok(InverseTimeDecay {
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
        let divisor = units.multiply_scalar(self.decay_rate)?.add_scalar(1.0)?;
        let rate = iteration
            .graph()
            .scalar(self.initial_learning_rate, DType::F32)?;
        Ok(rate.divide(&divisor)?)
    }
    fn check(&self) -> Result<()> {
        check_rate(
            "InverseTimeDecay",
            "initial_learning_rate",
            self.initial_learning_rate,
        )?;
        check_steps("InverseTimeDecay", "decay_steps", self.decay_steps)?;
        check_rate("InverseTimeDecay", "decay_rate", self.decay_rate)
    }
}
