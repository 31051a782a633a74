//! Larger lengths, pictures and volumes.

use danlu_graph::{Dim, Shape, Value};

use super::interpolation::Interpolation;
use super::padding::channels_last;
use super::sizes::{Sizes, check_sizes, spatial_sizes, with_sizes};
use super::{BuildContext, CallContext, Layer};
use crate::choice::{Choice, FromName};
use crate::{Arguments, Config, Error, Result, config};

/// Each element `size` times along each axis between examples and channels.
fn repeat<const N: usize>(class: &str, x: &Value, size: [usize; N]) -> Result<Value> {
    let shape = x.shape();
    let sizes = spatial_sizes::<N>(class, &shape)?;
    let apart = |repeats: [usize; N]| {
        let pairs = sizes.iter().zip(repeats);
        let dims = pairs.flat_map(|(size, repeat)| [size.clone(), Dim::fixed(repeat)]);
        with_sizes(&shape, dims)
    };
    let repeated = x.reshape(&apart([1; N]))?.broadcast_to(&apart(size))?;
    let larger = sizes.iter().zip(size);
    let larger = larger.map(|(size, repeat)| size * &Dim::fixed(repeat));
    Ok(repeated.reshape(&with_sizes(&shape, larger))?)
}

/// A picture made larger, rows first: each axis is a product with a matrix.
fn interpolate(x: &Value, factors: [usize; 2], interpolation: Interpolation) -> Result<Value> {
    let shape = x.shape();
    let fixed = |dim: &Dim| {
        let expected = "a fixed height and width, which interpolation needs";
        let wrong = || Error::mismatch("UpSampling2D", expected, shape.to_string(), "");
        dim.as_fixed().ok_or_else(wrong)
    };
    let dims = shape.dims();
    let (height, width) = (fixed(&dims[1])?, fixed(&dims[2])?);
    let (batch, channels) = (&dims[0], &dims[3]);
    let [rows, columns] = [height * factors[0], width * factors[1]].map(Dim::fixed);
    let matrix = |size, factor| -> Result<Value> {
        Ok(x.graph().constant(interpolation.matrix(size, factor)?)?)
    };
    let flat = Shape::from(vec![batch.clone(), dims[1].clone(), &dims[2] * channels]);
    let y = matrix(height, factors[0])?.matmul(&x.reshape(&flat)?)?;
    let flat = Shape::from(vec![batch * &rows, dims[2].clone(), channels.clone()]);
    let y = matrix(width, factors[1])?.matmul(&y.reshape(&flat)?)?;
    Ok(y.reshape(&with_sizes(&shape, [rows, columns]))?)
}

/// Each place of a length several times: `(batch, length, channels)` to `(batch, length size, channels)` (Keras'
/// `UpSampling1D`).
#[derive(Clone, Debug)]
pub struct UpSampling1D {
    size: usize,
}

impl UpSampling1D {
    /// This often; Keras' default is 2.
    pub fn new(size: usize) -> UpSampling1D {
        UpSampling1D { size }
    }
}

impl Layer for UpSampling1D {
    fn class_name(&self) -> &str {
        "UpSampling1D"
    }

    fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        check_sizes("UpSampling1D", "size", &[self.size])?;
        spatial_sizes::<1>("UpSampling1D", &inputs[0]).map(drop)
    }

    fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
        repeat("UpSampling1D", &inputs[0], [self.size])
    }

    fn config(&self) -> Config {
        config! { "size": self.size }
    }

    fn from_config(arguments: &mut Arguments) -> Result<UpSampling1D> {
        Ok(UpSampling1D::new(arguments.positive("size")?.unwrap_or(2)))
    }
}

/// A larger picture: `(batch, height, width, channels)` to `(batch, height rows, width columns, channels)` (Keras'
/// `UpSampling2D` with channels last).
#[derive(Clone, Debug)]
pub struct UpSampling2D {
    size: [usize; 2],
    interpolation: Choice<Interpolation>,
}

impl UpSampling2D {
    /// This many times as high and wide; Keras' default is 2.
    pub fn new(size: impl Into<Sizes<2>>) -> UpSampling2D {
        UpSampling2D {
            size: size.into().0,
            interpolation: Interpolation::Nearest.into(),
        }
    }

