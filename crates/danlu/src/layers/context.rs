//! What a layer is given when it is built and when it is called.

use std::cell::{Cell, RefCell};

use danlu_graph::operations::random::stream;
use danlu_graph::{DType, Graph, Shape, Tensor, Value};

use super::ParameterOptions;
use crate::choice::Choice;
use crate::constraints::Constraint;
use crate::initializers::Initializer;
use crate::regularizers::Regularizer;
use crate::{Error, Result};

/// A parameter as its layer declared it, of fixed shape.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name in the layer, such as `kernel`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// f32; a count is i64.
    pub dtype: DType,
    /// How it begins.
    pub initializer: Initializer,
    /// What it begins with instead, where the layer knows it.
    pub value: Option<Tensor>,
    /// What is added to the loss for it, while training changes it.
    pub regularizer: Option<Regularizer>,
    /// What it is brought to after each step that changes it.
    pub constraint: Option<Constraint>,
    /// Whether training changes it; `false` for statistics that the layer keeps itself.
    pub trainable: bool,
}

impl Parameter {
    /// How it begins; `path`, such as `dense/kernel`, and `seed` decide random numbers.
    pub(crate) fn values(&self, seed: u64, path: &str) -> Result<Tensor> {
        match (&self.value, self.dtype) {
            (Some(value), _) => Ok(value.clone()),
            (None, DType::F32) => self.initializer.values(&self.shape, seed, path),
            (None, dtype) => Ok(Tensor::zeros(&self.shape, dtype)?),
        }
    }
}

/// Takes a layer's parameters as it declares them.
#[derive(Debug, Default)]
pub struct BuildContext {
    parameters: Vec<Parameter>,
    keeps_order: bool,
}

impl BuildContext {
    /// Declares a parameter that is trained.
    ///
    /// # Errors
    /// The initializer's name stands for nothing, or the layer has a parameter of this name.
    pub fn parameter(
        &mut self,
        name: &str,
        shape: &[usize],
        initializer: impl Into<Choice<Initializer>>,
    ) -> Result<()> {
        self.parameter_with(name, shape, &ParameterOptions::new(initializer))
    }

    /// As [`parameter`](Self::parameter), with a regularizer and a constraint where there are any.
    ///
    /// # Errors
    /// As [`parameter`](Self::parameter); the regularizer or the constraint is not for a parameter of this shape.
    pub fn parameter_with(
        &mut self,
        name: &str,
        shape: &[usize],
        options: &ParameterOptions,
    ) -> Result<()> {
        let regularizer = options
            .regularizer
            .as_ref()
            .map(Choice::resolve)
            .transpose()?;
        if let Some(regularizer) = &regularizer {
            regularizer.check(shape)?;
        }
        let constraint = options
            .constraint
            .as_ref()
            .map(Choice::resolve)
            .transpose()?;
        if let Some(constraint) = &constraint {
            constraint.check(shape)?;
        }
        self.add(Parameter {
            name: name.to_owned(),
            shape: shape.to_vec(),
            dtype: DType::F32,
            initializer: options.initializer.resolve()?,
            value: None,
            regularizer,
            constraint,
            trainable: true,
        })
    }

    /// Declares numbers that the optimizer does not change, such as a moving mean: the layer itself gives their new values
    /// with [`CallContext::update`]. They are saved with the model.
    ///
    /// # Errors
    /// As [`parameter`](Self::parameter).
    pub fn statistic(
        &mut self,
        name: &str,
        shape: &[usize],
        initializer: impl Into<Choice<Initializer>>,
    ) -> Result<()> {
        self.add_statistic(name, shape, DType::F32, initializer.into().resolve()?, None)
    }

    /// As [`statistic`](Self::statistic), that begins with these numbers, f32.
    ///
    /// # Errors
    /// As [`parameter`](Self::parameter); the numbers are not f32.
    pub fn known_statistic(&mut self, name: &str, value: Tensor) -> Result<()> {
        if value.dtype() != DType::F32 {
            let subject = format!("the value of `{name}`");
            return Err(Error::mismatch(
                subject,
                "float32",
                value.dtype().name(),
                "",
            ));
        }
        let shape = value.shape().to_vec();
        self.add_statistic(name, &shape, DType::F32, Initializer::Zeros, Some(value))
    }

    /// Declares a count: an i64 without axes that begins at 0 and that the optimizer does not change.
    ///
    /// # Errors
    /// The layer has a parameter of this name.
    pub fn count(&mut self, name: &str) -> Result<()> {
        self.add_statistic(name, &[], DType::I64, Initializer::Zeros, None)
    }

