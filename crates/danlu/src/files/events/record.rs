//! How records lie in an event file: their length, a checksum of it, the bytes, a checksum of these.
//!
//! Source: TensorFlow's `record_writer.cc` (TFRecord); CRC-32C (Castagnoli) as in RFC 3720, masked as TensorFlow does.

/// What stands before a record: its length and the checksum of that.
pub(super) const HEAD: usize = 12;
/// What stands behind it.
pub(super) const TAIL: usize = 4;

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = match value & 1 {
                1 => (value >> 1) ^ 0x82f6_3b78,
                _ => value >> 1,
            };
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
}

/// CRC-32C.
fn checksum(bytes: &[u8]) -> u32 {
    let step = |sum: u32, byte: &u8| (sum >> 8) ^ TABLE[usize::from(sum as u8 ^ byte)];
    !bytes.iter().fold(u32::MAX, step)
}

/// A checksum of bytes that may hold checksums themselves.
fn masked(bytes: &[u8]) -> [u8; 4] {
    let sum = checksum(bytes).rotate_right(15);
    sum.wrapping_add(0xa282_ead8).to_le_bytes()
}

/// A record of these bytes.
pub(super) fn frame(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(HEAD + bytes.len() + TAIL);
    record.extend(length);
    record.extend(masked(&length));
    record.extend(bytes);
    record.extend(masked(bytes));
    record
}

/// The bytes of the record that begins here, or `None` where none does that is whole and undamaged.
pub(super) fn first(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_at_checked(8)?;
    let (sum, rest) = rest.split_at_checked(4)?;
    if sum != masked(length) {
        return None;
    }
    let length = u64::from_le_bytes(length.try_into().ok()?);
    let (content, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    let sum = rest.get(..TAIL)?;
    (sum == masked(content)).then_some(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksums_of_rfc_3720() {
        assert_eq!(checksum(b"123456789"), 0xe306_9283);
        assert_eq!(checksum(&[0; 32]), 0x8a91_36aa);
        assert_eq!(checksum(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn a_record_comes_back_and_a_damaged_one_does_not() {
        let record = frame(b"an event");
        assert_eq!(first(&record), Some(b"an event".as_slice()));
        for place in 0..record.len() {
            let mut damaged = record.clone();
            damaged[place] ^= 4;
            assert_eq!(first(&damaged), None, "byte {place}");
            assert_eq!(first(&record[..place]), None, "cut at {place}");
        }
    }
}
