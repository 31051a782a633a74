//! Compiling: an optimizer, a loss and metrics for a model, and what the user should know about them.

use danlu_graph::operations::Operation;
use danlu_graph::{Graph, Tensor, Value};

use crate::layers::Parameter;
use crate::losses::{Expects, IntoLoss, Loss, OutputKind, output_kind};
use crate::metrics::{IntoMetric, Metric};
use crate::optimizers::{
    ITERATION, IntoOptimizer, LBFGS_STATE, LEARNING_RATE, LearningRate, Optimizer, Trained, layout,
};
use crate::{Error, Model, Result};

use super::LearningRateSet;
use super::objective::{Entry, Objective, OutputObjective, entries};
use super::running::Running;

/// What `compile` gave a model.
pub(crate) struct Compiled {
    pub optimizer: Box<dyn Optimizer>,
    /// What each output is trained for.
    pub objectives: Vec<OutputObjective>,
    /// What is reported beside the loss.
    pub entries: Vec<Entry>,
    /// The learning rate of now where it is a number, kept beside the executor's so that it can be read before there is
    /// any. Where it is a schedule, that of the first step.
    pub learning_rate: f64,
    /// Those of the last training, by the steps from which they were in force.
    pub learning_rates: Vec<LearningRateSet>,
    /// Whether the optimizer's state is in the executor.
    pub has_state: bool,
    pub(super) running: Running,
    /// Whether the parameters and their moving averages have changed places.
    pub averages_swapped: bool,
}

impl Compiled {
    /// `loss`, then what is reported of the outputs; of a metric that is several numbers, each.
    pub fn names(&self) -> &[String] {
        self.running.names()
    }

    /// Makes room for the running values: how many there are may depend on the sizes of the outputs' last axes.
    pub fn prepare_running(&mut self, sizes: &[usize]) {
        let count = |entry: &Entry| match self.metric(entry) {
            Some(metric) => metric.count(sizes.get(entry.output).copied().unwrap_or(1)),
            None => 1,
        };
        let entries = self.entries.iter();
        self.running = Running::new(entries.map(|entry| (entry.name.as_str(), count(entry))));
    }

    /// The metric that an entry reports, if it is one.
    pub fn metric(&self, entry: &Entry) -> Option<&Metric> {
        metric(&self.objectives, entry)
    }
}

/// The metric of an entry, if it is one.
pub(super) fn metric<'a>(objectives: &'a [OutputObjective], entry: &Entry) -> Option<&'a Metric> {
    let metrics = objectives[entry.output].all_metrics();
    metrics.map(|(metric, _)| metric).nth(entry.metric?)
}

