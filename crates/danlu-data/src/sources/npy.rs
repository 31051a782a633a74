//! NPY, one NumPy array in a file (format versions 1.0 to 3.0, as `numpy.lib.format` describes them): reading and writing.

use std::io::{self, Write};

use danlu_graph::tensor::{bf16_to_f32, element_count};
use danlu_graph::{Tensor, TensorData};

use super::Input;
use super::elements;
use super::npy_header::{self, Header};
use super::stream::Stream;
use crate::Result;

/// The longest header that is read, in bytes; NumPy itself refuses more than 10,000 unless told otherwise.
const LONGEST_HEADER: usize = 64 << 10;

/// Reads an array, in C or Fortran order, of either byte order. Whole numbers become the nearest wider dtype there is (`i16` and `u16` become
/// `i32`, `u32` becomes `i64`) and `f64` becomes `f32`.
///
/// # Errors
/// The array holds Python objects, text, records, complex numbers or `u64`; the header is damaged or promises more than the file can
/// hold; the file is cut off or too long.
pub fn read(input: &mut Input) -> Result<Tensor> {
    read_stream(input.stream()?, |_| Ok(()))
}

/// As [`read`], from a stream; `check` sees the shape before memory is had for the elements.
pub(crate) fn read_stream(
    mut stream: Stream<'_>,
    check: impl FnOnce(&[usize]) -> Result<()>,
) -> Result<Tensor> {
    let Header {
        element,
        big_endian,
        fortran_order,
        shape,
    } = read_header(&mut stream)?;
    let count = element_count(&shape).map_err(|_| {
        stream.error(
            0,
            "a shape whose product memory can address",
            format!("{shape:?} in the header; it is damaged"),
        )
    })?;
    stream.check_room((count * element.size()) as u64, "elements")?;
    check(&shape)?;
    let data = elements::read(&mut stream, element, count, big_endian)?;
    stream.finish("the array")?;
    let data = match fortran_order && shape.len() > 1 {
        true => from_fortran(data, &shape),
        false => data,
    };
    Ok(Tensor::new(&shape, data)?)
}

fn read_header(stream: &mut Stream<'_>) -> Result<Header> {
    let magic: [u8; 6] = stream.array("the magic string of an NPY file")?;
    if &magic != b"\x93NUMPY" {
        return Err(stream.error(
            6,
            "the magic string of an NPY file",
            "other bytes; this is no NPY file",
        ));
    }
    let [major, minor] = stream.array("the version")?;
    let length = match major {
        1 => usize::from(u16::from_le_bytes(
            stream.array("the length of the header")?,
        )),
        2 | 3 => u32::from_le_bytes(stream.array("the length of the header")?) as usize,
        _ => {
            return Err(stream.error(
                2,
                "version 1.0, 2.0 or 3.0 of the format",
                format!("{major}.{minor}"),
            ));
        }
    };
    if length > LONGEST_HEADER {
        return Err(stream.error(
            4,
            format!("a header of at most {LONGEST_HEADER} bytes"),
            format!("one of {length}; it is damaged"),
        ));
    }
    let start = stream.offset();
    let text = stream.bytes(length, "the header")?;
    npy_header::parse(stream.name(), start, &text)
}

/// Writes an array as NumPy's `save` does (version 1.0, C order, little-endian); bfloat16, which NumPy lacks, as float32.
///
/// # Errors
/// What the writer reports.
pub fn write(writer: &mut impl Write, tensor: &Tensor) -> io::Result<()> {
    let descriptor = match tensor.data() {
        TensorData::F32(_) | TensorData::BF16(_) => "<f4",
        TensorData::F16(_) => "<f2",
        TensorData::I32(_) => "<i4",
        TensorData::I64(_) => "<i8",
        TensorData::U8(_) => "|u1",
        TensorData::I8(_) => "|i1",
        TensorData::Bool(_) => "|b1",
    };
    writer.write_all(&npy_header::format(descriptor, tensor.shape())?)?;
    match tensor.data() {
        TensorData::F32(values) => write_values(writer, values, |v| v.to_le_bytes()),
        TensorData::BF16(values) => write_values(writer, values, |v| bf16_to_f32(v).to_le_bytes()),
        TensorData::F16(values) => write_values(writer, values, |v| v.to_le_bytes()),
        TensorData::I32(values) => write_values(writer, values, |v| v.to_le_bytes()),
        TensorData::I64(values) => write_values(writer, values, |v| v.to_le_bytes()),
        TensorData::U8(values) => writer.write_all(values),
        TensorData::I8(values) => write_values(writer, values, |v| v.to_le_bytes()),
        TensorData::Bool(values) => write_values(writer, values, |v| [u8::from(v)]),
    }
}

