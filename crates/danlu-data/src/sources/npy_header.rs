//! The header of an NPY file: a Python dictionary with the keys `descr`, `fortran_order` and `shape`.

use std::io;

use super::elements::Element;
use crate::{Error, Result};

/// What an NPY header says.
#[derive(Debug, PartialEq)]
pub(crate) struct Header {
    pub(crate) element: Element,
    pub(crate) big_endian: bool,
    pub(crate) fortran_order: bool,
    pub(crate) shape: Vec<usize>,
}

/// A header as NumPy writes it, magic string included, padded so that the elements begin at a multiple of 64 bytes.
pub(crate) fn format(descriptor: &str, shape: &[usize]) -> io::Result<Vec<u8>> {
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let mut text = format!(
        "{{'descr': '{descriptor}', 'fortran_order': False, 'shape': ({}{comma}), }}",
        sizes.join(", ")
    );
    let unpadded = 10 + text.len() + 1;
    let padding = unpadded.next_multiple_of(64) - unpadded;
    text.extend(std::iter::repeat_n(' ', padding));
    text.push('\n');
    let length = u16::try_from(text.len())
        .map_err(|_| io::Error::other("an array of so many axes does not fit an NPY file"))?;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(length.to_le_bytes());
    bytes.extend(text.as_bytes());
    Ok(bytes)
}

/// Parses the dictionary `text`, which begins at byte `start` of `file`.
pub(crate) fn parse(file: &str, start: u64, text: &[u8]) -> Result<Header> {
    let mut parser = Parser { text, position: 0 };
    let mut fields = Fields::default();
    match parser.dictionary(&mut fields) {
        Ok(()) => {}
        Err(Trouble::Damaged(expected)) => {
            return Err(Error::Format {
                file: file.to_owned(),
                offset: start + parser.position as u64,
                expected: expected.to_owned(),
                received: match parser.peek() {
                    Some(byte) => format!("`{}`; the header is damaged", byte.escape_ascii()),
                    None => "the end of the header".to_owned(),
                },
            });
        }
        Err(Trouble::Records) => return Err(unsupported(file, "an array of records")),
    }
    let missing = |key: &str| Error::Format {
        file: file.to_owned(),
        offset: start,
        expected: format!("the key `{key}` in the header"),
        received: "none; the header is damaged".to_owned(),
    };
    let descriptor = fields.descriptor.ok_or_else(|| missing("descr"))?;
    let (element, big_endian) = element(file, &descriptor)?;
    Ok(Header {
        element,
        big_endian,
        fortran_order: fields
            .fortran_order
            .ok_or_else(|| missing("fortran_order"))?,
        shape: fields.shape.ok_or_else(|| missing("shape"))?,
    })
}

fn element(file: &str, descriptor: &str) -> Result<(Element, bool)> {
    let (order, kind) = match descriptor.split_at_checked(1) {
        Some((order @ ("<" | ">" | "=" | "|"), kind)) => (order, kind),
        _ => ("=", descriptor),
    };
    let element = match kind {
        "b1" => Element::Bool,
        "u1" => Element::U8,
        "i1" => Element::I8,
        "i2" => Element::I16,
        "u2" => Element::U16,
        "i4" => Element::I32,
        "u4" => Element::U32,
        "i8" => Element::I64,
        "f2" => Element::F16,
        "f4" => Element::F32,
        "f8" => Element::F64,
        "O" | "O8" => return Err(unsupported(file, "an array of Python objects")),
        kind if kind.starts_with(['U', 'S', 'a']) => {
            return Err(unsupported(file, "an array of text"));
        }
        _ => {
            let shown: String = descriptor.chars().take(20).collect();
            return Err(unsupported(
                file,
                &format!("an array of dtype `{}`", shown.escape_debug()),
            ));
        }
    };
    let big_endian = order == ">" || (order == "=" && cfg!(target_endian = "big"));
    Ok((element, big_endian))
}

fn unsupported(file: &str, received: &str) -> Error {
    Error::Unsupported {
        subject: file.to_owned(),
        received: received.to_owned(),
        supported: "convert it to numbers first, for example `array.astype('float32')` or \
                    `array.astype('int64')`, and save it again"
            .to_owned(),
    }
}

#[derive(Default)]
struct Fields {
    descriptor: Option<String>,
    fortran_order: Option<bool>,
    shape: Option<Vec<usize>>,
}

enum Trouble {
    /// What was expected where the parser stands.
    Damaged(&'static str),
    /// The dtype is a list of fields.
    Records,
}

struct Parser<'a> {
    text: &'a [u8],
    position: usize,
}

