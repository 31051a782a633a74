//! Dropout.

use danlu_graph::{DType, Dim, Shape, Value};
use serde_json::Value as Json;

use super::{BuildContext, CallContext, Layer};
use crate::{Arguments, Config, Error, Result, config};

/// In training, sets elements to 0 with probability `rate` and multiplies the rest by `1 / (1 - rate)`; otherwise passes
/// its input on (Srivastava et al. 2014; Keras' `Dropout`). Which elements depends on the seed, the layer's name, the
/// step and the example's place in the epoch alone.
#[derive(Clone, Debug)]
pub struct Dropout {
    rate: f64,
    noise_shape: NoiseShape,
    seed: Option<i64>,
}

impl Dropout {
    /// This share of elements, from 0 to 1.
    pub fn new(rate: f64) -> Dropout {
        Dropout {
            rate,
            noise_shape: NoiseShape::default(),
            seed: None,
        }
    }

    /// Along which axes the choice is shared: for each axis, the examples' included, `Some(1)` where all of it is kept or
    /// dropped together, `None` where each element is by itself. Default: each element.
    #[must_use]
    pub fn noise_shape(mut self, noise_shape: impl AsRef<[Option<usize>]>) -> Dropout {
        self.noise_shape = NoiseShape(Some(noise_shape.as_ref().to_vec()));
        self
    }

    /// A seed of its own instead of the run's.
    #[must_use]
    pub fn seed(mut self, seed: i64) -> Dropout {
        self.seed = Some(seed);
        self
    }
}

impl Layer for Dropout {
    fn class_name(&self) -> &str {
        "Dropout"
    }

    fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        check_rate("Dropout", self.rate)?;
        self.noise_shape.of("Dropout", &inputs[0]).map(drop)
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let noise_shape = self.noise_shape.of("Dropout", &inputs[0].shape())?;
        dropped(context, &inputs[0], self.rate, self.seed, &noise_shape)
    }

    fn config(&self) -> Config {
        config! { "rate": self.rate, "seed": self.seed, "noise_shape": self.noise_shape.0 }
    }

    fn from_config(arguments: &mut Arguments) -> Result<Dropout> {
        let rate = arguments.number("rate")?;
        let layer = Dropout {
            rate: arguments.required("rate", rate)?,
            noise_shape: NoiseShape::from_arguments(arguments)?,
            seed: arguments.integer("seed")?,
        };
        check_rate("Dropout", layer.rate)?;
        Ok(layer)
    }
}

/// Fails unless a rate is a probability.
pub(super) fn check_rate(class: &str, rate: f64) -> Result<()> {
    match (0.0..=1.0).contains(&rate) {
        true => Ok(()),
        false => Err(Error::argument(class, "rate", "from 0 to 1", rate)),
    }
}

/// In training, the input with what one choice for each element of `noise_shape` leaves of it.
pub(super) fn dropped(
    context: &CallContext,
    x: &Value,
    rate: f64,
    seed: Option<i64>,
    noise_shape: &Shape,
) -> Result<Value> {
    if !context.training() || rate == 0.0 {
        return Ok(x.clone());
    }
    if rate == 1.0 {
        return Ok(x.multiply_scalar(0.0)?);
    }
    let graph = context.graph();
    let uniform = context.random_uniform(noise_shape, seed)?;
    let keep = uniform.less(&graph.scalar(1.0 - rate, DType::F32)?)?;
    let scaled = x.multiply_scalar(1.0 / (1.0 - rate))?;
    Ok(keep.select(&scaled, &graph.scalar(0.0, x.dtype())?)?)
}

/// Keras' `noise_shape`: for each axis a size, or nothing for the input's.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NoiseShape(pub(super) Option<Vec<Option<usize>>>);

impl NoiseShape {
    /// Takes the argument.
    pub(super) fn from_arguments(arguments: &mut Arguments) -> Result<NoiseShape> {
        let Some(value) = arguments.take("noise_shape") else {
            return Ok(NoiseShape(None));
        };
        let size = |size: &Json| match size {
            Json::Null => Some(None),
            // TOML has no null.
            size if size.as_i64() == Some(-1) => Some(None),
            size => {
                let size = usize::try_from(size.as_u64()?).ok()?;
                (size > 0).then_some(Some(size))
            }
        };
        let sizes = value.as_array().map(|sizes| sizes.iter().map(size));
        let sizes: Option<Option<Vec<_>>> = sizes.map(Iterator::collect);
        let expected = "for each axis a whole number of at least 1, or null (-1 in recipes)";
        let wrong = || arguments.wrong("noise_shape", expected, &value);
        Ok(NoiseShape(Some(sizes.flatten().ok_or_else(wrong)?)))
    }

