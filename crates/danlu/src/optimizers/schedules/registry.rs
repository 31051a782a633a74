//! Schedules by the name of their class.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::{
    CosineDecay, CosineDecayRestarts, ExponentialDecay, InverseTimeDecay, OneCycle,
    PiecewiseConstantDecay, PolynomialDecay, Schedule, StepDecay, Warmup,
};
use crate::{Arguments, Error, Result};

type Make = fn(&mut Arguments) -> Result<Arc<dyn Schedule>>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Keras,
    Danlu,
    User,
}

#[derive(Clone, Copy)]
struct Entry {
    make: Make,
    origin: Origin,
}

fn make_shared<S: Schedule>(arguments: &mut Arguments) -> Result<Arc<dyn Schedule>> {
    Ok(Arc::new(S::from_config(arguments)?))
}

fn registry() -> &'static RwLock<BTreeMap<String, Entry>> {
    static REGISTRY: OnceLock<RwLock<BTreeMap<String, Entry>>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let builtin: [(&str, Make, Origin); 9] = [
            ("CosineDecay", make_shared::<CosineDecay>, Origin::Keras),
            (
                "CosineDecayRestarts",
                make_shared::<CosineDecayRestarts>,
                Origin::Keras,
            ),
            (
                "ExponentialDecay",
                make_shared::<ExponentialDecay>,
                Origin::Keras,
            ),
            (
                "InverseTimeDecay",
                make_shared::<InverseTimeDecay>,
                Origin::Keras,
            ),
            ("OneCycle", make_shared::<OneCycle>, Origin::Danlu),
            (
                "PiecewiseConstantDecay",
                make_shared::<PiecewiseConstantDecay>,
                Origin::Keras,
            ),
            (
                "PolynomialDecay",
                make_shared::<PolynomialDecay>,
                Origin::Keras,
            ),
            ("StepDecay", make_shared::<StepDecay>, Origin::Danlu),
            ("Warmup", make_shared::<Warmup>, Origin::Danlu),
        ];
        let entries = builtin
            .into_iter()
            .map(|(name, make, origin)| (name.to_owned(), Entry { make, origin }));
        RwLock::new(entries.collect())
    })
}

/// Makes a schedule of your own known, so that files and recipes can name it. The same name may be given again.
///
/// # Errors
/// The name is one of Danlu's own schedules.
pub fn register_schedule<S: Schedule>(class_name: &str) -> Result<()> {
    let mut entries = registry().write().unwrap_or_else(PoisonError::into_inner);
    let taken = |entry: &Entry| entry.origin != Origin::User;
    if class_name.is_empty() || entries.get(class_name).is_some_and(taken) {
        return Err(Error::mismatch(
            "register_schedule",
            "a name that none of Danlu's own schedules has",
            format!("`{class_name}`"),
            "choose another name",
        ));
    }
    let entry = Entry {
        make: make_shared::<S>,
        origin: Origin::User,
    };
    entries.insert(class_name.to_owned(), entry);
    Ok(())
}

/// The names of all schedules that files and recipes can name.
pub fn names() -> Vec<String> {
    let entries = registry().read().unwrap_or_else(PoisonError::into_inner);
    entries.keys().cloned().collect()
}

/// Whether a class is one of Keras'.
pub(super) fn is_of_keras(class_name: &str) -> bool {
    let entries = registry().read().unwrap_or_else(PoisonError::into_inner);
    let entry = entries.get(class_name);
    entry.is_some_and(|entry| entry.origin == Origin::Keras)
}

/// What makes the schedule of this class; a package's name before it (`danlu>Mine`) is passed over.
pub(super) fn find(name: &str) -> Option<Make> {
    let name = name.rsplit_once('>').map_or(name, |(_, class)| class);
    let entries = registry().read().unwrap_or_else(PoisonError::into_inner);
    entries.get(name).map(|entry| entry.make)
}
