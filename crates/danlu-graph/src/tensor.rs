//! Arrays on the host: what goes into a program, comes out of it, and lies in files.

use crate::{DType, Error, Result};

/// The elements of a [`Tensor`], row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum TensorData {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// The bits of bfloat16 numbers.
    BF16(Vec<u16>),
    /// The bits of IEEE half-precision numbers.
    F16(Vec<u16>),
    /// 32-bit integers.
    I32(Vec<i32>),
    /// 64-bit integers.
    I64(Vec<i64>),
    /// Bytes.
    U8(Vec<u8>),
    /// Signed bytes.
    I8(Vec<i8>),
    /// Truth values.
    Bool(Vec<bool>),
}

/// A dense, row-major array in the host's memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: TensorData,
}

macro_rules! each {
    ($data:expr, $vec:ident => $body:expr) => {
        match $data {
            TensorData::F32($vec) => $body,
            TensorData::BF16($vec) => $body,
            TensorData::F16($vec) => $body,
            TensorData::I32($vec) => $body,
            TensorData::I64($vec) => $body,
            TensorData::U8($vec) => $body,
            TensorData::I8($vec) => $body,
            TensorData::Bool($vec) => $body,
        }
    };
}

impl TensorData {
    /// Number of elements.
    pub fn len(&self) -> usize {
        each!(self, values => values.len())
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The dtype of the elements.
    pub fn dtype(&self) -> DType {
        match self {
            TensorData::F32(_) => DType::F32,
            TensorData::BF16(_) => DType::BF16,
            TensorData::F16(_) => DType::F16,
            TensorData::I32(_) => DType::I32,
            TensorData::I64(_) => DType::I64,
            TensorData::U8(_) => DType::U8,
            TensorData::I8(_) => DType::I8,
            TensorData::Bool(_) => DType::Bool,
        }
    }
}

macro_rules! accessors {
    ($($variant:ident, $type:ty, $get:ident, $get_mut:ident, $from:ident;)*) => {
        impl Tensor {
            $(
                #[doc = concat!("The elements as `", stringify!($type), "`, or `None` where the dtype is another.")]
                pub fn $get(&self) -> Option<&[$type]> {
                    match &self.data {
                        TensorData::$variant(values) => Some(values),
                        _ => None,
                    }
                }

                #[doc = concat!("The elements as `", stringify!($type), "` to change in place, or `None` where the dtype is another.")]
                pub fn $get_mut(&mut self) -> Option<&mut [$type]> {
                    match &mut self.data {
                        TensorData::$variant(values) => Some(values),
                        _ => None,
                    }
                }

                #[doc = concat!("A tensor of `", stringify!($type), "`.")]
                ///
                /// # Errors
                /// The number of values is not the product of `shape`.
                pub fn $from(shape: &[usize], values: Vec<$type>) -> Result<Tensor> {
                    Tensor::new(shape, TensorData::$variant(values))
                }
            )*
        }
    };
}

accessors! {
    F32, f32, as_f32, as_f32_mut, from_f32;
    I32, i32, as_i32, as_i32_mut, from_i32;
    I64, i64, as_i64, as_i64_mut, from_i64;
    U8, u8, as_u8, as_u8_mut, from_u8;
    I8, i8, as_i8, as_i8_mut, from_i8;
    Bool, bool, as_bool, as_bool_mut, from_bool;
}

impl Tensor {
    /// A tensor of this shape over these elements.
    ///
    /// # Errors
    /// The number of elements is not the product of `shape`.
    pub fn new(shape: &[usize], data: TensorData) -> Result<Tensor> {
        let expected = element_count(shape)?;
        if data.len() != expected {
            return Err(Error::new(format!(
                "a tensor of shape {shape:?} holds {expected} elements, but {} were given",
                data.len()
            )));
        }
        Ok(Tensor {
            shape: shape.to_vec(),
            data,
        })
    }

