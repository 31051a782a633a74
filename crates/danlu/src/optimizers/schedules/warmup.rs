//! A warm-up before another schedule.

use danlu_graph::{DType, Value};

use super::{Schedule, check_steps};
use crate::optimizers::{LearningRate, check_rate};
use crate::{Arguments, Config, Error, Result, config};

/// In `warmup_steps` steps a line from `initial_learning_rate` to where another schedule begins, which counts its steps from
/// there (Goyal and others 2017, section 2.2). What `CosineDecay` has built in, for any schedule, or for a constant rate.
#[derive(Clone, Debug)]
pub struct Warmup {
    schedule: LearningRate,
    warmup_steps: f64,
    initial_learning_rate: f64,
}

impl Warmup {
    /// Before this schedule (or number), so many steps, from 0.
    pub fn new(schedule: impl Into<LearningRate>, warmup_steps: f64) -> Warmup {
        Warmup {
            schedule: schedule.into(),
            warmup_steps,
            initial_learning_rate: 0.0,
        }
    }

    /// Where it begins. Default 0.
    #[must_use]
    pub fn initial_learning_rate(mut self, initial_learning_rate: f64) -> Warmup {
        self.initial_learning_rate = initial_learning_rate;
        self
    }

    fn later(&self, iteration: &Value) -> Result<Value> {
        match &self.schedule {
            LearningRate::Constant(rate) => Ok(iteration.graph().scalar(*rate, DType::F32)?),
            LearningRate::Schedule(schedule) => schedule.rate(iteration),
        }
    }
}

impl Schedule for Warmup {
    fn class_name(&self) -> &str {
        "Warmup"
    }
    fn from_config(arguments: &mut Arguments) -> Result<Warmup> {
        let schedule = arguments.take("schedule");
        let schedule = arguments.required("schedule", schedule)?;
        let steps = arguments.number("warmup_steps")?;
        let steps = arguments.required("warmup_steps", steps)?;
        let start = arguments.number("initial_learning_rate")?;
        let schedule = LearningRate::from_json(arguments.owner(), &schedule)?;
        Ok(Warmup::new(schedule, steps).initial_learning_rate(start.unwrap_or(0.0)))
    }
    fn config(&self) -> Config {
        config! {
            "schedule": self.schedule.exact_json(),
            "warmup_steps": self.warmup_steps,
            "initial_learning_rate": self.initial_learning_rate,
        }
    }
    fn rate(&self, iteration: &Value) -> Result<Value> {
        let graph = iteration.graph();
        let steps = graph.constant(danlu_graph::Tensor::from_i64(
            &[],
            vec![self.warmup_steps as i64],
        )?)?;
        let zero = graph.scalar(0.0, DType::I64)?;
        let target = self.later(&zero)?;
        let later = self.later(&iteration.subtract(&steps)?.maximum(&zero)?)?;
        let start = graph.scalar(self.initial_learning_rate, DType::F32)?;
        let done = super::share(iteration, self.warmup_steps)?;
        let rising = target.subtract(&start)?.multiply(&done)?.add(&start)?;
        Ok(iteration.less(&steps)?.select(&rising, &later)?)
    }
    fn check(&self) -> Result<()> {
        check_steps("Warmup", "warmup_steps", self.warmup_steps)?;
        if self.warmup_steps.fract() != 0.0 || self.warmup_steps > 9e15 {
            let expected = "a whole number of steps";
            return Err(Error::argument(
                "Warmup",
                "warmup_steps",
                expected,
                self.warmup_steps,
            ));
        }
        check_rate(
            "Warmup",
            "initial_learning_rate",
            self.initial_learning_rate,
        )?;
        self.schedule.check("Warmup")
    }
}
