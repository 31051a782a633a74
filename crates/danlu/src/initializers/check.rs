//! Arguments that an initializer cannot have.

use super::Initializer;
use crate::{Error, Result};

impl Initializer {
    /// Fails where a number is not finite, a deviation below 0, a scale not above 0, or a range the wrong way round.
    pub(crate) fn check(&self) -> Result<()> {
        let class = self.class_name();
        let finite = |argument: &str, value: f64| match value.is_finite() {
            true => Ok(()),
            false => Err(Error::argument(class, argument, "a finite number", value)),
        };
        match *self {
            Initializer::Constant { value } => finite("value", value),
            Initializer::RandomNormal { mean, stddev, .. }
            | Initializer::TruncatedNormal { mean, stddev, .. } => {
                finite("mean", mean)?;
                crate::optimizers::check_rate(class, "stddev", stddev)
            }
            Initializer::RandomUniform { minval, maxval, .. } => {
                finite("minval", minval)?;
                finite("maxval", maxval)?;
                if minval > maxval {
                    let expected = format!("at most `maxval`, {maxval}");
                    return Err(Error::argument(class, "minval", expected, minval));
                }
                Ok(())
            }
            Initializer::VarianceScaling { scale, .. } if scale <= 0.0 || !scale.is_finite() => {
                Err(Error::argument(class, "scale", "a number above 0", scale))
            }
            Initializer::Identity { gain } | Initializer::Orthogonal { gain, .. } => {
                finite("gain", gain)
            }
            _ => Ok(()),
        }
    }

    /// Keras' class name.
    fn class_name(&self) -> &'static str {
        match self {
            Initializer::Zeros => "Zeros",
            Initializer::Ones => "Ones",
            Initializer::Constant { .. } => "Constant",
            Initializer::RandomNormal { .. } => "RandomNormal",
            Initializer::RandomUniform { .. } => "RandomUniform",
            Initializer::TruncatedNormal { .. } => "TruncatedNormal",
            Initializer::VarianceScaling { .. } => "VarianceScaling",
            Initializer::GlorotUniform { .. } => "GlorotUniform",
            Initializer::GlorotNormal { .. } => "GlorotNormal",
            Initializer::HeUniform { .. } => "HeUniform",
            Initializer::HeNormal { .. } => "HeNormal",
            Initializer::LecunUniform { .. } => "LecunUniform",
            Initializer::LecunNormal { .. } => "LecunNormal",
            Initializer::Identity { .. } => "Identity",
            Initializer::Orthogonal { .. } => "Orthogonal",
        }
    }
}
