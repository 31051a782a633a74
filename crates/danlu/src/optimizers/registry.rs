//! Optimizers by the name of their class.

use std::sync::OnceLock;

use super::{
    Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Ftrl, LBFGS, Lamb, Lion, Muon, Nadam,
    Optimizer, RMSprop, SGD, ScheduleFreeAdamW, SparseAdam,
};
use crate::registry::{Make, Registry, without_package};
use crate::{Arguments, Result};

fn make_boxed<O: Optimizer>(arguments: &mut Arguments) -> Result<Box<dyn Optimizer>> {
    Ok(Box::new(O::from_config(arguments)?))
}

fn registry() -> &'static Registry<Box<dyn Optimizer>> {
    static REGISTRY: OnceLock<Registry<Box<dyn Optimizer>>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let builtin: [(&str, Make<Box<dyn Optimizer>>); 16] = [
            ("Adadelta", make_boxed::<Adadelta>),
            ("Adafactor", make_boxed::<Adafactor>),
            ("Adagrad", make_boxed::<Adagrad>),
            ("Adam", make_boxed::<Adam>),
            ("AdamW", make_boxed::<AdamW>),
            ("Adamax", make_boxed::<Adamax>),
            ("Ftrl", make_boxed::<Ftrl>),
            ("LBFGS", make_boxed::<LBFGS>),
            ("Lamb", make_boxed::<Lamb>),
            ("Lion", make_boxed::<Lion>),
            ("Muon", make_boxed::<Muon>),
            ("Nadam", make_boxed::<Nadam>),
            ("RMSprop", make_boxed::<RMSprop>),
            ("SGD", make_boxed::<SGD>),
            ("ScheduleFreeAdamW", make_boxed::<ScheduleFreeAdamW>),
            ("SparseAdam", make_boxed::<SparseAdam>),
        ];
        Registry::new("optimizer", "keras.optimizers", builtin)
    })
}

/// Makes an optimizer of your own known, so that files and recipes can name it. The same name may be given again.
///
/// # Errors
/// The name is one of Danlu's own optimizers, in whatever case.
pub fn register_optimizer<O: Optimizer>(class_name: &str) -> Result<()> {
    let all = registry();
    let taken = |own: &String| own.eq_ignore_ascii_case(class_name) && all.is_builtin(own);
    if class_name.is_empty() || all.names().iter().any(taken) {
        return Err(all.taken("register_optimizer", class_name));
    }
    all.register("register_optimizer", class_name, make_boxed::<O>)
}

/// The names of all optimizers that files and recipes can name; small letters will do, too.
pub fn names() -> Vec<String> {
    registry().names()
}

/// Whether a class is one of Danlu's own.
pub(super) fn is_builtin(class_name: &str) -> bool {
    registry().is_builtin(class_name)
}

/// What makes the optimizer of this class, in whatever case (`sparse_adam`, too); a package's name before it (`danlu>Mine`) is passed over.
pub(super) fn find(name: &str) -> Option<Make<Box<dyn Optimizer>>> {
    registry().get(without_package(name), |own, name| {
        own.eq_ignore_ascii_case(&name.replace('_', ""))
    })
}
