//! Losses as files and recipes hold them.

use serde_json::Value;

use super::{Loss, Reduction, registry};
use crate::config::{Arguments, Config, Described, described, keras_object};
use crate::{Error, Result};

impl Loss {
    /// The loss of this name, such as `mse`, `sparse_categorical_crossentropy` or one that
    /// [`register_loss`](super::register_loss) made known.
    ///
    /// # Errors
    /// There is none.
    pub fn from_name(name: &str) -> Result<Loss> {
        let mut loss = Loss::from_parts(name, Arguments::new(name, Config::new()))?;
        loss.given = Some(registry::name_in_files(name));
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
        let mut loss = registry::make_loss(name, &mut arguments)?;
        loss.name = arguments.string("name")?;
        arguments.unsupported("dtype", &["float32".into()])?;
        if let Some(reduction) = arguments.string("reduction")? {
            loss.reduction = match reduction.as_str() {
                "sum_over_batch_size" | "mean" => Reduction::SumOverBatchSize,
                "sum" => Reduction::Sum,
                "mean_with_sample_weight" => Reduction::MeanWithSampleWeight,
                other => {
                    let expected = "`sum_over_batch_size`, `mean`, `sum` or `mean_with_sample_weight`: training needs one \
                                    number for a batch";
                    let owner = arguments.owner();
                    return Err(Error::argument(owner, "reduction", expected, other));
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
            Reduction::MeanWithSampleWeight => "mean_with_sample_weight",
        };
        let class_name = self.function.class_name();
        let name = self.name.as_deref().unwrap_or(self.function.name());
        let mut config = crate::config! { "name": name, "reduction": reduction };
        config.extend(self.function.config());
        match registry::builtin(class_name) {
            Some(_) => keras_object("keras.losses", class_name, config),
            None => own_object(class_name, config),
        }
    }
}

/// A thing that Keras does not have, as it writes what users registered.
pub(crate) fn own_object(class_name: &str, config: Config) -> Value {
    let mut object = keras_object("danlu", class_name, config);
    object["registered_name"] = Value::from(format!("danlu>{class_name}"));
    object
}
