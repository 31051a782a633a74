//! A recipe's model for the data that it is to learn.

use danlu::Model;
use danlu::graph::Executor;
use danlu::losses::Loss;
use danlu::metrics::Metric;
use danlu::optimizers::Optimizer;
use serde_json::{Value, json};

use super::{ModelPart, Recipe};
use crate::failure::{Failure, Result};

/// What a model must know of the data.
pub struct DataShape<'a> {
    /// The shape of one example.
    pub example: &'a [usize],
    /// Number of classes, where the labels are classes.
    pub classes: Option<usize>,
}

/// Optimizer, loss, metrics, and metrics that weights touch.
type Settings = (Box<dyn Optimizer>, Loss, Vec<Metric>, Vec<Metric>);

impl Recipe {
    /// The model of the recipe's layers, built for the data and compiled.
    ///
    /// # Errors
    /// A layer cannot be built on what comes before it, or the recipe names a model file instead of layers.
    pub fn build(&self, data: &DataShape<'_>, executor: Box<dyn Executor>) -> Result<Model> {
        let layers = match &self.model {
            ModelPart::Layers(layers) => layers,
            ModelPart::Architecture(architecture) => {
                return self.build_architecture(architecture, Some(data), executor);
            }
            ModelPart::File(_) => {
                return Err(Failure::failed("the recipe has a model file and no layers"));
            }
        };
        let mut layers = layers.clone();
        let begins_with_input =
            |(class, _): &(String, _)| class == "Input" || class == "InputLayer";
        let inserted = usize::from(!layers.first().is_some_and(begins_with_input));
        if inserted == 1 {
            layers.insert(
                0,
                ("Input".to_owned(), danlu::config! { "shape": data.example }),
            );
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
        let titles: Vec<String> = layers.iter().map(|(class, _)| class.clone()).collect();
        let mut model = Model::from_layers(layers)?;
        model.set_name(&self.name.replace('/', "_"));
        model.set_seed(self.training.seed);
        model.set_executor(executor)?;
        let names: Vec<String> = model.layer_names().into_iter().map(str::to_owned).collect();
        // Compiling builds: that way there is room for the optimizer's state as well, before weights are drawn.
        let (optimizer, loss, metrics, weighted) = self.settings()?;
        let compiled = model.compile_with(optimizer, loss, metrics, weighted);
        compiled.map_err(|error| {
            if model.is_built() {
                return self.library_error("training", &error);
            }
            let is_it = |place: &usize| match &error {
                danlu::Error::Layer { layer, .. } => {
                    *layer == format!("layer {} ({})", names[*place], titles[*place])
                }
                danlu::Error::Graph(error) => error.path() == Some(names[*place].as_str()),
                _ => false,
            };
            match (0..names.len())
                .find(is_it)
                .and_then(|place| place.checked_sub(inserted))
            {
                Some(place) => self.library_error(&format!("model.layers.{place}"), &error),
                None => self.library_error("model", &error),
            }
        })?;
        Ok(model)
    }

    /// Compiles a model with the recipe's optimizer, loss and metrics.
    ///
    /// # Errors
    /// They do not fit each other or the model.
    pub fn compile(&self, model: &mut Model) -> Result<()> {
        let (optimizer, loss, metrics, weighted) = self.settings()?;
        model
            .compile_with(optimizer, loss, metrics, weighted)
            .map_err(|error| self.library_error("training", &error))
    }

    /// What the recipe says a model is compiled with.
    fn settings(&self) -> Result<Settings> {
        let training = &self.training;
        let (Some(optimizer), Some(loss)) = (&training.optimizer, &training.loss) else {
            let message = "compiling needs an optimizer and a loss: give both `training.optimizer` and `training.loss`";
            return Err(self.document.error("training", message));
        };
        let at = |path: &'static str| move |error: danlu::Error| self.library_error(path, &error);
        let optimizer =
            danlu::optimizers::from_json(optimizer).map_err(at("training.optimizer"))?;
        let loss = Loss::from_json(loss).map_err(at("training.loss"))?;
        let list = |metrics: &[Value]| -> danlu::Result<Vec<Metric>> {
            metrics.iter().map(Metric::from_json).collect()
        };
        let metrics = list(&training.metrics).map_err(at("training.metrics"))?;
        let weighted = list(&training.weighted_metrics).map_err(at("training.weighted_metrics"))?;
        Ok((optimizer, loss, metrics, weighted))
    }

    fn layer_count(&self) -> usize {
        let layers = self.document.get("model.layers").and_then(Value::as_array);
        layers.map_or(0, Vec::len)
    }
}
