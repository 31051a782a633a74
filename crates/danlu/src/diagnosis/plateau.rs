//! A training loss that does not fall, of a model that has learned nothing. A loss that does not move any more at the end of a
//! training is none.

use super::probe::Probe;
use super::{Finding, Kind, short};
use crate::{Model, Result};

/// Epochs over which the loss is looked at.
const WINDOW: usize = 5;

/// How far the line through the losses of these epochs falls at most, as a share of their mean.
const FALL: f64 = 0.01;

/// How far apart they are at most, as a share of their mean: dropout and small batches make them go up and down.
const SPREAD: f64 = 0.1;

/// A loss that falls in every epoch, and by this share in all, goes on: where it comes to rest, later epochs say so.
const STEADY: f64 = 0.002;

/// How much larger the loss is at least, of a model that has learned something, where targets are exchanged; and by how many standard
/// errors, where there are several batches to tell.
const TOLD_APART: f64 = 0.02;
const ERRORS: f64 = 3.0;

/// Whether the loss stands still: it may go up and down, but does not fall.
pub(super) fn stands_still(losses: &[f64]) -> bool {
    let Some(last) = losses.len().checked_sub(WINDOW).map(|from| &losses[from..]) else {
        return false;
    };
    let largest = last.iter().copied().fold(f64::MIN, f64::max);
    let smallest = last.iter().copied().fold(f64::MAX, f64::min);
    let mean = last.iter().sum::<f64>() / WINDOW as f64;
    let size = mean.abs().max(f64::MIN_POSITIVE);
    // The slope of the line through them (least squares), over the window.
    let middle = (WINDOW - 1) as f64 / 2.0;
    let places = (0..WINDOW).map(|place| place as f64 - middle);
    let (products, squares) = places
        .zip(last)
        .fold((0.0, 0.0), |(products, squares), (x, y)| {
            (products + x * (y - mean), squares + x * x)
        });
    let fall = -products / squares * (WINDOW - 1) as f64;
    let steady =
        last.windows(2).all(|pair| pair[1] < pair[0]) && last[0] - last[WINDOW - 1] > STEADY * size;
    fall <= FALL * size && largest - smallest <= SPREAD * size && !steady
}

/// Whether losses with own targets and with others' differ by more than chance.
fn told_apart(losses: &[(f64, f64)]) -> bool {
    let count = losses.len() as f64;
    let own = losses.iter().map(|(own, _)| own).sum::<f64>() / count;
    let gap = losses
        .iter()
        .map(|(own, strange)| strange - own)
        .sum::<f64>()
        / count;
    let squares: f64 = losses
        .iter()
        .map(|(own, strange)| (strange - own - gap).powi(2))
        .sum();
    let error = match losses.len() {
        1 => 0.0,
        _ => (squares / (count - 1.0) / count).sqrt(),
    };
    gap > TOLD_APART * own.abs() && gap > ERRORS * error
}

/// Whether a training whose loss stands still has learned nothing: what the model gives fits other examples' targets as well.
pub(super) fn judge(
    losses: &[f64],
    accuracy: Option<f64>,
    probe: &mut Probe,
    model: &mut Model,
    only_class: Option<usize>,
) -> Result<Option<Finding>> {
    if told_apart(&probe.losses_of_strangers(model)?) {
        return Ok(None);
    }
    let loss = losses.last().copied().unwrap_or(f64::NAN);
    let mut message = format!("the loss stays at {} for {WINDOW} epochs", short(loss));
    if let Some(class) = only_class {
        message += &match accuracy {
            Some(accuracy) => format!(
                ", and accuracy at {}: every example is taken for class {class}",
                short(accuracy)
            ),
            None => format!(": every example is taken for class {class}"),
        };
    } else {
        message += ": what the model gives does not depend on the example";
    }
    let advice = "try a learning rate ten times larger, then ten times smaller; look whether inputs are scaled, layers frozen, \
                  and labels belong to their examples";
    Ok(Some(Finding::new(Kind::Plateau, None, message, advice)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_epochs_without_movement_stand_still() {
        assert!(stands_still(&[2.5, 2.301, 2.302, 2.3, 2.3, 2.301]));
        assert!(!stands_still(&[2.301, 2.302, 2.3, 2.3]), "too early to say");
        assert!(
            !stands_still(&[2.30, 2.29, 2.28, 2.27, 2.26]),
            "slow, but falling"
        );
        assert!(
            !stands_still(&[2.3055, 2.3003, 2.2965, 2.2934, 2.2904]),
            "slow, but steady"
        );
        assert!(
            stands_still(&[2.3055, 2.3003, 2.2965, 2.2975, 2.2950]),
            "neither"
        );
        assert!(
            stands_still(&[2.50005, 2.50004, 2.50003, 2.50001, 2.49998]),
            "hardly moves"
        );
        assert!(stands_still(&[2.10, 2.13, 2.08, 2.12, 2.09]), "noise");
        assert!(
            !stands_still(&[2.10, 2.6, 2.08, 2.5, 2.09]),
            "too much of it"
        );
    }

    #[test]
    fn own_targets_are_told_apart_by_more_than_chance() {
        assert!(told_apart(&[(1.0, 1.5)]));
        assert!(told_apart(&[(1.0, 1.3), (1.1, 1.5), (0.9, 1.2)]));
        assert!(!told_apart(&[(2.4, 2.41), (2.4, 2.42)]), "hardly larger");
        assert!(
            !told_apart(&[(2.4, 2.7), (2.5, 2.3), (2.4, 2.6), (2.5, 2.5)]),
            "larger by chance"
        );
    }
}