    /// A tensor of zeros (`false` for [`DType::Bool`]).
    ///
    /// # Errors
    /// The shape has more elements than can be addressed.
    pub fn zeros(shape: &[usize], dtype: DType) -> Result<Tensor> {
        let count = element_count(shape)?;
        let data = match dtype {
            DType::F32 => TensorData::F32(vec![0.0; count]),
            DType::BF16 => TensorData::BF16(vec![0; count]),
            DType::F16 => TensorData::F16(vec![0; count]),
            DType::I32 => TensorData::I32(vec![0; count]),
            DType::I64 => TensorData::I64(vec![0; count]),
            DType::U8 => TensorData::U8(vec![0; count]),
            DType::I8 => TensorData::I8(vec![0; count]),
            DType::Bool => TensorData::Bool(vec![false; count]),
        };
        Tensor::new(shape, data)
    }

    /// A tensor without axes that holds one number.
    pub fn scalar(value: f32) -> Tensor {
        Tensor {
            shape: Vec::new(),
            data: TensorData::F32(vec![value]),
        }
    }

    /// A tensor without axes that holds one 64-bit integer.
    pub fn scalar_i64(value: i64) -> Tensor {
        Tensor {
            shape: Vec::new(),
            data: TensorData::I64(vec![value]),
        }
    }

    /// The size of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The dtype of the elements.
    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The elements.
    pub fn data(&self) -> &TensorData {
        &self.data
    }

    /// The elements, to change in place. Their number must stay what it is.
    pub fn data_mut(&mut self) -> &mut TensorData {
        &mut self.data
    }

    /// The elements, without the shape.
    pub fn into_data(self) -> TensorData {
        self.data
    }

    /// The same elements under another shape.
    ///
    /// # Errors
    /// The products of the two shapes differ.
    pub fn reshaped(self, shape: &[usize]) -> Result<Tensor> {
        Tensor::new(shape, self.data)
    }

    /// One element, counted row-major, as `f64` (truth values as 0 and 1).
    ///
    /// # Panics
    /// `index` is not below [`len`](Self::len).
    pub fn get_f64(&self, index: usize) -> f64 {
        match &self.data {
            TensorData::F32(values) => f64::from(values[index]),
            TensorData::BF16(values) => f64::from(bf16_to_f32(values[index])),
            TensorData::F16(values) => f64::from(f16_to_f32(values[index])),
            TensorData::I32(values) => f64::from(values[index]),
            TensorData::I64(values) => values[index] as f64,
            TensorData::U8(values) => f64::from(values[index]),
            TensorData::I8(values) => f64::from(values[index]),
            TensorData::Bool(values) => f64::from(u8::from(values[index])),
        }
    }

    /// All elements as `f64` (truth values as 0 and 1).
    pub fn to_f64(&self) -> Vec<f64> {
        (0..self.len()).map(|index| self.get_f64(index)).collect()
    }

    /// A copy with the elements converted to `f32`.
    pub fn to_f32(&self) -> Tensor {
        let values = match &self.data {
            TensorData::F32(values) => values.clone(),
            _ => (0..self.len())
                .map(|index| self.get_f64(index) as f32)
                .collect(),
        };
        Tensor {
            shape: self.shape.clone(),
            data: TensorData::F32(values),
        }
    }

