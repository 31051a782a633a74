//! A recipe as TOML.

use std::fmt::Write as _;

use danlu::Config;
use serde_json::Value;

/// The document as TOML in the layout of the built-in recipes: tables by name, layers as a list of tables, all else in line.
pub fn to_toml(document: &Config) -> String {
    let mut text = String::new();
    let entry = |text: &mut String, key: &str, value: &Value| {
        if !value.is_null() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} = {}", quoted_key(key), inline(value));
        }
    };
    for (key, value) in document.iter().filter(|(_, value)| !value.is_object()) {
        entry(&mut text, key, value);
    }
    for (name, table) in document {
        let Value::Object(table) = table else {
            continue;
        };
        let is_list = |value: &&Value| matches!(value, Value::Array(list) if list.iter().all(Value::is_object) && !list.is_empty());
        let (lists, plain): (Vec<_>, Vec<_>) = table.iter().partition(|(_, value)| is_list(value));
        if !plain.is_empty() {
            let _ = write!(text, "\n[{}]\n", quoted_key(name));
        }
        for (key, value) in plain {
            entry(&mut text, key, value);
        }
        for (key, list) in lists {
            for item in list.as_array().into_iter().flatten() {
                let _ = write!(text, "\n[[{}.{}]]\n", quoted_key(name), quoted_key(key));
                for (key, value) in item.as_object().into_iter().flatten() {
                    entry(&mut text, key, value);
                }
            }
        }
    }
    text
}

fn quoted_key(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    match !key.is_empty() && key.bytes().all(plain) {
        true => key.to_owned(),
        false => quoted(key),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

fn inline(value: &Value) -> String {
    match value {
        // A null inside a list has no place in TOML; none of our values has one.
        Value::Null => "false".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(number)) => toml::Value::from(number).to_string(),
            (None, None) => number.to_string(),
        },
        Value::String(text) => quoted(text),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(inline).collect();
            format!("[{}]", values.join(", "))
        }
        Value::Object(entries) => {
            let entries = entries.iter().filter(|(_, value)| !value.is_null());
            let entries: Vec<String> = entries
                .map(|(key, value)| format!("{} = {}", quoted_key(key), inline(value)))
                .collect();
            match entries.is_empty() {
                true => "{}".to_owned(),
                false => format!("{{ {} }}", entries.join(", ")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::recipe::builtin;
    use crate::recipe::document::Document;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let awkward = "name = \"a \\\"b\\\" \\n é\"\n[data]\npixel_scale = 1e-7\nx = 1.0\nl = [[1, 2], []]\n\
            [training]\no = { type = \"Adam\", n = { a = -0.5 } }\n[[model.layers]]\ntype = \"A\"\n[[model.layers]]\n\"b c\" = 1\n";
        let builtin = builtin::ALL.iter().map(|recipe| recipe.text);
        for text in builtin.chain([awkward]) {
            let first = Document::parse("first", text).unwrap().value;
            let written = to_toml(first.as_object().unwrap());
            let second = Document::parse("second", &written).unwrap().value;
            assert_eq!(first, second, "{written}");
        }
    }
}
