//! `danlu recipes`

use crate::arguments::{RecipesAction, RecipesArguments};
use crate::failure::Result;
use crate::output;
use crate::recipe::builtin;
use crate::recipe::document::Document;

/// Lists the built-in recipes, or shows one.
///
/// # Errors
/// There is no recipe of this name.
pub fn run(arguments: &RecipesArguments) -> Result<()> {
    match &arguments.action {
        Some(RecipesAction::Show { name }) => output::data(builtin::get(name)?.text),
        Some(RecipesAction::List) | None => {
            let mut text = String::new();
            for recipe in &builtin::ALL {
                let document = Document::parse(recipe.name, recipe.text)?;
                let description = document
                    .get("description")
                    .and_then(|value| value.as_str())
                    .unwrap_or("");
                text.push_str(&format!("{:16} {description}\n", recipe.name));
            }
            output::data(&text)
        }
    }
}
