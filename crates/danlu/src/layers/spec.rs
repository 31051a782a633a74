//! A layer with what every layer has: a name, and whether it is trained.

use serde_json::Value;

use super::{Layer, make};
use crate::choice::Choice;
use crate::config::Config;
use crate::regularizers::Regularizer;
use crate::{Arguments, Error, Result};

/// A layer with its name (`None`: one is made from its type), whether training changes its parameters, and a penalty on
/// its output.
#[derive(Debug)]
pub struct LayerSpec {
    pub(crate) layer: Box<dyn Layer>,
    pub(crate) name: Option<String>,
    pub(crate) trainable: bool,
    pub(crate) activity_regularizer: Option<Choice<Regularizer>>,
    /// The shape of the input that a file says the layer was built with, without the axis of examples.
    pub(crate) built_with: Option<Vec<usize>>,
}

impl LayerSpec {
    /// The same layer under this name, which must be unique in its model.
    #[must_use]
    pub fn name(mut self, name: &str) -> LayerSpec {
        self.name = Some(name.to_owned());
        self
    }

    /// The same layer, whose parameters training changes or leaves as they are.
    #[must_use]
    pub fn trainable(mut self, trainable: bool) -> LayerSpec {
        self.trainable = trainable;
        self
    }

    /// The same layer, with a penalty on its output that is added to the loss, divided by the number of examples.
    #[must_use]
    pub fn activity_regularizer(
        mut self,
        regularizer: impl Into<Choice<Regularizer>>,
    ) -> LayerSpec {
        self.activity_regularizer = Some(regularizer.into());
        self
    }

    /// The layer of this type with these arguments, as a recipe writes them: an unknown argument is an error.
    ///
    /// # Errors
    /// There is no such type or argument, or an argument has a value that it cannot have.
    pub fn from_arguments(class_name: &str, arguments: Config) -> Result<LayerSpec> {
        LayerSpec::read(Arguments::new(class_name, arguments), class_name)
    }

    /// As [`from_arguments`](Self::from_arguments), from a model file of Keras'.
    pub(crate) fn from_file(class_name: &str, arguments: Config) -> Result<LayerSpec> {
        let owner = match arguments.get("name").and_then(Value::as_str) {
            Some(name) => format!("{name} ({class_name})"),
            None => class_name.to_owned(),
        };
        LayerSpec::read(Arguments::from_file(owner, arguments), class_name)
    }

    fn read(mut arguments: Arguments, class_name: &str) -> Result<LayerSpec> {
        let name = arguments.string("name")?;
        let trainable = arguments.boolean("trainable")?.unwrap_or(true);
        check_dtype(&mut arguments)?;
        let activity = arguments.take("activity_regularizer");
        let activity = activity
            .map(|value| Regularizer::from_json(&arguments, "activity_regularizer", &value));
        let activity_regularizer = activity.transpose()?.map(Choice::Value);
        let layer = make(class_name, &mut arguments)
            .map_err(|error| arguments.misspelt(error, || known_arguments(class_name)))?;
        // Keras 2 gave the first layer the shape of the input.
        let input_shape = match arguments.is_from_file() {
            true => arguments.take("batch_input_shape"),
            false => None,
        };
        let sizes = input_shape.as_ref().and_then(Value::as_array);
        let built_with = sizes.and_then(|sizes| {
            let size = |size: &Value| size.as_u64().and_then(|size| usize::try_from(size).ok());
            sizes.iter().skip(1).map(size).collect()
        });
        arguments.unsupported("autocast", &[Value::Bool(true)])?;
        arguments.finish()?;
        Ok(LayerSpec {
            layer,
            name,
            trainable,
            activity_regularizer,
            built_with,
        })
    }
}

/// The arguments that a layer type of our own has.
fn known_arguments(class_name: &str) -> Vec<String> {
    let described = super::describe_layer(class_name).ok();
    let tables = described
        .into_iter()
        .flat_map(|one| [one.required, one.defaults]);
    tables.flatten().map(|(name, _)| name).collect()
}

/// Fails unless the dtype, a name or one of Keras' policies, is float32.
fn check_dtype(arguments: &mut Arguments) -> Result<()> {
    let Some(dtype) = arguments.take("dtype") else {
        return Ok(());
    };
    let name = match &dtype {
        Value::String(name) => Some(name.as_str()),
        other => other
            .get("config")
            .and_then(|config| config.get("name"))
            .and_then(Value::as_str),
    };
    match name {
        Some("float32") => Ok(()),
        _ => Err(Error::unsupported(
            arguments.owner(),
            format!(
                "dtype {}",
                name.map_or_else(|| dtype.to_string(), str::to_owned)
            ),
            "make the layer with dtype float32",
        )),
    }
}

impl<L: Layer> From<L> for LayerSpec {
    fn from(layer: L) -> LayerSpec {
        LayerSpec::from(Box::new(layer) as Box<dyn Layer>)
    }
}

impl From<Box<dyn Layer>> for LayerSpec {
    fn from(layer: Box<dyn Layer>) -> LayerSpec {
        LayerSpec {
            layer,
            name: None,
            trainable: true,
            activity_regularizer: None,
            built_with: None,
        }
    }
}
