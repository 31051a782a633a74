//! Names of files with `{epoch:02d}` and `{val_loss:.2f}` in them, as Python's `str.format` fills them in.

use crate::{Error, Result};

/// What stands in the place of a name.
#[derive(Clone, Copy, Debug)]
pub(super) enum Field {
    Whole(usize),
    Number(f64),
}

#[derive(Clone, Debug, PartialEq)]
enum Piece {
    Text(String),
    Field { name: String, spec: Spec },
}

/// `[[fill]align][sign][0][width][.precision][type]`.
#[derive(Clone, Debug, PartialEq)]
struct Spec {
    fill: char,
    align: Option<char>,
    sign: char,
    width: usize,
    precision: Option<usize>,
    kind: Option<char>,
}

/// A text with names in braces.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Template {
    pieces: Vec<Piece>,
}

/// Wider or finer is a slip of the keyboard.
const LARGEST: usize = 255;

impl Template {
    /// Reads a text; `owner` and `argument` are whose it is.
    pub fn parse(owner: &str, argument: &str, text: &str) -> Result<Template> {
        let wrong = |expected: &str| Error::argument(owner, argument, expected, text);
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(place) = rest.find(['{', '}']) {
            plain.push_str(&rest[..place]);
            let brace = &rest[place..=place];
            rest = &rest[place + 1..];
            if let Some(after) = rest.strip_prefix(brace) {
                plain.push_str(brace);
                rest = after;
                continue;
            }
            let end = rest.find('}').filter(|_| brace == "{");
            let end = end.ok_or_else(|| wrong("names in pairs of braces, such as {epoch:02d}"))?;
            let (name, spec) = match rest[..end].split_once(':') {
                Some((name, spec)) => (name, spec),
                None => (&rest[..end], ""),
            };
            let spec = Spec::parse(spec);
            let spec = spec.filter(|_| !name.is_empty()).ok_or_else(|| {
                wrong("names with formats such as {epoch:02d} and {val_loss:.2f}")
            })?;
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            let name = name.to_owned();
            pieces.push(Piece::Field { name, spec });
            rest = &rest[end + 1..];
        }
        plain.push_str(rest);
        pieces.push(Piece::Text(plain));
        Ok(Template { pieces })
    }

    /// The names in it, and whether each is given as a whole number.
    pub fn names(&self) -> impl Iterator<Item = (&str, bool)> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Field { name, spec } => Some((name.as_str(), spec.kind == Some('d'))),
        })
    }

    /// The text with values in the place of names; an error is a name that `value` does not know.
    pub fn fill(&self, value: impl Fn(&str) -> Option<Field>) -> Result<String, String> {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Field { name, spec } => {
                    let value = value(name).ok_or_else(|| name.clone())?;
                    text.push_str(&spec.show(value));
                }
            }
        }
        Ok(text)
    }
}

impl Spec {
    fn parse(text: &str) -> Option<Spec> {
        let mut letters: Vec<char> = text.chars().collect();
        let is_align = |letter: Option<&char>| letter.is_some_and(|one| "<>^=".contains(*one));
        let mut spec = Spec {
            fill: ' ',
            align: None,
            sign: '-',
            width: 0,
            precision: None,
            kind: None,
        };
        if is_align(letters.get(1)) {
            (spec.fill, spec.align) = (letters[0], Some(letters[1]));
            letters.drain(..2);
        } else if is_align(letters.first()) {
            spec.align = Some(letters.remove(0));
        }
        if letters.first().is_some_and(|one| "+- ".contains(*one)) {
            spec.sign = letters.remove(0);
        }
        if letters.first() == Some(&'0') && spec.align.is_none() {
            (spec.fill, spec.align) = ('0', Some('='));
        }
        let number = |letters: &mut Vec<char>| {
            let digits = letters.iter().take_while(|one| one.is_ascii_digit());
            let digits: String = digits.collect();
            letters.drain(..digits.len());
            let number: Option<usize> = digits.parse().ok();
            number.filter(|&number| number <= LARGEST)
        };
        if letters.first().is_some_and(char::is_ascii_digit) {
            spec.width = number(&mut letters)?;
        }
        if letters.first() == Some(&'.') {
            letters.remove(0);
            spec.precision = Some(number(&mut letters)?);
        }
        match letters.as_slice() {
            [] => {}
            [kind] if "dfFeEgG%".contains(*kind) => spec.kind = Some(*kind),
            _ => return None,
        }
        (spec.kind != Some('d') || spec.precision.is_none()).then_some(spec)
    }

