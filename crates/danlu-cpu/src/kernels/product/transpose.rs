//! Storing a block transposed.

use crate::simd::Isa;

/// `to[column * to_stride + row] = from[row * from_stride + column]`.
///
/// # Safety
/// Both regions must be valid for `rows` by `columns` elements at these strides and must not overlap.
pub(super) unsafe fn transpose(
    isa: Isa,
    (from, from_stride): (*const f32, usize),
    (to, to_stride): (*mut f32, usize),
    rows: usize,
    columns: usize,
) {
    let (mut whole_rows, mut whole_columns) = (0, 0);
    #[cfg(target_arch = "x86_64")]
    if matches!(isa, Isa::Avx512 | Isa::Avx2) && isa.is_available() {
        (whole_rows, whole_columns) = (rows / 8 * 8, columns / 8 * 8);
        // SAFETY: the machine has AVX; the blocks are inside the regions that the caller vouches for.
        unsafe {
            whole_blocks(
                (from, from_stride),
                (to, to_stride),
                whole_rows,
                whole_columns,
            );
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (isa, &mut whole_rows, &mut whole_columns);
    for column in 0..columns {
        let first = if column < whole_columns {
            whole_rows
        } else {
            0
        };
        for row in first..rows {
            // SAFETY: inside the regions that the caller vouches for.
            unsafe { *to.add(column * to_stride + row) = *from.add(row * from_stride + column) };
        }
    }
}

/// Blocks of 8 by 8.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx")]
unsafe fn whole_blocks(
    (from, from_stride): (*const f32, usize),
    (to, to_stride): (*mut f32, usize),
    rows: usize,
    columns: usize,
) {
    use std::arch::x86_64::*;
    for column in (0..columns).step_by(8) {
        for row in (0..rows).step_by(8) {
            // SAFETY: the block is inside the regions that the caller vouches for.
            let r: [__m256; 8] = std::array::from_fn(|index| unsafe {
                _mm256_loadu_ps(from.add((row + index) * from_stride + column))
            });
            let mut pairs = [_mm256_setzero_ps(); 8];
            for index in 0..4 {
                pairs[2 * index] = _mm256_unpacklo_ps(r[2 * index], r[2 * index + 1]);
                pairs[2 * index + 1] = _mm256_unpackhi_ps(r[2 * index], r[2 * index + 1]);
            }
            let mut fours = [_mm256_setzero_ps(); 8];
            for index in 0..2 {
                let p = 4 * index;
                fours[p] = _mm256_shuffle_ps::<0x44>(pairs[p], pairs[p + 2]);
                fours[p + 1] = _mm256_shuffle_ps::<0xEE>(pairs[p], pairs[p + 2]);
                fours[p + 2] = _mm256_shuffle_ps::<0x44>(pairs[p + 1], pairs[p + 3]);
                fours[p + 3] = _mm256_shuffle_ps::<0xEE>(pairs[p + 1], pairs[p + 3]);
            }
            for index in 0..4 {
                let low = _mm256_permute2f128_ps::<0x20>(fours[index], fours[index + 4]);
                let high = _mm256_permute2f128_ps::<0x31>(fours[index], fours[index + 4]);
                // SAFETY: as above.
                unsafe {
                    _mm256_storeu_ps(to.add((column + index) * to_stride + row), low);
                    _mm256_storeu_ps(to.add((column + index + 4) * to_stride + row), high);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposes_whole_and_partial_blocks() {
        for isa in Isa::available() {
            for (rows, columns) in [(8, 8), (16, 24), (7, 9), (19, 13), (1, 40)] {
                let (from_stride, to_stride) = (columns + 3, rows + 2);
                let from: Vec<f32> = (0..rows * from_stride).map(|value| value as f32).collect();
                let mut to = vec![-1.0; columns * to_stride];
                // SAFETY: both vectors have room at these strides.
                unsafe {
                    transpose(
                        isa,
                        (from.as_ptr(), from_stride),
                        (to.as_mut_ptr(), to_stride),
                        rows,
                        columns,
                    );
                }
                for (index, value) in to.into_iter().enumerate() {
                    let (column, row) = (index / to_stride, index % to_stride);
                    let expected = if row < rows {
                        from[row * from_stride + column]
                    } else {
                        -1.0
                    };
                    assert_eq!(value, expected, "{isa} {rows} {columns} {index}");
                }
            }
        }
    }
}
