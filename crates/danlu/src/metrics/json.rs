//! Metrics by name and as files and recipes hold them.

use serde_json::Value;

use super::{
    BinaryAccuracy, CategoricalAccuracy, CrossentropyMetric, Kind, MeanAbsoluteErrorMetric,
    MeanSquaredErrorMetric, Metric, SparseCategoricalAccuracy,
};
use crate::config::{Arguments, Config, Described, described, keras_object, snake_case};
use crate::{Error, Result};

const NAMES: [&str; 12] = [
    "accuracy",
    "acc",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "mean_absolute_error",
    "mae",
    "mean_squared_error",
    "mse",
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
];

impl Metric {
    /// The metric of this name, such as `accuracy` or `mae`. `accuracy` is binary, categorical or sparse by the shapes of
    /// targets and predictions, as in Keras.
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
        let mut metric = match snake_case(name).as_str() {
            "binary_accuracy" => Metric::new(BinaryAccuracy {
                threshold: arguments.number("threshold")?.unwrap_or(0.5),
            }),
            "categorical_accuracy" => Metric::new(CategoricalAccuracy {}),
            "sparse_categorical_accuracy" => Metric::new(SparseCategoricalAccuracy {}),
            "mean_absolute_error" | "mae" => Metric::new(MeanAbsoluteErrorMetric {}),
            "mean_squared_error" | "mse" => Metric::new(MeanSquaredErrorMetric {}),
            "binary_crossentropy" => Metric::new(CrossentropyMetric::binary(&mut arguments)?),
            "categorical_crossentropy" => {
                Metric::new(CrossentropyMetric::categorical(&mut arguments)?)
            }
            "sparse_categorical_crossentropy" => {
                Metric::new(CrossentropyMetric::sparse(&mut arguments)?)
            }
            _ => return Err(Error::unknown("metric", name, NAMES)),
        };
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
            (Some(given), _) => Value::from(given.as_str()),
            (None, Kind::Accuracy) => Value::from(self.name.as_str()),
            (None, Kind::Function(function)) => {
                let mut config = crate::config! { "name": self.name, "dtype": "float32" };
                config.extend(function.config());
                keras_object("keras.metrics", function.class_name(), config)
            }
        }
    }
}
