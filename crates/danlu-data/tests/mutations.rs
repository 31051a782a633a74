//! Damaged files of every format: never a panic, and never much more memory than the file could need.

mod memory;

use std::io::{Cursor, Write};

use danlu_data::Result;
use danlu_data::sources::{Input, Npz, idx, npy, png, read_opened};
use danlu_graph::{DType, Tensor};

const MUTATIONS: u64 = 10_000;

/// What a file of a few hundred bytes may need: 1,032 times its length (deflate at its best) and the decoders' windows.
const MOST: usize = 4 << 20;

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (word ^ (word >> 31)) as usize % bound
    }
}

fn mutate(whole: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            break;
        }
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.below(256) as u8,
            2 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            // Sizes are 2, 4 or 8 bytes long.
            3 => {
                let end = bytes.len().min(at + (2 << random.below(3)));
                bytes[at..end].fill([0, 0x7f, 0xff][random.below(3)]);
            }
            4 => bytes.truncate(at),
            _ => {
                let byte = random.below(256) as u8;
                bytes.insert(at, byte);
            }
        }
    }
    bytes
}

fn check(format: &str, whole: Vec<u8>, read: impl Fn(Input) -> Result<()>) {
    read(Input::from_bytes("whole", whole.clone())).expect("the file is good before it is damaged");
    let mut random = Random(1);
    let mut refused = 0;
    for number in 0..MUTATIONS {
        let bytes = mutate(&whole, &mut random);
        let input = Input::from_bytes("damaged", bytes);
        let (result, _, peak) = memory::measured(|| read(input));
        assert!(peak < MOST, "{format}, mutation {number}: {peak} bytes");
        if let Err(error) = result {
            refused += 1;
            assert!(error.to_string().contains("damaged"), "{format}: {error}");
        }
    }
    // Most mutations hit something that can be seen; in an array without a checksum many only change an element.
    assert!(refused > MUTATIONS / 5, "{format}: {refused}");
}

fn idx_file() -> Vec<u8> {
    let mut bytes = vec![0, 0, 0x0d, 3];
    bytes.extend([3u32, 2, 4].map(u32::to_be_bytes).concat());
    bytes.extend((0..24u8).flat_map(|i| f32::from(i).to_be_bytes()));
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn npy_file() -> Vec<u8> {
    let mut bytes = Vec::new();
    npy::write(&mut bytes, &Tensor::zeros(&[3, 2, 4], DType::I64).unwrap()).unwrap();
    bytes
}

fn npz_file(method: zip::CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for name in ["x.npy", "y.npy"] {
        let options = zip::write::SimpleFileOptions::default().compression_method(method);
        writer.start_file(name, options).unwrap();
        writer.write_all(&npy_file()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn png_file(color: ::png::ColorType) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut bytes, 8, 8);
    encoder.set_color(color);
    if color == ::png::ColorType::Indexed {
        encoder.set_palette([1, 2, 3].repeat(64));
        encoder.set_trns(vec![9; 64]);
    }
    let mut writer = encoder.write_header().unwrap();
    let pixels: Vec<u8> = (0..64).flat_map(|i| vec![i; color.samples()]).collect();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    bytes
}

/// The same file with its chunks' checksums made right again, so that damage gets behind them.
fn with_checksums(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut at = 8;
    while let Some(head) = bytes.get(at..at + 8) {
        let length = u32::from_be_bytes(head[..4].try_into().unwrap()) as usize;
        let Some(end) = at
            .checked_add(8 + length)
            .filter(|end| end + 4 <= bytes.len())
        else {
            break;
        };
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[at + 4..end]);
        bytes[end..end + 4].copy_from_slice(&crc.sum().to_be_bytes());
        at = end + 4;
    }
    bytes
}

#[test]
fn idx() {
    check("idx", idx_file(), |mut input| {
        idx::read(&mut input).map(drop)
    });
    check("idx.gz", gzip(&idx_file()), |mut input| {
        idx::read(&mut input).map(drop)
    });
}

#[test]
fn npy() {
    check("npy", npy_file(), |mut input| {
        npy::read(&mut input).map(drop)
    });
    check("npy.gz", gzip(&npy_file()), |mut input| {
        npy::read(&mut input).map(drop)
    });
}

#[test]
fn npz() {
    for method in [
        zip::CompressionMethod::Stored,
        zip::CompressionMethod::Deflated,
    ] {
        check("npz", npz_file(method), |input| {
            let mut npz = Npz::open(input)?;
            for array in npz.arrays().to_vec() {
                npz.read(&array)?;
            }
            Ok(())
        });
    }
}

#[test]
fn png() {
    use ::png::ColorType::{Grayscale, Indexed, Rgba};
    for color in [Grayscale, Indexed, Rgba] {
        check("png", png_file(color), |mut input| {
            png::read(&mut input, Some(1)).map(drop)
        });
        let mut random = Random(2);
        for number in 0..MUTATIONS {
            let bytes = with_checksums(mutate(&png_file(color), &mut random));
            let mut input = Input::from_bytes("damaged", bytes);
            let (_, _, peak) = memory::measured(|| png::read(&mut input, Some(1)).map(drop));
            assert!(peak < MOST, "{color:?}, mutation {number}: {peak} bytes");
        }
    }
}

#[test]
fn inputs_of_any_kind() {
    let zip = npz_file(zip::CompressionMethod::Stored);
    for whole in [
        idx_file(),
        gzip(&idx_file()),
        npy_file(),
        zip,
        png_file(::png::ColorType::Rgb),
    ] {
        let mut random = Random(3);
        for number in 0..MUTATIONS {
            let input = Input::from_bytes("damaged", mutate(&whole, &mut random));
            let (_, _, peak) = memory::measured(|| read_opened(input, &[2, 4]).map(drop));
            assert!(peak < MOST, "mutation {number}: {peak} bytes");
        }
    }
}
