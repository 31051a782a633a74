//! Models to files and back.

use std::path::Path;

use danlu_graph::{DType, Tensor};
use serde_json::Value;

use super::Model;
use crate::files::{self, LayerWeights, ModelFile, short_name};
use crate::{Error, Result};

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
        Ok(files::write(path, &self.to_file()?)?)
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

    /// Saves the weights alone, as `.safetensors` with names such as `dense/kernel`.
    ///
    /// # Errors
    /// The model is not built; the file cannot be written.
    pub fn save_weights(&self, path: impl AsRef<Path>) -> Result<()> {
        Ok(files::safetensors::write_tensors(
            path,
            &self.named_weights()?,
        )?)
    }

    /// Loads the weights alone: from a `.safetensors` by name, from a `.keras` or `.h5` by the order of the layers that have
    /// weights.
    ///
    /// # Errors
    /// The file cannot be read, or its weights are those of another model; then nothing has changed.
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.require_built("load_weights")?;
        let path = path.as_ref();
        if is_safetensors(path) {
            return self.set_named_weights(&files::safetensors::read_tensors(path)?);
        }
        let weights = self.checked_weights(files::read_for_inference(path)?.layers)?;
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
            if node.layer.input_shape().is_some() {
                continue;
            }
            let names = node
                .parameters
                .iter()
                .map(|parameter| parameter.name.clone());
            layers.push(LayerWeights {
                name: node.name.clone(),
                weights: names.zip(self.layer_weights(&node.name)?).collect(),
            });
        }
        let optimizer = self.optimizer_state()?;
        let class = self
            .optimizer()
            .map_or("", |optimizer| optimizer.class_name());
        let class = class.to_lowercase();
        let optimizer: Vec<(String, Tensor)> = optimizer
            .into_iter()
            .map(|(name, value)| {
                let name = name.trim_start_matches("optimizer/").replace('/', "_");
                (format!("{class}/{name}"), value)
            })
            .collect();
        Ok(ModelFile {
            config: self.to_keras()?,
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
        match model.input_shape() {
            None if file.layers.iter().all(|layer| layer.weights.is_empty()) => return Ok(model),
            None => model.build()?,
            Some(example) => {
                model.infer_shapes(&example)?;
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
            let state = state
                .enumerate()
                .map(|(place, value)| as_kept(place, value));
            model.take_optimizer_state(&state.collect::<Result<Vec<Tensor>>>()?)?;
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
    fn take_optimizer_state(&mut self, state: &[Tensor]) -> Result<()> {
        self.ensure_optimizer_state("load")?;
        let (own, received) = (self.optimizer_state_names().len(), state.len());
        if own == received {
            return self.set_optimizer_state(state);
        }
        let untrained = received == 2 && state[0].len() == 1 && state[0].get_f64(0) == 0.0;
        if untrained {
            let mut whole = state.to_vec();
            let slots = self.optimizer_state()?.into_iter().skip(2);
            whole.extend(slots.map(|(_, zeros)| zeros));
            return self.set_optimizer_state(&whole);
        }
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
            let describe = |shape: &[usize], name: &str| format!("{name} {shape:?}");
            let expected: Vec<String> = node
                .parameters
                .iter()
                .map(|p| describe(&p.shape, &p.name))
                .collect();
            let shapes: Vec<&[usize]> =
                node.parameters.iter().map(|p| p.shape.as_slice()).collect();
            let given: Vec<&[usize]> = layer.weights.iter().map(|(_, w)| w.shape()).collect();
            if shapes != given {
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
            for (parameter, (_, weight)) in node.parameters.iter().zip(layer.weights) {
                all.push(as_dtype(parameter.dtype, weight)?);
            }
        }
        Ok(all)
    }
}

/// The optimizer's iteration is i64 here, whatever integer a backend of Keras' keeps it in; all else is f32.
fn as_kept(place: usize, value: Tensor) -> Result<Tensor> {
    match place {
        0 => as_dtype(DType::I64, value),
        _ => as_dtype(DType::F32, value),
    }
}

/// The same numbers as i64, or else as f32.
fn as_dtype(dtype: DType, value: Tensor) -> Result<Tensor> {
    Ok(match dtype {
        same if same == value.dtype() => value,
        DType::I64 => {
            let numbers = value.to_f64().into_iter().map(|number| number as i64);
            Tensor::from_i64(value.shape(), numbers.collect())?
        }
        _ => value.to_f32(),
    })
}

fn is_safetensors(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("safetensors"))
}
