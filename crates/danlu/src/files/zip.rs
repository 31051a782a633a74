//! The little of the zip format that a `.keras` file needs.
//!
//! Source: APPNOTE.TXT 6.3, <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>. Entries are written stored, with a
//! fixed date, in the order given; stored and deflated entries are read, with their checksums.

use std::collections::HashMap;
use std::fs::File;

use super::error::{Problem, describe_start};
use super::hdf5::Source;

const LOCAL: [u8; 4] = *b"PK\x03\x04";
const CENTRAL: [u8; 4] = *b"PK\x01\x02";
const END: [u8; 4] = *b"PK\x05\x06";
/// The directory of a model has a handful of entries.
const LARGEST_DIRECTORY: u64 = 1 << 20;
/// 1980-01-01, the first day that the format knows, at midnight.
const DATE: u16 = 0x0021;
/// A deflated entry may be this many times larger than what is stored; weights hardly shrink.
const MOST_INFLATION: u64 = 64;

struct Entry {
    deflated: bool,
    checksum: u32,
    packed: u64,
    size: u64,
    header: u64,
}

/// A zip archive open for reading.
pub(super) struct Archive {
    source: Source,
    entries: HashMap<String, Entry>,
}

fn field(bytes: &[u8], at: usize, count: usize) -> u64 {
    bytes[at..at + count]
        .iter()
        .rev()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

impl Archive {
    /// Reads the directory of an archive.
    ///
    /// # Errors
    /// It is no zip archive, or truncated, damaged, encrypted or of more than 4 GiB.
    pub(super) fn open(file: File) -> Result<Archive, Problem> {
        let source = Source::file(file)?;
        let len = source.len();
        let mut start = [0u8; 8];
        let start = &mut start[..len.min(8) as usize];
        source.read_at("the beginning", 0, start)?;
        if !start.starts_with(&LOCAL) && !start.starts_with(&END) {
            return Err(Problem::WrongFormat {
                expected: "a .keras file (a zip archive)",
                received: describe_start(start),
            });
        }
        // The last record, before a comment of at most 65,535 bytes.
        let mut tail = vec![0u8; len.min(22 + 65_535) as usize];
        let tail_start = len - tail.len() as u64;
        source.read_at("the end", tail_start, &mut tail)?;
        let end = (0..tail.len().saturating_sub(21)).rev().find(|&at| {
            tail[at..].starts_with(&END)
                && field(&tail, at + 20, 2) as usize == tail.len() - at - 22
        });
        let Some(end) = end else {
            return Err(Problem::Truncated {
                what: "the archive's directory, which stands at its end,".to_owned(),
                expected: len + 22,
                received: len,
            });
        };
        let count = field(&tail, end + 10, 2);
        let (size, offset) = (field(&tail, end + 12, 4), field(&tail, end + 16, 4));
        if size > LARGEST_DIRECTORY || offset + size > tail_start + end as u64 {
            return Err(Problem::damaged(
                "the zip directory",
                "a place inside the archive (below 4 GiB)",
                format_args!("{size} bytes at {offset}"),
            ));
        }
        let mut directory = vec![0u8; size as usize];
        source.read_at("the zip directory", offset, &mut directory)?;
        let mut entries = HashMap::new();
        let mut rest = directory.as_slice();
        for _ in 0..count {
            if rest.len() < 46 || !rest.starts_with(&CENTRAL) {
                return Err(Problem::damaged(
                    "the zip directory",
                    format!("{count} entries"),
                    entries.len(),
                ));
            }
            let lengths = [28, 30, 32].map(|at| field(rest, at, 2) as usize);
            let total = 46 + lengths.iter().sum::<usize>();
            if rest.len() < total {
                return Err(Problem::damaged("the zip directory", "an entry", "less"));
            }
            let name = String::from_utf8_lossy(&rest[46..46 + lengths[0]]).into_owned();
            let (flags, method) = (field(rest, 8, 2), field(rest, 10, 2));
            if flags & 1 != 0 || !matches!(method, 0 | 8) {
                return Err(Problem::unsupported(
                    format!("\"{name}\" in the archive (encrypted, or packed by method {method})"),
                    "pack it without compression, as Keras does",
                ));
            }
            let entry = Entry {
                deflated: method == 8,
                checksum: field(rest, 16, 4) as u32,
                packed: field(rest, 20, 4),
                size: field(rest, 24, 4),
                header: field(rest, 42, 4),
            };
            rest = &rest[total..];
            if entries.insert(name.clone(), entry).is_some() {
                return Err(Problem::damaged(
                    "the zip directory",
                    format!("one entry named \"{name}\""),
                    "two",
                ));
            }
        }
        Ok(Archive { source, entries })
    }

    /// Where the entry's bytes begin.
    fn place(&self, name: &str, entry: &Entry) -> Result<u64, Problem> {
        let what = format!("\"{name}\" in the archive");
        let mut header = [0u8; 30];
        self.source.read_at(&what, entry.header, &mut header)?;
        if !header.starts_with(&LOCAL) {
            return Err(Problem::damaged(
                what,
                "\"PK\\x03\\x04\"",
                format_args!("\"{}\"", header[..4].escape_ascii()),
            ));
        }
        let start = entry.header + 30 + field(&header, 26, 2) + field(&header, 28, 2);
        if start + entry.packed > self.source.len() {
            return Err(Problem::Truncated {
                what,
                expected: start + entry.packed,
                received: self.source.len(),
            });
        }
        if !entry.deflated && entry.packed != entry.size {
            return Err(Problem::damaged(
                what,
                format!("{} bytes", entry.packed),
                entry.size,
            ));
        }
        Ok(start)
    }

    /// The content of an entry of at most `limit` bytes, or `None` where there is none of this name.
    ///
    /// # Errors
    /// It is damaged or too large.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Problem> {
        let Some(entry) = self.entries.get(name) else {
            return Ok(None);
        };
        let what = format!("\"{name}\" in the archive");
        let start = self.place(name, entry)?;
        let most = limit.min(entry.packed * MOST_INFLATION + (1 << 20));
        if entry.size > most || entry.packed > limit {
            return Err(Problem::damaged(
                what,
                format!("at most {most} bytes"),
                entry.size,
            ));
        }
        let mut bytes = vec![0u8; entry.packed as usize];
        self.source.read_at(&what, start, &mut bytes)?;
        if entry.deflated {
            bytes = miniz_oxide::inflate::decompress_to_vec_with_limit(&bytes, entry.size as usize)
                .map_err(|error| Problem::damaged(&what, "deflated data", error))?;
        }
        if bytes.len() as u64 != entry.size {
            return Err(Problem::damaged(
                what,
                format!("{} bytes", entry.size),
                bytes.len(),
            ));
        }
        compare(&what, entry.checksum, crc32fast::hash(&bytes))?;
        Ok(Some(bytes))
    }

    /// The content of an entry to be read in parts: a stored one stays where it is. Its checksum is compared first.
    ///
    /// # Errors
    /// There is none of this name, or it is damaged.
    pub(super) fn into_source(self, name: &str) -> Result<Source, Problem> {
        let Some(entry) = self.entries.get(name) else {
            return Err(Problem::Missing {
                what: format!("\"{name}\" in the archive"),
                advice: "A .keras file is what Keras 3 or Danlu saves".to_owned(),
            });
        };
        if entry.deflated {
            let bytes = self.read(name, u64::MAX)?;
            return Ok(Source::Bytes(bytes.unwrap_or_default()));
        }
        let what = format!("\"{name}\" in the archive");
        let start = self.place(name, entry)?;
        let mut hasher = crc32fast::Hasher::new();
        let mut piece = vec![0u8; entry.size.min(64 << 10) as usize];
        let mut done = 0u64;
        while done < entry.size {
            let count = (entry.size - done).min(piece.len() as u64) as usize;
            self.source
                .read_at(&what, start + done, &mut piece[..count])?;
            hasher.update(&piece[..count]);
            done += count as u64;
        }
        compare(&what, entry.checksum, hasher.finalize())?;
        Ok(match self.source {
            Source::Section { file, .. } => Source::Section {
                file,
                start,
                len: entry.size,
            },
            Source::Bytes(bytes) => {
                Source::Bytes(bytes[start as usize..(start + entry.size) as usize].to_vec())
            }
        })
    }
}

