//! Cosine decay that begins again.

use danlu_graph::{DType, Value};

use super::{Schedule, check_steps, half_cosine, share};
use crate::optimizers::arithmetic::{from_number, power_of};
use crate::optimizers::check_rate;
use crate::optimizers::options::own_arguments;
use crate::{Arguments, Config, Error, Result, config};

/// Half a cosine that begins again (SGDR: Loshchilov and Hutter 2017, as Keras computes it): the first takes
/// `first_decay_steps` steps, each later one `t_mul` times as long as the one before, from `m_mul` times its rate.
#[derive(Clone, Debug)]
pub struct CosineDecayRestarts {
    initial_learning_rate: f64,
    first_decay_steps: f64,
    t_mul: f64,
    m_mul: f64,
    alpha: f64,
}

impl CosineDecayRestarts {
    /// From this rate, for so many steps at first.
    pub fn new(initial_learning_rate: f64, first_decay_steps: f64) -> CosineDecayRestarts {
        CosineDecayRestarts {
            initial_learning_rate,
            first_decay_steps,
            t_mul: 2.0,
            m_mul: 1.0,
            alpha: 0.0,
        }
    }
}

own_arguments!(CosineDecayRestarts {
    /// How much longer each period is. Default 2.
    t_mul: f64,
    /// How much higher each begins. Default 1.
    m_mul: f64,
    /// What part of the rate is left at least. Default 0.
    alpha: f64,
});

impl Schedule for CosineDecayRestarts {
    fn class_name(&self) -> &str {
        "CosineDecayRestarts"
    }
    fn from_config(arguments: &mut Arguments) -> Result<CosineDecayRestarts> {
        let initial_learning_rate = arguments.number("initial_learning_rate")?;
        let initial_learning_rate =
            arguments.required("initial_learning_rate", initial_learning_rate)?;
        let first_decay_steps = arguments.number("first_decay_steps")?;
        let first_decay_steps = arguments.required("first_decay_steps", first_decay_steps)?;
        let default = CosineDecayRestarts::new(initial_learning_rate, first_decay_steps);
        Ok(CosineDecayRestarts {
            t_mul: arguments.number("t_mul")?.unwrap_or(default.t_mul),
            m_mul: arguments.number("m_mul")?.unwrap_or(default.m_mul),
            alpha: arguments.number("alpha")?.unwrap_or(default.alpha),
            ..default
        })
    }
    fn config(&self) -> Config {
        config! {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self.t_mul,
            "m_mul": self.m_mul,
            "alpha": self.alpha,
        }
    }
    fn rate(&self, iteration: &Value) -> Result<Value> {
        let done = share(iteration, self.first_decay_steps)?;
        let (restart, done) = if self.t_mul == 1.0 {
            let restart = done.floor()?;
            let done = done.subtract(&restart)?;
            (restart, done)
        } else {
            // Periods are a geometric row: `restart` of them are over, which took `before` of the first.
            let t_mul = iteration.graph().scalar(self.t_mul, DType::F32)?;
            let ratio = from_number(1.0, &t_mul)?;
            let sum = from_number(1.0, &done.multiply(&ratio)?)?;
            let restart = sum.log()?.divide(&t_mul.log()?)?.floor()?;
            let length = t_mul.power(&restart)?;
            let before = from_number(1.0, &length)?.divide(&ratio)?;
            (restart, done.subtract(&before)?.divide(&length)?)
        };
        let height = power_of(self.m_mul, &restart)?;
        let left = height
            .multiply(&half_cosine(&done)?)?
            .multiply_scalar(1.0 - self.alpha)?;
        Ok(left
            .add_scalar(self.alpha)?
            .multiply_scalar(self.initial_learning_rate)?)
    }
    fn check(&self) -> Result<()> {
        let owner = "CosineDecayRestarts";
        check_rate(owner, "initial_learning_rate", self.initial_learning_rate)?;
        check_steps(owner, "first_decay_steps", self.first_decay_steps)?;
        if !(self.t_mul >= 1.0 && self.t_mul.is_finite()) {
            return Err(Error::argument(
                owner,
                "t_mul",
                "a number of at least 1",
                self.t_mul,
            ));
        }
        check_rate(owner, "m_mul", self.m_mul)?;
        check_rate(owner, "alpha", self.alpha)
    }
}
