//! Axes that come and go, and values that are put together and taken apart.

use danlu_graph::{Dim, Shape, Value};

use crate::{Error, Result};

fn wrong(class_name: &str, expected: String, received: impl std::fmt::Debug) -> Error {
    let owner = format!("the operation {class_name}");
    Error::argument(owner, "axis", expected, format!("{received:?}"))
}

/// The axis of a value of `rank` axes, counted from the end where negative.
fn place(axis: isize, rank: usize) -> Option<usize> {
    let axis = match axis {
        0.. => axis,
        _ => axis.checked_add_unsigned(rank)?,
    };
    usize::try_from(axis).ok().filter(|axis| *axis < rank)
}

/// New axes of 1, at these places of the result.
pub(super) fn expand_dims(x: &Value, axes: &[isize]) -> Result<Value> {
    let shape = x.shape();
    let rank = shape.rank() + axes.len();
    let error = || {
        wrong(
            "ExpandDims",
            format!("different axes of a result of {rank} axes"),
            axes,
        )
    };
    let mut places = Vec::with_capacity(axes.len());
    for &axis in axes {
        let place = place(axis, rank).ok_or_else(error)?;
        if places.contains(&place) {
            return Err(error());
        }
        places.push(place);
    }
    let mut old = shape.dims().iter();
    let dims = (0..rank).filter_map(|axis| match places.contains(&axis) {
        true => Some(Dim::fixed(1)),
        false => old.next().cloned(),
    });
    let dims: Vec<Dim> = dims.collect();
    Ok(x.reshape(&Shape::from(dims))?)
}

/// The value without these axes of 1, or without all of them.
pub(super) fn squeeze(x: &Value, axes: Option<&[isize]>) -> Result<Value> {
    let shape = x.shape();
    let dims = shape.dims();
    let one = |axis: &usize| dims[*axis].as_fixed() == Some(1);
    let places: Vec<usize> = match axes {
        None => (0..dims.len()).filter(one).collect(),
        Some(axes) => {
            let found = axes.iter().map(|&axis| place(axis, dims.len()).filter(one));
            let found: Option<Vec<usize>> = found.collect();
            found.ok_or_else(|| wrong("Squeeze", format!("axes of 1 of {shape}"), axes))?
        }
    };
    let kept = dims.iter().enumerate();
    let kept = kept.filter(|(axis, _)| !places.contains(axis));
    let kept: Vec<Dim> = kept.map(|(_, dim)| dim.clone()).collect();
    Ok(x.reshape(&Shape::from(kept))?)
}

/// Values of one shape, one after the other along a new axis.
pub(super) fn stack(values: &[Value], axis: isize) -> Result<Value> {
    let rank = values[0].shape().rank() + 1;
    let at = place(axis, rank);
    let at =
        at.ok_or_else(|| wrong("Stack", format!("an axis of a result of {rank} axes"), axis))?;
    let expanded = values
        .iter()
        .map(|value| expand_dims(value, &[at as isize]));
    let expanded: Vec<Value> = expanded.collect::<Result<_>>()?;
    let expanded: Vec<&Value> = expanded.iter().collect();
    Ok(values[0].graph().concatenate(&expanded, at as isize)?)
}

/// So many parts of one size along an axis.
pub(super) fn split(x: &Value, parts: usize, axis: isize) -> Result<Vec<Value>> {
    let shape = x.shape();
    let size = place(axis, shape.rank()).and_then(|axis| shape.dims()[axis].as_fixed());
    match size {
        Some(size) if size % parts == 0 => {
            let each = size / parts;
            let part = |part: usize| Ok(x.narrow(axis, part * each, each)?);
            (0..parts).map(part).collect()
        }
        _ => {
            let expected = format!("an axis of {shape} that {parts} divides");
            Err(wrong("Split", expected, axis))
        }
    }
}