    fn show(&self, value: Field) -> String {
        let (negative, digits) = match (value, self.kind) {
            (Field::Whole(number), None | Some('d')) => (false, number.to_string()),
            (Field::Whole(number), _) => self.digits(number as f64),
            (Field::Number(number), _) => self.digits(number),
        };
        let sign = match (negative, self.sign) {
            (true, _) => "-",
            (false, '+') => "+",
            (false, ' ') => " ",
            _ => "",
        };
        let room = self.width.saturating_sub(sign.len() + digits.len());
        let filling = |count: usize| self.fill.to_string().repeat(count);
        match self.align.unwrap_or('>') {
            '=' => format!("{sign}{}{digits}", filling(room)),
            '<' => format!("{sign}{digits}{}", filling(room)),
            '^' => format!(
                "{}{sign}{digits}{}",
                filling(room / 2),
                filling(room - room / 2)
            ),
            _ => format!("{}{sign}{digits}", filling(room)),
        }
    }

    /// Whether a number is negative, and its digits.
    fn digits(&self, number: f64) -> (bool, String) {
        let negative = number.is_sign_negative() && !number.is_nan();
        let size = number.abs();
        let precision = self.precision.unwrap_or(6);
        let text = match self.kind {
            _ if !size.is_finite() => size.to_string().to_lowercase(),
            Some('f' | 'F') => format!("{size:.precision$}"),
            Some('%') => format!("{:.precision$}%", size * 100.0),
            Some('e') => scientific(size, precision),
            Some('E') => scientific(size, precision).to_uppercase(),
            Some('g') => general(size, precision),
            Some('G') => general(size, precision).to_uppercase(),
            // As `g`, but a whole number has a decimal.
            _ => match self.precision {
                Some(precision) => with_decimal(general(size, precision)),
                None => shortest(size),
            },
        };
        (negative, text)
    }
}

/// `1.50e-07`: Python writes at least two digits of the exponent.
fn scientific(number: f64, precision: usize) -> String {
    python_exponent(&format!("{number:.precision$e}"))
}

fn python_exponent(text: &str) -> String {
    let (digits, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let sign = if exponent.starts_with('-') { '-' } else { '+' };
    format!("{digits}e{sign}{:0>2}", exponent.trim_start_matches('-'))
}

/// So many significant digits without zeros at the end, as a decimal where that is short.
fn general(number: f64, precision: usize) -> String {
    let precision = precision.max(1);
    let rounded = format!("{number:.*e}", precision - 1);
    let (digits, exponent) = rounded.split_once('e').unwrap_or((&rounded, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    match (-4..precision as i64).contains(&exponent) {
        true => {
            let decimals = (precision as i64 - 1 - exponent).max(0) as usize;
            trim(&format!("{number:.decimals$}"))
        }
        false => python_exponent(&format!("{}e{exponent}", trim(digits))),
    }
}

fn with_decimal(text: String) -> String {
    match text.contains(['.', 'e']) {
        true => text,
        false => format!("{text}.0"),
    }
}

/// A number as Python's `repr` writes it.
pub(super) fn python_number(number: f64) -> String {
    match (number.is_finite(), number.is_sign_negative()) {
        (false, _) => number.to_string().to_lowercase(),
        (true, true) => format!("-{}", shortest(-number)),
        (true, false) => shortest(number),
    }
}

/// The shortest digits that give the same number of at least 0 back.
fn shortest(number: f64) -> String {
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    match (-4..16).contains(&exponent) {
        true => with_decimal(number.to_string()),
        false => python_exponent(&format!("{digits}e{exponent}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_format_is_refused() {
        for bad in [
            "{epoch",
            "epoch}",
            "{}",
            "{:02d}",
            "{loss:2x}",
            "{loss:.}",
            "{epoch:.2d}",
            "{loss:999f}",
            "{loss!r}x{",
        ] {
            let error = Template::parse("ModelCheckpoint", "filepath", bad);
            let error = error.unwrap_err().to_string();
            assert!(error.contains("filepath"), "{bad}: {error}");
        }
    }

    #[test]
    fn numbers_that_are_not_finite_have_names_too() {
        let template = Template::parse("", "", "{a:.2f} {b} {b:6.1f}|").unwrap();
        let value = |name: &str| match name {
            "a" => Some(Field::Number(f64::NAN)),
            _ => Some(Field::Number(f64::NEG_INFINITY)),
        };
        assert_eq!(template.fill(value).unwrap(), "nan -inf   -inf|");
    }
}
