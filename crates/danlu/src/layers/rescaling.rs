//! Every element times a number plus a number.

use danlu_graph::{Shape, Tensor, Value};
use serde_json::Value as Json;

use super::{BuildContext, CallContext, Layer};
use crate::{Arguments, Config, Error, Result, config};

/// `x scale + offset`; the shape stays as it is (Keras' `Rescaling`). Scale and offset are numbers, or one number for each
/// channel (the last axis).
#[derive(Clone, Debug, PartialEq)]
pub struct Rescaling {
    scale: Vec<f64>,
    offset: Vec<f64>,
}

impl Rescaling {
    /// Multiplies by `scale` (without unit; 1/255 for pixels in bytes) and adds 0.
    pub fn new(scale: f64) -> Rescaling {
        Rescaling {
            scale: vec![scale],
            offset: vec![0.0],
        }
    }

    /// Multiplies each channel by its own number.
    pub fn per_channel(scale: &[f64]) -> Rescaling {
        Rescaling {
            scale: scale.to_vec(),
            offset: vec![0.0],
        }
    }

    /// Adds `offset`. Default 0.
    #[must_use]
    pub fn offset(mut self, offset: f64) -> Rescaling {
        self.offset = vec![offset];
        self
    }

    /// The scale where it is one number.
    pub fn scale(&self) -> Option<f64> {
        match self.scale.as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }
}

impl Layer for Rescaling {
    fn class_name(&self) -> &str {
        "Rescaling"
    }

    fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        let channels = inputs[0].dims().last().and_then(|dim| dim.as_fixed());
        for (argument, values) in [("scale", &self.scale), ("offset", &self.offset)] {
            if values.len() != 1 && Some(values.len()) != channels {
                let expected = format!("one number, or one for each channel of {}", inputs[0]);
                let received = format!("{} numbers", values.len());
                return Err(Error::argument("Rescaling", argument, expected, received));
            }
        }
        Ok(())
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let constant = |values: &[f64]| -> Result<Value> {
            let shape: &[usize] = if values.len() == 1 {
                &[]
            } else {
                &[values.len()]
            };
            let values = values.iter().map(|&value| value as f32).collect();
            Ok(context.graph().constant(Tensor::from_f32(shape, values)?)?)
        };
        let mut y = inputs[0].multiply(&constant(&self.scale)?)?;
        if self.offset.iter().any(|&offset| offset != 0.0) {
            y = y.add(&constant(&self.offset)?)?;
        }
        Ok(y)
    }

    fn config(&self) -> Config {
        let json = |values: &[f64]| match values {
            [only] => Json::from(*only),
            several => Json::from(several.to_vec()),
        };
        config! { "scale": json(&self.scale), "offset": json(&self.offset) }
    }

    fn from_config(arguments: &mut Arguments) -> Result<Rescaling> {
        let scale = arguments.numbers("scale")?;
        Ok(Rescaling {
            scale: arguments.required("scale", scale)?,
            offset: arguments.numbers("offset")?.unwrap_or_else(|| vec![0.0]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn rescaling_passes_the_harness() {
        harness::check(Rescaling::new(0.5).offset(-1.0), &[3, 2]);
        harness::check(Rescaling::per_channel(&[0.5, 2.0]), &[3, 2]);
        harness::refuses(Rescaling::per_channel(&[0.5, 2.0]), &[3, 3], "`scale`");
    }
}