    /// The shape of the noise for this input.
    pub(super) fn of(&self, class: &str, input: &Shape) -> Result<Shape> {
        let Some(sizes) = &self.0 else {
            return Ok(input.clone());
        };
        let dim = |(size, dim): (&Option<usize>, &Dim)| match size {
            None => Some(dim.clone()),
            Some(1) => Some(Dim::fixed(1)),
            Some(size) => (dim.as_fixed() == Some(*size)).then(|| dim.clone()),
        };
        let dims: Option<Vec<Dim>> = sizes.iter().zip(input.dims()).map(dim).collect();
        match dims {
            Some(dims) if sizes.len() == input.rank() => Ok(Shape::from(dims)),
            _ => {
                let sizes = Json::from(sizes.clone());
                let expected = format!(
                    "for each axis of the input {input} 1, its size, or null (the number of examples is open)"
                );
                Err(Error::argument(class, "noise_shape", expected, sizes))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn dropout_passes_the_harness() {
        harness::check(Dropout::new(0.5).seed(3), &[6, 2]);
        harness::check(
            Dropout::new(0.5).noise_shape([None, Some(1), Some(2)]),
            &[6, 2],
        );
        harness::refuses(Dropout::new(1.5), &[2], "`rate` must be from 0 to 1");
        harness::refuses(Dropout::new(f64::NAN), &[2], "`rate` must be from 0 to 1");
        let layer = |shape: &[Option<usize>]| Dropout::new(0.5).noise_shape(shape);
        harness::refuses(layer(&[None]), &[4, 2], "`noise_shape` must be");
        harness::refuses(layer(&[Some(32), None]), &[4], "examples is open");
        harness::refuses(layer(&[None, Some(3)]), &[4], "its size");
    }

    #[test]
    fn recipes_write_minus_one_for_null() {
        let read = |noise_shape: Json| {
            let arguments = config! { "rate": 0.5, "noise_shape": noise_shape };
            Dropout::from_config(&mut Arguments::new("Dropout", arguments))
        };
        let expected = Dropout::new(0.5).noise_shape([None, Some(1)]);
        for same in [serde_json::json!([null, 1]), serde_json::json!([-1, 1])] {
            assert_eq!(read(same).unwrap().config(), expected.config());
        }
        for wrong in [serde_json::json!([0, 1]), serde_json::json!("all")] {
            let error = read(wrong).unwrap_err().to_string();
            assert!(error.contains("`noise_shape` must be"), "{error}");
        }
    }

    #[test]
    fn the_kept_share_is_scaled_up_and_the_step_decides() {
        let first = harness::call_in_training(Dropout::new(0.25), &[500], 0);
        let values = first.as_f32().unwrap();
        let dropped = values.iter().filter(|&&value| value == 0.0).count();
        assert!((100..150).contains(&(dropped / 2)), "{dropped} of 1000");
        let kept = values.iter().find(|&&value| value != 0.0).unwrap();
        assert!((kept - 1.0 / 0.75).abs() < 1e-6);
        assert_eq!(
            first,
            harness::call_in_training(Dropout::new(0.25), &[500], 0)
        );
        assert_ne!(
            first,
            harness::call_in_training(Dropout::new(0.25), &[500], 1)
        );
    }

    #[test]
    fn what_shares_noise_is_dropped_together() {
        let layer = Dropout::new(0.5).noise_shape([None, Some(1), None]);
        let found = harness::call_in_training(layer, &[3, 40], 0);
        let values = found.as_f32().unwrap();
        let rows: Vec<&[f32]> = values.chunks(40).collect();
        assert_eq!(rows[0], rows[1]);
        assert_eq!(rows[0], rows[2]);
        assert_ne!(rows[0], rows[3], "the other example has noise of its own");
        assert!(rows[0].contains(&0.0) && rows[0].contains(&2.0));
        let layer = Dropout::new(0.5).noise_shape([Some(1), None, None]);
        let found = harness::call_in_training(layer, &[3, 40], 0);
        let values = found.as_f32().unwrap();
        assert_eq!(values[..120], values[120..]);
    }
}
