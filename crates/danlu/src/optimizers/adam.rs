//! Adam.

use super::arithmetic::{approach, local_step, one_minus_power};
use super::options::{own_arguments, shared_arguments};
use super::{
    LearningRate, Optimizer, Options, Parameter, Slot, Step, Trained, Update, check_decay,
    check_rate,
};
use crate::{Arguments, Config, Result, config};

/// Adam (Kingma and Ba 2015) as Keras computes it:
/// `m += (g - m) (1 - b1)`, `v += (g^2 - v) (1 - b2)`, `w -= m alpha / (sqrt(v) + epsilon)` with
/// `alpha = lr sqrt(1 - b2^t) / (1 - b1^t)`: epsilon stands outside the correction of the bias.
#[derive(Clone, Debug)]
pub struct Adam {
    options: Options,
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
    amsgrad: bool,
}

impl Adam {
    /// With this learning rate and Keras' other defaults.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Adam {
        Adam {
            options: Options::new(learning_rate),
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
            amsgrad: false,
        }
    }
}

shared_arguments!(Adam);

own_arguments!(Adam {
    /// The decay of the gradient's mean. Default 0.9.
    beta_1: f64,
    /// The decay of the squared gradient's mean. Default 0.999.
    beta_2: f64,
    /// What is added to the square root. Default 1e-7.
    epsilon: f64,
    /// Whether the largest of the squared means so far counts (Reddi and others 2018). Default `false`.
    amsgrad: bool,
});

impl Default for Adam {
    /// A learning rate of 0.001.
    fn default() -> Adam {
        Adam::new(0.001)
    }
}

impl Optimizer for Adam {
    fn class_name(&self) -> &str {
        "Adam"
    }
    fn from_config(arguments: &mut Arguments) -> Result<Adam> {
        let default = Adam::default();
        Ok(Adam {
            options: default.options.take(arguments)?,
            beta_1: arguments.number("beta_1")?.unwrap_or(default.beta_1),
            beta_2: arguments.number("beta_2")?.unwrap_or(default.beta_2),
            epsilon: arguments.number("epsilon")?.unwrap_or(default.epsilon),
            amsgrad: arguments.boolean("amsgrad")?.unwrap_or(default.amsgrad),
        })
    }
    fn config(&self) -> Config {
        config! {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }
    }
    fn options(&self) -> &Options {
        &self.options
    }
    fn slots(&self, parameter: &Trained) -> Vec<Slot> {
        slots(parameter, self.amsgrad)
    }
    fn update(&self, step: &Step, parameter: &Parameter) -> Result<Update> {
        let betas = [self.beta_1, self.beta_2];
        update(step, parameter, betas, self.epsilon, self.amsgrad)
    }
    fn check(&self) -> Result<()> {
        self.options.check("Adam")?;
        check_decay("Adam", "beta_1", self.beta_1)?;
        check_decay("Adam", "beta_2", self.beta_2)?;
        check_rate("Adam", "epsilon", self.epsilon)
    }
}

/// What Adam keeps for a parameter: means of the gradient and its square, and with `amsgrad` the largest of the latter.
pub(super) fn slots(parameter: &Trained, amsgrad: bool) -> Vec<Slot> {
    let mut slots = vec![
        Slot::new("momentum", &parameter.shape),
        Slot::new("velocity", &parameter.shape),
    ];
    if amsgrad {
        slots.push(Slot::new("velocity_hat", &parameter.shape).pass(1));
    }
    slots
}

/// Adam's step, at the parameter's learning rate.
pub(super) fn update(
    step: &Step,
    parameter: &Parameter,
    [beta_1, beta_2]: [f64; 2],
    epsilon: f64,
    amsgrad: bool,
) -> Result<Update> {
    let gradient = &parameter.gradient;
    let t = local_step(step)?;
    // `lr sqrt(1 - b2^t) / (1 - b1^t)`, in f32 as Keras does.
    let correction = one_minus_power(beta_2, &t)?.sqrt()?;
    let scaled = parameter.learning_rate.multiply(&correction)?;
    let alpha = scaled.divide(&one_minus_power(beta_1, &t)?)?;
    let momentum = approach(&parameter.slots[0], gradient, beta_1)?;
    let velocity = approach(&parameter.slots[1], &gradient.square()?, beta_2)?;
    let largest = match amsgrad {
        true => parameter.slots[2].maximum(&velocity)?,
        false => velocity.clone(),
    };
    let divisor = largest.sqrt()?.add_scalar(epsilon)?;
    let change = momentum.multiply(&alpha)?.divide(&divisor)?;
    let mut slots = vec![momentum, velocity];
    if amsgrad {
        slots.push(largest);
    }
    Ok(Update {
        value: parameter.value.subtract(&change)?,
        slots,
    })
}
