//! Training steps of one's own: any computation on a model's layers and parameters as one program.

use std::cell::RefCell;

use danlu_graph::executor::output_tensors;
use danlu_graph::operations::random::stream;
use danlu_graph::{Bindings, DType, Graph, PlanId, Program, Shape, Tensor, Value, gradients};

use crate::layers::{Effects, RandomInputs};
use crate::losses::IntoLoss;
use crate::model::Calls;
use crate::optimizers::{self, IntoOptimizer, LEARNING_RATE, Optimizer, Trained, layout};
use crate::{Error, Model, Result};

use super::program::parameters;

/// What the names of an optimizer's states begin with; those of a step of one's own have the step's name before it.
const OPTIMIZER: &str = "optimizer/";
/// Plans of a step at most, one for each number of examples.
const CAPACITY: usize = 4;

/// An array that a step takes: its name, the shape of one example, and its dtype.
pub type StepInput<'a> = (&'a str, &'a [usize], DType);

/// A step of one's own on a model: see [`Model::custom_step`]. It is good for the model that made it, as long as that is not
/// put on another device.
pub struct CustomStep {
    name: String,
    program: Program,
    outputs: Vec<String>,
    generation: u64,
    runs: u64,
    numbers: [Tensor; 3],
    plans: Vec<(usize, PlanId, Vec<Tensor>)>,
}

impl CustomStep {
    /// The names of the results, in order.
    pub fn output_names(&self) -> &[String] {
        &self.outputs
    }

    /// How often it ran.
    pub fn runs(&self) -> u64 {
        self.runs
    }
}

/// An optimizer with what it changes.
type Minimized = (Box<dyn Optimizer>, Vec<Trained>);

/// Puts a step of one's own together: see [`Model::custom_step`].
pub struct StepBuilder<'a> {
    model: &'a Model,
    graph: &'a Graph,
    random: &'a RandomInputs,
    effects: &'a Effects,
    /// Calls of each layer so far, by its place.
    calls: RefCell<Vec<u64>>,
    draws: RefCell<u64>,
    outputs: RefCell<Vec<(String, Value)>>,
    updates: RefCell<Vec<(String, Value)>>,
    minimized: RefCell<Option<Minimized>>,
    /// States of the steps' own, with their shapes.
    kept: RefCell<Vec<(String, Vec<usize>)>>,
}

