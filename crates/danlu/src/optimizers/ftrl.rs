//! FTRL.

use danlu_graph::{DType, Value};

use super::options::{own_arguments, shared_arguments};
use super::{LearningRate, Optimizer, Options, Parameter, Slot, Step, Trained, Update, check_rate};
use crate::{Arguments, Config, Error, Result, config};

/// Follow the regularized leader (McMahan and others 2013, algorithm 1), with shrinkage, as Keras computes it, `p` being
/// `-learning_rate_power`: `a' = a + g^2`, `z += g + 2 shrinkage w - w (a'^p - a^p) / lr`,
/// `w = (clip(z, -l1, l1) - z) / (a'^p / lr + 2 l2 + beta / lr)`. Weights are exactly 0 where `|z| <= l1`.
#[derive(Clone, Debug)]
pub struct Ftrl {
    options: Options,
    learning_rate_power: f64,
    initial_accumulator_value: f64,
    l1_regularization_strength: f64,
    l2_regularization_strength: f64,
    l2_shrinkage_regularization_strength: f64,
    beta: f64,
}

impl Ftrl {
    /// With this learning rate and Keras' other defaults.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Ftrl {
        Ftrl {
            options: Options::new(learning_rate),
            learning_rate_power: -0.5,
            initial_accumulator_value: 0.1,
            l1_regularization_strength: 0.0,
            l2_regularization_strength: 0.0,
            l2_shrinkage_regularization_strength: 0.0,
            beta: 0.0,
        }
    }
}

shared_arguments!(Ftrl);

own_arguments!(Ftrl {
    /// At most 0; 0 keeps the rate as it is. Default -0.5.
    learning_rate_power: f64,
    /// What the sums of squares begin with. Default 0.1.
    initial_accumulator_value: f64,
    /// Draws weights to exactly 0. Default 0.
    l1_regularization_strength: f64,
    /// Makes weights small. Default 0.
    l2_regularization_strength: f64,
    /// Makes weights small through the gradient. Default 0.
    l2_shrinkage_regularization_strength: f64,
    /// As in the paper. Default 0.
    beta: f64,
});

impl Default for Ftrl {
    /// A learning rate of 0.001.
    fn default() -> Ftrl {
        Ftrl::new(0.001)
    }
}

impl Optimizer for Ftrl {
    fn class_name(&self) -> &str {
        "Ftrl"
    }
    fn from_config(arguments: &mut Arguments) -> Result<Ftrl> {
        let default = Ftrl::default();
        Ok(Ftrl {
            options: default.options.take(arguments)?,
            learning_rate_power: arguments
                .number("learning_rate_power")?
                .unwrap_or(default.learning_rate_power),
            initial_accumulator_value: arguments
                .number("initial_accumulator_value")?
                .unwrap_or(default.initial_accumulator_value),
            l1_regularization_strength: arguments
                .number("l1_regularization_strength")?
                .unwrap_or(default.l1_regularization_strength),
            l2_regularization_strength: arguments
                .number("l2_regularization_strength")?
                .unwrap_or(default.l2_regularization_strength),
            l2_shrinkage_regularization_strength: arguments
                .number("l2_shrinkage_regularization_strength")?
                .unwrap_or(default.l2_shrinkage_regularization_strength),
            beta: arguments.number("beta")?.unwrap_or(default.beta),
        })
    }
    fn config(&self) -> Config {
        config! {
            "learning_rate_power": self.learning_rate_power,
            "initial_accumulator_value": self.initial_accumulator_value,
            "l1_regularization_strength": self.l1_regularization_strength,
            "l2_regularization_strength": self.l2_regularization_strength,
            "l2_shrinkage_regularization_strength": self.l2_shrinkage_regularization_strength,
            "beta": self.beta,
        }
    }
    fn options(&self) -> &Options {
        &self.options
    }
    fn slots(&self, parameter: &Trained) -> Vec<Slot> {
        let accumulator = Slot::new("accumulator", &parameter.shape);
        vec![
            accumulator.initial(self.initial_accumulator_value),
            Slot::new("linear", &parameter.shape),
        ]
    }
    fn update(&self, _: &Step, parameter: &Parameter) -> Result<Update> {
        let (value, gradient) = (&parameter.value, &parameter.gradient);
        let (rate, graph) = (&parameter.learning_rate, value.graph());
        let power = |x: &Value| -> Result<Value> {
            // The usual power is a root, which costs a tenth of it.
            match self.learning_rate_power == -0.5 {
                true => Ok(x.sqrt()?),
                false => Ok(x.power(&graph.scalar(-self.learning_rate_power, DType::F32)?)?),
            }
        };
        let old = &parameter.slots[0];
        let accumulator = old.add(&gradient.square()?)?;
        let (old, new) = (power(old)?, power(&accumulator)?);
        let shrinkage = 2.0 * self.l2_shrinkage_regularization_strength;
        let drawn = match shrinkage == 0.0 {
            true => gradient.clone(),
            false => gradient.add(&value.multiply_scalar(shrinkage)?)?,
        };
        let inverse = rate.reciprocal()?;
        let held = new.subtract(&old)?.multiply(&inverse)?.multiply(value)?;
        let linear = parameter.slots[1].add(&drawn.subtract(&held)?)?;
        // 2 (l2 + beta / (2 lr)).
        let beta = graph
            .scalar(self.beta, DType::F32)?
            .divide(&rate.multiply_scalar(2.0)?)?;
        let l2 = beta
            .add_scalar(self.l2_regularization_strength)?
            .multiply_scalar(2.0)?;
        let quadratic = new.multiply(&inverse)?.add(&l2)?;
        let l1 = self.l1_regularization_strength;
        let beyond = match l1 == 0.0 {
            true => linear.negate()?,
            false => {
                let clipped = linear.maximum_scalar(-l1)?.minimum_scalar(l1)?;
                clipped.subtract(&linear)?
            }
        };
        Ok(Update {
            value: beyond.divide(&quadratic)?,
            slots: vec![accumulator, linear],
        })
    }
    fn check(&self) -> Result<()> {
        self.options.check("Ftrl")?;
        check_rate(
            "Ftrl",
            "initial_accumulator_value",
            self.initial_accumulator_value,
        )?;
        check_rate(
            "Ftrl",
            "l1_regularization_strength",
            self.l1_regularization_strength,
        )?;
        check_rate(
            "Ftrl",
            "l2_regularization_strength",
            self.l2_regularization_strength,
        )?;
        check_rate(
            "Ftrl",
            "l2_shrinkage_regularization_strength",
            self.l2_shrinkage_regularization_strength,
        )?;
        check_rate("Ftrl", "beta", self.beta)?;
        let power = self.learning_rate_power;
        if !(power.is_finite() && power <= 0.0) {
            let expected = "a number of at most 0";
            return Err(Error::argument(
                "Ftrl",
                "learning_rate_power",
                expected,
                power,
            ));
        }
        Ok(())
    }
}
