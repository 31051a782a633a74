//! Regularizers by name and as files and recipes hold them.

use std::sync::OnceLock;

use serde_json::Value;

use super::{L1, L1L2, L2, OrthogonalRegularizer, Regularizer, RegularizerFunction};
use crate::Result;
use crate::choice::{Choice, FromName};
use crate::config::Arguments;
use crate::registry::{Make, Registry};

fn make<F: RegularizerFunction>(arguments: &mut Arguments) -> Result<Regularizer> {
    let regularizer = Regularizer::new(F::from_config(arguments)?);
    regularizer.function().check()?;
    Ok(regularizer)
}

fn registry() -> &'static Registry<Regularizer> {
    static REGISTRY: OnceLock<Registry<Regularizer>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let builtin: [(&str, Make<Regularizer>); 4] = [
            ("L1", make::<L1>),
            ("L1L2", make::<L1L2>),
            ("L2", make::<L2>),
            ("OrthogonalRegularizer", make::<OrthogonalRegularizer>),
        ];
        Registry::new("regularizer", "keras.regularizers", builtin)
    })
}

/// Makes a regularizer of your own known, so that files and recipes can name it. The same name may be given again.
///
/// # Errors
/// The name is one of Danlu's own regularizers.
pub fn register_regularizer<F: RegularizerFunction>(class_name: &str) -> Result<()> {
    registry().register("register_regularizer", class_name, make::<F>)
}

impl Regularizer {
    /// The regularizer of this name, such as `l2`, with its defaults. `l1_l2` has 0.01 for both factors, as Keras documents
    /// it; `l1l2`, Keras' class without arguments, has 0.
    ///
    /// # Errors
    /// There is none.
    pub fn from_name(name: &str) -> Result<Regularizer> {
        match name {
            "l1_l2" => Ok(Regularizer::new(L1L2::new(0.01, 0.01))),
            "l1l2" => registry().named("L1L2"),
            "orthogonal" => registry().named("orthogonal_regularizer"),
            _ => registry().named(name),
        }
    }

    /// As a config holds it: a name, or an object with arguments.
    pub(crate) fn from_json(
        arguments: &Arguments,
        argument: &str,
        value: &Value,
    ) -> Result<Regularizer> {
        registry().read(arguments, argument, value, Regularizer::from_name)
    }

    /// As Keras writes it.
    pub fn to_json(&self) -> Value {
        registry().write(self.function().class_name(), self.function().config())
    }
}

impl FromName for Regularizer {
    fn from_name(name: &str) -> Result<Regularizer> {
        Regularizer::from_name(name)
    }
}

impl Choice<Regularizer> {
    /// As Keras writes it; a name that stands for nothing stays a name.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Choice::Value(regularizer) => regularizer.to_json(),
            Choice::Name(name) => match Regularizer::from_name(name) {
                Ok(regularizer) => regularizer.to_json(),
                Err(_) => Value::String(name.clone()),
            },
        }
    }
}
