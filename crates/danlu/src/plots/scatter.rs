//! Points.

use std::fmt::Write as _;

use super::Panel;
use super::axis::Axis;
use super::svg::escape;

/// Numbers and what was predicted of them, with the line on which both are the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scatter {
    /// What is drawn.
    pub title: String,
    /// The true number and the predicted one of each example.
    pub points: Vec<(f64, f64)>,
}

/// More points than this are thinned out evenly.
const MOST: usize = 2000;
const SIDE: f64 = 300.0;
const LEFT: f64 = 54.0;
const TOP: f64 = 30.0;

impl Panel for Scatter {
    fn size(&self) -> (f64, f64) {
        (LEFT + SIDE + 16.0, TOP + SIDE + 42.0)
    }

    fn title(&self) -> &str {
        &self.title
    }

    fn draw(&self) -> String {
        let every = self.points.len().div_ceil(MOST).max(1);
        let finite =
            |&&(actual, predicted): &&(f64, f64)| actual.is_finite() && predicted.is_finite();
        let points: Vec<&(f64, f64)> = self.points.iter().step_by(every).filter(finite).collect();
        let axis = Axis::of(points.iter().flat_map(|&&(a, b)| [a, b]), 5, false);
        let place = |value: f64| axis.place(value).unwrap_or(0.0) * SIDE;
        let floor = TOP + SIDE;
        let mut text = format!(
            "<text class=\"title\" x=\"{LEFT}\" y=\"18\">{}</text>",
            escape(&self.title)
        );
        // Writing to a String cannot fail.
        for (value, label) in &axis.marks {
            let at = place(*value);
            let _ = write!(
                text,
                "<path class=\"rule\" d=\"M{LEFT} {:.1}h{SIDE}M{:.1} {TOP}v{SIDE}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
                floor - at,
                LEFT + at,
                LEFT - 6.0,
                floor - at + 4.0,
                LEFT + at,
                floor + 15.0,
            );
        }
        let _ = write!(
            text,
            "<path class=\"mark\" d=\"M{LEFT} {floor}L{:.1} {TOP}\"/><g class=\"dots f0\">",
            LEFT + SIDE
        );
        for (actual, predicted) in points {
            let _ = write!(
                text,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.2\"/>",
                LEFT + place(*actual),
                floor - place(*predicted)
            );
        }
        let _ = write!(
            text,
            "</g><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">true value</text>\
             <text x=\"12\" y=\"{:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 12 {:.1})\">predicted</text>",
            LEFT + SIDE / 2.0,
            floor + 33.0,
            TOP + SIDE / 2.0,
            TOP + SIDE / 2.0,
        );
        text
    }
}
