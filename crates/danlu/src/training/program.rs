//! The programs of a model: a training step, a test step, a prediction.

use danlu_graph::operations::Operation;
use danlu_graph::{DType, Dim, Graph, Program, Shape, Value, gradients};

use crate::layers::{Effects, RandomInputs};
use crate::optimizers::{self, ITERATION, Trained};
use crate::{Error, Model, Result};

/// The path of what makes the optimizer's new values: `optimizer`, then the parameter's layer and name.
pub(super) const OPTIMIZER: &str = "optimizer";

/// What a program does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Forward, backward, clipping, optimizer, loss and metrics.
    Train,
    /// Forward as in training, loss and metrics, and, as its last outputs, the gradients of the parameters that train.
    Gradient,
    /// Forward, loss and metrics.
    Test,
    /// Forward.
    Predict,
}

impl Mode {
    /// Whether layers do what they do in training.
    pub fn trains(self) -> bool {
        matches!(self, Mode::Train | Mode::Gradient)
    }
}

/// What decides a program, beside the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    pub mode: Mode,
    /// The target's example shape and dtype.
    pub target: Option<(Vec<usize>, DType)>,
    /// Whether examples have weights.
    pub weighted: bool,
}

/// What a batch adds to a metric, or a part of it.
#[derive(Clone, Debug)]
pub(crate) enum Added {
    /// A number of elements.
    Elements(Dim),
    /// An output of the program.
    Output(usize),
}

/// A program with where to find what in its outputs. Output 0 is the loss, or the prediction.
pub(crate) struct StepProgram {
    pub program: Program,
    /// What a batch adds to each metric.
    pub metrics: Vec<Vec<Added>>,
}

impl Model {
    /// Inputs, in order: `x`, `y`, `sample_weight`, then, in training, `seed` and `first_example`.
    pub(crate) fn step_program(&self, signature: &Signature) -> Result<StepProgram> {
        let example = self.input_shape().unwrap_or_default();
        let graph = Graph::new();
        let x = graph.input("x", Shape::batch_of(&example), DType::F32)?;
        let mut inputs = vec![x.clone()];
        let (Some((target, dtype)), false) = (&signature.target, signature.mode == Mode::Predict)
        else {
            let y = self.forward(&graph, &x, false, None)?;
            let program = Program::new(&graph, &[&x], &[("y", &y)], &[])?;
            let metrics = Vec::new();
            return Ok(StepProgram { program, metrics });
        };
        let y_true = graph.input("y", Shape::batch_of(target), *dtype)?;
        inputs.push(y_true.clone());
        let weights = match signature.weighted {
            true => Some(graph.input("sample_weight", Shape::batch_of(&[]), DType::F32)?),
            false => None,
        };
        inputs.extend(weights.clone());
        let training = signature.mode.trains();
        let random = match training {
            true => Some(RandomInputs {
                seed: graph.input("seed", Shape::scalar(), DType::I64)?,
                step: graph.state(ITERATION, &[], DType::I64)?,
                first_example: graph.input("first_example", Shape::scalar(), DType::I64)?,
            }),
            false => None,
        };
        if let Some(random) = &random {
            inputs.push(random.seed.clone());
            inputs.push(random.first_example.clone());
        }
        let effects = Effects::default();
        let y_pred = self.forward_with(&graph, &x, training, random.as_ref(), &effects)?;
        let mut outputs: Vec<(String, Value)> = Vec::new();
        let loss = self.add_loss(&graph, &y_true, &y_pred, weights.as_ref())?;
        let loss = self.add_penalties(&graph, loss, &effects)?;
        outputs.push(("loss".to_owned(), loss.clone()));
        let metrics = self.add_metrics(&graph, &y_true, &y_pred, weights.as_ref(), &mut outputs)?;
        let updates = match signature.mode {
            Mode::Train => graph.scope(OPTIMIZER, || self.add_updates(&graph, &loss))?,
            Mode::Gradient => {
                let trained = self.trained();
                let values = parameters(&graph, &trained)?;
                let names = trained
                    .iter()
                    .map(|one| format!("gradient of {}", one.name));
                let all = gradients(&loss, &values.iter().collect::<Vec<_>>())?;
                outputs.extend(names.zip(all));
                Vec::new()
            }
            Mode::Test | Mode::Predict => Vec::new(),
        };
        let updates = updates.into_iter().chain(effects.updates.into_inner());
        let updates: Vec<(String, Value)> = updates.collect();
        let inputs: Vec<&Value> = inputs.iter().collect();
        let outputs: Vec<(&str, &Value)> = outputs
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        let updates: Vec<(&str, &Value)> = updates
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        let program = Program::new(&graph, &inputs, &outputs, &updates)?;
        Ok(StepProgram { program, metrics })
    }

