//! Initializers by name and as configs hold them.

use serde_json::Value;

use super::{Distribution, FanMode, Initializer};
use crate::choice::Choice;
use crate::config::{Arguments, Config, Described, described, keras_object, snake_case};
use crate::{Error, Result};

const NAMES: [&str; 15] = [
    "zeros",
    "ones",
    "constant",
    "random_normal",
    "random_uniform",
    "truncated_normal",
    "variance_scaling",
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "orthogonal",
    "identity",
];

/// The initializer of this name or class name with these arguments.
pub(super) fn from_parts(
    owner: &str,
    name: &str,
    config: Config,
    from_file: bool,
) -> Result<Initializer> {
    let mut arguments = if from_file {
        Arguments::from_file(name, config)
    } else {
        Arguments::new(name, config)
    };
    let seed = arguments.integer("seed")?;
    let snake = match snake_case(name).as_str() {
        "orthogonal_initializer" => "orthogonal".to_owned(),
        "identity_initializer" => "identity".to_owned(),
        "normal" => "random_normal".to_owned(),
        "uniform" => "random_uniform".to_owned(),
        "zero" => "zeros".to_owned(),
        "one" => "ones".to_owned(),
        other => other.to_owned(),
    };
    let initializer = match snake.as_str() {
        "zeros" => Initializer::Zeros,
        "ones" => Initializer::Ones,
        "constant" => Initializer::Constant {
            value: arguments.number("value")?.unwrap_or(0.0),
        },
        "random_normal" => Initializer::RandomNormal {
            mean: arguments.number("mean")?.unwrap_or(0.0),
            stddev: arguments.number("stddev")?.unwrap_or(0.05),
            seed,
        },
        "random_uniform" => Initializer::RandomUniform {
            minval: arguments.number("minval")?.unwrap_or(-0.05),
            maxval: arguments.number("maxval")?.unwrap_or(0.05),
            seed,
        },
        "truncated_normal" => Initializer::TruncatedNormal {
            mean: arguments.number("mean")?.unwrap_or(0.0),
            stddev: arguments.number("stddev")?.unwrap_or(0.05),
            seed,
        },
        "variance_scaling" => Initializer::VarianceScaling {
            scale: arguments.number("scale")?.unwrap_or(1.0),
            mode: match arguments.string("mode")?.as_deref() {
                None | Some("fan_in") => FanMode::FanIn,
                Some("fan_out") => FanMode::FanOut,
                Some("fan_avg") => FanMode::FanAverage,
                Some(other) => {
                    let expected = "`fan_in`, `fan_out` or `fan_avg`";
                    return Err(Error::argument("VarianceScaling", "mode", expected, other));
                }
            },
            distribution: match arguments.string("distribution")?.as_deref() {
                None | Some("truncated_normal" | "normal") => Distribution::TruncatedNormal,
                Some("untruncated_normal") => Distribution::UntruncatedNormal,
                Some("uniform") => Distribution::Uniform,
                Some(other) => {
                    let expected = "`truncated_normal`, `untruncated_normal` or `uniform`";
                    let name = "distribution";
                    return Err(Error::argument("VarianceScaling", name, expected, other));
                }
            },
            seed,
        },
        "glorot_uniform" => Initializer::GlorotUniform { seed },
        "glorot_normal" => Initializer::GlorotNormal { seed },
        "he_uniform" => Initializer::HeUniform { seed },
        "he_normal" => Initializer::HeNormal { seed },
        "lecun_uniform" => Initializer::LecunUniform { seed },
        "lecun_normal" => Initializer::LecunNormal { seed },
        "orthogonal" => Initializer::Orthogonal {
            gain: arguments.number("gain")?.unwrap_or(1.0),
            seed,
        },
        "identity" => Initializer::Identity {
            gain: arguments.number("gain")?.unwrap_or(1.0),
        },
        "stft" | "stft_initializer" => {
            let advice = "choose another initializer";
            let feature = format!("the initializer `{name}`");
            let owner = if owner.is_empty() { "Danlu" } else { owner };
            return Err(Error::unsupported(owner, feature, advice));
        }
        _ => {
            let error = Error::unknown("initializer", name, NAMES);
            return Err(if owner.is_empty() {
                error
            } else {
                error.in_layer(owner)
            });
        }
    };
    arguments.unsupported("input_axes", &[])?;
    arguments.unsupported("output_axes", &[])?;
    arguments.finish()?;
    initializer.check()?;
    Ok(initializer)
}

