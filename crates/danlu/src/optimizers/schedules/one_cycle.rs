//! One cycle.

use danlu_graph::{DType, Value};

use super::{Schedule, half_cosine};
use crate::choice::{Choice, FromName};
use crate::optimizers::options::own_arguments;
use crate::{Arguments, Config, Error, Result, config};

/// How [`OneCycle`] goes from one rate to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anneal {
    /// Half a cosine.
    Cos,
    /// A line.
    Linear,
}

impl FromName for Anneal {
    fn from_name(name: &str) -> Result<Anneal> {
        match name {
            "cos" => Ok(Anneal::Cos),
            "linear" => Ok(Anneal::Linear),
            _ => Err(Error::unknown("annealing", name, ["cos", "linear"])),
        }
    }
}

/// One cycle (Smith and Topin 2017) with the numbers of PyTorch's `OneCycleLR`: from `max_learning_rate / div_factor` up to
/// `max_learning_rate` in the first `pct_start` of `total_steps`, then down to `final_div_factor` times less than it began with;
/// in three phases, first down to where it began, as long as the way up took. Behind `total_steps`, where PyTorch reports
/// an error, it stays where it ended.
#[derive(Clone, Debug)]
pub struct OneCycle {
    max_learning_rate: f64,
    total_steps: usize,
    pct_start: f64,
    anneal_strategy: Choice<Anneal>,
    div_factor: f64,
    final_div_factor: f64,
    three_phase: bool,
}

impl OneCycle {
    /// Up to this rate, in so many steps in all.
    pub fn new(max_learning_rate: f64, total_steps: usize) -> OneCycle {
        OneCycle {
            max_learning_rate,
            total_steps,
            pct_start: 0.3,
            anneal_strategy: Choice::Value(Anneal::Cos),
            div_factor: 25.0,
            final_div_factor: 1e4,
            three_phase: false,
        }
    }

    /// [`Anneal`], or its name, `cos` or `linear`. Default `cos`.
    #[must_use]
    pub fn anneal_strategy(mut self, anneal_strategy: impl Into<Choice<Anneal>>) -> OneCycle {
        self.anneal_strategy = anneal_strategy.into();
        self
    }

    /// The phases: the step with which each ends, and the rate there.
    fn phases(&self) -> Vec<(f64, f64)> {
        let (top, total) = (self.max_learning_rate, self.total_steps as f64);
        let start = top / self.div_factor;
        let end = (total - 1.0, start / self.final_div_factor);
        let up = self.pct_start * total - 1.0;
        match self.three_phase {
            true => vec![(up, top), (2.0 * up, start), end],
            false => vec![(up, top), end],
        }
    }
}

own_arguments!(OneCycle {
    /// What part of the steps the way up takes. Default 0.3.
    pct_start: f64,
    /// How much lower than its top the rate begins. Default 25.
    div_factor: f64,
    /// How much lower than it began the rate ends. Default 10,000.
    final_div_factor: f64,
    /// Whether it first comes down to where it began. Default `false`.
    three_phase: bool,
});

impl From<Anneal> for Choice<Anneal> {
    fn from(anneal: Anneal) -> Choice<Anneal> {
        Choice::Value(anneal)
    }
}

impl Schedule for OneCycle {
    fn class_name(&self) -> &str {
        "OneCycle"
    }
    fn from_config(arguments: &mut Arguments) -> Result<OneCycle> {
        let top = arguments.number("max_learning_rate")?;
        let top = arguments.required("max_learning_rate", top)?;
        let steps = arguments.positive("total_steps")?;
        let steps = arguments.required("total_steps", steps)?;
        let default = OneCycle::new(top, steps);
        let strategy = arguments.string("anneal_strategy")?;
        Ok(OneCycle {
            pct_start: arguments.number("pct_start")?.unwrap_or(default.pct_start),
            anneal_strategy: strategy.map_or(default.anneal_strategy, Choice::Name),
            div_factor: arguments
                .number("div_factor")?
                .unwrap_or(default.div_factor),
            final_div_factor: arguments
                .number("final_div_factor")?
                .unwrap_or(default.final_div_factor),
            three_phase: arguments
                .boolean("three_phase")?
                .unwrap_or(default.three_phase),
            ..default
        })
    }
    fn config(&self) -> Config {
        let strategy = match &self.anneal_strategy {
            Choice::Value(Anneal::Cos) => "cos",
            Choice::Value(Anneal::Linear) => "linear",
            Choice::Name(name) => name,
        };
        config! {
            "max_learning_rate": self.max_learning_rate,
            "total_steps": self.total_steps,
            "pct_start": self.pct_start,
            "anneal_strategy": strategy,
            "div_factor": self.div_factor,
            "final_div_factor": self.final_div_factor,
            "three_phase": self.three_phase,
        }
    }
    fn rate(&self, iteration: &Value) -> Result<Value> {
        let anneal = self.anneal_strategy.resolve()?;
        let graph = iteration.graph();
        let phases = self.phases();
        let last = phases.last().copied().unwrap_or((0.0, 0.0));
        let step = iteration.cast(DType::F32)?.minimum_scalar(last.0)?;
        let mut from = (0.0, self.max_learning_rate / self.div_factor);
        let mut rate = graph.scalar(last.1, DType::F32)?;
        let mut pieces = Vec::new();
        for &to in &phases {
            let done = step
                .add_scalar(-from.0)?
                .multiply_scalar(1.0 / (to.0 - from.0))?;
            let piece = match anneal {
                Anneal::Cos => half_cosine(&done)?
                    .multiply_scalar(from.1 - to.1)?
                    .add_scalar(to.1)?,
                Anneal::Linear => done.multiply_scalar(to.1 - from.1)?.add_scalar(from.1)?,
            };
            pieces.push((to.0, piece));
            from = to;
        }
        for (end, piece) in pieces.iter().rev() {
            let within = step.less_equal(&graph.scalar(*end, DType::F32)?)?;
            rate = within.select(piece, &rate)?;
        }
        Ok(rate)
    }
    fn check(&self) -> Result<()> {
        let owner = "OneCycle";
        self.anneal_strategy.resolve()?;
        for (argument, number) in [
            ("max_learning_rate", self.max_learning_rate),
            ("div_factor", self.div_factor),
            ("final_div_factor", self.final_div_factor),
        ] {
            super::check_steps(owner, argument, number)?;
        }
        let ends = self.phases();
        let rising = std::iter::once(0.0).chain(ends.iter().map(|phase| phase.0));
        let rising: Vec<f64> = rising.collect();
        if !rising.windows(2).all(|pair| pair[0] < pair[1]) {
            let expected = "such that each phase takes more than a step of `total_steps`";
            return Err(Error::argument(
                owner,
                "pct_start",
                expected,
                self.pct_start,
            ));
        }
        Ok(())
    }
}