    /// A copy of the rows `start..end` of the first axis.
    ///
    /// # Errors
    /// There is no axis, or the range is outside it.
    pub fn rows(&self, start: usize, end: usize) -> Result<Tensor> {
        let Some((&count, rest)) = self.shape.split_first() else {
            return Err(Error::new("a tensor without axes has no rows".to_owned()));
        };
        if start > end || end > count {
            return Err(Error::new(format!(
                "rows {start}..{end} are outside an axis of {count}"
            )));
        }
        let width: usize = rest.iter().product();
        let range = start * width..end * width;
        macro_rules! cut {
            ($($variant:ident),*) => {
                match &self.data {
                    $(TensorData::$variant(values) => TensorData::$variant(values[range].to_vec()),)*
                }
            };
        }
        let data = cut!(F32, BF16, F16, I32, I64, U8, I8, Bool);
        let mut shape = self.shape.clone();
        shape[0] = end - start;
        Tensor::new(&shape, data)
    }
}

/// The product of a shape, checked. Beside an axis of 0 the others must fit too, so that no part of the product can
/// overflow.
///
/// # Errors
/// The product does not fit the address space.
pub fn element_count(shape: &[usize]) -> Result<usize> {
    shape
        .iter()
        .try_fold(1usize, |product, &size| product.checked_mul(size.max(1)))
        .filter(|&count| count <= isize::MAX as usize / 8)
        .map(|count| if shape.contains(&0) { 0 } else { count })
        .ok_or_else(|| {
            Error::new(format!(
                "shape {shape:?} has more elements than memory can address"
            ))
        })
}

/// The value of a bfloat16 number given by its bits.
pub fn bf16_to_f32(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The bits of the nearest bfloat16 number, ties to even.
pub fn f32_to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return ((bits >> 16) | 0x40) as u16;
    }
    let round = ((bits >> 16) & 1) + 0x7fff;
    (bits.wrapping_add(round) >> 16) as u16
}

/// The value of an IEEE half-precision number given by its bits.
pub fn f16_to_f32(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let exponent = u32::from(bits >> 10) & 0x1f;
    let mantissa = u32::from(bits) & 0x3ff;
    match exponent {
        0 => {
            let magnitude = mantissa as f32 * 2f32.powi(-24);
            f32::from_bits(magnitude.to_bits() | sign)
        }
        31 => f32::from_bits(sign | 0x7f80_0000 | (mantissa << 13)),
        _ => f32::from_bits(sign | ((exponent + 112) << 23) | (mantissa << 13)),
    }
}

/// The bits of the nearest IEEE half-precision number, ties to even; too large becomes infinity.
pub fn f32_to_f16(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = ((bits >> 16) & 0x8000) as u16;
    if value.is_nan() {
        return sign | 0x7e00;
    }
    let magnitude = f32::from_bits(bits & 0x7fff_ffff);
    if magnitude >= 65520.0 {
        return sign | 0x7c00;
    }
    if magnitude < 2f32.powi(-14) {
        // Subnormal: multiples of 2^-24; the scaling is exact and `round_ties_even` rounds once.
        return sign | (magnitude * 2f32.powi(24)).round_ties_even() as u16;
    }
    let bits = magnitude.to_bits();
    let rounded = bits + 0xfff + ((bits >> 13) & 1);
    sign | ((rounded >> 13) - (112 << 10)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_survives_the_round_trip() {
        for bits in 0..=u16::MAX {
            let value = f16_to_f32(bits);
            if !value.is_nan() {
                assert_eq!(f32_to_f16(value), bits, "f16 {bits:#x}");
            }
            let value = bf16_to_f32(bits);
            if !value.is_nan() {
                assert_eq!(f32_to_bf16(value), bits, "bf16 {bits:#x}");
            }
        }
        assert_eq!(f16_to_f32(f32_to_f16(1.0 / 3.0)), 0.333_251_95);
    }

    #[test]
    fn a_shape_must_match_its_elements() {
        let error = Tensor::from_f32(&[2, 3], vec![0.0; 5]).unwrap_err();
        assert!(
            error.to_string().contains("holds 6 elements, but 5"),
            "{error}"
        );
        for shape in [[usize::MAX, 2, 1], [usize::MAX, 2, 0], [0, usize::MAX, 2]] {
            assert!(Tensor::zeros(&shape, DType::U8).is_err());
        }
        assert!(Tensor::zeros(&[0, 7], DType::U8).unwrap().is_empty());
    }

    #[test]
    fn rows_are_cut_along_the_first_axis() {
        let tensor = Tensor::from_i32(&[3, 2], vec![1, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(tensor.rows(1, 3).unwrap().as_i32().unwrap(), &[3, 4, 5, 6]);
        assert!(tensor.rows(2, 4).is_err());
    }
}
