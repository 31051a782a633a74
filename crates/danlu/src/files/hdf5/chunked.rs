//! Arrays in chunks, perhaps compressed (sections III.A.1, IV.A.2.i, IV.A.2.l).

use super::dataset::{Kind, Shape};
use super::header::Object;
use super::source::Fields;
use super::{UNDEFINED, message};
use crate::files::error::Problem;

const DEEPEST_TREE: u8 = 16;
const DEFLATE: u16 = 1;
const SHUFFLE: u16 = 2;
const FLETCHER32: u16 = 3;

/// A chunk's place in the file.
struct Chunk {
    size: u32,
    /// A bit for each filter that was left out for this chunk.
    skipped: u32,
    offsets: Vec<u64>,
    address: u64,
}

/// An array in chunks, all of them found in the file.
pub(super) struct Chunked {
    axes: Vec<u64>,
    chunk_axes: Vec<u64>,
    element: usize,
    filters: Vec<u16>,
    chunks: Vec<Chunk>,
}

impl Chunked {
    pub(super) fn parse(
        object: &Object<'_>,
        what: &str,
        fields: &mut Fields<'_>,
        shape: &Shape,
        kind: Kind,
    ) -> Result<Chunked, Problem> {
        let rank = shape.axes.len();
        let dimensions = usize::from(fields.u8()?);
        let tree = fields.u64()?;
        if dimensions != rank + 1 {
            return Err(Problem::damaged(what, format!("{rank} axes"), dimensions));
        }
        let chunk_axes = (0..rank)
            .map(|_| fields.u32().map(u64::from))
            .collect::<Result<Vec<_>, _>>()?;
        // How many chunks there have to be, and how large one is.
        let grid = chunk_axes.iter().zip(&shape.axes).try_fold(
            (1u64, kind.size()),
            |(count, bytes), (&chunk, &axis)| {
                (chunk > 0).then_some(())?;
                Some((
                    count.checked_mul(axis.div_ceil(chunk))?,
                    bytes.checked_mul(chunk)?,
                ))
            },
        );
        let Some((count, chunk_bytes)) = grid.filter(|&(_, bytes)| bytes <= 1 << 30) else {
            return Err(Problem::damaged(
                what,
                "chunks of a sensible size",
                format_args!("{chunk_axes:?}"),
            ));
        };
        let mut chunked = Chunked {
            axes: shape.axes.clone(),
            chunk_axes,
            element: kind.size() as usize,
            filters: match object.only(message::FILTERS) {
                Some(data) => filters(what, data)?,
                None => Vec::new(),
            },
            chunks: Vec::new(),
        };
        if tree != UNDEFINED {
            chunked.tree_node(object, what, tree, None)?;
        }
        if chunked.chunks.len() as u64 != count {
            return Err(Problem::damaged(
                what,
                format!("{count} chunks"),
                chunked.chunks.len(),
            ));
        }
        // One chunk is unpacked at a time; every byte of it counts, whatever part of it the array uses.
        object
            .reader
            .spend_tensor(chunk_bytes.saturating_mul(count))?;
        Ok(chunked)
    }

    fn tree_node(
        &mut self,
        object: &Object<'_>,
        what: &str,
        address: u64,
        level: Option<u8>,
    ) -> Result<(), Problem> {
        let head = object.reader.metadata(what, address, 24)?;
        let mut fields = Fields::new(what, &head);
        fields.signature(b"TREE")?;
        let (kind, received) = (fields.u8()?, fields.u8()?);
        if kind != 1 || received > DEEPEST_TREE || level.is_some_and(|level| level != received) {
            return Err(Problem::damaged(
                what,
                "a node of a tree of chunks",
                format_args!("type {kind}, level {received}"),
            ));
        }
        let count = u64::from(fields.u16()?);
        let rank = self.axes.len();
        let key = 8 + 8 * (rank as u64 + 1);
        let body =
            object
                .reader
                .metadata(what, address.saturating_add(24), count * (key + 8) + key)?;
        let mut fields = Fields::new(what, &body);
        for _ in 0..count {
            let (size, skipped) = (fields.u32()?, fields.u32()?);
            let offsets = (0..rank)
                .map(|_| fields.u64())
                .collect::<Result<Vec<_>, _>>()?;
            fields.skip(8)?;
            let child = fields.u64()?;
            if let Some(below) = received.checked_sub(1) {
                self.tree_node(object, what, child, Some(below))?;
            } else {
                if offsets.iter().zip(&self.axes).any(|(at, axis)| at >= axis) {
                    return Err(Problem::damaged(
                        what,
                        format!("a chunk inside {:?}", self.axes),
                        format_args!("one at {offsets:?}"),
                    ));
                }
                self.chunks.push(Chunk {
                    size,
                    skipped,
                    offsets,
                    address: child,
                });
            }
        }
        Ok(())
    }

