//! Callbacks by name, so that recipes can name them.

use std::sync::OnceLock;

use serde_json::Value;

use super::{
    CSVLogger, Callback, EarlyStopping, LearningRateScheduler, ModelCheckpoint, ReduceLROnPlateau,
    StopAtConvergence, SwapEMAWeights, TensorBoard, TerminateOnNaN,
};
use crate::config::{Described, described};
use crate::registry::{Make, Registry, without_package};
use crate::{Arguments, Config, Error, Result};

type Made = Box<dyn Callback>;

macro_rules! builtin {
    ($($name:ident),*) => {
        [$((
            stringify!($name),
            (|arguments| Ok(Box::new($name::from_config(arguments)?) as Made)) as Make<Made>,
        )),*]
    };
}

fn registry() -> &'static Registry<Made> {
    static REGISTRY: OnceLock<Registry<Made>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let builtin = builtin![
            CSVLogger,
            EarlyStopping,
            LearningRateScheduler,
            ModelCheckpoint,
            ReduceLROnPlateau,
            StopAtConvergence,
            SwapEMAWeights,
            TensorBoard,
            TerminateOnNaN
        ];
        Registry::new("callback", "keras.callbacks", builtin)
    })
}

/// Makes a callback of your own known, so that recipes can name it. The same name may be given again.
///
/// ```
/// use danlu::callbacks::{Callback, from_json, register_callback};
/// struct Beep(usize);
/// impl Callback for Beep {}
/// register_callback("Beep", |arguments| {
///     let times = arguments.positive("times")?.unwrap_or(1);
///     Ok(Box::new(Beep(times)))
/// })?;
/// assert!(from_json(&serde_json::json!({ "type": "Beep", "times": 3 })).is_ok());
/// # use danlu::serde_json;
/// # Ok::<(), danlu::Error>(())
/// ```
///
/// # Errors
/// The name is one of Danlu's own callbacks.
pub fn register_callback(
    class_name: &str,
    make: fn(&mut Arguments) -> Result<Box<dyn Callback>>,
) -> Result<()> {
    if class_name.is_empty() {
        return Err(registry().taken("register_callback", class_name));
    }
    registry().register("register_callback", class_name, make)
}

/// The names of all callbacks that recipes can name.
pub fn names() -> Vec<String> {
    registry().names()
}

/// The callback that an object with its type and arguments describes, as a recipe holds it, or a name alone.
///
/// # Errors
/// There is no such callback or argument, or an argument has a value that it cannot have.
pub fn from_json(value: &Value) -> Result<Box<dyn Callback>> {
    let (class, config) = match described("fit", "callbacks", value)? {
        Described::Object(class, config) => (class, config),
        Described::Name(name) => (name, Config::new()),
    };
    let Some(make) = registry().get(without_package(&class), |_, _| false) else {
        if class == "LambdaCallback" {
            let advice = "write a callback of your own and call register_callback";
            return Err(Error::unsupported("a recipe", "LambdaCallback", advice));
        }
        let names = names();
        let names = names.iter().map(String::as_str);
        return Err(Error::unknown("callback", &class, names));
    };
    let mut arguments = Arguments::new(class, config);
    let callback = make(&mut arguments)?;
    arguments.finish()?;
    Ok(callback)
}
