//! IDX, the format of MNIST's files (<http://yann.lecun.com/exdb/mnist/>): two zero bytes, a type, the number of axes, their sizes
//! and the elements, everything big-endian. Gzipped files are unzipped as they are read, whatever their name.

use danlu_graph::Tensor;
use danlu_graph::tensor::element_count;

use super::Input;
use super::elements::{self, Element};
use crate::Result;

/// Reads an array. `i16` becomes `i32` and `f64` becomes `f32`; the other types (u8, i8, i32, f32) stay.
///
/// # Errors
/// The magic number is wrong, the sizes overflow or promise more than the file can hold, or it is cut off, damaged or too long.
pub fn read(input: &mut Input) -> Result<Tensor> {
    read_checked(input, |_| Ok(()))
}

/// Data of more axes than this is damaged.
const MOST_AXES: u8 = 16;

/// As [`read`]; `check` sees the shape before memory is had for the elements.
pub(crate) fn read_checked(
    input: &mut Input,
    check: impl FnOnce(&[usize]) -> Result<()>,
) -> Result<Tensor> {
    let mut stream = input.stream()?;
    let magic @ [zero, zero_too, code, rank] = stream.array("the magic number of an IDX file")?;
    let element = match (zero, zero_too, code) {
        (0, 0, 0x08) => Element::U8,
        (0, 0, 0x09) => Element::I8,
        (0, 0, 0x0b) => Element::I16,
        (0, 0, 0x0c) => Element::I32,
        (0, 0, 0x0d) => Element::F32,
        (0, 0, 0x0e) => Element::F64,
        _ => {
            return Err(stream.error(
                4,
                "the magic number of an IDX file (0, 0, then 8, 9, 11, 12, 13 or 14)",
                format!("{magic:?}; this is no IDX file"),
            ));
        }
    };
    if rank == 0 {
        return Err(stream.error(1, "at least one axis", "0 axes; the header is damaged"));
    }
    if rank > MOST_AXES {
        return Err(stream.error(
            1,
            format!("at most {MOST_AXES} axes"),
            format!("{rank} axes; the header is damaged"),
        ));
    }
    let mut shape = Vec::with_capacity(rank.into());
    for _ in 0..rank {
        // `usize` has at least 32 bits wherever Danlu runs.
        shape.push(u32::from_be_bytes(stream.array("the sizes of the axes")?) as usize);
    }
    let count = element_count(&shape).map_err(|_| {
        stream.error(
            4 * u64::from(rank),
            "sizes whose product memory can address",
            format!("{shape:?}; the header is damaged"),
        )
    })?;
    stream.check_room((count * element.size()) as u64, "elements")?;
    check(&shape)?;
    let data = elements::read(&mut stream, element, count, true)?;
    stream.finish("the elements")?;
    Ok(Tensor::new(&shape, data)?)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use danlu_graph::TensorData;

    use super::*;

    fn file(code: u8, shape: &[u32], elements: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, code, shape.len() as u8];
        bytes.extend(shape.iter().flat_map(|size| size.to_be_bytes()));
        bytes.extend_from_slice(elements);
        bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn parse(bytes: Vec<u8>) -> Result<Tensor> {
        read(&mut Input::from_bytes("a.idx", bytes))
    }

    fn message(bytes: Vec<u8>) -> String {
        parse(bytes).unwrap_err().to_string()
    }

    #[test]
    fn every_type_is_read_plain_and_gzipped() {
        let cases = [
            (0x08, vec![1, 255], TensorData::U8(vec![1, 255])),
            (0x09, vec![1, 255], TensorData::I8(vec![1, -1])),
            (0x0b, vec![0, 1, 255, 254], TensorData::I32(vec![1, -2])),
            (
                0x0c,
                vec![0, 0, 1, 0, 255, 255, 255, 255],
                TensorData::I32(vec![256, -1]),
            ),
            (
                0x0d,
                [1.5f32.to_be_bytes(), (-2f32).to_be_bytes()].concat(),
                TensorData::F32(vec![1.5, -2.0]),
            ),
            (
                0x0e,
                [1.5f64.to_be_bytes(), 0.1f64.to_be_bytes()].concat(),
                TensorData::F32(vec![1.5, 0.1]),
            ),
        ];
        for (code, elements, expected) in cases {
            let bytes = file(code, &[2, 1], &elements);
            for bytes in [gzip(&bytes), bytes] {
                let tensor = parse(bytes).unwrap();
                assert_eq!((tensor.shape(), tensor.data()), (&[2, 1][..], &expected));
            }
        }
    }

    #[test]
    fn a_header_that_promises_too_much_is_refused() {
        let axes = message(file(0x08, &[1; 255], &[0]));
        assert!(
            axes.contains("at most 16 axes") && axes.len() < 200,
            "{axes}"
        );
        let promise = file(0x08, &[1 << 31, 28, 28], &[0; 4]);
        assert!(
            message(promise.clone()).contains("only 4"),
            "{}",
            message(promise.clone())
        );
        assert!(message(gzip(&promise)).contains("gzip data that can hold at most"));
        let overflow = file(0x08, &[u32::MAX; 4], &[]);
        assert!(message(overflow).contains("product memory can address"));
    }

    #[test]
    fn damaged_files_are_named_with_the_offset() {
        let whole = file(0x08, &[300], &[7; 300]);
        for cut in 0..whole.len() {
            let text = message(whole[..cut].to_vec());
            assert!(text.contains("`a.idx`, byte "), "{text}");
        }
        let zipped = gzip(&whole);
        for cut in 2..zipped.len() {
            let text = message(zipped[..cut].to_vec());
            assert!(text.contains("`a.idx`, byte "), "{text}");
        }
        let longer = [whole.clone(), vec![0]].concat();
        assert!(message(longer.clone()).contains("byte 308: expected the end"));
        assert!(message(gzip(&longer)).contains("byte 308: expected the end"));
        assert!(message(b"PK\x03\x04".to_vec()).contains("no IDX file"));
        assert!(message(vec![0, 0, 8, 0]).contains("at least one axis"));
        let mut checksum = gzip(&whole);
        let last = checksum.len() - 5;
        checksum[last] ^= 1;
        assert!(message(checksum).contains("damaged gzip data"));
    }
}
