//! Arguments that are one number for each axis of a length, a picture or a volume.

use danlu_graph::{Dim, Shape};
use serde_json::Value;

use crate::{Arguments, Error, Result};

/// A number for each of `N` axes: `2.into()` stands for the same along every axis, `[3, 2].into()` for one along each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes<const N: usize>(pub(super) [usize; N]);

impl<const N: usize> From<usize> for Sizes<N> {
    fn from(size: usize) -> Sizes<N> {
        Sizes([size; N])
    }
}

impl<const N: usize> From<[usize; N]> for Sizes<N> {
    fn from(sizes: [usize; N]) -> Sizes<N> {
        Sizes(sizes)
    }
}

/// How much before and after each of `N` axes: one number for all, one for each axis, or `[before, after]` for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts<const N: usize>(pub(super) [[usize; 2]; N]);

impl<const N: usize> From<usize> for Amounts<N> {
    fn from(amount: usize) -> Amounts<N> {
        Amounts([[amount; 2]; N])
    }
}

impl<const N: usize> From<[usize; N]> for Amounts<N> {
    fn from(amounts: [usize; N]) -> Amounts<N> {
        Amounts(amounts.map(|amount| [amount; 2]))
    }
}

impl<const N: usize> From<[[usize; 2]; N]> for Amounts<N> {
    fn from(amounts: [[usize; 2]; N]) -> Amounts<N> {
        Amounts(amounts)
    }
}

/// Before and after the one axis.
impl From<[usize; 2]> for Amounts<1> {
    fn from(amounts: [usize; 2]) -> Amounts<1> {
        Amounts([amounts])
    }
}

impl<const N: usize> Amounts<N> {
    /// Takes amounts in any of Keras' forms.
    pub(super) fn from_arguments(
        arguments: &mut Arguments,
        argument: &str,
    ) -> Result<Option<Amounts<N>>> {
        let Some(value) = arguments.take(argument) else {
            return Ok(None);
        };
        let expected = match N {
            1 => "a whole number of at least 0, or two of them: before and after",
            _ => {
                "a whole number of at least 0, or for each axis one of them or two: before and after"
            }
        };
        let wrong = || arguments.wrong(argument, expected, &value);
        Ok(Some(parse(&value).ok_or_else(wrong)?))
    }

    /// As Keras writes them.
    pub(super) fn to_json(self) -> Value {
        match self.0.as_slice() {
            [only] => serde_json::json!(only),
            amounts => serde_json::json!(amounts),
        }
    }

    /// Fails where an amount is one that no size of an axis reaches.
    pub(super) fn check(self, class: &str, argument: &str) -> Result<()> {
        match self.0.concat().into_iter().find(|&amount| !fits(amount)) {
            Some(amount) => Err(Error::argument(
                class,
                argument,
                "at most 2147483647",
                amount,
            )),
            None => Ok(()),
        }
    }
}

fn fits(amount: usize) -> bool {
    i32::try_from(amount).is_ok()
}

fn parse<const N: usize>(value: &Value) -> Option<Amounts<N>> {
    let amount = |value: &Value| {
        let number = value.as_u64().or_else(|| {
            let number = value.as_f64()?;
            (number.fract() == 0.0 && number >= 0.0).then_some(number as u64)
        })?;
        usize::try_from(number).ok().filter(|&amount| fits(amount))
    };
    let pair = |value: &Value| match value.as_array().map(Vec::as_slice) {
        Some([before, after]) => Some([amount(before)?, amount(after)?]),
        Some(_) => None,
        None => Some([amount(value)?; 2]),
    };
    let mut amounts = [[0; 2]; N];
    match value.as_array() {
        None => return Some(Amounts::from(amount(value)?)),
        // Of one axis the list is its pair.
        Some(_) if N == 1 && value[0].is_number() => amounts = [pair(value)?; N],
        Some(values) => {
            if values.len() != N {
                return None;
            }
            for (amounts, value) in amounts.iter_mut().zip(values) {
                *amounts = pair(value)?;
            }
        }
    }
    Some(Amounts(amounts))
}

/// The axes of an input with `axes` axes between examples and channels.
pub(super) fn axes_of_input(axes: usize) -> &'static str {
    match axes {
        1 => "(batch, length, channels)",
        2 => "(batch, height, width, channels)",
        _ => "(batch, depth, height, width, channels)",
    }
}

/// The sizes between examples and channels of an input that has so many of them.
pub(super) fn spatial_sizes<const N: usize>(class: &str, input: &Shape) -> Result<[Dim; N]> {
    let dims = input.dims();
    let sizes = match dims.len() == N + 2 {
        true => <[Dim; N]>::try_from(dims[1..=N].to_vec()).ok(),
        false => None,
    };
    sizes.ok_or_else(|| {
        let advice = match dims.len() == N + 1 {
            true => "Reshape adds an axis of one channel",
            false => "",
        };
        let subject = format!("the input of {class}");
        Error::mismatch(subject, axes_of_input(N), input.to_string(), advice)
    })
}

/// The same shape with other sizes between examples and channels.
pub(super) fn with_sizes(input: &Shape, sizes: impl IntoIterator<Item = Dim>) -> Shape {
    let dims = input.dims();
    let mut result = vec![dims[0].clone()];
    result.extend(sizes);
    result.extend(dims.last().cloned());
    Shape::from(result)
}

/// Fails where a size is 0, or one that no axis reaches.
pub(super) fn check_sizes(class: &str, argument: &str, sizes: &[usize]) -> Result<()> {
    if sizes.contains(&0) {
        let received = format!("{sizes:?}");
        return Err(Error::argument(class, argument, "at least 1", received));
    }
    if sizes.iter().any(|&size| !fits(size)) {
        let received = format!("{sizes:?}");
        return Err(Error::argument(
            class,
            argument,
            "at most 2147483647",
            received,
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn amounts_have_many_forms() {
        fn read<const N: usize>(value: Value) -> Result<Amounts<N>> {
            let mut arguments = Arguments::new("it", config! { "padding": value });
            Amounts::from_arguments(&mut arguments, "padding").map(Option::unwrap)
        }
        use serde_json::json;
        assert_eq!(read::<1>(json!(2)).unwrap().0, [[2, 2]]);
        assert_eq!(read::<1>(json!([1, 2])).unwrap().0, [[1, 2]]);
        assert_eq!(read::<1>(json!([[1, 2]])).unwrap().0, [[1, 2]]);
        assert_eq!(read::<2>(json!([1, 2])).unwrap().0, [[1, 1], [2, 2]]);
        assert_eq!(read::<2>(json!([[0, 1], 3])).unwrap().0, [[0, 1], [3, 3]]);
        assert_eq!(read::<3>(json!(1.0)).unwrap().0, [[1, 1]; 3]);
        for wrong in [
            json!(-1),
            json!("1"),
            json!([1]),
            json!([1, 2, 3]),
            json!(0.5),
        ] {
            assert!(read::<2>(wrong).is_err());
        }
    }
}
