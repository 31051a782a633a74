//! Writing: superblock 2, checksummed object headers, compact groups, contiguous arrays.
//!
//! The whole file is laid out in one go: texts (a global heap), then for each group its arrays and subgroups, then its
//! own header, so that every address is known when it is written; the superblock, which names the root and the end,
//! is filled in last. The same tree gives the same bytes.

use std::collections::BTreeMap;

use danlu_graph::{DType, Tensor, TensorData};

use super::checksum::checksum;
use super::{SIGNATURE, UNDEFINED, message};
use crate::files::error::Problem;

/// Length of superblock 2.
const SUPERBLOCK: usize = 48;
/// Keras' limit for one attribute; longer lists are split into `name0`, `name1`, ...
const LARGEST_ATTRIBUTE: usize = 64_512;
/// Bytes of a reference to a text in the global heap.
const REFERENCE: usize = 16;
/// A collection of the global heap is closed once it is this long; an object's number has 16 bits.
const FULL_COLLECTION: usize = 64 << 10;

/// The value of an attribute.
#[derive(Clone, Debug)]
pub(in crate::files) enum Attribute {
    /// One text.
    Text(String),
    /// A list of texts; split as Keras does where it is too long for one attribute.
    Texts(Vec<String>),
}

/// A group to be written: attributes, arrays, further groups.
#[derive(Default)]
pub(in crate::files) struct Group<'a> {
    attributes: Vec<(String, Attribute)>,
    members: BTreeMap<String, Member<'a>>,
}

enum Member<'a> {
    Group(Group<'a>),
    Array(&'a Tensor),
}

impl<'a> Group<'a> {
    /// Adds an attribute.
    pub(in crate::files) fn attribute(&mut self, name: &str, value: Attribute) {
        self.attributes.push((name.to_owned(), value));
    }

    /// The group at a path below this one, made where there is none.
    ///
    /// # Errors
    /// There is an array on the way.
    pub(in crate::files) fn group(&mut self, path: &str) -> Result<&mut Group<'a>, Problem> {
        let mut group = self;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let member = group
                .members
                .entry(name.to_owned())
                .or_insert_with(|| Member::Group(Group::default()));
            group = match member {
                Member::Group(group) => group,
                Member::Array(_) => return Err(taken(path)),
            };
        }
        Ok(group)
    }

    /// Puts an array at a path below this group.
    ///
    /// # Errors
    /// There is something at that path, or an array on the way.
    pub(in crate::files) fn array(
        &mut self,
        path: &str,
        tensor: &'a Tensor,
    ) -> Result<(), Problem> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let group = self.group(folder)?;
        if name.is_empty() || group.members.contains_key(name) {
            return Err(taken(path));
        }
        group.members.insert(name.to_owned(), Member::Array(tensor));
        Ok(())
    }
}

fn taken(path: &str) -> Problem {
    Problem::unsupported(
        format!("two weights (or a weight and a layer) named \"{path}\""),
        "give every layer and every weight a name of its own",
    )
}

/// The bytes of a file with this root group.
///
/// # Errors
/// A name or a text is longer than the format can say.
pub(in crate::files) fn write(root: &Group<'_>) -> Result<Vec<u8>, Problem> {
    let mut writer = Writer {
        bytes: vec![0u8; SUPERBLOCK],
        texts: Vec::new(),
        next_text: 0,
    };
    writer.heap(root);
    let root = writer.group(root)?;
    let mut superblock = SIGNATURE.to_vec();
    superblock.extend([2, 8, 8, 0]);
    for address in [0, UNDEFINED, writer.bytes.len() as u64, root] {
        superblock.extend(address.to_le_bytes());
    }
    superblock.extend(checksum(&superblock).to_le_bytes());
    writer.bytes[..SUPERBLOCK].copy_from_slice(&superblock);
    Ok(writer.bytes)
}

struct Writer {
    bytes: Vec<u8>,
    /// References to all texts, in the order in which the attributes need them.
    texts: Vec<[u8; REFERENCE]>,
    next_text: usize,
}

/// All texts of a group's attributes and those of its subgroups, in the order of writing.
fn texts<'a>(group: &'a Group<'_>, all: &mut Vec<&'a str>) {
    for member in group.members.values() {
        if let Member::Group(group) = member {
            texts(group, all);
        } else if let Member::Array(tensor) = member
            && tensor.dtype() == DType::BF16
        {
            all.push(DType::BF16.name());
        }
    }
    for (_, value) in &group.attributes {
        match value {
            Attribute::Text(text) => all.push(text),
            Attribute::Texts(list) => all.extend(list.iter().map(String::as_str)),
        }
    }
}

