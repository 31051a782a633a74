//! `digits`: 1,797 handwritten digits of 8x8 pixels, which come with the build (see `assets/README.md` for where they are from and
//! their licence, CC BY 4.0).

use super::{Input, Source, pair};
use crate::Result;

const IMAGES: &[u8] = include_bytes!("../../assets/digits-images.idx.gz");
const LABELS: &[u8] = include_bytes!("../../assets/digits-labels.idx.gz");

/// The first examples train, the last 297 test.
const TRAINING: usize = 1500;

/// The dataset: pixels 0 to 255 of shape `(8, 8, 1)`, labels 0 to 9.
///
/// # Errors
/// None, as long as the build is whole.
pub fn open() -> Result<Source> {
    let images = super::idx::read(&mut Input::from_bytes("digits, images", IMAGES))?;
    let labels = super::idx::read(&mut Input::from_bytes("digits, labels", LABELS))?;
    let count = images.shape()[0];
    let part = |name: &str, start: usize, end: usize| {
        pair(
            name,
            ["digits, images", "digits, labels"],
            images.rows(start, end)?,
            labels.rows(start, end)?,
        )
    };
    let train = part("training part of digits", 0, TRAINING)?;
    let test = part("test part of digits", TRAINING, count)?;
    Source::new("digits", None, Some(train), Some(test))
}
