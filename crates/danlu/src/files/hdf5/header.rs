//! Object headers: the messages that say what an object is (section IV.A).

use super::checksum::checksum;
use super::message;
use super::source::{Fields, Reader, damaged_checksum};
use crate::files::error::Problem;

/// The most continuation blocks that one header may have.
const LARGEST_CHAIN: usize = 4096;

/// One message of an object header.
pub(super) struct Message {
    pub(super) kind: u16,
    pub(super) data: Vec<u8>,
}

/// A group or a dataset.
pub(in crate::files) struct Object<'a> {
    pub(super) reader: &'a Reader,
    pub(super) address: u64,
    /// Where it lies, as `model_weights/dense`; empty for the root.
    pub(super) path: String,
    pub(super) messages: Vec<Message>,
}

/// A block of messages that is still to be read.
struct Block {
    offset: u64,
    len: u64,
}

impl<'a> Object<'a> {
    pub(super) fn read(
        reader: &'a Reader,
        address: u64,
        path: String,
    ) -> Result<Object<'a>, Problem> {
        let what = format!("the header of /{path}");
        let mut object = Object {
            reader,
            address,
            path,
            messages: Vec::new(),
        };
        let start =
            reader.metadata(&what, address, 16.min(reader.len().saturating_sub(address)))?;
        if start.starts_with(b"OHDR") {
            object.read_new(&what, &start)?;
        } else {
            object.read_old(&what, &start)?;
        }
        Ok(object)
    }

    /// Section IV.A.1.a.
    fn read_old(&mut self, what: &str, start: &[u8]) -> Result<(), Problem> {
        let mut fields = Fields::new(what, start);
        let version = fields.u8()?;
        if version != 1 {
            return Err(Problem::damaged(what, "version 1 or \"OHDR\"", version));
        }
        fields.skip(7)?;
        let mut blocks = vec![Block {
            offset: self.address + 16,
            len: u64::from(fields.u32()?),
        }];
        let mut done = 0;
        while done < blocks.len() {
            let Block { offset, len } = blocks[done];
            done += 1;
            let bytes = self.reader.metadata(what, offset, len)?;
            let mut fields = Fields::new(what, &bytes);
            while fields.remaining() >= 8 {
                let kind = fields.u16()?;
                let size = usize::from(fields.u16()?);
                let flags = fields.u8()?;
                fields.skip(3)?;
                let data = fields.take(size)?;
                self.message(what, kind, flags, data, &mut blocks)?;
            }
        }
        Ok(())
    }

    /// Section IV.A.1.b.
    fn read_new(&mut self, what: &str, start: &[u8]) -> Result<(), Problem> {
        let mut fields = Fields::new(what, start);
        fields.skip(4)?;
        let version = fields.u8()?;
        if version != 2 {
            return Err(Problem::damaged(what, "version 2", version));
        }
        let flags = fields.u8()?;
        // Four times (access, modification, change, birth); limits for storing attributes.
        let before_size = 6 + u64::from(flags & 0x20 != 0) * 16 + u64::from(flags & 0x10 != 0) * 4;
        let size_bytes = 1u64 << (flags & 3);
        let prefix = self
            .reader
            .metadata(what, self.address, before_size + size_bytes)?;
        let size = Fields::new(what, &prefix[before_size as usize..]).sized(flags)?;
        let first = (prefix.len() as u64).saturating_add(size).saturating_add(4);
        let mut blocks = vec![Block {
            offset: self.address,
            len: first,
        }];
        let mut done = 0;
        while done < blocks.len() {
            let Block { offset, len } = blocks[done];
            let bytes = self.reader.metadata(what, offset, len)?;
            let Some(end) = bytes.len().checked_sub(4) else {
                return Err(Problem::damaged(what, "a checksum", "nothing"));
            };
            let expected = checksum(&bytes[..end]);
            let received = Fields::new(what, &bytes[end..]).u32()?;
            if expected != received {
                return Err(damaged_checksum(what, expected, received));
            }
            let mut fields = Fields::new(what, &bytes[..end]);
            if done == 0 {
                fields.skip(prefix.len())?;
            } else {
                fields.signature(b"OCHK")?;
            }
            done += 1;
            let ordered = flags & 4 != 0;
            while fields.remaining() >= 4 + usize::from(ordered) * 2 {
                let kind = u16::from(fields.u8()?);
                let size = usize::from(fields.u16()?);
                let message_flags = fields.u8()?;
                fields.skip(usize::from(ordered) * 2)?;
                let data = fields.take(size)?;
                self.message(what, kind, message_flags, data, &mut blocks)?;
            }
        }
        Ok(())
    }

    /// Keeps a message that means something to us, or notes where more messages are.
    fn message(
        &mut self,
        what: &str,
        kind: u16,
        flags: u8,
        data: &[u8],
        blocks: &mut Vec<Block>,
    ) -> Result<(), Problem> {
        match kind {
            message::CONTINUATION => {
                let mut fields = Fields::new(what, data);
                blocks.push(Block {
                    offset: fields.u64()?,
                    len: fields.u64()?,
                });
                if blocks.len() > LARGEST_CHAIN {
                    return Err(Problem::damaged(
                        what,
                        "an end",
                        "an endless chain of blocks",
                    ));
                }
            }
            message::DATASPACE
            | message::LINK_INFO
            | message::DATATYPE
            | message::LINK
            | message::LAYOUT
            | message::FILTERS
            | message::ATTRIBUTE
            | message::SYMBOL_TABLE
            | message::ATTRIBUTE_INFO => {
                if flags & 2 != 0 {
                    return Err(Problem::unsupported(
                        format!("a shared message in {what}"),
                        "save it again with Keras",
                    ));
                }
                self.reader.spend_text(data.len())?;
                self.messages.push(Message {
                    kind,
                    data: data.to_vec(),
                });
            }
            _ => {}
        }
        Ok(())
    }

    /// The one message of this kind.
    pub(super) fn only(&self, kind: u16) -> Option<&[u8]> {
        self.messages
            .iter()
            .find(|message| message.kind == kind)
            .map(|message| message.data.as_slice())
    }

    /// All messages of this kind.
    pub(super) fn all(&self, kind: u16) -> impl Iterator<Item = &[u8]> {
        self.messages
            .iter()
            .filter(move |message| message.kind == kind)
            .map(|message| message.data.as_slice())
    }

    /// Where it lies, as `model_weights/dense`; empty for the root.
    pub(in crate::files) fn path(&self) -> &str {
        &self.path
    }

    /// Whether this is an array (and not a group).
    pub(in crate::files) fn is_dataset(&self) -> bool {
        self.only(message::LAYOUT).is_some()
    }
}