impl Writer {
    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
    }

    /// Writes the global heap and remembers where each text is.
    fn heap(&mut self, root: &Group<'_>) {
        let mut all = Vec::new();
        texts(root, &mut all);
        let mut rest = all.as_slice();
        while !rest.is_empty() {
            let start = self.bytes.len();
            self.bytes.extend(b"GCOL\x01\0\0\0");
            self.bytes.extend([0; 8]);
            let mut index = 0u16;
            while let Some((text, others)) = rest.split_first() {
                if self.bytes.len() - start >= FULL_COLLECTION {
                    break;
                }
                rest = others;
                let mut reference = [0u8; REFERENCE];
                // An empty text needs no place: a reference to nowhere of length 0.
                if !text.is_empty() {
                    index += 1;
                    self.bytes.extend(index.to_le_bytes());
                    self.bytes.extend([0; 6]);
                    self.bytes.extend((text.len() as u64).to_le_bytes());
                    self.bytes.extend(text.as_bytes());
                    self.align();
                    reference[..4].copy_from_slice(&(text.len() as u32).to_le_bytes());
                    reference[4..12].copy_from_slice(&(start as u64).to_le_bytes());
                    reference[12..].copy_from_slice(&u32::from(index).to_le_bytes());
                }
                self.texts.push(reference);
            }
            // A collection has at least 4,096 bytes; object 0 is its free space.
            let used = self.bytes.len() - start;
            let size = (used + 16).max(4096);
            self.bytes.extend([0; 8]);
            self.bytes.extend(((size - used) as u64).to_le_bytes());
            self.bytes.resize(start + size, 0);
            self.bytes[start + 8..start + 16].copy_from_slice(&(size as u64).to_le_bytes());
        }
    }

    /// Writes a group with everything in it; the address of its header.
    fn group(&mut self, group: &Group<'_>) -> Result<u64, Problem> {
        let mut messages = Messages::default();
        let mut info = vec![0, 0];
        info.extend(UNDEFINED.to_le_bytes());
        info.extend(UNDEFINED.to_le_bytes());
        messages.add(message::LINK_INFO, &info)?;
        messages.add(message::GROUP_INFO, &[0, 0])?;
        for (name, member) in &group.members {
            let address = match member {
                Member::Group(group) => self.group(group)?,
                Member::Array(tensor) => self.array(tensor)?,
            };
            // Version 1; the name in UTF-8, its length in two bytes.
            let mut link = vec![1, 0x11, 1];
            link.extend(short(name.len(), name)?.to_le_bytes());
            link.extend(name.as_bytes());
            link.extend(address.to_le_bytes());
            messages.add(message::LINK, &link)?;
        }
        for (name, value) in &group.attributes {
            match value {
                Attribute::Text(_) => self.attribute(&mut messages, name, None)?,
                Attribute::Texts(list) => {
                    let most = LARGEST_ATTRIBUTE / REFERENCE;
                    let parts = list.len().div_ceil(most);
                    for (part, list) in list.chunks(most).enumerate() {
                        let name = match parts {
                            1 => name.clone(),
                            _ => format!("{name}{part}"),
                        };
                        self.attribute(&mut messages, &name, Some(list.len()))?;
                    }
                    if list.is_empty() {
                        self.attribute(&mut messages, name, Some(0))?;
                    }
                }
            }
        }
        self.header(messages)
    }

    /// An attribute of the next text (`count` is `None`) or texts.
    fn attribute(
        &mut self,
        messages: &mut Messages,
        name: &str,
        count: Option<usize>,
    ) -> Result<(), Problem> {
        let texts = &self.texts[self.next_text..self.next_text + count.unwrap_or(1)];
        self.next_text += texts.len();
        // Variable-length text: terminated by zero, UTF-8; its base type is a byte.
        let mut kind = vec![0x19, 0x01, 0x01, 0, 16, 0, 0, 0];
        kind.extend([0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0]);
        let shape: Vec<u64> = count.map(|count| count as u64).into_iter().collect();
        let shape = dataspace(&shape);
        // Version 3, and UTF-8 for the attribute's own name.
        let mut data = vec![3, 0];
        for len in [name.len() + 1, kind.len(), shape.len()] {
            data.extend(short(len, name)?.to_le_bytes());
        }
        data.push(1);
        data.extend(name.as_bytes());
        data.push(0);
        data.extend(kind);
        data.extend(shape);
        data.extend(texts.iter().flatten());
        messages.add(message::ATTRIBUTE, &data)
    }

    /// Writes an array; the address of its header.
    fn array(&mut self, tensor: &Tensor) -> Result<u64, Problem> {
        self.align();
        let start = self.bytes.len();
        let bytes = &mut self.bytes;
        bytes.reserve(tensor.len() * tensor.dtype().size() + 256);
        match tensor.data() {
            TensorData::F32(values) => bytes.extend(values.iter().flat_map(|x| x.to_le_bytes())),
            TensorData::F16(values) | TensorData::BF16(values) => {
                bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
            }
            TensorData::I32(values) => bytes.extend(values.iter().flat_map(|x| x.to_le_bytes())),
            TensorData::I64(values) => bytes.extend(values.iter().flat_map(|x| x.to_le_bytes())),
            TensorData::U8(values) => bytes.extend(values),
            TensorData::I8(values) => bytes.extend(values.iter().flat_map(|x| x.to_le_bytes())),
            TensorData::Bool(values) => bytes.extend(values.iter().map(|&x| u8::from(x))),
        }
        let size = self.bytes.len() - start;
        let shape: Vec<u64> = tensor.shape().iter().map(|&axis| axis as u64).collect();
        let mut messages = Messages::default();
        messages.add(message::DATASPACE, &dataspace(&shape))?;
        messages.add(message::DATATYPE, &datatype(tensor.dtype()))?;
        // Version 3: allocated late, written if set, and nothing set.
        messages.add(message::FILL_VALUE, &[3, 0x0a])?;
        let mut layout = vec![3, 1];
        let address = if size == 0 { UNDEFINED } else { start as u64 };
        layout.extend(address.to_le_bytes());
        layout.extend((size as u64).to_le_bytes());
        messages.add(message::LAYOUT, &layout)?;
        if tensor.dtype() == DType::BF16 {
            self.attribute(&mut messages, "dtype", None)?;
        }
        self.header(messages)
    }

    /// Writes an object's header; its address.
    fn header(&mut self, messages: Messages) -> Result<u64, Problem> {
        self.align();
        let start = self.bytes.len();
        let size =
            u32::try_from(messages.bytes.len()).map_err(|_| too_long("the names in one group"))?;
        // Version 2; the size of what follows in four bytes, no times.
        self.bytes.extend(b"OHDR\x02\x02");
        self.bytes.extend(size.to_le_bytes());
        self.bytes.extend(messages.bytes);
        let sum = checksum(&self.bytes[start..]);
        self.bytes.extend(sum.to_le_bytes());
        Ok(start as u64)
    }
}