    /// All elements, row-major.
    pub(super) fn read(&self, object: &Object<'_>, what: &str) -> Result<Vec<u8>, Problem> {
        let total: u64 = self.axes.iter().product::<u64>() * self.element as u64;
        let chunk_bytes = self.chunk_axes.iter().product::<u64>() as usize * self.element;
        let mut all = vec![0u8; total as usize];
        for chunk in &self.chunks {
            let mut bytes = object
                .reader
                .metadata(what, chunk.address, u64::from(chunk.size))?;
            for (number, filter) in self.filters.iter().enumerate().rev() {
                if chunk.skipped & 1u32.checked_shl(number as u32).unwrap_or(0) == 0 {
                    bytes = self.undo(what, *filter, bytes, chunk_bytes)?;
                }
            }
            if bytes.len() != chunk_bytes {
                return Err(Problem::damaged(
                    what,
                    format!("a chunk of {chunk_bytes} bytes"),
                    bytes.len(),
                ));
            }
            self.place(&bytes, &chunk.offsets, &mut all);
        }
        Ok(all)
    }

    fn undo(
        &self,
        what: &str,
        filter: u16,
        mut bytes: Vec<u8>,
        chunk_bytes: usize,
    ) -> Result<Vec<u8>, Problem> {
        match filter {
            DEFLATE => miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(
                &bytes,
                // A checksum may have been put in before.
                chunk_bytes + 4,
            )
            .map_err(|error| Problem::damaged(what, "deflated data", error)),
            FLETCHER32 => {
                bytes.truncate(bytes.len().saturating_sub(4));
                Ok(bytes)
            }
            _ => {
                let count = bytes.len() / self.element;
                let mut elements = bytes.clone();
                for (index, byte) in elements[..count * self.element].iter_mut().enumerate() {
                    *byte = bytes[index % self.element * count + index / self.element];
                }
                Ok(elements)
            }
        }
    }

    /// Copies the rows of a chunk to their places; what hangs over the array's edge is left out.
    fn place(&self, chunk: &[u8], offsets: &[u64], all: &mut [u8]) {
        let rank = self.axes.len();
        let Some(last) = rank.checked_sub(1) else {
            all.copy_from_slice(chunk);
            return;
        };
        let row = self.chunk_axes[last] as usize * self.element;
        let kept =
            (self.axes[last] - offsets[last]).min(self.chunk_axes[last]) as usize * self.element;
        let mut index = vec![0u64; last];
        for from in chunk.chunks_exact(row) {
            let inside = (0..last).all(|axis| offsets[axis] + index[axis] < self.axes[axis]);
            if inside {
                let at = (0..last).fold(0u64, |at, axis| {
                    at * self.axes[axis] + offsets[axis] + index[axis]
                });
                let at = (at * self.axes[last] + offsets[last]) as usize * self.element;
                all[at..at + kept].copy_from_slice(&from[..kept]);
            }
            for axis in (0..last).rev() {
                index[axis] += 1;
                if index[axis] < self.chunk_axes[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
    }
}

/// The filters of a pipeline, in the order of writing.
fn filters(what: &str, data: &[u8]) -> Result<Vec<u16>, Problem> {
    let mut fields = Fields::new(what, data);
    let version = fields.u8()?;
    let count = fields.u8()?;
    if version == 1 {
        fields.skip(6)?;
    }
    (0..count)
        .map(|_| {
            let filter = fields.u16()?;
            let name = if version == 1 || filter >= 256 {
                usize::from(fields.u16()?)
            } else {
                0
            };
            fields.skip(2)?;
            let values = usize::from(fields.u16()?);
            fields.skip(if version == 1 {
                name.next_multiple_of(8)
            } else {
                name
            })?;
            fields.skip(values * 4 + if version == 1 { values % 2 * 4 } else { 0 })?;
            match filter {
                DEFLATE | SHUFFLE | FLETCHER32 => Ok(filter),
                _ => Err(Problem::unsupported(
                    format!("{what} packed by HDF5 filter {filter}"),
                    "save it again with Keras",
                )),
            }
        })
        .collect()
}
