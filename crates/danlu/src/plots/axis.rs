//! Scales and the numbers beside them.

/// A scale of numbers, linear or logarithmic, with marks at round numbers.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    /// The marks and what they say.
    pub marks: Vec<(f64, String)>,
}

/// A range this many times larger than its least number is easier to read on a logarithmic scale.
const WIDE: f64 = 40.0;

impl Axis {
    /// A scale that holds these numbers, with about `count` marks; logarithmic where that may be and the range is wide.
    pub(super) fn of(
        values: impl Iterator<Item = f64>,
        count: usize,
        may_be_logarithmic: bool,
    ) -> Axis {
        let finite = values.filter(|value| value.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        match low <= high {
            false => Axis::linear(0.0, 1.0, count),
            true if may_be_logarithmic && low > 0.0 && high / low > WIDE => {
                Axis::logarithmic(low, high)
            }
            true => Axis::linear(low, high, count),
        }
    }

    /// A linear scale that begins and ends at round numbers.
    fn linear(low: f64, high: f64, count: usize) -> Axis {
        let (low, high) = match high > low {
            true => (low, high),
            // One number stands in the middle.
            false => (
                low - low.abs().max(1e-3) * 0.1,
                high + high.abs().max(1e-3) * 0.1,
            ),
        };
        let step = round_step((high - low) / count as f64);
        let first = (low / step + 1e-9).floor();
        let last = (high / step - 1e-9).ceil();
        let count = (last - first).clamp(1.0, 100.0) as usize;
        let marks = (0..=count).map(|place| {
            let value = (first + place as f64) * step;
            (value, label(value, step))
        });
        Axis {
            low: first * step,
            high: (first + count as f64) * step,
            logarithmic: false,
            marks: marks.collect(),
        }
    }

    /// A scale of whole numbers, such as epochs, without room at its ends.
    pub(super) fn whole(low: f64, high: f64, count: usize) -> Axis {
        let step = round_step((high - low).max(1.0) / count as f64).max(1.0);
        let (first, last) = ((low / step).ceil(), (high / step).floor());
        let count = (last - first).clamp(0.0, 100.0) as usize;
        let marks = (0..=count).map(|place| {
            let value = (first + place as f64) * step;
            (value, label(value, step))
        });
        let room = if high > low { 0.0 } else { 0.5 };
        Axis {
            low: low - room,
            high: high + room,
            logarithmic: false,
            marks: marks.filter(|(value, _)| *value <= high).collect(),
        }
    }

    fn logarithmic(low: f64, high: f64) -> Axis {
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let decades = last - first;
        let digits: &[f64] = if decades <= 3 {
            &[1.0, 2.0, 5.0]
        } else {
            &[1.0]
        };
        let every = (decades / 6).max(1);
        let mut marks = Vec::new();
        for exponent in (first..=last).filter(|exponent| (exponent - first) % every == 0) {
            for digit in digits {
                let value = digit * 10f64.powi(exponent);
                if (low / 1.5..=high * 1.5).contains(&value) {
                    marks.push((value, label(value, value)));
                }
            }
        }
        Axis {
            low: low / 1.15,
            high: high * 1.15,
            logarithmic: true,
            marks: marks
                .into_iter()
                .filter(|(value, _)| (low / 1.15..=high * 1.15).contains(value))
                .collect(),
        }
    }

    /// Where a number stands, from 0 to 1; `None` for one that has no place.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        let place = match self.logarithmic {
            true => (value / self.low).ln() / (self.high / self.low).ln(),
            false => (value - self.low) / (self.high - self.low),
        };
        place.is_finite().then_some(place)
    }
}

/// 1, 2 or 5 times a power of ten, at least this.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|digit| digit * power);
    let fits = steps.into_iter().find(|step| *step >= least * 0.999);
    fits.unwrap_or(10.0 * power)
}

/// A number with the digits that its neighbours at this distance need.
pub(super) fn label(value: f64, step: f64) -> String {
    let value = if value.abs() < step * 1e-6 {
        0.0
    } else {
        value
    };
    let size = value.abs().max(step);
    if !(1e-4..1e6).contains(&size) {
        let digits = (value.abs().max(step) / step).log10().max(0.0).ceil() as usize;
        let text = format!("{value:.digits$e}");
        // 2.50e6 is 2.5e6.
        return match text.split_once('e') {
            Some((number, exponent)) if number.contains('.') => {
                format!(
                    "{}e{exponent}",
                    number.trim_end_matches('0').trim_end_matches('.')
                )
            }
            _ => text,
        };
    }
    let digits = (-step.log10()).ceil().clamp(0.0, 12.0) as usize;
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.marks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn marks_are_round_and_hold_the_range() {
        let axis = Axis::of([0.93, 0.987].into_iter(), 4, false);
        assert_eq!(texts(&axis), ["0.92", "0.94", "0.96", "0.98", "1.00"]);
        let axis = Axis::of([0.0, 1234.0].into_iter(), 4, false);
        assert_eq!(texts(&axis), ["0", "500", "1000", "1500"]);
        let axis = Axis::of([2e-7, 6e-7].into_iter(), 4, false);
        assert_eq!(texts(&axis), ["2e-7", "3e-7", "4e-7", "5e-7", "6e-7"]);
        let axis = Axis::of([2.3, 0.01].into_iter(), 4, true);
        assert_eq!(
            texts(&axis),
            ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1", "2"]
        );
        assert_eq!(
            texts(&Axis::whole(1.0, 10.0, 6)),
            ["2", "4", "6", "8", "10"]
        );
        assert_eq!(texts(&Axis::whole(1.0, 1.0, 6)), ["1"]);
    }

    #[test]
    fn every_number_has_its_place() {
        let values = [f64::NAN, 3.0, f64::INFINITY, -2.0, 1e9, 1e-300, -1e300, 0.0];
        for count in 0..values.len() {
            for logarithmic in [false, true] {
                let axis = Axis::of(values[..count].iter().copied(), 5, logarithmic);
                assert!(axis.marks.len() <= 101);
                for value in values[..count].iter().filter(|value| value.is_finite()) {
                    let place = axis.place(*value).unwrap();
                    assert!((-1e-6..=1.000001).contains(&place), "{value} at {place}");
                }
            }
        }
        let alone = Axis::of([0.5].into_iter(), 4, true);
        assert!((alone.place(0.5).unwrap() - 0.5).abs() < 0.3);
    }
}
