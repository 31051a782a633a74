//! When a training keeps checkpoints: `[training.checkpoint]`.

use super::document::{Document, Table};
use crate::failure::Result;

/// When checkpoints are made, and how many stay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Checkpoints {
    /// Epochs from one to the next. The last epoch's is always made.
    pub every_epochs: usize,
    /// Seconds from one to the next within an epoch; 0 for none.
    pub every_seconds: f64,
    /// How many of those at the end of epochs stay beside the last and the best one.
    pub keep: usize,
}

impl Default for Checkpoints {
    fn default() -> Checkpoints {
        Checkpoints {
            every_epochs: 1,
            every_seconds: 60.0,
            keep: 0,
        }
    }
}

impl Checkpoints {
    /// What a recipe says.
    ///
    /// # Errors
    /// A key or a value is none.
    pub fn read(document: &Document) -> Result<Checkpoints> {
        let default = Checkpoints::default();
        let mut table = Table::open(document, "training.checkpoint")?;
        let every_epochs = table.integer("every_epochs", 1, i64::from(i32::MAX))?;
        let expected = "a number of seconds of 0 (never within an epoch) or above";
        let every_seconds = table.number("every_seconds", expected, |seconds| seconds >= 0.0)?;
        let keep = table.integer("keep", 0, i64::from(i32::MAX))?;
        table.finish()?;
        Ok(Checkpoints {
            every_epochs: every_epochs.map_or(default.every_epochs, |epochs| epochs as usize),
            every_seconds: every_seconds.unwrap_or(default.every_seconds),
            keep: keep.map_or(default.keep, |keep| keep as usize),
        })
    }
}
