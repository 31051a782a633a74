//! The columns of a product, cut into panels as wide as the micro-kernel's tiles, and the copy of B that lays panels out one by one.

use pulp::{Simd, WithSimd};

use super::transpose::transpose;
use crate::kernels::lanes::{for_each_vector, load, prefetch, store};
use crate::simd::Isa;

/// A range of columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panel {
    /// First column.
    pub start: usize,
    /// How many.
    pub columns: usize,
    /// Columns in a packed copy: whole vectors.
    pub width: usize,
    /// Sum of the widths of the panels before.
    pub packed_start: usize,
}

/// Cuts columns into panels of at most `widest` vectors, as even as whole vectors allow.
pub(super) fn panels(lanes: usize, columns: usize, widest: usize) -> Vec<Panel> {
    let mut result = Vec::new();
    let mut vectors = columns.div_ceil(lanes);
    let (mut start, mut packed_start) = (0, 0);
    while vectors > 0 {
        let take = if lanes == 1 {
            // One lane has no masks, so only widths that there are tiles for.
            1 << vectors.min(widest).ilog2()
        } else {
            vectors.div_ceil(vectors.div_ceil(widest))
        };
        let width = take * lanes;
        result.push(Panel {
            start,
            columns: width.min(columns - start),
            width,
            packed_start,
        });
        start += width;
        packed_start += width;
        vectors -= take;
    }
    result
}

/// Elements of a packed copy per `k`.
pub(super) fn packed_width(panels: &[Panel]) -> usize {
    panels.iter().map(|panel| panel.width).sum()
}

/// Offsets along the contraction.
#[derive(Debug)]
pub(super) enum Steps {
    /// `k * stride`; the table holds the offsets within one piece.
    Linear { stride: isize, table: Vec<isize> },
    /// Any.
    Table(Vec<isize>),
}

impl Steps {
    /// `k * stride` for pieces of that length.
    pub fn linear(stride: isize, piece: usize) -> Steps {
        Steps::Linear {
            stride,
            table: (0..piece as isize).map(|k| k * stride).collect(),
        }
    }

    /// For the piece that begins at `k`: what to add to the base, and the table to read.
    #[inline(always)]
    pub fn from(&self, k: usize) -> (isize, *const isize) {
        match self {
            Steps::Linear { stride, table } => (k as isize * stride, table.as_ptr()),
            Steps::Table(table) => (0, table[k..].as_ptr()),
        }
    }

    /// The offsets of a contraction that is one piece.
    pub fn all(&self) -> &[isize] {
        match self {
            Steps::Linear { table, .. } | Steps::Table(table) => table,
        }
    }

    /// The offset of one `k`.
    #[inline(always)]
    pub fn at(&self, k: usize) -> isize {
        match self {
            Steps::Linear { stride, .. } => k as isize * stride,
            Steps::Table(table) => table[k],
        }
    }
}

/// The longest piece of a contraction.
const LONGEST_PIECE: usize = 512;

/// The length of the pieces (the last may be shorter) of a contraction over `k`. Depends on nothing else.
pub(super) fn piece_length(k: usize) -> usize {
    let pieces = k.div_ceil(LONGEST_PIECE).max(1);
    k.div_ceil(pieces)
        .next_multiple_of(8)
        .clamp(8, LONGEST_PIECE)
}

/// Copies `from..to` of the contraction of one panel into `packed` (the panel's own place), `width` elements per `k`.
///
/// # Safety
/// `source + steps.at(k) + (panel.start + column) * column_stride` must be readable for those `k` and the panel's columns, and `packed`
/// must have room for `to * panel.width` elements and not overlap the source.
pub(super) unsafe fn pack_panel(
    isa: Isa,
    source: *const f32,
    steps: &Steps,
    column_stride: isize,
    (from, to): (usize, usize),
    panel: &Panel,
    packed: *mut f32,
) {
    if column_stride == 1 {
        return isa.dispatch(PackRows {
            source,
            steps,
            k: 0,
            first: 0,
            from,
            to,
            panels: std::slice::from_ref(panel),
            packed,
        });
    }
    let source = source.wrapping_offset(panel.start as isize * column_stride);
    if let Steps::Linear { stride: 1, .. } = steps
        && column_stride >= 0
    {
        // SAFETY: as above.
        unsafe {
            transpose(
                isa,
                (source.add(from), column_stride as usize),
                (packed.add(from * panel.width), panel.width),
                panel.columns,
                to - from,
            );
        }
        return;
    }
    const TOGETHER: usize = 16;
    for begin in (from..to).step_by(TOGETHER) {
        let end = (begin + TOGETHER).min(to);
        for column in 0..panel.columns {
            let source = source.wrapping_offset(column as isize * column_stride);
            for k in begin..end {
                // SAFETY: as above.
                unsafe {
                    *packed.add(k * panel.width + column) = *source.wrapping_offset(steps.at(k));
                }
            }
        }
    }
}

/// How many rows ahead a copy of rows asks for its source: a strip of rows that lie pages apart is nothing a processor foresees.
const ROWS_AHEAD: usize = 8;

/// Copies `from..to` of the contraction of panels whose columns lie side by side, row by row; each panel to
/// `packed + k * packed_start`, its own place, which begins at `from - first`.
pub(super) struct PackRows<'a> {
    pub source: *const f32,
    pub steps: &'a Steps,
    /// Steps in the copy; 0 for one panel at `packed`.
    pub k: usize,
    pub first: usize,
    pub from: usize,
    pub to: usize,
    pub panels: &'a [Panel],
    pub packed: *mut f32,
}

impl WithSimd for PackRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for k in self.from..self.to {
            let row = self.source.wrapping_offset(self.steps.at(k));
            let later = (k + ROWS_AHEAD).min(self.to - 1);
            let ahead = self.steps.at(later) - self.steps.at(k);
            for panel in self.panels {
                let from = row.wrapping_add(panel.start);
                let place = self.k * panel.packed_start + (k - self.first) * panel.width;
                let to = self.packed.wrapping_add(place);
                for_each_vector(simd, panel.columns, |offset, lanes| {
                    prefetch(from.wrapping_offset(ahead).wrapping_add(offset));
                    // SAFETY: whoever made this value vouches for both sides.
                    unsafe {
                        let value = load(simd, from.wrapping_add(offset), lanes);
                        store(simd, to.wrapping_add(offset), lanes, value);
                    }
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kernel;
    use super::*;

    #[test]
    fn panels_cover_the_columns_in_order() {
        for lanes in [1, 4, 8, 16] {
            for columns in 0..200 {
                let mut next = 0;
                for panel in panels(lanes, columns, kernel::widest_panel(lanes)) {
                    assert_eq!(panel.start, next);
                    assert!(panel.columns > 0 && panel.columns <= panel.width);
                    assert!(panel.width <= kernel::widest_panel(lanes) * lanes);
                    next += panel.columns;
                }
                assert_eq!(next, columns);
            }
        }
    }

    #[test]
    fn pieces_are_even_and_bounded() {
        assert_eq!(piece_length(0), 8);
        assert_eq!(piece_length(512), 512);
        assert_eq!(piece_length(513), 264);
        assert_eq!(piece_length(5408), 496);
        for k in 1..5000 {
            let piece = piece_length(k);
            assert!(piece <= LONGEST_PIECE);
            assert_eq!(k.div_ceil(piece), k.div_ceil(LONGEST_PIECE), "{k}");
        }
    }
}
