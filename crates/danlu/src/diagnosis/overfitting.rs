//! A validation loss that rises while the training loss falls. The rise is Prechelt's generalization loss (1998, "Early Stopping -
//! But When?", section 2.1): how far the validation loss is above the lowest so far.
//! Or one that was never good, while the training examples are learned by heart: the gap between the two (Goodfellow, Bengio and
//! Courville 2016, section 5.2).

use super::{Finding, Kind, short};

/// Epochs over which losses are averaged, since both go up and down.
const WINDOW: usize = 3;

/// How far above the lowest mean the last mean is, as a share of the lowest. Prechelt stops at 5 % at most.
const RISE: f64 = 0.1;

/// A rise is also to be seen beside the loss of the first epoch: from 0.01 to 0.02 is little where it began at 2.
const SHARE_OF_FIRST: f64 = 0.05;

/// How far the training loss fell meanwhile.
const FALL: f64 = 0.1;

/// What is learned by heart: the validation loss is above the training loss by so large a share of what it was in the first epoch, ...
const GAP: f64 = 0.5;

/// ... the training loss is at most this share of it, ...
const LEARNED: f64 = 0.5;

/// ... and for so many epochs the validation loss has not become better.
const PATIENCE: usize = 2 * WINDOW;

/// Training and validation loss of each epoch that has both.
pub(super) fn judge(losses: &[(f64, f64)]) -> Option<Finding> {
    let means: Vec<(f64, f64)> = losses.windows(WINDOW).map(mean).collect();
    let (&(train, validation), earlier) = means.split_last()?;
    let lowest = earlier.iter().enumerate();
    let (place, &(train_then, lowest)) = lowest.min_by(|a, b| a.1.1.total_cmp(&b.1.1))?;
    // The windows do not overlap: what is new is new as a whole.
    let apart = earlier.len() >= place + WINDOW;
    let rose = validation > lowest * (1.0 + RISE)
        && validation - lowest > SHARE_OF_FIRST * losses[0].1.abs();
    let fell = train < train_then * (1.0 - FALL);
    let still_rises = losses[losses.len() - 1].1 > lowest * (1.0 + RISE);
    let rises = apart && rose && fell && still_rises;
    let by_heart = earlier.len() >= place + PATIENCE
        && train < LEARNED * validation
        && validation - train > GAP * losses[0].1.abs();
    if !rises && !by_heart {
        return None;
    }
    let lowest = losses
        .iter()
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map_or(f64::NAN, |one| one.1);
    let now = losses[losses.len() - 1];
    let (lowest, validation, train) = (short(lowest), short(now.1), short(now.0));
    let message = match rises {
        true => format!(
            "the model overfits: val_loss rose from {lowest} to {validation} while loss fell to {train}"
        ),
        false => format!(
            "the model overfits: val_loss is {validation} and was never below {lowest}, while loss fell to {train}"
        ),
    };
    let advice = "early stopping, dropout, weight decay, a smaller model or more data helps";
    Some(Finding::new(Kind::Overfitting, None, message, advice))
}

fn mean(losses: &[(f64, f64)]) -> (f64, f64) {
    let count = losses.len() as f64;
    let sum = losses
        .iter()
        .fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    (sum.0 / count, sum.1 / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overfits(train: &[f64], validation: &[f64]) -> bool {
        let losses = train.iter().copied().zip(validation.iter().copied());
        judge(&losses.collect::<Vec<_>>()).is_some()
    }

    #[test]
    fn a_lasting_rise_while_the_training_loss_falls_counts() {
        let train = [2.0, 1.5, 1.0, 0.7, 0.5, 0.3, 0.2, 0.1];
        assert!(overfits(&train, &[2.1, 1.7, 1.5, 1.5, 1.6, 1.8, 2.0, 2.3]));
        assert!(!overfits(&train, &[2.1, 1.7, 1.5, 1.5, 1.5, 1.6, 1.5, 1.6]));
        let one_peak = [2.1, 1.7, 1.5, 1.4, 1.4, 1.4, 1.4, 2.3];
        assert!(!overfits(&train, &one_peak));
        let small = [2.0, 0.3, 0.03, 0.02, 0.02, 0.03, 0.04, 0.04];
        assert!(!overfits(&train, &small), "beside 2.0 it is nothing");
        let both = [2.0, 1.5, 1.0, 0.7, 1.0, 1.3, 1.5, 1.8];
        assert!(!overfits(&both, &[2.1, 1.7, 1.5, 1.5, 1.6, 1.8, 2.0, 2.3]));
        assert!(!overfits(&train[..3], &[1.0, 1.5, 2.0]), "too early to say");
    }

    #[test]
    fn what_is_learned_by_heart_counts_without_a_rise() {
        let heart = [2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.01];
        assert!(overfits(&heart, &[2.0; 10]));
        let better = [2.0, 1.9, 1.8, 1.7, 1.6, 1.55, 1.5, 1.45, 1.4, 1.35];
        assert!(!overfits(&heart, &better), "it still becomes better");
        let small = [2.0, 1.0, 0.6, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5];
        assert!(!overfits(&heart, &small), "most of it holds for others");
    }
}
