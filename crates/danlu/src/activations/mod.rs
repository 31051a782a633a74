//! Activation functions: those of `keras.activations`, with Keras' names and defaults.

mod functions;
mod json;

use danlu_graph::Value;

pub(crate) use functions::{SELU_ALPHA, SELU_SCALE};
pub(crate) use json::{relu, softmax, take_leaky_slope, take_relu};

use crate::choice::{Choice, FromName};
use crate::{Error, Result};

/// A function of each element, or of each row along an axis where one is said. Shapes stay as they are, but for
/// [`Glu`](Activation::Glu), which halves an axis. Names and formulas are those of Keras 3.15's `keras.activations`; a name alone stands for Keras'
/// defaults, which are given here with each argument.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// `max(x, 0) + min(0, alpha (e^(x / alpha) - 1))`
    Celu {
        /// Not 0; 1.
        alpha: f64,
    },
    /// `x` above 0, `alpha (e^x - 1)` elsewhere
    Elu {
        /// 1.
        alpha: f64,
    },
    /// `e^x`
    Exponential,
    /// `x P(X <= x)` of a standard normal X
    Gelu {
        /// Whether by the hyperbolic tangent; `false`.
        approximate: bool,
    },
    /// The first half of an axis times the sigmoid of the second
    Glu {
        /// The axis, -1.
        axis: isize,
    },
    /// `x` where `|x|` is above the threshold, 0 elsewhere
    HardShrink {
        /// 0.5.
        threshold: f64,
    },
    /// `relu6(x + 3) / 6`
    HardSigmoid,
    /// `x hard_sigmoid(x)`, also called `hard_swish`
    HardSilu,
    /// `x`, cut at -1 and 1
    HardTanh,
    /// `x` above 0, `negative_slope x` elsewhere
    LeakyRelu {
        /// 0.2.
        negative_slope: f64,
    },
    /// `x`
    #[default]
    Linear,
    /// `ln sigmoid(x)`
    LogSigmoid,
    /// `ln softmax(x)`
    LogSoftmax {
        /// The axis, -1.
        axis: isize,
    },
    /// `x tanh(softplus(x))`
    Mish,
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `x` above the threshold, cut at `max_value`; `negative_slope (x - threshold)` below. `relu` with arguments
    ReluWith {
        /// 0.
        negative_slope: f64,
        /// Of at least 0; none.
        max_value: Option<f64>,
        /// 0.
        threshold: f64,
    },
    /// 1.0507 `elu(x)` with alpha 1.67326
    Selu,
    /// `1 / (1 + e^-x)`
    Sigmoid,
    /// `x sigmoid(x)`, also called `swish`
    Silu,
    /// `e^x / sum e^x` along the last axis
    Softmax,
    /// The same along another axis
    SoftmaxAlong {
        /// The axis, -1.
        axis: isize,
    },
    /// `x` moved towards 0 by the threshold, 0 up to there
    SoftShrink {
        /// 0.5.
        threshold: f64,
    },
    /// `ln(1 + e^x)`
    Softplus,
    /// `x / (1 + |x|)`
    Softsign,
    /// The nearest place to `x` whose numbers are at least 0 and sum to 1, along an axis (Martins and Astudillo 2016, "From
    /// Softmax to Sparsemax", equations 1 to 3). Keras 3.15.1 computes something else under this name: its threshold adds up
    /// all cumulative sums where the paper takes the last, so that its rows do not sum to 1.
    Sparsemax {
        /// The axis, -1.
        axis: isize,
    },
    /// 0 up to -1, `(x + 1)^2 / 4` up to 1, then `x`
    SparsePlus,
    /// `(x + 1) / 2`, cut at 0 and 1
    SparseSigmoid,
    /// `(x + sqrt(x^2 + b)) / 2`
    Squareplus {
        /// Of at least 0; 4.
        b: f64,
    },
    /// Hyperbolic tangent
    Tanh,
    /// `x - tanh(x)`
    TanhShrink,
    /// `x` above the threshold, `default_value` elsewhere
    Threshold {
        /// Has no default.
        threshold: f64,
        /// Has no default.
        default_value: f64,
    },
}

