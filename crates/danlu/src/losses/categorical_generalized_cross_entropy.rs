//! Generalized cross-entropy, which noisy labels harm less.

use danlu_graph::{DType, Value};

use super::align::{last_is_one, squeeze};
use super::terms::in_range;
use super::{FromConfig, LossFunction, shapes_differ, without_last};
use crate::{Arguments, Config, Result, config};

/// `(1 - p[class]^q) / q`, where targets are class indices and predictions probabilities (Keras'
/// `CategoricalGeneralizedCrossEntropy`; Zhang and Sabuncu 2018, arXiv:1805.07836).
#[derive(Clone, Debug)]
pub struct CategoricalGeneralizedCrossEntropy {
    q: f64,
}

impl CategoricalGeneralizedCrossEntropy {
    /// With q 0.5.
    pub fn new() -> CategoricalGeneralizedCrossEntropy {
        CategoricalGeneralizedCrossEntropy { q: 0.5 }
    }

    /// Between 0, the cross-entropy, and 1, the absolute error, both left out. Default 0.5.
    #[must_use]
    pub fn q(mut self, q: f64) -> CategoricalGeneralizedCrossEntropy {
        self.q = q;
        self
    }

    fn check(&self) -> Result<()> {
        let fits = |q: f64| q > 0.0 && q < 1.0;
        in_range(self.class_name(), "q", self.q, "above 0 and below 1", fits)
    }
}

impl Default for CategoricalGeneralizedCrossEntropy {
    fn default() -> CategoricalGeneralizedCrossEntropy {
        CategoricalGeneralizedCrossEntropy::new()
    }
}

impl FromConfig for CategoricalGeneralizedCrossEntropy {
    fn from_config(arguments: &mut Arguments) -> Result<CategoricalGeneralizedCrossEntropy> {
        let q = arguments.number("q")?.unwrap_or(0.5);
        let loss = CategoricalGeneralizedCrossEntropy { q };
        loss.check()?;
        Ok(loss)
    }
}

impl LossFunction for CategoricalGeneralizedCrossEntropy {
    fn class_name(&self) -> &str {
        "CategoricalGeneralizedCrossEntropy"
    }
    fn name(&self) -> &str {
        "categorical_generalized_cross_entropy"
    }
    fn config(&self) -> Config {
        config! { "q": self.q }
    }
    fn takes_class_indices(&self) -> bool {
        true
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        self.check()?;
        let mut classes = y_true.clone();
        if classes.shape().rank() == y_pred.shape().rank() && last_is_one(&classes) {
            classes = squeeze(&classes)?;
        }
        if classes.shape() != without_last(&y_pred.shape()) {
            let advice = "targets are one class index for each example";
            return Err(shapes_differ(self.name(), y_true, y_pred, advice));
        }
        let mut column = classes.shape();
        column.dims_mut().push(1.into());
        let classes = classes.cast(DType::I32)?.reshape(&column)?;
        let graph = y_pred.graph();
        let places = graph.iota(y_pred.shape(), -1, DType::I32)?;
        let one_hot = places.equal(&classes)?.cast(y_pred.dtype())?;
        let p = y_pred.multiply(&one_hot)?.sum(&[-1], false)?;
        let power = p.power(&graph.scalar(self.q, p.dtype())?)?;
        Ok(power
            .negate()?
            .add_scalar(1.0)?
            .multiply_scalar(1.0 / self.q)?)
    }
}
