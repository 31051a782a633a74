//! A contraction that leaves out the zeros of A: what a ReLU, a dropout or an empty part of a picture leaves is half zeros and more.
//!
//! ```text
//! C[row, column] (+)= sum over the k where A[row, k] is not 0 of A[row, k] * B[k, column]
//! ```
//! A row is one chain of multiply-adds along `k`, cut into the same pieces as in [`super::block`], so it has the same bits: adding a zero changes
//! nothing (but the sign of a zero that a product smaller than any number left, and zero times what is no number, which is left out here).
//!
//! The places of numbers are bits, 64 of a row in a word. A tile reads B's rows from the first-level cache, one row of A at a time, with
//! as many columns as fit into registers.

use pulp::{Simd, WithSimd};

use super::block::{BLayout, Contraction};
use super::panels::Panel;
use crate::kernels::lanes::{Lanes, kept_lanes, load, store};
use crate::simd::{Isa, multiply_add};

/// How A lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Along {
    /// The contraction's elements of a row are neighbours.
    Contraction,
    /// Rows are neighbours.
    Rows,
}

/// Vectors of columns in registers.
pub(super) const VECTORS: usize = 8;
/// Bytes of B that stay in the first-level cache.
const CACHED_BYTES: usize = 24 * 1024;
/// With a larger share of numbers among A's elements the product over everything is faster.
const MOST_NUMBERS: f64 = 0.65;
/// One row in so many is looked at first.
const SAMPLE: usize = 8;

/// How many steps of the contraction, at most 64, are done together, for pieces of that length.
pub(super) fn steps_together(lanes: usize, length: usize) -> usize {
    let most = (CACHED_BYTES / (VECTORS * lanes * size_of::<f32>())).min(64);
    let even = length.div_ceil(length.div_ceil(most).max(1)).max(1);
    even.next_multiple_of(lanes).min(most)
}

/// Bytes that a task needs for words and chains.
pub(super) fn room_bytes(lanes: usize, rows: usize, length: usize) -> usize {
    let words = rows * length.div_ceil(steps_together(lanes, length));
    let chains = rows * VECTORS * lanes;
    words * size_of::<u64>() + chains * size_of::<f32>()
}

/// Runs the contraction if it has zeros enough in A; `false` if not, and then nothing has happened.
///
/// # Safety
/// As for the contraction, whose A must have a linear table of rows and lie `along` that; `room` must have [`room_bytes`] for its rows and
/// pieces, aligned as a word.
pub(super) unsafe fn run_without_zeros(
    isa: Isa,
    along: Along,
    contraction: &Contraction,
    room: *mut u8,
) -> bool {
    let length = contraction.piece.min(contraction.to - contraction.from);
    let together = steps_together(isa.lanes(), length);
    let rows = contraction.rows.len();
    let words: *mut u64 = room.cast();
    let subs = length.div_ceil(together);
    let chains = words.wrapping_add(rows * subs).cast::<f32>();
    let mut begin = contraction.from;
    let mut first = true;
    while begin < contraction.to {
        let end = (begin + contraction.piece).min(contraction.to);
        let marks = Marks {
            a: contraction
                .a
                .wrapping_offset(contraction.rows[0])
                .wrapping_offset(contraction.steps.at(begin)),
            stride: match along {
                Along::Contraction => contraction
                    .rows
                    .get(1)
                    .map_or(0, |row| row - contraction.rows[0]),
                Along::Rows => contraction.steps.at(begin + 1) - contraction.steps.at(begin),
            },
            rows,
            length: end - begin,
            together,
            words,
        };
        // SAFETY: A has these rows and steps, the room their words.
        unsafe {
            if first {
                if marks.share_of_numbers(isa, along) > MOST_NUMBERS {
                    return false;
                }
                first = false;
            }
            marks.write(isa, along);
        }
        isa.dispatch(Piece {
            contraction,
            k_stride: match along {
                Along::Contraction => 1,
                Along::Rows => marks.stride,
            },
            begin,
            length: end - begin,
            together,
            words,
            chains,
        });
        begin = end;
    }
    true
}

/// A part of A, and where the words with the places of its numbers go: `words[sub * rows + row]`.
struct Marks {
    a: *const f32,
    /// Elements from row to row, or from step to step, whichever are not neighbours.
    stride: isize,
    rows: usize,
    length: usize,
    together: usize,
    words: *mut u64,
}

