//! Curves.

use std::fmt::Write as _;

use super::Panel;
use super::axis::Axis;
use super::style::COLORS;
use super::svg::{CHARACTER, escape, shortened};

/// Up to so many points of a curve are dots as well.
const DOTS: usize = 40;
const LEFT: f64 = 50.0;
const RIGHT: f64 = 14.0;
const BOTTOM: f64 = 40.0;
const TITLE: f64 = 26.0;
const LEGEND: f64 = 17.0;

/// A curve.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// What the legend calls it.
    pub name: String,
    /// Its points, from left to right; a value that is no number makes a gap.
    pub points: Vec<(f64, f64)>,
    /// Which of the colours it has.
    pub color: usize,
    /// Whether its line is dashed.
    pub dashed: bool,
}

/// Curves over whole numbers, such as epochs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// What is drawn.
    pub title: String,
    /// What the numbers from left to right are.
    pub x_label: String,
    /// The curves.
    pub series: Vec<Series>,
    /// A place from left to right that is marked, and why.
    pub mark: Option<(f64, String)>,
    /// Whether the scale may be logarithmic, where the range is wide.
    pub may_be_logarithmic: bool,
    /// Width and height without title and legend, in pixels.
    pub size: (f64, f64),
}

impl Chart {
    fn legend_rows(&self) -> Vec<Vec<(f64, usize)>> {
        let room = self.size.0 - LEFT - RIGHT;
        let mut rows = vec![Vec::new()];
        let mut left = 0.0;
        for (place, series) in self.series.iter().enumerate() {
            let width = 30.0 + legend(&series.name).chars().count() as f64 * CHARACTER;
            if left > 0.0 && left + width > room {
                rows.push(Vec::new());
                left = 0.0;
            }
            if let Some(row) = rows.last_mut() {
                row.push((left, place));
            }
            left += width;
        }
        rows
    }

    fn top(&self) -> f64 {
        TITLE + LEGEND * self.legend_rows().len() as f64 + 6.0
    }
}

fn legend(name: &str) -> String {
    shortened(name, 40)
}

impl Panel for Chart {
    fn size(&self) -> (f64, f64) {
        (self.size.0, self.size.1 + self.top())
    }

    fn title(&self) -> &str {
        &self.title
    }

    fn draw(&self) -> String {
        let top = self.top();
        let (width, height) = (self.size.0 - LEFT - RIGHT, self.size.1 - BOTTOM);
        let points = || self.series.iter().flat_map(|series| &series.points);
        let ends = points().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (x, _)| {
            (low.min(*x), high.max(*x))
        });
        let (low, high) = if ends.0 <= ends.1 { ends } else { (0.0, 1.0) };
        let across = Axis::whole(low, high, (width / 50.0) as usize);
        let up = Axis::of(points().map(|(_, y)| *y), 4, self.may_be_logarithmic);
        let x = |value: f64| across.place(value).map(|place| LEFT + place * width);
        let y = |value: f64| up.place(value).map(|place| top + (1.0 - place) * height);
        let mut text = format!(
            "<text class=\"title\" x=\"{LEFT}\" y=\"18\">{}</text>",
            escape(&self.title)
        );
        // Writing to a String cannot fail.
        for (row, entries) in self.legend_rows().iter().enumerate() {
            let middle = TITLE + LEGEND * row as f64 + 8.0;
            for &(left, place) in entries {
                let series = &self.series[place];
                let left = LEFT + left;
                let _ = write!(
                    text,
                    "<path class=\"line {}\" d=\"M{left:.1} {middle}h16\"/><text class=\"legend\" x=\"{:.1}\" y=\"{}\">{}</text>",
                    class(series),
                    left + 21.0,
                    middle + 4.0,
                    escape(&legend(&series.name)),
                );
            }
        }
        for (value, label) in &up.marks {
            if let Some(y) = y(*value) {
                let _ = write!(
                    text,
                    "<path class=\"rule\" d=\"M{LEFT} {y:.1}h{width:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                    LEFT - 6.0,
                    y + 4.0,
                );
            }
        }
        let floor = top + height;
        let _ = write!(
            text,
            "<path class=\"axis\" d=\"M{LEFT} {floor:.1}h{width:.1}\"/>"
        );
        for (value, label) in &across.marks {
            if let Some(x) = x(*value) {
                let _ = write!(
                    text,
                    "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
                    floor + 15.0
                );
            }
        }
        let _ = write!(
            text,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            LEFT + width / 2.0,
            floor + 31.0,
            escape(&self.x_label),
        );
        if let Some((place, why)) = &self.mark
            && let Some(x) = x(*place)
        {
            let (anchor, shift) = match x > LEFT + width / 2.0 {
                true => ("end", -5.0),
                false => ("start", 5.0),
            };
            let _ = write!(
                text,
                "<path class=\"mark\" d=\"M{x:.1} {top:.1}v{height:.1}\"/><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
                x + shift,
                top + 9.0,
                escape(why),
            );
        }
        for series in &self.series {
            let mut path = String::new();
            let mut pen_down = false;
            let mut dots = String::new();
            for &(across, up) in &series.points {
                let (Some(x), Some(y)) = (x(across), y(up).filter(|_| up.is_finite())) else {
                    pen_down = false;
                    continue;
                };
                let _ = write!(path, "{}{x:.1} {y:.1}", if pen_down { 'L' } else { 'M' });
                pen_down = true;
                if series.points.len() <= DOTS {
                    let _ = write!(
                        dots,
                        "<circle class=\"f{}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.4\"><title>{}: {up}</title></circle>",
                        series.color % COLORS,
                        escape(&format!("{} {across}, {}", self.x_label, series.name)),
                    );
                }
            }
            if !path.is_empty() {
                let _ = write!(
                    text,
                    "<path class=\"line {}\" d=\"{path}\"/>{dots}",
                    class(series)
                );
            }
        }
        text
    }
}

fn class(series: &Series) -> String {
    let dashed = if series.dashed { " dashed" } else { "" };
    format!("s{}{dashed}", series.color % COLORS)
}
