//! Layers by the name of their type.

use std::collections::BTreeMap;
use std::sync::{OnceLock, PoisonError, RwLock};

use super::{
    ActivationLayer, ActivityRegularization, AlphaDropout, AveragePooling1D, AveragePooling2D,
    AveragePooling3D, BatchNormalization, Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose, Conv3D,
    Cropping1D, Cropping2D, Cropping3D, Dense, DepthwiseConv1D, DepthwiseConv2D, Dropout, ELU,
    Embedding, Flatten, GaussianDropout, GaussianNoise, GlobalAveragePooling1D,
    GlobalAveragePooling2D, GlobalAveragePooling3D, GlobalMaxPooling1D, GlobalMaxPooling2D,
    GlobalMaxPooling3D, GroupNormalization, Identity, Input, Layer, LayerNormalization, LeakyReLU,
    MaxPooling1D, MaxPooling2D, MaxPooling3D, Normalization, PReLU, Permute, RMSNormalization,
    ReLU, RepeatVector, Rescaling, Reshape, SeparableConv1D, SeparableConv2D, Softmax,
    SpatialDropout1D, SpatialDropout2D, SpatialDropout3D, UnitNormalization, UpSampling1D,
    UpSampling2D, UpSampling3D, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D,
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
        let builtin: &[(&str, Make)] = &[
            ("Activation", make_boxed::<ActivationLayer>),
            (
                "ActivityRegularization",
                make_boxed::<ActivityRegularization>,
            ),
            ("AlphaDropout", make_boxed::<AlphaDropout>),
            ("AveragePooling1D", make_boxed::<AveragePooling1D>),
            ("AveragePooling2D", make_boxed::<AveragePooling2D>),
            ("AveragePooling3D", make_boxed::<AveragePooling3D>),
            ("BatchNormalization", make_boxed::<BatchNormalization>),
            ("Conv1D", make_boxed::<Conv1D>),
            ("Conv1DTranspose", make_boxed::<Conv1DTranspose>),
            ("Conv2D", make_boxed::<Conv2D>),
            ("Conv2DTranspose", make_boxed::<Conv2DTranspose>),
            ("Conv3D", make_boxed::<Conv3D>),
            ("Cropping1D", make_boxed::<Cropping1D>),
            ("Cropping2D", make_boxed::<Cropping2D>),
            ("Cropping3D", make_boxed::<Cropping3D>),
            ("Dense", make_boxed::<Dense>),
            ("DepthwiseConv1D", make_boxed::<DepthwiseConv1D>),
            ("DepthwiseConv2D", make_boxed::<DepthwiseConv2D>),
            ("Dropout", make_boxed::<Dropout>),
            ("ELU", make_boxed::<ELU>),
            ("Embedding", make_boxed::<Embedding>),
            ("Flatten", make_boxed::<Flatten>),
            ("GaussianDropout", make_boxed::<GaussianDropout>),
            ("GaussianNoise", make_boxed::<GaussianNoise>),
            (
                "GlobalAveragePooling1D",
                make_boxed::<GlobalAveragePooling1D>,
            ),
            (
                "GlobalAveragePooling2D",
                make_boxed::<GlobalAveragePooling2D>,
            ),
            (
                "GlobalAveragePooling3D",
                make_boxed::<GlobalAveragePooling3D>,
            ),
            ("GlobalMaxPooling1D", make_boxed::<GlobalMaxPooling1D>),
            ("GlobalMaxPooling2D", make_boxed::<GlobalMaxPooling2D>),
            ("GlobalMaxPooling3D", make_boxed::<GlobalMaxPooling3D>),
            ("GroupNormalization", make_boxed::<GroupNormalization>),
            ("Identity", make_boxed::<Identity>),
            ("InputLayer", make_boxed::<Input>),
            ("LayerNormalization", make_boxed::<LayerNormalization>),
            ("LeakyReLU", make_boxed::<LeakyReLU>),
            ("MaxPooling1D", make_boxed::<MaxPooling1D>),
            ("MaxPooling2D", make_boxed::<MaxPooling2D>),
            ("MaxPooling3D", make_boxed::<MaxPooling3D>),
            ("Normalization", make_boxed::<Normalization>),
            ("PReLU", make_boxed::<PReLU>),
            ("Permute", make_boxed::<Permute>),
            ("RMSNormalization", make_boxed::<RMSNormalization>),
            ("ReLU", make_boxed::<ReLU>),
            ("RepeatVector", make_boxed::<RepeatVector>),
            ("Rescaling", make_boxed::<Rescaling>),
            ("Reshape", make_boxed::<Reshape>),
            ("SeparableConv1D", make_boxed::<SeparableConv1D>),
            ("SeparableConv2D", make_boxed::<SeparableConv2D>),
            ("Softmax", make_boxed::<Softmax>),
            ("SpatialDropout1D", make_boxed::<SpatialDropout1D>),
            ("SpatialDropout2D", make_boxed::<SpatialDropout2D>),
            ("SpatialDropout3D", make_boxed::<SpatialDropout3D>),
            ("UnitNormalization", make_boxed::<UnitNormalization>),
            ("UpSampling1D", make_boxed::<UpSampling1D>),
            ("UpSampling2D", make_boxed::<UpSampling2D>),
            ("UpSampling3D", make_boxed::<UpSampling3D>),
            ("ZeroPadding1D", make_boxed::<ZeroPadding1D>),
            ("ZeroPadding2D", make_boxed::<ZeroPadding2D>),
            ("ZeroPadding3D", make_boxed::<ZeroPadding3D>),
        ];
        let entries = builtin.iter().map(|&(name, make)| {
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

/// The name of a type of which Keras has a second: `MaxPool2D` is `MaxPooling2D`.
fn full_name(class_name: &str) -> String {
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
