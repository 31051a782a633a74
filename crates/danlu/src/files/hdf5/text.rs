//! Attributes that hold text: fixed strings and those in the global heap (sections III.E, IV.A.2.m).

use std::collections::HashMap;
use std::rc::Rc;

use super::dataset::{Kind, Shape};
use super::header::Object;
use super::message;
use super::source::Fields;
use crate::files::error::Problem;

impl Object<'_> {
    /// An attribute that is one text, or `None` where there is no such attribute.
    ///
    /// # Errors
    /// The attribute is damaged or something else.
    pub(in crate::files) fn text(&self, name: &str) -> Result<Option<String>, Problem> {
        let Some(mut texts) = self.attribute(name)? else {
            return Ok(None);
        };
        match (texts.pop(), texts.is_empty()) {
            (Some(text), true) => Ok(Some(text)),
            _ => Err(Problem::damaged(
                self.attribute_name(name),
                "one text",
                "several or none",
            )),
        }
    }

    /// An attribute that is a list of texts. Keras splits one of more than 64,512 bytes into `name0`, `name1`, ...
    /// `None` where there is neither.
    ///
    /// # Errors
    /// The attribute is damaged or something else.
    pub(in crate::files) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Problem> {
        if let Some(texts) = self.attribute(name)? {
            return Ok(Some(texts));
        }
        let mut all = None;
        for part in 0.. {
            match self.attribute(&format!("{name}{part}"))? {
                Some(texts) => all.get_or_insert_with(Vec::new).extend(texts),
                None => break,
            }
        }
        Ok(all)
    }

    fn attribute_name(&self, name: &str) -> String {
        format!("the attribute \"{name}\" of /{}", self.path)
    }

    fn attribute(&self, wanted: &str) -> Result<Option<Vec<String>>, Problem> {
        let what = self.attribute_name(wanted);
        for data in self.all(message::ATTRIBUTE) {
            let mut fields = Fields::new(&what, data);
            let version = fields.u8()?;
            if !(1..=3).contains(&version) {
                return Err(Problem::damaged(&what, "version 1 to 3", version));
            }
            let flags = fields.u8()?;
            let name_len = usize::from(fields.u16()?);
            let kind_len = usize::from(fields.u16()?);
            let shape_len = usize::from(fields.u16()?);
            if version == 3 {
                fields.skip(1)?;
            }
            let name = fields.take(name_len)?;
            if name.split(|&byte| byte == 0).next() != Some(wanted.as_bytes()) {
                continue;
            }
            let padded = version == 1;
            if padded {
                fields.align()?;
            }
            if version > 1 && flags & 3 != 0 {
                return Err(Problem::unsupported(
                    format!("{what} with a shared type"),
                    "save it again with Keras",
                ));
            }
            let kind = Kind::parse(&what, fields.take(kind_len)?)?;
            if padded {
                fields.align()?;
            }
            let shape = Shape::parse(&what, fields.take(shape_len)?)?;
            if padded {
                fields.align()?;
            }
            let rest = fields.take(fields.remaining())?;
            return self.values(&what, &kind, shape.count, rest).map(Some);
        }
        // Only where what we want is not among the attributes in the header itself.
        if let Some(info) = self.only(message::ATTRIBUTE_INFO) {
            let mut fields = Fields::new(&what, info);
            fields.skip(1)?;
            if fields.u8()? & 1 != 0 {
                fields.skip(2)?;
            }
            if fields.u64()? != super::UNDEFINED {
                return Err(Problem::unsupported(
                    format!("attributes of /{} stored as a fractal heap", self.path),
                    "write it without libver='latest', as Keras does",
                ));
            }
        }
        Ok(None)
    }

    fn values(
        &self,
        what: &str,
        kind: &Kind,
        count: u64,
        data: &[u8],
    ) -> Result<Vec<String>, Problem> {
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        // An empty list has no element whose type could matter: Keras writes it as an empty list of numbers.
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut fields = Fields::new(what, data);
        let mut texts = Vec::new();
        for _ in 0..count {
            let bytes = match kind {
                Kind::Text(size) => {
                    let bytes = fields.take(*size as usize)?;
                    self.reader.spend_text(bytes.len())?;
                    let end = bytes
                        .iter()
                        .rposition(|&byte| byte != 0)
                        .map_or(0, |at| at + 1);
                    bytes[..end].to_vec()
                }
                Kind::VariableText => {
                    let len = fields.u32()?;
                    let (collection, index) = (fields.u64()?, fields.u32()?);
                    self.heap_object(what, collection, index, len as usize)?
                }
                _ => return Err(Problem::damaged(what, "text", kind.describe())),
            };
            texts
                .push(String::from_utf8(bytes).map_err(|error| {
                    Problem::damaged(what, "text in UTF-8", error.utf8_error())
                })?);
        }
        Ok(texts)
    }

    /// The first `len` bytes of an object in the global heap.
    fn heap_object(
        &self,
        what: &str,
        address: u64,
        wanted: u32,
        len: usize,
    ) -> Result<Vec<u8>, Problem> {
        if len == 0 {
            return Ok(Vec::new());
        }
        self.reader.spend_text(len)?;
        let collection = self.heap(what, address)?;
        let Some(&(start, size)) = collection.objects.get(&wanted) else {
            return Err(Problem::damaged(
                what,
                format!("text {wanted} in the heap at {address}"),
                "no such text",
            ));
        };
        if len > size {
            return Err(Problem::damaged(
                what,
                format!("a text of {len} bytes"),
                format_args!("one of {size}"),
            ));
        }
        Ok(collection.bytes[start..start + len].to_vec())
    }

    fn heap(&self, what: &str, address: u64) -> Result<Rc<Collection>, Problem> {
        if let Some((last, collection)) = &*self.reader.heap.borrow()
            && *last == address
        {
            return Ok(Rc::clone(collection));
        }
        let head = self.reader.metadata(what, address, 16)?;
        let mut fields = Fields::new(what, &head);
        fields.signature(b"GCOL")?;
        fields.skip(4)?;
        let size = fields.u64()?.max(16);
        let bytes = self.reader.metadata(what, address, size)?;
        let mut objects = HashMap::new();
        let mut fields = Fields::new(what, &bytes);
        fields.skip(16)?;
        while fields.remaining() >= 16 {
            let index = u32::from(fields.u16()?);
            fields.skip(6)?;
            let size = usize::try_from(fields.u64()?).unwrap_or(usize::MAX);
            if index == 0 {
                break;
            }
            let start = bytes.len() - fields.remaining();
            fields.skip(size)?;
            objects.insert(index, (start, size));
            if fields.remaining() >= 16 {
                fields.align()?;
            }
        }
        let collection = Rc::new(Collection { bytes, objects });
        *self.reader.heap.borrow_mut() = Some((address, Rc::clone(&collection)));
        Ok(collection)
    }
}

/// A collection of the global heap: where each object lies in it.
pub(super) struct Collection {
    bytes: Vec<u8>,
    objects: HashMap<u32, (usize, usize)>,
}
