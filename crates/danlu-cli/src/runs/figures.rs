//! The numbers that say how good a run is.

use super::Run;

/// Whether more is better, by the name of a loss or metric: what is called a loss, an error or a divergence is to be small.
pub fn more_is_better(name: &str) -> bool {
    let name = name
        .strip_prefix("val_")
        .or(name.strip_prefix("test_"))
        .unwrap_or(name);
    let small = [
        "loss",
        "error",
        "mse",
        "mae",
        "mape",
        "msle",
        "rmse",
        "crossentropy",
        "divergence",
        "hinge",
        "poisson",
        "logcosh",
        "log_cosh",
        "false_",
        "time",
        "seconds",
    ];
    // The metrics of outputs have these before their names.
    !small.iter().any(|part| name.contains(part))
}

/// The last epoch's numbers, then those of the test part with `test_` before their names.
pub fn last(run: &Run) -> Vec<(String, f64)> {
    let mut figures = run
        .epochs
        .last()
        .map_or(Vec::new(), |epoch| epoch.values.clone());
    let test = run.test().into_iter();
    figures.extend(test.map(|(name, value)| (format!("test_{name}"), value)));
    figures
}

/// The epoch with the least validation loss, or loss where there is none, and that loss' name.
pub fn best_epoch(run: &Run) -> Option<(u64, &'static str, f64)> {
    let watched = ["val_loss", "loss"];
    let name = watched
        .into_iter()
        .find(|name| !run.series(name).is_empty())?;
    let series = run.series(name);
    let finite = series.iter().filter(|(_, value)| value.is_finite());
    let (epoch, value) = finite.min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some((*epoch as u64, name, *value))
}

/// A number for people.
pub fn number(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if !value.is_finite() => "not a number".to_owned(),
        0.0 => "0".to_owned(),
        _ if !(1e-4..1e6).contains(&size) => format!("{value:.3e}"),
        _ if size >= 1000.0 => format!("{value:.1}"),
        _ if size >= 10.0 => format!("{value:.3}"),
        _ => format!("{value:.4}"),
    }
}

/// A share or accuracy as a percentage, where the name says that it is one; else as [`number`].
pub fn figure(name: &str, value: f64) -> String {
    match name.contains("accuracy") && (0.0..=1.0).contains(&value) {
        true => format!("{:.2} %", value * 100.0),
        false => number(value),
    }
}

/// A time for people.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 10.0 => format!("{seconds:.1} s"),
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// A whole number with commas between thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_way_is_better() {
        for name in [
            "accuracy",
            "val_auc",
            "test_f1_score[0]",
            "label_precision",
            "r2_score",
        ] {
            assert!(more_is_better(name), "{name}");
        }
        for name in [
            "loss",
            "val_label_loss",
            "mean_absolute_error",
            "test_mse",
            "false_negatives",
        ] {
            assert!(!more_is_better(name), "{name}");
        }
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(number(0.98765), "0.9877");
        assert_eq!(number(1e-7), "1.000e-7");
        assert_eq!(number(f64::NAN), "not a number");
        assert_eq!(figure("val_accuracy", 0.98765), "98.77 %");
        assert_eq!(duration(192.4), "3 min 12 s");
        assert_eq!(duration(7384.0), "2 h 03 min");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(12), "12");
    }
}
