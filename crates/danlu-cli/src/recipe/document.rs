//! A recipe as it is written, with the place of every key, so that errors can say where.

use std::collections::HashMap;

use danlu::Config;
use danlu::data::suggest;
use serde_json::{Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::failure::{Failure, Result};

/// Keys and values, and where each was written.
#[derive(Clone, Debug)]
pub struct Document {
    /// What errors call it: the file, or `built-in recipe mnist`.
    pub origin: String,
    /// The keys and values.
    pub value: Value,
    places: HashMap<String, String>,
}

impl Document {
    /// A document without keys.
    pub fn empty(origin: &str) -> Document {
        Document {
            origin: origin.to_owned(),
            value: Value::Object(Config::new()),
            places: HashMap::new(),
        }
    }

    /// Reads TOML.
    ///
    /// # Errors
    /// It is none; a number is infinite or NaN, or there is a date.
    pub fn parse(origin: &str, text: &str) -> Result<Document> {
        let mut document = Document::empty(origin);
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            let message = error.message().trim().replace('\n', ", ");
            Failure::Usage(format!("{origin}, line {line}: {message}"))
        })?;
        document.value = document.table("", table.get_ref(), text)?;
        Ok(document)
    }

    fn table(&mut self, path: &str, table: &DeTable<'_>, text: &str) -> Result<Value> {
        let mut object = Config::new();
        // The parser sorts keys; the order in which they were written is kept here.
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let path = join(path, key.get_ref());
            let line = line_of(text, key.span().start);
            self.places
                .insert(path.clone(), format!("{}, line {line}", self.origin));
            let value = self.convert(&path, value, text)?;
            object.insert(key.get_ref().to_string(), value);
        }
        Ok(Value::Object(object))
    }

    fn convert(&mut self, path: &str, value: &Spanned<DeValue<'_>>, text: &str) -> Result<Value> {
        let wrong = |document: &Document, expected: &str, received: &str| {
            document.error(
                path,
                &format!("`{path}` must be {expected}, received {received}"),
            )
        };
        Ok(match value.get_ref() {
            DeValue::String(text) => Value::from(text.to_string()),
            DeValue::Boolean(value) => Value::from(*value),
            DeValue::Integer(number) => {
                let parsed = i64::from_str_radix(number.as_str(), number.radix());
                let parsed =
                    parsed.map_err(|_| wrong(self, "a number of 64 bits", number.as_str()))?;
                Value::from(parsed)
            }
            DeValue::Float(number) => {
                let parsed = number.as_str().parse::<f64>().ok();
                let parsed = parsed.and_then(Number::from_f64);
                Value::Number(
                    parsed.ok_or_else(|| wrong(self, "a finite number", number.as_str()))?,
                )
            }
            DeValue::Datetime(date) => {
                return Err(wrong(
                    self,
                    "a number, a text, a list or a table",
                    &format!("the date {date}"),
                ));
            }
            DeValue::Array(values) => {
                let mut list = Vec::new();
                for (index, value) in values.iter().enumerate() {
                    let path = join(path, &index.to_string());
                    let line = line_of(text, value.span().start);
                    self.places
                        .insert(path.clone(), format!("{}, line {line}", self.origin));
                    list.push(self.convert(&path, value, text)?);
                }
                Value::Array(list)
            }
            DeValue::Table(table) => self.table(path, table, text)?,
        })
    }

    /// An error about what stands at this path, such as `model.layers.0.units`.
    pub fn error(&self, path: &str, message: &str) -> Failure {
        Failure::Usage(format!("{}: {message}", self.place(path)))
    }

    fn place(&self, path: &str) -> &str {
        let mut path = path;
        loop {
            if let Some(place) = self.places.get(path) {
                return place;
            }
            match path.rsplit_once('.') {
                Some((parent, _)) => path = parent,
                None => return &self.origin,
            }
        }
    }

    /// Sets `KEY=VALUE`; the value is TOML, or, where it is none, a text.
    ///
    /// # Errors
    /// There is no `=`, or the key leads through something that has no keys.
    pub fn set_from_text(&mut self, assignment: &str) -> Result<()> {
        let option = format!("--set {assignment}");
        let Some((path, value)) = assignment.split_once('=') else {
            return Err(Failure::Usage(format!(
                "{option}: expected KEY=VALUE, such as training.epochs=5"
            )));
        };
        let text = format!("value = {value}");
        let value = match DeTable::parse(&text) {
            Ok(table) if table.get_ref().len() == 1 => {
                let mut parsed = Document::empty(&option);
                let entry = table.get_ref().iter().next();
                let value = entry.map(|(_, value)| parsed.convert(path.trim(), value, &text));
                value.transpose()?.unwrap_or(Value::Null)
            }
            _ => Value::from(value.trim()),
        };
        self.set(path.trim(), value, &option)
    }

    /// Sets what stands at a path; `place` is what errors call where it was said.
    ///
    /// # Errors
    /// The path leads through something that has no keys, or past the end of a list.
    pub fn set(&mut self, path: &str, value: Value, place: &str) -> Result<()> {
        let mut here = &mut self.value;
        let mut done = String::new();
        for part in path.split('.') {
            if part.is_empty() {
                let message = format!("{place}: `{path}` has an empty part between its dots");
                return Err(Failure::Usage(message));
            }
            // `optimizer = "adam"` can be given arguments, too.
            if let Value::String(name) = here {
                *here = serde_json::json!({ "type": name.as_str() });
            }
            here = match here {
                Value::Object(object) => object.entry(part).or_insert(Value::Null),
                Value::Null => {
                    *here = Value::Object(Config::new());
                    match here {
                        Value::Object(object) => object.entry(part).or_insert(Value::Null),
                        _ => return Ok(()),
                    }
                }
                Value::Array(list) => {
                    let length = list.len();
                    let index = part.parse().ok();
                    match index.and_then(|index: usize| list.get_mut(index)) {
                        Some(value) => value,
                        None => {
                            return Err(Failure::Usage(format!(
                                "{place}: `{done}` has {length} entries, counted from 0; there is no `{part}`"
                            )));
                        }
                    }
                }
                other => {
                    return Err(Failure::Usage(format!(
                        "{place}: `{done}` is {other}, which has no `{part}`"
                    )));
                }
            };
            done = join(&done, part);
        }
        *here = value;
        let below = format!("{path}.");
        self.places.retain(|key, _| !key.starts_with(&below));
        self.places.insert(path.to_owned(), place.to_owned());
        Ok(())
    }

    /// Whether `--set` said what stands at a path.
    pub fn was_set(&self, path: &str) -> bool {
        let place = self.places.get(path);
        place.is_some_and(|place| place.starts_with("--set "))
    }

    /// What stands at a path.
    pub fn get(&self, path: &str) -> Option<&Value> {
        self.value.pointer(&format!("/{}", path.replace('.', "/")))
    }
}

