//! Which runs, in which order: `--filter 'val_accuracy>0.9'`, `--sort -val_loss`.

use std::cmp::Ordering;

use danlu::data::suggest;
use serde_json::Value;

use super::{Run, figures};
use crate::failure::{Failure, Result};

/// A condition on a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    key: String,
    comparison: Comparison,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// Longer ones first, so that `>=` is not read as `>`.
const COMPARISONS: [(&str, Comparison); 7] = [
    (">=", Comparison::GreaterOrEqual),
    ("<=", Comparison::LessOrEqual),
    ("!=", Comparison::Unequal),
    ("==", Comparison::Equal),
    (">", Comparison::Greater),
    ("<", Comparison::Less),
    ("=", Comparison::Equal),
];

impl Filter {
    /// Reads a condition.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Filter> {
        let places = COMPARISONS.iter().filter_map(|(sign, comparison)| {
            text.find(sign).map(|place| (place, *sign, *comparison))
        });
        // The first sign; at the same place, the longer one, which stands first in the list.
        let found = places.min_by_key(|(place, _, _)| *place);
        let parts = found.map(|(place, sign, comparison)| {
            let (key, value) = (text[..place].trim(), text[place + sign.len()..].trim());
            (key, comparison, value)
        });
        match parts {
            // A value that begins with a sign is a slip of the hand, as in `loss>>3` or `loss=<3`.
            Some((key, comparison, value))
                if !key.is_empty()
                    && !value.is_empty()
                    && !value.starts_with(['=', '<', '>', '!']) =>
            {
                Ok(Filter {
                    key: key.to_owned(),
                    comparison,
                    value: value.to_owned(),
                })
            }
            _ => Err(Failure::Usage(format!(
                "--filter {text}: expected a key, one of = != < <= > >=, and a value, such as val_accuracy>0.9 or state=finished"
            ))),
        }
    }

    /// Whether a run is meant. One that has nothing of this name is not.
    pub fn matches(&self, run: &Run) -> bool {
        let Some(own) = lookup(run, &self.key) else {
            return false;
        };
        let order = match (own.as_f64(), self.value.parse::<f64>()) {
            (Some(own), Ok(value)) => own.partial_cmp(&value),
            (None, _) | (_, Err(_)) => Some(text(&own).as_str().cmp(&self.value)),
        };
        let Some(order) = order else {
            // Not a number: only unlike.
            return self.comparison == Comparison::Unequal;
        };
        match self.comparison {
            Comparison::Equal => order == Ordering::Equal,
            Comparison::Unequal => order != Ordering::Equal,
            Comparison::Less => order == Ordering::Less,
            Comparison::LessOrEqual => order != Ordering::Greater,
            Comparison::Greater => order == Ordering::Greater,
            Comparison::GreaterOrEqual => order != Ordering::Less,
        }
    }

    /// The key.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// What a run has of this name: a figure (`val_loss`, `test_accuracy`), `state`, `name`, `data`, `epochs`, `seconds`, another entry of
/// `run.json`, or a key of its recipe.
pub fn lookup(run: &Run, key: &str) -> Option<Value> {
    let figure = figures::last(run).into_iter().find(|(name, _)| name == key);
    if let Some((_, value)) = figure {
        return Some(Value::from(value));
    }
    match key {
        "state" => return Some(Value::from(run.state())),
        "name" => return Some(Value::from(run.name())),
        "data" => return Some(Value::from(run.data())),
        "epochs" => return Some(Value::from(run.epochs.len())),
        "run" | "folder" => return Some(Value::from(run.path.display().to_string())),
        _ => {}
    }
    let inside = |value: &Value| {
        key.split('.')
            .try_fold(value.clone(), |value, part| match &value {
                Value::Array(list) => list.get(part.parse::<usize>().ok()?).cloned(),
                value => value.get(part).cloned(),
            })
    };
    let record = Value::Object(run.record.clone());
    inside(&record).or_else(|| inside(&run.recipe))
}

