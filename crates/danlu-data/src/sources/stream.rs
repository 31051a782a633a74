//! Reading in order, with offsets for errors and without trusting any size that a header promises.

use std::io::{ErrorKind, Read};

use crate::{Error, Result};

/// Deflate makes at most this many bytes of one (258 bytes of 2 bits).
pub(crate) const DEFLATE_RATIO: u64 = 1032;

/// Bytes for which memory is had at once, however little the file promises to hold.
const STEP: usize = 64 << 10;

/// What is read from a file, or from what is compressed in it.
pub(crate) struct Stream<'a> {
    name: String,
    reader: Box<dyn Read + 'a>,
    offset: u64,
    /// The most bytes that can come.
    most: u64,
    /// Bytes for which memory may be had at once.
    likely: u64,
    packing: Option<&'static str>,
}

impl<'a> Stream<'a> {
    /// A stream of exactly `length` bytes.
    pub(crate) fn plain(name: String, reader: impl Read + 'a, length: u64) -> Stream<'a> {
        Stream {
            name,
            reader: Box::new(reader),
            offset: 0,
            most: length,
            likely: length,
            packing: None,
        }
    }

    /// What a decoder makes of at most `packed` bytes of deflate; `packing` names the format.
    pub(crate) fn packed(
        name: String,
        packing: &'static str,
        reader: impl Read + 'a,
        packed: u64,
    ) -> Stream<'a> {
        let most = packed.saturating_mul(DEFLATE_RATIO);
        Stream::bounded(name, packing, reader, most, packed)
    }

    /// As [`packed`](Self::packed), where it is known that at most `most` bytes can come.
    pub(crate) fn bounded(
        name: String,
        packing: &'static str,
        reader: impl Read + 'a,
        most: u64,
        packed: u64,
    ) -> Stream<'a> {
        Stream {
            most,
            likely: packed.saturating_mul(16),
            packing: Some(packing),
            ..Stream::plain(name, reader, 0)
        }
    }

    /// What errors call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Bytes read so far.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// An error at the place that was read last, `back` bytes before the next one.
    pub(crate) fn error(
        &self,
        back: u64,
        expected: impl Into<String>,
        received: impl Into<String>,
    ) -> Error {
        Error::Format {
            file: self.name.clone(),
            offset: self.offset.saturating_sub(back),
            expected: expected.into(),
            received: received.into(),
        }
    }

    /// The next `N` bytes; `what` is their name in an error.
    pub(crate) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, what)?;
        Ok(bytes)
    }

    /// Fills `bytes` with what comes next.
    pub(crate) fn fill(&mut self, bytes: &mut [u8], what: &str) -> Result<()> {
        let mut filled = 0;
        while filled < bytes.len() {
            match self.reader.read(&mut bytes[filled..]) {
                Ok(0) => return Err(self.ended(bytes.len() - filled, what)),
                Ok(count) => {
                    filled += count;
                    self.offset += count as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error, what)),
            }
        }
        Ok(())
    }

    /// The next `count` bytes, for which memory grows as they come.
    pub(crate) fn bytes(&mut self, count: usize, what: &str) -> Result<Vec<u8>> {
        self.check_room(count as u64, what)?;
        let mut bytes = Vec::new();
        while bytes.len() < count {
            let start = bytes.len();
            self.grow(&mut bytes, count)?;
            let end = bytes.capacity().min(count);
            // Capacity that was just had is filled with zeros and read over: a fraction of what reading costs.
            bytes.resize(end, 0);
            self.fill(&mut bytes[start..], what)?;
        }
        Ok(bytes)
    }

    /// Fails if `count` more bytes cannot be there, whatever the file holds.
    pub(crate) fn check_room(&self, count: u64, what: &str) -> Result<()> {
        let room = self.most.saturating_sub(self.offset);
        if count <= room {
            return Ok(());
        }
        let held = match self.packing {
            Some(packing) => format!("{packing} data that can hold at most {room}"),
            None => format!("only {room}"),
        };
        Err(self.error(
            0,
            format!("{count} more bytes of {what}, as the header says"),
            format!("{held}; the file is cut off or its header damaged: get it again"),
        ))
    }

    /// Gets memory for some more of `total` elements: at once what the file is likely to hold, then as much again as there is.
    pub(crate) fn grow<T>(&self, values: &mut Vec<T>, total: usize) -> Result<()> {
        let size = size_of::<T>().max(1);
        let at_once = usize::try_from(self.likely).unwrap_or(usize::MAX).max(STEP) / size;
        let more = match values.len() {
            0 => at_once.max(1),
            length => length,
        };
        let more = more.min(total - values.len());
        values.try_reserve_exact(more).map_err(|_| Error::Memory {
            subject: self.name.clone(),
            bytes: (more as u64).saturating_mul(size as u64),
        })
    }

    /// Fails unless everything has been read; checks the checksum where there is one.
    pub(crate) fn finish(mut self, what: &str) -> Result<()> {
        let mut byte = [0];
        loop {
            match self.reader.read(&mut byte) {
                Ok(0) => return Ok(()),
                Ok(_) => {
                    return Err(self.error(
                        0,
                        format!("the end of {what}"),
                        "more bytes; the header is damaged or something was appended",
                    ));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error, &format!("the end of {what}"))),
            }
        }
    }

    fn ended(&self, missing: usize, what: &str) -> Error {
        self.error(
            0,
            format!("{missing} more bytes of {what}"),
            "the end of the file; it is cut off: get it again",
        )
    }

    fn failed(&self, error: std::io::Error, what: &str) -> Error {
        match (error.kind(), self.packing) {
            (
                ErrorKind::UnexpectedEof
                | ErrorKind::InvalidData
                | ErrorKind::InvalidInput
                | ErrorKind::Other,
                Some(packing),
            ) => self.error(
                0,
                what,
                format!("damaged {packing} data ({error}); get the file again"),
            ),
            _ => Error::file("read", &self.name, error),
        }
    }
}
