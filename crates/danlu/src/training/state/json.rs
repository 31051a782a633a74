//! A state as one JSON document and named tensors.
//!
//! Numbers are shortest decimals as text, which come back as the same bits, also where they are infinite or NaN. What is many
//! is a tensor: the running sums, as the bits of f64 in i64, and what callbacks keep.

use danlu_graph::Tensor;
use serde_json::{Value, json};

use super::TrainingState;
use crate::callbacks::{CallbackState, Note};
use crate::training::History;
use crate::training::feed::FeedPlace;
use crate::training::running::RunningState;
use crate::{Config, Error, Result};

/// The tensor of the running sums.
const RUNNING: &str = "running";

type Tensors = Vec<(String, Tensor)>;

fn text(number: f64) -> Value {
    Value::from(number.to_string())
}

impl TrainingState {
    /// What is not a weight or the optimizer's, without the model.
    pub(super) fn to_json(&self) -> Result<(Config, Tensors)> {
        let mut tensors = Tensors::new();
        let mut document = Config::new();
        document.insert("epoch".to_owned(), json!(self.epoch));
        document.insert("step".to_owned(), json!(self.step));
        document.insert("iteration".to_owned(), json!(self.iteration));
        // For readers: the numbers of the last epoch that was finished.
        let names = self.history.metrics.iter();
        for (name, value) in names.filter_map(|(name, values)| Some((name, values.last()?))) {
            document.entry(name).or_insert(json!(value));
        }
        let callbacks = self.callbacks.iter().enumerate();
        let callbacks: Vec<Value> = callbacks
            .map(|(place, (name, state))| {
                let own = state.tensors.iter();
                tensors.extend(
                    own.map(|(tensor, value)| (format!("{place}/{tensor}"), value.clone())),
                );
                let own = state.tensors.iter();
                let own: Vec<&str> = own.map(|(tensor, _)| tensor.as_str()).collect();
                json!({ "name": name, "config": state.config, "tensors": own })
            })
            .collect();
        let running = match &self.running {
            None => Value::Null,
            Some(running) => {
                let sums = running.metrics.iter().flat_map(|(numbers, _)| numbers);
                let all = running.values.iter().chain(sums);
                let bits: Vec<i64> = all.map(|number| number.to_bits() as i64).collect();
                tensors.push((RUNNING.to_owned(), Tensor::from_i64(&[bits.len()], bits)?));
                let ends = running.metrics.iter().map(|(_, ends)| ends);
                let ends: Vec<&Vec<usize>> = ends.collect();
                let counts = running.metrics.iter().map(|(numbers, _)| numbers.len());
                let counts: Vec<usize> = counts.collect();
                json!({ "values": running.values.len(), "counts": counts, "ends": ends })
            }
        };
        let training = json!({
            "examples": self.examples,
            "done": self.done,
            "batch_size": self.batch_size,
            "size": self.size,
            "data": {
                "pass": self.place.pass,
                "batches": self.place.batches,
                "goes_on": self.place.goes_on,
                "next": self.place.next,
            },
            "learning_rate": text(self.learning_rate),
            "running": running,
            "history": history(&self.history),
            "callbacks": callbacks,
        });
        document.insert("training".to_owned(), training);
        Ok((document, tensors))
    }

    /// The way back.
    pub(super) fn from_json(
        document: &Config,
        tensors: Tensors,
        model: Value,
        weights: Tensors,
        optimizer: Tensors,
    ) -> Result<TrainingState> {
        let root = Reader::new("", document.get("training").unwrap_or(&Value::Null));
        let top = Value::Object(document.clone());
        let top = Reader::new("", &top);
        let data = root.get("data");
        let mut callbacks = Vec::new();
        for (place, saved) in root.get("callbacks").list()?.iter().enumerate() {
            let saved = Reader::new("callbacks", saved);
            let mut state = CallbackState {
                config: saved.get("config").object()?.clone(),
                ..CallbackState::default()
            };
            for name in saved.get("tensors").list()? {
                let name = Reader::new("tensors", name).text()?;
                let tensor = take(&tensors, &format!("{place}/{name}"))?;
                state.tensors.push((name.to_owned(), tensor.clone()));
            }
            callbacks.push((saved.get("name").text()?.to_owned(), state));
        }
        Ok(TrainingState {
            epoch: top.get("epoch").count()?,
            step: top.get("step").count()?,
            examples: root.get("examples").count()?,
            iteration: top.get("iteration").count()? as u64,
            done: root.get("done").boolean()?,
            batch_size: root.get("batch_size").count()?,
            size: root.get("size").optional(Reader::count)?,
            place: FeedPlace {
                pass: data.get("pass").count()? as u64,
                batches: data.get("batches").count()?,
                goes_on: data.get("goes_on").boolean()?,
                next: data.get("next").count()? as u64,
            },
            running: root
                .get("running")
                .optional(|own| read_running(own, &tensors))?,
            learning_rate: root.get("learning_rate").number()?,
            history: read_history(&root.get("history"))?,
            callbacks,
            model,
            weights,
            optimizer,
        })
    }
}

