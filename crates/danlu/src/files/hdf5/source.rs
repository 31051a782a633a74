//! Where the bytes come from, and what one file may cost.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::rc::Rc;

use super::checksum::checksum;
use super::header::Object;
use super::text::Collection;
use super::{SIGNATURE, UNDEFINED};
use crate::files::error::{Problem, describe_start};

/// The most that one piece of metadata (a header, a heap) may take.
const LARGEST_METADATA: u64 = 64 << 20;
/// Metadata is read in pages of this size, since it lies scattered in small pieces.
const PAGE: u64 = 8192;
/// How many pages are kept.
const PAGES: usize = 512;

/// Bytes that lie in memory or in a part of a file.
pub(in crate::files) enum Source {
    /// `len` bytes of a file from `start` on.
    Section {
        /// The file, open for reading.
        file: File,
        /// Where the section begins.
        start: u64,
        /// Its length; it lies within the file.
        len: u64,
    },
    /// Bytes in memory.
    Bytes(Vec<u8>),
}

impl Source {
    /// The whole of a file.
    pub(in crate::files) fn file(file: File) -> Result<Source, Problem> {
        let len = file
            .metadata()
            .map_err(|error| Problem::io("read its length", error))?
            .len();
        Ok(Source::Section {
            file,
            start: 0,
            len,
        })
    }

