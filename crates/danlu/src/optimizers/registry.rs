//! Optimizers by the name of their class.

use std::collections::BTreeMap;
use std::sync::{OnceLock, PoisonError, RwLock};

use super::{
    Adadelta, Adafactor, Adagrad, Adam, AdamW, Adamax, Ftrl, Lamb, Lion, Muon, Nadam, Optimizer,
    RMSprop, SGD, ScheduleFreeAdamW, SparseAdam,
};
use crate::{Arguments, Error, Result};

type Make = fn(&mut Arguments) -> Result<Box<dyn Optimizer>>;

#[derive(Clone, Copy)]
struct Entry {
    make: Make,
    builtin: bool,
}

fn make_boxed<O: Optimizer>(arguments: &mut Arguments) -> Result<Box<dyn Optimizer>> {
    Ok(Box::new(O::from_config(arguments)?))
}

fn registry() -> &'static RwLock<BTreeMap<String, Entry>> {
    static REGISTRY: OnceLock<RwLock<BTreeMap<String, Entry>>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let builtin: [(&str, Make); 15] = [
            ("Adadelta", make_boxed::<Adadelta>),
            ("Adafactor", make_boxed::<Adafactor>),
            ("Adagrad", make_boxed::<Adagrad>),
            ("Adam", make_boxed::<Adam>),
            ("AdamW", make_boxed::<AdamW>),
            ("Adamax", make_boxed::<Adamax>),
            ("Ftrl", make_boxed::<Ftrl>),
            ("Lamb", make_boxed::<Lamb>),
            ("Lion", make_boxed::<Lion>),
            ("Muon", make_boxed::<Muon>),
            ("Nadam", make_boxed::<Nadam>),
            ("RMSprop", make_boxed::<RMSprop>),
            ("SGD", make_boxed::<SGD>),
            ("ScheduleFreeAdamW", make_boxed::<ScheduleFreeAdamW>),
            ("SparseAdam", make_boxed::<SparseAdam>),
        ];
        let entries = builtin.into_iter().map(|(name, make)| {
            let builtin = true;
            (name.to_owned(), Entry { make, builtin })
        });
        RwLock::new(entries.collect())
    })
}

/// Makes an optimizer of your own known, so that files and recipes can name it. The same name may be given again.
///
/// # Errors
/// The name is one of Danlu's own optimizers, in whatever case.
pub fn register_optimizer<O: Optimizer>(class_name: &str) -> Result<()> {
    let mut entries = registry().write().unwrap_or_else(PoisonError::into_inner);
    let taken =
        |(name, entry): (&String, &Entry)| entry.builtin && name.eq_ignore_ascii_case(class_name);
    if class_name.is_empty() || entries.iter().any(taken) {
        return Err(Error::mismatch(
            "register_optimizer",
            "a name that none of Danlu's own optimizers has",
            format!("`{class_name}`"),
            "choose another name",
        ));
    }
    let entry = Entry {
        make: make_boxed::<O>,
        builtin: false,
    };
    entries.insert(class_name.to_owned(), entry);
    Ok(())
}

/// The names of all optimizers that files and recipes can name; small letters will do, too.
pub fn names() -> Vec<String> {
    let entries = registry().read().unwrap_or_else(PoisonError::into_inner);
    entries.keys().cloned().collect()
}

/// Whether a class is one of Danlu's own.
pub(super) fn is_builtin(class_name: &str) -> bool {
    let entries = registry().read().unwrap_or_else(PoisonError::into_inner);
    entries.get(class_name).is_some_and(|entry| entry.builtin)
}

/// What makes the optimizer of this class, in whatever case (`sparse_adam`, too); a package's name before it (`danlu>Mine`) is passed over.
pub(super) fn find(name: &str) -> Option<Make> {
    let name = name.rsplit_once('>').map_or(name, |(_, class)| class);
    let entries = registry().read().unwrap_or_else(PoisonError::into_inner);
    let found = entries.get(name).or_else(|| {
        let plain = name.replace('_', "");
        let mut all = entries.iter();
        all.find_map(|(own, entry)| own.eq_ignore_ascii_case(&plain).then_some(entry))
    });
    found.map(|entry| entry.make)
}
