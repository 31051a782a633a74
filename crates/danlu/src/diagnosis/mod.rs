//! What goes wrong in a training, said in one line each: see [`Diagnose`], and [`Model::find_non_finite`] for a loss that became
//! infinite or NaN.
//!
//! ```
//! use danlu::diagnosis::{Diagnose, Kind};
//! use danlu::prelude::*;
//!
//! let x = Tensor::from_f32(&[64, 2], (0..128).map(|index| (index % 7) as f32 / 7.0).collect())?;
//! let y = Tensor::from_f32(&[64, 1], (0..64).map(|index| (index % 7) as f32).collect())?;
//! let mut model = Sequential::new();
//! model.add(Input::new([2]));
//! // No example lifts a unit above 0: such a layer learns nothing.
//! model.add(Dense::new(8).activation("relu").bias_initializer(Initializer::Constant { value: -9.0 }).name("stuck"));
//! model.add(Dense::new(1));
//! model.compile(Adam::default(), "mse", Vec::<&str>::new())?;
//! let mut diagnose = Diagnose::new((&x, &y))?;
//! model.fit((&x, &y), FitOptions::new().verbose(false).callback(&mut diagnose))?;
//! let found = &diagnose.found()[0];
//! assert_eq!((found.kind, found.layer.as_deref()), (Kind::DeadUnits, Some("stuck")));
//! # Ok::<(), danlu::Error>(())
//! ```
//!
//! [`Model::find_non_finite`]: crate::Model::find_non_finite

mod dead_units;
mod diagnose;
mod exploding;
mod non_finite;
mod overfitting;
mod plateau;
mod probe;
mod vanishing;

use std::fmt;

use serde_json::Value;

use crate::{Config, config};

pub use diagnose::Diagnose;
pub(crate) use non_finite::{Found, data_fault, first_bad, largest, locate};

/// What kind of thing is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A number became infinite or NaN.
    NonFinite,
    /// Gradients are so large that steps lead nowhere.
    ExplodingGradients,
    /// Gradients fade on their way to the first layers.
    VanishingGradients,
    /// Units of a ReLU are 0 for every example.
    DeadUnits,
    /// Units of a sigmoid or tanh are at its ends for nearly every example.
    SaturatedUnits,
    /// The validation loss rises while the training loss falls.
    Overfitting,
    /// The training loss does not move, and nothing was learned.
    Plateau,
}

impl Kind {
    const ALL: [Kind; 7] = [
        Kind::NonFinite,
        Kind::ExplodingGradients,
        Kind::VanishingGradients,
        Kind::DeadUnits,
        Kind::SaturatedUnits,
        Kind::Overfitting,
        Kind::Plateau,
    ];

    /// Its name in files, such as `dead_units`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::NonFinite => "non_finite",
            Kind::ExplodingGradients => "exploding_gradients",
            Kind::VanishingGradients => "vanishing_gradients",
            Kind::DeadUnits => "dead_units",
            Kind::SaturatedUnits => "saturated_units",
            Kind::Overfitting => "overfitting",
            Kind::Plateau => "plateau",
        }
    }
}

/// Something that is wrong with a training, in one line. Displayed, it is the message and the advice.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// What kind of thing is wrong.
    pub kind: Kind,
    /// The layer, where there is one: `dense_1`, `encoder/dense`.
    pub layer: Option<String>,
    /// The epoch at whose end it was seen, or in which it happened, counted from 1; 0 before the first.
    pub epoch: usize,
    /// The step: of the epoch, counted from 1, for [`Kind::NonFinite`], else the optimizer's steps so far.
    pub step: u64,
    /// What was seen.
    pub message: String,
    /// What to do.
    pub advice: String,
}

impl Diagnosis {
    /// As run records hold it.
    pub fn to_json(&self) -> Config {
        config! {
            "kind": self.kind.name(),
            "layer": self.layer,
            "epoch": self.epoch,
            "step": self.step,
            "message": self.message,
            "advice": self.advice,
        }
    }

    /// What [`to_json`](Self::to_json) wrote; `None` of anything else.
    pub fn from_json(json: &Value) -> Option<Diagnosis> {
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let kind = text("kind")?;
        Some(Diagnosis {
            kind: Kind::ALL.into_iter().find(|one| one.name() == kind)?,
            layer: text("layer"),
            epoch: usize::try_from(json["epoch"].as_u64()?).ok()?,
            step: json["step"].as_u64()?,
            message: text("message")?,
            advice: text("advice")?,
        })
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}; {}", self.message, self.advice)
    }
}

/// What a judgement says, before it is known when.
struct Finding {
    kind: Kind,
    layer: Option<String>,
    message: String,
    advice: String,
}

impl Finding {
    fn new(kind: Kind, layer: Option<&str>, message: String, advice: &str) -> Finding {
        Finding {
            kind,
            layer: layer.map(str::to_owned),
            message,
            advice: advice.to_owned(),
        }
    }
}

/// A number as a person reads it.
fn short(number: f64) -> String {
    let size = number.abs();
    match number {
        _ if number == 0.0 || !number.is_finite() => number.to_string(),
        _ if !(1e-3..1e5).contains(&size) => format!("{number:.1e}"),
        _ if size >= 100.0 => format!("{number:.0}"),
        _ => {
            let text = format!("{number:.3}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}
