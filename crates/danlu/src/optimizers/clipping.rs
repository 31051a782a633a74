//! What is done to gradients before they are used.

use danlu_graph::Value;

use crate::{Error, Result};

/// How gradients are cut (one way at most, as in Keras).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Clipping {
    /// Not at all.
    #[default]
    None,
    /// Each parameter's gradient is scaled down to at most this norm (Keras' `clipnorm`).
    Norm(f64),
    /// All gradients together are scaled down to at most this norm (Keras' `global_clipnorm`).
    GlobalNorm(f64),
    /// Each element is cut to between minus this and this (Keras' `clipvalue`).
    Value(f64),
}

impl Clipping {
    /// The clipped gradients.
    ///
    /// # Errors
    /// A gradient is not of floats.
    pub fn apply(self, gradients: &[Value]) -> Result<Vec<Value>> {
        let Some(first) = gradients.first() else {
            return Ok(Vec::new());
        };
        let scalar = |number: f64| first.graph().scalar(number, first.dtype());
        match self {
            Clipping::None => Ok(gradients.to_vec()),
            Clipping::Value(limit) => gradients
                .iter()
                .map(|gradient| Ok(gradient.maximum_scalar(-limit)?.minimum_scalar(limit)?))
                .collect(),
            Clipping::Norm(limit) => gradients
                .iter()
                .map(|gradient| {
                    let norm = gradient.square()?.sum_all()?.sqrt()?;
                    let scaled = gradient.multiply_scalar(limit)?;
                    Ok(scaled.divide(&norm.maximum_scalar(limit)?)?)
                })
                .collect(),
            Clipping::GlobalNorm(limit) => {
                let norm = global_norm(first, &gradients[1..])?;
                // Keras' form: an infinite norm gives NaN, so that training stops instead of going on with zeros.
                let scale = scalar(1.0)?
                    .divide(&norm)?
                    .minimum_scalar(1.0 / limit)?
                    .multiply_scalar(limit)?
                    .add(&norm.subtract(&norm)?)?;
                gradients
                    .iter()
                    .map(|gradient| Ok(gradient.multiply(&scale)?))
                    .collect()
            }
        }
    }

    /// Fails unless the limit is above 0.
    pub(super) fn check(self, owner: &str) -> Result<()> {
        let (argument, limit) = match self {
            Clipping::None => return Ok(()),
            Clipping::Norm(limit) => ("clipnorm", limit),
            Clipping::GlobalNorm(limit) => ("global_clipnorm", limit),
            Clipping::Value(limit) => ("clipvalue", limit),
        };
        if limit > 0.0 && limit.is_finite() {
            Ok(())
        } else {
            Err(Error::argument(owner, argument, "a number above 0", limit))
        }
    }
}

/// The norm of these gradients together.
pub(crate) fn global_norm(first: &Value, others: &[Value]) -> Result<Value> {
    let mut sum = first.square()?.sum_all()?;
    for gradient in others {
        sum = sum.add(&gradient.square()?.sum_all()?)?;
    }
    Ok(sum.sqrt()?)
}