fn join(path: &str, key: &str) -> String {
    match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    }
}

/// The line, counted from 1, of a byte.
fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    before.filter(|&&byte| byte == b'\n').count() + 1
}

/// A table of a document that is read key by key; what nobody asked for is an error.
pub struct Table<'a> {
    document: &'a Document,
    path: &'a str,
    entries: Option<&'a Config>,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    /// The table at this path; `""` is the whole document, and one that is not there is empty.
    ///
    /// # Errors
    /// Something else is there.
    pub fn open(document: &'a Document, path: &'a str) -> Result<Table<'a>> {
        let value = match path {
            "" => Some(&document.value),
            path => document.get(path),
        };
        let entries = match value {
            None | Some(Value::Null) => None,
            Some(Value::Object(entries)) => Some(entries),
            Some(other) => {
                let message = format!("`{path}` must be a table, received {other}");
                return Err(document.error(path, &message));
            }
        };
        Ok(Table {
            document,
            path,
            entries,
            known: Vec::new(),
        })
    }

    /// The value of a key.
    pub fn take(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.entries?.get(key)
    }

    fn typed<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        convert: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        convert(value)
            .map(Some)
            .ok_or_else(|| self.wrong(key, expected, value))
    }

    /// An error about the value of a key.
    pub fn wrong(&self, key: &str, expected: &str, value: &Value) -> Failure {
        let path = join(self.path, key);
        let message = format!("`{path}` must be {expected}, received {value}");
        self.document.error(&path, &message)
    }

    /// A text.
    ///
    /// # Errors
    /// It is something else.
    pub fn string(&mut self, key: &'static str) -> Result<Option<&'a str>> {
        self.typed(key, "a text", Value::as_str)
    }

    /// A truth value.
    ///
    /// # Errors
    /// It is something else.
    pub fn boolean(&mut self, key: &'static str) -> Result<Option<bool>> {
        self.typed(key, "true or false", Value::as_bool)
    }

    /// A whole number from `least` up to, with, `most`.
    ///
    /// # Errors
    /// It is something else.
    pub fn integer(&mut self, key: &'static str, least: i64, most: i64) -> Result<Option<i64>> {
        let expected = match most {
            i64::MAX => format!("a whole number of at least {least}"),
            most => format!("a whole number from {least} to {most}"),
        };
        self.typed(key, &expected, |value| {
            value
                .as_i64()
                .filter(|number| (least..=most).contains(number))
        })
    }

    /// A number that `fits`.
    ///
    /// # Errors
    /// It is something else.
    pub fn number(
        &mut self,
        key: &'static str,
        expected: &str,
        fits: impl Fn(f64) -> bool,
    ) -> Result<Option<f64>> {
        self.typed(key, expected, |value| {
            value.as_f64().filter(|&number| fits(number))
        })
    }

    /// The keys that nobody took, with their values.
    pub fn rest(self) -> Config {
        let entries = self.entries.into_iter().flatten();
        let rest = entries.filter(|(key, _)| !self.known.contains(&key.as_str()));
        rest.map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Fails if there is a key that nobody took.
    ///
    /// # Errors
    /// There is one.
    pub fn finish(self) -> Result<()> {
        for key in self.entries.into_iter().flat_map(Config::keys) {
            if !self.known.contains(&key.as_str()) {
                let owner = match self.path {
                    "" => "a recipe".to_owned(),
                    path => format!("`{path}`"),
                };
                let hint = suggest::hint(key, self.known.iter().copied());
                let message = format!("{owner} has no key `{key}`{hint}");
                return Err(self.document.error(&join(self.path, key), &message));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_say_the_line() {
        let document = Document::parse("r.toml", "name = \"a\"\n[training]\nepochs = 0\n").unwrap();
        let mut table = Table::open(&document, "training").unwrap();
        let error = table.integer("epochs", 1, i64::MAX).unwrap_err();
        assert_eq!(
            error.to_string(),
            "r.toml, line 3: `training.epochs` must be a whole number of at least 1, received 0"
        );
        let error = Document::parse("r.toml", "a = 1\nb = \n").unwrap_err();
        assert!(error.to_string().starts_with("r.toml, line 2: "), "{error}");
        assert!(Document::parse("r.toml", "a = nan").is_err());
    }

    #[test]
    fn any_key_can_be_set() {
        let text = "[training]\noptimizer = \"adam\"\nsizes = [1, 2]\n";
        let mut document = Document::parse("r.toml", text).unwrap();
        for assignment in [
            "training.optimizer.learning_rate=0.5",
            "training.sizes.1=[3]",
            "training.loss=mse",
            "data.source = \"x y\"",
        ] {
            document.set_from_text(assignment).unwrap();
        }
        let expected = json!({
            "training": { "optimizer": { "type": "adam", "learning_rate": 0.5 }, "sizes": [1, [3]], "loss": "mse" },
            "data": { "source": "x y" },
        });
        assert_eq!(document.value, expected);
        for bad in [
            "training.sizes.2=1",
            "training.sizes.1.0.x=1",
            "epochs",
            "a..b=1",
            "=1",
        ] {
            assert!(document.set_from_text(bad).is_err(), "{bad}");
        }
    }
}
