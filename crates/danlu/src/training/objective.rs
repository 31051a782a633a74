//! What the outputs of a model are trained for and judged by.

use crate::losses::{IntoLoss, Loss};
use crate::metrics::{IntoMetric, Metric, counted};
use crate::{Error, Result};

/// What one output of a model is trained for: a loss with its weight, and metrics. See [`Model::compile_outputs`].
///
/// [`Model::compile_outputs`]: crate::Model::compile_outputs
#[derive(Debug)]
#[must_use]
pub struct Objective {
    loss: Result<Option<Loss>>,
    weight: f64,
    metrics: Vec<Result<Metric>>,
    weighted_metrics: Vec<Result<Metric>>,
}

impl Objective {
    /// A loss, by name or value. What is wrong with it is reported when the model is compiled.
    pub fn new(loss: impl IntoLoss) -> Objective {
        Objective {
            loss: loss.into_loss().map(Some),
            ..Objective::none()
        }
    }

    /// No loss: metrics alone may be looked at.
    pub fn none() -> Objective {
        Objective {
            loss: Ok(None),
            weight: 1.0,
            metrics: Vec::new(),
            weighted_metrics: Vec::new(),
        }
    }

    /// The factor of the output's loss in the sum that is trained (Keras' `loss_weights`). Default 1.
    pub fn weight(mut self, weight: f64) -> Objective {
        self.weight = weight;
        self
    }

    /// Metrics that sample weights do not touch.
    pub fn metrics<M: IntoMetric>(mut self, metrics: impl IntoIterator<Item = M>) -> Objective {
        let metrics = metrics.into_iter().map(IntoMetric::into_metric);
        self.metrics.extend(metrics);
        self
    }

    /// Metrics that sample weights touch.
    pub fn weighted_metrics<M: IntoMetric>(
        mut self,
        metrics: impl IntoIterator<Item = M>,
    ) -> Objective {
        let metrics = metrics.into_iter().map(IntoMetric::into_metric);
        self.weighted_metrics.extend(metrics);
        self
    }

    /// The same, checked, for an output of this name.
    pub(crate) fn resolve(self, output: &str) -> Result<OutputObjective> {
        if !(self.weight.is_finite() && self.weight >= 0.0) {
            return Err(Error::argument(
                format!("the objective of output `{output}`"),
                "weight",
                "a number that is not negative",
                self.weight.to_string(),
            ));
        }
        let metrics = self.metrics.into_iter().collect::<Result<Vec<Metric>>>()?;
        let weighted = self.weighted_metrics.into_iter();
        let weighted = weighted.collect::<Result<Vec<Metric>>>()?;
        let mut taken = Vec::new();
        let metrics = counted(metrics, &mut taken);
        // As in Keras: `accuracy` in both lists is `accuracy` and `weighted_accuracy`.
        let weighted = counted(weighted, &mut taken).into_iter().map(|metric| {
            match metrics.iter().any(|other| other.name() == metric.name()) {
                true => {
                    let name = format!("weighted_{}", metric.name());
                    metric.named(&name)
                }
                false => metric,
            }
        });
        let weighted = weighted.collect();
        Ok(OutputObjective {
            loss: self.loss?,
            weight: self.weight,
            metrics,
            weighted_metrics: weighted,
        })
    }
}

/// An objective as a compiled model has it.
#[derive(Debug, Default)]
pub(crate) struct OutputObjective {
    pub loss: Option<Loss>,
    pub weight: f64,
    pub metrics: Vec<Metric>,
    pub weighted_metrics: Vec<Metric>,
}

impl OutputObjective {
    /// Whether the output is compared with anything.
    pub fn has_target(&self) -> bool {
        self.loss.is_some() || self.all_metrics().next().is_some()
    }

    /// The metrics, each with whether sample weights touch it.
    pub fn all_metrics(&self) -> impl Iterator<Item = (&Metric, bool)> {
        let plain = self.metrics.iter().map(|metric| (metric, false));
        plain.chain(self.weighted_metrics.iter().map(|metric| (metric, true)))
    }
}

/// Something that is reported beside the loss.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// Its key in logs and history.
    pub name: String,
    pub output: usize,
    /// Which of the output's metrics; `None` for the output's loss, which is reported where there are several outputs.
    pub metric: Option<usize>,
}

/// What is reported of these outputs, in order.
pub(super) fn entries(outputs: &[String], objectives: &[OutputObjective]) -> Vec<Entry> {
    let mut entries = Vec::new();
    let several = outputs.len() > 1;
    for (output, (name, objective)) in outputs.iter().zip(objectives).enumerate() {
        if several && objective.loss.is_some() {
            entries.push(Entry {
                name: format!("{name}_loss"),
                output,
                metric: None,
            });
        }
        for (place, (metric, _)) in objective.all_metrics().enumerate() {
            let name = match several {
                true => format!("{name}_{}", metric.name()),
                false => metric.name().to_owned(),
            };
            entries.push(Entry {
                name,
                output,
                metric: Some(place),
            });
        }
    }
    entries
}
