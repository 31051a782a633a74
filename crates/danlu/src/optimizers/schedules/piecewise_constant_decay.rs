//! Constant rates in pieces.

use danlu_graph::{DType, Value};

use super::Schedule;
use crate::optimizers::check_rate;
use crate::{Arguments, Config, Error, Result, config};

/// The first of `values` up to and with the step of the first boundary, the second up to and with that of the second, and so
/// on; the last behind the last boundary (Keras).
#[derive(Clone, Debug)]
pub struct PiecewiseConstantDecay {
    boundaries: Vec<i64>,
    values: Vec<f64>,
}

impl PiecewiseConstantDecay {
    /// Boundaries, each above the one before, and one value more than there are boundaries.
    pub fn new(
        boundaries: impl IntoIterator<Item = i64>,
        values: impl IntoIterator<Item = f64>,
    ) -> PiecewiseConstantDecay {
        PiecewiseConstantDecay {
            boundaries: boundaries.into_iter().collect(),
            values: values.into_iter().collect(),
        }
    }
}

impl Schedule for PiecewiseConstantDecay {
    fn class_name(&self) -> &str {
        "PiecewiseConstantDecay"
    }
    fn from_config(arguments: &mut Arguments) -> Result<PiecewiseConstantDecay> {
        let boundaries = arguments.integers("boundaries")?;
        let boundaries = arguments.required("boundaries", boundaries)?;
        let values = arguments.numbers("values")?;
        let values = arguments.required("values", values)?;
        Ok(PiecewiseConstantDecay { boundaries, values })
    }
    fn config(&self) -> Config {
        config! { "boundaries": self.boundaries, "values": self.values }
    }
    fn rate(&self, iteration: &Value) -> Result<Value> {
        let graph = iteration.graph();
        let mut pieces = self.values.iter().rev();
        let last = pieces.next().copied().unwrap_or(0.0);
        let mut rate = graph.scalar(last, DType::F32)?;
        for (boundary, value) in self.boundaries.iter().rev().zip(pieces) {
            let boundary = graph.constant(danlu_graph::Tensor::from_i64(&[], vec![*boundary])?)?;
            let value = graph.scalar(*value, DType::F32)?;
            rate = iteration.less_equal(&boundary)?.select(&value, &rate)?;
        }
        Ok(rate)
    }
    fn check(&self) -> Result<()> {
        let owner = "PiecewiseConstantDecay";
        if self.values.len() != self.boundaries.len() + 1 || self.boundaries.is_empty() {
            let expected = "at least one boundary, and one value more than boundaries";
            let received = format!(
                "{} boundaries and {} values",
                self.boundaries.len(),
                self.values.len()
            );
            return Err(Error::argument(owner, "values", expected, received));
        }
        if self.boundaries.windows(2).any(|pair| pair[0] >= pair[1]) {
            let received = format!("{:?}", self.boundaries);
            return Err(Error::argument(
                owner,
                "boundaries",
                "each above the one before",
                received,
            ));
        }
        let mut values = self.values.iter();
        values.try_for_each(|value| check_rate(owner, "values", *value))
    }
}
