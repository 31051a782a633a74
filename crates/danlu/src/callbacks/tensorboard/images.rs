//! Weights as pictures, in Keras' way.

use danlu_data::sources::png;
use danlu_graph::Tensor;

use crate::files::events::{EventWriter, Image};
use crate::{Error, Result};

/// `tf.summary.image` writes no more.
const MOST: usize = 3;

/// Writes a weight as pictures: axes of length 1 left out, a bias as a column, a matrix lying, of three axes each last index a picture of
/// its own; of four, where the last has as many channels as pictures can have. Others are not written. Numbers from 0 to 1 are
/// shades; what is outside is black or white.
pub(super) fn write(
    writer: &mut EventWriter,
    tag: &str,
    epoch: u64,
    weight: &Tensor,
) -> Result<()> {
    let Some(([count, height, width, channels], order)) = arrangement(weight.shape()) else {
        return Ok(());
    };
    let values = weight.to_f64();
    let mut files = Vec::new();
    for picture in 0..count.min(MOST) {
        let mut pixels = Vec::with_capacity(height * width * channels);
        for row in 0..height {
            for column in 0..width {
                for channel in 0..channels {
                    let place = order[0] * picture
                        + order[1] * row
                        + order[2] * column
                        + order[3] * channel;
                    // As TensorFlow's convert_image_dtype: the last half of the range is cut off, not rounded.
                    pixels.push((values[place] * 255.5).clamp(0.0, 255.0) as u8);
                }
            }
        }
        let picture = Tensor::from_u8(&[height, width, channels], pixels)?;
        let mut file = Vec::new();
        let written = png::write(&mut file, &picture);
        written
            .map_err(|error| Error::from(danlu_data::Error::file("make", tag.to_owned(), error)))?;
        files.push(file);
    }
    let images: Vec<Image<'_>> = files
        .iter()
        .map(|png| Image { width, height, png })
        .collect();
    Ok(writer.images(tag, epoch, &images)?)
}

/// Number of pictures, height, width and channels, and how far apart neighbours of each lie in the weight.
fn arrangement(shape: &[usize]) -> Option<([usize; 4], [usize; 4])> {
    let sizes: Vec<usize> = shape.iter().copied().filter(|size| *size != 1).collect();
    match sizes[..] {
        _ if sizes.contains(&0) => None,
        [length] => Some(([1, length, 1, 1], [0, 1, 0, 0])),
        [rows, columns] if rows > columns => Some(([1, columns, rows, 1], [0, 1, columns, 0])),
        [rows, columns] => Some(([1, rows, columns, 1], [0, columns, 1, 0])),
        [rows, columns, count] => Some(([count, rows, columns, 1], [1, columns * count, count, 0])),
        [count, rows, columns, channels @ (3 | 4)] => Some((
            [count, rows, columns, channels],
            [rows * columns * channels, columns * channels, channels, 1],
        )),
        _ => None,
    }
}
