//! Metrics as files and recipes hold them.

use serde_json::{Value, json};

use super::{Kind, Metric, registry};
use crate::Result;
use crate::config::{Arguments, Config, Described, described, keras_object};
use crate::losses::{function_name, own_object};

impl Metric {
    /// The metric of this name, such as `accuracy`, `mae` or one that [`register_metric`](super::register_metric) made known.
    /// `accuracy` is binary, categorical or sparse by the shapes of targets and predictions, as in Keras.
    ///
    /// # Errors
    /// There is none.
    pub fn from_name(name: &str) -> Result<Metric> {
        let mut metric = match name.to_lowercase().as_str() {
            "accuracy" | "acc" => Metric {
                kind: Kind::Accuracy,
                name: name.to_owned(),
                given: None,
            },
            _ => Metric::from_parts(name, Arguments::new(name, Config::new()))?,
        };
        metric.name = name.to_owned();
        metric.given = Some(name.to_owned());
        Ok(metric)
    }

    /// The metric of this name or class, with arguments, as a recipe or one of Keras' files holds it.
    ///
    /// # Errors
    /// There is no such metric or argument, or an argument has a value that it cannot have.
    pub fn from_json(value: &Value) -> Result<Metric> {
        match described("compile", "metrics", value)? {
            Described::Name(name) => Metric::from_name(&name),
            Described::Object(class, config) if value.get("class_name").is_some() => {
                Metric::from_parts(&class.clone(), Arguments::from_file(class, config))
            }
            Described::Object(class, config) => {
                Metric::from_parts(&class.clone(), Arguments::new(class, config))
            }
        }
    }

    fn from_parts(name: &str, mut arguments: Arguments) -> Result<Metric> {
        let mut metric = registry::make_metric(name, &mut arguments)?;
        if let Some(own) = arguments.string("name")? {
            metric.name = own;
        }
        arguments.unsupported("dtype", &["float32".into()])?;
        arguments.finish()?;
        Ok(metric)
    }

    /// As Keras writes it: the text that it was given as, or an object.
    pub fn to_json(&self) -> Value {
        match (&self.given, &self.kind) {
            (Some(given), Kind::Function(_))
                if !registry::is_builtin(given) && !registry::is_own(given) =>
            {
                // A loss: Keras finds it as a function only.
                json!({
                    "module": "builtins",
                    "class_name": "function",
                    "config": function_name(given).unwrap_or(given),
                    "registered_name": "function",
                })
            }
            (Some(given), _) => Value::from(given.as_str()),
            (None, Kind::Accuracy) => Value::from(self.name.as_str()),
            (None, Kind::Function(function)) => {
                let class_name = function.class_name();
                let mut config = crate::config! { "name": self.name, "dtype": "float32" };
                config.extend(function.config());
                match registry::is_builtin(class_name) {
                    true => keras_object("keras.metrics", class_name, config),
                    false => own_object(class_name, config),
                }
            }
        }
    }
}