impl StepBuilder<'_> {
    /// The graph that operations are added to.
    pub fn graph(&self) -> &Graph {
        self.graph
    }

    /// The results of one of the model's layers (or models within it), as in training.
    ///
    /// # Errors
    /// There is no such layer, or it does not take these values.
    pub fn call(&self, layer: &str, inputs: &[&Value]) -> Result<Vec<Value>> {
        self.call_as(layer, inputs, true)
    }

    /// As [`call`](Self::call), where the layer does, or does not do, what it does in training alone.
    ///
    /// # Errors
    /// As [`call`](Self::call).
    pub fn call_as(&self, layer: &str, inputs: &[&Value], training: bool) -> Result<Vec<Value>> {
        let place = self.model.place(layer)?;
        let inputs: Vec<Value> = inputs.iter().map(|value| (*value).clone()).collect();
        let number = {
            let mut calls = self.calls.borrow_mut();
            calls.resize(self.model.layer_names().len(), 0);
            calls[place] += 1;
            calls[place] - 1
        };
        let calls = Calls {
            training,
            random: Some(self.random),
            ..Calls::new(self.graph, self.effects)
        };
        self.model.call_layer(&calls, place, number, &inputs)
    }

    /// The whole model's outputs, as in training or not.
    ///
    /// # Errors
    /// The model does not take these values.
    pub fn call_model(&self, inputs: &[&Value], training: bool) -> Result<Vec<Value>> {
        let inputs: Vec<Value> = inputs.iter().map(|value| (*value).clone()).collect();
        let number = self.calls.borrow().iter().max().copied().unwrap_or(0);
        self.calls
            .borrow_mut()
            .resize(self.model.layer_names().len(), 0);
        for calls in self.calls.borrow_mut().iter_mut() {
            *calls = number + 1;
        }
        let calls = Calls {
            training,
            random: Some(self.random),
            number,
            ..Calls::new(self.graph, self.effects)
        };
        self.model.run_calls(&calls, &inputs)
    }

    /// A parameter of the model, such as `dense/kernel`.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn parameter(&self, name: &str) -> Result<Value> {
        let parameter = self.model.find_weight(name)?;
        Ok(self.graph.state(name, &parameter.shape, parameter.dtype)?)
    }

    /// A loss, by name or value, of targets and predictions: one float.
    ///
    /// # Errors
    /// The name stands for nothing, or the shapes do not fit.
    pub fn loss(&self, loss: impl IntoLoss, y_true: &Value, y_pred: &Value) -> Result<Value> {
        loss.into_loss()?.reduce(y_true, y_pred, None)
    }

    /// The gradients of a float without axes by any values of the step: inputs, results of layers, parameters.
    ///
    /// # Errors
    /// `of` has axes, or depends on none of them.
    pub fn gradients(&self, of: &Value, by: &[&Value]) -> Result<Vec<Value>> {
        Ok(gradients(of, by)?)
    }

    /// Normal numbers of mean 0 and standard deviation 1 of the shape of `like`, others at each run of the step.
    ///
    /// # Errors
    /// `like` has no shape that random numbers can have.
    pub fn random_normal(&self, shape: &Shape) -> Result<Value> {
        let mut draws = self.draws.borrow_mut();
        let stream = stream("step", *draws);
        *draws += 1;
        let random = self.random;
        let (seed, step, first) = (&random.seed, &random.step, &random.first_example);
        Ok(self.graph.random_normal(shape, stream, seed, step, first)?)
    }

    /// Changes the parameters of these layers (all layers, where none is named) so that the loss falls, by an optimizer that
    /// this step alone uses. Frozen layers stay as they are. Once in a step; make several steps for several optimizers.
    ///
    /// # Errors
    /// As [`apply_gradients`](Self::apply_gradients); there is no such layer.
    pub fn minimize(
        &self,
        loss: &Value,
        layers: &[&str],
        optimizer: impl IntoOptimizer,
    ) -> Result<()> {
        let optimizer = optimizer.into_optimizer()?;
        for layer in layers {
            self.model.place(layer)?;
        }
        let trained = self.model.trained().into_iter().filter(|parameter| {
            let layer = parameter.name.split('/').next();
            layers.is_empty() || layers.iter().any(|own| Some(*own) == layer)
        });
        let trained: Vec<Trained> = trained.collect();
        let values = parameters(self.graph, &trained)?;
        let loss = match optimizer.options().loss_scale_factor {
            Some(scale) => loss.multiply_scalar(scale)?,
            None => loss.clone(),
        };
        let by: Vec<&Value> = values.iter().collect();
        let gradients = match by.is_empty() {
            true => Vec::new(),
            false => gradients(&loss, &by)?,
        };
        self.optimize(optimizer, trained, &gradients)
    }

    /// Changes parameters, by their names such as `dense/kernel`, by these gradients, with an optimizer that this step alone
    /// uses. Once in a step.
    ///
    /// # Errors
    /// It was called before, or [`minimize`](Self::minimize) was; there is no such parameter, or training does not change it;
    /// a gradient has another shape; an argument of the optimizer is no good.
    pub fn apply_gradients(
        &self,
        gradients: &[(&str, &Value)],
        optimizer: impl IntoOptimizer,
    ) -> Result<()> {
        let all = self.model.trained();
        let mut trained = Vec::new();
        let mut values = Vec::new();
        for (name, gradient) in gradients {
            let Some(own) = all.iter().find(|own| own.name == *name) else {
                let names = all.iter().map(|own| own.name.as_str());
                return Err(Error::unknown("parameter to train", name, names));
            };
            let expected = Shape::from(own.shape.as_slice());
            if gradient.shape() != expected {
                let (expected, received) = (expected.to_string(), gradient.shape().to_string());
                return Err(Error::mismatch(
                    format!("the gradient of `{name}`"),
                    expected,
                    received,
                    "",
                ));
            }
            trained.push(own.clone());
            values.push((*gradient).clone());
        }
        self.optimize(optimizer.into_optimizer()?, trained, &values)
    }

    fn optimize(
        &self,
        optimizer: Box<dyn Optimizer>,
        trained: Vec<Trained>,
        gradients: &[Value],
    ) -> Result<()> {
        optimizer.check()?;
        if self.minimized.borrow().is_some() {
            return Err(Error::mismatch(
                "minimize",
                "one optimizer in a step",
                "another",
                "make a step of its own for each optimizer, and run them one after the other",
            ));
        }
        if trained.is_empty() {
            return Err(Error::mismatch(
                "minimize",
                "parameters to train",
                "none",
                "",
            ));
        }
        let values = parameters(self.graph, &trained)?;
        let updates = self.graph.scope("optimizer", || -> Result<_> {
            let mut updates =
                optimizers::updates(&*optimizer, self.graph, &trained, &values, gradients)?;
            self.model.constrain(self.graph, &mut updates)?;
            Ok(updates)
        })?;
        self.updates.borrow_mut().extend(updates);
        *self.minimized.borrow_mut() = Some((optimizer, trained));
        Ok(())
    }

    /// Numbers, f32 of this shape, that steps of this model keep from run to run under this name; zeros at first.
    ///
    /// # Errors
    /// Another step keeps another shape under the name.
    pub fn state(&self, name: &str, shape: &[usize]) -> Result<Value> {
        let name = kept_name(name);
        let value = self.graph.state(&name, shape, DType::F32)?;
        self.kept.borrow_mut().push((name, shape.to_vec()));
        Ok(value)
    }

    /// The numbers that [`state`](Self::state) gives from the next run on.
    ///
    /// # Errors
    /// `state` was not called with this name and shape before.
    pub fn set_state(&self, name: &str, value: &Value) -> Result<()> {
        let state = kept_name(name);
        let kept = self.kept.borrow();
        let known = kept.iter().find(|(own, _)| *own == state);
        if known.is_none_or(|(_, shape)| value.shape() != Shape::from(shape.as_slice())) {
            let expected = "a state of this step, of the value's shape";
            let received = format!("`{name}` and {}", value.value_type());
            return Err(Error::mismatch(
                "set_state",
                expected,
                received,
                "call `state` first",
            ));
        }
        self.updates.borrow_mut().push((state, value.clone()));
        Ok(())
    }

    /// A new value of a parameter, such as `dense/kernel`, after the step.
    ///
    /// # Errors
    /// There is none of this name, or the value has another shape or dtype.
    pub fn update(&self, name: &str, value: &Value) -> Result<()> {
        let expected = self.parameter(name)?.value_type();
        if value.value_type() != expected {
            let (expected, received) = (expected.to_string(), value.value_type().to_string());
            return Err(Error::mismatch(
                format!("the new value of `{name}`"),
                expected,
                received,
                "",
            ));
        }
        self.updates
            .borrow_mut()
            .push((name.to_owned(), value.clone()));
        Ok(())
    }

    /// A result of the step.
    pub fn output(&self, name: &str, value: &Value) {
        self.outputs
            .borrow_mut()
            .push((name.to_owned(), value.clone()));
    }
}

