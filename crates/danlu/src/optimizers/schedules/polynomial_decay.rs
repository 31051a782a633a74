//! Polynomial decay.

use danlu_graph::{DType, Value};

use super::{Schedule, check_steps};
use crate::optimizers::arithmetic::from_number;
use crate::optimizers::check_rate;
use crate::optimizers::options::own_arguments;
use crate::{Arguments, Config, Result, config};

/// From `initial_learning_rate` to `end_learning_rate` in `decay_steps` steps, and staying there (Keras):
/// `(initial - end) (1 - step / decay_steps) ^ power + end`. With `cycle`, `decay_steps` is instead its smallest multiple
/// that is not below the step, so that the rate rises again after each.
#[derive(Clone, Debug)]
pub struct PolynomialDecay {
    initial_learning_rate: f64,
    decay_steps: f64,
    end_learning_rate: f64,
    power: f64,
    cycle: bool,
}

impl PolynomialDecay {
    /// From this rate, for so many steps.
    pub fn new(initial_learning_rate: f64, decay_steps: f64) -> PolynomialDecay {
        PolynomialDecay {
            initial_learning_rate,
            decay_steps,
            end_learning_rate: 0.0001,
            power: 1.0,
            cycle: false,
        }
    }
}

own_arguments!(PolynomialDecay {
    /// Where it ends. Default 0.0001.
    end_learning_rate: f64,
    /// Of the way that is left. Default 1: a line.
    power: f64,
    /// Whether it begins again. Default `false`.
    cycle: bool,
});

impl Schedule for PolynomialDecay {
    fn class_name(&self) -> &str {
        "PolynomialDecay"
    }
    fn from_config(arguments: &mut Arguments) -> Result<PolynomialDecay> {
        let initial_learning_rate = arguments.number("initial_learning_rate")?;
        let initial_learning_rate =
            arguments.required("initial_learning_rate", initial_learning_rate)?;
        let decay_steps = arguments.number("decay_steps")?;
        let decay_steps = arguments.required("decay_steps", decay_steps)?;
        let default = PolynomialDecay::new(initial_learning_rate, decay_steps);
        Ok(PolynomialDecay {
            end_learning_rate: arguments
                .number("end_learning_rate")?
                .unwrap_or(default.end_learning_rate),
            power: arguments.number("power")?.unwrap_or(default.power),
            cycle: arguments.boolean("cycle")?.unwrap_or(default.cycle),
            ..default
        })
    }
    fn config(&self) -> Config {
        config! {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
        }
    }
    fn rate(&self, iteration: &Value) -> Result<Value> {
        let mut step = iteration.cast(DType::F32)?;
        let graph = iteration.graph();
        let mut whole = graph.scalar(self.decay_steps, DType::F32)?;
        if self.cycle {
            let cycles = step.divide(&whole)?.ceil()?.maximum_scalar(1.0)?;
            whole = whole.multiply(&cycles)?;
        } else {
            step = step.minimum(&whole)?;
        }
        let left = from_number(1.0, &step.divide(&whole)?)?;
        let power = graph.scalar(self.power, DType::F32)?;
        // In f32, as Keras subtracts.
        let range = self.initial_learning_rate as f32 - self.end_learning_rate as f32;
        let rate = left.power(&power)?.multiply_scalar(f64::from(range))?;
        Ok(rate.add_scalar(self.end_learning_rate)?)
    }
    fn check(&self) -> Result<()> {
        check_rate(
            "PolynomialDecay",
            "initial_learning_rate",
            self.initial_learning_rate,
        )?;
        check_steps("PolynomialDecay", "decay_steps", self.decay_steps)?;
        check_rate(
            "PolynomialDecay",
            "end_learning_rate",
            self.end_learning_rate,
        )?;
        check_steps("PolynomialDecay", "power", self.power)
    }
}
