//! Matrix products and convolutions in f32, all made of one micro-kernel.
//!
//! A plan is made once per shape ([`MatmulPlan`], [`ConvolutionForwardPlan`], [`ConvolutionInputGradientPlan`],
//! [`ConvolutionWeightGradientPlan`]) and run many times; a run allocates nothing and takes its scratch memory from the caller.
//!
//! **Bits.** The contraction is cut into pieces of at most about 512, at places that depend on its own length (for a weight gradient, on
//! the whole shape) and on nothing else. A piece of an element is one chain of multiply-adds from zero; pieces are added in order. So the bits of
//! an element depend on the instruction set and that length only: not on the number of threads, on the other rows and columns, on strides, nor on
//! where the element lies.

mod block;
mod convolution;

mod kernel;
mod matmul;
mod matmul_shape;
mod panels;
mod transpose;
mod windows;
mod zeros;

pub use convolution::{
    Convolution2dShape, ConvolutionForwardPlan, ConvolutionInputGradientPlan,
    ConvolutionWeightGradientPlan, ShapeError, Use,
};
pub use matmul::MatmulPlan;
pub use matmul_shape::{BatchAxis, MatmulShape};

use crate::kernels::pooling::{Pool2d, Spread};
use crate::threads::Pool;

/// A region of the flattened `[rows, columns]` view of a result: `row_start..row_end` by `column_start..column_end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// First row.
    pub row_start: usize,
    /// One past the last row.
    pub row_end: usize,
    /// First column.
    pub column_start: usize,
    /// One past the last column.
    pub column_end: usize,
}

/// Called with each region of a result once it holds its final sums, by the thread that computed it, while it is still in that thread's
/// cache. Every element is in exactly one region.
pub type Epilogue<'a> = Option<&'a (dyn Fn(Tile, *mut f32) + Sync)>;

/// Images that a convolution reads: as they lie, or the gradient of a max-pooling, spread over its windows while it is read.
#[derive(Clone, Copy)]
pub struct ImageOperand {
    values: *const f32,
    places: *const u8,
}

impl From<*const f32> for ImageOperand {
    fn from(values: *const f32) -> ImageOperand {
        ImageOperand {
            values,
            places: std::ptr::null(),
        }
    }
}

impl ImageOperand {
    /// The gradient by the result of a pooling, and the places of its largest elements, for a plan that spreads them.
    pub fn pooled(values: *const f32, places: *const u8) -> ImageOperand {
        ImageOperand { values, places }
    }

    /// What is spread for one image.
    fn of_image<'a>(&self, pool: &'a Pool2d, image: usize) -> Spread<'a> {
        let offset = image * pool.output_length();
        Spread {
            pool,
            gradient: self.values.wrapping_add(offset),
            places: self.places.wrapping_add(offset),
        }
    }
}

// SAFETY: operands are only read.
unsafe impl Send for ImageOperand {}
// SAFETY: as above.
unsafe impl Sync for ImageOperand {}

/// Where a run works.
#[derive(Clone, Copy)]
pub struct Room {
    scratch: *mut u8,
    /// Where packed weights stay, and whether they are there already.
    kept: Option<(*mut u8, bool)>,
}

impl From<*mut u8> for Room {
    /// All of it is scratch, which nobody keeps.
    fn from(scratch: *mut u8) -> Room {
        Room {
            scratch,
            kept: None,
        }
    }
}

impl Room {
    /// Of a plan's scratch the part for packed weights (`kept_bytes`) is elsewhere, and keeps them: if `ready`, from an earlier run of the
    /// plan with the same weights.
    pub fn keeping(scratch: *mut u8, packed: *mut u8, ready: bool) -> Room {
        Room {
            scratch,
            kept: Some((packed, ready)),
        }
    }

    /// Where packed weights go, of so many bytes, whether they must be packed, and where the rest of the scratch begins.
    fn split(self, packed_bytes: usize) -> (Shared<f32>, bool, *mut u8) {
        match self.kept {
            Some((packed, ready)) => (Shared(packed.cast()), !ready, self.scratch),
            None => (
                Shared(self.scratch.cast()),
                true,
                self.scratch.wrapping_add(packed_bytes),
            ),
        }
    }
}

