//! Danlu's own layer types: what each is for, and the smallest way to write it. Arguments and their defaults come from the layers themselves.

use serde_json::Value;

use super::registry::{full_name, make_boxed};
use super::{Layer, LayerSpec, layer_names};
use crate::registry::Make;
use crate::{Config, Error, Result};

/// A layer type as a person looks it up.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerDescription {
    /// Its name in files and recipes, such as `Dense`.
    pub class_name: String,
    /// What it does, in one line; empty for a layer type of one's own.
    pub summary: &'static str,
    /// The arguments that must be given, with values to begin with.
    pub required: Config,
    /// The other arguments with their defaults, by Keras' names.
    pub defaults: Config,
}

/// One of Danlu's own layer types.
pub(super) struct Builtin {
    pub name: &'static str,
    pub make: Make<Box<dyn Layer>>,
    /// What it does, in one line.
    summary: &'static str,
    /// The arguments of an example, as JSON: all that must be given.
    example: &'static str,
    /// Defaults that files do not hold, as JSON.
    unwritten: &'static str,
}

impl Builtin {
    const fn unwritten(mut self, defaults: &'static str) -> Builtin {
        self.unwritten = defaults;
        self
    }
}

const fn builtin<L: Layer>(
    name: &'static str,
    summary: &'static str,
    example: &'static str,
) -> Builtin {
    Builtin {
        name,
        make: make_boxed::<L>,
        summary,
        example,
        unwritten: "{}",
    }
}

