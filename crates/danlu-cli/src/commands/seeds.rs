//! `danlu train --seeds N`

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

use danlu::data::files::write_atomically;
use serde_json::{Value, json};

use super::train;
use crate::arguments::TrainArguments;
use crate::failure::{Failure, Result};
use crate::output::{self, Messages};
use crate::run_folder::RunFolder;
use crate::runs::Run;
use crate::runs::figures::{self, figure};
use crate::{subject, table};

/// Trains with several seeds, one after the other, and gives mean and spread of what came of it.
///
/// # Errors
/// The configuration is no good; Ctrl-C; one of the trainings failed, after the others were done.
pub fn run(arguments: &TrainArguments, count: u64, started: Instant) -> Result<()> {
    let messages = Messages {
        quiet: arguments.quiet,
    };
    let subject = arguments.subject.as_deref().unwrap_or_default();
    let recipe = subject::recipe(subject, |document| train::change(document, arguments))?;
    let out = RunFolder::choose(arguments.out.as_deref(), &recipe.name)?;
    let first = recipe.training.seed;
    let mut runs: Vec<(u64, Run)> = Vec::new();
    let mut failed: Vec<(u64, String)> = Vec::new();
    for seed in (0..count).map(|place| first.wrapping_add(place)) {
        messages.note(&format!("seed {seed}"));
        let folder = out.join(format!("seed-{seed}"));
        let own = TrainArguments {
            // Seeds are given as numbers from 0 to the largest i64.
            seed: i64::try_from(seed).ok(),
            seeds: None,
            out: Some(folder.clone()),
            ..arguments.clone()
        };
        match train::train(&own, Instant::now()) {
            Ok(_) => match Run::read(&folder) {
                Ok(run) => runs.push((seed, run)),
                Err(problem) => failed.push((seed, problem)),
            },
            // What is wrong with the command is wrong for every seed.
            Err(failure @ (Failure::Usage(_) | Failure::ReaderGone)) => return Err(failure),
            Err(Failure::Interrupted(text)) => {
                return Err(Failure::Interrupted(format!("seed {seed}: {text}")));
            }
            Err(Failure::Failed(error)) => {
                output::say(&format!("warning: seed {seed} failed: {error}"));
                failed.push((seed, error));
            }
        }
    }
    let rows = rows(&runs);
    let mut report = json!({
        "run": out.display().to_string(),
        "seeds": runs.iter().map(|(seed, run)| json!({ "seed": seed, "run": run.path.display().to_string() })).collect::<Vec<Value>>(),
        "failed": failed.iter().map(|(seed, error)| json!({ "seed": seed, "error": error })).collect::<Vec<Value>>(),
        "figures": rows.iter().map(|row| (row.name.clone(), row.json())).collect::<danlu::Config>(),
    });
    write(&out, &report)?;
    if !arguments.quiet {
        let shown: Vec<Vec<String>> = rows.iter().map(Spread::cells).collect();
        let titles = ["figure", "mean", "spread", "least", "most"];
        output::say(table::text(&titles, &shown).trim_end());
    }
    messages.note(&format!(
        "{} of {count} trainings are in {}",
        runs.len(),
        out.display()
    ));
    if arguments.json {
        report["seconds"] = json!(started.elapsed().as_secs_f64());
        output::json(&report)?;
    }
    match failed.as_slice() {
        [] => Ok(()),
        failed => {
            let seeds: Vec<String> = failed.iter().map(|(seed, _)| seed.to_string()).collect();
            Err(Failure::Failed(format!(
                "{} of {count} trainings failed: seed {}; the others are whole",
                failed.len(),
                seeds.join(", ")
            )))
        }
    }
}

fn write(out: &Path, report: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(report).map_err(Failure::failed)?;
    std::fs::create_dir_all(out).map_err(Failure::failed)?;
    Ok(write_atomically(out.join("seeds.json"), |file| {
        writeln!(file, "{text}")
    })?)
}

/// A figure of several trainings.
struct Spread {
    name: String,
    values: Vec<f64>,
}

/// The figures of the last epochs and the tests.
fn rows(runs: &[(u64, Run)]) -> Vec<Spread> {
    let mut rows: Vec<Spread> = Vec::new();
    for (name, value) in runs.iter().flat_map(|(_, run)| figures::last(run)) {
        match rows.iter_mut().find(|row| row.name == name) {
            Some(row) => row.values.push(value),
            None => rows.push(Spread {
                name,
                values: vec![value],
            }),
        }
    }
    rows
}

impl Spread {
    fn mean(&self) -> f64 {
        self.values.iter().sum::<f64>() / self.values.len() as f64
    }

    /// The standard deviation of what more seeds would give (divided by n - 1); `None` for one alone.
    fn deviation(&self) -> Option<f64> {
        let mean = self.mean();
        let squares: f64 = self.values.iter().map(|value| (value - mean).powi(2)).sum();
        (self.values.len() > 1).then(|| (squares / (self.values.len() - 1) as f64).sqrt())
    }

    fn ends(&self) -> (f64, f64) {
        let least = self.values.iter().copied().fold(f64::INFINITY, f64::min);
        (
            least,
            self.values
                .iter()
                .copied()
                .fold(f64::NEG_INFINITY, f64::max),
        )
    }

    fn json(&self) -> Value {
        let (least, most) = self.ends();
        json!({ "mean": self.mean(), "standard_deviation": self.deviation(), "least": least, "most": most, "values": self.values })
    }

    fn cells(&self) -> Vec<String> {
        let show = |value: f64| figure(&self.name, value);
        let (least, most) = self.ends();
        vec![
            self.name.clone(),
            show(self.mean()),
            self.deviation()
                .map_or("–".to_owned(), |value| format!("± {}", show(value))),
            show(least),
            show(most),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_standard_deviation() {
        let spread = |values: &[f64]| Spread {
            name: "loss".to_owned(),
            values: values.to_vec(),
        };
        let several = spread(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]);
        assert_eq!(several.mean(), 5.0);
        // The sum of squares is 32, the number of values 8.
        assert!((several.deviation().unwrap() - (32.0f64 / 7.0).sqrt()).abs() < 1e-12);
        assert_eq!(several.ends(), (2.0, 9.0));
        assert_eq!(spread(&[3.0]).deviation(), None);
    }
}
