//! What every optimizer takes: Keras' arguments that all its optimizers share, and two of our own.

use regex_lite::Regex;
use serde_json::{Value, json};

use super::{Clipping, LearningRate, check_decay, check_rate};
use crate::{Arguments, Config, Error, Result};

/// The arguments that all optimizers share, by Keras' names and with Keras' defaults.
#[derive(Clone, Debug)]
pub struct Options {
    /// A number, or a schedule.
    pub learning_rate: LearningRate,
    /// The optimizer's name in files; the class in snake case where it is `None`.
    pub name: Option<String>,
    /// `w -= w weight_decay learning_rate` before each update, after clipping.
    pub weight_decay: Option<f64>,
    /// Regular expressions; a parameter in whose name one of them is found does not decay. It is looked for in the parameter's
    /// own name (`bias`), as Keras does with Python's `re.search`, and in that with its layer's (`dense/bias`). Keras has a
    /// method of this name, which it does not save.
    pub exclude_from_weight_decay: Vec<String>,
    /// How gradients are cut.
    pub clipping: Clipping,
    /// Whether an exponential moving average of the parameters is kept; `fit` puts it in their place when it ends.
    pub use_ema: bool,
    /// `average = ema_momentum average + (1 - ema_momentum) value`.
    pub ema_momentum: f64,
    /// Every so many steps the average takes the parameters' place.
    pub ema_overwrite_frequency: Option<usize>,
    /// What the loss is multiplied by, and the gradients divided by.
    pub loss_scale_factor: Option<f64>,
    /// Parameters change every so many steps only, by the mean of the gradients since.
    pub gradient_accumulation_steps: Option<usize>,
    /// Layers (or parameters, `dense/bias`) whose learning rate is multiplied by a number. Not Keras'.
    pub learning_rate_multipliers: Vec<(String, f64)>,
}

impl Options {
    /// With this learning rate, and nothing else asked for.
    pub fn new(learning_rate: impl Into<LearningRate>) -> Options {
        Options {
            learning_rate: learning_rate.into(),
            name: None,
            weight_decay: None,
            exclude_from_weight_decay: Vec::new(),
            clipping: Clipping::None,
            use_ema: false,
            ema_momentum: 0.99,
            ema_overwrite_frequency: None,
            loss_scale_factor: None,
            gradient_accumulation_steps: None,
            learning_rate_multipliers: Vec::new(),
        }
    }

    /// Takes the shared arguments; those that are not given stay as they are here.
    ///
    /// # Errors
    /// One is of another type.
    pub fn take(mut self, arguments: &mut Arguments) -> Result<Options> {
        if let Some(rate) = arguments.take("learning_rate") {
            self.learning_rate = LearningRate::from_json(arguments.owner(), &rate)?;
        }
        self.name = arguments.string("name")?.or(self.name);
        self.weight_decay = optional(arguments, "weight_decay", self.weight_decay)?;
        if let Some(texts) = take_texts(arguments, "exclude_from_weight_decay")? {
            self.exclude_from_weight_decay = texts;
        }
        self.clipping = take_clipping(arguments, self.clipping)?;
        self.use_ema = arguments.boolean("use_ema")?.unwrap_or(self.use_ema);
        let momentum = arguments.number("ema_momentum")?;
        self.ema_momentum = momentum.unwrap_or(self.ema_momentum);
        let frequency = arguments.positive("ema_overwrite_frequency")?;
        self.ema_overwrite_frequency = frequency.or(self.ema_overwrite_frequency);
        let scale = arguments.number("loss_scale_factor")?;
        self.loss_scale_factor = scale.or(self.loss_scale_factor);
        let steps = arguments.positive("gradient_accumulation_steps")?;
        self.gradient_accumulation_steps = steps.or(self.gradient_accumulation_steps);
        match arguments.take("learning_rate_multipliers") {
            None => {}
            Some(Value::Object(factors)) => {
                let factors = factors.iter().map(|(name, factor)| {
                    let wrong = || arguments.wrong("learning_rate_multipliers", NUMBERS, factor);
                    Ok((name.clone(), factor.as_f64().ok_or_else(wrong)?))
                });
                self.learning_rate_multipliers = factors.collect::<Result<_>>()?;
            }
            Some(other) => {
                return Err(arguments.wrong("learning_rate_multipliers", NUMBERS, &other));
            }
        }
        if arguments.is_from_file() {
            // Keras 2 wrote these.
            arguments.unsupported("decay", &[0.0.into(), 0.into()])?;
            arguments.unsupported("jit_compile", &[true.into(), false.into()])?;
            arguments.unsupported("is_legacy_optimizer", &[false.into()])?;
        }
        Ok(self)
    }

