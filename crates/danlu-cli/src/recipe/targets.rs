//! `[data.targets]`: what the outputs are compared with, made of the data's own targets.

use danlu::data::sources::TargetRule;
use danlu::data::{Dataset, Source};
use serde_json::Value;

use super::document::Document;
use crate::failure::Result;

/// Targets by name, each as in `digit = "y"` or `even = { from = "y", map = [1, 0] }`; none where the data's own are meant.
///
/// # Errors
/// One is none; the error says where.
pub fn read(document: &Document, path: &str, value: Option<&Value>) -> Result<Vec<TargetRule>> {
    let wrong = |path: &str, expected: &str, value: &Value| {
        let message = format!("`{path}` must be {expected}, received {value}");
        document.error(path, &message)
    };
    let entries = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(entries)) => entries,
        Some(other) => return Err(wrong(path, "a table of targets", other)),
    };
    let mut rules = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        let path = format!("{path}.{name}");
        let (from, map) = match value {
            Value::String(from) => (Some(from.as_str()), None),
            Value::Object(fields) => {
                if let Some(key) = fields.keys().find(|key| *key != "from" && *key != "map") {
                    let hint = danlu::data::suggest::hint(key, ["from", "map"]);
                    let message = format!("`{path}` has no key `{key}`{hint}");
                    return Err(document.error(&format!("{path}.{key}"), &message));
                }
                (
                    fields.get("from").and_then(Value::as_str),
                    fields.get("map"),
                )
            }
            _ => (None, None),
        };
        let Some(from) = from else {
            let expected = "the name of a target of the data, or a table such as { from = \"y\", map = [1, 0] }";
            return Err(wrong(&path, expected, value));
        };
        let map = match map {
            None => None,
            Some(map) => {
                let numbers: Option<Vec<f64>> = map
                    .as_array()
                    .filter(|numbers| !numbers.is_empty())
                    .and_then(|numbers| numbers.iter().map(Value::as_f64).collect());
                let expected = "a list with a number for each class";
                Some(numbers.ok_or_else(|| wrong(&format!("{path}.map"), expected, map))?)
            }
        };
        rules.push(TargetRule {
            name: name.clone(),
            from: from.to_owned(),
            map,
        });
    }
    Ok(rules)
}

/// The data with the targets that a model was trained on, which are kept in its metadata; data that has targets of these names
/// already stays as it is.
///
/// # Errors
/// The data has no targets to make them of.
pub fn of_model(source: Source, kept: Option<&Value>) -> Result<Source> {
    let mut document = Document::empty("the model's targets");
    if let Some(kept) = kept {
        document.set("targets", kept.clone(), "the model's targets")?;
    }
    let rules = read(&document, "targets", document.get("targets"))?;
    let part = source.train.as_ref().or(source.test.as_ref());
    let own = part.map(|part| part.specification().targets.as_slice());
    let own = own.unwrap_or_default();
    let there = |rule: &TargetRule| own.iter().any(|field| field.name == rule.name);
    match rules.iter().all(there) {
        true => Ok(source),
        false => Ok(source.with_targets(&rules)?),
    }
}
