//! The part of HDF5 that Keras' files use, read and written without trusting a single byte.
//!
//! Source: HDF5 File Format Specification Version 3.0, <https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html>;
//! the section numbers in the comments are its. We read what h5py writes for Keras (superblocks 0 to 3; old and new
//! object headers; groups as symbol tables or link messages; contiguous, compact, and chunked deflated data; attributes
//! of fixed and variable-length strings), and write superblock 2 with checksummed object headers, which every HDF5 since
//! 1.8 reads. Nothing in a file that we write depends on time, place or machine.
//!
//! Why not a library: those that were tried either need a C compiler or let a file of a megabyte make them allocate
//! gigabytes (attributes whose strings all point at the same long text). Here every read is checked against the file's
//! length, and three budgets bound what one file can cost: metadata bytes read, text made, tensor bytes made.

mod checksum;
mod chunked;
mod dataset;
mod header;
mod links;
mod source;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub(super) use header::Object;
pub(super) use source::{Reader, Source};
pub(super) use write::{Attribute, Group, write};

/// How every HDF5 file begins.
pub(super) const SIGNATURE: &[u8; 8] = b"\x89HDF\r\n\x1a\n";

/// The address that means "nowhere".
const UNDEFINED: u64 = u64::MAX;

/// Types of header messages (section IV.A.2).
mod message {
    pub(super) const DATASPACE: u16 = 0x01;
    pub(super) const LINK_INFO: u16 = 0x02;
    pub(super) const DATATYPE: u16 = 0x03;
    pub(super) const FILL_VALUE: u16 = 0x05;
    pub(super) const LINK: u16 = 0x06;
    pub(super) const LAYOUT: u16 = 0x08;
    pub(super) const GROUP_INFO: u16 = 0x0a;
    pub(super) const FILTERS: u16 = 0x0b;
    pub(super) const ATTRIBUTE: u16 = 0x0c;
    pub(super) const CONTINUATION: u16 = 0x10;
    pub(super) const SYMBOL_TABLE: u16 = 0x11;
    pub(super) const ATTRIBUTE_INFO: u16 = 0x15;
}
