//! The recipes that come with the command.

use danlu::data::suggest;

use crate::failure::{Failure, Result};

/// A recipe in the command.
pub struct Builtin {
    /// Its name.
    pub name: &'static str,
    /// The file.
    pub text: &'static str,
}

/// All of them, by name.
pub const ALL: [Builtin; 4] = [
    Builtin {
        name: "digits",
        text: include_str!("../../../../recipes/digits.toml"),
    },
    Builtin {
        name: "digits-multitask",
        text: include_str!("../../../../recipes/digits-multitask.toml"),
    },
    Builtin {
        name: "digits-resnet",
        text: include_str!("../../../../recipes/digits-resnet.toml"),
    },
    Builtin {
        name: "mnist",
        text: include_str!("../../../../recipes/mnist.toml"),
    },
];

/// The recipe of this name, if there is one.
pub fn find(name: &str) -> Option<&'static Builtin> {
    ALL.iter().find(|recipe| recipe.name == name)
}

/// The recipe of this name.
///
/// # Errors
/// There is none: the error names the nearest.
pub fn get(name: &str) -> Result<&'static Builtin> {
    find(name).ok_or_else(|| {
        let hint = suggest::hint(name, ALL.map(|recipe| recipe.name));
        Failure::Usage(format!("there is no built-in recipe named `{name}`{hint}"))
    })
}
