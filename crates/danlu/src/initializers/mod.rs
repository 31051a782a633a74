//! How parameters begin: Keras' initializers, drawn from counter-based random numbers that belong to the seed, the layer
//! and the weight, so that a layer begins with the same bits wherever it stands.

mod check;
mod draw;
mod json;

use danlu_graph::Tensor;
use danlu_graph::operations::random::{key, stream};

use crate::choice::{Choice, FromName};
use crate::{Error, Result};

use draw::Draw;

/// Which fan scales a [`Initializer::VarianceScaling`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FanMode {
    /// Inputs of one unit.
    FanIn,
    /// Outputs that one input goes to.
    FanOut,
    /// Their mean.
    FanAverage,
}

/// The distribution of a [`Initializer::VarianceScaling`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Normal, cut at two sigma and widened so that its variance is the wanted one.
    TruncatedNormal,
    /// Normal.
    UntruncatedNormal,
    /// Uniform.
    Uniform,
}

/// How a parameter begins (Keras 3.15's `keras.initializers`).
///
/// For a kernel of shape `(..., a, b)` with `r` elements on the axes before, `fan_in` is `a r` and `fan_out` is `b r`
/// (Keras' rule, groups included: `a` is the channels of one group). A `seed` of an initializer stands for the model's.
#[derive(Clone, Debug, PartialEq)]
pub enum Initializer {
    /// 0.
    Zeros,
    /// 1.
    Ones,
    /// This number.
    Constant {
        /// The number.
        value: f64,
    },
    /// Normal numbers.
    RandomNormal {
        /// Their mean.
        mean: f64,
        /// Their standard deviation.
        stddev: f64,
        /// A seed of their own.
        seed: Option<i64>,
    },
    /// Uniform numbers.
    RandomUniform {
        /// The smallest.
        minval: f64,
        /// The largest.
        maxval: f64,
        /// A seed of their own.
        seed: Option<i64>,
    },
    /// Normal numbers of which those beyond two standard deviations are drawn again.
    TruncatedNormal {
        /// Their mean.
        mean: f64,
        /// The standard deviation before the cut.
        stddev: f64,
        /// A seed of their own.
        seed: Option<i64>,
    },
    /// Numbers of variance `scale / fan`.
    VarianceScaling {
        /// The factor.
        scale: f64,
        /// Which fan.
        mode: FanMode,
        /// Which distribution.
        distribution: Distribution,
        /// A seed of their own.
        seed: Option<i64>,
    },
    /// Uniform, variance `2 / (fan_in + fan_out)` (Glorot and Bengio 2010).
    GlorotUniform {
        /// A seed of their own.
        seed: Option<i64>,
    },
    /// Truncated normal, variance `2 / (fan_in + fan_out)`.
    GlorotNormal {
        /// A seed of their own.
        seed: Option<i64>,
    },
    /// Uniform, variance `2 / fan_in` (He et al. 2015).
    HeUniform {
        /// A seed of their own.
        seed: Option<i64>,
    },
    /// Truncated normal, variance `2 / fan_in`.
    HeNormal {
        /// A seed of their own.
        seed: Option<i64>,
    },
    /// Uniform, variance `1 / fan_in` (LeCun et al. 1998).
    LecunUniform {
        /// A seed of their own.
        seed: Option<i64>,
    },
    /// Truncated normal, variance `1 / fan_in`.
    LecunNormal {
        /// A seed of their own.
        seed: Option<i64>,
    },
    /// A matrix with this number on its diagonal and 0 elsewhere.
    Identity {
        /// The number.
        gain: f64,
    },
    /// An orthogonal matrix of all axes but the last by the last (Saxe et al. 2014).
    Orthogonal {
        /// A factor.
        gain: f64,
        /// A seed of their own.
        seed: Option<i64>,
    },
}

/// The standard deviation of a standard normal distribution cut at two sigma.
const TRUNCATED_DEVIATION: f64 = 0.879_625_66;

