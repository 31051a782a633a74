//! `danlu architectures`

use danlu_zoo::{ArchitectureDescription, describe, names};
use serde_json::{Value, json};

use crate::arguments::ArchitecturesArguments;
use crate::failure::{Failure, Result};
use crate::output;

/// Lists the architectures, or shows one with its arguments and their defaults.
///
/// # Errors
/// There is no architecture of this name.
pub fn run(arguments: &ArchitecturesArguments) -> Result<()> {
    let described = |name: &str| describe(name).map_err(Failure::usage);
    let Some(name) = &arguments.name else {
        let all = names().map(described);
        let all = all.collect::<Result<Vec<ArchitectureDescription>>>()?;
        if arguments.json {
            return output::json(&all.iter().map(to_json).collect());
        }
        let line = |one: &ArchitectureDescription| format!("{:10} {}\n", one.name, one.summary);
        return output::data(&all.iter().map(line).collect::<String>());
    };
    let architecture = described(name)?;
    if arguments.json {
        return output::json(&to_json(&architecture));
    }
    let ArchitectureDescription {
        name,
        summary,
        defaults,
    } = &architecture;
    let mut text = format!("{name}: {summary}\n\n{:21}  default\n", "argument");
    for (argument, value) in defaults {
        text.push_str(&format!("{argument:21}  {value}\n"));
    }
    text.push_str(&format!(
        "\nIn a recipe, with arguments beside it:\n\n[model]\narchitecture = \"{name}\"\n"
    ));
    output::data(&text)
}

fn to_json(architecture: &ArchitectureDescription) -> Value {
    json!({
        "name": architecture.name,
        "summary": architecture.summary,
        "defaults": architecture.defaults,
    })
}
