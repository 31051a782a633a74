//! Schedule-free AdamW.

use super::arithmetic::{approach, divide_by, from_number, local_step, one_minus_power};
use super::options::{own_arguments, shared_arguments};
use super::{
    LearningRate, Optimizer, Options, Parameter, Slot, Step, Trained, Update, check_decay,
    check_rate,
};
use crate::{Arguments, Config, Error, Result, config};

/// Schedule-free AdamW (Defazio and others 2024) as Keras computes it: no schedule is needed, since what is evaluated is an
/// average of all places so far. The parameter stands at `y` between the average `x` and the place `z` of steps:
/// `v += (g^2 - v) (1 - b2)`, `z' = z - lr g / (sqrt(v / (1 - b2^t)) + epsilon)`, `x = (y - (1 - b1) z') / b1`,
/// `x' = (1 - 1 / t) x + z' / t`, `y' = (1 - b1) z' + b1 x'`. Keras keeps `z` as `momentum`. On TensorFlow it reads `z` for `x`
/// once it has become `z'`, where the paper means the one before; these are its numbers.
#[derive(Clone, Debug)]
pub struct ScheduleFreeAdamW {
    options: Options,
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
    warmup_steps: usize,
}

impl ScheduleFreeAdamW {
    /// With this learning rate and Keras' other defaults.
    pub fn new(learning_rate: impl Into<LearningRate>) -> ScheduleFreeAdamW {
        ScheduleFreeAdamW {
            options: Options::new(learning_rate),
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
            warmup_steps: 0,
        }
    }
}

shared_arguments!(ScheduleFreeAdamW);

own_arguments!(ScheduleFreeAdamW {
    /// How near to the average the parameter stands, above 0 and below 1. Default 0.9.
    beta_1: f64,
    /// The decay of the squared gradient's mean. Default 0.999.
    beta_2: f64,
    /// What is added to the square root. Default 1e-8.
    epsilon: f64,
    /// In how many steps the learning rate rises to its size, in a line. Default 0.
    warmup_steps: usize,
});

impl Default for ScheduleFreeAdamW {
    /// A learning rate of 0.0025.
    fn default() -> ScheduleFreeAdamW {
        ScheduleFreeAdamW::new(0.0025)
    }
}

impl Optimizer for ScheduleFreeAdamW {
    fn class_name(&self) -> &str {
        "ScheduleFreeAdamW"
    }
    fn from_config(arguments: &mut Arguments) -> Result<ScheduleFreeAdamW> {
        let default = ScheduleFreeAdamW::default();
        let warmup = arguments.integer("warmup_steps")?.unwrap_or(0);
        Ok(ScheduleFreeAdamW {
            options: default.options.take(arguments)?,
            beta_1: arguments.number("beta_1")?.unwrap_or(default.beta_1),
            beta_2: arguments.number("beta_2")?.unwrap_or(default.beta_2),
            epsilon: arguments.number("epsilon")?.unwrap_or(default.epsilon),
            warmup_steps: usize::try_from(warmup).map_err(|_| {
                let expected = "a whole number of at least 0";
                Error::argument(arguments.owner(), "warmup_steps", expected, warmup)
            })?,
        })
    }
    fn config(&self) -> Config {
        config! {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "warmup_steps": self.warmup_steps,
        }
    }
    fn options(&self) -> &Options {
        &self.options
    }
    fn slots(&self, parameter: &Trained) -> Vec<Slot> {
        vec![
            Slot::new("momentum", &parameter.shape).begins_as_value(),
            Slot::new("velocity", &parameter.shape),
        ]
    }
    fn update(&self, step: &Step, parameter: &Parameter) -> Result<Update> {
        let (value, gradient) = (&parameter.value, &parameter.gradient);
        let t = local_step(step)?;
        let mut rate = parameter.learning_rate.clone();
        if self.warmup_steps > 0 {
            let done = divide_by(&t, self.warmup_steps as f64)?.minimum_scalar(1.0)?;
            rate = rate.multiply(&done)?;
        }
        let old = &parameter.slots[0];
        let velocity = approach(&parameter.slots[1], &gradient.square()?, self.beta_2)?;
        let correction = one_minus_power(self.beta_2, &t)?.reciprocal()?;
        let corrected = velocity.multiply(&correction)?;
        let divisor = corrected.sqrt()?.add_scalar(self.epsilon)?;
        let place = old.subtract(&gradient.multiply(&rate)?.divide(&divisor)?)?;
        // Keras divides by `beta_1` to find the average, and multiplies the new one by it; here it is found and mixed at once. In f32, so
        // that both shares are 1 together.
        let rest = f64::from(1.0 - self.beta_1 as f32);
        let average = value.subtract(&place.multiply_scalar(rest)?)?;
        let share = t.reciprocal()?;
        let kept = average.multiply(&from_number(1.0, &share)?)?;
        let taken = share.multiply_scalar(self.beta_1)?.add_scalar(rest)?;
        Ok(Update {
            value: kept.add(&place.multiply(&taken)?)?,
            slots: vec![place, velocity],
        })
    }
    fn check(&self) -> Result<()> {
        let owner = "ScheduleFreeAdamW";
        self.options.check(owner)?;
        check_decay(owner, "beta_1", self.beta_1)?;
        if self.beta_1 == 0.0 {
            let expected = "above 0 and below 1";
            return Err(Error::argument(owner, "beta_1", expected, self.beta_1));
        }
        check_decay(owner, "beta_2", self.beta_2)?;
        check_rate(owner, "epsilon", self.epsilon)
    }
}
