//! Huber's loss.

use danlu_graph::Value;

use super::terms::in_range;
use super::{FromConfig, LossFunction, align};
use crate::{Arguments, Config, Result, config};

/// `e^2 / 2` where `|e| <= delta`, else `delta |e| - delta^2 / 2`, the mean over the last axis (Keras' `Huber`; Huber 1964,
/// "Robust Estimation of a Location Parameter").
#[derive(Clone, Debug)]
pub struct Huber {
    delta: f64,
}

impl Huber {
    /// With delta 1.
    pub fn new() -> Huber {
        Huber { delta: 1.0 }
    }

    /// Where the square becomes a line, above 0. Default 1.
    #[must_use]
    pub fn delta(mut self, delta: f64) -> Huber {
        self.delta = delta;
        self
    }

    fn check(&self) -> Result<()> {
        let fits = |delta: f64| delta > 0.0 && delta.is_finite();
        in_range("Huber", "delta", self.delta, "a number above 0", fits)
    }
}

impl Default for Huber {
    fn default() -> Huber {
        Huber::new()
    }
}

impl FromConfig for Huber {
    fn from_config(arguments: &mut Arguments) -> Result<Huber> {
        // Keras 3.15 takes `delta` but does not write it into files.
        let delta = arguments.number("delta")?.unwrap_or(1.0);
        let loss = Huber { delta };
        loss.check()?;
        Ok(loss)
    }
}

impl LossFunction for Huber {
    fn class_name(&self) -> &str {
        "Huber"
    }
    fn name(&self) -> &str {
        "huber_loss"
    }
    fn config(&self) -> Config {
        match self.delta {
            1.0 => Config::new(),
            delta => config! { "delta": delta },
        }
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        self.check()?;
        let (y_true, y_pred) = align(self.name(), y_true, y_pred)?;
        let error = y_pred.subtract(&y_true.cast(y_pred.dtype())?)?;
        let size = error.abs()?;
        let near = size.less_equal(&size.graph().scalar(self.delta, size.dtype())?)?;
        let square = error.square()?.multiply_scalar(0.5)?;
        let line = size
            .multiply_scalar(self.delta)?
            .add_scalar(-0.5 * self.delta * self.delta)?;
        Ok(near.select(&square, &line)?.mean(&[-1], false)?)
    }
}
