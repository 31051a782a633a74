//! Errors of numbers: their distance to the target, element by element.

use danlu_graph::Value;

use super::terms::softplus;
use super::{EPSILON, plain_loss};

plain_loss! {
    /// `mean((y_pred - y_true)^2)` over the last axis (Keras' `MeanSquaredError`).
    MeanSquaredError, "mean_squared_error", |y_true, y_pred| {
        Ok(y_pred.subtract(y_true)?.square()?.mean(&[-1], false)?)
    }
}
plain_loss! {
    /// `mean(|y_pred - y_true|)` over the last axis (Keras' `MeanAbsoluteError`).
    MeanAbsoluteError, "mean_absolute_error", |y_true, y_pred| {
        Ok(y_pred.subtract(y_true)?.abs()?.mean(&[-1], false)?)
    }
}
plain_loss! {
    /// `100 mean(|y_true - y_pred| / max(|y_true|, 1e-7))` over the last axis (Keras' `MeanAbsolutePercentageError`).
    MeanAbsolutePercentageError, "mean_absolute_percentage_error", |y_true, y_pred| {
        let size = y_true.abs()?.maximum_scalar(EPSILON)?;
        let share = y_true.subtract(y_pred)?.divide(&size)?.abs()?;
        Ok(share.mean(&[-1], false)?.multiply_scalar(100.0)?)
    }
}
plain_loss! {
    /// `mean((ln(y_pred + 1) - ln(y_true + 1))^2)` over the last axis, both at least 1e-7 (Keras'
    /// `MeanSquaredLogarithmicError`).
    MeanSquaredLogarithmicError, "mean_squared_logarithmic_error", |y_true, y_pred| {
        let log = |value: &Value| value.maximum_scalar(EPSILON)?.add_scalar(1.0)?.log();
        Ok(log(y_pred)?.subtract(&log(y_true)?)?.square()?.mean(&[-1], false)?)
    }
}
plain_loss! {
    /// `mean(ln cosh(y_pred - y_true))` over the last axis: a square near 0, `|x| - ln 2` far from it (Keras' `LogCosh`).
    LogCosh, "log_cosh", |y_true, y_pred| {
        let error = y_pred.subtract(y_true)?;
        let tail = softplus(&error.multiply_scalar(-2.0)?)?;
        let values = error.add(&tail)?.add_scalar(-std::f64::consts::LN_2)?;
        Ok(values.mean(&[-1], false)?)
    }
}
