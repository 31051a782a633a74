//! Pictures side by side, with words below them.

use std::fmt::Write as _;

use super::svg::{CHARACTER, escape, shortened};
use super::{Panel, encode_base64};

/// A picture with a word.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// The PNG file.
    pub png: Vec<u8>,
    /// What stands below it.
    pub label: String,
}

/// Pictures of one size in rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PictureGrid {
    /// What is drawn.
    pub title: String,
    /// Width and height of each picture in its own pixels.
    pub pixels: (usize, usize),
    /// How many stand in a row.
    pub columns: usize,
    /// The pictures.
    pub pictures: Vec<Picture>,
}

const GAP: f64 = 8.0;
const TOP: f64 = 28.0;
const LABEL: f64 = 16.0;
/// The longer side of a picture as it is drawn.
const SIDE: f64 = 56.0;

impl PictureGrid {
    /// Width and height of a picture as it is drawn.
    fn drawn(&self) -> (f64, f64) {
        let (width, height) = (self.pixels.0.max(1) as f64, self.pixels.1.max(1) as f64);
        let scale = SIDE / width.max(height);
        (width * scale, height * scale)
    }

    fn columns(&self) -> usize {
        self.columns.clamp(1, self.pictures.len().max(1))
    }
}

impl Panel for PictureGrid {
    fn size(&self) -> (f64, f64) {
        let (width, height) = self.drawn();
        let columns = self.columns();
        let rows = self.pictures.len().div_ceil(columns);
        (
            (GAP + (width + GAP) * columns as f64).max(180.0),
            TOP + (height + LABEL + GAP) * rows as f64,
        )
    }

    fn title(&self) -> &str {
        &self.title
    }

    fn draw(&self) -> String {
        let (width, height) = self.drawn();
        let columns = self.columns();
        let mut text = format!(
            "<text class=\"title\" x=\"{GAP}\" y=\"18\">{}</text>",
            escape(&self.title)
        );
        for (place, picture) in self.pictures.iter().enumerate() {
            let x = GAP + (width + GAP) * (place % columns) as f64;
            let y = TOP + (height + LABEL + GAP) * (place / columns) as f64;
            let room = ((width + GAP) / CHARACTER) as usize;
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "<image class=\"pixels\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" href=\"data:image/png;base64,{}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                encode_base64(&picture.png),
                x + width / 2.0,
                y + height + 12.0,
                escape(&shortened(&picture.label, room)),
            );
        }
        text
    }
}
