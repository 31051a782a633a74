//! Cosine decay, with a warm-up.

use danlu_graph::{DType, Value};

use super::{Schedule, check_steps, half_cosine};
use crate::optimizers::arithmetic::divide_by;
use crate::optimizers::check_rate;
use crate::optimizers::options::own_arguments;
use crate::{Arguments, Config, Result, config};

/// Half a cosine from a rate down to `alpha` of it, and staying there (Loshchilov and Hutter 2017, as Keras computes it):
/// `rate ((1 - alpha) 0.5 (1 + cos(pi step / decay_steps)) + alpha)`. With a `warmup_target` the rate first goes in a line from
/// `initial_learning_rate` to it, in `warmup_steps` steps that count on their own, and decays from there.
#[derive(Clone, Debug)]
pub struct CosineDecay {
    initial_learning_rate: f64,
    decay_steps: f64,
    alpha: f64,
    warmup_target: Option<f64>,
    warmup_steps: f64,
}

impl CosineDecay {
    /// From this rate, for so many steps.
    pub fn new(initial_learning_rate: f64, decay_steps: f64) -> CosineDecay {
        CosineDecay {
            initial_learning_rate,
            decay_steps,
            alpha: 0.0,
            warmup_target: None,
            warmup_steps: 0.0,
        }
    }
}

own_arguments!(CosineDecay {
    /// What part of the rate is left at the end. Default 0.
    alpha: f64,
    /// Where the warm-up ends. Default no warm-up.
    warmup_target: Option<f64>,
    /// How long it takes. Default 0.
    warmup_steps: f64,
});

impl Schedule for CosineDecay {
    fn class_name(&self) -> &str {
        "CosineDecay"
    }
    fn from_config(arguments: &mut Arguments) -> Result<CosineDecay> {
        let initial_learning_rate = arguments.number("initial_learning_rate")?;
        let initial_learning_rate =
            arguments.required("initial_learning_rate", initial_learning_rate)?;
        let decay_steps = arguments.number("decay_steps")?;
        let decay_steps = arguments.required("decay_steps", decay_steps)?;
        let default = CosineDecay::new(initial_learning_rate, decay_steps);
        Ok(CosineDecay {
            alpha: arguments.number("alpha")?.unwrap_or(default.alpha),
            warmup_target: arguments.number("warmup_target")?,
            warmup_steps: arguments
                .number("warmup_steps")?
                .unwrap_or(default.warmup_steps),
            ..default
        })
    }
    fn config(&self) -> Config {
        config! {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }
    }
    fn rate(&self, iteration: &Value) -> Result<Value> {
        let step = iteration.cast(DType::F32)?;
        let decayed = |step: &Value, from: f64| -> Result<Value> {
            let done = divide_by(&step.minimum_scalar(self.decay_steps)?, self.decay_steps)?;
            let left = half_cosine(&done)?.multiply_scalar(1.0 - self.alpha)?;
            Ok(left.add_scalar(self.alpha)?.multiply_scalar(from)?)
        };
        let Some(target) = self.warmup_target else {
            return decayed(&step, self.initial_learning_rate);
        };
        let start = iteration.graph().scalar(self.warmup_steps, DType::F32)?;
        let later = decayed(&step.subtract(&start)?.maximum_scalar(0.0)?, target)?;
        if self.warmup_steps == 0.0 {
            return Ok(later);
        }
        let rise = target as f32 - self.initial_learning_rate as f32;
        let done = step.divide(&start)?.multiply_scalar(f64::from(rise))?;
        let rising = done.add_scalar(self.initial_learning_rate)?;
        Ok(step.less(&start)?.select(&rising, &later)?)
    }
    fn check(&self) -> Result<()> {
        check_rate(
            "CosineDecay",
            "initial_learning_rate",
            self.initial_learning_rate,
        )?;
        check_steps("CosineDecay", "decay_steps", self.decay_steps)?;
        check_rate("CosineDecay", "alpha", self.alpha)?;
        check_rate(
            "CosineDecay",
            "warmup_target",
            self.warmup_target.unwrap_or(0.0),
        )?;
        check_rate("CosineDecay", "warmup_steps", self.warmup_steps)
    }
}
