//! Recipes: what a TOML file says about data, model and training.

mod adapt;
pub mod architecture;
pub mod build;
pub mod builtin;
pub mod checkpoints;
pub mod document;
pub mod graph;
pub mod objectives;
pub mod targets;
pub mod write;

use std::path::{Path, PathBuf};

use danlu::Config;
use danlu::callbacks::{self, Callback, EarlyStopping};
use danlu::data::sources::TargetRule;
use serde_json::{Value, json};

use crate::data::DataSource;
use crate::failure::{Failure, Result};
use architecture::Architecture;
use checkpoints::Checkpoints;
use document::{Document, Table};
use graph::Graph;
use objectives::Objectives;

/// A recipe that was found good as far as it can be without the data.
#[derive(Debug)]
pub struct Recipe {
    /// Its name, which run folders bear.
    pub name: String,
    /// Where the data is, if it is said.
    pub source: Option<DataSource>,
    /// The factor of pictures' bytes.
    pub pixel_scale: Option<f64>,
    /// The targets to make of the data's; none where its own are meant.
    pub targets: Vec<TargetRule>,
    /// Where the layers come from.
    pub model: ModelPart,
    /// A model whose weights training begins with.
    pub init: Option<Init>,
    /// How to train.
    pub training: Training,
    document: Document,
}

/// Weights to begin with.
#[derive(Debug)]
pub struct Init {
    /// The model that has them.
    pub file: PathBuf,
    /// Which layer takes which.
    pub by: InitBy,
}

/// Which layer takes which weights of another model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InitBy {
    /// All of a model like this one.
    Whole,
    /// Those of the layer of its name, where it has one and the shapes are the same.
    Name,
    /// The first layer with weights the first, and so on, where the shapes are the same.
    Order,
}

impl Init {
    fn read(document: &Document, model: &mut Table<'_>) -> Result<Option<Init>> {
        let file = model.string("init")?.map(PathBuf::from);
        let by = match model.string("init_by")? {
            None => InitBy::Whole,
            Some("name") => InitBy::Name,
            Some("order") => InitBy::Order,
            Some(other) => {
                let message = format!(
                    "`init_by` must be \"name\" or \"order\", not \"{other}\"; without it the weights must be those of a model like this one"
                );
                return Err(document.error("model.init_by", &message));
            }
        };
        match file {
            None if by != InitBy::Whole => {
                let message = "`init_by` says how to take weights, but there is no `init` that says from where";
                Err(document.error("model.init_by", message))
            }
            file => Ok(file.map(|file| Init { file, by })),
        }
    }
}

/// Where a model comes from.
#[derive(Debug)]
pub enum ModelPart {
    /// Layers by type and arguments, one after the other.
    Layers(Vec<(String, Config)>),
    /// Layers that say what they read.
    Graph(Graph),
    /// An architecture by name.
    Architecture(Architecture),
    /// A model file, which is trained on.
    File(PathBuf),
}

/// How to train: the defaults are those of Keras' `compile` and `fit`.
#[derive(Debug)]
pub struct Training {
    /// The optimizer, where it is not a model's own.
    pub optimizer: Option<Value>,
    /// The losses, their weights and the metrics.
    pub objectives: Objectives,
    /// A weight for each class, by its index; those without one weigh 1.
    pub class_weight: Option<Vec<f32>>,
    /// Times that all examples are seen.
    pub epochs: usize,
    /// Examples of a step.
    pub batch_size: usize,
    /// Share of the training examples that is kept for validation.
    pub validation_split: f64,
    /// Whether every epoch has an order of its own.
    pub shuffle: bool,
    /// The seed of everything random.
    pub seed: u64,
    /// When to stop before the last epoch.
    pub early_stopping: Option<EarlyStopping>,
    /// Whether a look is taken at the training after each epoch, to say what goes wrong.
    pub diagnose: bool,
    /// What else is done at certain moments, by type and arguments that were found good.
    callbacks: Vec<Value>,
    /// When checkpoints are made.
    pub checkpoints: Checkpoints,
}

