//! Adam.

use danlu_graph::{DType, Value};

use super::{Clipping, Optimizer, Parameter, Step, Update, check_decay, check_rate};
use crate::{Config, Result, config};

/// Adam (Kingma and Ba 2015) as Keras computes it:
/// `m += (g - m) (1 - b1)`, `v += (g^2 - v) (1 - b2)`, `w -= m alpha / (sqrt(v) + epsilon)` with
/// `alpha = lr sqrt(1 - b2^t) / (1 - b1^t)`: epsilon stands outside the correction of the bias.
#[derive(Clone, Debug)]
pub struct Adam {
    pub(super) learning_rate: f64,
    pub(super) beta_1: f64,
    pub(super) beta_2: f64,
    pub(super) epsilon: f64,
    pub(super) clipping: Clipping,
}

impl Adam {
    /// With this learning rate and Keras' other defaults.
    pub fn new(learning_rate: f64) -> Adam {
        Adam {
            learning_rate,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
            clipping: Clipping::None,
        }
    }

    /// The decay of the gradient's mean. Default 0.9.
    #[must_use]
    pub fn beta_1(mut self, beta_1: f64) -> Adam {
        self.beta_1 = beta_1;
        self
    }

    /// The decay of the squared gradient's mean. Default 0.999.
    #[must_use]
    pub fn beta_2(mut self, beta_2: f64) -> Adam {
        self.beta_2 = beta_2;
        self
    }

    /// What is added to the square root. Default 1e-7.
    #[must_use]
    pub fn epsilon(mut self, epsilon: f64) -> Adam {
        self.epsilon = epsilon;
        self
    }

    /// How gradients are cut. Default not at all.
    #[must_use]
    pub fn clipping(mut self, clipping: Clipping) -> Adam {
        self.clipping = clipping;
        self
    }

    /// `lr sqrt(1 - b2^t) / (1 - b1^t)`, in f32 as Keras does.
    fn alpha(&self, step: &Step) -> Result<Value> {
        let graph = step.iteration.graph();
        let t = step.iteration.add_scalar(1.0)?.cast(DType::F32)?;
        let one_minus_power = |beta: f64| -> Result<Value> {
            let power = graph.scalar(beta, DType::F32)?.power(&t)?;
            Ok(graph.scalar(1.0, DType::F32)?.subtract(&power)?)
        };
        let correction = one_minus_power(self.beta_2)?.sqrt()?;
        let scaled = step.learning_rate.multiply(&correction)?;
        Ok(scaled.divide(&one_minus_power(self.beta_1)?)?)
    }
}

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
    fn config(&self) -> Config {
        config! {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": false,
        }
    }
    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }
    fn clipping(&self) -> Clipping {
        self.clipping
    }
    fn slots(&self) -> &[&'static str] {
        &["momentum", "velocity"]
    }
    fn update(&self, step: &Step, parameter: &Parameter) -> Result<Update> {
        let alpha = self.alpha(step)?;
        let gradient = &parameter.gradient;
        let decayed = |old: &Value, new: &Value, beta: f64| -> Result<Value> {
            let change = new.subtract(old)?.multiply_scalar(1.0 - beta)?;
            Ok(old.add(&change)?)
        };
        let momentum = decayed(&parameter.slots[0], gradient, self.beta_1)?;
        let velocity = decayed(&parameter.slots[1], &gradient.square()?, self.beta_2)?;
        let divisor = velocity.sqrt()?.add_scalar(self.epsilon)?;
        let change = momentum.multiply(&alpha)?.divide(&divisor)?;
        Ok(Update {
            value: parameter.value.subtract(&change)?,
            slots: vec![momentum, velocity],
        })
    }
    fn check(&self) -> Result<()> {
        check_rate("Adam", "learning_rate", self.learning_rate)?;
        check_decay("Adam", "beta_1", self.beta_1)?;
        check_decay("Adam", "beta_2", self.beta_2)?;
        check_rate("Adam", "epsilon", self.epsilon)?;
        self.clipping.check("Adam")
    }
}