    fn add_loss(
        &self,
        graph: &Graph,
        y_true: &Value,
        y_pred: &Value,
        weights: Option<&Value>,
    ) -> Result<Value> {
        let compiled = self.require_compiled("fit")?;
        let loss = graph.scope("loss", || compiled.loss.reduce(y_true, y_pred, weights))?;
        if loss.shape().rank() != 0 || !loss.dtype().is_float() {
            let name = compiled.loss.function().name();
            let received = loss.value_type().to_string();
            return Err(Error::mismatch(name, "one float", received, ""));
        }
        Ok(loss)
    }

    /// The loss with what layers added to it and the penalties on the parameters that training changes (as Keras reports it,
    /// also in evaluation).
    fn add_penalties(&self, graph: &Graph, loss: Value, effects: &Effects) -> Result<Value> {
        let mut losses = effects.losses.borrow().clone();
        for (name, parameter) in self.trained_parameters() {
            if let Some(regularizer) = &parameter.regularizer {
                let value = graph.state(&name, &parameter.shape, DType::F32)?;
                losses.push(graph.scope(&name, || regularizer.penalty(&value))?);
            }
        }
        let mut loss = loss;
        for added in losses {
            loss = loss.add(&added.cast(loss.dtype())?)?;
        }
        Ok(loss)
    }

    fn add_metrics(
        &self,
        graph: &Graph,
        y_true: &Value,
        y_pred: &Value,
        weights: Option<&Value>,
        outputs: &mut Vec<(String, Value)>,
    ) -> Result<Vec<Vec<Added>>> {
        let compiled = self.require_compiled("fit")?;
        let plain = compiled.metrics.iter().map(|metric| (metric, None));
        let weighted = compiled
            .weighted_metrics
            .iter()
            .map(|metric| (metric, weights));
        let mut metrics = Vec::new();
        for (metric, weights) in plain.chain(weighted) {
            let name = metric.name();
            let totals = graph.scope(name, || metric.totals(y_true, y_pred, weights))?;
            let mut added = Vec::new();
            for (index, total) in totals.into_iter().enumerate() {
                if let Operation::DimensionSize(size) = total.operation() {
                    // The host knows it.
                    added.push(Added::Elements(size.dim));
                    continue;
                }
                added.push(Added::Output(outputs.len()));
                outputs.push((format!("{name}/{index}"), total));
            }
            metrics.push(added);
        }
        Ok(metrics)
    }

    fn add_updates(&self, graph: &Graph, loss: &Value) -> Result<Vec<(String, Value)>> {
        let optimizer = &self.require_compiled("fit")?.optimizer;
        let trained = self.trained();
        let values = parameters(graph, &trained)?;
        let with_respect_to: Vec<&Value> = values.iter().collect();
        let loss = match optimizer.options().loss_scale_factor {
            Some(scale) => loss.multiply_scalar(scale)?,
            None => loss.clone(),
        };
        let raw = gradients(&loss, &with_respect_to)?;
        let mut updates = optimizers::updates(&**optimizer, graph, &trained, &values, &raw)?;
        // As in Keras, after all that the optimizer does.
        for (name, declared) in self.trained_parameters() {
            let Some(constraint) = &declared.constraint else {
                continue;
            };
            for (_, value) in updates.iter_mut().filter(|(state, _)| *state == name) {
                *value = graph.scope(&name, || constraint.apply(value))?;
            }
        }
        Ok(updates)
    }

    pub(super) fn require_compiled(&self, action: &'static str) -> Result<&super::Compiled> {
        let compiled = self.compiled.as_ref();
        compiled.ok_or_else(|| super::compile::not_compiled(action))
    }

    /// The shape and dtype of one example's target, as the loss takes it.
    pub(super) fn target(&self, action: &'static str) -> Result<(Vec<usize>, DType)> {
        let loss = &self.require_compiled(action)?.loss;
        let output = self.output_shape().unwrap_or_default();
        Ok(match loss.function().takes_class_indices() {
            true => (
                output[..output.len().saturating_sub(1)].to_vec(),
                DType::I32,
            ),
            false => (output, DType::F32),
        })
    }

    /// The program of a training step, or of a prediction, as text that a person can read: one line an operation, with its
    /// shape and layer.
    ///
    /// # Errors
    /// The model is not built, or, for a training step, not compiled.
    pub fn graph_text(&self, training: bool) -> Result<String> {
        self.require_built("graph_text")?;
        let signature = match training {
            true => Signature {
                mode: Mode::Train,
                target: Some(self.target("graph_text")?),
                weighted: false,
            },
            false => Signature {
                mode: Mode::Predict,
                target: None,
                weighted: false,
            },
        };
        let mut program = self.step_program(&signature)?.program;
        danlu_graph::rewrite::optimize(&mut program)?;
        Ok(program.to_string())
    }
}

/// The values of parameters.
fn parameters(graph: &Graph, trained: &[Trained]) -> Result<Vec<Value>> {
    let values = trained.iter();
    values
        .map(|one| Ok(graph.state(&one.name, &one.shape, DType::F32)?))
        .collect()
}
