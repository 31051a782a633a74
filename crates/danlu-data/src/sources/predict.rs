//! Examples to predict, from a file or from standard input.

use std::path::Path;

use danlu_graph::{DType, Tensor};

use super::input::unsupported;
use super::{Format, Input, Npz, idx, npy, png};
use crate::{Error, Result};

/// Examples that a model is to judge.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// Where they come from.
    pub name: String,
    /// The examples as they are stored; axis 0 counts them, the other axes are the model's.
    pub examples: Tensor,
    /// Whether the values are bytes, which are pixels from 0 to 255 that the pixel scale belongs to.
    pub pixels: bool,
}

/// Reads examples of shape `example_shape` (without the axis of examples) from a PNG (one), an IDX, NPY or NPZ file (one, or a batch where
/// there is one axis more), or from standard input where `path` is `-`. What the file is, its first bytes say. An axis of 1
/// at the end, grey's, may be missing or be there too much. An NPZ file has an array `x`, or one array.
///
/// # Errors
/// The file is missing, damaged or of another kind; its shape is another; it holds no example.
pub fn read_inputs(path: impl AsRef<Path>, example_shape: &[usize]) -> Result<Inputs> {
    read_opened(open(path.as_ref())?, example_shape)
}

/// As [`read_inputs`], for several inputs, each with its name and the shape of an example, from one NPZ file with an array of each: `x_<name>` or
/// `<name>`.
///
/// # Errors
/// As [`read_inputs`]; the file is no NPZ file, lacks an array, or has different numbers of examples in two.
pub fn read_named_inputs(
    path: impl AsRef<Path>,
    inputs: &[(&str, &[usize])],
) -> Result<Vec<Inputs>> {
    let mut input = open(path.as_ref())?;
    let name = input.name().to_owned();
    let names: Vec<&str> = inputs.iter().map(|(name, _)| *name).collect();
    match input.format()? {
        Format::Zip => {}
        format => {
            return Err(Error::mismatch(
                format!("`{name}`"),
                format!("an NPZ file with the inputs {}", names.join(", ")),
                match format {
                    Format::Empty => "a file of 0 bytes",
                    _ => "a file of one array or picture, or of another kind",
                },
                "give each input a file of its own",
            ));
        }
    }
    let mut npz = Npz::open(input)?;
    let mut found: Vec<Inputs> = Vec::with_capacity(inputs.len());
    for (own, shape) in inputs {
        let array = match (format!("x_{own}"), *own) {
            (array, _) if npz.contains(&array) => array,
            (_, own) if npz.contains(own) => own.to_owned(),
            (array, _) => {
                return Err(Error::mismatch(
                    format!("the arrays of `{name}`"),
                    format!("{array}, or {own}"),
                    match npz.arrays().is_empty() {
                        true => "none".to_owned(),
                        false => npz.arrays().join(", "),
                    },
                    "",
                ));
            }
        };
        let title = format!("{name}, {array}");
        let check = |received: &[usize]| batch_shape(&title, received, shape).map(drop);
        let examples = npz.read_checked(&array, check)?;
        let batch = batch_shape(&title, examples.shape(), shape)?;
        if let Some(first) = found.first().map(|first| first.examples.shape()[0])
            && first != batch[0]
        {
            return Err(Error::mismatch(
                format!("`{title}`"),
                format!("{first} examples, as many as of input `{}`", names[0]),
                batch[0].to_string(),
                "",
            ));
        }
        found.push(Inputs {
            pixels: examples.dtype() == DType::U8,
            examples: examples.reshaped(&batch)?,
            name: name.clone(),
        });
    }
    Ok(found)
}

fn open(path: &Path) -> Result<Input> {
    match path.as_os_str() == "-" {
        true => Input::standard_input(),
        false => Input::open(path),
    }
}

