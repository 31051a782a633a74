//! Arrays: their shape, type and elements (sections IV.A.2.b, IV.A.2.d, IV.A.2.i).

use danlu_graph::{Tensor, TensorData};

use super::chunked::Chunked;
use super::header::Object;
use super::source::Fields;
use super::{UNDEFINED, message};
use crate::files::error::Problem;

/// The most axes that HDF5 allows.
const MOST_AXES: u8 = 32;
/// Elements are decoded in pieces of this many bytes, so that no second copy of an array is made.
const PIECE: usize = 64 << 10;

/// The extent of an array.
pub(super) struct Shape {
    pub(super) axes: Vec<u64>,
    pub(super) count: u64,
}

impl Shape {
    pub(super) fn parse(what: &str, data: &[u8]) -> Result<Shape, Problem> {
        let mut fields = Fields::new(what, data);
        let version = fields.u8()?;
        let rank = fields.u8()?;
        if rank > MOST_AXES {
            return Err(Problem::damaged(what, "at most 32 axes", rank));
        }
        fields.skip(1)?;
        let nothing = match version {
            1 => {
                fields.skip(5)?;
                false
            }
            2 => fields.u8()? == 2,
            _ => return Err(Problem::damaged(what, "a shape of version 1 or 2", version)),
        };
        let axes = (0..rank)
            .map(|_| fields.u64())
            .collect::<Result<Vec<_>, _>>()?;
        let count = axes
            .iter()
            .try_fold(1u64, |product, &axis| product.checked_mul(axis))
            .ok_or_else(|| {
                Problem::damaged(
                    what,
                    "a shape that memory can hold",
                    format_args!("{axes:?}"),
                )
            })?;
        Ok(Shape {
            axes,
            count: if nothing { 0 } else { count },
        })
    }
}

/// The type of an array's elements, as far as we know types.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Kind {
    Float64,
    Float32,
    Float16,
    BFloat16,
    Integer {
        size: u8,
        signed: bool,
    },
    Bool,
    /// Text of this many bytes, filled up with zeros.
    Text(u32),
    /// Text in the global heap.
    VariableText,
    /// Something else: HDF5's class and the bytes of one element.
    Other {
        class: u8,
        size: u32,
    },
}

impl Kind {
    pub(super) fn parse(what: &str, data: &[u8]) -> Result<Kind, Problem> {
        let mut fields = Fields::new(what, data);
        let (class, bits, bits_1) = (fields.u8()? & 15, fields.u8()?, fields.u8()?);
        fields.skip(1)?;
        let size = fields.u32()?;
        let other = Kind::Other { class, size };
        Ok(match class {
            // Bit 0 is set for big-endian numbers.
            0 if bits & 1 == 0 && matches!(size, 1 | 2 | 4 | 8) => {
                let (shift, precision) = (fields.u16()?, fields.u16()?);
                if shift != 0 || u32::from(precision) != size * 8 {
                    return Ok(other);
                }
                Kind::Integer {
                    size: size as u8,
                    signed: bits & 8 != 0,
                }
            }
            1 if bits & 0x41 == 0 => {
                fields.skip(4)?;
                let exponent = (fields.u8()?, fields.u8()?);
                let mantissa = (fields.u8()?, fields.u8()?);
                match (size, exponent, mantissa, bits_1) {
                    (8, (52, 11), (0, 52), 63) => Kind::Float64,
                    (4, (23, 8), (0, 23), 31) => Kind::Float32,
                    (2, (10, 5), (0, 10), 15) => Kind::Float16,
                    (2, (7, 8), (0, 7), 15) => Kind::BFloat16,
                    _ => other,
                }
            }
            3 if size > 0 => Kind::Text(size),
            // Keras hands bfloat16 to HDF5 as two opaque bytes (with an attribute in .keras, without one in .h5).
            5 if size == 2 => Kind::BFloat16,
            // h5py writes truth values as an enumeration of FALSE and TRUE over a byte.
            8 if size == 1 && (bits, bits_1) == (2, 0) => Kind::Bool,
            9 if bits & 15 == 1 && size == 16 => Kind::VariableText,
            _ => other,
        })
    }

    /// Bytes of one element.
    pub(super) fn size(self) -> u64 {
        match self {
            Kind::Float64 => 8,
            Kind::Float32 => 4,
            Kind::Float16 | Kind::BFloat16 => 2,
            Kind::Bool => 1,
            Kind::VariableText => 16,
            Kind::Integer { size, .. } => u64::from(size),
            Kind::Text(size) | Kind::Other { size, .. } => u64::from(size),
        }
    }