/// Danlu's own layer types: a new one is a line here.
#[rustfmt::skip]
pub(super) const BUILTIN: &[Builtin] = &[
    builtin::<super::ActivationLayer>("Activation", "A function of each element, by name", r#"{"activation": "relu"}"#),
    builtin::<super::ActivityRegularization>("ActivityRegularization", "Passes its input on and adds its size to the loss", "{}"),
    builtin::<super::Add>("Add", "The sum of several values", "{}"),
    builtin::<super::AlphaDropout>("AlphaDropout", "Dropout that keeps mean and variance, for selu", r#"{"rate": 0.1}"#),
    builtin::<super::Average>("Average", "The mean of several values", "{}"),
    builtin::<super::AveragePooling1D>("AveragePooling1D", "The mean of each window along a sequence", "{}"),
    builtin::<super::AveragePooling2D>("AveragePooling2D", "The mean of each window of a picture", "{}"),
    builtin::<super::AveragePooling3D>("AveragePooling3D", "The mean of each window of a volume", "{}"),
    builtin::<super::BatchNormalization>("BatchNormalization", "Brings each channel to mean 0 and variance 1 over the batch", "{}")
        .unwritten(r#"{"renorm": false, "renorm_clipping": null, "renorm_momentum": 0.99}"#),
    builtin::<super::Concatenate>("Concatenate", "Several values one after the other along an axis", "{}"),
    builtin::<super::Conv1D>("Conv1D", "Filters over windows of a sequence", r#"{"filters": 32, "kernel_size": 3}"#),
    builtin::<super::Conv1DTranspose>("Conv1DTranspose", "The way back of Conv1D: a longer sequence", r#"{"filters": 32, "kernel_size": 3}"#),
    builtin::<super::Conv2D>("Conv2D", "Filters over windows of a picture", r#"{"filters": 32, "kernel_size": 3}"#),
    builtin::<super::Conv2DTranspose>("Conv2DTranspose", "The way back of Conv2D: a larger picture", r#"{"filters": 32, "kernel_size": 3}"#),
    builtin::<super::Conv3D>("Conv3D", "Filters over windows of a volume", r#"{"filters": 32, "kernel_size": 3}"#),
    builtin::<super::Cropping1D>("Cropping1D", "Cuts steps off both ends of a sequence", "{}"),
    builtin::<super::Cropping2D>("Cropping2D", "Cuts rows and columns off a picture", r#"{"cropping": 1}"#),
    builtin::<super::Cropping3D>("Cropping3D", "Cuts planes off a volume", r#"{"cropping": 1}"#),
    builtin::<super::Dense>("Dense", "Every output from every input: activation(x kernel + bias)", r#"{"units": 64}"#),
    builtin::<super::DepthwiseConv1D>("DepthwiseConv1D", "Filters over windows of each channel of a sequence on its own", r#"{"kernel_size": 3}"#),
    builtin::<super::DepthwiseConv2D>("DepthwiseConv2D", "Filters over windows of each channel of a picture on its own", r#"{"kernel_size": 3}"#),
    builtin::<super::Dot>("Dot", "Products of two values, summed along an axis of each", r#"{"axes": 1}"#),
    builtin::<super::Dropout>("Dropout", "In training, sets a share of the elements to 0", r#"{"rate": 0.5}"#),
    builtin::<super::ELU>("ELU", "x where positive, elsewhere alpha (exp(x) - 1)", "{}"),
    builtin::<super::Embedding>("Embedding", "A row of a table for each index", r#"{"input_dim": 1000, "output_dim": 16}"#),
    builtin::<super::Flatten>("Flatten", "One axis for each example", "{}"),
    builtin::<super::GaussianDropout>("GaussianDropout", "In training, multiplies by normal numbers around 1", r#"{"rate": 0.5}"#),
    builtin::<super::GaussianNoise>("GaussianNoise", "In training, adds normal numbers", r#"{"stddev": 0.1}"#),
    builtin::<super::GlobalAveragePooling1D>("GlobalAveragePooling1D", "The mean of each channel over a sequence", "{}"),
    builtin::<super::GlobalAveragePooling2D>("GlobalAveragePooling2D", "The mean of each channel over a picture", "{}"),
    builtin::<super::GlobalAveragePooling3D>("GlobalAveragePooling3D", "The mean of each channel over a volume", "{}"),
    builtin::<super::GlobalMaxPooling1D>("GlobalMaxPooling1D", "The largest of each channel over a sequence", "{}"),
    builtin::<super::GlobalMaxPooling2D>("GlobalMaxPooling2D", "The largest of each channel over a picture", "{}"),
    builtin::<super::GlobalMaxPooling3D>("GlobalMaxPooling3D", "The largest of each channel over a volume", "{}"),
    builtin::<super::GroupNormalization>("GroupNormalization", "Brings groups of channels of each example to mean 0 and variance 1", r#"{"groups": 1}"#),
    builtin::<super::Identity>("Identity", "Passes its input on", "{}"),
    builtin::<super::Input>("InputLayer", "Says the shape of one example", r#"{"shape": [28, 28, 1]}"#),
    builtin::<super::LayerNormalization>("LayerNormalization", "Brings each example to mean 0 and variance 1 over its last axes", "{}"),
    builtin::<super::LeakyReLU>("LeakyReLU", "x where positive, elsewhere a small multiple of it", "{}"),
    builtin::<super::MaxPooling1D>("MaxPooling1D", "The largest of each window along a sequence", "{}"),
    builtin::<super::MaxPooling2D>("MaxPooling2D", "The largest of each window of a picture", "{}"),
    builtin::<super::MaxPooling3D>("MaxPooling3D", "The largest of each window of a volume", "{}"),
    builtin::<super::Maximum>("Maximum", "The largest of several values, element by element", "{}"),
    builtin::<super::Minimum>("Minimum", "The smallest of several values, element by element", "{}"),
    builtin::<super::Multiply>("Multiply", "The product of several values, element by element", "{}"),
    builtin::<super::Normalization>("Normalization", "Subtracts the data's mean and divides by its deviation", "{}"),
    builtin::<super::PReLU>("PReLU", "x where positive, elsewhere a multiple of it that is learned", "{}"),
    builtin::<super::Permute>("Permute", "Another order of an example's axes", r#"{"dims": [2, 1]}"#),
    builtin::<super::RMSNormalization>("RMSNormalization", "Divides each example by the root of its mean square", "{}"),
    builtin::<super::ReLU>("ReLU", "x where positive, elsewhere 0", "{}"),
    builtin::<super::RepeatVector>("RepeatVector", "The same vector so many times, as a sequence", r#"{"n": 3}"#),
    builtin::<super::Rescaling>("Rescaling", "Multiplies by a number and adds one", r#"{"scale": 0.00392156862745098}"#),
    builtin::<super::Reshape>("Reshape", "The same elements under another shape", r#"{"target_shape": [-1]}"#),
    builtin::<super::SeparableConv1D>("SeparableConv1D", "A depthwise convolution of a sequence, then a pointwise one", r#"{"filters": 32, "kernel_size": 3}"#),
    builtin::<super::SeparableConv2D>("SeparableConv2D", "A depthwise convolution of a picture, then a pointwise one", r#"{"filters": 32, "kernel_size": 3}"#),
    builtin::<super::Softmax>("Softmax", "Positive numbers that sum to 1", "{}"),
    builtin::<super::SpatialDropout1D>("SpatialDropout1D", "Dropout of whole channels of a sequence", r#"{"rate": 0.5}"#),
    builtin::<super::SpatialDropout2D>("SpatialDropout2D", "Dropout of whole channels of a picture", r#"{"rate": 0.5}"#),
    builtin::<super::SpatialDropout3D>("SpatialDropout3D", "Dropout of whole channels of a volume", r#"{"rate": 0.5}"#),
    builtin::<super::Subtract>("Subtract", "The first of two values less the second", "{}"),
    builtin::<super::UnitNormalization>("UnitNormalization", "Brings each example to length 1", "{}"),
    builtin::<super::UpSampling1D>("UpSampling1D", "Repeats each step of a sequence", "{}"),
    builtin::<super::UpSampling2D>("UpSampling2D", "Repeats the rows and columns of a picture", "{}"),
    builtin::<super::UpSampling3D>("UpSampling3D", "Repeats the planes of a volume", "{}"),
    builtin::<super::ZeroPadding1D>("ZeroPadding1D", "Zeros around a sequence", "{}"),
    builtin::<super::ZeroPadding2D>("ZeroPadding2D", "Zeros around a picture", "{}"),
    builtin::<super::ZeroPadding3D>("ZeroPadding3D", "Zeros around a volume", "{}"),
];

/// What a layer type is for and which arguments it takes.
///
/// # Errors
/// There is no such type ("did you mean"); or it is one of your own, which cannot be made without arguments.
pub fn describe_layer(class_name: &str) -> Result<LayerDescription> {
    let names = layer_names();
    let full = full_name(class_name);
    let name = full.as_str();
    if !names.iter().any(|known| known == name) {
        let names = names.iter().map(String::as_str);
        return Err(Error::unknown("layer type", class_name, names));
    }
    let known = BUILTIN.iter().find(|known| known.name == name);
    let (summary, example) = known.map_or(("", "{}"), |known| (known.summary, known.example));
    let object = |text: &str| match serde_json::from_str(text) {
        Ok(Value::Object(object)) => object,
        _ => Config::new(),
    };
    let required = object(example);
    let spec = LayerSpec::from_arguments(name, required.clone())?;
    let mut defaults = spec.layer.config();
    defaults.extend(object(known.map_or("{}", |known| known.unwritten)));
    for argument in required.keys() {
        defaults.shift_remove(argument);
    }
    Ok(LayerDescription {
        class_name: name.to_owned(),
        summary,
        required,
        defaults,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::is_builtin;

    #[test]
    fn every_layer_of_our_own_is_described_and_can_be_made() {
        for name in layer_names().iter().filter(|name| is_builtin(name)) {
            let described = describe_layer(name).unwrap();
            assert!(!described.summary.is_empty(), "{name}");
            for argument in described.required.keys() {
                let mut fewer = described.required.clone();
                fewer.shift_remove(argument);
                let refused = LayerSpec::from_arguments(name, fewer).is_err();
                let exceptions = ["cropping", "groups", "shape"];
                assert!(
                    refused || exceptions.contains(&argument.as_str()),
                    "{name} needs no {argument}"
                );
            }
        }
    }

    #[test]
    fn an_unknown_layer_is_an_error_with_a_suggestion() {
        let error = describe_layer("Desne").unwrap_err().to_string();
        assert!(error.contains("did you mean `Dense`"), "{error}");
        assert_eq!(describe_layer("Input").unwrap().class_name, "InputLayer");
    }
}
