//! The programs of a model: a training step, a test step, a prediction.

use danlu_graph::operations::Operation;
use danlu_graph::{DType, Dim, Graph, Program, Shape, Value, gradients};

use super::objective::OutputObjective;
use crate::callbacks::GRADIENT_NORM;
use crate::layers::{Effects, RandomInputs};
use crate::optimizers::{self, ITERATION, Trained};
use crate::{Error, Model, Result};

/// The path of what makes the optimizer's new values: `optimizer`, then the parameter's layer and name.
pub(crate) const OPTIMIZER: &str = "optimizer";

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

/// The shape of one example's target, and its dtype.
pub(crate) type TargetType = (Vec<usize>, DType);

/// What decides a program, beside the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    pub mode: Mode,
    /// For each output, its target's example shape and dtype, where it is compared with one.
    pub targets: Vec<Option<TargetType>>,
    /// For each output, which array of sample weights is its, where one is.
    pub weights: Vec<Option<usize>>,
    /// Whether the last output of a training step is the norm of the gradient.
    pub gradient_norm: bool,
}

impl Signature {
    /// A prediction.
    pub fn predict() -> Signature {
        Signature {
            mode: Mode::Predict,
            targets: Vec::new(),
            weights: Vec::new(),
            gradient_norm: false,
        }
    }

    /// The number of arrays of sample weights.
    pub fn weight_arrays(&self) -> usize {
        let count = self.weights.iter().flatten().map(|place| place + 1);
        count.max().unwrap_or(0)
    }
}

/// What a batch adds to a metric, or a part of it.
#[derive(Clone, Debug)]
pub(crate) enum Added {
    /// A number of elements.
    Elements(Dim),
    /// An output of the program.
    Output(usize),
}

/// A program with where to find what in its outputs. Output 0 is the loss; or they are the predictions.
pub(crate) struct StepProgram {
    pub program: Program,
    /// What a batch adds to each [entry](super::objective::Entry).
    pub entries: Vec<Vec<Added>>,
}

/// The new values of states.
type Updates = Vec<(String, Value)>;

/// What a step computes, as values that more can be made of.
pub(crate) struct StepGraph {
    pub graph: Graph,
    /// In the order in which a program takes them.
    pub inputs: Vec<Value>,
    /// Loss and what is reported, then, of a gradient step, the gradients.
    pub outputs: Vec<(String, Value)>,
    /// The new values of states.
    pub updates: Vec<(String, Value)>,
    /// What a batch adds to each [entry](super::objective::Entry).
    pub entries: Vec<Vec<Added>>,
    /// The model's outputs.
    pub predictions: Vec<Value>,
    /// The loss without penalties.
    pub data_loss: Value,
}

/// What an output is compared with.
struct Compared<'a> {
    name: &'a str,
    objective: &'a OutputObjective,
    target: Value,
    prediction: Value,
    weights: Option<Value>,
}

impl Model {
    /// Inputs, in order: the model's, the targets of the outputs that have one, the arrays of sample weights, then, in training,
    /// `seed` and `first_example`.
    pub(crate) fn step_program(&self, signature: &Signature) -> Result<StepProgram> {
        if signature.mode == Mode::Predict {
            return self.prediction_program();
        }
        let step = self.step_graph(signature)?;
        let inputs: Vec<&Value> = step.inputs.iter().collect();
        let program = Program::new(
            &step.graph,
            &inputs,
            &named(&step.outputs),
            &named(&step.updates),
        )?;
        let entries = step.entries;
        Ok(StepProgram { program, entries })
    }

    fn prediction_program(&self) -> Result<StepProgram> {
        let graph = Graph::new();
        let inputs = self.graph_inputs(&graph)?;
        let predictions = self.forward(&graph, &inputs, false, None)?;
        let names = self.output_names();
        let outputs: Vec<(&str, &Value)> = match predictions.as_slice() {
            [only] => vec![("y", only)],
            several => names.iter().map(String::as_str).zip(several).collect(),
        };
        let inputs: Vec<&Value> = inputs.iter().collect();
        let program = Program::new(&graph, &inputs, &outputs, &[])?;
        let entries = Vec::new();
        Ok(StepProgram { program, entries })
    }

