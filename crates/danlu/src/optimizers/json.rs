//! Optimizers by name and as files and recipes hold them.

use serde_json::Value;

use super::{Adam, Clipping, Optimizer, SGD, SparseAdam};
use crate::config::{Arguments, Config, Described, described, keras_object, snake_case};
use crate::{Error, Result};

const NAMES: [&str; 3] = ["sgd", "adam", "sparse_adam"];

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
        Described::Object(class, config) if value.get("class_name").is_some() => {
            from_parts(&class.clone(), Arguments::from_file(class, config))
        }
        Described::Object(class, config) => {
            from_parts(&class.clone(), Arguments::new(class, config))
        }
    }
}

fn from_parts(name: &str, mut arguments: Arguments) -> Result<Box<dyn Optimizer>> {
    let known = snake_case(name);
    if !NAMES.contains(&known.as_str()) {
        return Err(Error::unknown("optimizer", name, NAMES));
    }
    let learning_rate = match arguments.take("learning_rate") {
        None => None,
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::Object(_)) => {
            let feature = "a learning rate schedule";
            let advice = "give a number and change it with set_learning_rate";
            return Err(Error::unsupported(arguments.owner(), feature, advice));
        }
        Some(other) => return Err(arguments.wrong("learning_rate", "a number", &other)),
    };
    let clipping = take_clipping(&mut arguments)?;
    let optimizer: Box<dyn Optimizer> = if known == "sgd" {
        Box::new(SGD {
            learning_rate: learning_rate.unwrap_or(0.01),
            momentum: arguments.number("momentum")?.unwrap_or(0.0),
            nesterov: arguments.boolean("nesterov")?.unwrap_or(false),
            clipping,
        })
    } else if known == "sparse_adam" {
        if clipping != Clipping::None {
            let advice = "leave clipnorm, global_clipnorm and clipvalue out, or use Adam";
            return Err(Error::unsupported("SparseAdam", "clipping", advice));
        }
        let default = SparseAdam::default();
        Box::new(SparseAdam {
            learning_rate: learning_rate.unwrap_or(default.learning_rate),
            beta_1: arguments.number("beta_1")?.unwrap_or(default.beta_1),
            beta_2: arguments.number("beta_2")?.unwrap_or(default.beta_2),
            epsilon: arguments.number("epsilon")?.unwrap_or(default.epsilon),
        })
    } else {
        let adam = Adam {
            learning_rate: learning_rate.unwrap_or(0.001),
            beta_1: arguments.number("beta_1")?.unwrap_or(0.9),
            beta_2: arguments.number("beta_2")?.unwrap_or(0.999),
            epsilon: arguments.number("epsilon")?.unwrap_or(1e-7),
            clipping,
        };
        arguments.unsupported("amsgrad", &[false.into()])?;
        Box::new(adam)
    };
    arguments.take("name");
    arguments.unsupported("weight_decay", &[0.0.into()])?;
    arguments.unsupported("use_ema", &[false.into()])?;
    // Both only count where use_ema is true.
    arguments.take("ema_momentum");
    arguments.take("ema_overwrite_frequency");
    arguments.unsupported("loss_scale_factor", &[])?;
    arguments.unsupported("gradient_accumulation_steps", &[])?;
    if arguments.is_from_file() {
        arguments.unsupported("jit_compile", &[true.into(), false.into()])?;
        arguments.unsupported("is_legacy_optimizer", &[false.into()])?;
    }
    arguments.finish()?;
    optimizer.check()?;
    Ok(optimizer)
}

fn take_clipping(arguments: &mut Arguments) -> Result<Clipping> {
    let given: Vec<(&str, Clipping)> = [
        ("clipnorm", Clipping::Norm as fn(f64) -> Clipping),
        ("global_clipnorm", Clipping::GlobalNorm),
        ("clipvalue", Clipping::Value),
    ]
    .into_iter()
    .filter_map(|(name, make)| match arguments.number(name) {
        Ok(None) => None,
        Ok(Some(limit)) => Some(Ok((name, make(limit)))),
        Err(error) => Some(Err(error)),
    })
    .collect::<Result<_>>()?;
    match given.as_slice() {
        [] => Ok(Clipping::None),
        [(_, clipping)] => Ok(*clipping),
        [(first, _), (second, _), ..] => Err(Error::argument(
            arguments.owner(),
            *first,
            "the only way of clipping",
            format!("`{second}` as well"),
        )),
    }
}

/// As Keras writes it, with the learning rate of now: f32, as Keras keeps it.
pub fn to_json(optimizer: &dyn Optimizer, learning_rate: f64) -> Value {
    let limit = |number: f64| Value::from(number);
    let (mut norm, mut global, mut value) = (Value::Null, Value::Null, Value::Null);
    match optimizer.clipping() {
        Clipping::None => {}
        Clipping::Norm(number) => norm = limit(number),
        Clipping::GlobalNorm(number) => global = limit(number),
        Clipping::Value(number) => value = limit(number),
    }
    let class = optimizer.class_name();
    let mut config = crate::config! {
        "name": class.to_lowercase(),
        "learning_rate": f64::from(learning_rate as f32),
        "weight_decay": null,
        "clipnorm": norm,
        "global_clipnorm": global,
        "clipvalue": value,
        "use_ema": false,
        "ema_momentum": 0.99,
        "ema_overwrite_frequency": null,
        "loss_scale_factor": null,
        "gradient_accumulation_steps": null,
    };
    config.extend(optimizer.config());
    keras_object("keras.optimizers", class, config)
}
