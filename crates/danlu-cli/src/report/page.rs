//! The page of a run.

use danlu::plots::{self, escape};
use serde_json::Value;

use super::{Facts, html, sections};
use crate::runs::Run;
use crate::runs::figures::{self, duration, figure, grouped};

/// One page that needs nothing else: no script, no request.
pub fn page(run: &Run, facts: &Facts) -> String {
    let description = run.recipe["description"].as_str().unwrap_or("");
    let state = match run.state() {
        state @ ("finished" | "failed" | "interrupted" | "running") => state,
        _ => "unknown",
    };
    let mut body = format!(
        "<h1>{}<span class=\"state {state}\">{state}</span></h1>\n",
        escape(run.name())
    );
    if !description.is_empty() {
        body += &format!("<p class=\"about\">{}</p>\n", escape(description));
    }
    body += &format!("<p class=\"result\">{}</p>\n", escape(&result(run)));
    body += &tiles(run, facts);
    body += &html::section("Learning curves", &sections::curves(run));
    body += &html::section(
        "What it does with the test examples",
        &sections::held_out(run, facts),
    );
    body += &html::section("What it was trained on", &sections::data(run, facts));
    body += &html::section("Epochs", &sections::epochs(run));
    body += &html::section("The model", &sections::model(facts));
    body += &html::section("Settings", &sections::settings(run));
    body += &html::section("Machine and time", &sections::machine(run));
    body += &html::section("How to make it again", &sections::again(run));
    let version = run.record.get("danlu").and_then(Value::as_str);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline';img-src data:\">\
         <title>{}</title><style>{}{}</style></head><body><main>\n{body}<footer>Danlu {}</footer>\n</main></body></html>\n",
        escape(run.name()),
        html::STYLE,
        plots::STYLE,
        escape(version.unwrap_or("")),
    )
}

/// The run in one or two sentences.
fn result(run: &Run) -> String {
    let trained = match (run.epochs.len(), run.number("seconds")) {
        (0, _) => "No epoch was finished".to_owned(),
        (count, seconds) => {
            let epochs = if count == 1 { "epoch" } else { "epochs" };
            let time = seconds.map_or(String::new(), |seconds| {
                format!(" in {}", duration(seconds))
            });
            let data = run.record.get("data");
            let examples = data.and_then(|data| data["training_examples"].as_u64());
            let examples = examples.map_or(String::new(), |count| {
                format!(" on {} examples", grouped(count))
            });
            format!("Trained{examples} for {count} {epochs}{time}")
        }
    };
    let end = match run.state() {
        "failed" => {
            let error = run.record.get("error").and_then(Value::as_str);
            format!(
                "; then the training failed{}",
                error.map_or(String::new(), |error| format!(": {error}"))
            )
        }
        "interrupted" => {
            let planned = run.recipe["training"]["epochs"].as_u64();
            format!(
                "; interrupted{}",
                planned.map_or(String::new(), |count| format!(
                    " (planned were {count} epochs)"
                ))
            )
        }
        "running" => "; it is still running, or was killed".to_owned(),
        _ => String::new(),
    };
    let (test, last) = (run.test(), run.epochs.last());
    let examples = |key: &str| {
        let count = run.record.get("data").and_then(|data| data[key].as_u64());
        count.map_or("the".to_owned(), grouped)
    };
    let good = |numbers: &[(String, f64)], prefix: &str| {
        let own: Vec<(String, f64)> = numbers
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(prefix)?.to_owned(), *value)))
            .collect();
        let accuracy = own.iter().find(|(name, _)| name.ends_with("accuracy"));
        match accuracy
            .or(own.iter().find(|(name, _)| name != "loss"))
            .or(own.first())
        {
            Some((name, value)) if name == "accuracy" => {
                Some(format!("{:.2} % classified correctly", value * 100.0))
            }
            Some((name, value)) => Some(format!(
                "{} {}",
                name.replace('_', " "),
                figure(name, *value)
            )),
            None => None,
        }
    };
    let quality = match good(&test, "") {
        Some(good) => format!(
            " On {} test examples that it never saw: {good}.",
            examples("test_examples")
        ),
        None => match last.and_then(|epoch| good(&epoch.values, "val_")) {
            Some(good) => format!(
                " On {} examples kept for validation: {good}.",
                examples("validation_examples")
            ),
            None => match last.and_then(|epoch| good(&epoch.values, "")) {
                Some(good) => format!(" On the training examples themselves: {good}."),
                None => String::new(),
            },
        },
    };
    format!("{trained}{end}.{quality}")
}

/// The figures that matter most.
fn tiles(run: &Run, facts: &Facts) -> String {
    let mut tiles: Vec<(String, String)> = Vec::new();
    let last = figures::last(run);
    let mut shown = |prefix: &str, what: &str| {
        let own = last.iter().filter(|(name, _)| match prefix {
            "" => !name.starts_with("val_") && !name.starts_with("test_"),
            prefix => name.starts_with(prefix),
        });
        for (name, value) in own.take(2) {
            let plain = name.strip_prefix(prefix).unwrap_or(name);
            tiles.push((
                figure(plain, *value),
                format!("{} {what}", plain.replace('_', " ")),
            ));
        }
    };
    shown("test_", "on the test part");
    shown("val_", "on validation");
    if run.epochs.iter().all(|epoch| {
        epoch
            .values
            .iter()
            .all(|(name, _)| !name.starts_with("val_"))
    }) {
        shown("", "in training");
    }
    if let Some((epoch, name, value)) = figures::best_epoch(run).filter(|_| run.epochs.len() > 1) {
        let name = name.replace("val_", "validation ");
        tiles.push((
            epoch.to_string(),
            format!("best epoch ({name} {})", figures::number(value)),
        ));
    }
    if facts.parameters > 0 {
        tiles.push((grouped(facts.parameters as u64), "parameters".to_owned()));
    }
    if let Some(seconds) = run.number("seconds") {
        tiles.push((duration(seconds), "in all".to_owned()));
    }
    let tile = |(value, what): &(String, String)| {
        format!(
            "<div class=\"tile\"><b>{}</b><span>{}</span></div>",
            escape(value),
            escape(what)
        )
    };
    format!(
        "<div class=\"tiles\">{}</div>\n",
        tiles.iter().map(tile).collect::<String>()
    )
}