    /// What a step computes; of a prediction there is no such graph.
    pub(crate) fn step_graph(&self, signature: &Signature) -> Result<StepGraph> {
        let graph = Graph::new();
        let x = self.graph_inputs(&graph)?;
        let mut inputs = x.clone();
        let names = self.output_names();
        let several = names.len() > 1;
        let mut targets = Vec::new();
        for (target, name) in signature.targets.iter().zip(&names) {
            let Some((shape, dtype)) = target else {
                targets.push(None);
                continue;
            };
            let name = match several {
                true => format!("y/{name}"),
                false => "y".to_owned(),
            };
            let target = graph.input(&name, Shape::batch_of(shape), *dtype)?;
            inputs.push(target.clone());
            targets.push(Some(target));
        }
        let mut weights = Vec::new();
        for place in 0..signature.weight_arrays() {
            let name = match place {
                0 => "sample_weight".to_owned(),
                place => format!("sample_weight_{place}"),
            };
            weights.push(graph.input(&name, Shape::batch_of(&[]), DType::F32)?);
        }
        inputs.extend(weights.iter().cloned());
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
        let predictions = self.forward_with(&graph, &x, training, random.as_ref(), &effects)?;
        let objectives = &self.require_compiled("fit")?.objectives;
        let mut compared: Vec<Option<Compared>> = Vec::new();
        for (place, (objective, prediction)) in objectives.iter().zip(&predictions).enumerate() {
            let prediction = prediction.clone();
            let target = targets.get(place).cloned().flatten();
            compared.push(target.map(|target| Compared {
                name: &names[place],
                objective,
                target,
                prediction,
                weights: signature.weights[place].map(|array| weights[array].clone()),
            }));
        }
        let mut outputs: Vec<(String, Value)> = Vec::new();
        let losses = add_losses(&graph, &compared, several)?;
        let data_loss = total(&compared, &losses)?;
        let loss = self.add_penalties(&graph, data_loss.clone(), &effects)?;
        outputs.push(("loss".to_owned(), loss.clone()));
        let entries = self.add_entries(&graph, &compared, &losses, &mut outputs)?;
        let updates = match signature.mode {
            Mode::Train if self.lbfgs().is_some() => {
                self.check_lbfgs()?;
                let slopes = self.add_gradients(&graph, &loss, &mut outputs)?;
                if signature.gradient_norm {
                    let norm = norm_of(&graph, &slopes)?;
                    outputs.push((GRADIENT_NORM.to_owned(), norm));
                }
                Vec::new()
            }
            Mode::Train => {
                let (updates, norm) = graph.scope(OPTIMIZER, || {
                    self.add_updates(&graph, &loss, signature.gradient_norm)
                })?;
                outputs.extend(norm.map(|norm| (GRADIENT_NORM.to_owned(), norm)));
                updates
            }
            Mode::Gradient => {
                self.add_gradients(&graph, &loss, &mut outputs)?;
                Vec::new()
            }
            Mode::Test | Mode::Predict => Vec::new(),
        };
        let own = effects.updates.into_inner().into_iter();
        let own = own.map(|update| (update.state, update.value));
        let updates: Vec<(String, Value)> = updates.into_iter().chain(own).collect();
        drop(compared);
        Ok(StepGraph {
            graph,
            inputs,
            outputs,
            updates,
            entries,
            predictions,
            data_loss,
        })
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

    /// The outputs that are reported.
    fn add_entries(
        &self,
        graph: &Graph,
        compared: &[Option<Compared>],
        losses: &[Option<Value>],
        outputs: &mut Vec<(String, Value)>,
    ) -> Result<Vec<Vec<Added>>> {
        let compiled = self.require_compiled("fit")?;
        let mut entries = Vec::new();
        for entry in &compiled.entries {
            let name = &entry.name;
            let mut added = Vec::new();
            match (&compared[entry.output], entry.metric) {
                (Some(one), Some(place)) => {
                    let metric = one.objective.all_metrics().nth(place);
                    let Some((metric, weighted)) = metric else {
                        continue;
                    };
                    let weights = one.weights.as_ref().filter(|_| weighted);
                    let totals = || metric.totals(&one.target, &one.prediction, weights);
                    for (index, total) in graph.scope(name, totals)?.into_iter().enumerate() {
                        if let Operation::DimensionSize(size) = total.operation() {
                            // The host knows it.
                            added.push(Added::Elements(size.dim));
                            continue;
                        }
                        added.push(Added::Output(outputs.len()));
                        outputs.push((format!("{name}/{index}"), total));
                    }
                }
                _ => {
                    added.push(Added::Output(outputs.len()));
                    outputs.extend(
                        losses[entry.output]
                            .clone()
                            .map(|loss| (name.clone(), loss)),
                    );
                }
            }
            entries.push(added);
        }
        Ok(entries)
    }

    /// The gradients of the parameters that train, as further outputs.
    fn add_gradients(
        &self,
        graph: &Graph,
        loss: &Value,
        outputs: &mut Vec<(String, Value)>,
    ) -> Result<Vec<Value>> {
        let trained = self.trained();
        let values = parameters(graph, &trained)?;
        let names = trained
            .iter()
            .map(|one| format!("gradient of {}", one.name));
        let slopes = gradients(loss, &values.iter().collect::<Vec<_>>())?;
        outputs.extend(names.zip(slopes.iter().cloned()));
        Ok(slopes)
    }

    /// The new values of states and, where asked for, the norm of all gradients together.
    fn add_updates(
        &self,
        graph: &Graph,
        loss: &Value,
        gradient_norm: bool,
    ) -> Result<(Updates, Option<Value>)> {
        let optimizer = &self.require_compiled("fit")?.optimizer;
        let trained = self.trained();
        let values = parameters(graph, &trained)?;
        let with_respect_to: Vec<&Value> = values.iter().collect();
        let scale = optimizer.options().loss_scale_factor;
        let loss = match scale {
            Some(scale) => loss.multiply_scalar(scale)?,
            None => loss.clone(),
        };
        let raw = gradients(&loss, &with_respect_to)?;
        let mut updates = optimizers::updates(&**optimizer, graph, &trained, &values, &raw)?;
        self.constrain(graph, &mut updates)?;
        if !gradient_norm {
            return Ok((updates, None));
        }
        let norm = norm_of(graph, &raw)?;
        let norm = match (raw.is_empty(), scale) {
            (false, Some(scale)) => norm.multiply_scalar(1.0 / scale)?,
            _ => norm,
        };
        Ok((updates, Some(norm)))
    }

    /// Brings new values of parameters to what their constraints allow.
    pub(super) fn constrain(&self, graph: &Graph, updates: &mut [(String, Value)]) -> Result<()> {
        // As in Keras, after all that the optimizer does.
        for (name, declared) in self.trained_parameters() {
            let Some(constraint) = &declared.constraint else {
                continue;
            };
            for (_, value) in updates.iter_mut().filter(|(state, _)| *state == name) {
                *value = graph.scope(&name, || constraint.apply(value))?;
            }
        }
        Ok(())
    }

    pub(super) fn require_compiled(&self, action: &'static str) -> Result<&super::Compiled> {
        let compiled = self.compiled.as_ref();
        compiled.ok_or_else(|| super::compile::not_compiled(action))
    }

    /// For each output, the shape and dtype of one example's target, as the loss takes it; `None` where it is compared with
    /// none.
    pub(super) fn targets(&self, action: &'static str) -> Result<Vec<Option<TargetType>>> {
        let objectives = self.require_compiled(action)?.objectives.iter();
        let outputs = self.output_shapes().unwrap_or_default();
        let target = |(objective, output): (&OutputObjective, Vec<usize>)| {
            let sparse = objective.loss.as_ref();
            let sparse = sparse.is_some_and(|loss| loss.function().takes_class_indices());
            objective.has_target().then(|| match sparse {
                true => (
                    output[..output.len().saturating_sub(1)].to_vec(),
                    DType::I32,
                ),
                false => (output, DType::F32),
            })
        };
        Ok(objectives.zip(outputs).map(target).collect())
    }

    /// A step on examples without weights.
    pub(super) fn plain_signature(&self, mode: Mode, action: &'static str) -> Result<Signature> {
        let targets = self.targets(action)?;
        Ok(Signature {
            mode,
            weights: vec![None; targets.len()],
            targets,
            gradient_norm: false,
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
            true => self.plain_signature(Mode::Train, "graph_text")?,
            false => Signature::predict(),
        };
        let mut program = self.step_program(&signature)?.program;
        danlu_graph::rewrite::optimize(&mut program)?;
        Ok(program.to_string())
    }
}

/// The norm of all gradients together.
fn norm_of(graph: &Graph, gradients: &[Value]) -> Result<Value> {
    match gradients.split_first() {
        Some((first, others)) => optimizers::global_norm(first, others),
        None => Ok(graph.scalar(0.0, DType::F32)?),
    }
}

/// Names and values, as a program takes them.
fn named(values: &[(String, Value)]) -> Vec<(&str, &Value)> {
    let named = values.iter();
    named.map(|(name, value)| (name.as_str(), value)).collect()
}

/// The loss of each output that has one.
fn add_losses(
    graph: &Graph,
    compared: &[Option<Compared>],
    several: bool,
) -> Result<Vec<Option<Value>>> {
    let mut losses = Vec::new();
    for one in compared {
        let Some((one, loss)) = one
            .as_ref()
            .and_then(|one| Some((one, one.objective.loss.as_ref()?)))
        else {
            losses.push(None);
            continue;
        };
        let name = match several {
            true => format!("{}_loss", one.name),
            false => "loss".to_owned(),
        };
        let reduce = || loss.reduce(&one.target, &one.prediction, one.weights.as_ref());
        let value = graph.scope(&name, reduce)?;
        if value.shape().rank() != 0 || !value.dtype().is_float() {
            let received = value.value_type().to_string();
            return Err(Error::mismatch(
                loss.function().name(),
                "one float",
                received,
                "",
            ));
        }
        losses.push(Some(value));
    }
    Ok(losses)
}

/// The outputs' losses, each times its weight, in one.
fn total(compared: &[Option<Compared>], losses: &[Option<Value>]) -> Result<Value> {
    let mut sum: Option<Value> = None;
    for (one, loss) in compared.iter().zip(losses) {
        let (Some(one), Some(loss)) = (one, loss) else {
            continue;
        };
        let loss = match one.objective.weight {
            1.0 => loss.clone(),
            weight => loss.multiply_scalar(weight)?,
        };
        sum = Some(match sum {
            Some(sum) => sum.add(&loss.cast(sum.dtype())?)?,
            None => loss,
        });
    }
    sum.ok_or_else(|| {
        let expected = "a target for one of the outputs that have a loss";
        Error::mismatch("the data", expected, "none", "")
    })
}

/// The values of parameters.
pub(crate) fn parameters(graph: &Graph, trained: &[Trained]) -> Result<Vec<Value>> {
    let values = trained.iter();
    values
        .map(|one| Ok(graph.state(&one.name, &one.shape, DType::F32)?))
        .collect()
}