    fn add_statistic(
        &mut self,
        name: &str,
        shape: &[usize],
        dtype: DType,
        initializer: Initializer,
        value: Option<Tensor>,
    ) -> Result<()> {
        self.add(Parameter {
            name: name.to_owned(),
            shape: shape.to_vec(),
            dtype,
            initializer,
            value,
            regularizer: None,
            constraint: None,
            trainable: false,
        })
    }

    pub(crate) fn add(&mut self, parameter: Parameter) -> Result<()> {
        parameter.initializer.check()?;
        let name = &parameter.name;
        if self.parameters.iter().any(|other| other.name == *name) {
            return Err(Error::mismatch(
                "the layer's parameters",
                "one of each name",
                format!("two named `{name}`"),
                "",
            ));
        }
        self.parameters.push(parameter);
        Ok(())
    }

    /// The parameters stay in the order in which they are declared.
    pub(crate) fn keep_order(&mut self) {
        self.keeps_order = true;
    }

    /// What was declared, in the order of Keras' files: what is trained, then the rest.
    pub(crate) fn into_parameters(self) -> Vec<Parameter> {
        if self.keeps_order {
            return self.parameters;
        }
        let (mut parameters, rest): (Vec<_>, Vec<_>) =
            self.parameters.into_iter().partition(|p| p.trainable);
        parameters.extend(rest);
        parameters
    }
}

/// What random numbers are keyed by while a program runs; each a 64-bit integer without axes.
#[derive(Clone, Debug)]
pub struct RandomInputs {
    /// The seed of the run.
    pub seed: Value,
    /// The optimizer's step.
    pub step: Value,
    /// The number, in the epoch, of the batch's first example.
    pub first_example: Value,
}

/// What layers do to a step beside giving their outputs.
#[derive(Default)]
pub(crate) struct Effects {
    /// What is added to the loss: f32 without axes.
    pub losses: RefCell<Vec<Value>>,
    /// New values of states.
    pub updates: RefCell<Vec<Update>>,
}

/// The new value of a state.
pub(crate) struct Update {
    pub state: String,
    pub value: Value,
    /// The number of the layer's call that gave it.
    call: u64,
}

/// What a layer is given when it is called.
pub struct CallContext<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) path: &'a str,
    pub(crate) training: bool,
    pub(crate) trainable: bool,
    pub(crate) parameters: &'a [Parameter],
    pub(crate) random: Option<&'a RandomInputs>,
    /// The number of the layer's call in a step, from 0.
    pub(crate) number: u64,
    pub(crate) draws: Cell<u64>,
    pub(crate) effects: &'a Effects,
}

impl<'a> CallContext<'a> {
    /// A call outside training.
    pub(crate) fn new(
        graph: &'a Graph,
        path: &'a str,
        parameters: &'a [Parameter],
        effects: &'a Effects,
    ) -> CallContext<'a> {
        CallContext {
            graph,
            path,
            training: false,
            trainable: true,
            parameters,
            random: None,
            number: 0,
            draws: Cell::new(0),
            effects,
        }
    }
}

