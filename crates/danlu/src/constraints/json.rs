//! Constraints by name and as files and recipes hold them.

use std::sync::OnceLock;

use serde_json::Value;

use super::{Constraint, ConstraintFunction, MaxNorm, MinMaxNorm, NonNeg, UnitNorm};
use crate::Result;
use crate::choice::{Choice, FromName};
use crate::config::Arguments;
use crate::registry::{Make, Registry};

fn make<F: ConstraintFunction>(arguments: &mut Arguments) -> Result<Constraint> {
    let constraint = Constraint::new(F::from_config(arguments)?);
    constraint.function().check()?;
    Ok(constraint)
}

fn registry() -> &'static Registry<Constraint> {
    static REGISTRY: OnceLock<Registry<Constraint>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let builtin: [(&str, Make<Constraint>); 4] = [
            ("MaxNorm", make::<MaxNorm>),
            ("MinMaxNorm", make::<MinMaxNorm>),
            ("NonNeg", make::<NonNeg>),
            ("UnitNorm", make::<UnitNorm>),
        ];
        Registry::new("constraint", "keras.constraints", builtin)
    })
}

/// Makes a constraint of your own known, so that files and recipes can name it. The same name may be given again.
///
/// # Errors
/// The name is one of Danlu's own constraints.
pub fn register_constraint<F: ConstraintFunction>(class_name: &str) -> Result<()> {
    registry().register("register_constraint", class_name, make::<F>)
}

impl Constraint {
    /// The constraint of this name, such as `non_neg`, with its defaults.
    ///
    /// # Errors
    /// There is none.
    pub fn from_name(name: &str) -> Result<Constraint> {
        registry().named(name)
    }

    /// As a config holds it: a name, or an object with arguments.
    pub(crate) fn from_json(
        arguments: &Arguments,
        argument: &str,
        value: &Value,
    ) -> Result<Constraint> {
        registry().read(arguments, argument, value, Constraint::from_name)
    }

    /// As Keras writes it.
    pub fn to_json(&self) -> Value {
        registry().write(self.function().class_name(), self.function().config())
    }
}

impl FromName for Constraint {
    fn from_name(name: &str) -> Result<Constraint> {
        Constraint::from_name(name)
    }
}

impl Choice<Constraint> {
    /// As Keras writes it; a name that stands for nothing stays a name.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Choice::Value(constraint) => constraint.to_json(),
            Choice::Name(name) => match Constraint::from_name(name) {
                Ok(constraint) => constraint.to_json(),
                Err(_) => Value::String(name.clone()),
            },
        }
    }
}
