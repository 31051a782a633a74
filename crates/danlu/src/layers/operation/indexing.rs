//! Parts of a value: `x[:, 0]`, `x[..., 1:3]`, `x[:, None]`.

use danlu_graph::{Dim, Shape, Value};
use serde_json::Value as Json;

use crate::config::shorten;
use crate::{Error, Result};

/// What stands for an axis in the brackets.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Index {
    /// One element; the axis goes.
    At(i64),
    /// `start:stop:step`
    Slice {
        start: Option<i64>,
        stop: Option<i64>,
        step: usize,
    },
    /// A new axis of 1.
    New,
    /// All axes that the others leave.
    Rest,
}

pub(super) fn unsupported(feature: impl Into<String>) -> Error {
    Error::unsupported(
        "the operation GetItem",
        feature,
        "indices are numbers, slices with steps above 0, None and ..., with a whole slice for the axis of examples",
    )
}

pub(super) fn read(key: &Json) -> Result<Vec<Index>> {
    match key {
        Json::Array(keys) => keys.iter().map(index).collect(),
        one => Ok(vec![index(one)?]),
    }
}

fn index(key: &Json) -> Result<Index> {
    let wrong = || unsupported(format!("the index {}", shorten(&key.to_string())));
    if key.is_null() {
        return Ok(Index::New);
    }
    if let Some(place) = key.as_i64() {
        return Ok(Index::At(place));
    }
    match key.get("class_name").and_then(Json::as_str) {
        Some("__ellipsis__") => Ok(Index::Rest),
        Some("__slice__") => {
            let part = |name: &str| match key.pointer(&format!("/config/{name}")) {
                None | Some(Json::Null) => Ok(None),
                Some(value) => value.as_i64().map(Some).ok_or_else(wrong),
            };
            let step = part("step")?.unwrap_or(1);
            Ok(Index::Slice {
                start: part("start")?,
                stop: part("stop")?,
                step: usize::try_from(step)
                    .ok()
                    .filter(|step| *step > 0)
                    .ok_or_else(wrong)?,
            })
        }
        _ => Err(wrong()),
    }
}

/// The whole of an axis.
const WHOLE: Index = Index::Slice {
    start: None,
    stop: None,
    step: 1,
};

pub(super) fn apply(key: &[Index], x: &Value) -> Result<Value> {
    let shape = x.shape();
    let own = |index: &&Index| !matches!(index, Index::New | Index::Rest);
    let named = key.iter().filter(own).count();
    if named > shape.rank() || key.iter().filter(|index| **index == Index::Rest).count() > 1 {
        return Err(unsupported(format!("{} indices of {shape}", key.len())));
    }
    let mut keys: Vec<&Index> = Vec::new();
    let rest = std::iter::repeat_n(&WHOLE, shape.rank() - named);
    let place = key.iter().position(|index| *index == Index::Rest);
    keys.extend(&key[..place.unwrap_or(key.len())]);
    keys.extend(rest);
    keys.extend(key.iter().skip(place.map_or(key.len(), |place| place + 1)));

    let (mut starts, mut sizes, mut steps) = (Vec::new(), Vec::new(), Vec::new());
    let mut result: Vec<Dim> = Vec::new();
    let mut dims = shape.dims().iter();
    for index in keys {
        if *index == Index::New {
            result.push(Dim::fixed(1));
            continue;
        }
        let Some(dim) = dims.next() else { continue };
        let axis = starts.len();
        let (start, size, step) = match (index, dim.as_fixed()) {
            (index, _) if *index == WHOLE => (0, dim.clone(), 1),
            (_, None) => return Err(unsupported(format!("a part of axis {axis} of {shape}"))),
            (index, Some(size)) => {
                let (start, count, step) = part(index, size)
                    .ok_or_else(|| unsupported(format!("nothing of axis {axis} of {shape}")))?;
                (start, Dim::fixed(count), step)
            }
        };
        if !matches!(index, Index::At(_)) {
            result.push(size.clone());
        }
        starts.push(start);
        sizes.push(size);
        steps.push(step);
    }
    let whole = x.slice(&starts, &sizes, &steps)?;
    Ok(whole.reshape(&Shape::from(result))?)
}

/// Where a part of an axis of `size` begins, of how many elements it is, and how far they are apart; none without any.
fn part(index: &Index, size: usize) -> Option<(usize, usize, usize)> {
    let length = i64::try_from(size).ok()?;
    // Python's: counted from the end where negative, and cut at the ends.
    let bounded = |place: i64| {
        let place = if place < 0 { place + length } else { place };
        place.clamp(0, length)
    };
    match index {
        Index::At(place) => {
            let place = if *place < 0 { place + length } else { *place };
            let inside = (0..length).contains(&place);
            Some((usize::try_from(place).ok().filter(|_| inside)?, 1, 1))
        }
        Index::Slice { start, stop, step } => {
            let start = usize::try_from(bounded(start.unwrap_or(0))).ok()?;
            let stop = usize::try_from(bounded(stop.unwrap_or(length))).ok()?;
            let count = stop.saturating_sub(start).div_ceil(*step);
            (count > 0).then_some((start, count, *step))
        }
        Index::New | Index::Rest => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_of_python() {
        let slice = |start, stop, step| Index::Slice { start, stop, step };
        for (index, expected) in [
            (Index::At(2), Some((2, 1, 1))),
            (Index::At(-1), Some((4, 1, 1))),
            (Index::At(5), None),
            (Index::At(-6), None),
            (slice(Some(1), Some(3), 1), Some((1, 2, 1))),
            (slice(None, None, 2), Some((0, 3, 2))),
            (slice(Some(-2), None, 1), Some((3, 2, 1))),
            (slice(None, Some(-2), 2), Some((0, 2, 2))),
            (slice(Some(-9), Some(9), 1), Some((0, 5, 1))),
            (slice(Some(3), Some(3), 1), None),
        ] {
            assert_eq!(part(&index, 5), expected, "{index:?}");
        }
    }
}