fn history(history: &History) -> Value {
    let metrics = history.metrics.iter().map(|(name, values)| {
        let values: Vec<Value> = values.iter().map(|&value| text(value)).collect();
        json!([name, values])
    });
    let notes = history.notes.iter().map(|note| {
        json!({
            "callback": note.callback,
            "epoch": note.epoch,
            "text": note.text,
            "facts": note.facts,
        })
    });
    json!({
        "epochs": history.epochs,
        "metrics": metrics.collect::<Vec<_>>(),
        "ended_by": history.ended_by,
        "notes": notes.collect::<Vec<_>>(),
    })
}

fn read_history(saved: &Reader<'_>) -> Result<History> {
    let mut history = History::default();
    for epoch in saved.get("epochs").list()? {
        history
            .epochs
            .push(Reader::new("history.epochs", epoch).count()?);
    }
    for column in saved.get("metrics").list()? {
        let column = Reader::new("history.metrics", column);
        let [name, values] = column.list()? else {
            return Err(column.wrong("a name and its numbers"));
        };
        let values = Reader::new("history.metrics", values);
        let values = values.list()?.iter();
        let values = values.map(|value| Reader::new("history.metrics", value).number());
        let name = Reader::new("history.metrics", name).text()?.to_owned();
        history.metrics.push((name, values.collect::<Result<_>>()?));
    }
    let ended_by = saved.get("ended_by");
    history.ended_by = ended_by.optional(|own| Ok(own.text()?.to_owned()))?;
    for note in saved.get("notes").list()? {
        let note = Reader::new("history.notes", note);
        history.notes.push(Note {
            callback: note.get("callback").text()?.to_owned(),
            epoch: note.get("epoch").count()?,
            text: note.get("text").text()?.to_owned(),
            facts: note.get("facts").object()?.clone(),
        });
    }
    Ok(history)
}

fn read_running(saved: &Reader<'_>, tensors: &Tensors) -> Result<RunningState> {
    let bits = take(tensors, RUNNING)?.as_i64().unwrap_or_default();
    let mut numbers = bits.iter().map(|&bits| f64::from_bits(bits as u64));
    let counts = |name: &'static str| -> Result<Vec<usize>> {
        let own = saved.get(name);
        let own = own.list()?.iter();
        own.map(|count| Reader::new(name, count).count()).collect()
    };
    let values = saved.get("values").count()?;
    let values: Vec<f64> = numbers.by_ref().take(values).collect();
    let mut metrics = Vec::new();
    let ends = saved.get("ends");
    for (count, ends) in counts("counts")?.into_iter().zip(ends.list()?) {
        let sums: Vec<f64> = numbers.by_ref().take(count).collect();
        let ends = Reader::new("running.ends", ends);
        let ends = ends.list()?.iter();
        let ends = ends.map(|end| Reader::new("running.ends", end).count());
        metrics.push((sums, ends.collect::<Result<_>>()?));
    }
    Ok(RunningState { values, metrics })
}

fn take<'a>(tensors: &'a Tensors, name: &str) -> Result<&'a Tensor> {
    let found = tensors.iter().find(|(own, _)| own == name);
    found.map(|(_, tensor)| tensor).ok_or_else(|| {
        let names = tensors.iter().map(|(own, _)| own.as_str());
        Error::unknown("tensor in the state of the training", name, names)
    })
}

/// A place in the document, for errors that name it.
struct Reader<'a> {
    path: String,
    value: &'a Value,
}

impl<'a> Reader<'a> {
    fn new(path: &str, value: &'a Value) -> Reader<'a> {
        Reader {
            path: path.to_owned(),
            value,
        }
    }

    fn get(&self, name: &str) -> Reader<'a> {
        let path = match self.path.as_str() {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        Reader {
            path,
            value: &self.value[name],
        }
    }

    fn wrong(&self, expected: &str) -> Error {
        Error::argument(
            "the state of the training",
            &self.path,
            expected,
            self.value,
        )
    }

    fn optional<T>(&self, read: impl FnOnce(&Self) -> Result<T>) -> Result<Option<T>> {
        match self.value {
            Value::Null => Ok(None),
            _ => read(self).map(Some),
        }
    }

    fn count(&self) -> Result<usize> {
        let count = self.value.as_u64().and_then(|count| count.try_into().ok());
        count.ok_or_else(|| self.wrong("a whole number of 0 or above"))
    }

    fn boolean(&self) -> Result<bool> {
        let value = self.value.as_bool();
        value.ok_or_else(|| self.wrong("true or false"))
    }

    fn text(&self) -> Result<&'a str> {
        self.value.as_str().ok_or_else(|| self.wrong("a text"))
    }

    fn number(&self) -> Result<f64> {
        let number = self.text()?.parse().ok();
        number.ok_or_else(|| self.wrong("a number as text"))
    }

    fn list(&self) -> Result<&'a [Value]> {
        let list = self.value.as_array().map(Vec::as_slice);
        list.ok_or_else(|| self.wrong("a list"))
    }

    fn object(&self) -> Result<&'a Config> {
        self.value.as_object().ok_or_else(|| self.wrong("a table"))
    }
}
