//! Normalization by the statistics of the data.

mod adapt;
mod numbers;

use danlu_graph::{DType, Shape, Tensor, Value};

use super::{BuildContext, CallContext, Layer};
use crate::axes::{Axes, spread};
use crate::{Arguments, Config, Error, Result, config};
use numbers::Numbers;

/// `(x - mean) / max(sqrt(variance), 1e-7)` with a mean and a variance for each index of `axis`, or the inverse of that
/// (Keras' `Normalization`). Any shape stays as it is.
///
/// Mean and variance are given, or taken from data with [`adapt`](Self::adapt) before the layer is added to a model, or with
/// [`Model::adapt`](crate::Model::adapt) in one; they are then saved as the parameters mean, variance and count, which training leaves as
/// they are. Without either the mean is 0 and
/// the variance 1.
///
/// ```
/// use danlu::prelude::*;
/// let data = Tensor::from_f32(&[2, 2], vec![0.0, 10.0, 2.0, 30.0])?;
/// let mut layer = Normalization::new();
/// layer.adapt(&data)?;
/// let mut model = Sequential::from_layers([Input::new([2]).into(), layer.into()]);
/// model.build()?;
/// let found = model.predict(&data, PredictOptions::new())?;
/// assert_eq!(found.to_f64(), [-1.0, -1.0, 1.0, 1.0]);
/// # Ok::<(), danlu::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Normalization {
    /// `None`: one mean and variance for all elements.
    axis: Option<Axes>,
    invert: bool,
    given: Option<[Numbers; 2]>,
    adapted: Option<[Tensor; 2]>,
}

/// Deviations below it count as it, as in Keras.
const SMALLEST_DEVIATION: f64 = 1e-7;

impl Normalization {
    /// A mean and a variance for each index of the last axis.
    pub fn new() -> Normalization {
        Normalization {
            axis: Some(Axes::new([-1])),
            invert: false,
            given: None,
            adapted: None,
        }
    }

    /// The axes whose indices have a mean and a variance of their own; negative ones count from the end; none at all: one mean
    /// and variance for all elements. Default `[-1]`.
    #[must_use]
    pub fn axis(mut self, axis: impl IntoIterator<Item = isize>) -> Normalization {
        let axis: Vec<isize> = axis.into_iter().collect();
        self.axis = (!axis.is_empty()).then(|| Axes::new(axis));
        self
    }

    /// Whether normalized numbers are turned back instead. Default `false`.
    #[must_use]
    pub fn invert(mut self, invert: bool) -> Normalization {
        self.invert = invert;
        self
    }

    /// Mean and variance, as many as the axis has indices, or one of each for all.
    #[must_use]
    pub fn statistics(mut self, mean: &[f64], variance: &[f64]) -> Normalization {
        self.given = Some([mean, variance].map(Numbers::new));
        self
    }

    /// Mean and variance as data gave them.
    pub(crate) fn adapted(&self) -> Option<&[Tensor; 2]> {
        self.adapted.as_ref()
    }

    /// The axes that are kept apart, and their sizes.
    fn axes(&self, shape: &Shape) -> Result<(Vec<usize>, Vec<usize>)> {
        match &self.axis {
            Some(axis) => axis.of_examples("Normalization", shape),
            None => Ok((Vec::new(), Vec::new())),
        }
    }

    fn check(&self) -> Result<()> {
        let Some([mean, variance]) = &self.given else {
            return Ok(());
        };
        mean.check("mean", f64::NEG_INFINITY)?;
        variance.check("variance", 0.0)?;
        if mean.shape() != variance.shape() {
            let expected = format!("of the shape of `mean`, {:?}", mean.shape());
            let received = format!("shape {:?}", variance.shape());
            return Err(Error::argument(
                "Normalization",
                "variance",
                expected,
                received,
            ));
        }
        Ok(())
    }

    /// Mean or variance, in a shape that spreads over the input.
    fn statistic(&self, context: &CallContext, shape: &Shape, place: usize) -> Result<Value> {
        let (axes, sizes) = self.axes(shape)?;
        let spread = spread(shape.rank(), &axes, &sizes);
        let value = match &self.given {
            Some(given) => {
                let tensor = given[place].tensor(["mean", "variance"][place], &sizes)?;
                context.graph().constant(tensor)?
            }
            None => context.parameter(["mean", "variance"][place])?,
        };
        Ok(value.reshape(&spread)?)
    }
}

impl Default for Normalization {
    fn default() -> Normalization {
        Normalization::new()
    }
}

impl Layer for Normalization {
    fn class_name(&self) -> &str {
        "Normalization"
    }

    fn build(&mut self, context: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        self.check()?;
        let (_, sizes) = self.axes(&inputs[0])?;
        if self.given.is_some() {
            return Ok(());
        }
        match &self.adapted {
            Some([mean, variance]) => {
                if mean.shape() != sizes {
                    return Err(Error::mismatch(
                        "the statistics of Normalization",
                        format!("shape {sizes:?}, for an input {}", inputs[0]),
                        format!("shape {:?}", mean.shape()),
                        "adapt the layer to data of the model's input shape",
                    ));
                }
                context.known_statistic("mean", mean.clone())?;
                context.known_statistic("variance", variance.clone())?;
            }
            None => {
                context.statistic("mean", &sizes, "zeros")?;
                context.statistic("variance", &sizes, "ones")?;
            }
        }
        // Keras saves it, and does not use it any more.
        context.count("count")
    }

    fn call(&self, context: &CallContext, inputs: &[Value]) -> Result<Value> {
        let x = inputs[0].cast(DType::F32)?;
        let mean = self.statistic(context, &x.shape(), 0)?;
        let variance = self.statistic(context, &x.shape(), 1)?;
        let deviation = variance.sqrt()?.maximum_scalar(SMALLEST_DEVIATION)?;
        Ok(match self.invert {
            true => x.multiply(&deviation)?.add(&mean)?,
            false => x.subtract(&mean)?.divide(&deviation)?,
        })
    }

    fn config(&self) -> Config {
        let [mean, variance] = match &self.given {
            Some(given) => [given[0].to_json(), given[1].to_json()],
            None => [serde_json::Value::Null, serde_json::Value::Null],
        };
        // Keras writes a list, empty for one mean and variance of everything.
        let axis = match self.axis.as_ref().map(Axes::to_json) {
            None => serde_json::json!([]),
            Some(list @ serde_json::Value::Array(_)) => list,
            Some(one) => serde_json::json!([one]),
        };
        config! { "axis": axis, "invert": self.invert, "mean": mean, "variance": variance }
    }

    fn from_config(arguments: &mut Arguments) -> Result<Normalization> {
        let mut layer = Normalization::new();
        if let Some(axis) = arguments.axes("axis")? {
            layer = layer.axis(axis);
        }
        layer.invert = arguments.boolean("invert")?.unwrap_or(false);
        let mean = Numbers::take(arguments, "mean")?;
        let variance = Numbers::take(arguments, "variance")?;
        layer.given = match (mean, variance) {
            (Some(mean), Some(variance)) => Some([mean, variance]),
            (None, None) => None,
            (mean, _) => {
                let missing = if mean.is_some() { "variance" } else { "mean" };
                let expected = "given where the other of `mean` and `variance` is";
                let owner = arguments.owner();
                return Err(Error::argument(owner, missing, expected, "nothing"));
            }
        };
        layer.check()?;
        Ok(layer)
    }
}

#[cfg(test)]
mod tests;
