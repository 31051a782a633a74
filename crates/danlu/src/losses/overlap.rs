//! Overlap of what is there with what is found, as segmentations are judged.

use danlu_graph::Value;
use serde_json::json;

use super::terms::{in_range, one_minus};
use super::{EPSILON, FromConfig, LossFunction, align};
use crate::{Arguments, Config, Error, Result, config};

/// `1 - 2 sum(y p) / (sum y + sum p + 1e-7)` over axes (Keras' `Dice`).
///
/// Without `axis`, one number for the whole batch, as Keras has it.
#[derive(Clone, Debug, Default)]
pub struct Dice {
    axis: Axes,
}

/// `1 - sum(y p) / (sum(y p) + alpha sum((1 - p) y) + beta sum(p (1 - y)) + 1e-7)` over axes (Keras' `Tversky`; Salehi et al.
/// 2017, arXiv:1706.05721): [`Dice`], where both are 0.5.
///
/// Without `axis`, one number for the whole batch, as Keras has it.
#[derive(Clone, Debug)]
pub struct Tversky {
    alpha: f64,
    beta: f64,
    axis: Axes,
}

/// No axes (all of the batch), one, or a list: a file keeps which.
#[derive(Clone, Debug, Default)]
enum Axes {
    #[default]
    All,
    One(isize),
    List(Vec<isize>),
}

impl Axes {
    fn read(arguments: &mut Arguments) -> Result<Axes> {
        match arguments.take("axis") {
            None => Ok(Axes::All),
            Some(value) => {
                let as_axis = |value: &serde_json::Value| value.as_i64().map(|axis| axis as isize);
                let list = value.as_array();
                let list =
                    list.map(|list| list.iter().map(as_axis).collect::<Option<Vec<isize>>>());
                match (as_axis(&value), list) {
                    (Some(axis), _) => Ok(Axes::One(axis)),
                    (None, Some(Some(axes))) if !axes.is_empty() => Ok(Axes::List(axes)),
                    _ => Err(arguments.wrong("axis", "an axis, or a list of axes", &value)),
                }
            }
        }
    }

    fn json(&self) -> serde_json::Value {
        match self {
            Axes::All => json!(null),
            Axes::One(axis) => json!(axis),
            Axes::List(axes) => json!(axes),
        }
    }

    /// The axes of a value. All, or such as leave the examples apart: anything between would be weighted wrongly.
    fn of(&self, owner: &str, value: &Value) -> Result<Vec<isize>> {
        let rank = value.shape().rank();
        let given = match self {
            Axes::All => return Ok((0..rank as isize).collect()),
            Axes::One(axis) => vec![*axis],
            Axes::List(axes) => axes.clone(),
        };
        let mut places = given
            .iter()
            .map(|&axis| value.shape().axis(axis).ok())
            .collect::<Option<Vec<usize>>>();
        if let Some(places) = &mut places {
            places.sort_unstable();
            places.dedup();
        }
        match places {
            Some(places) if places.first() != Some(&0) || places.len() == rank => Ok(given),
            _ => {
                let expected =
                    format!("all of the {rank} axes, or some without that of the examples, 0");
                Err(Error::argument(owner, "axis", expected, self.json()))
            }
        }
    }
}

impl Dice {
    /// Over the whole batch.
    pub fn new() -> Dice {
        Dice::default()
    }

    /// The axes that are summed over. Default: all.
    #[must_use]
    pub fn axis(mut self, axis: &[isize]) -> Dice {
        self.axis = Axes::List(axis.to_vec());
        self
    }
}

impl Tversky {
    /// Over the whole batch, with alpha and beta 0.5.
    pub fn new() -> Tversky {
        Tversky {
            alpha: 0.5,
            beta: 0.5,
            axis: Axes::All,
        }
    }

    /// The weight of what is there and was not found, 0 or above. Default 0.5.
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> Tversky {
        self.alpha = alpha;
        self
    }

    /// The weight of what was found and is not there, 0 or above. Default 0.5.
    #[must_use]
    pub fn beta(mut self, beta: f64) -> Tversky {
        self.beta = beta;
        self
    }

    /// The axes that are summed over. Default: all.
    #[must_use]
    pub fn axis(mut self, axis: &[isize]) -> Tversky {
        self.axis = Axes::List(axis.to_vec());
        self
    }

    fn check(&self) -> Result<()> {
        let fits = |weight: f64| weight >= 0.0 && weight.is_finite();
        in_range(
            "Tversky",
            "alpha",
            self.alpha,
            "a number of 0 or above",
            fits,
        )?;
        in_range("Tversky", "beta", self.beta, "a number of 0 or above", fits)
    }
}

impl Default for Tversky {
    fn default() -> Tversky {
        Tversky::new()
    }
}

impl FromConfig for Dice {
    fn from_config(arguments: &mut Arguments) -> Result<Dice> {
        let axis = Axes::read(arguments)?;
        Ok(Dice { axis })
    }
}

impl FromConfig for Tversky {
    fn from_config(arguments: &mut Arguments) -> Result<Tversky> {
        let loss = Tversky {
            alpha: arguments.number("alpha")?.unwrap_or(0.5),
            beta: arguments.number("beta")?.unwrap_or(0.5),
            axis: Axes::read(arguments)?,
        };
        loss.check()?;
        Ok(loss)
    }
}

impl LossFunction for Dice {
    fn class_name(&self) -> &str {
        "Dice"
    }
    fn name(&self) -> &str {
        "dice"
    }
    fn config(&self) -> Config {
        config! { "axis": self.axis.json() }
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        let (y_true, p) = align(self.name(), y_true, y_pred)?;
        let axes = self.axis.of(self.class_name(), &p)?;
        let y = y_true.cast(p.dtype())?;
        let both = y.multiply(&p)?.sum(&axes, false)?.multiply_scalar(2.0)?;
        let all = y.sum(&axes, false)?.add(&p.sum(&axes, false)?)?;
        one_minus(&both.divide(&all.add_scalar(EPSILON)?)?)
    }
}

impl LossFunction for Tversky {
    fn class_name(&self) -> &str {
        "Tversky"
    }
    fn name(&self) -> &str {
        "tversky"
    }
    fn config(&self) -> Config {
        config! { "alpha": self.alpha, "beta": self.beta, "axis": self.axis.json() }
    }
    fn values(&self, y_true: &Value, y_pred: &Value) -> Result<Value> {
        self.check()?;
        let (y_true, p) = align(self.name(), y_true, y_pred)?;
        let axes = self.axis.of(self.class_name(), &p)?;
        let y = y_true.cast(p.dtype())?;
        let both = y.multiply(&p)?.sum(&axes, false)?;
        let missed = one_minus(&p)?.multiply(&y)?.sum(&axes, false)?;
        let invented = one_minus(&y)?.multiply(&p)?.sum(&axes, false)?;
        let wrong = missed
            .multiply_scalar(self.alpha)?
            .add(&invented.multiply_scalar(self.beta)?)?;
        one_minus(&both.divide(&both.add(&wrong)?.add_scalar(EPSILON)?)?)
    }
}