fn write_values<T: Copy, const SIZE: usize>(
    writer: &mut impl Write,
    values: &[T],
    bytes: impl Fn(T) -> [u8; SIZE],
) -> io::Result<()> {
    let mut block = [0u8; 8192];
    for chunk in values.chunks(block.len() / SIZE) {
        for (slot, &value) in block.as_chunks_mut::<SIZE>().0.iter_mut().zip(chunk) {
            *slot = bytes(value);
        }
        writer.write_all(&block[..chunk.len() * SIZE])?;
    }
    Ok(())
}

/// Column-major elements brought into row-major order; `shape` has at least one axis.
fn from_fortran(data: TensorData, shape: &[usize]) -> TensorData {
    macro_rules! reordered {
        ($($variant:ident),*) => {
            match data {
                $(TensorData::$variant(values) => TensorData::$variant(transposed(&values, shape)),)*
            }
        };
    }
    reordered!(F32, BF16, F16, I32, I64, U8, I8, Bool)
}

fn transposed<T: Copy>(values: &[T], shape: &[usize]) -> Vec<T> {
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1;
    for &size in shape {
        strides.push(stride);
        stride *= size;
    }
    let mut index = vec![0; shape.len()];
    let mut place = 0;
    let mut output = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        output.push(values[place]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            place += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            place -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use danlu_graph::DType;

    use super::*;

    fn file(version: u8, header: &str, elements: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY".to_vec();
        bytes.extend([version, 0]);
        match version {
            1 => bytes.extend((header.len() as u16).to_le_bytes()),
            _ => bytes.extend((header.len() as u32).to_le_bytes()),
        }
        bytes.extend(header.as_bytes());
        bytes.extend(elements);
        bytes
    }

    fn header(descriptor: &str, fortran: &str, shape: &str) -> String {
        format!("{{'descr': '{descriptor}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
    }

    fn parse(bytes: Vec<u8>) -> Result<Tensor> {
        read(&mut Input::from_bytes("a.npy", bytes))
    }

    #[test]
    fn every_type_and_byte_order_is_read() {
        let cases: [(&str, &[u8], TensorData); 14] = [
            ("|b1", &[1, 0], TensorData::Bool(vec![true, false])),
            ("|u1", &[1, 200], TensorData::U8(vec![1, 200])),
            ("|i1", &[1, 200], TensorData::I8(vec![1, -56])),
            ("<i2", &[1, 0, 255, 255], TensorData::I32(vec![1, -1])),
            (">u2", &[1, 0, 255, 255], TensorData::I32(vec![256, 65535])),
            (
                "<i4",
                &[1, 0, 0, 0, 2, 0, 0, 0],
                TensorData::I32(vec![1, 2]),
            ),
            (
                "=i4",
                &[1, 0, 0, 0, 2, 0, 0, 0],
                TensorData::I32(vec![1, 2]),
            ),
            (
                ">u4",
                &[255, 0, 0, 0, 0, 0, 0, 2],
                TensorData::I64(vec![255 << 24, 2]),
            ),
            (
                ">i8",
                &[
                    0, 0, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255, 255,
                ],
                TensorData::I64(vec![1, -1]),
            ),
            (
                "<f2",
                &[0, 0x3c, 0, 0xbc],
                TensorData::F16(vec![0x3c00, 0xbc00]),
            ),
            (
                ">f2",
                &[0x3c, 0, 0xbc, 0],
                TensorData::F16(vec![0x3c00, 0xbc00]),
            ),
            (
                "<f4",
                &[0, 0, 128, 63, 0, 0, 0, 192],
                TensorData::F32(vec![1.0, -2.0]),
            ),
            (
                ">f4",
                &[63, 128, 0, 0, 192, 0, 0, 0],
                TensorData::F32(vec![1.0, -2.0]),
            ),
            (
                "<f8",
                &[0, 0, 0, 0, 0, 0, 240, 63, 0, 0, 0, 0, 0, 0, 0, 192],
                TensorData::F32(vec![1.0, -2.0]),
            ),
        ];
        for (descriptor, elements, expected) in cases {
            for version in 1..=3 {
                let tensor = parse(file(
                    version,
                    &header(descriptor, "False", "(2,)"),
                    elements,
                ));
                let tensor = tensor.unwrap_or_else(|error| panic!("{descriptor}: {error}"));
                assert_eq!((tensor.shape(), tensor.data()), (&[2][..], &expected));
            }
        }
    }

    #[test]
    fn fortran_order_becomes_row_major() {
        // numpy: np.asfortranarray(np.arange(24, dtype='u1').reshape(2, 3, 4)).ravel('K')
        let columns: Vec<u8> = (0..4)
            .flat_map(|c| (0..3).flat_map(move |b| (0..2).map(move |a| a * 12 + b * 4 + c)))
            .collect();
        let tensor = parse(file(1, &header("|u1", "True", "(2, 3, 4)"), &columns)).unwrap();
        assert_eq!(tensor.as_u8().unwrap(), (0..24).collect::<Vec<u8>>());
        assert_eq!(tensor.shape(), [2, 3, 4]);
    }

    #[test]
    fn what_is_written_is_read_again() {
        for dtype in DType::ALL {
            for shape in [&[][..], &[3], &[2, 3], &[0, 4]] {
                let tensor = Tensor::zeros(shape, dtype).unwrap();
                let mut bytes = Vec::new();
                write(&mut bytes, &tensor).unwrap();
                let again = parse(bytes).unwrap();
                assert_eq!(again.shape(), shape);
                match dtype {
                    DType::BF16 => assert_eq!(again.dtype(), DType::F32),
                    _ => assert_eq!(again, tensor),
                }
            }
        }
    }

    /// `np.save` of `np.arange(3, dtype='<f4').reshape(3, 1)` with NumPy 2, byte for byte.
    #[test]
    fn the_bytes_are_those_of_numpy() {
        let tensor = Tensor::from_f32(&[3, 1], vec![0.0, 1.0, 2.0]).unwrap();
        let mut bytes = Vec::new();
        write(&mut bytes, &tensor).unwrap();
        let mut expected =
            b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1), }"
                .to_vec();
        expected.resize(127, b' ');
        expected.push(b'\n');
        expected.extend([0, 0, 0, 0, 0, 0, 128, 63, 0, 0, 0, 64]);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn damaged_files_and_promises_are_errors() {
        let whole = file(1, &header("<f4", "False", "(2, 2)"), &[0; 16]);
        for cut in 0..whole.len() {
            let text = parse(whole[..cut].to_vec()).unwrap_err().to_string();
            assert!(text.contains("`a.npy`, byte "), "{text}");
        }
        for (bytes, expected) in [
            ([whole.clone(), vec![0]].concat(), "the end of the array"),
            (
                file(1, &header("<f4", "False", "(2147483648,)"), &[0; 16]),
                "8589934592 more bytes",
            ),
            (
                file(1, &header("<f4", "False", "(4294967296, 4294967296)"), &[]),
                "memory can address",
            ),
            (file(4, "", &[]), "version 1.0"),
            (
                b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(),
                "a header of at most",
            ),
        ] {
            let text = parse(bytes).unwrap_err().to_string();
            assert!(text.contains(expected), "{text}");
        }
    }
}
