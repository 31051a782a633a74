//! Models: graphs of layers. A [`Sequential`] is a chain, and [`Model::new`] makes any graph of [`Symbol`]s; everything else
//! works on the graph.

mod build;
mod described;
mod forward;
mod functional;
mod keras;
mod nested;
mod operators;
mod outputs;
mod part;
mod picture;
mod saving;
mod sequential;
mod summary;
#[cfg(test)]
mod tests;
mod trainable;
mod transfer;
mod weights;

use danlu_graph::{Executor, Shape};

use crate::choice::Choice;
use crate::layers::{Layer, LayerSpec, Parameter, state_name};
use crate::regularizers::Regularizer;
use crate::training::{Compiled, PlanCache};
use crate::{Config, Error, Result};

pub use described::GraphLayer;
pub(crate) use forward::Calls;
pub use functional::{IntoSymbols, SharedLayer, Symbol};
pub use saving::LoadOptions;
pub use sequential::Sequential;
pub use transfer::{LoadReport, Mismatch};

/// Where a layer's input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The model's input of this number.
    Input(usize),
    /// An output of a call.
    Call {
        /// Its place among the model's calls.
        call: usize,
        /// Which of the layer's outputs.
        output: usize,
    },
}

/// One use of a layer: a layer that stands in several places of a model has several.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The layer's place among the model's nodes.
    pub node: usize,
    pub inputs: Vec<Source>,
    /// Whether the layer does what it does in training, where that is not the model's choice.
    pub training: Option<bool>,
    /// The shapes of its outputs, once the model is built.
    pub output_shapes: Vec<Shape>,
}

/// A layer of a model, with what it has there.
#[derive(Debug)]
pub(crate) struct Node {
    pub layer: Box<dyn Layer>,
    pub name: String,
    pub trainable: bool,
    pub activity_regularizer: Option<Choice<Regularizer>>,
    pub parameters: Vec<Parameter>,
    /// The shapes of the inputs that it was built for; empty before.
    pub input_shapes: Vec<Shape>,
    /// The input's shape as a file says, without the axis of examples.
    pub built_with: Option<Vec<usize>>,
    /// Whether its parameters are in the executor.
    pub has_state: bool,
}

impl Node {
    /// The layer as errors call it: `conv2d (Conv2D)`.
    pub(crate) fn title(&self) -> String {
        format!("layer {} ({})", self.name, self.layer.class_name())
    }

    /// The names of the layer's parameters in the executor, with the parameters.
    pub(crate) fn states(&self) -> impl Iterator<Item = (String, &Parameter)> {
        self.parameters
            .iter()
            .map(|parameter| (state_name(&self.name, &parameter.name), parameter))
    }
}

/// A graph of layers with its parameters, and, once compiled, an optimizer, a loss and metrics.
pub struct Model {
    pub(crate) name: String,
    /// The layers, each once, in Keras' order.
    pub(crate) nodes: Vec<Node>,
    /// The layers' uses, in an order in which they can be made.
    pub(crate) calls: Vec<Call>,
    /// The names of the inputs, in order; `None` for a chain, which has one.
    pub(crate) inputs: Option<Vec<String>>,
    pub(crate) outputs: Vec<Source>,
    /// The names of the outputs, where they have others than their layers'.
    pub(crate) output_keys: Option<Vec<String>>,
    pub(crate) seed: u64,
    pub(crate) executor: Option<Box<dyn Executor>>,
    pub(crate) built: bool,
    pub(crate) compiled: Option<Compiled>,
    pub(crate) plans: PlanCache,
    pub(crate) metadata: Config,
    pub(crate) warnings: Vec<String>,
}

impl Model {
    /// A model without layers. [`Sequential`] is how chains are made.
    pub(crate) fn empty(name: &str) -> Model {
        Model {
            name: name.to_owned(),
            nodes: Vec::new(),
            calls: Vec::new(),
            inputs: None,
            outputs: Vec::new(),
            output_keys: None,
            seed: 0,
            executor: None,
            built: false,
            compiled: None,
            plans: PlanCache::default(),
            metadata: Config::new(),
            warnings: Vec::new(),
        }
    }

