//! Matrices of counts.

use std::fmt::Write as _;

use super::Panel;
use super::svg::{CHARACTER, escape, shortened};

/// Counts by class and predicted class: each row is a class, each column what was predicted of its examples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    /// What is drawn.
    pub title: String,
    /// The classes' names.
    pub names: Vec<String>,
    /// Counts, row by row.
    pub counts: Vec<Vec<u64>>,
}

/// More classes than this have no numbers in their cells.
const WITH_NUMBERS: usize = 20;

impl Matrix {
    /// Counts pairs of a class and a predicted class; those beyond the names are left out.
    pub fn count(
        title: &str,
        names: Vec<String>,
        pairs: impl Iterator<Item = (usize, usize)>,
    ) -> Matrix {
        let mut counts = vec![vec![0; names.len()]; names.len()];
        for (class, predicted) in pairs {
            if let Some(cell) = counts.get_mut(class).and_then(|row| row.get_mut(predicted)) {
                *cell += 1;
            }
        }
        Matrix {
            title: title.to_owned(),
            names,
            counts,
        }
    }

    fn cell(&self) -> f64 {
        match self.names.len() {
            0..=4 => 64.0,
            5..=12 => 36.0,
            13..=WITH_NUMBERS => 30.0,
            count => (600.0 / count as f64).max(3.0),
        }
    }

    fn left(&self) -> f64 {
        let longest = self
            .names
            .iter()
            .map(|name| name.chars().count().min(16))
            .max();
        26.0 + longest.unwrap_or(1) as f64 * CHARACTER
    }

    /// Names stand below the columns, turned where they are longer than a cell.
    fn turned(&self) -> bool {
        let longest = self
            .names
            .iter()
            .map(|name| name.chars().count().min(16))
            .max();
        longest.unwrap_or(0) as f64 * CHARACTER > self.cell() - 2.0
    }

    fn below(&self) -> f64 {
        match self.turned() {
            true => self.left() + 8.0,
            false => 36.0,
        }
    }

    /// Every how many classes a name stands, so that names do not overlap.
    fn every(&self) -> usize {
        (13.0 / self.cell()).ceil() as usize
    }
}

const TOP: f64 = 34.0;

impl Panel for Matrix {
    fn size(&self) -> (f64, f64) {
        let side = self.cell() * self.names.len() as f64;
        (
            (self.left() + side + 12.0).max(200.0),
            TOP + side + self.below(),
        )
    }

    fn title(&self) -> &str {
        &self.title
    }

    fn draw(&self) -> String {
        let (cell, left) = (self.cell(), self.left());
        let side = cell * self.names.len() as f64;
        let mut text = format!(
            "<text class=\"title\" x=\"{left:.1}\" y=\"18\">{}</text>",
            escape(&self.title)
        );
        // Writing to a String cannot fail.
        for (row, counts) in self.counts.iter().enumerate() {
            let total: u64 = counts.iter().sum();
            for (column, &count) in counts.iter().enumerate() {
                let (x, y) = (left + column as f64 * cell, TOP + row as f64 * cell);
                let share = count as f64 / total.max(1) as f64;
                // Few mistakes are to be seen too, so that the shade is not that of the share.
                let shade = if count == 0 {
                    0.0
                } else {
                    0.08 + 0.92 * share.powf(0.6)
                };
                let _ = write!(
                    text,
                    "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" style=\"fill:rgba(var(--heat),{shade:.3})\"><title>{} predicted as {}: {count} of {total} ({:.1} %)</title></rect>",
                    cell - 1.0,
                    cell - 1.0,
                    escape(&self.names[row]),
                    escape(&self.names[column]),
                    share * 100.0,
                );
                if self.names.len() <= WITH_NUMBERS && count > 0 {
                    let class = if shade > 0.5 { "strong" } else { "ink" };
                    let size = match count.to_string().len() as f64 * CHARACTER > cell - 4.0 {
                        true => ";font-size:8.5px",
                        false => "",
                    };
                    let _ = write!(
                        text,
                        "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" style=\"pointer-events:none{size}\">{count}</text>",
                        x + cell / 2.0 - 0.5,
                        y + cell / 2.0 + 3.5,
                    );
                }
            }
        }
        let shown = self.names.iter().enumerate();
        for (place, name) in shown.step_by(self.every()) {
            let middle = (place as f64 + 0.5) * cell;
            let name = escape(&shortened(name, 16));
            let _ = write!(
                text,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
                left - 6.0,
                TOP + middle + 4.0
            );
            let (x, y) = (left + middle, TOP + side + 14.0);
            let _ = match self.turned() {
                true => write!(
                    text,
                    "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" transform=\"rotate(-90 {:.1} {:.1})\">{name}</text>",
                    x + 4.0,
                    y - 6.0,
                    x + 4.0,
                    y - 6.0
                ),
                false => write!(
                    text,
                    "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"middle\">{name}</text>"
                ),
            };
        }
        let (x, y) = (12.0, TOP + side / 2.0);
        let _ = write!(
            text,
            "<text x=\"{x}\" y=\"{y:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 {x} {y:.1})\">class</text>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">predicted</text>",
            left + side / 2.0,
            TOP + side + self.below() - 5.0,
        );
        text
    }
}
