//! `danlu compare`

use std::io::Write as _;

use danlu::data::files::{check_writable, write_atomically};
use danlu::plots::{Panel, sheet};
use serde_json::{Value, json};

use crate::arguments::CompareArguments;
use crate::failure::{Failure, Result};
use crate::report::curves;
use crate::runs::figures::{self, figure, more_is_better};
use crate::runs::{Run, find};
use crate::{models, output, table};

/// What each of several runs has of something.
struct Row {
    name: String,
    values: Vec<Value>,
    /// The places of the best, of figures that differ.
    best: Vec<usize>,
}

/// Prints the settings in which runs differ and their figures side by side; draws their curves.
///
/// # Errors
/// A run cannot be read, or the picture not be written.
pub fn run(arguments: &CompareArguments) -> Result<()> {
    if let Some(path) = &arguments.svg {
        let wrong =
            |problem: String| Failure::Usage(format!("--svg {}: {problem}", path.display()));
        if models::extension(path) != "svg" {
            return Err(wrong("expected a file that ends in .svg".to_owned()));
        }
        check_writable(path).map_err(|error| wrong(error.to_string()))?;
    }
    let mut runs = Vec::new();
    for folder in &arguments.runs {
        let found = find(folder).unwrap_or_default();
        if found.is_empty() {
            return Err(Failure::Usage(format!(
                "`{}` is no run folder, and there are none in it; `danlu runs` lists those that there are",
                folder.display()
            )));
        }
        for path in found {
            runs.push(Run::read(&path).map_err(Failure::Failed)?);
        }
    }
    if runs.len() < 2 {
        return Err(Failure::usage(
            "one run alone cannot be compared: give two run folders or more",
        ));
    }
    let (settings, figures) = (settings(&runs), final_figures(&runs));
    if let Some(path) = &arguments.svg {
        let named: Vec<(String, &Run)> = runs
            .iter()
            .map(|run| (run.path.display().to_string(), run))
            .collect();
        let charts = curves::of_runs(&named);
        if charts.is_empty() {
            return Err(Failure::failed(
                "none of these runs has finished an epoch: there are no curves to draw",
            ));
        }
        let panels: Vec<&dyn Panel> = charts.iter().map(|chart| chart as &dyn Panel).collect();
        let picture = sheet("Learning curves", 2, &panels);
        write_atomically(path, |file| file.write_all(picture.as_bytes()))?;
        output::say(&format!("wrote {}", path.display()));
    }
    if arguments.json {
        let settings: danlu::Config = settings
            .into_iter()
            .map(|row| (row.name, Value::Array(row.values)))
            .collect();
        let figures: danlu::Config = figures
            .into_iter()
            .map(|row| (row.name, json!({ "values": row.values, "best": row.best })))
            .collect();
        return output::json(&json!({
            "runs": runs.iter().map(super::runs::entry).collect::<Vec<Value>>(),
            "settings": settings,
            "figures": figures,
        }));
    }
    let names: Vec<String> = runs
        .iter()
        .map(|run| run.path.display().to_string())
        .collect();
    let mut titles = vec!["settings that differ"];
    titles.extend(names.iter().map(String::as_str));
    let mut text = match settings.is_empty() {
        true => "the settings are the same\n".to_owned(),
        false => table::text(&titles, &cells(&settings, |_, value| short(value))),
    };
    titles[0] = "figures (* best)";
    text += "\n";
    text += &table::text(
        &titles,
        &cells(&figures, |name, value| {
            value
                .as_f64()
                .map_or("–".to_owned(), |value| shown(name, value))
        }),
    );
    output::data(&text)
}

fn cells(rows: &[Row], show: impl Fn(&str, &Value) -> String) -> Vec<Vec<String>> {
    let row = |row: &Row| {
        let values = row.values.iter().enumerate().map(|(place, value)| {
            let mark = if row.best.contains(&place) { " *" } else { "" };
            show(&row.name, value) + mark
        });
        [row.name.clone()].into_iter().chain(values).collect()
    };
    rows.iter().map(row).collect()
}

