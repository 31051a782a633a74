//! With vectors of 16: both rows of pixels in two of them.

use std::arch::x86_64::*;

use super::Call;

/// Lanes of a vector.
const LANES: usize = 16;

/// # Safety
/// The machine has AVX-512; the call's addresses are good.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
pub(super) unsafe fn run(call: &Call) {
    let plan = call.plan;
    let [height, width] = plan.kernel;
    let columns = width * plan.channels;
    for filter in (0..plan.filters).step_by(LANES) {
        let mut first = 0;
        while first < height {
            // SAFETY: the caller's promise.
            unsafe {
                if columns == 3 && height - first >= 3 {
                    rows::<3, 3>(call, filter, first);
                    first += 3;
                    continue;
                }
                macro_rules! by_columns {
                    ($($columns:literal)*) => {
                        match columns {
                            $($columns => rows::<1, $columns>(call, filter, first),)*
                            _ => {}
                        }
                    };
                }
                by_columns!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
            }
            first += 1;
        }
    }
}

/// `ROWS` rows of taps from `first` on, for 16 filters, `COLUMNS` being taps and channels of a row.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq")]
unsafe fn rows<const ROWS: usize, const COLUMNS: usize>(call: &Call, filter: usize, first: usize) {
    let plan = call.plan;
    let pool = &plan.pool;
    let left = (plan.filters - filter).min(LANES);
    let lanes: __mmask16 = (((1_u32 << left) - 1) & 0xFFFF) as u16;
    let reach: __mmask16 = (((1_u32 << plan.reach) - 1) & 0xFFFF) as u16;
    // The second row of a window, if it has one.
    let below = if pool.kernel[0] == 2 {
        plan.stride[0] * call.row_stride
    } else {
        0
    };
    let offsets: [__m512i; COLUMNS] = std::array::from_fn(|column| {
        let (tap, channel) = (column / plan.channels, column % plan.channels);
        let offset = tap * plan.dilation[1] * plan.channels + channel;
        _mm512_set1_epi32(offset as i32)
    });
    let at = |row: usize, column: usize| {
        call.c
            .wrapping_add(((first + row) * COLUMNS + column) * plan.filters + filter)
    };
    // SAFETY: the caller vouches for the image, the gradient, its places and C; masks leave out what lies beyond.
    unsafe {
        let map = _mm512_loadu_si512(plan.map.as_ptr().cast());
        let mut sums = [[_mm512_setzero_ps(); COLUMNS]; ROWS];
        for y in 0..pool.output[0] {
            let row = y * pool.stride[0] * plan.stride[0] + first * plan.dilation[0];
            let mut pixels = call.image.wrapping_add(row * call.row_stride);
            let step = pool.stride[1] * plan.stride[1] * plan.channels;
            let mut from = y * pool.output[1] * plan.filters + filter;
            for _ in 0..pool.output[1] {
                let place = _mm_maskz_loadu_epi8(lanes, call.places.wrapping_add(from).cast());
                let base = _mm512_permutexvar_epi32(_mm512_cvtepu8_epi32(place), map);
                let gradient = _mm512_maskz_loadu_ps(lanes, call.gradient.wrapping_add(from));
                let chosen: [__m512i; COLUMNS] =
                    std::array::from_fn(|column| _mm512_add_epi32(base, offsets[column]));
                for (index, sums) in sums.iter_mut().enumerate() {
                    let row = pixels.wrapping_add(index * plan.dilation[0] * call.row_stride);
                    let upper = _mm512_maskz_loadu_ps(reach, row);
                    let lower = _mm512_maskz_loadu_ps(reach, row.wrapping_add(below));
                    for (sum, chosen) in sums.iter_mut().zip(chosen) {
                        let pixel = _mm512_permutex2var_ps(upper, chosen, lower);
                        *sum = _mm512_fmadd_ps(gradient, pixel, *sum);
                    }
                }
                pixels = pixels.wrapping_add(step);
                from += plan.filters;
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (column, &sum) in sums.iter().enumerate() {
                let to = at(row, column);
                let sum = if call.accumulate {
                    _mm512_add_ps(_mm512_maskz_loadu_ps(lanes, to), sum)
                } else {
                    sum
                };
                _mm512_mask_storeu_ps(to, lanes, sum);
            }
        }
    }
}
