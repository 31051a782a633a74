//! Layers by the name of their type.

use std::collections::BTreeMap;
use std::sync::{OnceLock, PoisonError, RwLock};

use super::{
    ActivationLayer, ActivityRegularization, AlphaDropout, AveragePooling1D, AveragePooling2D,
    AveragePooling3D, BatchNormalization, Conv2D, Cropping1D, Cropping2D, Cropping3D, Dense,
    Dropout, ELU, Flatten, GaussianDropout, GaussianNoise, GlobalAveragePooling1D,
    GlobalAveragePooling2D, GlobalAveragePooling3D, GlobalMaxPooling1D, GlobalMaxPooling2D,
    GlobalMaxPooling3D, GroupNormalization, Identity, Input, Layer, LayerNormalization, LeakyReLU,
    MaxPooling1D, MaxPooling2D, MaxPooling3D, Normalization, PReLU, Permute, RMSNormalization,
    ReLU, RepeatVector, Rescaling, Reshape, Softmax, SpatialDropout1D, SpatialDropout2D,
    SpatialDropout3D, UnitNormalization, UpSampling1D, UpSampling2D, UpSampling3D, ZeroPadding1D,
    ZeroPadding2D, ZeroPadding3D,
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
            ("Conv2D", make_boxed::<Conv2D>),
            ("Cropping1D", make_boxed::<Cropping1D>),
            ("Cropping2D", make_boxed::<Cropping2D>),
            ("Cropping3D", make_boxed::<Cropping3D>),
            ("Dense", make_boxed::<Dense>),
            ("Dropout", make_boxed::<Dropout>),
            ("ELU", make_boxed::<ELU>),
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
