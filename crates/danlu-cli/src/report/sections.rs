//! The parts of a run's page.

use danlu::plots::{Matrix, Panel, Scatter};
use serde_json::Value;

use super::held_out::{Answers, Kind};
use super::{Facts, curves, html};
use crate::recipe::write::to_toml;
use crate::runs::Run;
use crate::runs::figures::{self, duration, figure, grouped};

/// More classes than this have no matrix.
const MOST_CLASSES: usize = 100;

/// The curves.
pub fn curves(run: &Run) -> String {
    if run.epochs.is_empty() {
        return String::new();
    }
    let charts = curves::of_run(run);
    let charts: String = charts.iter().map(Panel::to_element).collect();
    format!("<div class=\"charts\">{charts}</div>")
}

/// Test figures, and what was taken for what.
pub fn held_out(run: &Run, facts: &Facts) -> String {
    let test = run.test();
    let mut body = String::new();
    if !test.is_empty() {
        let rows: Vec<(String, String)> = test
            .iter()
            .map(|(name, value)| (name.replace('_', " "), figure(name, *value)))
            .collect();
        body += &html::pairs(&rows);
    }
    let Some(held_out) = &facts.held_out else {
        return body;
    };
    for answers in &held_out.outputs {
        let title = |what: &str| match held_out.outputs.len() {
            1 => what.to_owned(),
            _ => format!("{}: {what}", answers.name),
        };
        body += &answers_of(answers, title);
    }
    body
}

fn answers_of(answers: &Answers, title: impl Fn(&str) -> String) -> String {
    match &answers.kind {
        Kind::Classes(names, pairs) => {
            let matrix = Matrix::count(
                &title("classes and predictions"),
                names.clone(),
                pairs.iter().copied(),
            );
            let picture = match names.len() <= MOST_CLASSES {
                true => format!("<div class=\"wide\">{}</div>", matrix.to_element()),
                false => String::new(),
            };
            format!(
                "<div class=\"side\">{picture}<div>{}</div></div>",
                by_class(&matrix)
            )
        }
        Kind::Numbers(points) => {
            let scatter = Scatter {
                title: title("true and predicted"),
                points: points.clone(),
            };
            scatter.to_element()
        }
        Kind::Other => String::new(),
    }
}

/// Each class with its share that was found (recall), the share of right ones among its predictions (precision), and what it
/// was taken for most.
fn by_class(matrix: &Matrix) -> String {
    let rows = matrix.names.iter().enumerate().map(|(class, name)| {
        let row = &matrix.counts[class];
        let total: u64 = row.iter().sum();
        let predicted: u64 = matrix.counts.iter().map(|row| row[class]).sum();
        let share = |count: u64, of: u64| match of {
            0 => "–".to_owned(),
            of => format!("{:.1} %", count as f64 / of as f64 * 100.0),
        };
        let wrong = row
            .iter()
            .enumerate()
            .filter(|&(other, &count)| other != class && count > 0);
        let most = wrong.max_by_key(|&(other, &count)| (count, std::cmp::Reverse(other)));
        let most = most.map_or("–".to_owned(), |(other, count)| {
            format!("{} ({count})", matrix.names[other])
        });
        let cells = vec![
            name.clone(),
            grouped(total),
            share(row[class], total),
            share(row[class], predicted),
            most,
        ];
        (false, cells)
    });
    let titles = [
        "class",
        "examples",
        "found",
        "right when said",
        "mostly taken for",
    ];
    html::table(&titles.map(str::to_owned), &rows.collect::<Vec<_>>())
}

/// The data, and the first batch where it is pictures.
pub fn data(run: &Run, facts: &Facts) -> String {
    let mut rows = vec![("source".to_owned(), run.data().to_owned())];
    let data = run.record.get("data").cloned().unwrap_or_default();
    for (key, name) in [
        ("training_examples", "examples to train on"),
        ("validation_examples", "examples kept for validation"),
        ("test_examples", "test examples"),
        ("classes", "classes"),
    ] {
        if let Some(count) = data[key].as_u64().filter(|count| *count > 0) {
            rows.push((name.to_owned(), grouped(count)));
        }
    }
    for (name, shape) in data["inputs"].as_object().into_iter().flatten() {
        let sizes: Vec<String> = shape
            .as_array()
            .into_iter()
            .flatten()
            .map(Value::to_string)
            .collect();
        rows.push((format!("input {name}"), sizes.join(" × ")));
    }
    if let Some(fingerprint) = data["fingerprint"].as_str() {
        rows.push(("fingerprint".to_owned(), fingerprint.to_owned()));
    }
    let mut body = html::pairs(&rows);
    if let Some(first) = &facts.first_batch {
        body += &format!(
            "<div class=\"wide first\">{}</div>",
            first.grid.to_element()
        );
    }
    body
}