impl Initializer {
    /// As a config holds it: a name, or an object with arguments.
    pub(crate) fn from_json(
        arguments: &Arguments,
        argument: &str,
        value: &Value,
    ) -> Result<Choice<Initializer>> {
        let owner = arguments.owner();
        Ok(match described(owner, argument, value)? {
            Described::Name(name) => Choice::Name(name),
            Described::Object(class, config) => {
                Choice::Value(from_parts(owner, &class, config, arguments.is_from_file())?)
            }
        })
    }

    /// As Keras writes it.
    pub(crate) fn to_json(&self) -> Value {
        let scaled = |class: &str, seed: &Option<i64>| {
            let config = crate::config! { "seed": seed, "input_axes": null, "output_axes": null };
            keras_object("keras.initializers", class, config)
        };
        let plain = |class: &str, config: Config| keras_object("keras.initializers", class, config);
        match self {
            Initializer::Zeros => plain("Zeros", Config::new()),
            Initializer::Ones => plain("Ones", Config::new()),
            Initializer::Constant { value } => plain("Constant", crate::config! { "value": value }),
            Initializer::RandomNormal { mean, stddev, seed } => plain(
                "RandomNormal",
                crate::config! { "mean": mean, "stddev": stddev, "seed": seed },
            ),
            Initializer::RandomUniform {
                minval,
                maxval,
                seed,
            } => plain(
                "RandomUniform",
                crate::config! { "minval": minval, "maxval": maxval, "seed": seed },
            ),
            Initializer::TruncatedNormal { mean, stddev, seed } => plain(
                "TruncatedNormal",
                crate::config! { "mean": mean, "stddev": stddev, "seed": seed },
            ),
            Initializer::VarianceScaling {
                scale,
                mode,
                distribution,
                seed,
            } => {
                let mode = match mode {
                    FanMode::FanIn => "fan_in",
                    FanMode::FanOut => "fan_out",
                    FanMode::FanAverage => "fan_avg",
                };
                let distribution = match distribution {
                    Distribution::TruncatedNormal => "truncated_normal",
                    Distribution::UntruncatedNormal => "untruncated_normal",
                    Distribution::Uniform => "uniform",
                };
                plain(
                    "VarianceScaling",
                    crate::config! {
                        "scale": scale, "mode": mode, "distribution": distribution, "seed": seed,
                        "input_axes": null, "output_axes": null,
                    },
                )
            }
            Initializer::GlorotUniform { seed } => scaled("GlorotUniform", seed),
            Initializer::GlorotNormal { seed } => scaled("GlorotNormal", seed),
            Initializer::HeUniform { seed } => scaled("HeUniform", seed),
            Initializer::HeNormal { seed } => scaled("HeNormal", seed),
            Initializer::LecunUniform { seed } => scaled("LecunUniform", seed),
            Initializer::LecunNormal { seed } => scaled("LecunNormal", seed),
            Initializer::Identity { gain } => plain("Identity", crate::config! { "gain": gain }),
            Initializer::Orthogonal { gain, seed } => {
                plain("Orthogonal", crate::config! { "seed": seed, "gain": gain })
            }
        }
    }
}

impl Choice<Initializer> {
    /// As Keras writes it; a name that stands for nothing stays a name.
    pub(crate) fn to_json(&self) -> Value {
        match (self, self.resolve()) {
            (_, Ok(initializer)) => initializer.to_json(),
            (Choice::Name(name), Err(_)) => Value::String(name.clone()),
            (Choice::Value(initializer), Err(_)) => initializer.to_json(),
        }
    }
}