impl Recipe {
    /// Reads the document of a recipe file.
    ///
    /// # Errors
    /// The file cannot be read, or is no TOML.
    pub fn open(path: &Path) -> Result<(Document, PathBuf)> {
        let origin = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::Usage(format!("cannot read the recipe `{origin}`: {error}"))
        })?;
        let folder = path.parent().unwrap_or(Path::new("")).to_path_buf();
        Ok((Document::parse(&origin, &text)?, folder))
    }

    /// Makes a recipe of a document; paths in it are relative to `folder`.
    ///
    /// # Errors
    /// A key or a value is none; the error says where.
    pub fn read(mut document: Document, folder: &Path) -> Result<Recipe> {
        resolve_paths(&mut document, folder)?;
        let parts = Recipe::parts(&document)?;
        let (name, source, pixel_scale, model, init, training) = parts;
        let targets = targets::read(&document, "data.targets", document.get("data.targets"))?;
        let mut recipe = Recipe {
            name,
            source,
            pixel_scale,
            targets,
            model,
            init,
            training,
            document,
        };
        recipe.resolve();
        Ok(recipe)
    }

    #[allow(clippy::type_complexity)]
    fn parts(
        document: &Document,
    ) -> Result<(
        String,
        Option<DataSource>,
        Option<f64>,
        ModelPart,
        Option<Init>,
        Training,
    )> {
        let mut root = Table::open(document, "")?;
        let name = root.string("name")?.unwrap_or("model").to_owned();
        root.string("description")?;
        for table in ["data", "model", "training"] {
            root.take(table);
        }
        root.finish()?;
        if name.is_empty() || name.contains(['/', '\\', '\0']) || name.starts_with('.') {
            let message = "`name` must be a text that can be a folder's name";
            return Err(document.error("name", message));
        }

        let mut data = Table::open(document, "data")?;
        let source = data.string("source")?.map(DataSource::from_recipe);
        let above_zero = "a number above 0";
        let pixel_scale = data.number("pixel_scale", above_zero, |scale| scale > 0.0)?;
        data.take("targets");
        data.finish()?;

        let training = Training::read(document)?;
        let mut model = Table::open(document, "model")?;
        let layers = model.take("layers");
        let file = model.string("file")?.map(PathBuf::from);
        let init = Init::read(document, &mut model)?;
        let (inputs, outputs) = (model.take("inputs"), model.take("outputs"));
        let architecture = model.string("architecture")?;
        let architecture = match architecture {
            Some(name) => Some(Architecture::new(document, name, model.rest())?),
            None => {
                model.finish()?;
                None
            }
        };
        let model = match (layers, file) {
            (None, _) if inputs.is_some() || outputs.is_some() => {
                let message =
                    "`inputs` and `outputs` belong to `layers`; other models have their own";
                return Err(document.error("model", message));
            }
            (None, None) if let Some(architecture) = architecture => {
                ModelPart::Architecture(architecture)
            }
            _ if architecture.is_some() => {
                let message =
                    "`model` has an `architecture` beside `layers` or a `file`: leave one out";
                return Err(document.error("model.architecture", message));
            }
            (None, Some(file)) => ModelPart::File(file),
            (Some(layers), None) => {
                graph::read(document, read_layers(document, layers)?, inputs, outputs)?
            }
            (Some(_), Some(_)) => {
                let message = "`model` has `layers` and a `file`: leave one out";
                return Err(document.error("model.file", message));
            }
            (None, None) => {
                let message = "there is no layer: add [[model.layers]] tables, or an `architecture` or a `file` to [model]";
                return Err(document.error("model", message));
            }
        };
        if !matches!(model, ModelPart::File(_)) {
            for key in ["optimizer", "loss"] {
                if document.get(&format!("training.{key}")).is_none() {
                    let message = format!("`training` has no `{key}`: a recipe needs one");
                    return Err(document.error("training", &message));
                }
            }
        }
        Ok((name, source, pixel_scale, model, init, training))
    }

    /// Writes every default that counts into the document, so that it says all.
    fn resolve(&mut self) {
        let (name, training) = (self.name.clone(), &self.training);
        let values = [
            ("epochs", json!(training.epochs)),
            ("batch_size", json!(training.batch_size)),
            ("validation_split", json!(training.validation_split)),
            ("shuffle", json!(training.shuffle)),
            ("seed", json!(training.seed)),
        ];
        let Value::Object(root) = &mut self.document.value else {
            return;
        };
        root.entry("name").or_insert(json!(name));
        let training = root.entry("training").or_insert(json!({}));
        if let Value::Object(training) = training {
            for (key, value) in values {
                training.insert(key.to_owned(), value);
            }
        }
    }

    /// The recipe with every default written out.
    pub fn resolved(&self) -> Config {
        self.document.value.as_object().cloned().unwrap_or_default()
    }

    /// The targets to make, as the recipe writes them.
    pub fn target_table(&self) -> Option<&Value> {
        self.document.get("data.targets")
    }

    /// As [`resolved`](Self::resolved) without what belongs to this machine: paths.
    pub fn portable(&self) -> Config {
        let mut resolved = self.resolved();
        let builtin = matches!(self.source, Some(DataSource::Builtin(_)));
        if let Some(Value::Object(data)) = resolved.get_mut("data").filter(|_| !builtin) {
            data.shift_remove("source");
        }
        if let Some(Value::Object(model)) = resolved.get_mut("model") {
            model.shift_remove("init");
            model.shift_remove("init_by");
            model.shift_remove("file");
        }
        resolved
    }

    /// An error of the library about what stands at a path of the recipe, with its place.
    fn library_error(&self, path: &str, error: &danlu::Error) -> Failure {
        library_error(&self.document, path, error)
    }
}

