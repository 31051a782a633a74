//! What a callback keeps when a training is cut.

use danlu_graph::Tensor;
use serde_json::Value;

use crate::{Config, Error, Result};

/// Says that a training may go on without the callback.
const OPTIONAL: &str = "optional";

/// The state of a callback: JSON, and tensors by name for what is large.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallbackState {
    /// Numbers and texts.
    pub config: Config,
    /// Weights and the like.
    pub tensors: Vec<(String, Tensor)>,
}

impl CallbackState {
    /// With one more entry; `null` where there is no value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> CallbackState {
        self.config.insert(name.to_owned(), value.into());
        self
    }

    /// With one more number, which may be infinite or NaN, and comes back as the same bits.
    #[must_use]
    pub fn with_number(self, name: &str, value: Option<f64>) -> CallbackState {
        // Shortest decimals as text: JSON has no NaN, and its readers may round.
        let text = value.map(|value| value.to_string());
        self.with(name, text)
    }

    /// Of a callback that only looks on: a training may go on without it.
    #[must_use]
    pub fn optional(self) -> CallbackState {
        self.with(OPTIONAL, true)
    }

    pub(super) fn is_optional(&self) -> bool {
        self.config.get(OPTIONAL) == Some(&Value::Bool(true))
    }

    /// Reads it; `owner` is what errors call the callback.
    pub fn read<'a>(&'a self, owner: &'a str) -> StateReader<'a> {
        StateReader { state: self, owner }
    }
}

/// Reads a [`CallbackState`].
#[derive(Clone, Copy, Debug)]
pub struct StateReader<'a> {
    state: &'a CallbackState,
    owner: &'a str,
}

impl StateReader<'_> {
    fn get<T>(
        &self,
        name: &str,
        expected: &str,
        convert: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.state.config.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => convert(value).map(Some).ok_or_else(|| {
                let owner = format!("the saved state of {}", self.owner);
                Error::argument(owner, name, expected, value)
            }),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// It is something else.
    pub fn count(&self, name: &str) -> Result<Option<usize>> {
        let count = |value: &Value| usize::try_from(value.as_u64()?).ok();
        self.get(name, "a whole number of 0 or above", count)
    }

    /// A number that [`CallbackState::with_number`] wrote.
    ///
    /// # Errors
    /// It is something else.
    pub fn number(&self, name: &str) -> Result<Option<f64>> {
        self.get(name, "a number as text", |value| {
            value.as_str()?.parse().ok()
        })
    }

    /// Texts.
    ///
    /// # Errors
    /// It is something else.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>> {
        self.get(name, "a list of texts", |value| {
            let texts = value.as_array()?.iter();
            texts.map(|text| text.as_str().map(str::to_owned)).collect()
        })
    }

    /// A truth value.
    ///
    /// # Errors
    /// It is something else.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>> {
        self.get(name, "true or false", Value::as_bool)
    }
}