impl Marks {
    /// The share of numbers in a sample of the part.
    ///
    /// # Safety
    /// A is readable.
    unsafe fn share_of_numbers(&self, isa: Isa, along: Along) -> f64 {
        let (outer, inner) = match along {
            Along::Contraction => (self.rows, self.length),
            Along::Rows => (self.length, self.rows),
        };
        let (mut numbers, mut all) = (0, 0);
        for index in (0..outer).step_by(SAMPLE) {
            let line = self.a.wrapping_offset(index as isize * self.stride);
            let mut place = 0;
            while place < inner {
                let count = (inner - place).min(64);
                // SAFETY: the caller's promise.
                numbers += unsafe { bits(isa, line.wrapping_add(place), count) }.count_ones();
                place += count;
            }
            all += inner;
        }
        f64::from(numbers) / (all.max(1)) as f64
    }

    /// Writes the words.
    ///
    /// # Safety
    /// A is readable, and there is room for the words.
    unsafe fn write(&self, isa: Isa, along: Along) {
        let subs = self.length.div_ceil(self.together);
        match along {
            Along::Contraction => {
                for row in 0..self.rows {
                    let line = self.a.wrapping_offset(row as isize * self.stride);
                    for sub in 0..subs {
                        let from = sub * self.together;
                        let count = (self.length - from).min(self.together);
                        // SAFETY: the caller's promise.
                        unsafe {
                            let word = bits(isa, line.wrapping_add(from), count);
                            *self.words.add(sub * self.rows + row) = word;
                        }
                    }
                }
            }
            Along::Rows => isa.dispatch(Columns(self)),
        }
    }
}

/// The places of numbers among `count` elements, at most 64. What is no number counts as one.
///
/// # Safety
/// They are readable.
#[inline(always)]
unsafe fn bits(isa: Isa, from: *const f32, count: usize) -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        if isa == Isa::Avx512 {
            // SAFETY: whoever plans for the instruction set has it; the elements are readable.
            return unsafe { x86::bits_512(from, count) };
        }
        if isa == Isa::Avx2 {
            // SAFETY: as above.
            return unsafe { x86::bits_256(from, count) };
        }
    }
    let _ = isa;
    // SAFETY: the caller's promise.
    unsafe { plain_bits(from, count) }
}

#[inline(always)]
unsafe fn plain_bits(from: *const f32, count: usize) -> u64 {
    let mut word = 0;
    for index in 0..count {
        // SAFETY: the caller's promise.
        word |= u64::from(unsafe { *from.add(index) } != 0.0) << index;
    }
    word
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// # Safety
    /// The machine has AVX-512, and the elements are readable.
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn bits_512(from: *const f32, count: usize) -> u64 {
        let mut word = 0_u64;
        let mut index = 0;
        while index < count {
            let left = (count - index).min(16);
            let lanes = (((1_u32 << left) - 1) & 0xFFFF) as __mmask16;
            // SAFETY: the mask leaves out what lies beyond.
            let values = unsafe { _mm512_maskz_loadu_ps(lanes, from.add(index)) };
            let numbers = _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(values, _mm512_setzero_ps());
            word |= u64::from(numbers) << index;
            index += 16;
        }
        word
    }

    /// # Safety
    /// The machine has AVX2, and the elements are readable.
    #[target_feature(enable = "avx2")]
    pub(super) unsafe fn bits_256(from: *const f32, count: usize) -> u64 {
        let mut word = 0_u64;
        let mut index = 0;
        while index + 8 <= count {
            // SAFETY: eight elements are left.
            let values = unsafe { _mm256_loadu_ps(from.add(index)) };
            let numbers = _mm256_cmp_ps::<_CMP_NEQ_UQ>(values, _mm256_setzero_ps());
            word |= u64::from(_mm256_movemask_ps(numbers) as u32 & 0xFF) << index;
            index += 8;
        }
        if index < count {
            let left = _mm256_set1_epi32((count - index) as i32);
            let lanes = _mm256_cmpgt_epi32(left, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
            // SAFETY: the mask leaves out what lies beyond.
            let values = unsafe { _mm256_maskload_ps(from.add(index), lanes) };
            let numbers = _mm256_cmp_ps::<_CMP_NEQ_UQ>(values, _mm256_setzero_ps());
            word |= u64::from(_mm256_movemask_ps(numbers) as u32 & 0xFF) << index;
        }
        word
    }
}

/// Words of rows that are neighbours: a vector of rows at a time, a step at a time.
struct Columns<'a>(&'a Marks);