    /// A chain of layers given by type and arguments, as a recipe writes them.
    ///
    /// ```
    /// use danlu::{Model, config};
    /// let model = Model::from_layers([
    ///     ("Input".to_owned(), config! { "shape": [4] }),
    ///     ("Dense".to_owned(), config! { "units": 3, "activation": "softmax" }),
    /// ])?;
    /// assert_eq!(model.layer_names(), ["input_layer", "dense"]);
    /// # Ok::<(), danlu::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such type or argument, or an argument has a value that it cannot have; the error says which layer,
    /// counted from 0.
    pub fn from_layers(layers: impl IntoIterator<Item = (String, Config)>) -> Result<Model> {
        let mut model = Model::empty("sequential");
        for (index, (class_name, arguments)) in layers.into_iter().enumerate() {
            let spec = LayerSpec::from_arguments(&class_name, arguments)
                .map_err(|error| error.in_layer(&format!("layer {index} ({class_name})")))?;
            model.append(spec);
        }
        Ok(model)
    }

    /// Appends a layer to the chain.
    pub(crate) fn append(&mut self, spec: LayerSpec) {
        // Parameters that are there stay; plans and the optimizer's state belong to the model as it was.
        self.plans.clear(self.executor.as_deref_mut());
        self.remove_optimizer_state();
        let input = match self.calls.len() {
            0 => Source::Input(0),
            count => Source::Call {
                call: count - 1,
                output: 0,
            },
        };
        let node = self.add_node(spec);
        self.add_call(node, vec![input]);
        self.outputs = vec![Source::Call {
            call: self.calls.len() - 1,
            output: 0,
        }];
        self.built = false;
    }

    /// Adds a layer that is not called yet, and gives its place.
    fn add_node(&mut self, spec: LayerSpec) -> usize {
        let name = match spec.name {
            Some(name) => name,
            None => self.free_name(&crate::config::snake_case(spec.layer.class_name())),
        };
        self.nodes.push(Node {
            layer: spec.layer,
            name,
            trainable: spec.trainable,
            activity_regularizer: spec.activity_regularizer,
            parameters: Vec::new(),
            input_shapes: Vec::new(),
            built_with: spec.built_with,
            has_state: false,
        });
        self.nodes.len() - 1
    }

    /// Adds a use of a layer, and gives its place.
    fn add_call(&mut self, node: usize, inputs: Vec<Source>) -> usize {
        self.calls.push(Call {
            node,
            inputs,
            training: None,
            output_shapes: Vec::new(),
        });
        self.calls.len() - 1
    }

