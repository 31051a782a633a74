//! What came of a training or an evaluation.

use std::ops::Index;

use crate::metrics::is_key_of;

use super::{EarlyStopped, Logs, Note};

/// Loss and metrics of every epoch of a `fit`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The epochs that were finished, counted from 0.
    pub epochs: Vec<usize>,
    /// Names in Keras' order (`loss`, metrics, then `val_loss`, ...), each with one number for each epoch that has it.
    pub metrics: Vec<(String, Vec<f64>)>,
    /// Whether a callback interrupted the training before its last epoch ([`Control::Stop`](super::Control::Stop)).
    pub stopped: bool,
    /// The callback that took the training for done before its last epoch ([`Control::Finish`](super::Control::Finish)).
    pub ended_by: Option<String>,
    /// What callbacks did and found.
    pub notes: Vec<Note>,
    /// What early stopping did, where it was asked for.
    pub early_stopping: Option<EarlyStopped>,
}

impl History {
    /// The numbers of this name.
    pub fn get(&self, name: &str) -> Option<&[f64]> {
        let (_, values) = self.metrics.iter().find(|(own, _)| own == name)?;
        Some(values)
    }

    /// The last number of this name.
    pub fn last(&self, name: &str) -> Option<f64> {
        self.get(name)?.last().copied()
    }

    /// The numbers of a metric in each epoch that has them, as Keras' history holds them: one, or, of a metric that is several
    /// numbers (`f1_score[0]`, `f1_score[1]`, ...), all of them.
    pub fn list(&self, name: &str) -> Vec<Vec<f64>> {
        let own = self.metrics.iter().filter(|(key, _)| is_key_of(key, name));
        let columns: Vec<&[f64]> = own.map(|(_, values)| values.as_slice()).collect();
        let epochs = columns.first().map_or(0, |column| column.len());
        (0..epochs)
            .map(|epoch| {
                let numbers = columns.iter().filter_map(|column| column.get(epoch));
                numbers.copied().collect()
            })
            .collect()
    }

    pub(super) fn push(&mut self, epoch: usize, logs: Logs<'_>) {
        self.epochs.push(epoch);
        for (name, value) in logs.iter() {
            match self.metrics.iter_mut().find(|(own, _)| own == name) {
                Some((_, values)) => values.push(value),
                None => self.metrics.push((name.to_owned(), vec![value])),
            }
        }
    }
}

/// Loss and metrics of an evaluation or a batch, `loss` first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Results(pub Vec<(String, f64)>);

impl Results {
    /// The number of this name.
    pub fn get(&self, name: &str) -> Option<f64> {
        let (_, value) = self.0.iter().find(|(own, _)| own == name)?;
        Some(*value)
    }

    /// The numbers of a metric: one, or, of a metric that is several numbers (`f1_score[0]`, `f1_score[1]`, ...), all of them.
    pub fn list(&self, name: &str) -> Vec<f64> {
        let own = self.iter().filter(|(key, _)| is_key_of(key, name));
        own.map(|(_, value)| value).collect()
    }

    /// The loss.
    pub fn loss(&self) -> f64 {
        self.get("loss").unwrap_or(f64::NAN)
    }

    /// Names and numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }
}

impl From<Logs<'_>> for Results {
    fn from(logs: Logs<'_>) -> Results {
        let entries = logs.iter().map(|(name, value)| (name.to_owned(), value));
        Results(entries.collect())
    }
}

impl Index<&str> for Results {
    type Output = f64;
    /// # Panics
    /// There is no number of this name: [`Results::get`] does not panic.
    fn index(&self, name: &str) -> &f64 {
        match self.0.iter().find(|(own, _)| own == name) {
            Some((_, value)) => value,
            None => panic!("there is no result named `{name}`"),
        }
    }
}