impl Activation {
    /// Every activation that a name alone stands for, with Keras' defaults.
    pub const ALL: [Activation; 29] = [
        Activation::Celu { alpha: 1.0 },
        Activation::Elu { alpha: 1.0 },
        Activation::Exponential,
        Activation::Gelu { approximate: false },
        Activation::Glu { axis: -1 },
        Activation::HardShrink { threshold: 0.5 },
        Activation::HardSigmoid,
        Activation::HardSilu,
        Activation::HardTanh,
        Activation::LeakyRelu {
            negative_slope: 0.2,
        },
        Activation::Linear,
        Activation::LogSigmoid,
        Activation::LogSoftmax { axis: -1 },
        Activation::Mish,
        Activation::Relu,
        Activation::Relu6,
        Activation::Selu,
        Activation::Sigmoid,
        Activation::Silu,
        Activation::Softmax,
        Activation::SoftShrink { threshold: 0.5 },
        Activation::Softplus,
        Activation::Softsign,
        Activation::Sparsemax { axis: -1 },
        Activation::SparsePlus,
        Activation::SparseSigmoid,
        Activation::Squareplus { b: 4.0 },
        Activation::Tanh,
        Activation::TanhShrink,
    ];

    /// Keras' name for it; the arguments are not part of it.
    pub const fn name(self) -> &'static str {
        match self {
            Activation::Celu { .. } => "celu",
            Activation::Elu { .. } => "elu",
            Activation::Exponential => "exponential",
            Activation::Gelu { .. } => "gelu",
            Activation::Glu { .. } => "glu",
            Activation::HardShrink { .. } => "hard_shrink",
            Activation::HardSigmoid => "hard_sigmoid",
            Activation::HardSilu => "hard_silu",
            Activation::HardTanh => "hard_tanh",
            Activation::LeakyRelu { .. } => "leaky_relu",
            Activation::Linear => "linear",
            Activation::LogSigmoid => "log_sigmoid",
            Activation::LogSoftmax { .. } => "log_softmax",
            Activation::Mish => "mish",
            Activation::Relu | Activation::ReluWith { .. } => "relu",
            Activation::Relu6 => "relu6",
            Activation::Selu => "selu",
            Activation::Sigmoid => "sigmoid",
            Activation::Silu => "silu",
            Activation::Softmax | Activation::SoftmaxAlong { .. } => "softmax",
            Activation::SoftShrink { .. } => "soft_shrink",
            Activation::Softplus => "softplus",
            Activation::Softsign => "softsign",
            Activation::Sparsemax { .. } => "sparsemax",
            Activation::SparsePlus => "sparse_plus",
            Activation::SparseSigmoid => "sparse_sigmoid",
            Activation::Squareplus { .. } => "squareplus",
            Activation::Tanh => "tanh",
            Activation::TanhShrink => "tanh_shrink",
            Activation::Threshold { .. } => "threshold",
        }
    }

    /// Its value, of the shape of `x`; of half the axis for [`Glu`](Activation::Glu).
    ///
    /// # Errors
    /// An argument has a value that it cannot have; `x` is not of floats, or has no such axis.
    pub fn apply(self, x: &Value) -> Result<Value> {
        self.check()?;
        Ok(match self {
            Activation::Celu { alpha } => functions::celu(x, alpha)?,
            Activation::Elu { alpha } => functions::elu(x, alpha)?,
            Activation::Exponential => x.exp()?,
            Activation::Gelu { approximate } => functions::gelu(x, approximate)?,
            Activation::Glu { axis } => functions::glu(x, axis)?,
            Activation::HardShrink { threshold } => functions::hard_shrink(x, threshold)?,
            Activation::HardSigmoid => functions::hard_sigmoid(x)?,
            Activation::HardSilu => x.multiply(&functions::hard_sigmoid(x)?)?,
            Activation::HardTanh => functions::hard_tanh(x)?,
            Activation::LeakyRelu { negative_slope } => functions::leaky_relu(x, negative_slope)?,
            Activation::Linear => x.clone(),
            Activation::LogSigmoid => functions::log_sigmoid(x)?,
            Activation::LogSoftmax { axis } => functions::along(x, axis, Value::log_softmax)?,
            Activation::Mish => functions::mish(x)?,
            Activation::Relu => x.relu()?,
            Activation::Relu6 => functions::relu6(x)?,
            Activation::ReluWith {
                negative_slope,
                max_value,
                threshold,
            } => functions::relu_with(x, negative_slope, max_value, threshold)?,
            Activation::Selu => functions::selu(x)?,
            Activation::Sigmoid => x.sigmoid()?,
            Activation::Silu => x.multiply(&x.sigmoid()?)?,
            Activation::Softmax => x.softmax()?,
            Activation::SoftmaxAlong { axis } => functions::along(x, axis, Value::softmax)?,
            Activation::SoftShrink { threshold } => functions::soft_shrink(x, threshold)?,
            Activation::Softplus => functions::softplus(x)?,
            Activation::Softsign => functions::softsign(x)?,
            Activation::Sparsemax { axis } => functions::sparsemax(x, axis)?,
            Activation::SparsePlus => functions::sparse_plus(x)?,
            Activation::SparseSigmoid => functions::sparse_sigmoid(x)?,
            Activation::Squareplus { b } => functions::squareplus(x, b)?,
            Activation::Tanh => x.tanh()?,
            Activation::TanhShrink => x.subtract(&x.tanh()?)?,
            Activation::Threshold {
                threshold,
                default_value,
            } => functions::threshold(x, threshold, default_value)?,
        })
    }

    /// Its arguments that are real numbers.
    fn numbers(self) -> Vec<(&'static str, f64)> {
        match self {
            Activation::Celu { alpha } | Activation::Elu { alpha } => vec![("alpha", alpha)],
            Activation::HardShrink { threshold } | Activation::SoftShrink { threshold } => {
                vec![("threshold", threshold)]
            }
            Activation::LeakyRelu { negative_slope } => vec![("negative_slope", negative_slope)],
            Activation::ReluWith {
                negative_slope,
                max_value,
                threshold,
            } => vec![
                ("negative_slope", negative_slope),
                ("max_value", max_value.unwrap_or(0.0)),
                ("threshold", threshold),
            ],
            Activation::Squareplus { b } => vec![("b", b)],
            Activation::Threshold {
                threshold,
                default_value,
            } => vec![("threshold", threshold), ("default_value", default_value)],
            _ => Vec::new(),
        }
    }

    /// Fails where an argument has a value that it cannot have.
    pub(crate) fn check(self) -> Result<()> {
        for (argument, value) in self.numbers() {
            let (good, expected) = match (self, argument) {
                (Activation::Celu { .. }, _) => (value != 0.0, "a finite number, and not 0"),
                (Activation::Squareplus { .. }, _) | (_, "max_value") => {
                    (value >= 0.0, "a finite number of at least 0")
                }
                _ => (true, "a finite number"),
            };
            if !good || !value.is_finite() {
                return Err(Error::argument(self.name(), argument, expected, value));
            }
        }
        Ok(())
    }
}

impl FromName for Activation {
    fn from_name(name: &str) -> Result<Activation> {
        let name = match name {
            "swish" => "silu",
            "hard_swish" => "hard_silu",
            "threshold" => {
                return Err(Error::argument(
                    "the activation threshold",
                    "threshold",
                    "given, and `default_value` as well",
                    "nothing",
                ));
            }
            name => name,
        };
        Activation::ALL
            .into_iter()
            .find(|activation| activation.name() == name)
            .ok_or_else(|| {
                let all = Activation::ALL.map(Activation::name).into_iter();
                let names = all.chain(["hard_swish", "swish", "threshold"]);
                Error::unknown("activation", name, names)
            })
    }
}

impl From<Activation> for Choice<Activation> {
    fn from(activation: Activation) -> Choice<Activation> {
        Choice::Value(activation)
    }
}

#[cfg(test)]
mod tests;
