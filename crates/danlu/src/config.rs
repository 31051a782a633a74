//! Arguments by name, as recipes and Keras' files hold them.

use serde_json::{Map, Value};

use crate::{Error, Result};

/// Arguments by name: what Keras calls a config.
pub type Config = Map<String, Value>;

/// Reads a [`Config`] argument by argument and refuses what nobody asked for.
///
/// A `null` counts as not given. [`finish`](Self::finish) reports an argument that no reader took, with the nearest
/// name that one did take.
#[derive(Clone, Debug)]
pub struct Arguments {
    owner: String,
    values: Config,
    known: Vec<String>,
    from_file: bool,
}

/// What an argument must be without which nothing can be made.
const GIVEN: &str = "given";

impl Arguments {
    /// Arguments that a user or a recipe wrote; `owner` is what errors call the thing that they are for.
    pub fn new(owner: impl Into<String>, values: Config) -> Arguments {
        Arguments {
            owner: owner.into(),
            values,
            known: Vec::new(),
            from_file: false,
        }
    }

    /// Arguments of a model file: an unknown one whose value is `null` is passed over, since every version of Keras adds
    /// some.
    pub fn from_file(owner: impl Into<String>, values: Config) -> Arguments {
        Arguments {
            from_file: true,
            ..Arguments::new(owner, values)
        }
    }

    /// Whether they come from a model file.
    pub fn is_from_file(&self) -> bool {
        self.from_file
    }

    /// What errors call the thing that the arguments are for.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Takes an argument, `None` where it is not given or `null`.
    pub fn take(&mut self, argument: &str) -> Option<Value> {
        self.known.push(argument.to_owned());
        self.values
            .shift_remove(argument)
            .filter(|value| !value.is_null())
    }

    /// Whether an argument is given as `null`: in a model file that can stand for no value where there is a default.
    pub fn is_null(&self, argument: &str) -> bool {
        self.values.get(argument).is_some_and(Value::is_null)
    }

    /// Takes an argument, `null` included, where that is a value of its own.
    pub fn take_with_null(&mut self, argument: &str) -> Option<Value> {
        self.known.push(argument.to_owned());
        self.values.shift_remove(argument)
    }

    /// An error about an argument's value.
    pub fn wrong(&self, argument: &str, expected: &str, received: &Value) -> Error {
        Error::argument(&self.owner, argument, expected, received)
    }

    fn convert<T>(
        &mut self,
        argument: &str,
        expected: &str,
        convert: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.take(argument) {
            None => Ok(None),
            Some(value) => convert(&value)
                .map(Some)
                .ok_or_else(|| self.wrong(argument, expected, &value)),
        }
    }

