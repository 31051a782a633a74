//! Memory aligned to cache lines: the arena, states and constants.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use danlu_graph::{Error, Result};

/// Everything that kernels read or write starts at a multiple of this many bytes.
pub(crate) const ALIGNMENT: usize = 64;

/// Rounds a number of bytes up to [`ALIGNMENT`].
pub(crate) const fn aligned(bytes: usize) -> usize {
    bytes.div_ceil(ALIGNMENT) * ALIGNMENT
}

/// A block of zeroed memory.
pub(crate) struct Buffer {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the block is owned and plain bytes; who reads and writes when is the business of the plan that runs.
unsafe impl Send for Buffer {}
// SAFETY: as above; a shared reference gives only the address.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// A block of at least this many bytes, all 0.
    pub fn new(bytes: usize) -> Result<Buffer> {
        let layout = bytes
            .max(1)
            .checked_next_multiple_of(ALIGNMENT)
            .and_then(|bytes| Layout::from_size_align(bytes, ALIGNMENT).ok())
            .ok_or_else(|| Error::new(format!("{bytes} bytes are more than memory can address")))?;
        // SAFETY: the layout has a size above 0.
        let start = unsafe { alloc_zeroed(layout) };
        let start = NonNull::new(start)
            .ok_or_else(|| Error::new(format!("there is no memory for {bytes} bytes")))?;
        Ok(Buffer {
            start,
            bytes: layout.size(),
        })
    }

    /// Its address.
    pub fn pointer(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Its size in bytes, rounded up.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // The layout was accepted when the block was made.
        if let Ok(layout) = Layout::from_size_align(self.bytes, ALIGNMENT) {
            // SAFETY: `start` came from `alloc_zeroed` with this layout.
            unsafe { dealloc(self.start.as_ptr(), layout) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_does_not_exist_is_an_error() {
        // More than the address space, and sizes that overflow when they are rounded up.
        for bytes in [1 << 60, isize::MAX as usize, usize::MAX - 1, usize::MAX] {
            assert!(Buffer::new(bytes).is_err(), "{bytes}");
        }
    }

    #[test]
    fn blocks_are_aligned_and_zeroed() {
        for bytes in [0, 1, 64, 65, 1 << 20] {
            let buffer = Buffer::new(bytes).unwrap();
            assert!(buffer.bytes() >= bytes.max(1));
            assert_eq!(buffer.pointer().align_offset(ALIGNMENT), 0);
            // SAFETY: the block is that long.
            let content = unsafe { std::slice::from_raw_parts(buffer.pointer(), buffer.bytes()) };
            assert!(content.iter().all(|&byte| byte == 0));
        }
    }
}