impl Model {
    /// Gives the model an optimizer, a loss and metrics, each by name or value, and builds it where the shape of its input
    /// is known. Compiling again begins with a new optimizer state; parameters stay. Where the model has several outputs, the
    /// loss and the metrics are those of each; [`compile_outputs`](Self::compile_outputs) gives each its own.
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
        let loss = loss.into_loss()?;
        let names = self.objective_names();
        let objective = || {
            Objective::new(loss.clone())
                .metrics(metrics.iter().cloned())
                .weighted_metrics(weighted_metrics.iter().cloned())
        };
        let objectives = names.iter().map(|name| objective().resolve(name));
        let objectives = objectives.collect::<Result<Vec<_>>>()?;
        self.compile_objectives(optimizer, objectives)
    }

    /// As [`compile`](Self::compile), with a loss, its weight and metrics for each output, by the output's
    /// [name](Self::output_names); an output that is not named is not trained. The loss is the weighted sum of the outputs'
    /// losses; of each is reported `<output>_loss` and `<output>_<metric>`.
    ///
    /// ```
    /// # use danlu::prelude::*;
    /// # let x = Symbol::input(Input::new([4]));
    /// # let outputs = [Dense::new(3).name("kind").apply(&x), Dense::new(1).name("price").apply(&x)];
    /// # let mut model = Model::new(&x, outputs)?;
    /// let kind = Objective::new(SparseCategoricalCrossentropy::new().from_logits(true));
    /// let price = Objective::new("mse").weight(0.1).metrics(["mae"]);
    /// model.compile_outputs("adam", [("kind", kind.metrics(["accuracy"])), ("price", price)])?;
    /// assert_eq!(
    ///     model.metric_names(),
    ///     ["loss", "kind_loss", "kind_accuracy", "price_loss", "price_mae"]
    /// );
    /// # Ok::<(), danlu::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`compile`](Self::compile); there is no output of a name, one is named twice, or none has a loss.
    pub fn compile_outputs<S: AsRef<str>>(
        &mut self,
        optimizer: impl IntoOptimizer,
        objectives: impl IntoIterator<Item = (S, Objective)>,
    ) -> Result<()> {
        let names = self.output_names();
        let mut found: Vec<Option<OutputObjective>> = names.iter().map(|_| None).collect();
        for (name, objective) in objectives {
            let name = name.as_ref();
            let Some(place) = names.iter().position(|own| own == name) else {
                let names = names.iter().map(String::as_str);
                return Err(Error::unknown("output of this model", name, names));
            };
            let objective = objective.resolve(name)?;
            if found[place].replace(objective).is_some() {
                return Err(Error::argument(
                    "compile_outputs",
                    "objectives",
                    "one for each output",
                    format!("two for `{name}`"),
                ));
            }
        }
        let found = found.into_iter().map(Option::unwrap_or_default).collect();
        self.compile_objectives(optimizer.into_optimizer()?, found)
    }

    /// The names of the outputs that objectives are for.
    pub(crate) fn objective_names(&self) -> Vec<String> {
        match self.output_names() {
            // A chain that has no layer yet will have one output.
            names if names.is_empty() => vec![String::new()],
            names => names,
        }
    }

    pub(crate) fn compile_objectives(
        &mut self,
        optimizer: Box<dyn Optimizer>,
        objectives: Vec<OutputObjective>,
    ) -> Result<()> {
        optimizer.check()?;
        if objectives.iter().all(|objective| objective.loss.is_none()) {
            let received = "no loss for any of them";
            let expected = "a loss for one of the outputs at least";
            return Err(Error::mismatch("compile", expected, received, ""));
        }
        let names = self.objective_names();
        let mut compiled = Compiled {
            learning_rate: optimizer.options().learning_rate.at(0)?,
            learning_rates: Vec::new(),
            optimizer,
            entries: entries(&names, &objectives),
            objectives,
            has_state: false,
            running: Running::default(),
            averages_swapped: false,
        };
        let names: Vec<&str> = std::iter::once("loss")
            .chain(compiled.entries.iter().map(|entry| entry.name.as_str()))
            .collect();
        if let Some(name) = (1..names.len()).find(|&place| names[..place].contains(&names[place])) {
            return Err(Error::argument(
                "compile",
                "metrics",
                "metrics of different names",
                format!("two named `{}`", names[name]),
            ));
        }
        if let Some(examples) = self.input_shapes().filter(|_| !self.built) {
            self.build_beside(&examples, Some(&*compiled.optimizer))?;
        }
        compiled.prepare_running(&self.output_sizes());
        self.plans.clear(self.executor.as_deref_mut());
        self.remove_optimizer_state();
        self.compiled = Some(compiled);
        if let Some(lbfgs) = self.lbfgs_mut() {
            lbfgs.forget();
        }
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

    /// The loss of the first output that has one, where the model is compiled.
    pub fn loss(&self) -> Option<&Loss> {
        let mut objectives = self.compiled.as_ref()?.objectives.iter();
        objectives.find_map(|objective| objective.loss.as_ref())
    }

    /// `loss` and the names of the metrics, where the model is compiled. A metric that is several numbers has a name for each
    /// once the model is built: `f1_score[0]`.
    pub fn metric_names(&self) -> Vec<String> {
        match &self.compiled {
            Some(compiled) => compiled.names().to_vec(),
            None => Vec::new(),
        }
    }

    /// The sizes of the outputs' last axes, as far as they are known.
    pub(crate) fn output_sizes(&self) -> Vec<usize> {
        let shapes = self.output_shapes().unwrap_or_default();
        let last = |shape: &Vec<usize>| shape.last().copied().unwrap_or(1);
        shapes.iter().map(last).collect()
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
        let names = self.optimizer_state_names();
        let mut state = Vec::with_capacity(names.len() + 1);
        for name in names {
            let value = executor.read_state(&name)?;
            state.push((name, value));
        }
        if let Some(lbfgs) = self.lbfgs().filter(|_| !state.is_empty()) {
            state.push((LBFGS_STATE.to_owned(), lbfgs.state()?));
        }
        Ok(state)
    }

    /// Sets the optimizer's state, in Keras' order, so that training goes on where it stopped.
    ///
    /// # Errors
    /// The model is not compiled or not built, or the state is that of another optimizer or model.
    pub fn set_optimizer_state(&mut self, state: &[Tensor]) -> Result<()> {
        self.ensure_optimizer_state("set_optimizer_state")?;
        let names = self.optimizer_state_names();
        let (state, memory) = match (self.lbfgs().is_some(), state) {
            (true, [state @ .., memory]) => (state, Some(memory)),
            (_, state) => (state, None),
        };
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
        if let Some(memory) = memory {
            let numbers = self.trained().iter().map(Trained::count).sum();
            if let Some(lbfgs) = self.lbfgs_mut() {
                lbfgs.set_state(memory, numbers)?;
            }
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
        let own = self.lbfgs().map(|_| LBFGS_STATE.to_owned());
        let names = self.optimizer_state_names().into_iter().chain(own);
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
        if let Some(lbfgs) = self.lbfgs_mut() {
            lbfgs.forget();
        }
        if let Some(executor) = self.executor.as_deref_mut() {
            for name in names {
                // A state that a plan still uses stays where it is and is overwritten by the next optimizer's.
                let _ = executor.remove_state(&name);
            }
        }
    }

    /// What the losses expect of the model's outputs, against what the model gives.
    pub(super) fn find_warnings(&self) -> Result<Vec<String>> {
        let (Some(compiled), Some(_)) = (&self.compiled, self.input_shapes()) else {
            return Ok(Vec::new());
        };
        let losses = compiled.objectives.iter().map(|one| one.loss.as_ref());
        let losses: Vec<_> = losses.collect();
        if losses
            .iter()
            .flatten()
            .all(|loss| loss.function().expects().is_none())
        {
            return Ok(Vec::new());
        }
        let graph = Graph::new();
        let inputs = self.graph_inputs(&graph)?;
        let outputs = self.forward(&graph, &inputs, false, None)?;
        let mut warnings = Vec::new();
        for ((loss, output), source) in losses.into_iter().zip(&outputs).zip(&self.outputs) {
            if let Some(loss) = loss {
                warnings.extend(warning(loss, output, self.layer_of(source)));
            }
        }
        Ok(warnings)
    }
}

/// What a loss expects of an output, that this layer gives, against what it is.
fn warning(loss: &Loss, output: &Value, last: &str) -> Option<String> {
    let expects = loss.function().expects()?;
    let loss = loss.function().class_name();
    let direct = output_kind(output);
    match (expects, direct, behind_movement(output)) {
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
                kind_name(behind_movement(output)),
            ))
        }
        (Expects::Softmax | Expects::Sigmoid | Expects::Probabilities(_), _, OutputKind::Other) => {
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