    /// A whole number of at least 1.
    ///
    /// # Errors
    /// It is something else.
    pub fn positive(&mut self, argument: &str) -> Result<Option<usize>> {
        match self.take(argument) {
            None => Ok(None),
            Some(value) => {
                let expected = match is_too_large(&value) {
                    true => "a whole number of at most 2147483647",
                    false => "a whole number of at least 1",
                };
                let size = as_positive(&value);
                let size = size.ok_or_else(|| self.wrong(argument, expected, &value))?;
                Ok(Some(size))
            }
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// It is something else.
    pub fn integer(&mut self, argument: &str) -> Result<Option<i64>> {
        self.convert(argument, "a whole number", as_integer)
    }

    /// A number.
    ///
    /// # Errors
    /// It is something else.
    pub fn number(&mut self, argument: &str) -> Result<Option<f64>> {
        self.convert(argument, "a number", Value::as_f64)
    }

    /// A truth value.
    ///
    /// # Errors
    /// It is something else.
    pub fn boolean(&mut self, argument: &str) -> Result<Option<bool>> {
        self.convert(argument, "true or false", Value::as_bool)
    }

    /// A text.
    ///
    /// # Errors
    /// It is something else.
    pub fn string(&mut self, argument: &str) -> Result<Option<String>> {
        self.convert(argument, "a text", |value| {
            value.as_str().map(str::to_owned)
        })
    }

    /// One whole number of at least 1 for both axes, or two.
    ///
    /// # Errors
    /// It is something else.
    pub fn pair(&mut self, argument: &str) -> Result<Option<[usize; 2]>> {
        self.sizes(argument)
    }

    /// One whole number of at least 1 for all of `N` axes, or one for each.
    ///
    /// # Errors
    /// It is something else.
    pub fn sizes<const N: usize>(&mut self, argument: &str) -> Result<Option<[usize; N]>> {
        let Some(value) = self.take(argument) else {
            return Ok(None);
        };
        let sizes = value
            .as_array()
            .map_or(std::slice::from_ref(&value), Vec::as_slice);
        let all: Option<Vec<usize>> = sizes.iter().map(as_positive).collect();
        let result = all.and_then(|all| match (value.is_array(), all.as_slice()) {
            (false, &[size]) => Some([size; N]),
            (true, all) => <[usize; N]>::try_from(all).ok(),
            _ => None,
        });
        let limit = match sizes.len() <= N && sizes.iter().any(is_too_large) {
            true => "a whole number of at most 2147483647",
            false => "a whole number of at least 1",
        };
        let list = match N {
            1 => "a list of one",
            2 => "two of them",
            _ => "three of them",
        };
        let expected = format!("{limit}, or {list}");
        let result = result.ok_or_else(|| self.wrong(argument, &expected, &value))?;
        Ok(Some(result))
    }

    /// Whole numbers.
    ///
    /// # Errors
    /// It is something else.
    pub fn integers(&mut self, argument: &str) -> Result<Option<Vec<i64>>> {
        self.convert(argument, "a list of whole numbers", |value| {
            value.as_array()?.iter().map(as_integer).collect()
        })
    }

    /// Axes: one whole number, or a list of them.
    ///
    /// # Errors
    /// It is something else.
    pub fn axes(&mut self, argument: &str) -> Result<Option<Vec<isize>>> {
        let axis = |value: &Value| as_integer(value).and_then(|axis| isize::try_from(axis).ok());
        self.convert(
            argument,
            "a whole number or a list of whole numbers",
            |value| match value.as_array() {
                None => axis(value).map(|only| vec![only]),
                Some(values) => values.iter().map(axis).collect(),
            },
        )
    }

    /// A number, or a list of numbers.
    ///
    /// # Errors
    /// It is something else.
    pub fn numbers(&mut self, argument: &str) -> Result<Option<Vec<f64>>> {
        self.convert(
            argument,
            "a number or a list of numbers",
            |value| match value.as_array() {
                None => value.as_f64().map(|number| vec![number]),
                Some(values) => values.iter().map(Value::as_f64).collect(),
            },
        )
    }

    /// An argument without which nothing can be made.
    ///
    /// # Errors
    /// It is not given.
    pub fn required<T>(&self, argument: &str, value: Option<T>) -> Result<T> {
        value.ok_or_else(|| Error::argument(&self.owner, argument, GIVEN, "nothing"))
    }

    /// An error about an argument that must be given, made one about the misspelt argument that was meant for it, where there is
    /// one among those that nobody took. `known` gives the arguments that there are.
    pub(crate) fn misspelt(&self, error: Error, known: impl FnOnce() -> Vec<String>) -> Error {
        let Error::Argument {
            argument, expected, ..
        } = &error
        else {
            return error;
        };
        if expected != GIVEN {
            return error;
        }
        let known = known();
        let mut given = self.values.keys().filter(|name| !known.contains(name));
        let meant =
            |name: &&String| danlu_data::suggest::did_you_mean(name, [argument.as_str()]).is_some();
        match given.find(meant) {
            Some(name) => Error::UnknownArgument {
                owner: self.owner.clone(),
                argument: name.clone(),
                suggestion: danlu_data::suggest::hint(name, [argument.as_str()]),
            },
            None => error,
        }
    }

    /// An argument that Keras has and this version has not: only `null` and these values, which change nothing, are taken.
    ///
    /// # Errors
    /// It has another value.
    pub fn unsupported(&mut self, argument: &str, harmless: &[Value]) -> Result<()> {
        match self.take(argument) {
            Some(value) if !harmless.contains(&value) => Err(Error::unsupported(
                &self.owner,
                format!("`{argument}` = {value}"),
                match harmless {
                    [] => format!("leave `{argument}` out"),
                    [only] => format!("leave `{argument}` at {only}"),
                    [first, ..] => format!("leave `{argument}` at its default, {first}"),
                },
            )),
            _ => Ok(()),
        }
    }

    /// Names of arguments that were taken by another reader of the same arguments, for "did you mean".
    pub fn also_known(&mut self, arguments: &[&str]) {
        self.known
            .extend(arguments.iter().map(|&argument| argument.to_owned()));
    }

    /// Fails if an argument is left that nobody took.
    ///
    /// # Errors
    /// There is one.
    pub fn finish(self) -> Result<()> {
        for (argument, value) in &self.values {
            if self.from_file && value.is_null() {
                continue;
            }
            return Err(Error::UnknownArgument {
                owner: self.owner,
                argument: argument.clone(),
                suggestion: danlu_data::suggest::hint(
                    argument,
                    self.known.iter().map(String::as_str),
                ),
            });
        }
        Ok(())
    }
}

/// Sizes beyond 2^31 - 1 are mistakes, and their products would not fit 64 bits.
fn as_positive(value: &Value) -> Option<usize> {
    as_integer(value)
        .filter(|size| (1..=i64::from(i32::MAX)).contains(size))
        .and_then(|size| usize::try_from(size).ok())
}

/// Whether a number is one that [`as_positive`] refuses for its size.
fn is_too_large(value: &Value) -> bool {
    value
        .as_f64()
        .is_some_and(|number| number > f64::from(i32::MAX))
}

/// A whole number, also where it is written as `3.0`.
fn as_integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        value
            .as_f64()
            .filter(|number| number.fract() == 0.0 && number.abs() < 9e15)
            .map(|number| number as i64)
    })
}