/// Where the max-pooling of a convolution's result goes, for a plan that pools it itself.
#[derive(Clone, Copy)]
pub struct PoolInto {
    /// For each filter what is added before negative sums become 0 (`max(x + bias, 0)`, NaN staying NaN); null if the result is pooled
    /// as it is.
    pub bias: *const f32,
    /// The pooled images.
    pub values: *mut f32,
    /// The places of the largest elements, as many; null if nobody wants them.
    pub places: *mut u8,
}

// SAFETY: tasks write disjoint parts.
unsafe impl Send for PoolInto {}
// SAFETY: as above.
unsafe impl Sync for PoolInto {}

impl PoolInto {
    /// So many elements on; a bias counts on its own.
    fn offset(self, count: usize, bias: usize) -> PoolInto {
        PoolInto {
            bias: if self.bias.is_null() {
                self.bias
            } else {
                self.bias.wrapping_add(bias)
            },
            values: self.values.wrapping_add(count),
            places: if self.places.is_null() {
                self.places
            } else {
                self.places.wrapping_add(count)
            },
        }
    }
}

/// Where a product's result goes.
#[derive(Clone, Copy)]
pub struct Target(Place);

#[derive(Clone, Copy)]
enum Place {
    /// All of it, row after row.
    Whole(*mut f32),
    /// Tiles only, for the epilogue: each thread has room for one, and uses it again. Elements from one thread's to the next.
    Tiles { base: *mut f32, stride: usize },
}

// SAFETY: tasks write disjoint regions, or regions of their own slot.
unsafe impl Send for Target {}
// SAFETY: as above.
unsafe impl Sync for Target {}

impl From<*mut f32> for Target {
    fn from(result: *mut f32) -> Target {
        Target(Place::Whole(result))
    }
}

impl Target {
    /// Room for one tile of each thread, `stride` elements apart: nobody but the epilogue looks at the result.
    pub fn tiles(base: *mut f32, stride: usize) -> Target {
        Target(Place::Tiles { base, stride })
    }

    /// Whether the whole result goes to memory.
    fn is_whole(&self) -> bool {
        matches!(self.0, Place::Whole(_))
    }

    /// The address of column 0 in the first row of a tile, rows having `columns` elements.
    fn at(&self, slot: usize, row: usize, columns: usize) -> *mut f32 {
        match self.0 {
            Place::Whole(start) => start.wrapping_add(row * columns),
            Place::Tiles { base, stride } => base.wrapping_add(slot * stride),
        }
    }
}

/// A pointer that tasks on several threads share; who writes where is settled by the plan that made the tasks.
#[derive(Clone, Copy)]
struct Shared<T>(*mut T);

// SAFETY: tasks write disjoint regions, and read only what no task of the same region writes.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    fn new(pointer: *const T) -> Shared<T> {
        Shared(pointer.cast_mut())
    }

    /// The pointer. (A method, so that closures capture the whole wrapper.)
    fn get(&self) -> *mut T {
        self.0
    }
}

/// Scratch is given out in multiples of this many bytes, so that threads do not share cache lines.
const SCRATCH_ALIGNMENT: usize = 128;

/// The bytes of so many f32, rounded up.
fn scratch_for(elements: usize) -> usize {
    (elements * size_of::<f32>()).next_multiple_of(SCRATCH_ALIGNMENT)
}

/// Roughly how long one thread takes, from work and traffic; only to decide whether waking the others pays.
fn estimated_nanoseconds(flops: usize, bytes: usize) -> usize {
    flops / 80 + bytes / 16
}

/// Regions shorter than this run on the calling thread.
const WORTH_SHARING_NANOSECONDS: usize = 12_000;

/// Whether a plan's regions are worth sharing, and with how many threads its scratch reckons.
#[derive(Clone, Copy, Debug)]
struct Sharing {
    threads: usize,
    pays: bool,
}

impl Sharing {
    fn new(threads: usize, flops: usize, bytes: usize) -> Sharing {
        let pays = estimated_nanoseconds(flops, bytes) >= WORTH_SHARING_NANOSECONDS;
        Sharing {
            threads: if pays { threads.max(1) } else { 1 },
            pays,
        }
    }

    /// Runs the tasks on the pool, or here if that does not pay or the pool has more slots than the scratch.
    fn run(&self, pool: &Pool, tasks: usize, task: &(dyn Fn(usize, usize) + Sync)) {
        if self.pays && pool.threads() <= self.threads {
            pool.run_with_slot(tasks, task);
        } else {
            for index in 0..tasks {
                task(0, index);
            }
        }
    }
}
