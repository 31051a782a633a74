//! Compile, fit, evaluate, predict: a step is one program, kept as a plan for each batch size.

mod adapt;
mod arrangement;
mod averages;
mod benchmark;
mod compile;
mod custom;
mod data;
mod evaluate;
mod feed;
mod fit;
mod history;
mod lbfgs;
mod objective;
mod on_batch;
mod options;
mod plans;
mod predict;
mod profile;
mod program;
mod progress;
mod replay;
mod running;
mod state;
mod step;

pub use crate::callbacks::{
    Callback, Control, EarlyStopped, EarlyStopping, EpochLogs, Logs, MonitorMode, Note, Phase,
    StepLogs, TrainingStart,
};
pub use benchmark::Benchmark;
pub(crate) use compile::Compiled;
pub use custom::{CustomStep, StepBuilder, StepInput};
pub use data::{Data, IntoData};
pub(crate) use feed::Feed;
pub use fit::LearningRateSet;
pub use history::{History, Results};
pub use objective::Objective;
pub(crate) use objective::OutputObjective;
pub use options::{EvaluateOptions, FitOptions, PredictOptions};
pub(crate) use plans::PlanCache;
pub(crate) use profile::place_of;
pub use profile::{LayerTime, OperationTime, Stage, TrainingProfile};
pub(crate) use program::{Mode, OPTIMIZER, StepGraph, parameters};
pub use progress::Progress;
pub use state::TrainingState;
pub(crate) use step::Stepper;

#[cfg(test)]
mod tests;
