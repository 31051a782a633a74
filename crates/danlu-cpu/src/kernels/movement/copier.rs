//! How lines and single elements are copied, in either direction.

/// One direction of copying: elements counted from the strided side's start (`place`) and the contiguous side's (`index`).
pub trait Copier: Copy {
    /// Copies `count` elements, `stride` apart on the strided side.
    ///
    /// # Safety
    /// Both sides must hold these elements.
    unsafe fn line(self, place: isize, stride: isize, index: usize, count: usize);
    /// Copies one element.
    ///
    /// # Safety
    /// As for [`Copier::line`].
    unsafe fn one(self, place: isize, index: usize);
}

/// From the strided side, first, to the contiguous one.
#[derive(Clone, Copy)]
pub struct Gather<T>(pub *const T, pub *mut T);

/// To the strided side, first, from the contiguous one.
#[derive(Clone, Copy)]
pub struct Scatter<T>(pub *mut T, pub *const T);

impl<T: Copy> Copier for Gather<T> {
    #[inline(always)]
    unsafe fn line(self, place: isize, stride: isize, index: usize, count: usize) {
        // SAFETY: as the caller promises; raw bytes need no alignment.
        unsafe {
            let (source, destination) = (self.0.offset(place), self.1.add(index));
            match stride {
                1 => copy_line(source, destination, count),
                0 => {
                    let value = source.read_unaligned();
                    for i in 0..count {
                        destination.add(i).write_unaligned(value);
                    }
                }
                _ => {
                    for i in 0..count {
                        self.one(place + i as isize * stride, index + i);
                    }
                }
            }
        }
    }

    #[inline(always)]
    unsafe fn one(self, place: isize, index: usize) {
        // SAFETY: as the caller promises.
        unsafe {
            let value = self.0.offset(place).read_unaligned();
            self.1.add(index).write_unaligned(value);
        }
    }
}

impl<T: Copy> Copier for Scatter<T> {
    #[inline(always)]
    unsafe fn line(self, place: isize, stride: isize, index: usize, count: usize) {
        // SAFETY: as the caller promises.
        unsafe {
            if stride == 1 {
                copy_line(self.1.add(index), self.0.offset(place), count);
                return;
            }
            for i in 0..count {
                self.one(place + i as isize * stride, index + i);
            }
        }
    }

    #[inline(always)]
    unsafe fn one(self, place: isize, index: usize) {
        // SAFETY: as the caller promises.
        unsafe {
            let value = self.1.add(index).read_unaligned();
            self.0.offset(place).write_unaligned(value);
        }
    }
}

/// Copies a line. Short ones, as concatenations of few channels have them, take less time than a call of `memcpy`.
///
/// # Safety
/// `source` must be readable and `destination` writable for `count` elements, and the two not overlap.
#[inline(always)]
unsafe fn copy_line<T: Copy>(source: *const T, destination: *mut T, count: usize) {
    const CHUNK: usize = 16;
    let bytes = count * size_of::<T>();
    // SAFETY: as the caller promises: every chunk ends within the line, the last where the line does.
    unsafe {
        if bytes >= 16 * CHUNK {
            std::ptr::copy_nonoverlapping(source, destination, count);
        } else if bytes >= CHUNK {
            let (source, destination) = (source.cast::<u8>(), destination.cast::<u8>());
            let chunk = |at: usize| {
                let value = source.add(at).cast::<[u8; CHUNK]>().read_unaligned();
                let place = destination.add(at).cast::<[u8; CHUNK]>();
                place.write_unaligned(value);
            };
            for at in (0..bytes - CHUNK).step_by(CHUNK) {
                chunk(at);
            }
            chunk(bytes - CHUNK);
        } else {
            for i in 0..count {
                let value = source.add(i).read_unaligned();
                destination.add(i).write_unaligned(value);
            }
        }
    }
}
