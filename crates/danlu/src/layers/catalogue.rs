//! What each of Danlu's own layers is for, and the smallest way to write it; arguments and their defaults come from the layers themselves.

use serde_json::Value;

use super::{LayerSpec, layer_names};
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

/// Class, what it does, and the arguments of an example (JSON): all that must be given.
const LAYERS: &[(&str, &str, &str)] = &[
    (
        "Activation",
        "A function of each element, by name",
        r#"{"activation": "relu"}"#,
    ),
    (
        "ActivityRegularization",
        "Passes its input on and adds its size to the loss",
        "{}",
    ),
    (
        "AlphaDropout",
        "Dropout that keeps mean and variance, for selu",
        r#"{"rate": 0.1}"#,
    ),
    (
        "AveragePooling1D",
        "The mean of each window along a sequence",
        "{}",
    ),
    (
        "AveragePooling2D",
        "The mean of each window of a picture",
        "{}",
    ),
    (
        "AveragePooling3D",
        "The mean of each window of a volume",
        "{}",
    ),
    (
        "BatchNormalization",
        "Brings each channel to mean 0 and variance 1 over the batch",
        "{}",
    ),
    (
        "Conv1D",
        "Filters over windows of a sequence",
        r#"{"filters": 32, "kernel_size": 3}"#,
    ),
    (
        "Conv1DTranspose",
        "The way back of Conv1D: a longer sequence",
        r#"{"filters": 32, "kernel_size": 3}"#,
    ),
    (
        "Conv2D",
        "Filters over windows of a picture",
        r#"{"filters": 32, "kernel_size": 3}"#,
    ),
    (
        "Conv2DTranspose",
        "The way back of Conv2D: a larger picture",
        r#"{"filters": 32, "kernel_size": 3}"#,
    ),
    (
        "Conv3D",
        "Filters over windows of a volume",
        r#"{"filters": 32, "kernel_size": 3}"#,
    ),
    ("Cropping1D", "Cuts steps off both ends of a sequence", "{}"),
    (
        "Cropping2D",
        "Cuts rows and columns off a picture",
        r#"{"cropping": 1}"#,
    ),
    (
        "Cropping3D",
        "Cuts planes off a volume",
        r#"{"cropping": 1}"#,
    ),
    (
        "Dense",
        "Every output from every input: activation(x kernel + bias)",
        r#"{"units": 64}"#,
    ),
    (
        "DepthwiseConv1D",
        "Filters over windows of each channel of a sequence on its own",
        r#"{"kernel_size": 3}"#,
    ),
    (
        "DepthwiseConv2D",
        "Filters over windows of each channel of a picture on its own",
        r#"{"kernel_size": 3}"#,
    ),
    (
        "Dropout",
        "In training, sets a share of the elements to 0",
        r#"{"rate": 0.5}"#,
    ),
    (
        "ELU",
        "x where positive, elsewhere alpha (exp(x) - 1)",
        "{}",
    ),
    (
        "Embedding",
        "A row of a table for each index",
        r#"{"input_dim": 1000, "output_dim": 16}"#,
    ),
    ("Flatten", "One axis for each example", "{}"),
    (
        "GaussianDropout",
        "In training, multiplies by normal numbers around 1",
        r#"{"rate": 0.5}"#,
    ),
    (
        "GaussianNoise",
        "In training, adds normal numbers",
        r#"{"stddev": 0.1}"#,
    ),
    (
        "GlobalAveragePooling1D",
        "The mean of each channel over a sequence",
        "{}",
    ),
    (
        "GlobalAveragePooling2D",
        "The mean of each channel over a picture",
        "{}",
    ),
    (
        "GlobalAveragePooling3D",
        "The mean of each channel over a volume",
        "{}",
    ),
    (
        "GlobalMaxPooling1D",
        "The largest of each channel over a sequence",
        "{}",
    ),
    (
        "GlobalMaxPooling2D",
        "The largest of each channel over a picture",
        "{}",
    ),
    (
        "GlobalMaxPooling3D",
        "The largest of each channel over a volume",
        "{}",
    ),
    (
        "GroupNormalization",
        "Brings groups of channels of each example to mean 0 and variance 1",
        r#"{"groups": 1}"#,
    ),
    ("Identity", "Passes its input on", "{}"),
    (
        "InputLayer",
        "Says the shape of one example",
        r#"{"shape": [28, 28, 1]}"#,
    ),
    (
        "LayerNormalization",
        "Brings each example to mean 0 and variance 1 over its last axes",
        "{}",
    ),
    (
        "LeakyReLU",
        "x where positive, elsewhere a small multiple of it",
        "{}",
    ),
    (
        "MaxPooling1D",
        "The largest of each window along a sequence",
        "{}",
    ),
    (
        "MaxPooling2D",
        "The largest of each window of a picture",
        "{}",
    ),
    (
        "MaxPooling3D",
        "The largest of each window of a volume",
        "{}",
    ),
    (
        "Normalization",
        "Subtracts the data's mean and divides by its deviation",
        "{}",
    ),
    (
        "PReLU",
        "x where positive, elsewhere a multiple of it that is learned",
        "{}",
    ),
    (
        "Permute",
        "Another order of an example's axes",
        r#"{"dims": [2, 1]}"#,
    ),
    (
        "RMSNormalization",
        "Divides each example by the root of its mean square",
        "{}",
    ),
    ("ReLU", "x where positive, elsewhere 0", "{}"),
    (
        "RepeatVector",
        "The same vector so many times, as a sequence",
        r#"{"n": 3}"#,
    ),
    (
        "Rescaling",
        "Multiplies by a number and adds one",
        r#"{"scale": 0.00392156862745098}"#,
    ),
    (
        "Reshape",
        "The same elements under another shape",
        r#"{"target_shape": [-1]}"#,
    ),
    (
        "SeparableConv1D",
        "A depthwise convolution of a sequence, then a pointwise one",
        r#"{"filters": 32, "kernel_size": 3}"#,
    ),
    (
        "SeparableConv2D",
        "A depthwise convolution of a picture, then a pointwise one",
        r#"{"filters": 32, "kernel_size": 3}"#,
    ),
    ("Softmax", "Positive numbers that sum to 1", "{}"),
    (
        "SpatialDropout1D",
        "Dropout of whole channels of a sequence",
        r#"{"rate": 0.5}"#,
    ),
    (
        "SpatialDropout2D",
        "Dropout of whole channels of a picture",
        r#"{"rate": 0.5}"#,
    ),
    (
        "SpatialDropout3D",
        "Dropout of whole channels of a volume",
        r#"{"rate": 0.5}"#,
    ),
    ("UnitNormalization", "Brings each example to length 1", "{}"),
    ("UpSampling1D", "Repeats each step of a sequence", "{}"),
    (
        "UpSampling2D",
        "Repeats the rows and columns of a picture",
        "{}",
    ),
    ("UpSampling3D", "Repeats the planes of a volume", "{}"),
    ("ZeroPadding1D", "Zeros around a sequence", "{}"),
    ("ZeroPadding2D", "Zeros around a picture", "{}"),
    ("ZeroPadding3D", "Zeros around a volume", "{}"),
];

