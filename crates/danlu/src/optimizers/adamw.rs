//! AdamW.

use super::options::{own_arguments, shared_arguments};
use super::{
    LearningRate, Optimizer, Options, Parameter, Slot, Step, Trained, Update, adam, check_decay,
    check_rate,
};
use crate::{Arguments, Config, Result, config};

/// AdamW (Loshchilov and Hutter 2019) as Keras computes it: `w -= w weight_decay lr`, then Adam's step. The decay is not part
/// of the gradient, so it is the same for all parameters.
#[derive(Clone, Debug)]
pub struct AdamW {
    options: Options,
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
    amsgrad: bool,
}

impl AdamW {
    /// With this learning rate and Keras' other defaults.
    pub fn new(learning_rate: impl Into<LearningRate>) -> AdamW {
        AdamW {
            options: Options {
                weight_decay: Some(0.004),
                ..Options::new(learning_rate)
            },
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
            amsgrad: false,
        }
    }
}

shared_arguments!(AdamW);

own_arguments!(AdamW {
    /// The decay of the gradient's mean. Default 0.9.
    beta_1: f64,
    /// The decay of the squared gradient's mean. Default 0.999.
    beta_2: f64,
    /// What is added to the square root. Default 1e-7.
    epsilon: f64,
    /// Whether the largest of the squared means so far counts (Reddi and others 2018). Default `false`.
    amsgrad: bool,
});

impl Default for AdamW {
    /// A learning rate of 0.001.
    fn default() -> AdamW {
        AdamW::new(0.001)
    }
}

impl Optimizer for AdamW {
    fn class_name(&self) -> &str {
        "AdamW"
    }
    fn from_config(arguments: &mut Arguments) -> Result<AdamW> {
        let default = AdamW::default();
        Ok(AdamW {
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
        adam::slots(parameter, self.amsgrad)
    }
    fn update(&self, step: &Step, parameter: &Parameter) -> Result<Update> {
        let betas = [self.beta_1, self.beta_2];
        adam::update(step, parameter, betas, self.epsilon, self.amsgrad)
    }
    fn check(&self) -> Result<()> {
        self.options.check("AdamW")?;
        check_decay("AdamW", "beta_1", self.beta_1)?;
        check_decay("AdamW", "beta_2", self.beta_2)?;
        check_rate("AdamW", "epsilon", self.epsilon)
    }
}