    /// Checks the arguments of the optimizer `owner`.
    ///
    /// # Errors
    /// One has a value that it cannot have.
    pub fn check(&self, owner: &str) -> Result<()> {
        self.learning_rate.check(owner)?;
        if let Some(decay) = self.weight_decay {
            check_rate(owner, "weight_decay", decay)?;
        }
        check_patterns(
            owner,
            "exclude_from_weight_decay",
            &self.exclude_from_weight_decay,
        )?;
        self.clipping.check(owner)?;
        if self.ema_momentum != 1.0 {
            check_decay(owner, "ema_momentum", self.ema_momentum)?;
        }
        if self.ema_overwrite_frequency == Some(0) {
            let expected = "a whole number of at least 1";
            return Err(Error::argument(
                owner,
                "ema_overwrite_frequency",
                expected,
                0,
            ));
        }
        if let Some(scale) = self.loss_scale_factor
            && !(scale > 0.0 && scale.is_finite())
        {
            let expected = "a number above 0";
            return Err(Error::argument(owner, "loss_scale_factor", expected, scale));
        }
        if let Some(steps) = self.gradient_accumulation_steps.filter(|&steps| steps < 2) {
            let (argument, expected) = (
                "gradient_accumulation_steps",
                "a whole number of at least 2",
            );
            return Err(Error::argument(owner, argument, expected, steps));
        }
        for (name, factor) in &self.learning_rate_multipliers {
            check_rate(owner, &format!("learning_rate_multipliers.{name}"), *factor)?;
        }
        Ok(())
    }

    /// Whether the parameter of this name, such as `dense/kernel`, decays where there is a decay.
    pub(crate) fn decays(&self, name: &str) -> bool {
        let own = name.rsplit_once('/').map_or(name, |(_, own)| own);
        let patterns = &self.exclude_from_weight_decay;
        !(found(patterns, own) || found(patterns, name))
    }

    /// What a parameter's learning rate is multiplied by: its own number, or its layer's.
    pub(crate) fn multiplier(&self, name: &str) -> Option<f64> {
        let layer = name.rsplit_once('/').map_or(name, |(layer, _)| layer);
        let of = |wanted: &str| {
            let mut factors = self.learning_rate_multipliers.iter();
            factors.find_map(|(name, factor)| (name == wanted).then_some(*factor))
        };
        of(name).or_else(|| of(layer))
    }

    /// As Keras writes them.
    pub(super) fn to_config(&self, name: &str, learning_rate: Value) -> Config {
        let (mut norm, mut global, mut value) = (None, None, None);
        match self.clipping {
            Clipping::None => {}
            Clipping::Norm(number) => norm = Some(number),
            Clipping::GlobalNorm(number) => global = Some(number),
            Clipping::Value(number) => value = Some(number),
        }
        crate::config! {
            "name": name,
            "learning_rate": learning_rate,
            "weight_decay": self.weight_decay,
            "clipnorm": norm,
            "global_clipnorm": global,
            "clipvalue": value,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }
    }

    /// What Keras' optimizers have no argument for.
    pub(super) fn beyond_keras(&self) -> Config {
        let mut config = Config::new();
        if !self.exclude_from_weight_decay.is_empty() {
            let texts = json!(self.exclude_from_weight_decay);
            config.insert("exclude_from_weight_decay".to_owned(), texts);
        }
        if !self.learning_rate_multipliers.is_empty() {
            let factors = self.learning_rate_multipliers.iter();
            let factors: Config = factors.map(|(name, f)| (name.clone(), json!(f))).collect();
            config.insert(
                "learning_rate_multipliers".to_owned(),
                Value::Object(factors),
            );
        }
        config
    }
}

const NUMBERS: &str = "numbers of at least 0 by layer";

/// A number, or in a file `null`, which stands for no number there and not for the default.
pub(super) fn optional(
    arguments: &mut Arguments,
    argument: &str,
    default: Option<f64>,
) -> Result<Option<f64>> {
    let nothing = arguments.is_from_file() && arguments.is_null(argument);
    let number = arguments.number(argument)?;
    Ok(if nothing { None } else { number.or(default) })
}

/// A list of texts.
pub(super) fn take_texts(arguments: &mut Arguments, argument: &str) -> Result<Option<Vec<String>>> {
    let Some(value) = arguments.take(argument) else {
        return Ok(None);
    };
    let texts = value.as_array().and_then(|texts| {
        let texts = texts.iter().map(|text| text.as_str().map(str::to_owned));
        texts.collect::<Option<Vec<String>>>()
    });
    let texts = texts.ok_or_else(|| arguments.wrong(argument, "a list of texts", &value));
    texts.map(Some)
}

/// Whether one of these expressions is found in a name. One that is none, which [`check_patterns`] refuses, is never found.
pub(super) fn found(patterns: &[String], name: &str) -> bool {
    let found = |pattern: &String| Regex::new(pattern).is_ok_and(|known| known.is_match(name));
    patterns.iter().any(found)
}