impl WithSimd for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let marks = self.0;
        let zero = simd.splat_f32s(0.0);
        let nothing = simd.splat_u32s(0);
        for sub in 0..marks.length.div_ceil(marks.together) {
            let from = sub * marks.together;
            let count = (marks.length - from).min(marks.together);
            let mut row = 0;
            while row < marks.rows {
                let left = (marks.rows - row).min(S::F32_LANES);
                let mask = kept_lanes(simd, left);
                let lanes: Lanes<S> = (left < S::F32_LANES).then_some(mask);
                let mut halves = [nothing; 2];
                for (half, word) in halves.iter_mut().enumerate() {
                    let first = half * 32;
                    for step in first..count.min(first + 32) {
                        let offset = (from + step) as isize * marks.stride;
                        let at = marks.a.wrapping_offset(offset).wrapping_add(row);
                        // SAFETY: whoever made this value vouches for A; the mask leaves out rows beyond.
                        let values = unsafe { load(simd, at, lanes) };
                        let none = simd.equal_f32s(values, zero);
                        let bit = simd.splat_u32s(1 << (step - first));
                        *word = simd.or_u32s(*word, simd.select_u32s(none, nothing, bit));
                    }
                }
                let mut low = [0_u32; 16];
                let mut high = [0_u32; 16];
                // SAFETY: the buffers hold a vector; there is room for the words.
                unsafe {
                    low.as_mut_ptr()
                        .cast::<S::u32s>()
                        .write_unaligned(halves[0]);
                    high.as_mut_ptr()
                        .cast::<S::u32s>()
                        .write_unaligned(halves[1]);
                    for (lane, (&low, &high)) in low.iter().zip(&high).take(left).enumerate() {
                        *marks.words.add(sub * marks.rows + row + lane) =
                            u64::from(low) | u64::from(high) << 32;
                    }
                }
                row += S::F32_LANES;
            }
        }
    }
}

/// One piece of the contraction.
struct Piece<'a> {
    contraction: &'a Contraction<'a>,
    /// Elements of A from one step to the next.
    k_stride: isize,
    begin: usize,
    length: usize,
    together: usize,
    words: *const u64,
    /// Room for the chains of all rows, where C already holds earlier pieces.
    chains: *mut f32,
}

impl WithSimd for Piece<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let mut panels = self.contraction.panels;
        while let Some((first, rest)) = panels.split_first() {
            // Panels of one width, but for the last one's columns, as many as fit.
            let vectors = first.width / S::F32_LANES;
            let most = (VECTORS / vectors.max(1)).max(1);
            let alike = 1 + rest
                .iter()
                .zip(panels)
                .take_while(|(panel, before)| {
                    panel.width == first.width && before.columns == before.width
                })
                .count();
            let count = 1 << alike.min(most).ilog2();
            let (chunk, left) = panels.split_at(count);
            self.chunk(simd, chunk, vectors);
            panels = left;
        }
    }
}

impl Piece<'_> {
    #[inline(always)]
    fn chunk<S: Simd>(&self, simd: S, panels: &[Panel], vectors: usize) {
        let last = &panels[panels.len() - 1];
        let ragged = last.columns < last.width;
        macro_rules! tiles {
            ($($panels:literal $vectors:literal),*) => {
                match (panels.len(), vectors, ragged) {
                    $(
                        ($panels, $vectors, false) => {
                            simd.vectorize(Rows::<$panels, $vectors, false> { piece: self, panels });
                        }
                        ($panels, $vectors, true) => {
                            simd.vectorize(Rows::<$panels, $vectors, true> { piece: self, panels });
                        }
                    )*
                    _ => {}
                }
            };
        }
        if const { S::F32_LANES == 8 } {
            tiles!(1 1, 2 1, 4 1, 8 1, 1 2, 2 2, 4 2);
        } else if const { S::F32_LANES > 1 } {
            tiles!(1 1, 2 1, 4 1, 8 1, 1 2, 2 2, 4 2, 1 3, 2 3, 1 4, 2 4);
        }
    }
}