/// A value as it is written in a filter.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// Fails where no run has anything of this name: it is probably misspelled.
///
/// # Errors
/// As said, with what there is.
pub fn check_key(runs: &[Run], option: &str, key: &str) -> Result<()> {
    if runs.is_empty() || runs.iter().any(|run| lookup(run, key).is_some()) {
        return Ok(());
    }
    let fixed = [
        "state", "name", "data", "epochs", "seconds", "seed", "threads",
    ];
    let mut names: Vec<String> = fixed.map(str::to_owned).to_vec();
    for (name, _) in runs.iter().flat_map(figures::last) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let hint = suggest::hint(key, names.iter().map(String::as_str));
    Err(Failure::Usage(format!(
        "{option}: no run has `{key}`{hint}"
    )))
}

/// Sorts by a key, from the largest on where a minus stands before it; runs without it come last.
pub fn sort(runs: &mut [Run], key: &str) {
    let (down, key) = match key.strip_prefix('-') {
        Some(key) => (true, key),
        None => (false, key),
    };
    runs.sort_by(|a, b| {
        let (a, b) = (lookup(a, key), lookup(b, key));
        let (Some(a), Some(b)) = (&a, &b) else {
            return a.is_none().cmp(&b.is_none());
        };
        let order = match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => text(a).cmp(&text(b)),
        };
        if down { order.reverse() } else { order }
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Epoch;
    use super::*;

    fn run(loss: f64, state: &str) -> Run {
        let record = json!({ "state": state, "seconds": 12.5, "test": { "accuracy": 0.5 } });
        Run {
            record: record.as_object().unwrap().clone(),
            recipe: json!({ "name": "a", "training": { "batch_size": 64, "optimizer": "adam" } }),
            epochs: vec![Epoch {
                number: 1,
                values: vec![("loss".to_owned(), loss)],
            }],
            ..Run::default()
        }
    }

    #[test]
    fn conditions() {
        let one = run(0.25, "finished");
        let holds = |text: &str| Filter::parse(text).unwrap().matches(&one);
        for text in [
            "loss<0.3",
            "loss <= 0.25",
            "loss=0.25",
            "loss!=0.5",
            "state=finished",
            "state!=running",
            "test_accuracy>=0.5",
            "epochs=1",
            "seconds>12",
            "training.batch_size==64",
            "training.optimizer=adam",
            "name=a",
        ] {
            assert!(holds(text), "{text}");
        }
        for text in [
            "loss<0.25",
            "loss>0.25",
            "state=failed",
            "accuracy>0",
            "training.batch_size>64",
        ] {
            assert!(!holds(text), "{text}");
        }
        let nan = run(f64::NAN, "failed");
        assert!(!Filter::parse("loss<1").unwrap().matches(&nan));
        for text in [
            "loss", ">3", "loss>", "", "loss>>3", "loss=<3", "loss=>3", "loss===3", "loss<>3",
            "loss> =3",
        ] {
            let error = Filter::parse(text).unwrap_err();
            assert!(error.to_string().contains("val_accuracy>0.9"), "{error}");
        }
    }

    #[test]
    fn unknown_keys_are_named_and_sorting_puts_gaps_last() {
        let mut runs = [run(3.0, "b"), run(1.0, "c"), run(2.0, "a")];
        runs[2].epochs.clear();
        let error = check_key(&runs, "--sort", "los").unwrap_err();
        assert!(error.to_string().contains("did you mean `loss`"), "{error}");
        sort(&mut runs, "loss");
        assert_eq!(runs.each_ref().map(Run::state), ["c", "b", "a"]);
        sort(&mut runs, "-loss");
        assert_eq!(runs.each_ref().map(Run::state), ["b", "c", "a"]);
        sort(&mut runs, "-state");
        assert_eq!(runs.each_ref().map(Run::state), ["c", "b", "a"]);
    }
}
