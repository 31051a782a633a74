//! Circle loss, of pairs of embeddings.

use danlu_graph::{DType, Value};

use super::align::{last_is_one, squeeze};
use super::terms::{in_range, softplus};
use super::{FromConfig, LossFunction, shapes_differ};
use crate::{Arguments, Config, Result, config};

/// Circle loss (Keras' `Circle`; Sun et al. 2020, arXiv:2002.10857): targets are labels `(batch)`, predictions embeddings
/// `(batch, size)` of length 1. Each example is compared with all of its batch: those of its label shall be near, others far.
/// A mean is over the examples whose loss is above 0.
#[derive(Clone, Debug)]
pub struct Circle {
    gamma: f64,
    margin: f64,
    remove_diagonal: bool,
}

impl Circle {
    /// With gamma 80 and margin 0.4.
    pub fn new() -> Circle {
        Circle {
            gamma: 80.0,
            margin: 0.4,
            remove_diagonal: true,
        }
    }

    /// The scale of the exponents, above 0. Default 80.
    #[must_use]
    pub fn gamma(mut self, gamma: f64) -> Circle {
        self.gamma = gamma;
        self
    }

    /// How far apart labels shall be, from 0 to 1. Default 0.4.
    #[must_use]
    pub fn margin(mut self, margin: f64) -> Circle {
        self.margin = margin;
        self
    }

    /// Whether an example is not compared with itself. Default `true`.
    #[must_use]
    pub fn remove_diagonal(mut self, remove_diagonal: bool) -> Circle {
        self.remove_diagonal = remove_diagonal;
        self
    }

    fn check(&self) -> Result<()> {
        let positive = |gamma: f64| gamma > 0.0 && gamma.is_finite();
        in_range("Circle", "gamma", self.gamma, "a number above 0", positive)?;
        in_range("Circle", "margin", self.margin, "from 0 to 1", |x| {
            (0.0..=1.0).contains(&x)
        })
    }
}

impl Default for Circle {
    fn default() -> Circle {
        Circle::new()
    }
}

impl FromConfig for Circle {
    fn from_config(arguments: &mut Arguments) -> Result<Circle> {
        let loss = Circle {
            gamma: arguments.number("gamma")?.unwrap_or(80.0),
            margin: arguments.number("margin")?.unwrap_or(0.4),
            remove_diagonal: arguments.boolean("remove_diagonal")?.unwrap_or(true),
        };
        loss.check()?;
        Ok(loss)
    }
}

impl LossFunction for Circle {
    fn class_name(&self) -> &str {
        "Circle"
    }
    fn name(&self) -> &str {
        "circle"
    }
    fn config(&self) -> Config {
        config! {
            "gamma": self.gamma,
            "margin": self.margin,
            "remove_diagonal": self.remove_diagonal,
        }
    }
    fn mask(&self, _: &Value, values: &Value) -> Result<Option<Value>> {
        let zero = values.graph().scalar(0.0, values.dtype())?;
        Ok(Some(values.greater(&zero)?))
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        self.check()?;
        let mut labels = y_true.clone();
        if labels.shape().rank() == 2 && last_is_one(&labels) {
            labels = squeeze(&labels)?;
        }
        if y_pred.shape().rank() != 2 || labels.shape().dims() != &y_pred.shape().dims()[..1] {
            let advice = "targets are one label, predictions one embedding for each example";
            return Err(shapes_differ(self.name(), y_true, y_pred, advice));
        }
        let graph = y_pred.graph();
        let labels = labels.cast(DType::I32)?;
        let (mut column, mut row) = (labels.shape(), labels.shape());
        column.dims_mut().push(1.into());
        row.dims_mut().insert(0, 1.into());
        let same = labels.reshape(&column)?.equal(&labels.reshape(&row)?)?;
        let different = same.logical_not()?;
        let pairs = same.shape();
        let same = match self.remove_diagonal {
            true => {
                let index = |axis| graph.iota(pairs.clone(), axis, DType::I32);
                same.logical_and(&index(0)?.not_equal(&index(1)?)?)?
            }
            false => same,
        };
        let similarity = y_pred.matmul_with(y_pred, false, true)?;
        let distance = similarity.negate()?.add_scalar(1.0)?.maximum_scalar(0.0)?;
        let near = distance.add_scalar(self.margin)?.maximum_scalar(0.0)?;
        let minus = distance.negate()?;
        let far = minus.add_scalar(1.0 + self.margin)?.maximum_scalar(0.0)?;
        let least = graph.scalar(f64::NEG_INFINITY, distance.dtype())?;
        // Exponents of -infinity, where there is no such pair, are left out of the sums.
        let total = |mask: &Value, weights: &Value, goal: f64, scale: f64| -> Result<Value> {
            let exponents = weights
                .multiply_scalar(scale)?
                .multiply(&minus.add_scalar(goal)?)?;
            Ok(mask.select(&exponents, &least)?.logsumexp(&[1], false)?)
        };
        let positive = total(&same, &near, self.margin, -self.gamma)?;
        let negative = total(&different, &far, 1.0 - self.margin, self.gamma)?;
        softplus(&positive.add(&negative)?)
    }
}
