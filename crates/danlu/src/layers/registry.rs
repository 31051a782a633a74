//! Layers by the name of their type.

use std::collections::BTreeMap;
use std::sync::{OnceLock, PoisonError, RwLock};

use super::{
    ActivationLayer, AveragePooling2D, Conv2D, Dense, Dropout, Embedding, Flatten, Input, Layer,
    MaxPooling2D, Rescaling, Reshape,
};
use crate::{Arguments, Error, Result};

type Make = fn(&mut Arguments) -> Result<Box<dyn Layer>>;

#[derive(Clone, Copy)]
struct Entry {
    make: Make,
    builtin: bool,
}

fn make_boxed<L: Layer>(arguments: &mut Arguments) -> Result<Box<dyn Layer>> {
    Ok(Box::new(L::from_config(arguments)?))
}

fn registry() -> &'static RwLock<BTreeMap<String, Entry>> {
    static REGISTRY: OnceLock<RwLock<BTreeMap<String, Entry>>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let builtin: [(&str, Make); 11] = [
            ("InputLayer", make_boxed::<Input>),
            ("Dense", make_boxed::<Dense>),
            ("Conv2D", make_boxed::<Conv2D>),
            ("MaxPooling2D", make_boxed::<MaxPooling2D>),
            ("AveragePooling2D", make_boxed::<AveragePooling2D>),
            ("Embedding", make_boxed::<Embedding>),
            ("Flatten", make_boxed::<Flatten>),
            ("Reshape", make_boxed::<Reshape>),
            ("Activation", make_boxed::<ActivationLayer>),
            ("Dropout", make_boxed::<Dropout>),
            ("Rescaling", make_boxed::<Rescaling>),
        ];
        let entries = builtin.into_iter().map(|(name, make)| {
            let builtin = true;
            (name.to_owned(), Entry { make, builtin })
        });
        RwLock::new(entries.collect())
    })
}

/// Makes a layer type of your own known, so that files and recipes can name it. The same name may be given again.
///
/// # Errors
/// The name is one of Danlu's own layers.
pub fn register_layer<L: Layer>(class_name: &str) -> Result<()> {
    let mut entries = registry().write().unwrap_or_else(PoisonError::into_inner);
    if entries.get(class_name).is_some_and(|entry| entry.builtin) {
        return Err(Error::mismatch(
            "register_layer",
            "a name that none of Danlu's own layers has",
            format!("`{class_name}`"),
            "choose another name",
        ));
    }
    let entry = Entry {
        make: make_boxed::<L>,
        builtin: false,
    };
    entries.insert(class_name.to_owned(), entry);
    Ok(())
}

/// The names of all layer types that files and recipes can name.
pub fn layer_names() -> Vec<String> {
    let entries = registry().read().unwrap_or_else(PoisonError::into_inner);
    entries.keys().cloned().collect()
}

/// Whether a type is one of Danlu's own.
pub(crate) fn is_builtin(class_name: &str) -> bool {
    let entries = registry().read().unwrap_or_else(PoisonError::into_inner);
    entries.get(class_name).is_some_and(|entry| entry.builtin)
}

/// A layer of this type; `Input` names the input layer as well.
pub(crate) fn make(class_name: &str, arguments: &mut Arguments) -> Result<Box<dyn Layer>> {
    let name = if class_name == "Input" {
        "InputLayer"
    } else {
        class_name
    };
    let entry = {
        let entries = registry().read().unwrap_or_else(PoisonError::into_inner);
        entries.get(name).copied()
    };
    match entry {
        Some(entry) => (entry.make)(arguments),
        None => {
            let names = layer_names();
            let names = names.iter().map(String::as_str);
            Err(Error::unknown("layer type", class_name, names))
        }
    }
}
