//! Less at the edges of a length, a picture or a volume.

use danlu_graph::{Shape, Value};

use super::padding::channels_last;
use super::sizes::{Amounts, spatial_sizes, with_sizes};
use super::{BuildContext, CallContext, Layer};
use crate::{Arguments, Config, Error, Result, config};

fn check<const N: usize>(class: &str, cropping: Amounts<N>, input: &Shape) -> Result<()> {
    cropping.check(class, "cropping")?;
    let sizes = spatial_sizes::<N>(class, input)?;
    for (size, amounts) in sizes.iter().zip(cropping.0) {
        let left = size
            .as_fixed()
            .map(|size| size.saturating_sub(amounts[0] + amounts[1]));
        if left == Some(0) {
            return Err(Error::argument(
                class,
                "cropping",
                format!("less than there is of the input {input}"),
                cropping.to_json(),
            ));
        }
    }
    Ok(())
}

fn crop<const N: usize>(class: &str, cropping: Amounts<N>, x: &Value) -> Result<Value> {
    let shape = x.shape();
    let sizes = spatial_sizes::<N>(class, &shape)?;
    let left = sizes.into_iter().zip(cropping.0).map(|(size, amounts)| {
        let [before, after] = amounts.map(|amount| -(amount as i64));
        size.offset(before).offset(after)
    });
    let mut starts = vec![0];
    starts.extend(cropping.0.map(|[before, _]| before));
    starts.push(0);
    let cropped = with_sizes(&shape, left);
    Ok(x.slice(&starts, cropped.dims(), &vec![1; shape.rank()])?)
}

macro_rules! cropping {
    ($($(#[$meta:meta])* $name:ident = $class:literal, $axes:literal, $default:literal, $data_format:literal;)*) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug)]
            pub struct $name {
                cropping: Amounts<$axes>,
            }

            impl $name {
                /// This much before and after each axis: one number for all, one for each, or `[before, after]` for each.
                pub fn new(cropping: impl Into<Amounts<$axes>>) -> $name {
                    $name { cropping: cropping.into() }
                }
            }

            impl Default for $name {
                /// Keras' default.
                fn default() -> $name {
                    $name::new($default)
                }
            }

            impl Layer for $name {
                fn class_name(&self) -> &str {
                    $class
                }

                fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
                    check($class, self.cropping, &inputs[0])
                }

                fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
                    crop($class, self.cropping, &inputs[0])
                }

                fn config(&self) -> Config {
                    let mut config = config! { "cropping": self.cropping.to_json() };
                    if $data_format {
                        config.insert("data_format".to_owned(), "channels_last".into());
                    }
                    config
                }

                fn from_config(arguments: &mut Arguments) -> Result<$name> {
                    if $data_format {
                        channels_last(arguments)?;
                    }
                    let cropping = Amounts::from_arguments(arguments, "cropping")?;
                    Ok($name { cropping: cropping.unwrap_or($default.into()) })
                }
            }
        )*
    };
}

cropping! {
    /// Leaves out the first and last places of a length: `(batch, length, channels)` to the same with a shorter length.
    /// Arguments and defaults, 1 at each end, are those of Keras' `Cropping1D`.
    Cropping1D = "Cropping1D", 1, 1, false;
    /// Leaves out rows above and below, columns left and right: `(batch, height, width, channels)` to the same with fewer of
    /// them. Arguments and defaults, nothing, are those of Keras' `Cropping2D` with channels last.
    Cropping2D = "Cropping2D", 2, 0, true;
    /// Leaves out the edges of a volume: `(batch, depth, height, width, channels)` to the same with less of them. Arguments and
    /// defaults, 1 on each side, are those of Keras' `Cropping3D` with channels last.
    Cropping3D = "Cropping3D", 3, 1, true;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn cropping_passes_the_harness() {
        harness::check(Cropping1D::new([1, 2]), &[5, 2]);
        harness::check(Cropping1D::default(), &[4, 3]);
        harness::check(Cropping2D::new([[1, 0], [0, 2]]), &[4, 5, 2]);
        harness::check(Cropping2D::default(), &[2, 2, 1]);
        harness::check(Cropping3D::new([[1, 0], [0, 2], [1, 1]]), &[3, 3, 4, 2]);
    }

    #[test]
    fn cropping_everything_is_an_error() {
        harness::refuses(Cropping1D::new([2, 3]), &[5, 2], "less than there is");
        harness::refuses(Cropping2D::new(2), &[4, 5, 2], "less than there is");
        harness::refuses(
            Cropping3D::new(usize::MAX),
            &[4, 5, 2, 1],
            "at most 2147483647",
        );
        harness::refuses(Cropping3D::default(), &[4, 5, 2], "depth");
    }
}