impl Training {
    fn read(document: &Document) -> Result<Training> {
        let mut table = Table::open(document, "training")?;
        let optimizer = table.take("optimizer").cloned();
        let loss = table.take("loss");
        let weights = table.take("loss_weights");
        let metrics = table.take("metrics");
        let weighted = table.take("weighted_metrics");
        let class_weight = match table.take("class_weight") {
            None => None,
            Some(value) => Some(class_weight(value).ok_or_else(|| {
                let expected = "a list of numbers of 0 or above, one for each class, or a table of classes' numbers, such as { 2 = 5.0 }";
                table.wrong("class_weight", expected, value)
            })?),
        };
        // Both bounds are far above anything that fits into memory or a life.
        let epochs = table.integer("epochs", 1, i64::from(i32::MAX))?;
        let batch_size = table.integer("batch_size", 1, i64::from(i32::MAX))?;
        let share = "a number from 0 up to, without, 1";
        let inside = |share| (0.0..1.0).contains(&share);
        let validation_split = table.number("validation_split", share, inside)?;
        let shuffle = table.boolean("shuffle")?;
        let seed = table.integer("seed", 0, i64::MAX)?;
        let early_stopping = table.take("early_stopping");
        let diagnose = table.boolean("diagnose")?;
        let callbacks = read_callbacks(document, table.take("callbacks"))?;
        table.take("checkpoint");
        table.finish()?;
        let checkpoints = Checkpoints::read(document)?;
        let located = |path: &str, error: danlu::Error| library_error(document, path, &error);
        if let Some(optimizer) = &optimizer {
            danlu::optimizers::from_json(optimizer)
                .map_err(|error| located("training.optimizer", error))?;
        }
        let objectives = Objectives::read(document, loss, weights, metrics, weighted)?;
        let early_stopping = early_stopping
            .map(EarlyStopping::from_json)
            .transpose()
            .map_err(|error| located("training.early_stopping", error))?;
        Ok(Training {
            optimizer,
            objectives,
            class_weight,
            epochs: epochs.unwrap_or(1) as usize,
            batch_size: batch_size.unwrap_or(32) as usize,
            validation_split: validation_split.unwrap_or(0.0),
            shuffle: shuffle.unwrap_or(true),
            seed: seed.unwrap_or(0) as u64,
            early_stopping,
            diagnose: diagnose.unwrap_or(true),
            callbacks,
            checkpoints,
        })
    }

    /// The callbacks, made anew: each training needs its own.
    ///
    /// # Errors
    /// None that [`Recipe::read`] did not find.
    pub fn callbacks(&self) -> danlu::Result<Vec<Box<dyn Callback>>> {
        self.callbacks.iter().map(callbacks::from_json).collect()
    }
}

/// The callbacks as they are written, each a table with a type; all are made once to find what is wrong with them.
fn read_callbacks(document: &Document, list: Option<&Value>) -> Result<Vec<Value>> {
    let list = match list {
        None => return Ok(Vec::new()),
        Some(Value::Array(list)) if list.iter().all(Value::is_object) => list,
        Some(other) => {
            let message = format!(
                "`training.callbacks` must be [[training.callbacks]] tables, each with a `type`, received {other}"
            );
            return Err(document.error("training.callbacks", &message));
        }
    };
    for (index, callback) in list.iter().enumerate() {
        let path = format!("training.callbacks.{index}");
        if callback.get("type").and_then(Value::as_str).is_none() {
            let message = format!("callback {index} needs a `type`, such as type = \"CSVLogger\"");
            return Err(document.error(&path, &message));
        }
        let made = callbacks::from_json(callback);
        made.map_err(|error| library_error(document, &path, &error))?;
    }
    Ok(list.clone())
}