    pub(super) fn describe(self) -> String {
        match self {
            Kind::Float64 => "float64".to_owned(),
            Kind::Float32 => "float32".to_owned(),
            Kind::Float16 => "float16".to_owned(),
            Kind::BFloat16 => "bfloat16".to_owned(),
            Kind::Bool => "bool".to_owned(),
            Kind::Integer { size, signed } => {
                format!(
                    "{}int{}",
                    if signed { "" } else { "u" },
                    u32::from(size) * 8
                )
            }
            Kind::Text(_) | Kind::VariableText => "text".to_owned(),
            Kind::Other { class, size } => format!("HDF5 class {class} of {size} bytes"),
        }
    }

    /// An empty array of the dtype that takes these elements, with room for `count`.
    fn with_capacity(self, count: usize) -> Option<TensorData> {
        Some(match self {
            Kind::Float64 | Kind::Float32 => TensorData::F32(Vec::with_capacity(count)),
            Kind::Float16 => TensorData::F16(Vec::with_capacity(count)),
            Kind::BFloat16 => TensorData::BF16(Vec::with_capacity(count)),
            Kind::Bool => TensorData::Bool(Vec::with_capacity(count)),
            Kind::Integer { size: 1, signed } if signed => {
                TensorData::I8(Vec::with_capacity(count))
            }
            Kind::Integer { size: 1, .. } => TensorData::U8(Vec::with_capacity(count)),
            Kind::Integer { size, signed } if size == 2 || size == 4 && signed => {
                TensorData::I32(Vec::with_capacity(count))
            }
            Kind::Integer { .. } => TensorData::I64(Vec::with_capacity(count)),
            Kind::Text(_) | Kind::VariableText | Kind::Other { .. } => return None,
        })
    }
}

/// Appends the elements of `bytes` to `data`; `false` where an integer does not fit.
fn append(kind: Kind, bytes: &[u8], data: &mut TensorData) -> bool {
    macro_rules! numbers {
        ($type:ty, $values:ident, $convert:expr) => {
            $values.extend(
                bytes
                    .as_chunks::<{ size_of::<$type>() }>()
                    .0
                    .iter()
                    .map(|chunk| $convert(<$type>::from_le_bytes(*chunk))),
            )
        };
    }
    match (kind, data) {
        (Kind::Float32, TensorData::F32(values)) => numbers!(f32, values, |x| x),
        (Kind::Float64, TensorData::F32(values)) => numbers!(f64, values, |x| x as f32),
        (Kind::Float16, TensorData::F16(values)) => numbers!(u16, values, |x| x),
        (Kind::BFloat16, TensorData::BF16(values)) => numbers!(u16, values, |x| x),
        (Kind::Bool, TensorData::Bool(values)) => values.extend(bytes.iter().map(|&x| x != 0)),
        (Kind::Integer { size: 1, .. }, TensorData::U8(values)) => values.extend(bytes),
        (Kind::Integer { size: 1, .. }, TensorData::I8(values)) => numbers!(i8, values, |x| x),
        (
            Kind::Integer {
                size: 2,
                signed: true,
            },
            TensorData::I32(values),
        ) => {
            numbers!(i16, values, i32::from)
        }
        (Kind::Integer { size: 2, .. }, TensorData::I32(values)) => {
            numbers!(u16, values, i32::from)
        }
        (Kind::Integer { size: 4, .. }, TensorData::I32(values)) => numbers!(i32, values, |x| x),
        (Kind::Integer { size: 4, .. }, TensorData::I64(values)) => {
            numbers!(u32, values, i64::from)
        }
        (Kind::Integer { size: 8, signed }, TensorData::I64(values)) => {
            let before = values.len();
            numbers!(i64, values, |x| x);
            return signed || values[before..].iter().all(|&value| value >= 0);
        }
        _ => return false,
    }
    true
}

