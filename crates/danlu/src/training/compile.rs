//! Compiling: an optimizer, a loss and metrics for a model, and what the user should know about them.

use danlu_graph::operations::Operation;
use danlu_graph::{DType, Graph, Shape, Tensor, Value};

use crate::layers::Parameter;
use crate::losses::{Expects, IntoLoss, Loss, OutputKind, output_kind};
use crate::metrics::{IntoMetric, Metric, counted};
use crate::optimizers::{
    ITERATION, IntoOptimizer, LEARNING_RATE, LearningRate, Optimizer, Trained, layout,
};
use crate::{Error, Model, Result};

use super::running::Running;

/// What `compile` gave a model.
pub(crate) struct Compiled {
    pub optimizer: Box<dyn Optimizer>,
    pub loss: Loss,
    pub metrics: Vec<Metric>,
    pub weighted_metrics: Vec<Metric>,
    /// The learning rate of now where it is a number, kept beside the executor's so that it can be read before there is
    /// any. Where it is a schedule, that of the first step.
    pub learning_rate: f64,
    /// Whether the optimizer's state is in the executor.
    pub has_state: bool,
    pub(super) running: Running,
}

impl Compiled {
    /// `loss`, then the metrics' names.
    pub fn names(&self) -> &[String] {
        self.running.names()
    }

    /// The metrics, those that sample weights do not touch first.
    pub fn all_metrics(&self) -> impl Iterator<Item = &Metric> {
        self.metrics.iter().chain(&self.weighted_metrics)
    }

    /// Makes room for the running values; how many there are may depend on the number of the model's outputs.
    pub fn prepare_running(&mut self, outputs: usize) {
        self.running = Running::new(self.all_metrics(), outputs);
    }
}

impl Model {
    /// Gives the model an optimizer, a loss and metrics, each by name or value, and builds it where the shape of its input
    /// is known. Compiling again begins with a new optimizer state; parameters stay.
    ///
    /// # Errors
    /// A name stands for nothing, an argument has a value that it cannot have, or a layer cannot be built.
    pub fn compile<M: IntoMetric>(
        &mut self,
        optimizer: impl IntoOptimizer,
        loss: impl IntoLoss,
        metrics: impl IntoIterator<Item = M>,
    ) -> Result<()> {
        let metrics = metrics.into_iter().map(IntoMetric::into_metric);
        let metrics = metrics.collect::<Result<Vec<Metric>>>()?;
        self.compile_with(optimizer, loss, metrics, Vec::new())
    }

    /// As [`compile`](Self::compile), with metrics that sample weights do not touch and metrics that they do.
    ///
    /// # Errors
    /// As [`compile`](Self::compile).
    pub fn compile_with(
        &mut self,
        optimizer: impl IntoOptimizer,
        loss: impl IntoLoss,
        metrics: Vec<Metric>,
        weighted_metrics: Vec<Metric>,
    ) -> Result<()> {
        let optimizer = optimizer.into_optimizer()?;
        optimizer.check()?;
        let loss = loss.into_loss()?;
        let mut taken = Vec::new();
        let metrics = counted(metrics, &mut taken);
        // As in Keras: `accuracy` in both lists is `accuracy` and `weighted_accuracy`.
        let weighted_metrics = counted(weighted_metrics, &mut taken)
            .into_iter()
            .map(
                |metric| match metrics.iter().any(|other| other.name() == metric.name()) {
                    true => {
                        let name = format!("weighted_{}", metric.name());
                        metric.named(&name)
                    }
                    false => metric,
                },
            )
            .collect();
        let mut compiled = Compiled {
            learning_rate: optimizer.options().learning_rate.at(0)?,
            optimizer,
            loss,
            metrics,
            weighted_metrics,
            has_state: false,
            running: Running::default(),
        };
        let names: Vec<&str> = std::iter::once("loss")
            .chain(compiled.all_metrics().map(Metric::name))
            .collect();
        if let Some(name) = (1..names.len()).find(|&place| names[..place].contains(&names[place])) {
            return Err(Error::argument(
                "compile",
                "metrics",
                "metrics of different names",
                format!("two named `{}`", names[name]),
            ));
        }
        if let Some(example) = self.input_shape().filter(|_| !self.built) {
            self.build_beside(&example, Some(&*compiled.optimizer))?;
        }
        compiled.prepare_running(self.outputs());
        self.plans.clear(self.executor.as_deref_mut());
        self.remove_optimizer_state();
        self.compiled = Some(compiled);
        self.warnings.clear();
        if self.built {
            self.warnings = self.find_warnings()?;
        }
        Ok(())
    }

