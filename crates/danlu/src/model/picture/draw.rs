//! Boxes and lines as SVG.

use std::fmt::Write as _;

use super::layout::Placed;
use super::{Card, Diagram, Look};
use crate::plots::escape;

/// A box's height, the room between two rows and the picture's edge, in pixels.
const HEIGHT: f64 = 46.0;
const BETWEEN: f64 = 34.0;
const EDGE: f64 = 16.0;
/// Between the ends of lines at one box.
const APART: f64 = 16.0;
/// What a character takes, at most nearly always.
const CHARACTER: f64 = 7.1;
const SMALL: f64 = 6.3;

/// Boxes are light with dark words, lines of a grey between: readable on any background.
const STYLE: &str = "\
.network .box{stroke-width:1.2}.network .thick{stroke-width:3.5}\
.network .input{fill:#dcebfb;stroke:#3d7ab8}.network .learned{fill:#fdf1d8;stroke:#b98a2b}.network .plain{fill:#f2f3f5;stroke:#8a93a0}\
.network .merging{fill:#e3f4e4;stroke:#4c9556}.network .model{fill:#eee6fa;stroke:#7a58b0}\
.network text{font-family:system-ui,-apple-system,'Segoe UI','DejaVu Sans',sans-serif;fill:#1c232b}\
.network .name{font-size:12.5px;font-weight:600}.network .type{font-size:12px;fill:#4a5562}.network .facts{font-size:11px;fill:#4a5562}\
.network .end{font-size:11.5px;fill:#7b8794}.network .line{fill:none;stroke:#7b8794;stroke-width:1.5}.network .head{fill:#7b8794}";

/// The width of a box.
pub(super) fn width(card: &Card) -> f64 {
    let characters = |text: &str| text.chars().count() as f64;
    let first =
        (characters(&card.name) + 2.0) * CHARACTER + characters(&card.class_name) * CHARACTER;
    let second = characters(&card.facts) * SMALL;
    (first.max(second) + 28.0).max(120.0).ceil()
}

fn top(row: usize) -> f64 {
    EDGE + row as f64 * (HEIGHT + BETWEEN)
}

/// The document.
pub(super) fn document(name: &str, diagram: &Diagram, widths: &[f64], placed: &Placed) -> String {
    let ends = |call: usize| diagram.outputs.iter().filter(move |(own, _)| *own == call);
    let label = |call: usize| {
        let names: Vec<&str> = ends(call).map(|(_, name)| name.as_str()).collect();
        names.join(", ")
    };
    // Names of outputs stand below their boxes, and may be wider.
    let words = |&(call, _): &(usize, String)| {
        let half = label(call).chars().count() as f64 * SMALL / 2.0;
        (placed.boxes[call].1, half)
    };
    let before = diagram.outputs.iter().map(words);
    let before = before
        .map(|(middle, half)| half - middle)
        .fold(0.0, f64::max);
    let right = diagram.outputs.iter().map(words);
    let right = right
        .map(|(middle, half)| middle + half)
        .fold(placed.width, f64::max);
    let shift = EDGE + before.ceil();
    let width = (shift + right + EDGE).ceil();
    let height = top(placed.rows) + 6.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" class=\"network\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n\
         <defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\">\
         <path class=\"head\" d=\"M0 0L8 4L0 8z\"/></marker></defs>\n",
        escape(name)
    );
    let ports = Ports::new(diagram, placed);
    for (edge, &(from, to)) in diagram.edges.iter().enumerate() {
        let (start, end) = ports.of_edge[edge];
        let mut path = format!(
            "M{:.1} {:.1}",
            shift + start,
            top(placed.boxes[from].0) + HEIGHT
        );
        let mut x = start;
        let mut row = placed.boxes[from].0;
        for &pass in placed.passes[edge].iter().chain(std::iter::once(&end)) {
            let (above, below) = (top(row) + HEIGHT, top(row + 1));
            let middle = (above + below) / 2.0;
            // Writing to a String cannot fail.
            let _ = match (pass - x).abs() < 0.5 {
                true => write!(path, "V{below:.1}"),
                false => write!(
                    path,
                    "C{:.1} {middle:.1} {:.1} {middle:.1} {:.1} {below:.1}",
                    shift + x,
                    shift + pass,
                    shift + pass
                ),
            };
            (x, row) = (pass, row + 1);
            // Through the row, past its boxes.
            if row < placed.boxes[to].0 {
                let _ = write!(path, "V{:.1}", top(row) + HEIGHT);
            }
        }
        let _ = writeln!(
            text,
            "<path class=\"line\" marker-end=\"url(#head)\" d=\"{path}\"/>"
        );
    }
    for (call, card) in diagram.cards.iter().enumerate() {
        let (row, middle) = placed.boxes[call];
        let (x, y) = (shift + middle, top(row));
        let (class, thick) = match card.look {
            Look::Input => ("input", ""),
            Look::Learned => ("learned", ""),
            Look::Plain => ("plain", ""),
            Look::Merging => ("merging", ""),
            Look::Model => ("model", " thick"),
        };
        let _ = writeln!(
            text,
            "<rect class=\"box {class}{thick}\" x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{HEIGHT}\" rx=\"6\"/>\n\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\"><tspan class=\"name\">{}</tspan> <tspan class=\"type\" dx=\"5\">{}</tspan></text>\n\
             <text class=\"facts\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            x - widths[call] / 2.0,
            widths[call],
            y + 19.0,
            escape(&card.name),
            escape(&card.class_name),
            y + 37.0,
            escape(&card.facts),
        );
        let label = label(call);
        if label.is_empty() {
            continue;
        }
        let out = ports.of_output[call].unwrap_or(middle) + shift;
        let below = y + HEIGHT;
        let _ = writeln!(
            text,
            "<path class=\"line\" marker-end=\"url(#head)\" d=\"M{out:.1} {below:.1}V{:.1}\"/>\n\
             <text class=\"end\" x=\"{out:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            below + 14.0,
            below + 26.0,
            escape(&label),
        );
    }
    text + "</svg>\n"
}

