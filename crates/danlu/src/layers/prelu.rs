//! The parametric rectifier.

use danlu_graph::{Shape, Value};

use super::parameters::parameter_methods;
use super::{BuildContext, CallContext, Layer, ParameterOptions};
use crate::{Arguments, Config, Error, Result, config};

/// `max(x, 0) - alpha max(-x, 0)` with a slope `alpha` that is learned (He et al. 2015; Keras' `PReLU`). Any shape stays as it
/// is; alpha has the shape of one example, with 1 at the shared axes.
#[derive(Clone, Debug)]
pub struct PReLU {
    alpha: ParameterOptions,
    shared_axes: Vec<i64>,
}

impl PReLU {
    /// A slope for each element of an example, beginning with 0.
    pub fn new() -> PReLU {
        PReLU {
            alpha: ParameterOptions::new("zeros"),
            shared_axes: Vec::new(),
        }
    }

    /// The axes along which elements share a slope, counted from 1, the first after the examples; for pictures `[1, 2]` leaves
    /// one for each channel. Default none.
    #[must_use]
    pub fn shared_axes(mut self, shared_axes: impl IntoIterator<Item = i64>) -> PReLU {
        self.shared_axes = shared_axes.into_iter().collect();
        self
    }

    parameter_methods! {
        "slope `alpha`", "zeros": alpha, alpha_initializer, alpha_regularizer, alpha_constraint;
    }
}

impl Default for PReLU {
    fn default() -> PReLU {
        PReLU::new()
    }
}

impl Layer for PReLU {
    fn class_name(&self) -> &str {
        "PReLU"
    }

    fn build(&mut self, context: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        let shape = &inputs[0];
        let example = shape.dims().iter().skip(1);
        let mut sizes: Vec<Option<usize>> = example.map(|dim| dim.as_fixed()).collect();
        for &axis in &self.shared_axes {
            let place = axis
                .checked_sub(1)
                .and_then(|place| usize::try_from(place).ok());
            match place.and_then(|place| sizes.get_mut(place)) {
                Some(size) => *size = Some(1),
                None => {
                    let expected = format!("axes of {shape} from 1 on");
                    return Err(Error::argument("PReLU", "shared_axes", expected, axis));
                }
            }
        }
        let Some(sizes) = sizes.into_iter().collect::<Option<Vec<usize>>>() else {
            return Err(Error::mismatch(
                "the input of PReLU",
                "a fixed size at each axis that is not shared",
                shape.to_string(),
                "",
            ));
        };
        context.parameter_with("alpha", &sizes, &self.alpha)
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let x = &inputs[0];
        let below = x.negate()?.relu()?.multiply(&context.parameter("alpha")?)?;
        Ok(x.relu()?.subtract(&below)?)
    }

    fn config(&self) -> Config {
        let shared = match self.shared_axes.as_slice() {
            [] => serde_json::Value::Null,
            axes => serde_json::json!(axes),
        };
        let mut config = Config::new();
        ParameterOptions::write(&mut config, [("alpha", &self.alpha)]);
        config.extend(config! { "shared_axes": shared });
        config
    }

    fn from_config(arguments: &mut Arguments) -> Result<PReLU> {
        let mut layer = PReLU::new();
        layer.alpha.take(arguments, "alpha")?;
        let shared = arguments.axes("shared_axes")?.unwrap_or_default();
        layer.shared_axes = shared.into_iter().map(|axis| axis as i64).collect();
        Ok(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn prelu_passes_the_harness() {
        harness::check(PReLU::new(), &[4]);
        let layer = PReLU::new().shared_axes([1, 2]);
        harness::check(layer.alpha_initializer("ones"), &[2, 3, 2]);
    }

    #[test]
    fn wrong_arguments_are_errors() {
        let part = "`shared_axes` must be axes of (batch, 4) from 1 on";
        for axis in [0, -1, 2, i64::MIN] {
            harness::refuses(PReLU::new().shared_axes([axis]), &[4], part);
        }
    }
}