impl Object<'_> {
    /// The array's shape and elements. 64-bit floats are rounded to 32 bits; integers that Danlu has no dtype for get
    /// the next wider one.
    ///
    /// # Errors
    /// This is no array of numbers, or it is damaged, or larger than the file's length allows.
    pub(in crate::files) fn tensor(&self) -> Result<Tensor, Problem> {
        let what = format!("the array /{}", self.path);
        let (Some(shape), Some(kind), Some(layout)) = (
            self.only(message::DATASPACE),
            self.only(message::DATATYPE),
            self.only(message::LAYOUT),
        ) else {
            return Err(Problem::damaged(&what, "an array", "a group"));
        };
        let shape = Shape::parse(&what, shape)?;
        let kind = Kind::parse(&what, kind)?;
        let Some(bytes) = shape.count.checked_mul(kind.size()) else {
            return Err(Problem::damaged(
                &what,
                "a shape that memory can hold",
                format_args!("{:?}", shape.axes),
            ));
        };
        let unknown = || {
            Problem::unsupported(
                format!("{what} with elements of {}", kind.describe()),
                "Danlu reads numbers and truth values",
            )
        };
        // Nothing is allocated before the file is known to be long enough.
        let storage = Storage::parse(self, &what, layout, &shape, kind, bytes)?;
        if !matches!(storage, Storage::Chunked(_)) {
            // What is not compressed lies in the file once; twice is not far from that.
            self.reader.spend_tensor(bytes.saturating_mul(16))?;
        }
        let mut data = kind
            .with_capacity(shape.count as usize)
            .ok_or_else(unknown)?;
        let fits = match storage {
            Storage::Nothing => true,
            Storage::Inline(bytes) => append(kind, bytes, &mut data),
            Storage::Chunked(chunked) => append(kind, &chunked.read(self, &what)?, &mut data),
            Storage::Contiguous(address) => {
                let mut piece = vec![0u8; PIECE.min(bytes as usize)];
                let mut done = 0u64;
                let mut fits = true;
                while done < bytes && fits {
                    let count = (bytes - done).min(PIECE as u64) as usize;
                    self.reader
                        .data(&what, address + done, &mut piece[..count])?;
                    fits = append(kind, &piece[..count], &mut data);
                    done += count as u64;
                }
                fits
            }
        };
        if !fits {
            return Err(Problem::unsupported(
                format!("{what} with numbers above 9,223,372,036,854,775,807"),
                "Danlu has no unsigned 64-bit integers",
            ));
        }
        let axes: Vec<usize> = shape.axes.iter().map(|&axis| axis as usize).collect();
        Tensor::new(&axes, data)
            .map_err(|error| Problem::damaged(&what, "as many elements as its shape says", error))
    }
}

/// Where an array's elements lie.
enum Storage<'a> {
    Nothing,
    Inline(&'a [u8]),
    Contiguous(u64),
    Chunked(Chunked),
}

impl<'a> Storage<'a> {
    /// Finds the `bytes` bytes of the elements and checks that the file has them.
    fn parse(
        object: &Object<'_>,
        what: &'a str,
        layout: &'a [u8],
        shape: &Shape,
        kind: Kind,
        bytes: u64,
    ) -> Result<Storage<'a>, Problem> {
        let mut fields = Fields::new(what, layout);
        let version = fields.u8()?;
        if !(3..=4).contains(&version) {
            return Err(Problem::unsupported(
                format!("{what} stored in layout version {version}"),
                "save it again with Keras",
            ));
        }
        let class = fields.u8()?;
        if bytes == 0 {
            return Ok(Storage::Nothing);
        }
        let mismatch = |received: u64| {
            Problem::damaged(
                what,
                format!("{bytes} bytes of elements of shape {:?}", shape.axes),
                received,
            )
        };
        match class {
            0 => {
                let size = fields.u16()?;
                if u64::from(size) != bytes {
                    return Err(mismatch(u64::from(size)));
                }
                Ok(Storage::Inline(fields.take(usize::from(size))?))
            }
            1 => {
                let (address, size) = (fields.u64()?, fields.u64()?);
                if size != bytes {
                    return Err(mismatch(size));
                }
                let end = address.saturating_add(bytes);
                if address == UNDEFINED || end > object.reader.len() {
                    return Err(Problem::Truncated {
                        what: what.to_owned(),
                        expected: end,
                        received: object.reader.len(),
                    });
                }
                Ok(Storage::Contiguous(address))
            }
            2 if version == 3 => {
                Chunked::parse(object, what, &mut fields, shape, kind).map(Storage::Chunked)
            }
            _ => Err(Problem::unsupported(
                format!("{what} stored in layout class {class} of version {version}"),
                "save it again with Keras",
            )),
        }
    }
}
