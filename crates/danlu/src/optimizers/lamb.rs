//! LAMB.

use danlu_graph::{DType, Value};

use super::arithmetic::{approach, local_step, one_minus_power};
use super::options::{own_arguments, shared_arguments};
use super::{
    LearningRate, Optimizer, Options, Parameter, Slot, Step, Trained, Update, check_decay,
    check_rate,
};
use crate::{Arguments, Config, Result, config};

/// LAMB (You and others 2020) as Keras computes it: Adam's step `u = m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon)`, as
/// long as the parameter: `w -= lr u |w| / |u|`, with Euclidean norms over each parameter, or `lr u` where one is 0.
#[derive(Clone, Debug)]
pub struct Lamb {
    options: Options,
    beta_1: f64,
    beta_2: f64,
    epsilon: f64,
}

impl Lamb {
    /// With this learning rate and Keras' other defaults.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Lamb {
        Lamb {
            options: Options::new(learning_rate),
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-7,
        }
    }
}

shared_arguments!(Lamb);

own_arguments!(Lamb {
    /// The decay of the gradient's mean. Default 0.9.
    beta_1: f64,
    /// The decay of the squared gradient's mean. Default 0.999.
    beta_2: f64,
    /// What is added to the square root. Default 1e-7.
    epsilon: f64,
});

impl Default for Lamb {
    /// A learning rate of 0.001.
    fn default() -> Lamb {
        Lamb::new(0.001)
    }
}

impl Optimizer for Lamb {
    fn class_name(&self) -> &str {
        "Lamb"
    }
    fn from_config(arguments: &mut Arguments) -> Result<Lamb> {
        let default = Lamb::default();
        Ok(Lamb {
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
    fn update(&self, step: &Step, parameter: &Parameter) -> Result<Update> {
        let (value, gradient) = (&parameter.value, &parameter.gradient);
        let t = local_step(step)?;
        let momentum = approach(&parameter.slots[0], gradient, self.beta_1)?;
        let velocity = approach(&parameter.slots[1], &gradient.square()?, self.beta_2)?;
        let inverse = |beta: f64| -> Result<Value> { Ok(one_minus_power(beta, &t)?.reciprocal()?) };
        let mean = momentum.multiply(&inverse(self.beta_1)?)?;
        let square = velocity.multiply(&inverse(self.beta_2)?)?;
        let direction = mean.divide(&square.sqrt()?.add_scalar(self.epsilon)?)?;
        let norm = |x: &Value| -> Result<Value> { Ok(x.square()?.sum_all()?.sqrt()?) };
        let (own, wanted) = (norm(value)?, norm(&direction)?);
        let graph = value.graph();
        let (zero, one) = (
            graph.scalar(0.0, DType::F32)?,
            graph.scalar(1.0, DType::F32)?,
        );
        let both = own.greater(&zero)?.logical_and(&wanted.greater(&zero)?)?;
        let ratio = both.select(&own.divide(&wanted)?, &one)?;
        let change = direction.multiply(&ratio.multiply(&parameter.learning_rate)?)?;
        Ok(Update {
            value: value.subtract(&change)?,
            slots: vec![momentum, velocity],
        })
    }
    fn check(&self) -> Result<()> {
        self.options.check("Lamb")?;
        check_decay("Lamb", "beta_1", self.beta_1)?;
        check_decay("Lamb", "beta_2", self.beta_2)?;
        check_rate("Lamb", "epsilon", self.epsilon)
    }
}
