//! Correlations along an axis of each example.

use danlu_graph::Value;

use super::{Direction, FromConfig, MetricFunction};
use crate::losses::{EPSILON, align, axis_of_example};
use crate::{Arguments, Config, Result, config};

macro_rules! correlation {
    ($(#[$meta:meta])* $name:ident, $key:literal, $values:path) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        pub struct $name {
            axis: isize,
        }

        impl $name {
            /// Along the last axis.
            pub fn new() -> $name {
                $name { axis: -1 }
            }

            /// The axis of the numbers that are correlated. Default -1.
            #[must_use]
            pub fn axis(mut self, axis: isize) -> $name {
                self.axis = axis;
                self
            }
        }

        impl Default for $name {
            fn default() -> $name {
                $name::new()
            }
        }

        impl FromConfig for $name {
            fn from_config(arguments: &mut Arguments) -> Result<$name> {
                let axis = arguments.integer("axis")?.map_or(-1, |axis| axis as isize);
                Ok($name { axis })
            }
        }

        impl MetricFunction for $name {
            fn class_name(&self) -> &str {
                stringify!($name)
            }
            fn name(&self) -> &str {
                $key
            }
            fn config(&self) -> Config {
                config! { "axis": self.axis }
            }
            fn direction(&self) -> Option<Direction> {
                Some(Direction::Up)
            }
            fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
                let (y_true, y_pred) = align($key, y_true, y_pred)?;
                axis_of_example(stringify!($name), self.axis, &y_pred)?;
                $values(&y_true.cast(y_pred.dtype())?, &y_pred, self.axis)
            }
        }
    };
}

correlation! {
    /// Pearson's correlation of target and prediction, the mean over examples (Keras' `PearsonCorrelation`).
    PearsonCorrelation, "pearson_correlation", pearson
}
correlation! {
    /// Lin's concordance correlation of target and prediction, the mean over examples (Keras' `ConcordanceCorrelation`; Lin
    /// 1989, "A Concordance Correlation Coefficient to Evaluate Reproducibility").
    ConcordanceCorrelation, "concordance_correlation", concordance
}

/// Differences from the mean along an axis, and the mean of their squares.
fn centred(value: &Value, axis: isize) -> Result<(Value, Value)> {
    let centred = value.subtract(&value.mean(&[axis], true)?)?;
    let variance = centred.square()?.mean(&[axis], true)?;
    Ok((centred, variance))
}

fn pearson(y_true: &Value, y_pred: &Value, axis: isize) -> Result<Value> {
    let scaled = |value: &Value| -> Result<Value> {
        let (centred, variance) = centred(value, axis)?;
        Ok(centred.divide(&variance.sqrt()?)?)
    };
    Ok(scaled(y_true)?
        .multiply(&scaled(y_pred)?)?
        .mean(&[axis], false)?)
}

fn concordance(y_true: &Value, y_pred: &Value, axis: isize) -> Result<Value> {
    let (_, true_variance) = centred(y_true, axis)?;
    let (centred_pred, pred_variance) = centred(y_pred, axis)?;
    let pred_mean = y_pred.mean(&[axis], true)?;
    let apart = y_true.mean(&[axis], true)?.subtract(&pred_mean)?.square()?;
    let together = y_true.subtract(&pred_mean)?.multiply(&centred_pred)?;
    let norm = true_variance
        .add(&pred_variance)?
        .add(&apart)?
        .add_scalar(EPSILON)?;
    Ok(together
        .multiply_scalar(2.0)?
        .divide(&norm)?
        .mean(&[axis], false)?)
}
