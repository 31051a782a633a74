//! A recipe's model by the name of an architecture, with arguments beside it.

use danlu::graph::Executor;
use danlu::{Config, Model};
use serde_json::{Value, json};

use super::build::DataShape;
use super::document::Document;
use super::{Recipe, library_error};
use crate::failure::Result;

/// An architecture of `danlu_zoo` with the arguments that the recipe gives.
#[derive(Clone, Debug)]
pub struct Architecture {
    name: String,
    arguments: Config,
}

impl Architecture {
    /// What `[model]` says, found good as far as it can be without the data.
    ///
    /// # Errors
    /// There is no such architecture or argument, or an argument has a value that it cannot have.
    pub fn new(document: &Document, name: &str, arguments: Config) -> Result<Architecture> {
        danlu_zoo::build(name, arguments.clone())
            .map_err(|error| library_error(document, "model", &error))?;
        Ok(Architecture {
            name: name.to_owned(),
            arguments,
        })
    }

    fn gives(&self, argument: &str) -> bool {
        self.arguments.contains_key(argument)
    }
}

/// Takes the layers out of a recipe that `--set` gives an architecture.
pub fn replace_layers(document: &mut Document) {
    if !document.was_set("model.architecture") {
        return;
    }
    let replaced = ["layers", "inputs", "outputs"];
    let replaced = replaced.map(|key| (key, document.was_set(&format!("model.{key}"))));
    if let Some(Value::Object(model)) = document.value.get_mut("model") {
        for (key, _) in replaced.iter().filter(|(_, was_set)| !was_set) {
            model.shift_remove(*key);
        }
    }
}

impl Recipe {
    /// The model of an architecture, compiled. Its input's shape and its classes are the data's, where the recipe does not give them
    /// and there is data; otherwise the architecture's own.
    ///
    /// # Errors
    /// The architecture does not take such examples, the data has no classes to count, or what the recipe trains with does not fit.
    pub fn build_architecture(
        &self,
        architecture: &Architecture,
        data: Option<&DataShape>,
        executor: Box<dyn Executor>,
    ) -> Result<Model> {
        let mut arguments = architecture.arguments.clone();
        if let Some(data) = data {
            if !architecture.gives("input_shape") {
                let shape = self.only_shape(data)?;
                arguments.insert("input_shape".to_owned(), json!(shape));
            }
            let has_top = arguments.get("include_top") != Some(&Value::Bool(false));
            if has_top && !architecture.gives("classes") {
                let classes = data.classes.ok_or_else(|| {
                    let message = format!(
                        "{} needs `classes`: the data has no classes to count",
                        architecture.name
                    );
                    self.document.error("model.architecture", &message)
                })?;
                arguments.insert("classes".to_owned(), json!(classes));
            }
        }
        let mut model = danlu_zoo::build(&architecture.name, arguments)
            .map_err(|error| self.library_error("model", &error))?;
        model.set_name(&self.name);
        model.set_seed(self.training.seed);
        model.set_executor(executor)?;
        // Compiling builds: that way there is room for the optimizer's state as well, before weights are drawn.
        self.compile(&mut model)?;
        Ok(model)
    }
}
