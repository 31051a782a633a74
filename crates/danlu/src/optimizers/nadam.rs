//! Nadam.

use danlu_graph::Value;

use super::arithmetic::{approach, from_number, local_step, one_minus_power, power_of};
use super::options::{own_arguments, shared_arguments};
use super::{
    LearningRate, Optimizer, Options, Parameter, Slot, Step, Trained, Update, check_decay,
    check_rate,
};
use crate::{Arguments, Config, Result, config};

/// Nadam (Dozat 2016) as Keras computes it: Adam with Nesterov's momentum, whose decay grows with the step:
/// `u_t = b1 (1 - 0.5 0.96^t)`, `p` the product of all `u` so far;
/// `m += (g - m) (1 - b1)`, `v += (g^2 - v) (1 - b2)`, `m^ = u_(t+1) m / (1 - p u_(t+1)) + (1 - u_t) g / (1 - p)`,
/// `w -= lr m^ / (sqrt(v / (1 - b2^t)) + epsilon)`.
#[derive(Clone, Debug)]
pub struct Nadam {
    options: Options,
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
}

impl Nadam {
    /// With this learning rate and Keras' other defaults.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Nadam {
        Nadam {
            options: Options::new(learning_rate),
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
        }
    }
}

shared_arguments!(Nadam);

own_arguments!(Nadam {
    /// The decay of the gradient's mean. Default 0.9.
    beta_1: f64,
    /// The decay of the squared gradient's mean. Default 0.999.
    beta_2: f64,
    /// What is added to the square root. Default 1e-7.
    epsilon: f64,
});

impl Default for Nadam {
    /// A learning rate of 0.001.
    fn default() -> Nadam {
        Nadam::new(0.001)
    }
}

impl Optimizer for Nadam {
    fn class_name(&self) -> &str {
        "Nadam"
    }
    fn from_config(arguments: &mut Arguments) -> Result<Nadam> {
        let default = Nadam::default();
        Ok(Nadam {
            options: default.options.take(arguments)?,
            beta_1: arguments.number("beta_1")?.unwrap_or(default.beta_1),
            beta_2: arguments.number("beta_2")?.unwrap_or(default.beta_2),
            epsilon: arguments.number("epsilon")?.unwrap_or(default.epsilon),
        })
    }
    fn config(&self) -> Config {
        config! {
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
    }
    fn options(&self) -> &Options {
        &self.options
    }
    fn slots(&self, parameter: &Trained) -> Vec<Slot> {
        vec![
            Slot::new("momentum", &parameter.shape),
            Slot::new("velocity", &parameter.shape),
        ]
    }
    fn shared_slots(&self) -> Vec<Slot> {
        vec![Slot::new("u_product", &[]).initial(1.0)]
    }
    fn begin(&self, step: &Step) -> Result<Vec<Value>> {
        let product = step.shared[0].multiply_scalar(self.beta_1)?;
        Ok(vec![product.multiply(&warmed(&local_step(step)?)?)?])
    }
    fn update(&self, step: &Step, parameter: &Parameter) -> Result<Update> {
        let gradient = &parameter.gradient;
        let t = local_step(step)?;
        let now = warmed(&t)?.multiply_scalar(self.beta_1)?;
        let next = warmed(&t.add_scalar(1.0)?)?.multiply_scalar(self.beta_1)?;
        let product = &step.shared[0];
        let product_next = product.multiply(&next)?;
        let momentum = approach(&parameter.slots[0], gradient, self.beta_1)?;
        let velocity = approach(&parameter.slots[1], &gradient.square()?, self.beta_2)?;
        // Keras divides every element by what is one number for all; here that number is divided, once.
        let ahead = next.divide(&from_number(1.0, &product_next)?)?;
        let ahead = momentum.multiply(&ahead)?;
        let present = from_number(1.0, &now)?.divide(&from_number(1.0, product)?)?;
        let present = gradient.multiply(&present)?;
        let correction = one_minus_power(self.beta_2, &t)?.reciprocal()?;
        let corrected = velocity.multiply(&correction)?;
        let divisor = corrected.sqrt()?.add_scalar(self.epsilon)?;
        let change = ahead.add(&present)?.multiply(&parameter.learning_rate)?;
        Ok(Update {
            value: parameter.value.subtract(&change.divide(&divisor)?)?,
            slots: vec![momentum, velocity],
        })
    }
    fn check(&self) -> Result<()> {
        self.options.check("Nadam")?;
        check_decay("Nadam", "beta_1", self.beta_1)?;
        check_decay("Nadam", "beta_2", self.beta_2)?;
        check_rate("Nadam", "epsilon", self.epsilon)
    }
}

/// `1 - 0.5 0.96^t`.
fn warmed(t: &Value) -> Result<Value> {
    from_number(1.0, &power_of(0.96, t)?.multiply_scalar(0.5)?)
}
