//! With vectors of 8: both rows of pixels in one of them if they are short, in two otherwise.

use std::arch::x86_64::*;

use super::Call;

/// Lanes of a vector.
const LANES: usize = 8;

/// # Safety
/// The machine has AVX2 and FMA; the call's addresses are good.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run(call: &Call) {
    let plan = call.plan;
    let [height, width] = plan.kernel;
    let columns = width * plan.channels;
    let short = plan.second_row < LANES;
    for filter in (0..plan.filters).step_by(LANES) {
        let mut first = 0;
        while first < height {
            // SAFETY: the caller's promise.
            unsafe {
                if short && columns == 3 && height - first >= 3 {
                    rows::<3, 3, true>(call, filter, first);
                    first += 3;
                    continue;
                }
                macro_rules! by_columns {
                    ($($columns:literal)*) => {
                        match (columns, short) {
                            $(
                                ($columns, true) => rows::<1, $columns, true>(call, filter, first),
                                ($columns, false) => rows::<1, $columns, false>(call, filter, first),
                            )*
                            _ => {}
                        }
                    };
                }
                by_columns!(1 2 3 4 5 6 7 8);
            }
            first += 1;
        }
    }
}

/// All bits of the first `count` lanes.
#[target_feature(enable = "avx2")]
fn first_lanes(count: usize) -> __m256i {
    let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_cmpgt_epi32(_mm256_set1_epi32(count as i32), lanes)
}

/// `ROWS` rows of taps from `first` on, for 8 filters, `COLUMNS` being taps and channels of a row; `SHORT` if a row of pixels is half
/// a vector at most.
#[target_feature(enable = "avx2,fma")]
unsafe fn rows<const ROWS: usize, const COLUMNS: usize, const SHORT: bool>(
    call: &Call,
    filter: usize,
    first: usize,
) {
    let plan = call.plan;
    let pool = &plan.pool;
    let left = (plan.filters - filter).min(LANES);
    let lanes = first_lanes(left);
    let reach = first_lanes(plan.reach);
    let short_reach = _mm256_castsi256_si128(reach);
    // The second row of a window, if it has one.
    let below = if pool.kernel[0] == 2 {
        plan.stride[0] * call.row_stride
    } else {
        0
    };
    let offsets: [__m256i; COLUMNS] = std::array::from_fn(|column| {
        let (tap, channel) = (column / plan.channels, column % plan.channels);
        let offset = tap * plan.dilation[1] * plan.channels + channel;
        _mm256_set1_epi32(offset as i32)
    });
    let at = |row: usize, column: usize| {
        call.c
            .wrapping_add(((first + row) * COLUMNS + column) * plan.filters + filter)
    };
    // SAFETY: the caller vouches for the image, the gradient, its places and C; masks leave out what lies beyond.
    unsafe {
        let map = _mm256_loadu_si256(plan.map.as_ptr().cast());
        let mut sums = [[_mm256_setzero_ps(); COLUMNS]; ROWS];
        for y in 0..pool.output[0] {
            let row = y * pool.stride[0] * plan.stride[0] + first * plan.dilation[0];
            let mut pixels = call.image.wrapping_add(row * call.row_stride);
            let step = pool.stride[1] * plan.stride[1] * plan.channels;
            let mut from = y * pool.output[1] * plan.filters + filter;
            for _ in 0..pool.output[1] {
                let places = call.places.wrapping_add(from);
                let place = if left == LANES {
                    _mm_loadl_epi64(places.cast())
                } else {
                    let mut bytes = [0_u8; LANES];
                    std::ptr::copy_nonoverlapping(places, bytes.as_mut_ptr(), left);
                    _mm_loadl_epi64(bytes.as_ptr().cast())
                };
                let base = _mm256_permutevar8x32_epi32(map, _mm256_cvtepu8_epi32(place));
                let gradient = _mm256_maskload_ps(call.gradient.wrapping_add(from), lanes);
                let chosen: [__m256i; COLUMNS] =
                    std::array::from_fn(|column| _mm256_add_epi32(base, offsets[column]));
                for (index, sums) in sums.iter_mut().enumerate() {
                    let row = pixels.wrapping_add(index * plan.dilation[0] * call.row_stride);
                    let under = row.wrapping_add(below);
                    if SHORT {
                        let both = _mm256_set_m128(
                            _mm_maskload_ps(under, short_reach),
                            _mm_maskload_ps(row, short_reach),
                        );
                        for (sum, chosen) in sums.iter_mut().zip(chosen) {
                            let pixel = _mm256_permutevar8x32_ps(both, chosen);
                            *sum = _mm256_fmadd_ps(gradient, pixel, *sum);
                        }
                    } else {
                        let upper = _mm256_maskload_ps(row, reach);
                        let lower = _mm256_maskload_ps(under, reach);
                        for (sum, chosen) in sums.iter_mut().zip(chosen) {
                            // Bit 3 says which row; moved to the sign, where the choice looks.
                            let which = _mm256_castsi256_ps(_mm256_slli_epi32::<28>(chosen));
                            let pixel = _mm256_blendv_ps(
                                _mm256_permutevar8x32_ps(upper, chosen),
                                _mm256_permutevar8x32_ps(lower, chosen),
                                which,
                            );
                            *sum = _mm256_fmadd_ps(gradient, pixel, *sum);
                        }
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
                    _mm256_add_ps(_mm256_maskload_ps(to, lanes), sum)
                } else {
                    sum
                };
                _mm256_maskstore_ps(to, lanes, sum);
            }
        }
    }
}
