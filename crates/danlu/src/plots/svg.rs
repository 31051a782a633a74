//! Documents and words.

use std::fmt::Write as _;

use super::STYLE;

/// The width of a character of 11 pixels, nearly always at most.
pub(super) const CHARACTER: f64 = 6.3;

/// A text as it stands in SVG and HTML.
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\n' | '\t' => safe.push(character),
            // Not allowed in XML.
            control if control.is_control() => safe.push(' '),
            '\u{fffe}' | '\u{ffff}' => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}

/// A text of at most so many characters, its end left out.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.chars().count() <= most {
        true => text.to_owned(),
        false => text
            .chars()
            .take(most.saturating_sub(1))
            .chain(['…'])
            .collect(),
    }
}

/// An SVG document, or an element of a page that has the style already.
pub(super) fn document(title: &str, width: f64, height: f64, body: &str, alone: bool) -> String {
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">"
    );
    // Writing to a String cannot fail.
    let _ = write!(text, "<title>{}</title>", escape(title));
    if alone {
        let _ = write!(
            text,
            "<style>{STYLE}</style><rect class=\"ground\" width=\"{width}\" height=\"{height}\"/>"
        );
    }
    text + body + "</svg>\n"
}
