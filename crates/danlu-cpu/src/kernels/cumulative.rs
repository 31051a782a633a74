//! Sums of everything up to a place.

/// How sums go along an axis.
#[derive(Clone, Copy, Debug)]
pub struct Direction {
    /// Whether the place's own element is left out.
    pub exclusive: bool,
    /// Whether from the end towards the start.
    pub reverse: bool,
}

/// The type in which a dtype is summed: floats in `f64`, integers wrapping around.
pub trait Summed: Copy + Send + Sync + 'static {
    /// The sum so far.
    type Sum: Copy;
    /// Nothing.
    const ZERO: Self::Sum;
    /// The sum with one more element.
    fn plus(sum: Self::Sum, element: Self) -> Self::Sum;
    /// The sum as an element.
    fn rounded(sum: Self::Sum) -> Self;
}

impl Summed for f32 {
    type Sum = f64;
    const ZERO: f64 = 0.0;
    #[inline(always)]
    fn plus(sum: f64, element: f32) -> f64 {
        sum + f64::from(element)
    }
    #[inline(always)]
    fn rounded(sum: f64) -> f32 {
        sum as f32
    }
}

macro_rules! integers {
    ($($type:ty),*) => {
        $(impl Summed for $type {
            type Sum = $type;
            const ZERO: $type = 0;
            #[inline(always)]
            fn plus(sum: $type, element: $type) -> $type {
                sum.wrapping_add(element)
            }
            #[inline(always)]
            fn rounded(sum: $type) -> $type {
                sum
            }
        })*
    };
}

integers!(i32, i64, i8, u8);

/// Columns that are summed side by side.
pub const TILE: usize = 64;

/// The sums of at most [`TILE`] neighbouring columns of a matrix `(size, stride)`, down (or up) the columns.
///
/// # Safety
/// Both pointers are to the first element of the first column, of matrices that hold it; they do not overlap, and nobody else
/// touches these columns of the result.
pub unsafe fn cumulative_sum<T: Summed>(
    source: *const T,
    result: *mut T,
    [size, stride, columns]: [usize; 3],
    direction: Direction,
) {
    let mut sums = [T::ZERO; TILE];
    let sums = &mut sums[..columns.min(TILE)];
    for step in 0..size {
        let row = if direction.reverse {
            size - 1 - step
        } else {
            step
        };
        // SAFETY: the caller's promise.
        let (values, results) = unsafe {
            (
                std::slice::from_raw_parts(source.add(row * stride), sums.len()),
                std::slice::from_raw_parts_mut(result.add(row * stride), sums.len()),
            )
        };
        for ((sum, &value), result) in sums.iter_mut().zip(values).zip(results) {
            let next = T::plus(*sum, value);
            *result = T::rounded(if direction.exclusive { *sum } else { next });
            *sum = next;
        }
    }
}
