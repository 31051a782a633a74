//! Models to files and back.

use std::path::Path;

use danlu_graph::{DType, Tensor};
use serde_json::Value;

use super::{Model, Node};
use crate::files::{self, LayerWeights, ModelFile, short_name};
use crate::{Error, Result, optimizers};

/// How much of a model file is used, and on what the model runs.
#[must_use]
pub struct LoadOptions {
    optimizer_state: bool,
    executor: Option<Box<dyn danlu_graph::Executor>>,
}

impl LoadOptions {
    /// Everything, on the default device.
    pub fn new() -> LoadOptions {
        LoadOptions {
            optimizer_state: true,
            executor: None,
        }
    }

    /// Whether the optimizer's state is read: needed to train on, not to predict. Default `true`.
    pub fn optimizer_state(mut self, optimizer_state: bool) -> LoadOptions {
        self.optimizer_state = optimizer_state;
        self
    }

    /// The device that the model runs on.
    pub fn executor(mut self, executor: Box<dyn danlu_graph::Executor>) -> LoadOptions {
        self.executor = Some(executor);
        self
    }
}

impl Default for LoadOptions {
    fn default() -> LoadOptions {
        LoadOptions::new()
    }
}

impl Model {
    /// Saves the model: architecture, weights, compile settings, optimizer state and metadata as `.keras` or `.h5`; the
    /// weights alone as `.safetensors`. A file that is there is replaced whole or stays as it is.
    ///
    /// # Errors
    /// Another extension; the model is not built; the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        if is_safetensors(path) {
            return self.save_weights(path);
        }
        if has_extension(path, "h5") || has_extension(path, "hdf5") {
            self.check_for_h5()?;
        }
        Ok(files::write(path, &self.to_file()?)?)
    }

    /// Fails where there is an operation that is no layer: Keras writes such into a `.h5`, too, and cannot read it again.
    fn check_for_h5(&self) -> Result<()> {
        for node in &self.nodes {
            if node.layer.as_operation().is_some() {
                return Err(Error::unsupported(
                    node.title(),
                    "an operation that is no layer, in a .h5",
                    "Keras cannot read it there: save the model as .keras",
                ));
            }
            if let Some(model) = node.layer.as_model() {
                model
                    .check_for_h5()
                    .map_err(|error| error.in_layer(&node.title()))?;
            }
        }
        Ok(())
    }

    /// Loads a model from a `.keras` or `.h5` of Keras' or Danlu's. Compile settings that cannot be used here are a
    /// [warning](Self::warnings), and leave the model not compiled.
    ///
    /// # Errors
    /// The file cannot be read or is damaged, or has a layer or an argument that is not supported.
    pub fn load(path: impl AsRef<Path>) -> Result<Model> {
        Model::load_with(path, LoadOptions::new())
    }

    /// As [`load`](Self::load), with options.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(path: impl AsRef<Path>, options: LoadOptions) -> Result<Model> {
        let file = match options.optimizer_state {
            true => files::read(path)?,
            false => files::read_for_inference(path)?,
        };
        Model::from_file(file, options)
    }

    /// Saves the weights alone: as Keras' `.weights.h5`, with the optimizer's state as Keras does, where the path ends so, else
    /// as `.safetensors` with names such as `dense/kernel`.
    ///
    /// # Errors
    /// The model is not built; the file cannot be written.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        if files::is_keras_weights(path) {
            return Ok(files::write_keras_weights(path, &self.to_file()?)?);
        }
        Ok(files::safetensors::write_tensors(
            path,
            &self.named_weights()?,
        )?)
    }

    /// Loads the weights alone: from a `.safetensors` by name, from a `.keras`, `.h5` or `.weights.h5` by the order of the
    /// layers that have weights.
    ///
    /// # Errors
    /// The file cannot be read, or its weights are those of another model; then nothing has changed.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.require_built("load_weights")?;
        let path = path.as_ref();
        if is_safetensors(path) {
            return self.set_named_weights(&files::safetensors::read_tensors(path)?);
        }
        let layers = match files::is_keras_weights(path) {
            true => files::read_keras_weights(path, &self.to_keras())?,
            false => files::read_for_inference(path)?.layers,
        };
        let weights = self.checked_weights(layers)?;
        self.set_weights(&weights)
    }

    /// What a file holds of this model.
    ///
    /// # Errors
    /// The model is not built, or the executor cannot give its state.
    pub fn to_file(&self) -> Result<ModelFile> {
        self.require_built("save")?;
        let mut layers = Vec::new();
        for node in &self.nodes {
            if self.is_sequential() && node.layer.input_shape().is_some() {
                continue;
            }
            let names = node
                .parameters
                .iter()
                .map(|parameter| parameter.name.clone());
            let trainable = node.parameters.iter();
            let trainable = trainable.map(|parameter| parameter.trainable && node.trainable);
            layers.push(LayerWeights {
                name: node.name.clone(),
                trainable: match node.layer.as_model() {
                    Some(_) => trainable.collect(),
                    None => Vec::new(),
                },
                weights: names.zip(self.layer_weights(&node.name)?).collect(),
            });
        }
        let optimizer = self.optimizer_state()?;
        let class = self.optimizer().map(optimizers::file_name);
        let class = class.unwrap_or_default();
        let optimizer: Vec<(String, Tensor)> = optimizer
            .into_iter()
            .map(|(name, value)| {
                let name = name.trim_start_matches("optimizer/").replace('/', "_");
                (format!("{class}/{name}"), value)
            })
            .collect();
        Ok(ModelFile {
            config: self.to_keras(),
            compile_config: self.compile_config(),
            layers,
            optimizer: (!optimizer.is_empty()).then_some(optimizer),
            danlu: (!self.metadata.is_empty()).then(|| Value::Object(self.metadata.clone())),
            keras_version: None,
            backend: None,
        })
    }

    /// A model of what a file holds.
    ///
    /// # Errors
    /// As [`load`](Self::load), but for reading.
    pub fn from_file(file: ModelFile, options: LoadOptions) -> Result<Model> {
        let mut model = Model::from_keras(&file.config)?;
        if let Some(executor) = options.executor {
            model.set_executor(executor)?;
        }
        if let Some(Value::Object(metadata)) = file.danlu {
            model.metadata = metadata;
        }
        match model.input_shapes() {
            None if file.layers.iter().all(|layer| layer.weights.is_empty()) => return Ok(model),
            None => model.build()?,
            Some(examples) => {
                model.infer_shapes(&examples)?;
                let weights = model.checked_weights(file.layers)?;
                model.create_parameters(weights)?;
            }
        }
        let mut problem = None;
        if let Some(config) = &file.compile_config {
            problem = model.compile_from_config(config).err();
        }
        if let Some(state) = file
            .optimizer
            .filter(|_| options.optimizer_state && model.is_compiled())
        {
            let state = state.into_iter().map(|(_, value)| value);
            model.take_optimizer_state(state.collect())?;
        }
        if let Some(problem) = problem {
            model.warnings.push(format!(
                "the file's compile settings cannot be used here ({problem}); compile the model to train or evaluate it"
            ));
        }
        Ok(model)
    }

    /// Uses a file's optimizer state as far as Keras would: all of it; the step and the learning rate alone, which is what
    /// a model has that was compiled and not trained; and nothing of a state of other parameters, as when a layer was
    /// frozen after the training.
    fn take_optimizer_state(&mut self, state: Vec<Tensor>) -> Result<()> {
        self.ensure_optimizer_state("load")?;
        let mut own = self.optimizer_state()?;
        let received = state.len();
        // The step, and the learning rate where it is a number.
        let first = own.iter().take_while(|(name, _)| is_shared(name)).count();
        let untrained = received == first && state[0].len() == 1 && state[0].get_f64(0) == 0.0;
        if own.len() == received || untrained {
            for ((_, kept), given) in own.iter_mut().zip(state) {
                *kept = converted(given, kept.dtype())?;
            }
            let whole: Vec<Tensor> = own.into_iter().map(|(_, value)| value).collect();
            return self.set_optimizer_state(&whole);
        }
        let own = own.len();
        self.warnings.push(format!(
            "the file's optimizer state is that of other parameters ({received} arrays, where this model's optimizer has \
             {own}), and is not used: training begins with a new one. This happens when layers are frozen or thawed after \
             training; compile and save the model again to keep a state"
        ));
        Ok(())
    }

    /// A file's weights in order, once they are known to be of this model's shapes.
    fn checked_weights(&self, layers: Vec<LayerWeights>) -> Result<Vec<Tensor>> {
        let received = layers.into_iter().filter(|layer| !layer.weights.is_empty());
        let received: Vec<LayerWeights> = received.collect();
        let own: Vec<usize> = (0..self.nodes.len())
            .filter(|&place| !self.nodes[place].parameters.is_empty())
            .collect();
        if own.len() != received.len() {
            let names = received.iter().map(|layer| layer.name.as_str());
            return Err(Error::mismatch(
                format!("the weights of {}", self.name),
                format!("{} layers with weights", own.len()),
                format!(
                    "{} ({})",
                    received.len(),
                    names.collect::<Vec<_>>().join(", ")
                ),
                "the weights are those of another model",
            ));
        }
        let mut all = Vec::new();
        for (&place, layer) in own.iter().zip(received) {
            let node = &self.nodes[place];
            let order = node.file_order(&layer);
            let describe = |shape: &[usize], name: &str| format!("{name} {shape:?}");
            let parameters = || order.iter().map(|&place| &node.parameters[place]);
            let shapes: Vec<&[usize]> = parameters().map(|p| p.shape.as_slice()).collect();
            let given: Vec<&[usize]> = layer.weights.iter().map(|(_, w)| w.shape()).collect();
            if shapes != given {
                let expected: Vec<String> =
                    parameters().map(|p| describe(&p.shape, &p.name)).collect();
                let weights = layer.weights.iter();
                let received: Vec<String> = weights
                    .map(|(name, w)| describe(w.shape(), short_name(name)))
                    .collect();
                return Err(Error::mismatch(
                    format!("the weights of {}", node.title()),
                    expected.join(", "),
                    format!("{} (layer {} of the file)", received.join(", "), layer.name),
                    "the weights are those of another model",
                ));
            }
            let mut own: Vec<(usize, Tensor)> = Vec::new();
            for (&place, (_, weight)) in order.iter().zip(layer.weights) {
                own.push((place, converted(weight, node.parameters[place].dtype)?));
            }
            own.sort_by_key(|(place, _)| *place);
            all.extend(own.into_iter().map(|(_, weight)| weight));
        }
        Ok(all)
    }
}