#[derive(Default)]
struct Messages {
    bytes: Vec<u8>,
}

impl Messages {
    fn add(&mut self, kind: u16, data: &[u8]) -> Result<(), Problem> {
        self.bytes.push(kind as u8);
        self.bytes
            .extend(short(data.len(), "a name")?.to_le_bytes());
        self.bytes.push(0);
        self.bytes.extend(data);
        Ok(())
    }
}

fn short(len: usize, what: &str) -> Result<u16, Problem> {
    u16::try_from(len).map_err(|_| too_long(&what.chars().take(40).collect::<String>()))
}

fn too_long(what: &str) -> Problem {
    Problem::unsupported(
        format!("{what}... (too long for HDF5)"),
        "give it a shorter name",
    )
}

fn dataspace(shape: &[u64]) -> Vec<u8> {
    let mut data = vec![2, shape.len() as u8, 0, u8::from(!shape.is_empty())];
    data.extend(shape.iter().flat_map(|axis| axis.to_le_bytes()));
    data
}

/// A type as h5py writes it for NumPy's dtype of the same name.
fn datatype(dtype: DType) -> Vec<u8> {
    let size = dtype.size() as u8;
    let bits = size * 8;
    let float = |sign: u8, exponent: (u8, u8), mantissa: u8, bias: u8| {
        let head = [0x11, 0x20, sign, 0, size, 0, 0, 0, 0, 0, bits, 0];
        let tail = [exponent.0, exponent.1, 0, mantissa, bias, 0, 0, 0];
        [head.as_slice(), &tail].concat()
    };
    let integer = |signed: bool| {
        vec![
            0x10,
            u8::from(signed) * 8,
            0,
            0,
            size,
            0,
            0,
            0,
            0,
            0,
            bits,
            0,
        ]
    };
    match dtype {
        DType::F32 => float(31, (23, 8), 23, 127),
        DType::F16 => float(15, (10, 5), 10, 15),
        DType::BF16 => vec![0x15, 0, 0, 0, size, 0, 0, 0],
        DType::I32 | DType::I64 | DType::I8 => integer(true),
        DType::U8 => integer(false),
        DType::Bool => {
            let mut data = vec![0x38, 2, 0, 0, 1, 0, 0, 0];
            data.extend(datatype(DType::I8));
            data.extend(b"FALSE\0TRUE\0\0\x01");
            data
        }
    }
}
