//! Asking for memory before it is written.

/// Bytes of a cache line.
const LINE: usize = 64;

/// Asks for the cache lines of `count` bytes from `start` on, to write them soon. Where another core had them, which it did if it
/// read them in the step before, the request takes longer than most other work on a line. A hint: any address will do.
#[inline]
pub(crate) fn fetch_to_write(start: *const u8, count: usize) {
    for offset in (0..count).step_by(LINE) {
        let line = start.wrapping_add(offset);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the instruction faults at no address and changes nothing that the program sees.
        unsafe {
            std::arch::asm!("prefetchw [{}]", in(reg) line, options(nostack, preserves_flags));
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = line;
    }
}