impl Node {
    /// The places of the parameters in the order in which a file has them.
    pub(super) fn file_order(&self, layer: &LayerWeights) -> Vec<usize> {
        let named = |(name, _): &(String, Tensor)| {
            let mut parameters = self.parameters.iter();
            parameters.position(|parameter| parameter.name == *name)
        };
        let by_name: Option<Vec<usize>> = layer.weights.iter().map(named).collect();
        let places = 0..self.parameters.len();
        if let Some(order) = by_name.filter(|order| order.len() == places.len()) {
            return order;
        }
        let by_layer = layer
            .weights
            .iter()
            .any(|(name, _)| name.starts_with("layers/"));
        if self.layer.as_model().is_none() || by_layer {
            return places.collect();
        }
        // A `.h5` has what is trained first.
        let trained = |&place: &usize| self.trainable && self.parameters[place].trainable;
        let (mut order, rest): (Vec<usize>, Vec<usize>) = places.partition(trained);
        order.extend(rest);
        order
    }
}

fn is_shared(state: &str) -> bool {
    [optimizers::ITERATION, optimizers::LEARNING_RATE].contains(&state)
}

/// An array of a file in the dtype in which it is kept here: backends of Keras' count in other integers.
pub(super) fn converted(value: Tensor, dtype: DType) -> Result<Tensor> {
    let numbers = || value.to_f64().into_iter();
    Ok(match dtype {
        dtype if dtype == value.dtype() => value,
        DType::I64 => Tensor::from_i64(value.shape(), numbers().map(|v| v as i64).collect())?,
        DType::I32 => Tensor::from_i32(value.shape(), numbers().map(|v| v as i32).collect())?,
        _ => value.to_f32(),
    })
}

pub(super) fn is_safetensors(path: &Path) -> bool {
    has_extension(path, "safetensors")
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension()
        .is_some_and(|own| own.eq_ignore_ascii_case(extension))
}
