//! Binary focal cross-entropy.

use danlu_graph::Value;

use super::binary_crossentropy::{of_logits, of_probabilities};
use super::logits::logits;
use super::terms::{axis_of_example, check_smoothing, in_range, one_minus, read_axis, smoothed};
use super::{Expects, FromConfig, LossFunction, align};
use crate::{Arguments, Config, Result, config};

/// Binary cross-entropy times `(1 - p_t)^gamma`, the mean over an axis, where `p_t` is the probability that was given to
/// what is so (Keras' `BinaryFocalCrossentropy`; Lin et al. 2018, arXiv:1708.02002).
///
/// As in Keras, the cross-entropy in it is computed on logits where there are any: with `from_logits`, or before the sigmoid.
#[derive(Clone, Debug)]
pub struct BinaryFocalCrossentropy {
    apply_class_balancing: bool,
    alpha: f64,
    gamma: f64,
    from_logits: bool,
    label_smoothing: f64,
    axis: isize,
}

impl BinaryFocalCrossentropy {
    /// On probabilities, with gamma 2 and without balancing.
    pub fn new() -> BinaryFocalCrossentropy {
        BinaryFocalCrossentropy {
            apply_class_balancing: false,
            alpha: 0.25,
            gamma: 2.0,
            from_logits: false,
            label_smoothing: 0.0,
            axis: -1,
        }
    }

    /// Whether class 1 weighs `alpha` and class 0 `1 - alpha`. Default `false`.
    #[must_use]
    pub fn apply_class_balancing(mut self, apply: bool) -> BinaryFocalCrossentropy {
        self.apply_class_balancing = apply;
        self
    }

    /// The weight of class 1, from 0 to 1, where classes are balanced. Default 0.25.
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> BinaryFocalCrossentropy {
        self.alpha = alpha;
        self
    }

    /// How much easy examples count less, 0 or above. Default 2.
    #[must_use]
    pub fn gamma(mut self, gamma: f64) -> BinaryFocalCrossentropy {
        self.gamma = gamma;
        self
    }

    /// Whether predictions are logits. Default `false`.
    #[must_use]
    pub fn from_logits(mut self, from_logits: bool) -> BinaryFocalCrossentropy {
        self.from_logits = from_logits;
        self
    }

    /// From 0 to 1: targets become `y (1 - s) + s / 2`. Default 0.
    #[must_use]
    pub fn label_smoothing(mut self, label_smoothing: f64) -> BinaryFocalCrossentropy {
        self.label_smoothing = label_smoothing;
        self
    }

    /// The axis that the mean is over. Default -1.
    #[must_use]
    pub fn axis(mut self, axis: isize) -> BinaryFocalCrossentropy {
        self.axis = axis;
        self
    }

    fn check(&self) -> Result<()> {
        let owner = self.class_name();
        check_smoothing(owner, self.label_smoothing)?;
        check_gamma(owner, self.gamma)?;
        in_range(owner, "alpha", self.alpha, "from 0 to 1", |alpha| {
            (0.0..=1.0).contains(&alpha)
        })
    }
}

/// Fails unless gamma is a number of 0 or above.
pub(super) fn check_gamma(owner: &str, gamma: f64) -> Result<()> {
    let fits = |gamma: f64| gamma >= 0.0 && gamma.is_finite();
    in_range(owner, "gamma", gamma, "a number of 0 or above", fits)
}

impl Default for BinaryFocalCrossentropy {
    fn default() -> BinaryFocalCrossentropy {
        BinaryFocalCrossentropy::new()
    }
}

impl FromConfig for BinaryFocalCrossentropy {
    fn from_config(arguments: &mut Arguments) -> Result<BinaryFocalCrossentropy> {
        let balancing = arguments.boolean("apply_class_balancing")?;
        let loss = BinaryFocalCrossentropy {
            apply_class_balancing: balancing.unwrap_or(false),
            alpha: arguments.number("alpha")?.unwrap_or(0.25),
            gamma: arguments.number("gamma")?.unwrap_or(2.0),
            from_logits: arguments.boolean("from_logits")?.unwrap_or(false),
            label_smoothing: arguments.number("label_smoothing")?.unwrap_or(0.0),
            axis: read_axis(arguments)?,
        };
        loss.check()?;
        Ok(loss)
    }
}

impl LossFunction for BinaryFocalCrossentropy {
    fn class_name(&self) -> &str {
        "BinaryFocalCrossentropy"
    }
    fn name(&self) -> &str {
        "binary_focal_crossentropy"
    }
    fn config(&self) -> Config {
        config! {
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
            "axis": self.axis,
            "apply_class_balancing": self.apply_class_balancing,
            "alpha": self.alpha,
            "gamma": self.gamma,
        }
    }
    fn expects(&self) -> Option<Expects> {
        (!self.from_logits).then_some(Expects::Probabilities("sigmoid"))
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        self.check()?;
        axis_of_example(self.class_name(), self.axis, y_pred)?;
        let made;
        let probabilities = match self.from_logits {
            true => {
                made = y_pred.sigmoid()?;
                &made
            }
            false => y_pred,
        };
        let (y_true, p) = align(self.name(), y_true, probabilities)?;
        let y = smoothed(y_true.cast(p.dtype())?, self.label_smoothing, 0.5)?;
        let cross_entropy = match logits(probabilities, false) {
            Some(logits) => of_logits(&y, &logits.reshape(&p.shape())?)?,
            None => of_probabilities(&y, &p)?,
        };
        let hit = y.multiply(&p)?;
        let p_t = hit.add(&one_minus(&y)?.multiply(&one_minus(&p)?)?)?;
        let exponent = p.graph().scalar(self.gamma, p.dtype())?;
        let mut values = one_minus(&p_t)?
            .power(&exponent)?
            .multiply(&cross_entropy)?;
        if self.apply_class_balancing {
            let ones = y.multiply_scalar(self.alpha)?;
            let zeros = one_minus(&y)?.multiply_scalar(1.0 - self.alpha)?;
            values = ones.add(&zeros)?.multiply(&values)?;
        }
        Ok(values.mean(&[self.axis], false)?)
    }
}
