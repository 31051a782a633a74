//! A recipe's model for the data that it is to learn.

use danlu::Model;
use danlu::data::Specification;
use danlu::graph::Executor;
use danlu::optimizers::Optimizer;
use serde_json::{Value, json};

use super::graph::has_shape;
use super::{ModelPart, Recipe};
use crate::failure::{Failure, Result};

/// What a model must know of the data.
#[derive(Clone, Debug, Default)]
pub struct DataShape {
    /// The inputs, each with its name and the shape of one example.
    pub inputs: Vec<(String, Vec<usize>)>,
    /// Number of classes, where the only target is a class.
    pub classes: Option<usize>,
}

impl DataShape {
    /// That of a dataset.
    pub fn of(specification: &Specification) -> DataShape {
        let fields = specification.features.iter();
        DataShape {
            inputs: fields
                .map(|field| (field.name.clone(), field.shape.clone()))
                .collect(),
            classes: specification.classes,
        }
    }
}

impl Recipe {
    /// The model of the recipe's layers, built for the data and compiled.
    ///
    /// # Errors
    /// A layer cannot be built on what comes before it, or the recipe names a model file instead of layers.
    pub fn build(&self, data: &DataShape, executor: Box<dyn Executor>) -> Result<Model> {
        // The names of the layers in the recipe's order, and how many of them are not the recipe's.
        let (mut model, names, inserted) = match &self.model {
            ModelPart::Layers(layers) => {
                let (model, inserted) = self.chain(layers, data)?;
                let names = model.layer_names().into_iter().map(str::to_owned).collect();
                (model, names, inserted)
            }
            ModelPart::Graph(graph) => {
                let model = graph.model(&self.document, data)?;
                (model, graph.names(), usize::from(graph.inserted))
            }
            ModelPart::Architecture(architecture) => {
                return self.build_architecture(architecture, Some(data), executor);
            }
            ModelPart::File(_) => {
                return Err(Failure::failed("the recipe has a model file and no layers"));
            }
        };
        model.set_name(&self.name.replace('/', "_"));
        model.set_seed(self.training.seed);
        model.set_executor(executor)?;
        // Compiling builds: that way there is room for the optimizer's state as well, before weights are drawn.
        self.compile_at(&mut model, |model, error| {
            if model.is_built() {
                return "training".to_owned();
            }
            let is_it = |name: &String| match error {
                danlu::Error::Layer { layer, .. } => layer.starts_with(&format!("layer {name} (")),
                danlu::Error::Graph(error) => error.path() == Some(name.as_str()),
                _ => false,
            };
            let place = names.iter().position(is_it);
            match place.and_then(|place| place.checked_sub(inserted)) {
                Some(place) => format!("model.layers.{place}"),
                None => "model".to_owned(),
            }
        })?;
        Ok(model)
    }

    /// A chain of layers, not built, and how many were put in front of it.
    fn chain(
        &self,
        layers: &[(String, danlu::Config)],
        data: &DataShape,
    ) -> Result<(Model, usize)> {
        let mut layers = layers.to_vec();
        let begins_with_input =
            |(class, _): &(String, _)| class == "Input" || class == "InputLayer";
        let inserted = usize::from(!layers.first().is_some_and(begins_with_input));
        if inserted == 1 {
            layers.insert(0, ("Input".to_owned(), danlu::Config::new()));
        }
        if let Some((_, arguments)) = layers.first_mut()
            && !has_shape(arguments)
        {
            let shape = self.only_shape(data)?;
            arguments.insert("shape".to_owned(), json!(shape));
        }
        if let Some((class, arguments)) = layers.last_mut()
            && class == "Dense"
            && !arguments.contains_key("units")
        {
            let path = format!("model.layers.{}", self.layer_count() - 1);
            let classes = data.classes.ok_or_else(|| {
                let message = "the last layer needs `units`: the data has no classes to count";
                self.document.error(&path, message)
            })?;
            arguments.insert("units".to_owned(), json!(classes));
        }
        Ok((Model::from_layers(layers)?, inserted))
    }

    /// The shape of the data's one input.
    pub(super) fn only_shape<'a>(&self, data: &'a DataShape) -> Result<&'a [usize]> {
        if let [(_, shape)] = data.inputs.as_slice() {
            return Ok(shape);
        }
        let names = data.inputs.iter().map(|(name, _)| name.as_str());
        let message = format!(
            "the data has {} inputs ({}): give the model an Input layer with a `name` for each, and say with `inputs` what each layer \
             reads",
            data.inputs.len(),
            names.collect::<Vec<_>>().join(", ")
        );
        Err(self.document.error("model", &message))
    }

    /// Compiles a model with the recipe's optimizer, losses and metrics.
    ///
    /// # Errors
    /// They do not fit each other or the model.
    pub fn compile(&self, model: &mut Model) -> Result<()> {
        self.compile_at(model, |_, _| "training".to_owned())
    }

    /// As [`compile`](Self::compile); `place` says what of the recipe an error is about.
    fn compile_at(
        &self,
        model: &mut Model,
        place: impl Fn(&Model, &danlu::Error) -> String,
    ) -> Result<()> {
        let (document, objectives) = (&self.document, &self.training.objectives);
        let optimizer = self.optimizer()?;
        let compiled = match objectives.alike(document)? {
            Some((loss, metrics, weighted)) if objectives.are_alike() => {
                model.compile_with(optimizer, loss, metrics, weighted)
            }
            _ => model.compile_outputs(optimizer, objectives.of(document, model)?),
        };
        compiled.map_err(|error| self.library_error(&place(model, &error), &error))
    }

    /// What the recipe says a model is trained with.
    fn optimizer(&self) -> Result<Box<dyn Optimizer>> {
        let training = &self.training;
        let (Some(optimizer), Some(_)) = (&training.optimizer, &training.objectives.losses) else {
            let message = "compiling needs an optimizer and a loss: give both `training.optimizer` and `training.loss`";
            return Err(self.document.error("training", message));
        };
        let optimizer = danlu::optimizers::from_json(optimizer);
        optimizer.map_err(|error| self.library_error("training.optimizer", &error))
    }

    fn layer_count(&self) -> usize {
        let layers = self.document.get("model.layers").and_then(Value::as_array);
        layers.map_or(0, Vec::len)
    }
}
