//! Distances of distributions.

use danlu_graph::Value;

use super::{EPSILON, plain_loss};

plain_loss! {
    /// `sum(y_true ln(y_true / y_pred))` over the last axis, both cut to `[1e-7, 1]` (Keras' `KLDivergence`).
    KLDivergence, "kl_divergence", |y_true, y_pred| {
        let cut = |value: &Value| value.maximum_scalar(EPSILON)?.minimum_scalar(1.0);
        let (y_true, y_pred) = (cut(y_true)?, cut(y_pred)?);
        let logarithm = y_true.divide(&y_pred)?.log()?;
        Ok(y_true.multiply(&logarithm)?.sum(&[-1], false)?)
    }
}
plain_loss! {
    /// `mean(y_pred - y_true ln(y_pred + 1e-7))` over the last axis: counts, and the means that are said of them (Keras'
    /// `Poisson`).
    Poisson, "poisson", |y_true, y_pred| {
        let logarithm = y_pred.add_scalar(EPSILON)?.log()?;
        Ok(y_pred.subtract(&y_true.multiply(&logarithm)?)?.mean(&[-1], false)?)
    }
}
