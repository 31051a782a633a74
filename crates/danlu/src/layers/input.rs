//! Where examples come in.

use danlu_graph::{Shape, Value};

use super::{BuildContext, CallContext, Layer};
use crate::{Arguments, Config, Error, Result, config};

/// The shape of one example, without the axis of examples (Keras' `Input`, in files `InputLayer`).
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    shape: Vec<usize>,
}

impl Input {
    /// Examples of this shape, such as `[28, 28, 1]`: height, width, channels.
    pub fn new(shape: impl AsRef<[usize]>) -> Input {
        Input {
            shape: shape.as_ref().to_vec(),
        }
    }
}

impl Layer for Input {
    fn class_name(&self) -> &str {
        "InputLayer"
    }

    fn build(&mut self, _: &mut BuildContext, _: &[Shape]) -> Result<()> {
        let wrong = |&size: &usize| size == 0 || size > i32::MAX as usize;
        if self.shape.iter().any(wrong) {
            let expected = "sizes of at least 1";
            let received = format!("{:?}", self.shape);
            return Err(Error::argument("Input", "shape", expected, received));
        }
        danlu_graph::tensor::element_count(&self.shape)?;
        Ok(())
    }

    fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
        Ok(inputs[0].clone())
    }

    fn config(&self) -> Config {
        let mut batch_shape = vec![serde_json::Value::Null];
        batch_shape.extend(self.shape.iter().map(|&size| serde_json::Value::from(size)));
        config! {
            "batch_shape": batch_shape,
            "dtype": "float32",
            "sparse": false,
            "ragged": false,
        }
    }

    fn from_config(arguments: &mut Arguments) -> Result<Input> {
        let batch_shape = arguments.take("batch_shape");
        // Keras 2's name for it.
        let batch_shape = batch_shape.or(arguments.take("batch_input_shape"));
        let shape = match arguments.take("shape") {
            Some(shape) => Some(shape),
            None => match batch_shape {
                Some(serde_json::Value::Array(sizes)) if !sizes.is_empty() => {
                    Some(serde_json::Value::Array(sizes[1..].to_vec()))
                }
                other => other,
            },
        };
        let shape = arguments.required("shape", shape)?;
        let sizes: Option<Vec<usize>> = shape.as_array().and_then(|sizes| {
            sizes
                .iter()
                .map(|size| size.as_u64().and_then(|size| usize::try_from(size).ok()))
                .collect()
        });
        arguments.unsupported("sparse", &[false.into()])?;
        arguments.unsupported("ragged", &[false.into()])?;
        arguments.unsupported("optional", &[false.into()])?;
        arguments.unsupported("batch_size", &[])?;
        match sizes {
            Some(shape) => Ok(Input { shape }),
            None => Err(arguments.wrong("shape", "a list of fixed sizes", &shape)),
        }
    }

    fn input_shape(&self) -> Option<&[usize]> {
        Some(&self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shape_survives_both_spellings() {
        for config in [
            config! { "shape": [8, 8, 1] },
            config! { "batch_shape": [null, 8, 8, 1] },
        ] {
            let mut arguments = Arguments::new("InputLayer", config);
            assert_eq!(
                Input::from_config(&mut arguments).unwrap(),
                Input::new([8, 8, 1])
            );
        }
        let mut arguments =
            Arguments::new("InputLayer", config! { "batch_shape": [null, null, 3] });
        let error = Input::from_config(&mut arguments).unwrap_err().to_string();
        assert!(error.contains("fixed sizes"), "{error}");
    }
}