/// A figure in a table of a terminal.
fn shown(name: &str, value: f64) -> String {
    match name {
        "epochs" | "best epoch" => value.to_string(),
        "seconds" => figures::duration(value),
        name => figure(name, value),
    }
}

/// A setting in a table of a terminal.
fn short(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        value => crate::report::setting(value),
    }
}

/// The keys of recipe and record that are not the same everywhere.
fn settings(runs: &[Run]) -> Vec<Row> {
    let all: Vec<Vec<(String, Value)>> = runs.iter().map(known).collect();
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in all.iter().flatten() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let rows = names.into_iter().map(|name| Row {
        name: name.clone(),
        values: all
            .iter()
            .map(|own| {
                own.iter()
                    .find(|(key, _)| key == name)
                    .map_or(Value::Null, |(_, value)| value.clone())
            })
            .collect(),
        best: Vec::new(),
    });
    rows.filter(|row| row.values.iter().any(|value| *value != row.values[0]))
        .collect()
}

fn known(run: &Run) -> Vec<(String, Value)> {
    let mut entries = Vec::new();
    flatten("", &run.recipe, &mut entries);
    let record = |key: &str| run.record.get(key).cloned().unwrap_or_default();
    entries.push(("danlu".to_owned(), record("danlu")));
    entries.push(("isa".to_owned(), record("isa")));
    entries.push((
        "data's fingerprint".to_owned(),
        record("data")["fingerprint"].clone(),
    ));
    entries.push(("state".to_owned(), record("state")));
    entries
}

/// Tables and lists of tables as keys with dots; what else there is, as it is.
fn flatten(path: &str, value: &Value, entries: &mut Vec<(String, Value)>) {
    let inside = |key: &str| match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    match value {
        Value::Object(table) => table
            .iter()
            .for_each(|(key, value)| flatten(&inside(key), value, entries)),
        Value::Array(list) if list.iter().any(Value::is_object) => {
            for (place, value) in list.iter().enumerate() {
                flatten(&inside(&place.to_string()), value, entries);
            }
        }
        value => entries.push((path.to_owned(), value.clone())),
    }
}

/// The last epoch's and the test's figures, the best loss, time and epochs.
fn final_figures(runs: &[Run]) -> Vec<Row> {
    let all: Vec<Vec<(String, f64)>> = runs
        .iter()
        .map(|run| {
            let mut own = figures::last(run);
            if let Some((epoch, name, value)) = figures::best_epoch(run) {
                own.push((format!("best {name}"), value));
                own.push(("best epoch".to_owned(), epoch as f64));
            }
            own.push(("epochs".to_owned(), run.epochs.len() as f64));
            own.extend(
                run.number("seconds")
                    .map(|seconds| ("seconds".to_owned(), seconds)),
            );
            own
        })
        .collect();
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in all.iter().flatten() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let row = |name: &String| {
        let numbers: Vec<Option<f64>> = all
            .iter()
            .map(|own| {
                own.iter()
                    .find(|(key, _)| key == name)
                    .map(|(_, value)| *value)
            })
            .collect();
        let judged = !["best epoch", "epochs"].contains(&name.as_str());
        let finite = || {
            numbers
                .iter()
                .flatten()
                .copied()
                .filter(|value| value.is_finite())
        };
        let best = match more_is_better(name) {
            true => finite().fold(f64::NEG_INFINITY, f64::max),
            false => finite().fold(f64::INFINITY, f64::min),
        };
        let differ = finite().any(|value| value != best);
        let places = numbers
            .iter()
            .enumerate()
            .filter(|(_, number)| **number == Some(best));
        Row {
            name: name.clone(),
            best: match judged && differ {
                true => places.map(|(place, _)| place).collect(),
                false => Vec::new(),
            },
            values: numbers.iter().map(|number| json!(number)).collect(),
        }
    };
    names.into_iter().map(row).collect()
}