impl Parser<'_> {
    fn dictionary(&mut self, fields: &mut Fields) -> Result<(), Trouble> {
        self.expect(b'{', "`{`")?;
        while !self.skip(b'}') {
            let key = self.string()?;
            self.expect(b':', "`:`")?;
            match key.as_str() {
                "descr" if self.next_is(b'[') => return Err(Trouble::Records),
                "descr" => fields.descriptor = Some(self.string()?),
                "fortran_order" => fields.fortran_order = Some(self.boolean()?),
                "shape" => fields.shape = Some(self.tuple()?),
                _ => {
                    return Err(Trouble::Damaged(
                        "the key descr, fortran_order or shape before",
                    ));
                }
            }
            if !self.skip(b',') && !self.next_is(b'}') {
                return Err(Trouble::Damaged("`,` or `}`"));
            }
        }
        self.spaces();
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(Trouble::Damaged("nothing but spaces after `}`")),
        }
    }

    fn string(&mut self) -> Result<String, Trouble> {
        self.spaces();
        let quote = match self.peek() {
            Some(quote @ (b'\'' | b'"')) => quote,
            _ => return Err(Trouble::Damaged("a quoted name")),
        };
        self.position += 1;
        let start = self.position;
        while let Some(byte) = self.peek() {
            if byte == quote {
                let string = String::from_utf8_lossy(&self.text[start..self.position]);
                self.position += 1;
                return Ok(string.into_owned());
            }
            self.position += 1;
        }
        Err(Trouble::Damaged("the quote that ends a name"))
    }

    fn boolean(&mut self) -> Result<bool, Trouble> {
        self.spaces();
        for (word, value) in [(&b"True"[..], true), (b"False", false)] {
            if self.text[self.position..].starts_with(word) {
                self.position += word.len();
                return Ok(value);
            }
        }
        Err(Trouble::Damaged("True or False"))
    }

    fn tuple(&mut self) -> Result<Vec<usize>, Trouble> {
        self.expect(b'(', "`(`")?;
        let mut sizes = Vec::new();
        while !self.skip(b')') {
            sizes.push(self.number()?);
            if !self.skip(b',') && !self.next_is(b')') {
                return Err(Trouble::Damaged("`,` or `)`"));
            }
        }
        Ok(sizes)
    }

    fn number(&mut self) -> Result<usize, Trouble> {
        self.spaces();
        let start = self.position;
        let mut number = 0usize;
        while let Some(digit @ b'0'..=b'9') = self.peek() {
            number = number
                .checked_mul(10)
                .and_then(|number| number.checked_add(usize::from(digit - b'0')))
                .ok_or(Trouble::Damaged("a size that memory can address"))?;
            self.position += 1;
        }
        if self.position == start {
            return Err(Trouble::Damaged("the size of an axis"));
        }
        // Python 2 wrote long integers so.
        self.skip(b'L');
        Ok(number)
    }

    fn expect(&mut self, byte: u8, name: &'static str) -> Result<(), Trouble> {
        match self.skip(byte) {
            true => Ok(()),
            false => Err(Trouble::Damaged(name)),
        }
    }

    fn skip(&mut self, byte: u8) -> bool {
        let there = self.next_is(byte);
        self.position += usize::from(there);
        there
    }

    fn next_is(&mut self, byte: u8) -> bool {
        self.spaces();
        self.peek() == Some(byte)
    }

    fn spaces(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.position += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.position).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse("a.npy", 10, text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn any_order_of_keys_and_either_quote_is_read() {
        let text = r#" { "shape":(2L, 3) , 'fortran_order' :True,'descr':'>f4'} "#;
        let header = parse("a.npy", 10, text.as_bytes()).unwrap();
        assert_eq!(header.shape, [2, 3]);
        assert!(header.big_endian && header.fortran_order);
        assert_eq!(header.element, Element::F32);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, expected) in [
            ("", "byte 10: expected `{`, received the end"),
            (
                "{'descr': '|O', 'fortran_order': False, 'shape': ()}",
                "Python objects",
            ),
            (
                "{'descr': '<U7', 'fortran_order': False, 'shape': ()}",
                "an array of text",
            ),
            (
                "{'descr': '<u8', 'fortran_order': False, 'shape': ()}",
                "dtype `<u8`",
            ),
            ("{'descr': [('a', '<f4')], 'shape': ()}", "records"),
            ("{'descr': '<f4', 'shape': ()}", "the key `fortran_order`"),
            (
                "{'descr': '<f4', 'fortran_order': 1}",
                "byte 44: expected True or False",
            ),
            (
                "{'shape': (-1,)}",
                "byte 21: expected the size of an axis, received `-`",
            ),
            ("{'shape': (99999999999999999999,)}", "memory can address"),
            ("{'shape': (1 2)}", "`,` or `)`"),
            ("{'shape", "the quote that ends"),
            ("{'x': 1}", "the key descr"),
            (
                "{'descr': 'é4', 'fortran_order': False, 'shape': ()}",
                "dtype `é4`",
            ),
        ] {
            assert!(
                message(text).contains(expected),
                "{text}: {}",
                message(text)
            );
        }
    }
}