impl CallContext<'_> {
    /// Whether the layer is called to be trained: dropout drops only then.
    pub fn training(&self) -> bool {
        self.training
    }

    /// Whether training may change the layer; a frozen one keeps its statistics, too.
    pub fn trainable(&self) -> bool {
        self.trainable
    }

    /// The graph that operations are added to.
    pub fn graph(&self) -> &Graph {
        self.graph
    }

    /// The layer's path, such as `classifier/dense`.
    pub fn path(&self) -> &str {
        self.path
    }

    /// A parameter that the layer declared in [`build`](super::Layer::build).
    ///
    /// # Errors
    /// It declared none of this name.
    pub fn parameter(&self, name: &str) -> Result<Value> {
        let parameter = self.declared(name)?;
        let state = state_name(self.path, name);
        // What a layer that is called twice keeps is updated twice.
        let updates = self.effects.updates.borrow();
        let earlier = updates.iter().find(|update| update.state == state);
        if let Some(earlier) = earlier.filter(|update| update.call != self.number) {
            return Ok(earlier.value.clone());
        }
        let state = self.graph.state(&state, &parameter.shape, parameter.dtype);
        Ok(state?)
    }

    fn declared(&self, name: &str) -> Result<&Parameter> {
        let found = self.parameters.iter().find(|other| other.name == name);
        found.ok_or_else(|| {
            let names = self.parameters.iter().map(|other| other.name.as_str());
            Error::unknown("parameter of this layer", name, names)
        })
    }

    /// The value that a parameter, declared with [`statistic`](BuildContext::statistic) or [`count`](BuildContext::count), has
    /// after this step. Only training steps of a layer that is not frozen change it; elsewhere nothing happens.
    ///
    /// # Errors
    /// The layer declared none of this name, the optimizer changes it, it was given a value already, or the value has
    /// another shape or dtype.
    pub fn update(&self, name: &str, value: &Value) -> Result<()> {
        let parameter = self.declared(name)?;
        let subject = || format!("the new value of `{name}`");
        if parameter.trainable {
            let expected = "of a parameter that was declared with `statistic` or `count`";
            let received = "one that the optimizer changes";
            return Err(Error::mismatch(subject(), expected, received, ""));
        }
        let expected = self.parameter(name)?.value_type();
        if value.value_type() != expected {
            let (expected, received) = (expected.to_string(), value.value_type().to_string());
            return Err(Error::mismatch(subject(), expected, received, ""));
        }
        if self.training && self.trainable {
            let state = state_name(self.path, name);
            let mut updates = self.effects.updates.borrow_mut();
            let earlier = updates.iter().position(|update| update.state == state);
            if let Some(place) = earlier {
                if updates[place].call == self.number {
                    return Err(Error::mismatch(subject(), "one in a call", "two", ""));
                }
                updates.remove(place);
            }
            updates.push(Update {
                state,
                value: value.clone(),
                call: self.number,
            });
        }
        Ok(())
    }

    /// Adds a number, f32 without axes, to the loss of training and evaluation.
    ///
    /// # Errors
    /// It has axes or another dtype.
    pub fn add_loss(&self, value: &Value) -> Result<()> {
        if value.shape().rank() != 0 || value.dtype() != DType::F32 {
            return Err(Error::mismatch(
                "a loss that a layer adds",
                "one float32 without axes",
                value.value_type().to_string(),
                "take its sum or mean",
            ));
        }
        self.effects.losses.borrow_mut().push(value.clone());
        Ok(())
    }

    /// Adds a penalty on the layer's output `(batch, ...)` to the loss, divided by the number of examples as in Keras.
    ///
    /// # Errors
    /// An argument of the regularizer has a value that it cannot have; it does not take a value of this shape.
    pub fn add_activity(&self, regularizer: &Regularizer, output: &Value) -> Result<()> {
        regularizer.function().check()?;
        let penalty = regularizer.penalty(output)?;
        let shape = output.shape();
        let Some(examples) = shape.dims().first() else {
            return self.add_loss(&penalty);
        };
        let examples = self.graph.dimension_size(examples, DType::F32)?;
        self.add_loss(&penalty.divide(&examples)?)
    }

    /// Uniform numbers from 0 up to, without, 1, f32 of this shape. Every call is another draw; each number belongs to
    /// the seed (`seed`, or that of the run), the layer, the draw, the step, the example and the element.
    ///
    /// # Errors
    /// The layer is not called in training.
    pub fn random_uniform(&self, shape: &Shape, seed: Option<i64>) -> Result<Value> {
        let (random, stream, seed) = self.draw("random_uniform", seed)?;
        let (step, first) = (&random.step, &random.first_example);
        Ok(self
            .graph
            .random_uniform(shape, stream, &seed, step, first)?)
    }

    /// Normal numbers of mean 0 and standard deviation 1, f32 of this shape, each belonging to what those of
    /// [`random_uniform`](Self::random_uniform) belong to.
    ///
    /// # Errors
    /// The layer is not called in training.
    pub fn random_normal(&self, shape: &Shape, seed: Option<i64>) -> Result<Value> {
        let (random, stream, seed) = self.draw("random_normal", seed)?;
        let (step, first) = (&random.step, &random.first_example);
        Ok(self
            .graph
            .random_normal(shape, stream, &seed, step, first)?)
    }

    /// The stream of another draw, and what it is keyed by.
    fn draw(&self, action: &'static str, seed: Option<i64>) -> Result<(&RandomInputs, u64, Value)> {
        let Some(random) = self.random else {
            return Err(Error::NotReady {
                action,
                problem: "random numbers were asked for outside training".to_owned(),
                advice: "ask for them only where `context.training()` is true".to_owned(),
            });
        };
        let draw = self.draws.get();
        self.draws.set(draw + 1);
        let own_seed = match seed {
            Some(seed) => self
                .graph
                .constant(danlu_graph::Tensor::from_i64(&[], vec![seed])?)?,
            None => random.seed.clone(),
        };
        Ok((random, stream(self.path, draw), own_seed))
    }
}

/// The name of a parameter's state in the executor.
pub(crate) fn state_name(path: &str, parameter: &str) -> String {
    format!("{path}/{parameter}")
}
