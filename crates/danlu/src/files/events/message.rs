//! The little of protocol buffers that events need.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

/// A message that is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Message(Vec<u8>);

/// A field's content.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Field<'a> {
    Number(u64),
    Eight([u8; 8]),
    Bytes(&'a [u8]),
    Four([u8; 4]),
}

impl Message {
    pub(super) fn new() -> Message {
        Message::default()
    }

    /// What was written.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// A whole number or an enumeration's value; zero, the default, is left out.
    pub(super) fn number(mut self, field: u32, value: u64) -> Message {
        if value != 0 {
            self.varint(u64::from(field) << 3);
            self.varint(value);
        }
        self
    }

    /// A 64-bit float.
    pub(super) fn double(mut self, field: u32, value: f64) -> Message {
        self.varint(u64::from(field) << 3 | 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Bytes, a text or packed numbers.
    pub(super) fn text(mut self, field: u32, bytes: impl AsRef<[u8]>) -> Message {
        let bytes = bytes.as_ref();
        self.varint(u64::from(field) << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    /// A message.
    pub(super) fn message(self, field: u32, message: &Message) -> Message {
        self.text(field, message.bytes())
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// The fields of a message: their numbers and contents, up to its end or the first damage.
pub(super) fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (u64, Field<'_>)> {
    std::iter::from_fn(move || {
        let key = take_varint(&mut bytes)?;
        let field = match key & 7 {
            0 => Field::Number(take_varint(&mut bytes)?),
            1 => Field::Eight(take(&mut bytes, 8)?.try_into().ok()?),
            2 => {
                let length = take_varint(&mut bytes)?;
                Field::Bytes(take(&mut bytes, usize::try_from(length).ok()?)?)
            }
            5 => Field::Four(take(&mut bytes, 4)?.try_into().ok()?),
            _ => return None,
        };
        Some((key >> 3, field))
    })
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (first, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(first)
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for place in 0..10 {
        let byte = take(bytes, 1)?[0];
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_documentation() {
        assert_eq!(Message::new().number(1, 150).bytes(), [0x08, 0x96, 0x01]);
        let text = Message::new().text(2, "testing");
        assert_eq!(text.bytes(), b"\x12\x07testing");
        let inner = Message::new().number(1, 150);
        let outer = Message::new().message(3, &inner).number(4, 0);
        assert_eq!(outer.bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
    }

    #[test]
    fn fields_come_back_and_damage_ends_them() {
        let message = Message::new()
            .number(1, u64::MAX)
            .double(2, 0.5)
            .text(40, "x");
        let expected = [
            (1, Field::Number(u64::MAX)),
            (2, Field::Eight(0.5f64.to_le_bytes())),
            (40, Field::Bytes(b"x")),
        ];
        assert_eq!(fields(message.bytes()).collect::<Vec<_>>(), expected);
        for cut in 0..message.bytes().len() {
            let found: Vec<_> = fields(&message.bytes()[..cut]).collect();
            assert_eq!(found, expected[..found.len()], "cut at {cut}");
        }
    }
}