/// Fails unless the texts are regular expressions.
pub(super) fn check_patterns(owner: &str, argument: &str, patterns: &[String]) -> Result<()> {
    for pattern in patterns {
        let why = match Regex::new(pattern) {
            Ok(_) if !pattern.is_empty() => continue,
            Ok(_) => "it is found in every name".to_owned(),
            Err(error) => error.to_string(),
        };
        let expected = "regular expressions such as `bias` or `^gamma$`, without look-around and back-references";
        let received = format!("`{pattern}`: {why}");
        return Err(Error::argument(owner, argument, expected, received));
    }
    Ok(())
}

fn take_clipping(arguments: &mut Arguments, default: Clipping) -> Result<Clipping> {
    let given: Vec<(&str, Clipping)> = [
        ("clipnorm", Clipping::Norm as fn(f64) -> Clipping),
        ("global_clipnorm", Clipping::GlobalNorm),
        ("clipvalue", Clipping::Value),
    ]
    .into_iter()
    .filter_map(|(name, make)| match arguments.number(name) {
        Ok(None) => None,
        Ok(Some(limit)) => Some(Ok((name, make(limit)))),
        Err(error) => Some(Err(error)),
    })
    .collect::<Result<_>>()?;
    match given.as_slice() {
        [] => Ok(default),
        [(_, clipping)] => Ok(*clipping),
        [(first, _), (second, _), ..] => Err(Error::argument(
            arguments.owner(),
            *first,
            "the only way of clipping",
            format!("`{second}` as well"),
        )),
    }
}

/// The shared arguments as methods of an optimizer that has them in its field `options`.
macro_rules! shared_arguments {
    ($optimizer:ident) => {
        impl $optimizer {
            /// A number, or a schedule of [`schedules`](crate::optimizers::schedules).
            #[must_use]
            pub fn learning_rate(
                mut self,
                learning_rate: impl Into<$crate::optimizers::LearningRate>,
            ) -> $optimizer {
                self.options.learning_rate = learning_rate.into();
                self
            }

            /// `w -= w weight_decay learning_rate` before each update, after clipping.
            #[must_use]
            pub fn weight_decay(mut self, weight_decay: f64) -> $optimizer {
                self.options.weight_decay = Some(weight_decay);
                self
            }

            /// Parameters in whose name (`bias`, or with the layer's `dense/bias`) one of these regular expressions is found do
            /// not decay.
            #[must_use]
            pub fn exclude_from_weight_decay<T: Into<String>>(
                mut self,
                texts: impl IntoIterator<Item = T>,
            ) -> $optimizer {
                let texts = texts.into_iter().map(Into::into);
                self.options.exclude_from_weight_decay = texts.collect();
                self
            }

            /// How gradients are cut. Default not at all.
            #[must_use]
            pub fn clipping(mut self, clipping: $crate::optimizers::Clipping) -> $optimizer {
                self.options.clipping = clipping;
                self
            }

            /// Whether an exponential moving average of the parameters is kept; `fit` puts it in their place when it ends.
            /// Default `false`.
            #[must_use]
            pub fn use_ema(mut self, use_ema: bool) -> $optimizer {
                self.options.use_ema = use_ema;
                self
            }

            /// `average = ema_momentum average + (1 - ema_momentum) value`. Default 0.99.
            #[must_use]
            pub fn ema_momentum(mut self, ema_momentum: f64) -> $optimizer {
                self.options.ema_momentum = ema_momentum;
                self
            }

            /// Every so many steps the average takes the parameters' place. Default never.
            #[must_use]
            pub fn ema_overwrite_frequency(mut self, steps: usize) -> $optimizer {
                self.options.ema_overwrite_frequency = Some(steps);
                self
            }

            /// What the loss is multiplied by, and the gradients divided by. Default nothing.
            #[must_use]
            pub fn loss_scale_factor(mut self, factor: f64) -> $optimizer {
                self.options.loss_scale_factor = Some(factor);
                self
            }

            /// Parameters change every so many steps only (2 at least), by the mean of the gradients since. Default at
            /// every step.
            #[must_use]
            pub fn gradient_accumulation_steps(mut self, steps: usize) -> $optimizer {
                self.options.gradient_accumulation_steps = Some(steps);
                self
            }

            /// Multiplies the learning rate of a layer, or of one parameter (`dense/bias`), by this; 0 holds it still.
            #[must_use]
            pub fn learning_rate_multiplier(mut self, layer: &str, factor: f64) -> $optimizer {
                let factors = &mut self.options.learning_rate_multipliers;
                factors.retain(|(name, _)| name != layer);
                factors.push((layer.to_owned(), factor));
                self
            }
        }
    };
}

/// An optimizer's own arguments as methods that set the fields of their names.
macro_rules! own_arguments {
    ($optimizer:ident { $($(#[$meta:meta])* $name:ident: $type:ty,)* }) => {
        impl $optimizer {
            $(
                $(#[$meta])*
                #[must_use]
                pub fn $name(mut self, $name: $type) -> $optimizer {
                    self.$name = $name;
                    self
                }
            )*
        }
    };
}

pub(super) use {own_arguments, shared_arguments};
