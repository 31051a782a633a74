//! Layers by the name of their type.

use std::collections::BTreeMap;
use std::sync::{OnceLock, PoisonError, RwLock};

use super::Layer;
use super::catalogue::BUILTIN;
use crate::{Arguments, Error, Result};

pub(super) type Make = fn(&mut Arguments) -> Result<Box<dyn Layer>>;

#[derive(Clone, Copy)]
struct Entry {
    make: Make,
    builtin: bool,
}

pub(super) fn make_boxed<L: Layer>(arguments: &mut Arguments) -> Result<Box<dyn Layer>> {
    Ok(Box::new(L::from_config(arguments)?))
}

fn registry() -> &'static RwLock<BTreeMap<String, Entry>> {
    static REGISTRY: OnceLock<RwLock<BTreeMap<String, Entry>>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let entries = BUILTIN.iter().map(|known| {
            let entry = Entry {
                make: known.make,
                builtin: true,
            };
            (known.name.to_owned(), entry)
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

/// The name of a type of which Keras has a second: `MaxPool2D` is `MaxPooling2D`.
pub(super) fn full_name(class_name: &str) -> String {
    if class_name == "Input" {
        return "InputLayer".to_owned();
    }
    let short = [
        ("AvgPool", "AveragePooling"),
        ("Convolution", "Conv"),
        ("GlobalAvgPool", "GlobalAveragePooling"),
        ("GlobalMaxPool", "GlobalMaxPooling"),
        ("MaxPool", "MaxPooling"),
        ("SeparableConvolution", "SeparableConv"),
    ];
    let full = short.iter().find_map(|(short, full)| {
        let axes = class_name.strip_prefix(short)?;
        let axes = axes
            .starts_with(|first: char| first.is_ascii_digit())
            .then_some(axes);
        axes.map(|axes| format!("{full}{axes}"))
    });
    full.unwrap_or_else(|| class_name.to_owned())
}

/// A layer of this type, by any of its names.
pub(crate) fn make(class_name: &str, arguments: &mut Arguments) -> Result<Box<dyn Layer>> {
    let name = full_name(class_name);
    let entry = {
        let entries = registry().read().unwrap_or_else(PoisonError::into_inner);
        entries.get(&name).copied()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_names_of_keras_are_known() {
        for (short, full) in [
            ("Input", "InputLayer"),
            ("MaxPool2D", "MaxPooling2D"),
            ("GlobalAvgPool1D", "GlobalAveragePooling1D"),
            ("Convolution2DTranspose", "Conv2DTranspose"),
            ("MaxPooling3D", "MaxPooling3D"),
        ] {
            assert_eq!(full_name(short), full);
        }
        for name in layer_names() {
            assert_eq!(full_name(&name), name);
        }
    }
}
