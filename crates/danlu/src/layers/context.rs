//! What a layer is given when it is built and when it is called.

use std::cell::Cell;

use danlu_graph::operations::random::stream;
use danlu_graph::{DType, Graph, Shape, Value};

use crate::choice::Choice;
use crate::initializers::Initializer;
use crate::{Error, Result};

/// A parameter as its layer declared it: f32, of fixed shape.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name in the layer, such as `kernel`.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// How it begins.
    pub initializer: Initializer,
    /// Whether training changes it; `false` for statistics that the layer keeps itself.
    pub trainable: bool,
}

/// Takes a layer's parameters as it declares them.
#[derive(Debug, Default)]
pub struct BuildContext {
    pub(crate) parameters: Vec<Parameter>,
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
        if self.parameters.iter().any(|other| other.name == name) {
            return Err(Error::mismatch(
                "the layer's parameters",
                "one of each name",
                format!("two named `{name}`"),
                "",
            ));
        }
        self.parameters.push(Parameter {
            name: name.to_owned(),
            shape: shape.to_vec(),
            initializer: initializer.into().resolve()?,
            trainable: true,
        });
        Ok(())
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

/// What a layer is given when it is called.
pub struct CallContext<'a> {
    pub(crate) graph: &'a Graph,
    pub(crate) path: &'a str,
    pub(crate) training: bool,
    pub(crate) parameters: &'a [Parameter],
    pub(crate) random: Option<&'a RandomInputs>,
    pub(crate) draws: Cell<u64>,
}

impl CallContext<'_> {
    /// Whether the layer is called to be trained: dropout drops only then.
    pub fn training(&self) -> bool {
        self.training
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
        let Some(parameter) = self.parameters.iter().find(|other| other.name == name) else {
            let names = self.parameters.iter().map(|other| other.name.as_str());
            return Err(Error::unknown("parameter of this layer", name, names));
        };
        let state = state_name(self.path, name);
        Ok(self.graph.state(&state, &parameter.shape, DType::F32)?)
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
