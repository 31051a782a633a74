//! Adagrad.

use super::options::{own_arguments, shared_arguments};
use super::{LearningRate, Optimizer, Options, Parameter, Slot, Step, Trained, Update, check_rate};
use crate::{Arguments, Config, Result, config};

/// Adagrad (Duchi, Hazan and Singer 2011) as Keras computes it: `a += g^2`, `w -= lr g / sqrt(a + epsilon)`.
#[derive(Clone, Debug)]
pub struct Adagrad {
    options: Options,
    initial_accumulator_value: f64,
    epsilon: f64,
}

impl Adagrad {
    /// With this learning rate and Keras' other defaults.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Adagrad {
        Adagrad {
            options: Options::new(learning_rate),
            initial_accumulator_value: 0.1,
            epsilon: 1e-7,
        }
    }
}

shared_arguments!(Adagrad);

own_arguments!(Adagrad {
    /// What the sums of squares begin with. Default 0.1.
    initial_accumulator_value: f64,
    /// What is added under the square root. Default 1e-7.
    epsilon: f64,
});

impl Default for Adagrad {
    /// A learning rate of 0.001.
    fn default() -> Adagrad {
        Adagrad::new(0.001)
    }
}

impl Optimizer for Adagrad {
    fn class_name(&self) -> &str {
        "Adagrad"
    }
    fn from_config(arguments: &mut Arguments) -> Result<Adagrad> {
        let default = Adagrad::default();
        Ok(Adagrad {
            options: default.options.take(arguments)?,
            initial_accumulator_value: arguments
                .number("initial_accumulator_value")?
                .unwrap_or(default.initial_accumulator_value),
            epsilon: arguments.number("epsilon")?.unwrap_or(default.epsilon),
        })
    }
    fn config(&self) -> Config {
        config! {
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
    }
    fn options(&self) -> &Options {
        &self.options
    }
    fn slots(&self, parameter: &Trained) -> Vec<Slot> {
        let accumulator = Slot::new("accumulator", &parameter.shape);
        vec![accumulator.initial(self.initial_accumulator_value)]
    }
    fn update(&self, _: &Step, parameter: &Parameter) -> Result<Update> {
        let gradient = &parameter.gradient;
        let accumulator = parameter.slots[0].add(&gradient.square()?)?;
        let divisor = accumulator.add_scalar(self.epsilon)?.sqrt()?;
        let change = gradient
            .multiply(&parameter.learning_rate)?
            .divide(&divisor)?;
        Ok(Update {
            value: parameter.value.subtract(&change)?,
            slots: vec![accumulator],
        })
    }
    fn check(&self) -> Result<()> {
        self.options.check("Adagrad")?;
        check_rate(
            "Adagrad",
            "initial_accumulator_value",
            self.initial_accumulator_value,
        )?;
        check_rate("Adagrad", "epsilon", self.epsilon)
    }
}
