//! A line search for the strong Wolfe conditions.

use super::{dot, largest};
use crate::Result;

/// The share of the slope by which the loss must fall at least.
const FALL: f64 = 1e-4;
/// The share of the slope that may be left.
const FLAT: f64 = 0.9;
/// Evaluations at most.
const MOST: usize = 25;
/// How narrow a bracket is enough.
const NARROW: f64 = 1e-9;

/// Loss, gradient and slope after going so far along the direction.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub step: f64,
    pub loss: f64,
    pub gradient: Vec<f64>,
    pub slope: f64,
}

/// The point where a cubic through two points, with their slopes, is lowest, kept within bounds; their middle where it has
/// no lowest point (Nocedal and Wright 2006, equation 3.59).
fn interpolate(left: &Point, right: &Point, (low, high): (f64, f64)) -> f64 {
    let (left, right) = match left.step <= right.step {
        true => (left, right),
        false => (right, left),
    };
    let width = right.step - left.step;
    let first =
        left.slope + right.slope - 3.0 * (left.loss - right.loss) / (left.step - right.step);
    let square = first * first - left.slope * right.slope;
    if square < 0.0 || square.is_nan() {
        return f64::midpoint(low, high);
    }
    let second = square.sqrt();
    let share = (right.slope + second - first) / (right.slope - left.slope + 2.0 * second);
    (right.step - width * share).max(low).min(high)
}

/// From a point, along a direction, first trying `step`: where the loss has fallen enough and its slope is flat enough, or
/// the best point that was found.
pub(super) fn strong_wolfe(
    first: Point,
    step: f64,
    direction: &[f64],
    mut at: impl FnMut(f64) -> Result<(f64, Vec<f64>)>,
) -> Result<Point> {
    let mut point = |step: f64| -> Result<Point> {
        let (loss, gradient) = at(step)?;
        Ok(Point {
            step,
            loss,
            slope: dot(&gradient, direction),
            gradient,
        })
    };
    let too_high = |new: &Point| new.loss > first.loss + FALL * new.step * first.slope;
    let flat = |new: &Point| new.slope.abs() <= -FLAT * first.slope;
    let mut new = point(step)?;
    let mut old = first.clone();
    let mut tries = 0;
    // Grow until there is a bracket.
    let (mut left, mut right) = loop {
        if tries == MOST {
            break (first.clone(), new);
        }
        if too_high(&new) || (tries > 1 && new.loss >= old.loss) || new.slope >= 0.0 && !flat(&new)
        {
            break (old, new);
        }
        if flat(&new) {
            return Ok(new);
        }
        let bounds = (new.step + 0.01 * (new.step - old.step), new.step * 10.0);
        let next = interpolate(&old, &new, bounds);
        old = new;
        new = point(next)?;
        tries += 1;
    };
    // Narrow it. `left` and `right` stay in the order of PyTorch's bracket, which decides ties.
    let size = largest(direction);
    let mut left_is_low = left.loss <= right.loss;
    let mut stuck = false;
    while tries < MOST && (right.step - left.step).abs() * size >= NARROW {
        let (low, high) = (left.step.min(right.step), left.step.max(right.step));
        let mut next = interpolate(&left, &right, (low, high));
        let margin = 0.1 * (high - low);
        if (high - next).min(next - low) < margin {
            if stuck || next >= high || next <= low {
                next = match (next - high).abs() < (next - low).abs() {
                    true => high - margin,
                    false => low + margin,
                };
                stuck = false;
            } else {
                stuck = true;
            }
        } else {
            stuck = false;
        }
        let new = point(next)?;
        tries += 1;
        let (best, other) = match left_is_low {
            true => (&mut left, &mut right),
            false => (&mut right, &mut left),
        };
        if too_high(&new) || new.loss >= best.loss {
            *other = new;
            left_is_low = left.loss <= right.loss;
            continue;
        }
        let done = flat(&new);
        if !done && new.slope * (other.step - best.step) >= 0.0 {
            *other = best.clone();
        }
        *best = new;
        if done {
            break;
        }
    }
    Ok(match left_is_low {
        true => left,
        false => right,
    })
}