impl Initializer {
    /// The values of a parameter of this shape; `path`, such as `dense/kernel`, and `seed` decide random ones.
    ///
    /// # Errors
    /// The shape is too large for memory; an orthogonal matrix of fewer than two axes.
    pub fn values(&self, shape: &[usize], seed: u64, path: &str) -> Result<Tensor> {
        let count = danlu_graph::tensor::element_count(shape)?;
        if Vec::<f32>::new().try_reserve_exact(count).is_err() {
            return Err(Error::mismatch(
                format!("the parameter `{path}` of shape {shape:?}"),
                "one that fits into memory",
                format!("{} bytes", 4 * count),
                "make the layer smaller",
            ));
        }
        let seed = match self.seed() {
            Some(own) => own as u64,
            None => seed,
        };
        let mut draw = Draw::new(key(seed, stream(path, 0)));
        let (fan_in, fan_out) = fans(shape);
        let scaled = |scale: f64, mode: FanMode| {
            let fan = match mode {
                FanMode::FanIn => fan_in,
                FanMode::FanOut => fan_out,
                FanMode::FanAverage => (fan_in + fan_out) / 2.0,
            };
            (scale / fan.max(1.0)).sqrt()
        };
        let root_three = 3f64.sqrt();
        use FanMode::{FanAverage, FanIn};
        let values = match *self {
            Initializer::Zeros => vec![0.0; count],
            Initializer::Ones => vec![1.0; count],
            Initializer::Constant { value } => vec![value as f32; count],
            Initializer::RandomNormal { mean, stddev, .. } => draw.normal(count, mean, stddev),
            Initializer::RandomUniform { minval, maxval, .. } => {
                draw.uniform(count, minval, maxval)
            }
            Initializer::TruncatedNormal { mean, stddev, .. } => {
                draw.truncated_normal(count, mean, stddev)
            }
            Initializer::VarianceScaling {
                scale,
                mode,
                distribution,
                ..
            } => {
                let deviation = scaled(scale, mode);
                match distribution {
                    Distribution::Uniform => {
                        draw.uniform(count, -root_three * deviation, root_three * deviation)
                    }
                    Distribution::UntruncatedNormal => draw.normal(count, 0.0, deviation),
                    Distribution::TruncatedNormal => {
                        draw.truncated_normal(count, 0.0, deviation / TRUNCATED_DEVIATION)
                    }
                }
            }
            Initializer::GlorotUniform { .. } => {
                let limit = root_three * scaled(1.0, FanAverage);
                draw.uniform(count, -limit, limit)
            }
            Initializer::HeUniform { .. } => {
                let limit = root_three * scaled(2.0, FanIn);
                draw.uniform(count, -limit, limit)
            }
            Initializer::LecunUniform { .. } => {
                let limit = root_three * scaled(1.0, FanIn);
                draw.uniform(count, -limit, limit)
            }
            Initializer::GlorotNormal { .. } => {
                draw.truncated_normal(count, 0.0, scaled(1.0, FanAverage) / TRUNCATED_DEVIATION)
            }
            Initializer::HeNormal { .. } => {
                draw.truncated_normal(count, 0.0, scaled(2.0, FanIn) / TRUNCATED_DEVIATION)
            }
            Initializer::LecunNormal { .. } => {
                draw.truncated_normal(count, 0.0, scaled(1.0, FanIn) / TRUNCATED_DEVIATION)
            }
            Initializer::Identity { gain } => {
                let &[_, columns] = shape else {
                    return Err(Error::mismatch(
                        "the identity initializer",
                        "a parameter of two axes",
                        format!("shape {shape:?}"),
                        "",
                    ));
                };
                let diagonal = |place: usize| place / columns == place % columns;
                let value = |place| if diagonal(place) { gain as f32 } else { 0.0 };
                (0..count).map(value).collect()
            }
            Initializer::Orthogonal { gain, .. } => {
                let Some((&columns, leading)) = shape.split_last().filter(|_| shape.len() > 1)
                else {
                    return Err(Error::mismatch(
                        "the orthogonal initializer",
                        "a parameter of at least two axes",
                        format!("shape {shape:?}"),
                        "",
                    ));
                };
                draw.orthogonal(leading.iter().product(), columns, gain)
            }
        };
        Ok(Tensor::from_f32(shape, values)?)
    }

    fn seed(&self) -> Option<i64> {
        use Initializer::*;
        match *self {
            Zeros | Ones | Constant { .. } | Identity { .. } => None,
            RandomNormal { seed, .. }
            | RandomUniform { seed, .. }
            | TruncatedNormal { seed, .. }
            | VarianceScaling { seed, .. }
            | GlorotUniform { seed }
            | GlorotNormal { seed }
            | HeUniform { seed }
            | HeNormal { seed }
            | LecunUniform { seed }
            | LecunNormal { seed }
            | Orthogonal { seed, .. } => seed,
        }
    }
}

/// `(fan_in, fan_out)` of a parameter of this shape.
fn fans(shape: &[usize]) -> (f64, f64) {
    match *shape {
        [] => (1.0, 1.0),
        [only] => (only as f64, only as f64),
        [ref rest @ .., input, output] => {
            let field: usize = rest.iter().product();
            ((input * field) as f64, (output * field) as f64)
        }
    }
}

impl FromName for Initializer {
    fn from_name(name: &str) -> Result<Initializer> {
        json::from_parts("", name, crate::Config::new(), false)
    }
}

impl From<Initializer> for Choice<Initializer> {
    fn from(initializer: Initializer) -> Choice<Initializer> {
        Choice::Value(initializer)
    }
}

#[cfg(test)]
mod tests;