/// As [`read_inputs`], from a source that is open.
///
/// # Errors
/// As [`read_inputs`].
pub fn read_opened(mut input: Input, example_shape: &[usize]) -> Result<Inputs> {
    let name = input.name().to_owned();
    // The shape is looked at before memory is had for the elements.
    let check = |shape: &[usize]| batch_shape(&name, shape, example_shape).map(drop);
    let examples = match input.format()? {
        Format::Png => {
            let &[height, width, ..] = example_shape else {
                return Err(not_pictures(&name, example_shape));
            };
            let channels = match example_shape {
                [_, _] => 1,
                &[_, _, channels @ (1 | 3 | 4)] => channels,
                _ => return Err(not_pictures(&name, example_shape)),
            };
            png::read_checked(
                &mut input,
                Some(channels),
                |found_height, found_width| match (found_height, found_width) == (height, width) {
                    true => Ok(()),
                    false => Err(wrong_size(
                        &name,
                        [height, width],
                        [found_height, found_width],
                    )),
                },
            )?
        }
        Format::Idx => idx::read_checked(&mut input, check)?,
        Format::Npy => npy::read_stream(input.stream()?, check)?,
        Format::Zip => {
            let mut npz = Npz::open(input)?;
            let array = match npz.arrays() {
                [only] => only.clone(),
                arrays if arrays.iter().any(|array| array == "x") => "x".to_owned(),
                arrays => {
                    return Err(Error::mismatch(
                        format!("`{name}`"),
                        "an array named `x`, or one array",
                        match arrays.is_empty() {
                            true => "none".to_owned(),
                            false => arrays.join(", "),
                        },
                        "",
                    ));
                }
            };
            npz.read_checked(&array, check)?
        }
        format => return Err(unsupported(&name, format)),
    };
    let shape = batch_shape(&name, examples.shape(), example_shape)?;
    Ok(Inputs {
        pixels: examples.dtype() == DType::U8,
        examples: examples.reshaped(&shape)?,
        name,
    })
}

/// The shape of a batch of examples that an array of `shape` is.
fn batch_shape(name: &str, shape: &[usize], example: &[usize]) -> Result<Vec<usize>> {
    let without_one = |shape: &[usize]| match shape {
        [rest @ .., 1] => rest.to_vec(),
        _ => shape.to_vec(),
    };
    let grey = without_one(example);
    let count = match shape {
        [count, rest @ ..] if rest == example => *count,
        shape if shape == example => 1,
        [count, rest @ ..] if without_one(rest) == grey => *count,
        shape if without_one(shape) == grey => 1,
        _ => {
            if let (Some(expected), Some(received)) = (picture(example), picture_of(shape, example))
                && expected != received
            {
                return Err(wrong_size(name, expected, received));
            }
            return Err(Error::mismatch(
                format!("the shape of the examples in `{name}`"),
                format!("{example:?}, or with one axis more in front for a batch"),
                format!("{shape:?}"),
                "",
            ));
        }
    };
    if count == 0 {
        return Err(Error::Empty {
            subject: format!("`{name}`"),
        });
    }
    let mut batch = vec![count];
    batch.extend_from_slice(example);
    Ok(batch)
}

/// Height and width, where the shape is that of a picture.
fn picture(shape: &[usize]) -> Option<[usize; 2]> {
    match *shape {
        [height, width, 1 | 3 | 4] => Some([height, width]),
        _ => None,
    }
}

/// Height and width of the pictures that `shape` may mean where the model takes `example`.
fn picture_of(shape: &[usize], example: &[usize]) -> Option<[usize; 2]> {
    let channels = example.last();
    match *shape {
        [height, width, _] | [_, height, width, _] if shape.last() == channels => {
            Some([height, width])
        }
        [_, height, width] | [height, width] if channels == Some(&1) => Some([height, width]),
        _ => None,
    }
}

