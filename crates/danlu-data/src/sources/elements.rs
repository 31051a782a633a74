//! The elements of arrays in files, and the nearest dtypes of tensors.

use danlu_graph::TensorData;

use super::stream::Stream;
use crate::Result;

/// Bytes that are converted at a time.
const BLOCK: usize = 16 << 10;

/// The type of an element in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    Bool,
    U8,
    I8,
    I16,
    U16,
    I32,
    U32,
    I64,
    F16,
    F32,
    F64,
}

impl Element {
    /// Bytes of one element.
    pub(crate) const fn size(self) -> usize {
        match self {
            Element::Bool | Element::U8 | Element::I8 => 1,
            Element::I16 | Element::U16 | Element::F16 => 2,
            Element::I32 | Element::U32 | Element::F32 => 4,
            Element::I64 | Element::F64 => 8,
        }
    }
}

/// Reads `count` elements, in the same dtype or the next wider one that holds every value; `f64` is rounded to `f32`. Memory grows
/// as they come.
pub(crate) fn read(
    stream: &mut Stream<'_>,
    element: Element,
    count: usize,
    big_endian: bool,
) -> Result<TensorData> {
    const WHAT: &str = "elements";
    let bytes = (count as u64).saturating_mul(element.size() as u64);
    stream.check_room(bytes, WHAT)?;
    macro_rules! decoded {
        ($convert:expr) => {
            decode(stream, count, big_endian, $convert)?
        };
    }
    Ok(match element {
        Element::U8 => TensorData::U8(stream.bytes(count, WHAT)?),
        Element::Bool => TensorData::Bool(decoded!(|[byte]: [u8; 1]| byte != 0)),
        Element::I8 => TensorData::I8(decoded!(i8::from_le_bytes)),
        Element::I16 => TensorData::I32(decoded!(|bytes| i16::from_le_bytes(bytes).into())),
        Element::U16 => TensorData::I32(decoded!(|bytes| u16::from_le_bytes(bytes).into())),
        Element::I32 => TensorData::I32(decoded!(i32::from_le_bytes)),
        Element::U32 => TensorData::I64(decoded!(|bytes| u32::from_le_bytes(bytes).into())),
        Element::I64 => TensorData::I64(decoded!(i64::from_le_bytes)),
        Element::F16 => TensorData::F16(decoded!(u16::from_le_bytes)),
        Element::F32 => TensorData::F32(decoded!(f32::from_le_bytes)),
        Element::F64 => TensorData::F32(decoded!(|bytes| f64::from_le_bytes(bytes) as f32)),
    })
}

/// Converts elements of `SIZE` bytes, which `convert` gets in little-endian order.
fn decode<T, const SIZE: usize>(
    stream: &mut Stream<'_>,
    count: usize,
    big_endian: bool,
    convert: impl Fn([u8; SIZE]) -> T,
) -> Result<Vec<T>> {
    let mut values = Vec::new();
    let mut block = [0u8; BLOCK];
    while values.len() < count {
        if values.len() == values.capacity() {
            stream.grow(&mut values, count)?;
        }
        let room = values.capacity().min(count) - values.len();
        let bytes = &mut block[..room.min(BLOCK / SIZE) * SIZE];
        stream.fill(bytes, "elements")?;
        // Every chunk has `SIZE` bytes: the length is a multiple of it.
        values.extend(bytes.as_chunks::<SIZE>().0.iter().map(|&chunk| {
            let mut bytes = chunk;
            if big_endian {
                bytes.reverse();
            }
            convert(bytes)
        }));
    }
    Ok(values)
}
