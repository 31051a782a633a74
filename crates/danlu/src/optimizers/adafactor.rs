//! Adafactor.

use danlu_graph::{DType, Shape, Value};

use super::arithmetic::{divide_by, from_number, local_step, root_mean_square};
use super::options::{own_arguments, shared_arguments};
use super::{
    LearningRate, Optimizer, Options, Parameter, Slot, Step, Trained, Update, check_finite,
    check_rate,
};
use crate::{Arguments, Config, Error, Result, config};

/// Adafactor (Shazeer and Stern 2018) as Keras computes it. Of a parameter with two axes or more it keeps means of squared
/// gradients by rows and by columns of the last two, of others by element. With `rho = min(lr, 1 / sqrt(t))` and
/// `b = 1 - t^beta_2_decay`: `v = b v + (1 - b) (g^2 + epsilon_1)`, `u = g / sqrt(v)`,
/// `w -= max(epsilon_2, rms(w)) rho u / max(1, rms(u) / clip_threshold)`.
#[derive(Clone, Debug)]
pub struct Adafactor {
    options: Options,
    beta_2_decay: f64,
    epsilon_1: f64,
    epsilon_2: f64,
    clip_threshold: f64,
    relative_step: bool,
}

impl Adafactor {
    /// With this learning rate and Keras' other defaults.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Adafactor {
        Adafactor {
            options: Options::new(learning_rate),
            beta_2_decay: -0.8,
            epsilon_1: 1e-30,
            epsilon_2: 1e-3,
            clip_threshold: 1.0,
            relative_step: true,
        }
    }
}

shared_arguments!(Adafactor);

own_arguments!(Adafactor {
    /// How the decay of means nears 1. Default -0.8.
    beta_2_decay: f64,
    /// What is added to squared gradients. Default 1e-30.
    epsilon_1: f64,
    /// What a parameter counts for at least. Default 1e-3.
    epsilon_2: f64,
    /// How large a step may be. Default 1.
    clip_threshold: f64,
    /// Keras takes the smaller of the rate and `1 / sqrt(t)` either way; kept for files. Default `true`.
    relative_step: bool,
});

impl Default for Adafactor {
    /// A learning rate of 0.001.
    fn default() -> Adafactor {
        Adafactor::new(0.001)
    }
}

impl Optimizer for Adafactor {
    fn class_name(&self) -> &str {
        "Adafactor"
    }
    fn from_config(arguments: &mut Arguments) -> Result<Adafactor> {
        let default = Adafactor::default();
        Ok(Adafactor {
            options: default.options.take(arguments)?,
            beta_2_decay: arguments
                .number("beta_2_decay")?
                .unwrap_or(default.beta_2_decay),
            epsilon_1: arguments.number("epsilon_1")?.unwrap_or(default.epsilon_1),
            epsilon_2: arguments.number("epsilon_2")?.unwrap_or(default.epsilon_2),
            clip_threshold: arguments
                .number("clip_threshold")?
                .unwrap_or(default.clip_threshold),
            relative_step: arguments
                .boolean("relative_step")?
                .unwrap_or(default.relative_step),
        })
    }
    fn config(&self) -> Config {
        config! {
            "beta_2_decay": self.beta_2_decay,
            "epsilon_1": self.epsilon_1,
            "epsilon_2": self.epsilon_2,
            "clip_threshold": self.clip_threshold,
            "relative_step": self.relative_step,
        }
    }
    fn options(&self) -> &Options {
        &self.options
    }
    fn slots(&self, parameter: &Trained) -> Vec<Slot> {
        let shape = &parameter.shape;
        // Keras keeps two integers of no use for parameters of fewer axes; they stand in its files.
        let unused = |name| Slot {
            dtype: DType::I32,
            ..Slot::new(name, &[])
        };
        let velocity = Slot::new("velocity", shape);
        match shape.as_slice() {
            [leading @ .., rows, columns] => {
                let with = |size: usize| [leading, &[size]].concat();
                vec![
                    Slot::new("r", &with(*rows)),
                    Slot::new("c", &with(*columns)),
                    velocity,
                ]
            }
            _ => vec![unused("r"), unused("c"), velocity],
        }
    }
    fn update(&self, step: &Step, parameter: &Parameter) -> Result<Update> {
        let (value, gradient) = (&parameter.value, &parameter.gradient);
        let graph = value.graph();
        let t = local_step(step)?;
        let limit = t.sqrt()?.reciprocal()?;
        let rate = parameter.learning_rate.minimum(&limit)?;
        let size = root_mean_square(value)?.maximum_scalar(self.epsilon_2)?;
        let power = graph.scalar(self.beta_2_decay, DType::F32)?;
        // `b`, and its distance to 1.
        let decay = from_number(1.0, &t.power(&power)?)?;
        let rest = from_number(1.0, &decay)?;
        let mixed = |old: &Value, new: &Value| -> Result<Value> {
            Ok(decay.multiply(old)?.add(&rest.multiply(new)?)?)
        };
        let square = gradient.square()?.add_scalar(self.epsilon_1)?;
        let slots = match parameter.described.shape.as_slice() {
            [leading @ .., rows, columns] => {
                let by_rows = mixed(&parameter.slots[0], &square.mean(&[-1], false)?)?;
                let by_columns = mixed(&parameter.slots[1], &square.mean(&[-2], false)?)?;
                let share = by_rows.divide(&by_rows.mean(&[-1], true)?)?;
                let shape = |sizes: [usize; 2]| Shape::from([leading, &sizes].concat().as_slice());
                let share = share.reshape(&shape([*rows, 1]))?;
                let velocity = share.multiply(&by_columns.reshape(&shape([1, *columns]))?)?;
                vec![by_rows, by_columns, velocity]
            }
            _ => {
                let [rows, columns] = [&parameter.slots[0], &parameter.slots[1]].map(Clone::clone);
                vec![rows, columns, mixed(&parameter.slots[2], &square)?]
            }
        };
        let direction = gradient.divide(&slots[2].sqrt()?)?;
        let excess = divide_by(&root_mean_square(&direction)?, self.clip_threshold)?;
        let direction = direction.divide(&excess.maximum_scalar(1.0)?)?;
        let change = direction.multiply(&size.multiply(&rate)?)?;
        Ok(Update {
            value: value.subtract(&change)?,
            slots,
        })
    }
    fn check(&self) -> Result<()> {
        self.options.check("Adafactor")?;
        check_finite("Adafactor", "beta_2_decay", self.beta_2_decay)?;
        check_rate("Adafactor", "epsilon_1", self.epsilon_1)?;
        check_rate("Adafactor", "epsilon_2", self.epsilon_2)?;
        if !(self.clip_threshold > 0.0 && self.clip_threshold.is_finite()) {
            let (expected, received) = ("a number above 0", self.clip_threshold);
            return Err(Error::argument(
                "Adafactor",
                "clip_threshold",
                expected,
                received,
            ));
        }
        Ok(())
    }
}