    /// The learning rate of the next step, where the model is compiled.
    pub fn learning_rate(&self) -> Option<f64> {
        let compiled = self.compiled.as_ref()?;
        match &compiled.optimizer.options().learning_rate {
            LearningRate::Constant(_) => Some(compiled.learning_rate),
            schedule => schedule.at(self.iteration().ok()?).ok(),
        }
    }

    /// Sets the learning rate, also in the middle of a training.
    ///
    /// # Errors
    /// The model is not compiled, its learning rate is a schedule, or the number is negative or not finite.
    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        crate::optimizers::check_rate("set_learning_rate", "learning_rate", learning_rate)?;
        let compiled = self
            .compiled
            .as_mut()
            .ok_or_else(|| not_compiled("set_learning_rate"))?;
        if let LearningRate::Schedule(schedule) = &compiled.optimizer.options().learning_rate {
            return Err(Error::mismatch(
                "set_learning_rate",
                "an optimizer whose learning rate is a number",
                format!("the schedule {}", schedule.class_name()),
                "compile with a number as the learning rate to set it",
            ));
        }
        compiled.learning_rate = learning_rate;
        if compiled.has_state {
            let value = Tensor::scalar(learning_rate as f32);
            self.executor()?.write_state(LEARNING_RATE, &value)?;
        }
        Ok(())
    }

    /// Optimizer steps since the optimizer was made; 0 where there is none.
    ///
    /// # Errors
    /// The executor cannot give it.
    pub fn iteration(&self) -> Result<u64> {
        match (&self.compiled, &self.executor) {
            (Some(compiled), Some(executor)) if compiled.has_state => {
                let tensor = executor.read_state(ITERATION)?;
                Ok(tensor.as_i64().map_or(0, |values| values[0] as u64))
            }
            _ => Ok(0),
        }
    }

    /// The optimizer, where the model is compiled.
    pub fn optimizer(&self) -> Option<&dyn Optimizer> {
        Some(&*self.compiled.as_ref()?.optimizer)
    }

    /// The loss, where the model is compiled.
    pub fn loss(&self) -> Option<&Loss> {
        Some(&self.compiled.as_ref()?.loss)
    }

    /// `loss` and the names of the metrics, where the model is compiled. A metric that is several numbers has a name for each
    /// once the model is built: `f1_score[0]`.
    pub fn metric_names(&self) -> Vec<String> {
        match &self.compiled {
            Some(compiled) => compiled.names().to_vec(),
            None => Vec::new(),
        }
    }

    /// The size of the last axis of what the model gives; 1 where it is not known yet.
    pub(crate) fn outputs(&self) -> usize {
        let shape = self.output_shape();
        shape.and_then(|shape| shape.last().copied()).unwrap_or(1)
    }

    /// The optimizer's state with its names, in Keras' order: iteration (i64), learning rate where it is a number, then
    /// what is kept for each trained parameter. Empty where nothing was trained yet.
    ///
    /// # Errors
    /// The executor cannot give it.
    pub fn optimizer_state(&self) -> Result<Vec<(String, Tensor)>> {
        let Some(executor) = &self.executor else {
            return Ok(Vec::new());
        };
        let names = self.optimizer_state_names().into_iter();
        names
            .map(|name| {
                let value = executor.read_state(&name)?;
                Ok((name, value))
            })
            .collect()
    }

    /// Sets the optimizer's state, in Keras' order, so that training goes on where it stopped.
    ///
    /// # Errors
    /// The model is not compiled or not built, or the state is that of another optimizer or model.
    pub fn set_optimizer_state(&mut self, state: &[Tensor]) -> Result<()> {
        self.ensure_optimizer_state("set_optimizer_state")?;
        let names = self.optimizer_state_names();
        let received: Vec<String> = state.iter().map(describe).collect();
        let executor = self.executor()?;
        let mut expected = Vec::new();
        for name in &names {
            expected.push(describe(&executor.read_state(name)?));
        }
        if received != expected {
            return Err(Error::mismatch(
                format!("the optimizer state of {}", self.name),
                expected.join(", "),
                received.join(", "),
                "load without the optimizer state, or compile with the optimizer that it belongs to",
            ));
        }
        for (name, value) in names.iter().zip(state) {
            executor.write_state(name, value)?;
        }
        if let (Some(compiled), Some(place)) = (
            &mut self.compiled,
            names.iter().position(|name| name == LEARNING_RATE),
        ) {
            compiled.learning_rate = state[place].get_f64(0);
        }
        Ok(())
    }

    /// As [`set_optimizer_state`](Self::set_optimizer_state), from the names of [`optimizer_state`](Self::optimizer_state) in
    /// any order.
    ///
    /// # Errors
    /// As there; a name is missing.
    pub fn set_named_optimizer_state(&mut self, state: &[(String, Tensor)]) -> Result<()> {
        self.ensure_optimizer_state("set_named_optimizer_state")?;
        let named = |name: String| match state.iter().find(|(given, _)| *given == name) {
            Some((_, value)) => Ok(value.clone()),
            None => Err(Error::mismatch(
                format!("the optimizer state of {}", self.name),
                name,
                "nothing of this name",
                "the state is that of another optimizer or model",
            )),
        };
        let names = self.optimizer_state_names().into_iter();
        let ordered = names.map(named).collect::<Result<Vec<Tensor>>>()?;
        self.set_optimizer_state(&ordered)
    }

    /// The parameters that training changes.
    pub(crate) fn trained(&self) -> Vec<Trained> {
        let parameters = self.trained_parameters().into_iter();
        parameters
            .map(|(name, p)| Trained {
                name,
                shape: p.shape.clone(),
            })
            .collect()
    }

    /// The parameters that training changes, with their state's name.
    pub(super) fn trained_parameters(&self) -> Vec<(String, &Parameter)> {
        let trainable = self.nodes.iter().filter(|node| node.trainable);
        let parameters = trainable.flat_map(|node| node.states());
        parameters.filter(|(_, p)| p.trainable).collect()
    }

    pub(crate) fn optimizer_state_names(&self) -> Vec<String> {
        let Some(compiled) = self.compiled.as_ref().filter(|compiled| compiled.has_state) else {
            return Vec::new();
        };
        let states = layout(&*compiled.optimizer, &self.trained());
        states.into_iter().map(|state| state.name).collect()
    }

    pub(crate) fn ensure_optimizer_state(&mut self, action: &'static str) -> Result<()> {
        self.require_built(action)?;
        let trained = self.trained();
        self.executor()?;
        let compiled = self.compiled.as_mut().ok_or_else(|| not_compiled(action))?;
        let Some(executor) = self.executor.as_deref_mut().filter(|_| !compiled.has_state) else {
            return Ok(());
        };
        for state in layout(&*compiled.optimizer, &trained) {
            let start = match state.name == LEARNING_RATE {
                true => Tensor::scalar(compiled.learning_rate as f32),
                false => state.start(executor)?,
            };
            executor.create_state(&state.name, &start)?;
        }
        compiled.has_state = true;
        Ok(())
    }

    pub(crate) fn remove_optimizer_state(&mut self) {
        let names = self.optimizer_state_names();
        if let Some(compiled) = &mut self.compiled {
            compiled.has_state = false;
        }
        if let Some(executor) = self.executor.as_deref_mut() {
            for name in names {
                // A state that a plan still uses stays where it is and is overwritten by the next optimizer's.
                let _ = executor.remove_state(&name);
            }
        }
    }

    /// What the loss expects of the model's output, against what the model gives.
    pub(super) fn find_warnings(&self) -> Result<Vec<String>> {
        let (Some(compiled), Some(example)) = (&self.compiled, self.input_shape()) else {
            return Ok(Vec::new());
        };
        let Some(expects) = compiled.loss.function().expects() else {
            return Ok(Vec::new());
        };
        let graph = Graph::new();
        let input = graph.input("x", Shape::batch_of(&example), DType::F32)?;
        let output = self.forward(&graph, &input, false, None)?;
        let loss = compiled.loss.function().class_name();
        let last = self.nodes.last().map_or("", |node| node.name.as_str());
        let direct = output_kind(&output);
        let warning = match (expects, direct, behind_movement(&output)) {
            (Expects::Logits, OutputKind::Softmax | OutputKind::Sigmoid, _) => Some(format!(
                "the model ends in {} (layer `{last}`), but the loss {loss} was given from_logits=true, which expects \
                 logits. It is computed on what stands before the {0}, as Keras does, so training is right. To say what \
                 you mean, use {loss} without from_logits, or make the last activation linear.",
                kind_name(direct),
            )),
            (Expects::Logits, OutputKind::Other, OutputKind::Softmax | OutputKind::Sigmoid) => {
                Some(format!(
                    "the model's output is a {}, but the loss {loss} was given from_logits=true: it takes the probabilities \
                 for logits, and training will be poor. Use {loss} without from_logits.",
                    kind_name(behind_movement(&output)),
                ))
            }
            (
                Expects::Softmax | Expects::Sigmoid | Expects::Probabilities(_),
                _,
                OutputKind::Other,
            ) => {
                let activation = match expects {
                    Expects::Sigmoid => "sigmoid",
                    Expects::Probabilities(activation) => activation,
                    _ => "softmax",
                };
                Some(format!(
                    "the loss {loss} expects probabilities, but layer `{last}` gives numbers of any size (logits): they \
                     are cut to between 0 and 1, and training will be poor. Use {loss} with from_logits=true, or give the \
                     last layer the activation {activation}.",
                ))
            }
            (Expects::Softmax, OutputKind::Sigmoid, _) => Some(format!(
                "the model ends in sigmoid (layer `{last}`), but the loss {loss} is computed on what stands before it as \
                 if a softmax followed, as Keras does. Use the activation softmax, or the loss BinaryCrossentropy.",
            )),
            (Expects::Sigmoid, OutputKind::Softmax, _) => Some(format!(
                "the model ends in softmax (layer `{last}`), but the loss {loss} is computed on what stands before it as \
                 if a sigmoid followed, as Keras does. Use the activation sigmoid, or a categorical cross-entropy.",
            )),
            _ => None,
        };
        Ok(warning.into_iter().collect())
    }
}

fn kind_name(kind: OutputKind) -> &'static str {
    match kind {
        OutputKind::Softmax => "softmax",
        OutputKind::Sigmoid => "sigmoid",
        OutputKind::Other => "other operation",
    }
}

/// What made the elements of an output that was only reshaped since.
fn behind_movement(output: &Value) -> OutputKind {
    let mut value = output.clone();
    while let Operation::Reshape(_) | Operation::Transpose(_) = value.operation() {
        match value.inputs().into_iter().next() {
            Some(input) => value = input,
            None => break,
        }
    }
    output_kind(&value)
}

fn describe(tensor: &Tensor) -> String {
    format!("{} {:?}", tensor.dtype(), tensor.shape())
}

/// An error about a model without a loss.
pub(super) fn not_compiled(action: &'static str) -> Error {
    Error::NotReady {
        action,
        problem: "the model is not compiled".to_owned(),
        advice: "call compile(optimizer, loss, metrics) first".to_owned(),
    }
}
