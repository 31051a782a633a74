//! What one task of a product does: some rows, some panels, all or some pieces of the contraction.

use pulp::{Simd, WithSimd};

use super::kernel::{Block, run_block};
use super::panels::{Panel, Steps};

/// Where B's elements lie.
#[derive(Clone, Copy)]
pub(super) enum BLayout {
    /// `k * stride + column`.
    InPlace { stride: usize },
    /// Panel by panel, `k` steps of the contraction from `first` on; see [`super::panels::pack_panel`].
    Packed { k: usize, first: usize },
}

/// Some rows, one behind the other, that only a part of the contraction is needed for: what they multiply is zero elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Zone {
    /// How many rows.
    pub rows: usize,
    /// The part of the contraction; between its ends, for some rows, there is nothing at all.
    pub from: usize,
    pub to: usize,
}

/// `C[row, column] (+)= sum over k in from..to of A[rows[row] + steps(k)] * B[k, column]`, in pieces.
pub(super) struct Contraction<'a> {
    pub a: *const f32,
    pub rows: &'a [isize],
    pub steps: &'a Steps,
    pub from: usize,
    pub to: usize,
    /// The length of a piece; `from` must be a multiple of it.
    pub piece: usize,
    pub b: *const f32,
    pub b_layout: BLayout,
    pub panels: &'a [Panel],
    /// Row 0, column 0 (not the first panel's).
    pub c: *mut f32,
    pub c_stride: usize,
    /// Whether the first piece, too, is added to what C holds.
    pub accumulate: bool,
    /// Each column of its own; see [`super::kernel`]. The panels must be narrow.
    pub diagonal: bool,
    /// The rows in zones; empty if all rows need the whole contraction. Left out are products with zero only, so no bit tells, but the
    /// sign of a zero.
    pub zones: &'a [Zone],
}

impl Contraction<'_> {
    /// The block of one panel and one piece.
    ///
    /// # Safety
    /// As for [`run_block`].
    #[inline(always)]
    unsafe fn run<S: Simd>(&self, simd: S) {
        let whole = [Zone {
            rows: self.rows.len(),
            from: self.from,
            to: self.to,
        }];
        let zones = if self.zones.is_empty() {
            &whole
        } else {
            self.zones
        };
        let mut begin = self.from;
        loop {
            let end = (begin + self.piece).min(self.to);
            let (shift, offsets) = self.steps.from(begin);
            for panel in self.panels {
                let (b, b_stride) = match self.b_layout {
                    BLayout::InPlace { stride } => (begin * stride + panel.start, stride),
                    BLayout::Packed { k, first } => {
                        let place = k * panel.packed_start + (begin - first) * panel.width;
                        (place, panel.width)
                    }
                };
                let first_column = if self.diagonal { panel.start } else { 0 };
                let mut row = 0;
                for zone in zones {
                    let from = zone.from.clamp(begin, end);
                    let to = zone.to.clamp(from, end);
                    let skipped = from - begin;
                    let block = Block {
                        a: self.a.wrapping_offset(shift).wrapping_add(first_column),
                        rows: self.rows.as_ptr().wrapping_add(row),
                        row_count: zone.rows,
                        offsets: offsets.wrapping_add(skipped),
                        length: to - from,
                        b: self.b.wrapping_add(b + skipped * b_stride),
                        b_stride,
                        c: self.c.wrapping_add(row * self.c_stride + panel.start),
                        c_stride: self.c_stride,
                        columns: panel.columns,
                        accumulate: self.accumulate || begin > self.from,
                        diagonal: self.diagonal,
                    };
                    // SAFETY: the caller vouches for the addresses.
                    unsafe { run_block(simd, block) };
                    row += zone.rows;
                }
            }
            begin = end;
            if begin >= self.to {
                break;
            }
        }
    }
}

impl WithSimd for Contraction<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // SAFETY: whoever made this value vouches for the addresses that it names.
        unsafe { self.run(simd) }
    }
}

/// `C[row, column] = parts[0][row, column] + parts[1][row, column] + ...`, in order; every part is `part_stride` elements after the last.
pub(super) struct SumOfParts {
    pub parts: *const f32,
    pub count: usize,
    pub part_stride: usize,
    pub c: *mut f32,
    pub rows: usize,
    pub columns: usize,
    /// Elements from one row to the next in the parts, and in C.
    pub row_stride: usize,
    pub c_stride: usize,
}

impl WithSimd for SumOfParts {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for row in 0..self.rows {
            let offset = row * self.row_stride;
            // SAFETY: whoever made this value vouches that C and the parts have these rows, and that no other thread touches C's.
            let c = unsafe {
                std::slice::from_raw_parts_mut(self.c.add(row * self.c_stride), self.columns)
            };
            for index in 0..self.count {
                // SAFETY: as above; the parts do not overlap C.
                let part = unsafe {
                    std::slice::from_raw_parts(
                        self.parts.add(index * self.part_stride + offset),
                        self.columns,
                    )
                };
                if index == 0 {
                    c.copy_from_slice(part);
                } else {
                    for (sum, value) in c.iter_mut().zip(part) {
                        *sum += value;
                    }
                }
            }
        }
    }
}
