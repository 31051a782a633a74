//! `danlu runs`

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::arguments::RunsArguments;
use crate::failure::{Failure, Result};
use crate::output;
use crate::runs::figures::{self, duration, figure};
use crate::runs::query::{Filter, check_key, sort};
use crate::runs::{Run, find};
use crate::table;

/// Lists runs; folders that cannot be read are named.
///
/// # Errors
/// There is no such folder; a filter or the key to sort by is none.
pub fn run(arguments: &RunsArguments) -> Result<()> {
    let filters = arguments.filter.iter().map(|text| Filter::parse(text));
    let filters: Vec<Filter> = filters.collect::<Result<_>>()?;
    let mut runs = Vec::new();
    let mut unreadable = Vec::new();
    let default = [PathBuf::from("runs")];
    let folders = match arguments.folders.as_slice() {
        [] => &default[..],
        folders => folders,
    };
    for folder in folders {
        let found = find(folder).map_err(|error| {
            Failure::Usage(format!(
                "there are no runs to list in `{}`: {error}; give the folder that `danlu train` wrote to",
                folder.display()
            ))
        })?;
        for path in found {
            match Run::read(&path) {
                Ok(run) => runs.push(run),
                Err(problem) => unreadable.push((path, problem)),
            }
        }
    }
    for filter in &filters {
        check_key(&runs, "--filter", filter.key())?;
    }
    if let Some(key) = &arguments.sort {
        check_key(&runs, "--sort", key.trim_start_matches('-'))?;
        sort(&mut runs, key);
    }
    runs.retain(|run| filters.iter().all(|filter| filter.matches(run)));
    if arguments.json {
        let problems = unreadable.iter().map(
            |(path, problem)| json!({ "run": path.display().to_string(), "problem": problem }),
        );
        return output::json(&json!({
            "runs": runs.iter().map(entry).collect::<Vec<Value>>(),
            "unreadable": problems.collect::<Vec<Value>>(),
        }));
    }
    for (path, problem) in &unreadable {
        output::say(&format!("warning: {}: {problem}", path.display()));
    }
    if runs.is_empty() {
        output::say("there are no such runs");
        return Ok(());
    }
    let titles = ["run", "state", "epochs", "figures", "time", "began", "data"];
    let rows: Vec<Vec<String>> = runs.iter().map(row).collect();
    output::data(&table::text(&titles, &rows))
}

/// A run as JSON.
pub fn entry(run: &Run) -> Value {
    let figures = figures::last(run).into_iter();
    let figures: danlu::Config = figures.map(|(name, value)| (name, json!(value))).collect();
    let best =
        figures::best_epoch(run).map(|(epoch, name, value)| json!({ "epoch": epoch, name: value }));
    json!({
        "run": run.path.display().to_string(),
        "name": run.name(),
        "state": run.state(),
        "epochs": run.epochs.len(),
        "figures": figures,
        "best": best,
        "seconds": run.number("seconds"),
        "started": run.record.get("started"),
        "seed": run.record.get("seed"),
        "data": run.data(),
    })
}

fn row(run: &Run) -> Vec<String> {
    let figures = figures::last(run);
    let main = |prefix: &str| -> Vec<String> {
        let own = figures.iter().filter(|(name, _)| match prefix {
            "" => !name.starts_with("val_") && !name.starts_with("test_"),
            prefix => name.starts_with(prefix),
        });
        own.take(2)
            .map(|(name, value)| format!("{name} {}", figure(name, *value)))
            .collect()
    };
    // The test says most, then validation.
    let shown = ["test_", "val_", ""]
        .map(main)
        .into_iter()
        .find(|shown| !shown.is_empty());
    let planned = run.recipe["training"]["epochs"].as_u64();
    let epochs = match planned {
        Some(planned) if planned != run.epochs.len() as u64 => {
            format!("{} of {planned}", run.epochs.len())
        }
        _ => run.epochs.len().to_string(),
    };
    let began = run
        .record
        .get("started")
        .and_then(Value::as_str)
        .unwrap_or("");
    vec![
        run.path.display().to_string(),
        run.state().to_owned(),
        epochs,
        shown.unwrap_or_default().join(", "),
        run.number("seconds").map_or(String::new(), duration),
        began.get(..16).unwrap_or(began).replace('T', " "),
        run.data().to_owned(),
    ]
}