/// A row for each epoch; the best stands out.
pub fn epochs(run: &Run) -> String {
    if run.epochs.is_empty() {
        return String::new();
    }
    let columns = run.columns();
    let mut titles = vec!["epoch".to_owned()];
    titles.extend(columns.iter().map(|name| name.replace('_', " ")));
    let best = figures::best_epoch(run).map(|(epoch, _, _)| epoch);
    let rows = run.epochs.iter().map(|epoch| {
        let mut row = vec![epoch.number.to_string()];
        let cell = |name: &String| epoch.get(name).map_or(String::new(), figures::number);
        row.extend(columns.iter().map(cell));
        (best == Some(epoch.number) && run.epochs.len() > 1, row)
    });
    html::table(&titles, &rows.collect::<Vec<_>>())
}

/// The picture and the table of layers.
pub fn model(facts: &Facts) -> String {
    let picture = facts.picture.as_ref().map_or(String::new(), |picture| {
        format!("<div class=\"wide model\">{picture}</div>")
    });
    let tall = facts
        .picture
        .as_ref()
        .is_some_and(|picture| picture.matches("<rect").count() > 12);
    let picture = match tall {
        true => html::details("Picture of the layers", &picture),
        false => picture,
    };
    match facts.summary.is_empty() {
        true => picture,
        false => picture + &html::details("Table of the layers", &html::pre(&facts.summary)),
    }
}

/// The keys of the recipe's training, and the whole recipe to unfold.
pub fn settings(run: &Run) -> String {
    let mut rows = Vec::new();
    for part in ["training", "data"] {
        for (key, value) in run.recipe[part].as_object().into_iter().flatten() {
            if !(value.is_array() && value[0].is_object()) {
                rows.push((key.replace('_', " "), text(value)));
            }
        }
    }
    let recipe = run.recipe.as_object().cloned().unwrap_or_default();
    html::pairs(&rows) + &html::details("The whole recipe", &html::pre(&to_toml(&recipe)))
}

/// A value of a recipe for people.
pub fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(table) => {
            let kind = table.get("type").and_then(Value::as_str);
            let rest = table.iter().filter(|(key, _)| *key != "type");
            let rest: Vec<String> = rest
                .map(|(key, value)| format!("{key} {}", text(value)))
                .collect();
            match (kind, rest.is_empty()) {
                (Some(kind), true) => kind.to_owned(),
                (Some(kind), false) => format!("{kind} ({})", rest.join(", ")),
                (None, _) => rest.join(", "),
            }
        }
        Value::Array(list) => list.iter().map(text).collect::<Vec<_>>().join(", "),
        value => value.to_string(),
    }
}

/// Where and how long.
pub fn machine(run: &Run) -> String {
    let record = |key: &str| run.record.get(key).cloned().unwrap_or_default();
    let machine = record("machine");
    let memory = machine["memory_gib"]
        .as_f64()
        .map(|gib| format!("{gib} GiB"));
    let processors = machine["logical_processors"]
        .as_u64()
        .map(|count| count.to_string());
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let rate = run
        .number("samples_per_second")
        .map(|rate| format!("{} a second", grouped(rate as u64)));
    let rows = [
        (
            "began",
            text(&record("started")).map(|time| time.replace(['T', 'Z'], " ") + "UTC"),
        ),
        ("took", run.number("seconds").map(duration)),
        ("training examples", rate),
        ("processor", text(&machine["processor"])),
        ("logical processors", processors),
        (
            "threads used",
            record("threads").as_u64().map(|count| count.to_string()),
        ),
        ("instruction set", text(&record("isa"))),
        ("memory", memory),
        ("system", text(&machine["system"])),
        (
            "version",
            text(&record("danlu")).map(|version| format!("Danlu {version}")),
        ),
    ];
    let rows = rows
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)));
    html::pairs(&rows.collect::<Vec<_>>())
}

/// The commands that make the same numbers.
pub fn again(run: &Run) -> String {
    let folder = run.path.display();
    let words = run.record.get("command").and_then(Value::as_array);
    let command: Vec<String> = words
        .into_iter()
        .flatten()
        .filter_map(|word| word.as_str().map(quoted))
        .collect();
    let mut body = format!(
        "<p>The recipe in the run folder has every setting; with the same data it gives the same numbers, bit for bit, on the same instruction set, whatever the number of threads.</p>{}",
        html::pre(&format!(
            "danlu train {} --out again",
            quoted(&format!("{folder}/recipe.toml"))
        ))
    );
    if !command.is_empty() {
        body += &format!("<p>It was made with</p>{}", html::pre(&command.join(" ")));
    }
    body
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}
