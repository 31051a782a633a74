//! PNG pictures.

use std::io::{self, Write};

use danlu_graph::Tensor;
use png::{ColorType, Decoder, DecodingError, Encoder, Limits, Transformations};

use super::Input;
use super::stream::DEFLATE_RATIO;
use crate::{Error, Result};

/// Memory for one row and for the chunks beside the pixels, in bytes.
const ROW_LIMIT: u64 = 64 << 20;

/// Reads a picture as bytes 0 to 255 of shape `(height, width, channels)`.
///
/// `channels` is 1 (grey), 3 (red, green, blue), 4 (and opacity) or `None` for what the file has. Palettes are expanded, 16 bits cut to
/// 8, opacity left out, colours turned to grey as `0.299 R + 0.587 G + 0.114 B` (ITU-R BT.601, rounded as Pillow does), grey repeated.
///
/// # Errors
/// It is no PNG, damaged or cut off, promises more pixels than it can hold, or `channels` is another number.
pub fn read(input: &mut Input, channels: Option<usize>) -> Result<Tensor> {
    read_checked(input, channels, |_, _| Ok(()))
}

/// Writes a picture of bytes 0 to 255 of shape `(height, width, channels)`, with 1, 3 or 4 channels as [`read`] has them.
///
/// # Errors
/// The system refuses, or the tensor is no such picture.
pub fn write(writer: impl Write, picture: &Tensor) -> io::Result<()> {
    let (shape, pixels) = (picture.shape(), picture.as_u8());
    let color = match shape {
        [_, _, 1] => Some(ColorType::Grayscale),
        [_, _, 3] => Some(ColorType::Rgb),
        [_, _, 4] => Some(ColorType::Rgba),
        _ => None,
    };
    let side = |axis: usize| u32::try_from(shape.get(axis).copied().unwrap_or(0));
    let (Some(color), Some(pixels), Ok(height), Ok(width)) = (color, pixels, side(0), side(1))
    else {
        let text = format!(
            "a picture is bytes of shape (height, width, 1, 3 or 4), not {} of shape {shape:?}",
            picture.dtype()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    };
    let mut encoder = Encoder::new(writer, width, height);
    encoder.set_color(color);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    Ok(writer.finish()?)
}

/// As [`read`]; `check` sees height and width before memory is had for the pixels.
pub(crate) fn read_checked(
    input: &mut Input,
    channels: Option<usize>,
    check: impl FnOnce(usize, usize) -> Result<()>,
) -> Result<Tensor> {
    if !matches!(channels, None | Some(1 | 3 | 4)) {
        return Err(Error::mismatch(
            format!("the picture `{}`", input.name()),
            format!("{} channels", channels.unwrap_or(0)),
            "a PNG, which gives 1, 3 or 4",
            "",
        ));
    }
    let (name, length) = (input.name().to_owned(), input.length());
    let limit = length.saturating_mul(DEFLATE_RATIO).min(ROW_LIMIT);
    // `limit` is at most 64 MiB.
    let limits = Limits {
        bytes: limit as usize,
    };
    let mut decoder = Decoder::new_with_limits(input.rewound()?, limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let failed = |error| damaged(&name, error);
    let mut reader = decoder.read_info().map_err(failed)?;
    let info = reader.info();
    // `usize` has at least 32 bits wherever Danlu runs.
    let (height, width) = (info.height as usize, info.width as usize);
    check(height, width)?;
    let packed = u64::from(info.height).saturating_mul(info.raw_row_length() as u64);
    let size = reader.output_buffer_size();
    let (true, Some(size)) = (packed <= length.saturating_mul(DEFLATE_RATIO), size) else {
        return Err(Error::Format {
            file: name,
            offset: 16,
            expected: format!("a picture that fits a file of {length} bytes"),
            received: format!("{width}x{height} pixels; the header is damaged"),
        });
    };
    let mut pixels = Vec::new();
    if pixels.try_reserve_exact(size).is_err() {
        return Err(Error::Memory {
            subject: name,
            bytes: size as u64,
        });
    }
    pixels.resize(size, 0u8);
    reader.next_frame(&mut pixels).map_err(failed)?;
    reader.finish().map_err(failed)?;
    let from = match reader.output_color_type().0 {
        ColorType::Grayscale => 1,
        ColorType::GrayscaleAlpha => 2,
        // A palette is expanded to colours.
        ColorType::Rgb | ColorType::Indexed => 3,
        ColorType::Rgba => 4,
    };
    let to = channels.unwrap_or(match from {
        2 => 1,
        channels => channels,
    });
    let pixels = convert(pixels, from, to);
    Ok(Tensor::from_u8(&[height, width, to], pixels)?)
}

/// Pixels of `from` bytes (grey, grey and opacity, RGB, RGBA) as pixels of `to` bytes (grey, RGB, RGBA).
fn convert(pixels: Vec<u8>, from: usize, to: usize) -> Vec<u8> {
    if from == to {
        return pixels;
    }
    let mut output = Vec::with_capacity(pixels.len() / from * to);
    for pixel in pixels.chunks_exact(from) {
        let (colour, opacity) = match *pixel {
            [grey] => ([grey; 3], 255),
            [grey, opacity] => ([grey; 3], opacity),
            [red, green, blue] => ([red, green, blue], 255),
            [red, green, blue, opacity, ..] => ([red, green, blue], opacity),
            [] => continue,
        };
        match to {
            1 => output.push(grey(colour)),
            3 => output.extend(colour),
            _ => {
                output.extend(colour);
                output.push(opacity);
            }
        }
    }
    output
}

/// BT.601 luma in 16-bit fixed point; a grey colour stays what it is, since the factors sum to 65,536.
fn grey([red, green, blue]: [u8; 3]) -> u8 {
    let sum = 19595 * u32::from(red) + 38470 * u32::from(green) + 7471 * u32::from(blue);
    ((sum + 0x8000) >> 16) as u8
}

fn damaged(name: &str, error: DecodingError) -> Error {
    match error {
        DecodingError::IoError(error) if error.raw_os_error().is_some() => {
            Error::file("read", name, error)
        }
        error => Error::Format {
            file: name.to_owned(),
            offset: 0,
            expected: "a whole PNG picture".to_owned(),
            received: format!("a damaged one ({error}); get the file again"),
        },
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use png::BitDepth;

    use super::*;

    /// A picture of `width` pixels a row.
    pub(crate) fn file(color: ColorType, depth: BitDepth, width: u32, rows: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, width, rows.len() as u32);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
            encoder.set_palette(vec![0, 0, 0, 10, 20, 30, 255, 255, 255, 1, 2, 3]);
        }
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&rows.concat()).unwrap();
        writer.finish().unwrap();
        bytes
    }

    fn pixels(bytes: &[u8], channels: Option<usize>) -> (Vec<usize>, Vec<u8>) {
        let tensor = read(&mut Input::from_bytes("a.png", bytes.to_vec()), channels).unwrap();
        (tensor.shape().to_vec(), tensor.as_u8().unwrap().to_vec())
    }

    #[test]
    fn what_is_written_comes_back() {
        for channels in [1, 3, 4] {
            let values: Vec<u8> = (0..6 * channels).map(|value| value as u8 * 9).collect();
            let picture = Tensor::from_u8(&[2, 3, channels], values).unwrap();
            let mut bytes = Vec::new();
            write(&mut bytes, &picture).unwrap();
            let back = read(&mut Input::from_bytes("a.png", bytes), Some(channels)).unwrap();
            assert_eq!(back.shape(), picture.shape());
            // Opacity is kept only where it is asked for.
            assert_eq!(back.as_u8(), picture.as_u8());
        }
        let flat = Tensor::from_u8(&[2, 3], vec![0; 6]).unwrap();
        assert!(write(Vec::new(), &flat).is_err());
    }

    #[test]
    fn every_kind_of_pixel_becomes_the_wanted_one() {
        use BitDepth::{Eight, Four, One, Sixteen, Two};
        use ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
        type Case = (ColorType, BitDepth, &'static [u8], [u8; 6], [u8; 2]);
        let cases: [Case; 9] = [
            (Grayscale, Eight, &[7, 9], [7, 7, 7, 9, 9, 9], [7, 9]),
            (
                Grayscale,
                One,
                &[0b0100_0000],
                [0, 0, 0, 255, 255, 255],
                [0, 255],
            ),
            (Grayscale, Four, &[0x0f], [0, 0, 0, 255, 255, 255], [0, 255]),
            (
                Grayscale,
                Sixteen,
                &[7, 200, 9, 1],
                [7, 7, 7, 9, 9, 9],
                [7, 9],
            ),
            (
                GrayscaleAlpha,
                Eight,
                &[7, 0, 9, 255],
                [7, 7, 7, 9, 9, 9],
                [7, 9],
            ),
            (
                Rgb,
                Eight,
                &[255, 0, 0, 0, 0, 255],
                [255, 0, 0, 0, 0, 255],
                [76, 29],
            ),
            (
                Rgba,
                Eight,
                &[255, 0, 0, 1, 0, 255, 0, 2],
                [255, 0, 0, 0, 255, 0],
                [76, 150],
            ),
            (
                Rgb,
                Sixteen,
                &[255, 1, 0, 1, 0, 1, 0, 9, 0, 9, 255, 9],
                [255, 0, 0, 0, 0, 255],
                [76, 29],
            ),
            (
                Indexed,
                Two,
                &[0b0110_0000],
                [10, 20, 30, 255, 255, 255],
                [18, 255],
            ),
        ];
        for (color, depth, row, colours, greys) in cases {
            let bytes = file(color, depth, 2, &[row]);
            let case = format!("{color:?} {depth:?}");
            assert_eq!(
                pixels(&bytes, Some(3)),
                (vec![1, 2, 3], colours.to_vec()),
                "{case}"
            );
            assert_eq!(
                pixels(&bytes, Some(1)),
                (vec![1, 2, 1], greys.to_vec()),
                "{case}"
            );
        }
        let bytes = file(GrayscaleAlpha, Eight, 1, &[&[7, 3]]);
        assert_eq!(pixels(&bytes, Some(4)).1, [7, 7, 7, 3]);
        assert_eq!(pixels(&bytes, None), (vec![1, 1, 1], vec![7]));
    }

    #[test]
    fn promises_cuts_and_other_files_are_errors() {
        let whole = file(ColorType::Grayscale, BitDepth::Eight, 8, &[&[1; 8][..]; 8]);
        let message = |bytes: Vec<u8>| {
            let error = read(&mut Input::from_bytes("a.png", bytes), Some(1)).unwrap_err();
            error.to_string()
        };
        for cut in 0..whole.len() {
            let text = message(whole[..cut].to_vec());
            assert!(
                text.contains("`a.png`, byte 0: expected a whole PNG"),
                "{cut}: {text}"
            );
        }
        let mut promise = whole.clone();
        promise[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0, 0, 0x40, 0]);
        let crc = crc32(&promise[12..29]);
        promise[29..33].copy_from_slice(&crc.to_be_bytes());
        let text = message(promise);
        assert!(text.contains("a.png"), "{text}");
        let mut tall = whole.clone();
        tall[20..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff]);
        let crc = crc32(&tall[12..29]);
        tall[29..33].copy_from_slice(&crc.to_be_bytes());
        let text = message(tall);
        assert!(text.contains("8x2147483647 pixels"), "{text}");
        assert!(message(b"hello".to_vec()).contains("damaged"));
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(bytes);
        crc.sum()
    }
}