fn compare(what: &str, expected: u32, received: u32) -> Result<(), Problem> {
    if expected == received {
        return Ok(());
    }
    Err(Problem::damaged(
        what,
        format!("checksum {expected:08x}"),
        format_args!("{received:08x}"),
    ))
}

/// The pieces of an archive of these entries: headers, and between them the contents.
///
/// # Errors
/// The archive would have more than 4 GiB.
pub(super) fn headers(entries: &[(&str, &[u8])]) -> Result<Vec<Vec<u8>>, Problem> {
    let mut pieces = Vec::new();
    let mut directory = Vec::new();
    let mut offset = 0u64;
    for (name, content) in entries {
        let size = four_bytes(content.len() as u64)?;
        let at = four_bytes(offset)?;
        let mut common = Vec::new();
        // Version 2.0, no flags, stored.
        for value in [20u16, 0, 0, 0, DATE] {
            common.extend(value.to_le_bytes());
        }
        common.extend(crc32fast::hash(content).to_le_bytes());
        common.extend(size);
        common.extend(size);
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        let mut local = LOCAL.to_vec();
        local.extend(&common);
        local.extend(name.as_bytes());
        directory.extend(CENTRAL);
        // Made by Unix, so that the permissions below count: read and write for the owner, as Python writes them.
        directory.extend([20, 3]);
        directory.extend(common);
        directory.extend([0; 6]);
        directory.extend((0o600u32 << 16).to_le_bytes());
        directory.extend(at);
        directory.extend(name.as_bytes());
        offset += local.len() as u64 + content.len() as u64;
        pieces.push(local);
    }
    let count = (entries.len() as u16).to_le_bytes();
    let mut end = END.to_vec();
    end.extend([0; 4]);
    end.extend(count);
    end.extend(count);
    end.extend(four_bytes(directory.len() as u64)?);
    end.extend(four_bytes(offset)?);
    end.extend([0; 2]);
    directory.extend(end);
    pieces.push(directory);
    Ok(pieces)
}

fn four_bytes(value: u64) -> Result<[u8; 4], Problem> {
    match u32::try_from(value) {
        Ok(value) if value < u32::MAX => Ok(value.to_le_bytes()),
        _ => Err(Problem::unsupported(
            "a .keras file of more than 4 GiB",
            "save the weights as .safetensors",
        )),
    }
}
