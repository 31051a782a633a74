//! Layers by the name of their type.

use std::sync::OnceLock;

use super::Layer;
use super::catalogue::BUILTIN;
use crate::registry::Registry;
use crate::{Arguments, Error, Result};

pub(super) fn make_boxed<L: Layer>(arguments: &mut Arguments) -> Result<Box<dyn Layer>> {
    Ok(Box::new(L::from_config(arguments)?))
}

fn registry() -> &'static Registry<Box<dyn Layer>> {
    static REGISTRY: OnceLock<Registry<Box<dyn Layer>>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let builtin = BUILTIN.iter().map(|known| (known.name, known.make));
        Registry::new("layer", "keras.layers", builtin)
    })
}

/// Makes a layer type of your own known, so that files and recipes can name it. The same name may be given again.
///
/// # Errors
/// The name is one of Danlu's own layers.
pub fn register_layer<L: Layer>(class_name: &str) -> Result<()> {
    registry().register("register_layer", class_name, make_boxed::<L>)
}

/// The names of all layer types that files and recipes can name.
pub fn layer_names() -> Vec<String> {
    registry().names()
}

/// Whether a type is one of Danlu's own.
pub(crate) fn is_builtin(class_name: &str) -> bool {
    registry().is_builtin(class_name)
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
    match registry().get(&name, |_, _| false) {
        Some(make) => make(arguments),
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