/// What a layer type is for and which arguments it takes.
///
/// # Errors
/// There is no such type ("did you mean"); or it is one of your own, which cannot be made without arguments.
pub fn describe_layer(class_name: &str) -> Result<LayerDescription> {
    let names = layer_names();
    let name = if class_name == "Input" {
        "InputLayer"
    } else {
        class_name
    };
    if !names.iter().any(|known| known == name) {
        let names = names.iter().map(String::as_str);
        return Err(Error::unknown("layer type", class_name, names));
    }
    let known = LAYERS.iter().find(|(known, ..)| *known == name);
    let (summary, example) = known.map_or(("", "{}"), |(_, summary, example)| (summary, example));
    let required = match serde_json::from_str(example) {
        Ok(Value::Object(required)) => required,
        _ => Config::new(),
    };
    let spec = LayerSpec::from_arguments(name, required.clone())?;
    let mut defaults = spec.layer.config();
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
        for (name, ..) in LAYERS {
            assert!(is_builtin(name), "{name} is described and does not exist");
        }
    }

    #[test]
    fn an_unknown_layer_is_an_error_with_a_suggestion() {
        let error = describe_layer("Desne").unwrap_err().to_string();
        assert!(error.contains("did you mean `Dense`"), "{error}");
        assert_eq!(describe_layer("Input").unwrap().class_name, "InputLayer");
    }
}