/// A thing of Keras', as its files hold it: a name, or `{"class_name": ..., "config": ...}`.
pub(crate) enum Described {
    /// Only the name.
    Name(String),
    /// The class and its arguments.
    Object(String, Config),
}

/// Reads either form; `{"type": ..., arguments...}`, as recipes write it, too.
pub(crate) fn described(owner: &str, argument: &str, value: &Value) -> Result<Described> {
    let wrong = || Error::argument(owner, argument, "a name or an object with a type", value);
    match value {
        Value::String(name) => Ok(Described::Name(name.clone())),
        Value::Object(object) => {
            if let Some(name) = object.get("type").and_then(Value::as_str) {
                let mut config = object.clone();
                config.shift_remove("type");
                return Ok(Described::Object(name.to_owned(), config));
            }
            let class = object
                .get("class_name")
                .and_then(Value::as_str)
                .ok_or_else(wrong)?;
            match object.get("config") {
                // A function of Keras': {"class_name": "function", "config": "relu"}.
                Some(Value::String(name)) => Ok(Described::Name(name.clone())),
                Some(Value::Object(config)) => {
                    Ok(Described::Object(class.to_owned(), config.clone()))
                }
                None | Some(Value::Null) => Ok(Described::Object(class.to_owned(), Config::new())),
                Some(_) => Err(wrong()),
            }
        }
        _ => Err(wrong()),
    }
}

/// `{"module": ..., "class_name": ..., "config": ..., "registered_name": null}`, as Keras writes its own objects.
pub(crate) fn keras_object(module: &str, class_name: &str, config: Config) -> Value {
    serde_json::json!({
        "module": module,
        "class_name": class_name,
        "config": config,
        "registered_name": null,
    })
}

/// A [`Config`] of these entries, written as in `serde_json::json!`.
#[macro_export]
macro_rules! config {
    ($($entries:tt)*) => {
        match $crate::serde_json::json!({ $($entries)* }) {
            $crate::serde_json::Value::Object(config) => config,
            _ => $crate::Config::new(),
        }
    };
}

/// A text as errors show it.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

/// The snake-case form of a class name, as Keras makes layer names of it: `MaxPooling2D` gives `max_pooling2d`.
pub fn snake_case(class_name: &str) -> String {
    let letters: Vec<char> = class_name
        .chars()
        .filter(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect();
    let mut name = String::with_capacity(letters.len() + 4);
    for (index, &letter) in letters.iter().enumerate() {
        if index > 0 && letter.is_uppercase() {
            let before = letters[index - 1];
            let next_is_small = letters
                .get(index + 1)
                .is_some_and(|next| next.is_lowercase() || next.is_ascii_digit());
            if before != '_' && (before.is_lowercase() || next_is_small) {
                name.push('_');
            }
        }
        name.extend(letter.to_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_keras() {
        for (class, name) in [
            ("Dense", "dense"),
            ("Conv2D", "conv2d"),
            ("MaxPooling2D", "max_pooling2d"),
            ("InputLayer", "input_layer"),
            ("GRU", "gru"),
            ("LSTMCell", "lstm_cell"),
            ("glorot_uniform", "glorot_uniform"),
        ] {
            assert_eq!(snake_case(class), name);
        }
    }

    #[test]
    fn an_unknown_argument_is_an_error_with_a_suggestion() {
        let mut arguments = Arguments::new("Dense", config! { "unitz": 3 });
        assert_eq!(arguments.positive("units").unwrap(), None);
        let error = arguments.finish().unwrap_err().to_string();
        assert_eq!(
            error,
            "Dense has no argument `unitz`; did you mean `units`?"
        );
    }

    #[test]
    fn sizes_must_be_positive_whole_numbers() {
        for bad in [
            serde_json::json!(0),
            serde_json::json!(-1),
            serde_json::json!(1.5),
            serde_json::json!("3"),
        ] {
            let mut arguments = Arguments::new("Dense", config! { "units": bad });
            assert!(arguments.positive("units").is_err());
        }
        let mut arguments =
            Arguments::new("Conv2D", config! { "strides": 2, "kernel_size": [3, 2] });
        assert_eq!(arguments.pair("strides").unwrap(), Some([2, 2]));
        assert_eq!(arguments.pair("kernel_size").unwrap(), Some([3, 2]));
    }
}
