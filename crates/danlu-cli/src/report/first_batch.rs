//! A picture of the first batch that a training sees.

use std::path::Path;
use std::sync::Arc;

use danlu::data::sources::png;
use danlu::data::{Batch, BatchSource as _, Batches, Dataset, validation_split};
use danlu::files::events::{EventWriter, Image};
use danlu::graph::{DType, Tensor};
use danlu::plots::{Picture, PictureGrid};

use crate::recipe::Recipe;

/// At most so many pictures are shown, and in a row.
const MOST: usize = 32;
const COLUMNS: usize = 8;
/// Pictures of longer sides are not kept: the report would be as large as the data.
const LONGEST: usize = 512;

/// The first batch's pictures.
#[derive(Debug)]
pub struct FirstBatch {
    /// For the report and `first_batch.svg`.
    pub grid: PictureGrid,
}

impl FirstBatch {
    /// The first batch of a training part, where its examples are pictures.
    ///
    /// # Errors
    /// The examples cannot be read.
    pub fn new(train: &Arc<dyn Dataset>, recipe: &Recipe) -> danlu::Result<Option<FirstBatch>> {
        let specification = train.specification();
        let [field] = specification.features.as_slice() else {
            return Ok(None);
        };
        let [height, width, channels] = field.shape[..] else {
            return Ok(None);
        };
        let shown = field.pixels && [1, 3].contains(&channels);
        if !shown || height.max(width) > LONGEST || height.min(width) < 2 {
            return Ok(None);
        }
        let training = &recipe.training;
        let part: Arc<dyn Dataset> = match training.validation_split > 0.0 {
            true => Arc::new(validation_split(train.clone(), training.validation_split)?.0),
            false => train.clone(),
        };
        let seed = training.shuffle.then_some(training.seed);
        let mut batches = Batches::new(part, training.batch_size.min(MOST), seed)?;
        let mut batch = Batch::default();
        if !batches.next_batch(&mut batch)? {
            return Ok(None);
        }
        let Some(pixels) = batch.features.first().and_then(Tensor::as_f32) else {
            return Ok(None);
        };
        // Bytes come scaled; what the largest possible byte became is white again.
        let bytes = bytes(pixels, recipe.pixel_scale);
        let labels = batch.targets.first();
        let names = specification.class_names.as_deref().unwrap_or(&[]);
        let size = height * width * channels;
        let pictures =
            bytes
                .chunks_exact(size)
                .enumerate()
                .map(|(place, pixels)| -> danlu::Result<Picture> {
                    let picture = Tensor::from_u8(&[height, width, channels], pixels.to_vec())?;
                    let mut file = Vec::new();
                    let written = png::write(&mut file, &picture);
                    written.map_err(|error| {
                        danlu::data::Error::file("make", "a picture".to_owned(), error)
                    })?;
                    Ok(Picture {
                        png: file,
                        label: label(labels, place, names),
                    })
                });
        Ok(Some(FirstBatch {
            grid: PictureGrid {
                title: match training.batch_size > MOST {
                    true => format!(
                        "The first {MOST} of the first batch's {} examples",
                        training.batch_size
                    ),
                    false => "The first batch".to_owned(),
                },
                pixels: (width, height),
                columns: COLUMNS,
                pictures: pictures.collect::<danlu::Result<_>>()?,
            },
        }))
    }

    /// Writes the pictures for TensorBoard, as `first_batch`.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn write_event(&self, folder: &Path) -> danlu::Result<()> {
        let (width, height) = self.grid.pixels;
        let mut images = Vec::new();
        for Picture { png, .. } in &self.grid.pictures {
            images.push(Image { width, height, png });
        }
        let mut writer = EventWriter::create(folder)?;
        writer.images("first_batch", 0, &images)?;
        Ok(writer.flush()?)
    }
}

/// Numbers as shades: by the scale where it is known and they fit it, else from the least to the largest.
fn bytes(pixels: &[f32], scale: Option<f64>) -> Vec<u8> {
    let ends = pixels
        .iter()
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &value| {
            (low.min(value), high.max(value))
        });
    let (low, high) = match scale {
        Some(scale) if ends.0 >= 0.0 && f64::from(ends.1) <= scale * 255.5 => {
            (0.0, scale as f32 * 255.0)
        }
        _ => ends,
    };
    let range = (high - low).max(f32::MIN_POSITIVE);
    let shade = |&value: &f32| ((value - low) / range * 255.0).round().clamp(0.0, 255.0) as u8;
    pixels.iter().map(shade).collect()
}

/// An example's class, or the number that is to be learned.
fn label(targets: Option<&Tensor>, place: usize, names: &[String]) -> String {
    let Some(targets) = targets else {
        return String::new();
    };
    let size: usize = targets.shape().iter().skip(1).product();
    if size != 1 {
        return String::new();
    }
    let Some(&value) = targets.to_f64().get(place) else {
        return String::new();
    };
    match names.get(value as usize).filter(|_| value >= 0.0) {
        Some(name) => name.clone(),
        None if targets.dtype() == DType::F32 && value.fract() != 0.0 => format!("{value:.3}"),
        None => format!("{value}"),
    }
}
