//! Losses by name and as files and recipes hold them.

use serde_json::Value;

use super::{
    BinaryCrossentropy, CategoricalCrossentropy, Loss, MeanAbsoluteError, MeanSquaredError,
    Reduction, SparseCategoricalCrossentropy,
};
use crate::config::{Arguments, Config, Described, described, keras_object, snake_case};
use crate::{Error, Result};

const NAMES: [&str; 7] = [
    "mean_squared_error",
    "mse",
    "mean_absolute_error",
    "mae",
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
];

impl Loss {
    /// The loss of this name, such as `mse` or `sparse_categorical_crossentropy`.
    ///
    /// # Errors
    /// There is none.
    pub fn from_name(name: &str) -> Result<Loss> {
        let mut loss = Loss::from_parts(name, Arguments::new(name, Config::new()))?;
        loss.given = Some(name.to_owned());
        Ok(loss)
    }

    /// The loss of this name or class, with arguments, as a recipe or one of Keras' files holds it.
    ///
    /// # Errors
    /// There is no such loss or argument, or an argument has a value that it cannot have.
    pub fn from_json(value: &Value) -> Result<Loss> {
        match described("compile", "loss", value)? {
            Described::Name(name) => Loss::from_name(&name),
            Described::Object(class, config) if value.get("class_name").is_some() => {
                Loss::from_parts(&class.clone(), Arguments::from_file(class, config))
            }
            Described::Object(class, config) => {
                Loss::from_parts(&class.clone(), Arguments::new(class, config))
            }
        }
    }

    fn from_parts(name: &str, mut arguments: Arguments) -> Result<Loss> {
        let smoothing = |arguments: &mut Arguments| -> Result<f64> {
            let smoothing = arguments.number("label_smoothing")?.unwrap_or(0.0);
            super::categorical_crossentropy::check_smoothing(arguments.owner(), smoothing)?;
            arguments.unsupported("axis", &[(-1).into()])?;
            Ok(smoothing)
        };
        let mut loss = match snake_case(name).as_str() {
            "mean_squared_error" | "mse" => Loss::new(MeanSquaredError {}),
            "mean_absolute_error" | "mae" => Loss::new(MeanAbsoluteError {}),
            "binary_crossentropy" | "bce" => Loss::new(BinaryCrossentropy {
                from_logits: arguments.boolean("from_logits")?.unwrap_or(false),
                label_smoothing: smoothing(&mut arguments)?,
            }),
            "categorical_crossentropy" | "cce" => Loss::new(CategoricalCrossentropy {
                from_logits: arguments.boolean("from_logits")?.unwrap_or(false),
                label_smoothing: smoothing(&mut arguments)?,
            }),
            "sparse_categorical_crossentropy" | "scce" => {
                arguments.unsupported("ignore_class", &[])?;
                arguments.unsupported("axis", &[(-1).into()])?;
                Loss::new(SparseCategoricalCrossentropy {
                    from_logits: arguments.boolean("from_logits")?.unwrap_or(false),
                })
            }
            _ => return Err(Error::unknown("loss", name, NAMES)),
        };
        arguments.take("name");
        arguments.unsupported("dtype", &["float32".into()])?;
        if let Some(reduction) = arguments.string("reduction")? {
            loss.reduction = match reduction.as_str() {
                "sum_over_batch_size" => Reduction::SumOverBatchSize,
                "sum" => Reduction::Sum,
                other => {
                    let expected = "`sum_over_batch_size` or `sum`";
                    return Err(Error::argument(
                        arguments.owner(),
                        "reduction",
                        expected,
                        other,
                    ));
                }
            };
        }
        arguments.finish()?;
        Ok(loss)
    }

    /// As Keras writes it: the text that it was given as, or an object.
    pub fn to_json(&self) -> Value {
        if let Some(given) = &self.given {
            return Value::from(given.as_str());
        }
        let reduction = match self.reduction {
            Reduction::SumOverBatchSize => "sum_over_batch_size",
            Reduction::Sum => "sum",
        };
        let mut config = crate::config! { "name": self.function.name(), "reduction": reduction };
        config.extend(self.function.config());
        keras_object("keras.losses", self.function.class_name(), config)
    }
}
