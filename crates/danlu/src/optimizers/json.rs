//! Optimizers by name and as files and recipes hold them.

use serde_json::Value;

use super::{Optimizer, registry};
use crate::config::{Arguments, Config, Described, described, keras_object, snake_case};
use crate::{Error, Result};

/// Where the object of an optimizer in a file holds what Keras' optimizers have no argument for; Keras passes over it.
const BEYOND_KERAS: &str = "danlu";

pub(super) fn from_name(name: &str) -> Result<Box<dyn Optimizer>> {
    from_parts(name, Arguments::new(name, Config::new()))
}

/// The optimizer of this name or class, with arguments, as a recipe or one of Keras' files holds it.
///
/// # Errors
/// There is no such optimizer or argument, or an argument has a value that it cannot have.
pub fn from_json(value: &Value) -> Result<Box<dyn Optimizer>> {
    match described("compile", "optimizer", value)? {
        Described::Name(name) => from_name(&name),
        Described::Object(class, mut config) if value.get("class_name").is_some() => {
            if let Some(Value::Object(beyond)) = value.get(BEYOND_KERAS) {
                config.extend(beyond.clone());
            }
            from_parts(&class.clone(), Arguments::from_file(class, config))
        }
        Described::Object(class, config) => {
            from_parts(&class.clone(), Arguments::new(class, config))
        }
    }
}

fn from_parts(name: &str, mut arguments: Arguments) -> Result<Box<dyn Optimizer>> {
    let Some(make) = registry::find(name) else {
        let names = super::names();
        let names: Vec<String> = match name == name.to_lowercase() {
            true => names.iter().map(|name| name.to_lowercase()).collect(),
            false => names,
        };
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        return Err(Error::unknown("optimizer", name, names));
    };
    let optimizer = make(&mut arguments)?;
    arguments.finish()?;
    optimizer.check()?;
    Ok(optimizer)
}

/// As Keras writes it, with the learning rate of now where it is a number: f32, as Keras keeps it.
pub fn to_json(optimizer: &dyn Optimizer, learning_rate: f64) -> Value {
    let (class, options) = (optimizer.class_name(), optimizer.options());
    let rate = match &options.learning_rate {
        super::LearningRate::Constant(_) => super::LearningRate::Constant(learning_rate).to_json(),
        schedule => schedule.to_json(),
    };
    let mut config = options.to_config(&file_name(optimizer), rate);
    config.extend(optimizer.config());
    let mut object = match registry::is_builtin(class) {
        true => keras_object("keras.optimizers", class, config),
        false => {
            let mut object = keras_object("danlu", class, config);
            object["registered_name"] = format!("danlu>{class}").into();
            object
        }
    };
    let beyond = options.beyond_keras();
    if !beyond.is_empty() {
        object[BEYOND_KERAS] = Value::Object(beyond);
    }
    object
}

/// The optimizer's name in files: the one that it was given, or its class in snake case.
pub(crate) fn file_name(optimizer: &dyn Optimizer) -> String {
    let given = optimizer.options().name.clone();
    given.unwrap_or_else(|| snake_case(optimizer.class_name()))
}
