//! Schedules by the name of their class.

use std::sync::{Arc, OnceLock};

use super::{
    CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, OneCycle,
    PiecewiseConstantDecay, PolynomialDecay, Schedule, StepDecay, Warmup,
};
use crate::registry::{Make, Registry, without_package};
use crate::{Arguments, Result};

/// Schedules of Danlu's own that Keras does not have.
const NOT_OF_KERAS: [&str; 3] = ["OneCycle", "StepDecay", "Warmup"];

fn make_shared<S: Schedule>(arguments: &mut Arguments) -> Result<Arc<dyn Schedule>> {
    Ok(Arc::new(S::from_config(arguments)?))
}

fn registry() -> &'static Registry<Arc<dyn Schedule>> {
    static REGISTRY: OnceLock<Registry<Arc<dyn Schedule>>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let builtin: [(&str, Make<Arc<dyn Schedule>>); 9] = [
            ("CosineDecay", make_shared::<CosineDecay>),
            ("CosineDecayRestarts", make_shared::<CosineDecayRestarts>),
            ("ExponentialDecay", make_shared::<ExponentialDecay>),
            ("InverseTimeDecay", make_shared::<InverseTimeDecay>),
            ("OneCycle", make_shared::<OneCycle>),
            (
                "PiecewiseConstantDecay",
                make_shared::<PiecewiseConstantDecay>,
            ),
            ("PolynomialDecay", make_shared::<PolynomialDecay>),
            ("StepDecay", make_shared::<StepDecay>),
            ("Warmup", make_shared::<Warmup>),
        ];
        Registry::new("schedule", "keras.optimizers.schedules", builtin)
    })
}

/// Makes a schedule of your own known, so that files and recipes can name it. The same name may be given again.
///
/// # Errors
/// The name is one of Danlu's own schedules.
pub fn register_schedule<S: Schedule>(class_name: &str) -> Result<()> {
    if class_name.is_empty() {
        return Err(registry().taken("register_schedule", class_name));
    }
    registry().register("register_schedule", class_name, make_shared::<S>)
}

/// The names of all schedules that files and recipes can name.
pub fn names() -> Vec<String> {
    registry().names()
}

/// Whether a class is one of Keras'.
pub(super) fn is_of_keras(class_name: &str) -> bool {
    registry().is_builtin(class_name) && !NOT_OF_KERAS.contains(&class_name)
}

/// What makes the schedule of this class; a package's name before it (`danlu>Mine`) is passed over.
pub(super) fn find(name: &str) -> Option<Make<Arc<dyn Schedule>>> {
    registry().get(without_package(name), |_, _| false)
}
