//! What stands between the elements of a smaller picture.

use danlu_graph::Tensor;

use crate::choice::{Choice, FromName};
use crate::{Error, Result};

/// What stands between the elements of a smaller picture. All but the first are weighted sums of elements, by the distances
/// between the centres of elements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interpolation {
    /// The nearest element, so each is repeated.
    #[default]
    Nearest,
    /// A mean of the two nearest along each axis.
    Bilinear,
    /// The four nearest along each axis by Keys' cubic (Keys 1981, "Cubic Convolution Interpolation for Digital Image
    /// Processing", equation 15), its places rounded to 1/1,024 as TensorFlow does.
    Bicubic,
    /// The six nearest along each axis by Lanczos' window of radius 3.
    Lanczos3,
    /// The ten nearest along each axis by Lanczos' window of radius 5.
    Lanczos5,
}

/// The most elements of a matrix that interpolates: those of 8,192 places made 32,768.
const LARGEST_MATRIX: usize = 1 << 28;

/// The steps that TensorFlow keeps of the cubic between two elements.
const CUBIC_STEPS: f64 = 1024.0;

impl Interpolation {
    const ALL: [Interpolation; 5] = [
        Interpolation::Nearest,
        Interpolation::Bilinear,
        Interpolation::Bicubic,
        Interpolation::Lanczos3,
        Interpolation::Lanczos5,
    ];

    /// Keras' name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Interpolation::Nearest => "nearest",
            Interpolation::Bilinear => "bilinear",
            Interpolation::Bicubic => "bicubic",
            Interpolation::Lanczos3 => "lanczos3",
            Interpolation::Lanczos5 => "lanczos5",
        }
    }

    /// How far elements count, in elements.
    fn radius(self) -> f64 {
        match self {
            Interpolation::Nearest => 0.5,
            Interpolation::Bilinear => 1.0,
            Interpolation::Bicubic => 2.0,
            Interpolation::Lanczos3 => 3.0,
            Interpolation::Lanczos5 => 5.0,
        }
    }

    /// The weight of an element at this distance, before a place's weights are made to sum to 1.
    fn weight(self, distance: f64) -> f64 {
        let x = distance.abs();
        match self {
            Interpolation::Nearest => 1.0,
            Interpolation::Bilinear => (1.0 - x).max(0.0),
            Interpolation::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Interpolation::Bicubic if x < 2.0 => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            Interpolation::Bicubic => 0.0,
            Interpolation::Lanczos3 | Interpolation::Lanczos5 => {
                let radius = self.radius();
                let sinc = |x: f64| match x * std::f64::consts::PI {
                    x if x.abs() < 1e-9 => 1.0,
                    x => x.sin() / x,
                };
                if x < radius {
                    sinc(x) * sinc(x / radius)
                } else {
                    0.0
                }
            }
        }
    }

    /// The matrix, `(larger, size)`, that makes an axis `factor` times as long. Elements beyond the ends do not count, and each
    /// row sums to 1.
    ///
    /// # Errors
    /// It is too large.
    pub(super) fn matrix(self, size: usize, factor: usize) -> Result<Tensor> {
        let larger = size.saturating_mul(factor);
        let count = danlu_graph::tensor::element_count(&[larger, size])?;
        if count > LARGEST_MATRIX {
            return Err(Error::argument(
                "UpSampling2D",
                "size",
                format!(
                    "such that the matrix that makes {size} places {larger} has at most {LARGEST_MATRIX} elements"
                ),
                factor,
            ));
        }
        let mut matrix = vec![0.0; count];
        for (row, weights) in matrix.chunks_mut(size.max(1)).enumerate() {
            let mut place = (row as f64 + 0.5) / factor as f64 - 0.5;
            if self == Interpolation::Bicubic {
                let share = ((place - place.floor()) * CUBIC_STEPS).round_ties_even();
                place = place.floor() + share / CUBIC_STEPS;
            }
            let first = (place - self.radius()).ceil().max(0.0) as usize;
            let last = ((place + self.radius()).floor() as usize).min(size.saturating_sub(1));
            let near = first..=last;
            let sum: f64 = near
                .clone()
                .map(|element| self.weight(element as f64 - place))
                .sum();
            for element in near {
                weights[element] = (self.weight(element as f64 - place) / sum) as f32;
            }
        }
        Ok(Tensor::from_f32(&[larger, size], matrix)?)
    }
}

impl FromName for Interpolation {
    fn from_name(name: &str) -> Result<Interpolation> {
        let lower = name.to_lowercase();
        let mut all = Interpolation::ALL.into_iter();
        all.find(|one| one.name() == lower).ok_or_else(|| {
            let names = Interpolation::ALL.map(Interpolation::name);
            Error::unknown("interpolation", name, names)
        })
    }
}

impl From<Interpolation> for Choice<Interpolation> {
    fn from(interpolation: Interpolation) -> Choice<Interpolation> {
        Choice::Value(interpolation)
    }
}