    /// Number of bytes.
    pub(in crate::files) fn len(&self) -> u64 {
        match self {
            Source::Section { len, .. } => *len,
            Source::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// Fills `buffer` with the bytes from `offset` on.
    pub(in crate::files) fn read_at(
        &self,
        what: &str,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<(), Problem> {
        let end = offset.checked_add(buffer.len() as u64);
        let Some(end) = end.filter(|&end| end <= self.len()) else {
            return Err(Problem::Truncated {
                what: what.to_owned(),
                expected: end.unwrap_or(u64::MAX),
                received: self.len(),
            });
        };
        match self {
            Source::Bytes(bytes) => {
                buffer.copy_from_slice(&bytes[offset as usize..end as usize]);
                Ok(())
            }
            Source::Section { file, start, .. } => {
                let mut file = file;
                file.seek(SeekFrom::Start(start + offset))
                    .and_then(|_| file.read_exact(buffer))
                    .map_err(|error| Problem::io(format!("read {what}"), error))
            }
        }
    }
}

/// What a file may still cost; spent by reading.
struct Budget {
    left: Cell<u64>,
    what: &'static str,
}

impl Budget {
    fn new(what: &'static str, limit: u64) -> Budget {
        Budget {
            left: Cell::new(limit),
            what,
        }
    }

    fn spend(&self, amount: u64) -> Result<(), Problem> {
        match self.left.get().checked_sub(amount) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(Problem::damaged(
                self.what,
                "no more than the file's length allows",
                "more (the same bytes are used over and over)",
            )),
        }
    }
}

/// The links of a group: name to address of the object's header.
pub(super) type Links = Rc<BTreeMap<String, u64>>;

/// An HDF5 file open for reading.
pub(in crate::files) struct Reader {
    source: Source,
    root: u64,
    pages: RefCell<HashMap<u64, Rc<[u8]>>>,
    metadata: Budget,
    text: Budget,
    tensors: Budget,
    /// Groups that were read, by the address of their header.
    pub(super) groups: RefCell<HashMap<u64, Links>>,
    /// The last collection of the global heap that was read, and its address.
    pub(super) heap: RefCell<Option<(u64, Rc<Collection>)>>,
}

impl Reader {
    /// Opens a file: reads the superblock (section II.A).
    ///
    /// # Errors
    /// It is no HDF5 file, it ends before its header says, or its superblock is damaged or unsupported.
    pub(in crate::files) fn open(source: Source) -> Result<Reader, Problem> {
        let len = source.len();
        let mut start = vec![0u8; len.min(96) as usize];
        source.read_at("the beginning", 0, &mut start)?;
        if !start.starts_with(SIGNATURE) {
            return Err(Problem::WrongFormat {
                expected: "an HDF5 file",
                received: describe_start(&start),
            });
        }
        let superblock = "the superblock";
        let mut cursor = Fields::new(superblock, &start[8..]);
        let version = cursor.u8()?;
        let (offsets, lengths, rest) = match version {
            0 | 1 => {
                cursor.skip(4)?;
                let sizes = (cursor.u8()?, cursor.u8()?);
                cursor.skip(if version == 0 { 9 } else { 13 })?;
                (sizes.0, sizes.1, true)
            }
            2 | 3 => {
                let sizes = (cursor.u8()?, cursor.u8()?);
                cursor.skip(1)?;
                (sizes.0, sizes.1, false)
            }
            _ => return Err(Problem::damaged(superblock, "version 0 to 3", version)),
        };
        if (offsets, lengths) != (8, 8) {
            return Err(Problem::unsupported(
                format!("an HDF5 file with {offsets}-byte addresses and {lengths}-byte lengths"),
                "save it again with Keras",
            ));
        }
        let base = cursor.u64()?;
        let _ = cursor.u64()?;
        let end = cursor.u64()?;
        let root = if rest {
            // The driver's address, then the root's symbol table entry: name, header.
            cursor.skip(16)?;
            cursor.u64()?
        } else {
            let root = cursor.u64()?;
            let expected = checksum(&start[..44]);
            let received = cursor.u32()?;
            if received != expected {
                return Err(damaged_checksum(superblock, expected, received));
            }
            root
        };
        if base != 0 {
            return Err(Problem::damaged(superblock, "base address 0", base));
        }
        if end > len {
            return Err(Problem::Truncated {
                what: "the HDF5 file, as its header says,".to_owned(),
                expected: end,
                received: len,
            });
        }
        Ok(Reader {
            root,
            pages: RefCell::default(),
            metadata: Budget::new(
                "its metadata",
                len.saturating_mul(32).saturating_add(16 << 20),
            ),
            text: Budget::new("its texts", len.saturating_mul(4).saturating_add(1 << 20)),
            tensors: Budget::new("its arrays", len.saturating_mul(64).saturating_add(1 << 20)),
            groups: RefCell::default(),
            heap: RefCell::default(),
            source,
        })
    }

    /// The group that holds everything.
    ///
    /// # Errors
    /// Its header is damaged.
    pub(in crate::files) fn root(&self) -> Result<Object<'_>, Problem> {
        Object::read(self, self.root, String::new())
    }

    /// Length of the file.
    pub(super) fn len(&self) -> u64 {
        self.source.len()
    }

    /// A piece of metadata.
    pub(super) fn metadata(&self, what: &str, offset: u64, len: u64) -> Result<Vec<u8>, Problem> {
        let end = offset.checked_add(len);
        if offset == UNDEFINED || end.is_none_or(|end| end > self.len()) {
            return Err(Problem::Truncated {
                what: what.to_owned(),
                expected: end.unwrap_or(u64::MAX),
                received: self.len(),
            });
        }
        if len > LARGEST_METADATA {
            return Err(Problem::unsupported(
                format!("{what} of {len} bytes"),
                "no model needs that much; save it again",
            ));
        }
        self.metadata.spend(len.max(32))?;
        let mut bytes = vec![0u8; len as usize];
        if len > PAGE {
            self.source.read_at(what, offset, &mut bytes)?;
            return Ok(bytes);
        }
        let mut done = 0u64;
        while done < len {
            let at = offset + done;
            let page = self.page(what, at / PAGE)?;
            let from = (at % PAGE) as usize;
            let count = (page.len() - from).min((len - done) as usize);
            bytes[done as usize..done as usize + count].copy_from_slice(&page[from..from + count]);
            done += count as u64;
        }
        Ok(bytes)
    }

    fn page(&self, what: &str, number: u64) -> Result<Rc<[u8]>, Problem> {
        let mut pages = self.pages.borrow_mut();
        if let Some(page) = pages.get(&number) {
            return Ok(Rc::clone(page));
        }
        let start = number * PAGE;
        let mut page = vec![0u8; PAGE.min(self.len() - start) as usize];
        self.source.read_at(what, start, &mut page)?;
        let page: Rc<[u8]> = page.into();
        if pages.len() >= PAGES {
            pages.clear();
        }
        pages.insert(number, Rc::clone(&page));
        Ok(page)
    }

    /// Bytes of an array, past the cache.
    pub(super) fn data(&self, what: &str, offset: u64, buffer: &mut [u8]) -> Result<(), Problem> {
        self.source.read_at(what, offset, buffer)
    }

    /// Accounts for `bytes` of text.
    pub(super) fn spend_text(&self, bytes: usize) -> Result<(), Problem> {
        self.text.spend(bytes.max(16) as u64)
    }

    /// Accounts for `bytes` of array elements.
    pub(super) fn spend_tensor(&self, bytes: u64) -> Result<(), Problem> {
        self.tensors.spend(bytes)
    }
}

/// A checksum that is not what it should be.
pub(super) fn damaged_checksum(what: &str, expected: u32, received: u32) -> Problem {
    Problem::damaged(
        what,
        format!("checksum {expected:08x}"),
        format_args!("{received:08x}"),
    )
}

/// The little-endian fields of a structure, in order.
pub(super) struct Fields<'a> {
    what: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    pub(super) fn new(what: &'a str, bytes: &'a [u8]) -> Fields<'a> {
        Fields { what, bytes, at: 0 }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Problem> {
        let rest = &self.bytes[self.at..];
        if count > rest.len() {
            return Err(Problem::damaged(
                self.what,
                format!("{count} bytes more"),
                rest.len(),
            ));
        }
        self.at += count;
        Ok(&rest[..count])
    }

    pub(super) fn skip(&mut self, count: usize) -> Result<(), Problem> {
        self.take(count).map(|_| ())
    }

    /// Skips to a multiple of 8 bytes from the beginning.
    pub(super) fn align(&mut self) -> Result<(), Problem> {
        self.skip(self.at.next_multiple_of(8) - self.at)
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Problem> {
        let mut array = [0u8; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Problem> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, Problem> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Problem> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Problem> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// An unsigned integer of 1, 2, 4 or 8 bytes: of `1 << power` bytes.
    pub(super) fn sized(&mut self, power: u8) -> Result<u64, Problem> {
        match power & 3 {
            0 => self.u8().map(u64::from),
            1 => self.u16().map(u64::from),
            2 => self.u32().map(u64::from),
            _ => self.u64(),
        }
    }

    /// Errs where the next bytes are not `signature`.
    pub(super) fn signature(&mut self, signature: &[u8; 4]) -> Result<(), Problem> {
        let received = self.take(4)?;
        if received == signature {
            return Ok(());
        }
        Err(Problem::damaged(
            self.what,
            format!("\"{}\"", signature.escape_ascii()),
            format_args!("\"{}\"", received.escape_ascii()),
        ))
    }
}