/// All rows for some panels.
struct Rows<'a, const PANELS: usize, const WIDTH: usize, const MASKED: bool> {
    piece: &'a Piece<'a>,
    panels: &'a [Panel],
}

impl<const PANELS: usize, const WIDTH: usize, const MASKED: bool> WithSimd
    for Rows<'_, PANELS, WIDTH, MASKED>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Rows { piece, panels } = self;
        let contraction = piece.contraction;
        let row_count = contraction.rows.len();
        let filled = panels[PANELS - 1].columns - (WIDTH - 1) * S::F32_LANES;
        let mask = kept_lanes(simd, filled);
        let lanes = |panel: usize, vector: usize| -> Lanes<S> {
            (MASKED && panel == PANELS - 1 && vector == WIDTH - 1).then_some(mask)
        };
        let chain_stride = PANELS * WIDTH * S::F32_LANES;
        let adds = contraction.accumulate || piece.begin > contraction.from;
        let mut from = 0;
        while from < piece.length {
            let sub = from / piece.together;
            let is_first = from == 0;
            let is_last = from + piece.together >= piece.length;
            let k = piece.begin + from;
            let a = contraction.a.wrapping_offset(contraction.steps.at(k));
            let mut b_stride = 0;
            let b: [*const f32; PANELS] = std::array::from_fn(|panel| {
                let panel = &panels[panel];
                let (offset, stride) = match contraction.b_layout {
                    BLayout::InPlace { stride } => (k * stride + panel.start, stride),
                    BLayout::Packed { k: length, first } => {
                        let place = length * panel.packed_start + (k - first) * panel.width;
                        (place, panel.width)
                    }
                };
                b_stride = stride;
                contraction.b.wrapping_add(offset)
            });
            for row in 0..row_count {
                // SAFETY (of all blocks): whoever made this value vouches for A, B and C where the contraction names them, and for the
                // words and the chains of its rows; masks leave out columns beyond.
                let mut word = unsafe { *piece.words.add(sub * row_count + row) };
                let a = unsafe { a.wrapping_offset(*contraction.rows.get_unchecked(row)) };
                let c = contraction.c.wrapping_add(row * contraction.c_stride);
                // Where the chain so far lies, and goes.
                let at = |panel: usize, vector: usize| -> *mut f32 {
                    let column = vector * S::F32_LANES;
                    if adds {
                        let place = row * chain_stride + panel * WIDTH * S::F32_LANES + column;
                        piece.chains.wrapping_add(place)
                    } else {
                        c.wrapping_add(panels[panel].start + column)
                    }
                };
                let mut sums = [[simd.splat_f32s(0.0); WIDTH]; PANELS];
                if !is_first {
                    for (panel, sums) in sums.iter_mut().enumerate() {
                        for (vector, sum) in sums.iter_mut().enumerate() {
                            *sum = unsafe { load(simd, at(panel, vector), lanes(panel, vector)) };
                        }
                    }
                }
                while word != 0 {
                    let step = word.trailing_zeros() as usize;
                    word &= word - 1;
                    let value = unsafe { *a.wrapping_offset(step as isize * piece.k_stride) };
                    let value = simd.splat_f32s(value);
                    for (panel, sums) in sums.iter_mut().enumerate() {
                        let b = b[panel].wrapping_add(step * b_stride);
                        for (vector, sum) in sums.iter_mut().enumerate() {
                            let b = b.wrapping_add(vector * S::F32_LANES);
                            let b = unsafe { load(simd, b, lanes(panel, vector)) };
                            *sum = multiply_add(simd, value, b, *sum);
                        }
                    }
                }
                for (panel, sums) in sums.into_iter().enumerate() {
                    for (vector, mut sum) in sums.into_iter().enumerate() {
                        let lanes = lanes(panel, vector);
                        let mut to = at(panel, vector);
                        if adds && is_last {
                            to = c.wrapping_add(panels[panel].start + vector * S::F32_LANES);
                            sum = simd.add_f32s(unsafe { load(simd, to, lanes) }, sum);
                        }
                        unsafe { store(simd, to, lanes, sum) };
                    }
                }
            }
            from += piece.together;
        }
    }
}