impl Model {
    /// A training step of one's own: any computation on the model's layers and parameters, compiled as `fit`'s steps are.
    /// Several steps over the same parameters, run one after the other, make a training such as that of a generative
    /// adversarial network: see `examples/gan.rs`. `name` keeps the states of the steps' optimizers apart; they are not saved
    /// with the model. Steps count their runs, and random numbers belong to the model's seed, the run and the example.
    ///
    /// ```
    /// use danlu::prelude::*;
    /// use danlu::training::StepBuilder;
    ///
    /// let x = Symbol::input(Input::new([2]));
    /// let mut model = Model::new(&x, Dense::new(1).name("line").apply(&x))?;
    /// model.build()?;
    /// let inputs = [("x", &[2][..], DType::F32), ("y", &[1][..], DType::F32)];
    /// let mut step = model.custom_step("descent", &inputs, |step: &StepBuilder, inputs| {
    ///     let y = step.call("line", &[&inputs[0]])?.remove(0);
    ///     let loss = step.loss("mse", &inputs[1], &y)?;
    ///     step.minimize(&loss, &["line"], SGD::new(0.1))?;
    ///     step.output("loss", &loss);
    ///     Ok(())
    /// })?;
    /// let x = Tensor::from_f32(&[4, 2], vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0])?;
    /// let y = Tensor::from_f32(&[4, 1], vec![0.0, 2.0, 1.0, 3.0])?;
    /// let first = model.run_step(&mut step, &[&x, &y])?[0].get_f64(0);
    /// for _ in 0..100 {
    ///     model.run_step(&mut step, &[&x, &y])?;
    /// }
    /// let last = model.run_step(&mut step, &[&x, &y])?[0].get_f64(0);
    /// assert!(last < first / 10.0);
    /// # Ok::<(), danlu::Error>(())
    /// ```
    ///
    /// # Errors
    /// The model is not built; there is no input; what `body` reports.
    pub fn custom_step(
        &mut self,
        name: &str,
        inputs: &[StepInput<'_>],
        body: impl FnOnce(&StepBuilder, &[Value]) -> Result<()>,
    ) -> Result<CustomStep> {
        self.require_built("custom_step")?;
        if inputs.is_empty() || name.is_empty() || name.contains('/') {
            let received = format!("the name `{name}` and {} inputs", inputs.len());
            return Err(Error::mismatch(
                "custom_step",
                "a name without `/`, and an input at least",
                received,
                "",
            ));
        }
        let graph = Graph::new();
        let mut values = Vec::new();
        for (name, shape, dtype) in inputs {
            values.push(graph.input(name, Shape::batch_of(shape), *dtype)?);
        }
        let random = RandomInputs {
            seed: graph.input("random/seed", Shape::scalar(), DType::I64)?,
            step: graph.input("random/step", Shape::scalar(), DType::I64)?,
            first_example: graph.input("random/first_example", Shape::scalar(), DType::I64)?,
        };
        let effects = Effects::default();
        let builder = StepBuilder {
            model: self,
            graph: &graph,
            random: &random,
            effects: &effects,
            calls: RefCell::default(),
            draws: RefCell::default(),
            outputs: RefCell::default(),
            updates: RefCell::default(),
            minimized: RefCell::default(),
            kept: RefCell::default(),
        };
        body(&builder, &values)?;
        let StepBuilder {
            outputs,
            updates,
            minimized,
            kept,
            ..
        } = builder;
        let (outputs, minimized) = (outputs.into_inner(), minimized.into_inner());
        let mut updates = updates.into_inner();
        let own = effects.updates.into_inner().into_iter();
        updates.extend(own.map(|update| (update.state, update.value)));
        values.extend([random.seed, random.step, random.first_example]);
        let values: Vec<&Value> = values.iter().collect();
        let results: Vec<(&str, &Value)> = outputs
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        let changes: Vec<(&str, &Value)> = updates
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        let mut program = Program::new(&graph, &values, &results, &changes)?;
        let own_name = |state: &str| {
            let is_optimizers = state.starts_with(OPTIMIZER);
            is_optimizers.then(|| format!("{name}/{state}"))
        };
        program.rename_states(own_name);
        let executor = self.executor()?;
        for (state, shape) in kept.into_inner() {
            if executor.read_state(&state).is_err() {
                executor.create_state(&state, &Tensor::zeros(&shape, DType::F32)?)?;
            }
        }
        if let Some((optimizer, trained)) = minimized {
            for state in layout(&*optimizer, &trained) {
                let start = match state.name == LEARNING_RATE {
                    true => Tensor::scalar(optimizer.options().learning_rate.at(0)? as f32),
                    false => state.start(executor)?,
                };
                executor.create_state(&format!("{name}/{}", state.name), &start)?;
            }
        }
        let number = |value: i64| Tensor::from_i64(&[], vec![value]);
        Ok(CustomStep {
            name: name.to_owned(),
            program,
            outputs: outputs.into_iter().map(|(name, _)| name).collect(),
            generation: self.plans.generation(),
            runs: 0,
            numbers: [number(self.seed as i64)?, number(0)?, number(0)?],
            plans: Vec::new(),
        })
    }

    /// Runs a step of one's own on a batch; gives its results, in order. Allocates nothing once a batch of this size was there.
    ///
    /// # Errors
    /// The step is of another model, or of this one on another device; inputs do not fit it; they have no or different
    /// numbers of examples.
    pub fn run_step<'a>(
        &mut self,
        step: &'a mut CustomStep,
        inputs: &[&Tensor],
    ) -> Result<&'a [Tensor]> {
        if step.generation != self.plans.generation() {
            return Err(Error::NotReady {
                action: "run_step",
                problem: format!(
                    "the step {} was made before the model was changed",
                    step.name
                ),
                advice: "make the step again".to_owned(),
            });
        }
        let batch = inputs
            .first()
            .and_then(|input| input.shape().first().copied());
        let batch = batch.filter(|&batch| batch > 0);
        let Some(batch) = batch.filter(|_| inputs.len() + 3 == step.program.inputs().len()) else {
            return Err(Error::mismatch(
                format!("the step {}", step.name),
                format!(
                    "{} inputs of one example at least",
                    step.program.inputs().len() - 3
                ),
                format!(
                    "{} inputs, the first of {} examples",
                    inputs.len(),
                    batch.unwrap_or(0)
                ),
                "",
            ));
        };
        let executor = self.executor()?;
        let place = match step.plans.iter().position(|(own, _, _)| *own == batch) {
            Some(place) => place,
            None => {
                if step.plans.len() >= CAPACITY {
                    let (_, old, _) = step.plans.remove(0);
                    executor.release(old);
                }
                let bindings = Bindings::batch(batch);
                let id = executor.compile(&step.program, &bindings)?;
                let outputs = output_tensors(&step.program, &bindings)?;
                step.plans.push((batch, id, outputs));
                step.plans.len() - 1
            }
        };
        if let Some([run]) = step.numbers[1].as_i64_mut() {
            *run = step.runs as i64;
        }
        let mut all: Vec<&Tensor> = inputs.to_vec();
        all.extend(&step.numbers);
        let (_, id, outputs) = &mut step.plans[place];
        executor.run(*id, &all, outputs)?;
        step.runs += 1;
        Ok(outputs)
    }

    /// The learning rate of a step's optimizer, where it is a number.
    ///
    /// # Errors
    /// The step has no optimizer, or its rate is a schedule.
    pub fn set_step_learning_rate(&mut self, step: &CustomStep, learning_rate: f64) -> Result<()> {
        optimizers::check_rate("set_step_learning_rate", "learning_rate", learning_rate)?;
        let value = Tensor::scalar(learning_rate as f32);
        let name = format!("{}/{LEARNING_RATE}", step.name);
        Ok(self.executor()?.write_state(&name, &value)?)
    }
}

/// The name, in the executor, of numbers that steps keep: no layer's.
fn kept_name(name: &str) -> String {
    format!("kept by steps/{name}")
}