/// Where lines leave boxes and arrive, in pixels from the left: side by side, in the order of where they come from.
struct Ports {
    of_edge: Vec<(f64, f64)>,
    /// Where an output leaves a box.
    of_output: Vec<Option<f64>>,
}

impl Ports {
    fn new(diagram: &Diagram, placed: &Placed) -> Ports {
        let mut ports = Ports {
            of_edge: vec![(0.0, 0.0); diagram.edges.len()],
            of_output: vec![None; diagram.cards.len()],
        };
        let next = |edge: usize| {
            let to = diagram.edges[edge].1;
            placed.passes[edge]
                .first()
                .copied()
                .unwrap_or(placed.boxes[to].1)
        };
        let last = |edge: usize| {
            let from = diagram.edges[edge].0;
            placed.passes[edge]
                .last()
                .copied()
                .unwrap_or(placed.boxes[from].1)
        };
        // A line that can be straight is, and the others are beside it; else all are spread around the middle.
        let spread = |middle: f64, others: &[f64]| -> Vec<f64> {
            let straight = others.iter().position(|other| (other - middle).abs() < 0.5);
            let first = straight.map_or((others.len() as f64 - 1.0) / 2.0, |place| place as f64);
            (0..others.len())
                .map(|place| middle + (place as f64 - first) * APART)
                .collect()
        };
        for (call, &(_, middle)) in placed.boxes.iter().enumerate() {
            let edges = || 0..diagram.edges.len();
            let mut arriving: Vec<usize> = edges()
                .filter(|&edge| diagram.edges[edge].1 == call)
                .collect();
            arriving.sort_by(|&a, &b| last(a).total_cmp(&last(b)));
            let others: Vec<f64> = arriving.iter().map(|&edge| last(edge)).collect();
            for (&edge, x) in arriving.iter().zip(spread(middle, &others)) {
                ports.of_edge[edge].1 = x;
            }
            let mut leaving: Vec<usize> = edges()
                .filter(|&edge| diagram.edges[edge].0 == call)
                .collect();
            leaving.sort_by(|&a, &b| next(a).total_cmp(&next(b)));
            let output = diagram.outputs.iter().any(|(own, _)| *own == call);
            let others: Vec<f64> = leaving.iter().map(|&edge| next(edge)).collect();
            for (&edge, x) in leaving.iter().zip(spread(middle, &others)) {
                // One line alone leaves in the middle, wherever it goes.
                ports.of_edge[edge].0 = if leaving.len() == 1 { middle } else { x };
            }
            if output {
                // Beside the lines that leave.
                let right = leaving.iter().map(|&edge| ports.of_edge[edge].0);
                let right = right.fold(middle, f64::max) + APART + 24.0;
                ports.of_output[call] = Some(if leaving.is_empty() { middle } else { right });
            }
        }
        ports
    }
}