fn wrong_size(name: &str, expected: [usize; 2], received: [usize; 2]) -> Error {
    let size = |[height, width]: [usize; 2]| format!("{width}x{height}");
    Error::mismatch(
        format!("the size of the picture `{name}` (width x height)"),
        size(expected),
        size(received),
        &format!("resize it to {} first", size(expected)),
    )
}

fn not_pictures(name: &str, example: &[usize]) -> Error {
    Error::mismatch(
        format!("`{name}`"),
        format!("an array of shape {example:?}, which the model takes"),
        "a picture",
        "save the numbers as NPY",
    )
}

#[cfg(test)]
mod tests {
    use ::png::{BitDepth, ColorType};

    use super::*;

    fn npy_file(tensor: &Tensor) -> Vec<u8> {
        let mut bytes = Vec::new();
        npy::write(&mut bytes, tensor).unwrap();
        bytes
    }

    fn open(bytes: Vec<u8>, example: &[usize]) -> Result<Inputs> {
        read_opened(Input::from_bytes("in", bytes), example)
    }

    #[test]
    fn one_example_and_batches_are_told_apart() {
        for (shape, example, expected) in [
            (&[5, 28, 28, 1][..], &[28, 28, 1][..], &[5, 28, 28, 1][..]),
            (&[28, 28, 1], &[28, 28, 1], &[1, 28, 28, 1]),
            (&[28, 28], &[28, 28, 1], &[1, 28, 28, 1]),
            (&[28, 28, 28], &[28, 28, 1], &[28, 28, 28, 1]),
            (&[5, 28, 28, 1], &[28, 28], &[5, 28, 28]),
            (&[4, 2], &[2], &[4, 2]),
            (&[2], &[2], &[1, 2]),
            (&[5], &[1], &[5, 1]),
        ] {
            let tensor = Tensor::zeros(shape, DType::F32).unwrap();
            let inputs = open(npy_file(&tensor), example).unwrap();
            assert_eq!(
                inputs.examples.shape(),
                expected,
                "{shape:?} for {example:?}"
            );
            assert!(!inputs.pixels);
        }
    }

    #[test]
    fn pictures_are_pixels_and_must_have_the_size() {
        let bytes = super::png::tests::file(ColorType::Rgb, BitDepth::Eight, 2, &[&[9; 6]]);
        let inputs = open(bytes.clone(), &[1, 2, 1]).unwrap();
        assert!(inputs.pixels);
        assert_eq!(inputs.examples.shape(), [1, 1, 2, 1]);
        let error = open(bytes.clone(), &[28, 28, 1]).unwrap_err().to_string();
        assert!(
            error.contains("expected 28x28, received 2x1; resize it to 28x28 first"),
            "{error}"
        );
        assert!(
            open(bytes, &[784])
                .unwrap_err()
                .to_string()
                .contains("a picture")
        );
    }

    #[test]
    fn wrong_shapes_and_kinds_are_errors() {
        let tensor = Tensor::zeros(&[3, 32, 32, 1], DType::U8).unwrap();
        let error = open(npy_file(&tensor), &[28, 28, 1])
            .unwrap_err()
            .to_string();
        assert!(error.contains("received 32x32; resize it"), "{error}");
        let tensor = Tensor::zeros(&[3, 5], DType::U8).unwrap();
        let error = open(npy_file(&tensor), &[4]).unwrap_err().to_string();
        assert!(
            error.contains("expected [4]") && error.contains("received [3, 5]"),
            "{error}"
        );
        let tensor = Tensor::zeros(&[0, 4], DType::U8).unwrap();
        assert!(matches!(
            open(npy_file(&tensor), &[4]),
            Err(Error::Empty { .. })
        ));
        for (bytes, expected) in [
            (b"a,b\n1,2\n".to_vec(), "another kind"),
            (vec![0xff, 0xd8, 0xff, 0xe0], "save it as PNG"),
            (Vec::new(), "0 bytes"),
        ] {
            let error = open(bytes, &[4]).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