/// The largest class that can have a weight of its own: far more than anybody has.
const LARGEST_CLASS: usize = 1 << 20;

/// A weight for each class: a list, or a table by class as Keras' dictionary, where classes that are not in it weigh 1.
fn class_weight(value: &Value) -> Option<Vec<f32>> {
    let weight = |value: &Value| {
        let weight = value.as_f64()? as f32;
        (weight >= 0.0 && weight.is_finite()).then_some(weight)
    };
    match value {
        Value::Array(list) if !list.is_empty() => list.iter().map(weight).collect(),
        Value::Object(table) if !table.is_empty() => {
            let mut weights = Vec::new();
            for (class, value) in table {
                let class: usize = class.parse().ok().filter(|class| *class < LARGEST_CLASS)?;
                weights.resize(weights.len().max(class + 1), 1.0);
                weights[class] = weight(value)?;
            }
            Some(weights)
        }
        _ => None,
    }
}

/// The layers as they are written: each with its type and its other keys, which are looked at later.
fn read_layers(document: &Document, layers: &Value) -> Result<Vec<(String, Config)>> {
    let wrong = |path: &str, expected: &str, value: &Value| {
        document.error(
            path,
            &format!("`{path}` must be {expected}, received {value}"),
        )
    };
    let Value::Array(list) = layers else {
        return Err(wrong("model.layers", "a list of tables", layers));
    };
    if list.is_empty() {
        return Err(wrong("model.layers", "at least one layer", layers));
    }
    let mut result = Vec::new();
    let mut names = std::collections::HashSet::new();
    for (index, layer) in list.iter().enumerate() {
        let path = format!("model.layers.{index}");
        if let Some(Value::String(name)) = layer.get("name")
            && (name.is_empty() || name.contains('/') || !names.insert(name))
        {
            let expected = "a text without `/` that no other layer has";
            let name = Value::from(name.as_str());
            return Err(wrong(&format!("{path}.name"), expected, &name));
        }
        let Value::Object(arguments) = layer else {
            return Err(wrong(&path, "a table with a type", layer));
        };
        let mut arguments = arguments.clone();
        let Some(Value::String(class_name)) = arguments.shift_remove("type") else {
            let message = format!("layer {index} needs a `type`, such as type = \"Dense\"");
            return Err(document.error(&path, &message));
        };
        adapt::take(document, &path, &class_name, &mut arguments)?;
        result.push((class_name, arguments));
    }
    Ok(result)
}

/// An error of the library with the place in the recipe that it is about.
fn library_error(document: &Document, path: &str, error: &danlu::Error) -> Failure {
    let inner = match error {
        danlu::Error::Layer { source, .. } => source,
        error => error,
    };
    let path = match inner {
        danlu::Error::UnknownArgument { argument, .. }
        | danlu::Error::Argument { argument, .. } => {
            format!("{path}.{argument}")
        }
        danlu::Error::Unknown { kind, name, .. } => {
            let table = document.get(path).and_then(Value::as_object);
            let key = table.and_then(|table| {
                let named = |(_, value): &(&String, &Value)| value.as_str() == Some(name);
                table.iter().find(named).map(|(key, _)| key.clone())
            });
            match key {
                Some(key) => format!("{path}.{key}"),
                None if *kind == "layer type" => format!("{path}.type"),
                None => path.to_owned(),
            }
        }
        _ => path.to_owned(),
    };
    document.error(&path, &error.to_string())
}

/// Makes the paths in a recipe absolute: they are relative to the folder that it lies in.
fn resolve_paths(document: &mut Document, folder: &Path) -> Result<()> {
    for key in ["data.source", "model.file", "model.init"] {
        let Some(Value::String(text)) = document.get(key) else {
            continue;
        };
        if key == "data.source" && DataSource::is_builtin(text) {
            continue;
        }
        let path = absolute(&folder.join(text));
        let value = Value::from(path.to_str().ok_or_else(|| {
            Failure::Usage(format!("`{}` is no path of valid UTF-8", path.display()))
        })?);
        if let Some(slot) = document
            .value
            .pointer_mut(&format!("/{}", key.replace('.', "/")))
        {
            *slot = value;
        }
    }
    Ok(())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf())
}
