//! Batch renormalization: in training, too, what the moving statistics say.

use danlu_graph::Value;
use serde_json::Value as Json;

use crate::choice::Choice;
use crate::initializers::Initializer;
use crate::layers::{BuildContext, CallContext};
use crate::{Arguments, Config, Error, Result};

const LAYER: &str = "BatchNormalization";

/// The correction of Ioffe 2017: the batch's normalization times `r` plus `d`, both of them constants to the gradient.
#[derive(Clone, Debug)]
pub(super) struct Renorm {
    pub momentum: f64,
    pub rmin: Option<f64>,
    pub rmax: Option<f64>,
    pub dmax: Option<f64>,
}

impl Default for Renorm {
    fn default() -> Renorm {
        Renorm {
            momentum: 0.99,
            rmin: None,
            rmax: None,
            dmax: None,
        }
    }
}

impl Renorm {
    /// Takes `renorm`, `renorm_clipping` and `renorm_momentum`; the latter two count only where the first is true.
    pub fn take(arguments: &mut Arguments) -> Result<Option<Renorm>> {
        let renorm = arguments.boolean("renorm")?.unwrap_or(false);
        let momentum = arguments.number("renorm_momentum")?;
        let clipping = arguments.take("renorm_clipping");
        if !renorm {
            return Ok(None);
        }
        let mut made = Renorm::default();
        made.momentum = momentum.unwrap_or(made.momentum);
        let expected = "numbers by rmin, rmax and dmax";
        match clipping {
            None => {}
            Some(Json::Object(limits)) => {
                for (name, limit) in &limits {
                    let place = match name.as_str() {
                        "rmin" => &mut made.rmin,
                        "rmax" => &mut made.rmax,
                        "dmax" => &mut made.dmax,
                        _ => {
                            let known = ["rmin", "rmax", "dmax"];
                            let kind = "limit of BatchNormalization's `renorm_clipping`";
                            return Err(Error::unknown(kind, name, known));
                        }
                    };
                    let wrong = || arguments.wrong("renorm_clipping", expected, limit);
                    *place = match limit {
                        Json::Null => None,
                        limit => Some(limit.as_f64().ok_or_else(wrong)?),
                    };
                }
            }
            Some(other) => return Err(arguments.wrong("renorm_clipping", expected, &other)),
        }
        Ok(Some(made))
    }

    /// Writes what [`take`](Self::take) takes.
    pub fn write(&self, config: &mut Config) {
        let limits = [
            ("rmin", self.rmin),
            ("rmax", self.rmax),
            ("dmax", self.dmax),
        ];
        let limits = limits.into_iter();
        let limits: Config = limits
            .filter_map(|(name, limit)| Some((name.to_owned(), limit?.into())))
            .collect();
        config.insert("renorm".to_owned(), true.into());
        config.insert("renorm_clipping".to_owned(), Json::Object(limits));
        config.insert("renorm_momentum".to_owned(), self.momentum.into());
    }

    fn check(&self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.momentum) {
            let (argument, expected) = ("renorm_momentum", "from 0 to 1");
            return Err(Error::argument(LAYER, argument, expected, self.momentum));
        }
        let (low, high) = (self.rmin.unwrap_or(0.0), self.rmax.unwrap_or(f64::MAX));
        let far = self.dmax.unwrap_or(0.0);
        if !(low.is_finite() && high.is_finite() && low <= high) {
            let expected = "an `rmin` that is not above `rmax`";
            let received = format!("rmin {low} and rmax {high}");
            return Err(Error::argument(
                LAYER,
                "renorm_clipping",
                expected,
                received,
            ));
        }
        if !(far.is_finite() && far >= 0.0) {
            let expected = "a `dmax` of at least 0";
            return Err(Error::argument(LAYER, "renorm_clipping", expected, far));
        }
        Ok(())
    }

    /// Declares the statistics that Keras keeps for it.
    pub fn build(
        &self,
        context: &mut BuildContext,
        size: usize,
        mean: &Choice<Initializer>,
        variance: &Choice<Initializer>,
    ) -> Result<()> {
        self.check()?;
        // Keras takes the root of what the initializer draws.
        let deviation = match variance.resolve()? {
            Initializer::Zeros => Initializer::Zeros,
            Initializer::Ones => Initializer::Ones,
            Initializer::Constant { value } if value >= 0.0 => Initializer::Constant {
                value: value.sqrt(),
            },
            _ => {
                return Err(Error::argument(
                    LAYER,
                    "moving_variance_initializer",
                    "zeros, ones or a constant of at least 0 where `renorm` is true",
                    variance.to_json(),
                ));
            }
        };
        let deviation = || Choice::Value(deviation.clone());
        context.statistic("moving_stddev", &[size], deviation())?;
        context.statistic("renorm_mean", &[size], mean.clone())?;
        context.statistic("renorm_stddev", &[size], deviation())
    }

    /// `r` and `d` for a batch of this mean and variance; all statistics go towards the batch's.
    pub fn correct(
        &self,
        context: &CallContext,
        [mean, variance]: [&Value; 2],
        momentum: f64,
        epsilon: f64,
    ) -> Result<[Value; 2]> {
        let [mean, variance] = [mean.stop_gradient()?, variance.stop_gradient()?];
        let deviation = variance.add_scalar(epsilon)?.sqrt()?;
        let kept = context.parameter("renorm_stddev")?;
        let kept = kept.maximum_scalar(epsilon.sqrt())?;
        let mut r = deviation.divide(&kept)?;
        let mut d = mean.subtract(&context.parameter("renorm_mean")?)?;
        d = d.divide(&kept)?;
        if let Some(rmin) = self.rmin {
            r = r.maximum_scalar(rmin)?;
        }
        if let Some(rmax) = self.rmax {
            r = r.minimum_scalar(rmax)?;
        }
        if let Some(dmax) = self.dmax {
            d = d.maximum_scalar(-dmax)?.minimum_scalar(dmax)?;
        }
        let moved = |name: &str, batch: &Value, momentum: f64| -> Result<Value> {
            let kept = context.parameter(name)?.multiply_scalar(momentum)?;
            let moved = kept.add(&batch.multiply_scalar(1.0 - momentum)?)?;
            context.update(name, &moved)?;
            Ok(moved)
        };
        moved("renorm_mean", &mean, self.momentum)?;
        moved("renorm_stddev", &deviation, self.momentum)?;
        moved("moving_mean", &mean, momentum)?;
        let deviation = moved("moving_stddev", &deviation, momentum)?;
        // Predictions read the variance; rounding must not make it negative.
        let variance = deviation
            .square()?
            .add_scalar(-epsilon)?
            .maximum_scalar(0.0)?;
        context.update("moving_variance", &variance)?;
        Ok([r.stop_gradient()?, d.stop_gradient()?])
    }
}