    /// `dense`, or the first of `dense_1`, `dense_2`, ... that no layer has.
    fn free_name(&self, base: &str) -> String {
        let taken = |name: &str| self.nodes.iter().any(|node| node.name == name);
        if !taken(base) {
            return base.to_owned();
        }
        let mut number = 1;
        loop {
            let name = format!("{base}_{number}");
            if !taken(&name) {
                return name;
            }
            number += 1;
        }
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the model a name.
    pub fn set_name(&mut self, name: &str) {
        self.name = name.to_owned();
    }

    /// The layers' names, in order.
    pub fn layer_names(&self) -> Vec<&str> {
        self.nodes.iter().map(|node| node.name.as_str()).collect()
    }

    /// A layer by its name.
    pub fn layer(&self, name: &str) -> Option<&dyn Layer> {
        let node = self.nodes.iter().find(|node| node.name == name)?;
        Some(&*node.layer)
    }

    /// The place of a layer.
    pub(crate) fn place(&self, name: &str) -> Result<usize> {
        let place = self.nodes.iter().position(|node| node.name == name);
        place.ok_or_else(|| Error::unknown("layer", name, self.layer_names()))
    }

    /// The layers with their names, in order.
    pub fn layers(&self) -> impl Iterator<Item = (&str, &dyn Layer)> {
        self.nodes
            .iter()
            .map(|node| (node.name.as_str(), &*node.layer))
    }

    /// The seed of initializers, and of `fit` where it is given none. Default 0.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Sets the seed; parameters that exist already stay as they are.
    pub fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// Whether the parameters exist.
    pub fn is_built(&self) -> bool {
        self.built
    }

    /// Whether the model has an optimizer, a loss and metrics.
    pub fn is_compiled(&self) -> bool {
        self.compiled.is_some()
    }

    /// What a user should know about the model, found while compiling; each says how to fix it.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// What Keras has no place for (pixel scale, class names, recipe, ...): saved with the model under `danlu`.
    pub fn metadata(&self) -> &Config {
        &self.metadata
    }

    /// As [`metadata`](Self::metadata), to change.
    pub fn metadata_mut(&mut self) -> &mut Config {
        &mut self.metadata
    }

    /// The shape of one example of the first input, without the axis of examples, where it is known.
    pub fn input_shape(&self) -> Option<Vec<usize>> {
        self.input_shapes()?.into_iter().next()
    }

    /// The shape of one example of each input, without the axis of examples, where they are known.
    pub fn input_shapes(&self) -> Option<Vec<Vec<usize>>> {
        let Some(inputs) = &self.inputs else {
            let first = self.nodes.first()?;
            if let Some(shape) = first.layer.input_shape() {
                return Some(vec![shape.to_vec()]);
            }
            return match first.input_shapes.first() {
                Some(shape) => Some(vec![example(shape)?]),
                None => Some(vec![first.built_with.clone()?]),
            };
        };
        inputs
            .iter()
            .map(|name| Some(self.layer(name)?.input_shape()?.to_vec()))
            .collect()
    }

    /// The names of the inputs: those of the Input layers; `x` for a chain.
    pub fn input_names(&self) -> Vec<&str> {
        match &self.inputs {
            Some(inputs) => inputs.iter().map(String::as_str).collect(),
            None => vec!["x"],
        }
    }

    /// The shape of the first output of one example, without the axis of examples; `None` before [`build`](Self::build).
    pub fn output_shape(&self) -> Option<Vec<usize>> {
        self.output_shapes()?.into_iter().next()
    }

    /// The shape of each output of one example, without the axis of examples; `None` before [`build`](Self::build).
    pub fn output_shapes(&self) -> Option<Vec<Vec<usize>>> {
        let shape = |source: &Source| match source {
            Source::Input(place) => self.input_shapes()?.get(*place).cloned(),
            Source::Call { call, output } => example(self.calls[*call].output_shapes.get(*output)?),
        };
        match self.outputs.is_empty() {
            true => None,
            false => self.outputs.iter().map(shape).collect(),
        }
    }

    /// The names of the outputs: those of the layers that give them (`layer`, `layer_1`, ... where one gives several), or those of
    /// [`with_output_names`](Self::with_output_names).
    pub fn output_names(&self) -> Vec<String> {
        if let Some(keys) = &self.output_keys {
            return keys.clone();
        }
        let name = |source: &Source| match source {
            Source::Input(place) => self.input_names()[*place].to_owned(),
            Source::Call { call, .. } => self.nodes[self.calls[*call].node].name.clone(),
        };
        let mut names: Vec<String> = Vec::with_capacity(self.outputs.len());
        for base in self.outputs.iter().map(name) {
            // A layer may give several.
            let mut own = base.clone();
            let mut number = 1;
            while names.contains(&own) {
                own = format!("{base}_{number}");
                number += 1;
            }
            names.push(own);
        }
        names
    }

    /// The name of the layer that gives a value; empty for one that no layer gives.
    pub(crate) fn layer_of(&self, source: &Source) -> &str {
        match source {
            Source::Input(_) => "",
            Source::Call { call, .. } => &self.nodes[self.calls[*call].node].name,
        }
    }

    /// Whether the layers stand one after the other.
    pub fn is_sequential(&self) -> bool {
        self.inputs.is_none()
    }

    /// Runs the model on this device from now on; parameters and optimizer state move along.
    ///
    /// # Errors
    /// The device has no memory for them.
    pub fn set_executor(&mut self, mut executor: Box<dyn Executor>) -> Result<()> {
        if let Some(old) = &self.executor {
            for name in self.state_names() {
                executor.create_state(&name, &old.read_state(&name)?)?;
            }
        }
        self.plans.clear(self.executor.as_deref_mut());
        self.executor = Some(executor);
        Ok(())
    }

    /// The device, with threads and instruction set, as text; the default one is started if there is none yet.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn device(&mut self) -> Result<String> {
        Ok(self.executor()?.describe())
    }

    pub(crate) fn executor(&mut self) -> Result<&mut (dyn Executor + 'static)> {
        if self.executor.is_none() {
            self.executor = Some(crate::executor::default_executor()?);
        }
        match &mut self.executor {
            Some(executor) => Ok(&mut **executor),
            None => Err(Error::NotReady {
                action: "executor",
                problem: "no device could be started".to_owned(),
                advice: "give one with set_executor".to_owned(),
            }),
        }
    }

    /// The names of everything that the model keeps in the executor.
    pub(crate) fn state_names(&self) -> Vec<String> {
        if !self.built {
            return Vec::new();
        }
        let parameters = self
            .nodes
            .iter()
            .flat_map(|node| node.states().map(|(name, _)| name).collect::<Vec<_>>());
        let mut names: Vec<String> = parameters.collect();
        names.extend(self.optimizer_state_names());
        names
    }
}

/// The shape of one example, where no size is open.
fn example(shape: &Shape) -> Option<Vec<usize>> {
    Shape::from(shape.dims()[1..].to_vec()).as_fixed()
}

impl std::fmt::Debug for Model {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "Model({}: {})",
            self.name,
            self.layer_names().join(", ")
        )
    }
}
