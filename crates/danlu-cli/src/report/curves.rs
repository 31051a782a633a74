//! Learning curves of one run, and of several.

use danlu::plots::{Chart, Series};

use crate::runs::{Run, figures};

/// Width and height of a chart, without its title and legend.
const SIZE: (f64, f64) = (420.0, 230.0);

/// A chart for each number of the epochs, training and validation in one.
pub fn of_run(run: &Run) -> Vec<Chart> {
    let columns = run.columns();
    let names = columns.iter().filter(|name| {
        // Validation stands beside training; a number that only validation has stands alone.
        name.strip_prefix("val_")
            .is_none_or(|plain| !columns.iter().any(|own| own == plain))
    });
    let best = figures::best_epoch(run).filter(|_| run.epochs.len() > 1);
    names
        .map(|name| {
            let validation = format!("val_{name}");
            let series = [
                (name.as_str(), "training", 0),
                (validation.as_str(), "validation", 1),
            ];
            let series = series.into_iter().map(|(column, title, color)| Series {
                name: title.to_owned(),
                points: run.series(column),
                color,
                dashed: false,
            });
            let mark = best
                .filter(|&(_, watched, _)| watched.strip_prefix("val_").unwrap_or(watched) == name);
            Chart {
                title: title(name),
                x_label: "epoch".to_owned(),
                series: series.filter(|series| !series.points.is_empty()).collect(),
                mark: mark.map(|(epoch, _, _)| (epoch as f64, format!("best: {epoch}"))),
                may_be_logarithmic: !figures::more_is_better(name),
                size: SIZE,
            }
        })
        .collect()
}

/// A chart for each number that any of the runs has, with a curve for each run.
pub fn of_runs(runs: &[(String, &Run)]) -> Vec<Chart> {
    let mut columns: Vec<String> = Vec::new();
    for name in runs.iter().flat_map(|(_, run)| run.columns()) {
        if !columns.contains(&name) {
            columns.push(name);
        }
    }
    let chart = |name: &String| {
        let curves = runs.iter().enumerate();
        let curves = curves.map(|(place, (title, run))| Series {
            name: title.clone(),
            points: run.series(name),
            color: place,
            dashed: place >= 8,
        });
        Chart {
            title: title(name),
            x_label: "epoch".to_owned(),
            series: curves.filter(|series| !series.points.is_empty()).collect(),
            mark: None,
            may_be_logarithmic: !figures::more_is_better(name),
            size: SIZE,
        }
    };
    columns.iter().map(chart).collect()
}

/// A number's name for people.
pub fn title(name: &str) -> String {
    let (name, validation) = match name.strip_prefix("val_") {
        Some(name) => (name, " (validation)"),
        None => (name, ""),
    };
    let mut words = name.replace('_', " ");
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words + validation
}
