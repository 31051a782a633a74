//! A learning rate: a number, or a schedule.

use std::sync::Arc;

use serde_json::Value as Json;

use super::check_rate;
use super::schedules::{self, Schedule};
use crate::{Error, Result};

/// A learning rate.
#[derive(Clone, Debug)]
pub enum LearningRate {
    /// The same at each step, until [`Model::set_learning_rate`](crate::Model::set_learning_rate) sets another.
    Constant(f64),
    /// Computed from the step.
    Schedule(Arc<dyn Schedule>),
}

impl LearningRate {
    /// The rate after so many steps.
    ///
    /// # Errors
    /// The schedule cannot be computed.
    pub fn at(&self, iteration: u64) -> Result<f64> {
        match self {
            LearningRate::Constant(rate) => Ok(*rate),
            LearningRate::Schedule(schedule) => schedules::rate_at(&**schedule, iteration),
        }
    }

    /// A number or a schedule, as a recipe or one of Keras' files holds it; `owner` is what errors call the optimizer.
    ///
    /// # Errors
    /// It is neither, or there is no such schedule or argument.
    pub fn from_json(owner: &str, value: &Json) -> Result<LearningRate> {
        match value {
            Json::Number(number) => Ok(LearningRate::Constant(number.as_f64().unwrap_or(f64::NAN))),
            Json::Object(_) => Ok(LearningRate::Schedule(schedules::from_json(owner, value)?)),
            other => Err(Error::argument(
                owner,
                "learning_rate",
                "a number, or a schedule with its type",
                other,
            )),
        }
    }

    /// As Keras writes it: a number rounded to f32, as Keras keeps it.
    pub(super) fn to_json(&self) -> Json {
        match self {
            LearningRate::Constant(rate) => f64::from(*rate as f32).into(),
            LearningRate::Schedule(schedule) => schedules::to_json(&**schedule),
        }
    }

    /// As [`to_json`](Self::to_json), with every digit of a number: what an argument of a schedule is.
    pub(super) fn exact_json(&self) -> Json {
        match self {
            LearningRate::Constant(rate) => (*rate).into(),
            schedule => schedule.to_json(),
        }
    }

    pub(super) fn check(&self, owner: &str) -> Result<()> {
        match self {
            LearningRate::Constant(rate) => check_rate(owner, "learning_rate", *rate),
            LearningRate::Schedule(schedule) => schedule.check(),
        }
    }
}

impl From<f64> for LearningRate {
    fn from(rate: f64) -> LearningRate {
        LearningRate::Constant(rate)
    }
}

impl<S: Schedule> From<S> for LearningRate {
    fn from(schedule: S) -> LearningRate {
        LearningRate::Schedule(Arc::new(schedule))
    }
}
