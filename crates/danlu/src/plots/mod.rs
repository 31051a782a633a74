//! Plots as SVG: curves, matrices, points, pictures in a grid. They need nothing else to be looked at: styles are in them, and they
//! follow the light or dark theme of whoever looks.
//!
//! A [`Panel`] is drawn alone by [`Panel::to_svg`], or several in a picture by [`sheet`].

mod axis;
mod base64;
mod chart;
mod grid;
mod matrix;
mod scatter;
mod style;
mod svg;

pub use base64::encode as encode_base64;
pub use chart::{Chart, Series};
pub use grid::{Picture, PictureGrid};
pub use matrix::Matrix;
pub use scatter::Scatter;
pub use style::STYLE;
pub use svg::escape;

/// Something that is drawn in a rectangle of a size of its own.
pub trait Panel {
    /// Width and height in pixels.
    fn size(&self) -> (f64, f64);

    /// Its SVG elements, from (0, 0) on, for a document that has [`STYLE`].
    fn draw(&self) -> String;

    /// What it is, for those who do not see it.
    fn title(&self) -> &str;

    /// An SVG document of it alone.
    fn to_svg(&self) -> String {
        let (width, height) = self.size();
        svg::document(self.title(), width, height, &self.draw(), true)
    }

    /// An `svg` element for a page that has [`STYLE`] itself.
    fn to_element(&self) -> String {
        let (width, height) = self.size();
        svg::document(self.title(), width, height, &self.draw(), false)
    }
}

/// Panels in rows of `columns`, as one SVG document.
pub fn sheet(title: &str, columns: usize, panels: &[&dyn Panel]) -> String {
    let columns = columns.clamp(1, panels.len().max(1));
    let mut body = String::new();
    let (mut width, mut top) = (0.0f64, 0.0f64);
    for row in panels.chunks(columns) {
        let (mut left, mut tallest) = (0.0f64, 0.0f64);
        for panel in row {
            let (own_width, own_height) = panel.size();
            body += &format!(
                "<g transform=\"translate({left} {top})\">{}</g>",
                panel.draw()
            );
            left += own_width;
            tallest = tallest.max(own_height);
        }
        width = width.max(left);
        top += tallest;
    }
    svg::document(title, width, top, &body, true)
}

#[cfg(test)]
mod tests;
