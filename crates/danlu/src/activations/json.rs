//! Activations as configs hold them.

use serde_json::Value;

use super::Activation;
use crate::choice::{Choice, FromName};
use crate::config::{Arguments, Described, described, keras_object};
use crate::{Config, Result, config};

impl Activation {
    /// As a config holds it: a name, a function of Keras' as an object, a layer of Keras' that is an activation, or, in recipes,
    /// `{ type = "gelu", approximate = true }`.
    pub(crate) fn from_json(owner: &str, value: &Value) -> Result<Choice<Activation>> {
        Ok(match described(owner, "activation", value)? {
            Described::Name(name) => Choice::Name(name),
            Described::Object(name, config) => Choice::Value(from_parts(&name, config)?),
        })
    }

    /// As Keras writes it: its name, or, with arguments, the layer that does the same. For functions with arguments that Keras
    /// has no layer for it has no form either; those are written for Danlu alone.
    pub(crate) fn to_json(self) -> Value {
        let layer = |class: &str, config: Config| keras_object("keras.layers", class, config);
        let own = |config: Config| keras_object("danlu.activations", self.name(), config);
        let same = Activation::from_name(self.name()).is_ok_and(|plain| plain == self);
        match self {
            plain if same => Value::String(plain.name().to_owned()),
            Activation::Elu { alpha } => layer("ELU", config! { "alpha": alpha }),
            Activation::LeakyRelu { negative_slope } => {
                layer("LeakyReLU", config! { "negative_slope": negative_slope })
            }
            Activation::ReluWith {
                negative_slope,
                max_value,
                threshold,
            } => layer(
                "ReLU",
                config! {
                    "max_value": max_value,
                    "negative_slope": negative_slope,
                    "threshold": threshold,
                },
            ),
            Activation::SoftmaxAlong { axis } => layer("Softmax", config! { "axis": axis }),
            Activation::Celu { alpha } => own(config! { "alpha": alpha }),
            Activation::Gelu { approximate } => own(config! { "approximate": approximate }),
            Activation::Glu { axis }
            | Activation::LogSoftmax { axis }
            | Activation::Sparsemax { axis } => own(config! { "axis": axis }),
            Activation::HardShrink { threshold } | Activation::SoftShrink { threshold } => {
                own(config! { "threshold": threshold })
            }
            Activation::Squareplus { b } => own(config! { "b": b }),
            Activation::Threshold {
                threshold,
                default_value,
            } => own(config! { "threshold": threshold, "default_value": default_value }),
            plain => Value::String(plain.name().to_owned()),
        }
    }
}

/// The activation of this name, or layer of this class, with these arguments.
fn from_parts(name: &str, config: Config) -> Result<Activation> {
    let mut arguments = Arguments::new(name, config);
    // What every layer has.
    if name.starts_with(char::is_uppercase) {
        for argument in ["name", "trainable", "dtype"] {
            arguments.take(argument);
        }
    }
    let activation = match name {
        "ReLU" | "relu" => take_relu(&mut arguments)?,
        "LeakyReLU" => Activation::LeakyRelu {
            negative_slope: take_leaky_slope(&mut arguments)?,
        },
        "leaky_relu" => Activation::LeakyRelu {
            negative_slope: arguments.number("negative_slope")?.unwrap_or(0.2),
        },
        "ELU" | "elu" => Activation::Elu {
            alpha: arguments.number("alpha")?.unwrap_or(1.0),
        },
        "Softmax" | "softmax" => softmax(axis(&mut arguments)?),
        "celu" => Activation::Celu {
            alpha: arguments.number("alpha")?.unwrap_or(1.0),
        },
        "gelu" => Activation::Gelu {
            approximate: arguments.boolean("approximate")?.unwrap_or(false),
        },
        "glu" => Activation::Glu {
            axis: axis(&mut arguments)?,
        },
        "log_softmax" => Activation::LogSoftmax {
            axis: axis(&mut arguments)?,
        },
        "sparsemax" => Activation::Sparsemax {
            axis: axis(&mut arguments)?,
        },
        "hard_shrink" => Activation::HardShrink {
            threshold: arguments.number("threshold")?.unwrap_or(0.5),
        },
        "soft_shrink" => Activation::SoftShrink {
            threshold: arguments.number("threshold")?.unwrap_or(0.5),
        },
        "squareplus" => Activation::Squareplus {
            b: arguments.number("b")?.unwrap_or(4.0),
        },
        "threshold" => {
            let threshold = arguments.number("threshold")?;
            let default_value = arguments.number("default_value")?;
            Activation::Threshold {
                threshold: arguments.required("threshold", threshold)?,
                default_value: arguments.required("default_value", default_value)?,
            }
        }
        other => Activation::from_name(other)?,
    };
    arguments.finish()?;
    activation.check()?;
    Ok(activation)
}

/// `relu` with these arguments.
pub(crate) fn relu(negative_slope: f64, max_value: Option<f64>, threshold: f64) -> Activation {
    match (negative_slope, max_value, threshold) {
        (0.0, None, 0.0) => Activation::Relu,
        _ => Activation::ReluWith {
            negative_slope,
            max_value,
            threshold,
        },
    }
}

/// Takes the arguments of `relu`.
pub(crate) fn take_relu(arguments: &mut Arguments) -> Result<Activation> {
    let negative_slope = arguments.number("negative_slope")?.unwrap_or(0.0);
    let max_value = arguments.number("max_value")?;
    let threshold = arguments.number("threshold")?.unwrap_or(0.0);
    Ok(relu(negative_slope, max_value, threshold))
}

/// Takes the slope of the layer `LeakyReLU`, whose default is not the function's; older files call it `alpha`.
pub(crate) fn take_leaky_slope(arguments: &mut Arguments) -> Result<f64> {
    let old = arguments.number("alpha")?;
    Ok(arguments.number("negative_slope")?.or(old).unwrap_or(0.3))
}

/// Softmax along this axis.
pub(crate) fn softmax(axis: isize) -> Activation {
    match axis {
        -1 => Activation::Softmax,
        axis => Activation::SoftmaxAlong { axis },
    }
}

/// Takes the argument `axis`, -1 where it is not given.
fn axis(arguments: &mut Arguments) -> Result<isize> {
    let axis = arguments.integer("axis")?.unwrap_or(-1);
    let wrong = |_| arguments.wrong("axis", "the number of an axis", &axis.into());
    isize::try_from(axis).map_err(wrong)
}

impl Choice<Activation> {
    /// As Keras writes it; a name that stands for nothing stays a name.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Choice::Value(activation) => activation.to_json(),
            Choice::Name(name) => Value::String(name.clone()),
        }
    }
}
