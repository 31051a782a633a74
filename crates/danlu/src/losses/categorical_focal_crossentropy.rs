//! Categorical focal cross-entropy.

use danlu_graph::{Tensor, Value};
use serde_json::json;

use super::binary_focal_crossentropy::check_gamma;
use super::categorical_crossentropy::align_classes;
use super::terms::{
    axis_of_example, check_smoothing, in_range, one_minus, proportions, read_axis,
    share_of_classes, smoothed, to_last,
};
use super::{Expects, FromConfig, LossFunction};
use crate::{Arguments, Config, Error, Result, config};

/// `-sum alpha (1 - p)^gamma y ln p` over the axis of the classes, where targets are one-hot or probabilities (Keras'
/// `CategoricalFocalCrossentropy`; Lin et al. 2018, arXiv:1708.02002).
///
/// Probabilities are divided by their sum and cut to `[1e-7, 1 - 1e-7]`.
#[derive(Clone, Debug)]
pub struct CategoricalFocalCrossentropy {
    alpha: Vec<f64>,
    gamma: f64,
    from_logits: bool,
    label_smoothing: f64,
    axis: isize,
}

impl CategoricalFocalCrossentropy {
    /// On probabilities, with alpha 0.25 and gamma 2.
    pub fn new() -> CategoricalFocalCrossentropy {
        CategoricalFocalCrossentropy {
            alpha: vec![0.25],
            gamma: 2.0,
            from_logits: false,
            label_smoothing: 0.0,
            axis: -1,
        }
    }

    /// The weight of all classes, or one for each place along the last axis; 0 or above. Default 0.25.
    #[must_use]
    pub fn alpha(mut self, alpha: &[f64]) -> CategoricalFocalCrossentropy {
        self.alpha = alpha.to_vec();
        self
    }

    /// How much easy examples count less, 0 or above. Default 2.
    #[must_use]
    pub fn gamma(mut self, gamma: f64) -> CategoricalFocalCrossentropy {
        self.gamma = gamma;
        self
    }

    /// Whether predictions are logits. Default `false`.
    #[must_use]
    pub fn from_logits(mut self, from_logits: bool) -> CategoricalFocalCrossentropy {
        self.from_logits = from_logits;
        self
    }

    /// From 0 to 1: targets become `y (1 - s) + s / n`, where n is the size of the last axis. Default 0.
    #[must_use]
    pub fn label_smoothing(mut self, label_smoothing: f64) -> CategoricalFocalCrossentropy {
        self.label_smoothing = label_smoothing;
        self
    }

    /// The axis of the classes. Default -1.
    #[must_use]
    pub fn axis(mut self, axis: isize) -> CategoricalFocalCrossentropy {
        self.axis = axis;
        self
    }

    fn check(&self) -> Result<()> {
        let owner = self.class_name();
        check_smoothing(owner, self.label_smoothing)?;
        check_gamma(owner, self.gamma)?;
        if self.alpha.is_empty() {
            return Err(Error::argument(
                owner,
                "alpha",
                "a number or several",
                "none",
            ));
        }
        let fits = |alpha: f64| alpha >= 0.0 && alpha.is_finite();
        let mut weights = self.alpha.iter();
        weights
            .try_for_each(|&alpha| in_range(owner, "alpha", alpha, "numbers of 0 or above", fits))
    }
}

impl Default for CategoricalFocalCrossentropy {
    fn default() -> CategoricalFocalCrossentropy {
        CategoricalFocalCrossentropy::new()
    }
}

impl FromConfig for CategoricalFocalCrossentropy {
    fn from_config(arguments: &mut Arguments) -> Result<CategoricalFocalCrossentropy> {
        let loss = CategoricalFocalCrossentropy {
            alpha: arguments.numbers("alpha")?.unwrap_or(vec![0.25]),
            gamma: arguments.number("gamma")?.unwrap_or(2.0),
            from_logits: arguments.boolean("from_logits")?.unwrap_or(false),
            label_smoothing: arguments.number("label_smoothing")?.unwrap_or(0.0),
            axis: read_axis(arguments)?,
        };
        loss.check()?;
        Ok(loss)
    }
}

impl LossFunction for CategoricalFocalCrossentropy {
    fn class_name(&self) -> &str {
        "CategoricalFocalCrossentropy"
    }
    fn name(&self) -> &str {
        "categorical_focal_crossentropy"
    }
    fn config(&self) -> Config {
        let alpha = match self.alpha.as_slice() {
            [alpha] => json!(alpha),
            alphas => json!(alphas),
        };
        config! {
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
            "axis": self.axis,
            "alpha": alpha,
            "gamma": self.gamma,
        }
    }
    fn expects(&self) -> Option<Expects> {
        (!self.from_logits).then_some(Expects::Probabilities("softmax"))
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        self.check()?;
        axis_of_example(self.class_name(), self.axis, y_pred)?;
        let (y_true, prediction) = align_classes(self.name(), y_true, y_pred)?;
        let share = share_of_classes(&y_true);
        let (mut y, mut p) = (y_true.cast(prediction.dtype())?, prediction);
        y = smoothed(y, self.label_smoothing, share)?;
        let mut axis = self.axis;
        if self.from_logits {
            (y, p) = (to_last(&y, axis)?, to_last(&p, axis)?.softmax()?);
            if self.alpha.len() > 1 && self.axis != -1 && p.shape() != y_pred.shape() {
                return Err(Error::unsupported(
                    self.class_name(),
                    "several `alpha` with logits along another axis than the last",
                    "let the model end in a softmax, or give one `alpha`",
                ));
            }
            axis = -1;
        }
        let p = proportions(&p, axis)?;
        let exponent = p.graph().scalar(self.gamma, p.dtype())?;
        let factor = one_minus(&p)?.power(&exponent)?;
        let weighted = match self.alpha.as_slice() {
            [alpha] => factor.multiply_scalar(*alpha)?,
            alphas => {
                let count = p.shape().dims().last().and_then(|dim| dim.as_fixed());
                if count != Some(alphas.len()) {
                    let expected = format!(
                        "one number, or one for each of {} classes",
                        count.unwrap_or(0)
                    );
                    return Err(Error::argument(
                        self.class_name(),
                        "alpha",
                        expected,
                        alphas.len(),
                    ));
                }
                let alphas = alphas
                    .iter()
                    .map(|&alpha| alpha as f32)
                    .collect::<Vec<f32>>();
                let alphas = Tensor::from_f32(&[alphas.len()], alphas)?;
                factor.multiply(&p.graph().constant(alphas)?)?
            }
        };
        let values = weighted.multiply(&y)?.multiply(&p.log()?)?;
        Ok(values.sum(&[axis], false)?.negate()?)
    }
}