    /// `nearest` (default), `bilinear`, `bicubic`, `lanczos3` or `lanczos5`.
    #[must_use]
    pub fn interpolation(
        mut self,
        interpolation: impl Into<Choice<Interpolation>>,
    ) -> UpSampling2D {
        self.interpolation = interpolation.into();
        self
    }
}

impl Layer for UpSampling2D {
    fn class_name(&self) -> &str {
        "UpSampling2D"
    }

    fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        check_sizes("UpSampling2D", "size", &self.size)?;
        self.interpolation.resolve()?;
        spatial_sizes::<2>("UpSampling2D", &inputs[0]).map(drop)
    }

    fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
        match self.interpolation.resolve()? {
            Interpolation::Nearest => repeat("UpSampling2D", &inputs[0], self.size),
            other => interpolate(&inputs[0], self.size, other),
        }
    }

    fn config(&self) -> Config {
        let interpolation = match &self.interpolation {
            Choice::Value(interpolation) => interpolation.name(),
            Choice::Name(name) => name,
        };
        config! {
            "size": self.size,
            "data_format": "channels_last",
            "interpolation": interpolation,
        }
    }

    fn from_config(arguments: &mut Arguments) -> Result<UpSampling2D> {
        let size = arguments.sizes("size")?.unwrap_or([2; 2]);
        channels_last(arguments)?;
        let interpolation = match arguments.string("interpolation")? {
            Some(name) => Interpolation::from_name(&name)?,
            None => Interpolation::Nearest,
        };
        Ok(UpSampling2D::new(size).interpolation(interpolation))
    }
}

/// Each element of a volume several times: `(batch, depth, height, width, channels)` to the same with larger sizes (Keras'
/// `UpSampling3D` with channels last).
#[derive(Clone, Debug)]
pub struct UpSampling3D {
    size: [usize; 3],
}

impl UpSampling3D {
    /// This often along each axis; Keras' default is 2.
    pub fn new(size: impl Into<Sizes<3>>) -> UpSampling3D {
        UpSampling3D {
            size: size.into().0,
        }
    }
}

impl Layer for UpSampling3D {
    fn class_name(&self) -> &str {
        "UpSampling3D"
    }

    fn build(&mut self, _: &mut BuildContext, inputs: &[Shape]) -> Result<()> {
        check_sizes("UpSampling3D", "size", &self.size)?;
        spatial_sizes::<3>("UpSampling3D", &inputs[0]).map(drop)
    }

    fn call(&self, _: &CallContext, inputs: &[Value]) -> Result<Value> {
        repeat("UpSampling3D", &inputs[0], self.size)
    }

    fn config(&self) -> Config {
        config! { "size": self.size, "data_format": "channels_last" }
    }

    fn from_config(arguments: &mut Arguments) -> Result<UpSampling3D> {
        let size = arguments.sizes("size")?.unwrap_or([2; 3]);
        channels_last(arguments)?;
        Ok(UpSampling3D { size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::harness;

    #[test]
    fn up_sampling_passes_the_harness() {
        harness::check(UpSampling1D::new(3), &[2, 2]);
        harness::check(UpSampling2D::new([2, 3]), &[2, 3, 2]);
        let layer = UpSampling2D::new([2, 3]).interpolation("bilinear");
        harness::check(layer, &[3, 2, 2]);
        for name in ["bicubic", "lanczos3", "lanczos5"] {
            harness::check(UpSampling2D::new(2).interpolation(name), &[3, 2, 1]);
        }
        harness::check(UpSampling3D::new([1, 2, 2]), &[2, 1, 2, 2]);
    }

    #[test]
    fn wrong_arguments_are_errors() {
        harness::refuses(UpSampling1D::new(0), &[4, 1], "`size` must be at least 1");
        harness::refuses(UpSampling3D::new(2), &[4, 4, 1], "depth");
        let layer = |name: &str| UpSampling2D::new(2).interpolation(name);
        harness::refuses(layer("bilinaer"), &[2, 2, 1], "did you mean `bilinear`?");
        harness::refuses(layer("area"), &[2, 2, 1], "there are: nearest, bilinear");
        let large = UpSampling2D::new(2_000_000_000).interpolation("bilinear");
        harness::refuses(large, &[2, 2, 1], "268435456 elements");
    }
}
