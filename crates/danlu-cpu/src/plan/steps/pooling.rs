//! Max-pooling that notes places.

use danlu_graph::Result;
use danlu_graph::operations::MaxPool2d;

use super::{Kernel, Operands, WORTH_SHARING};
use crate::kernels::pooling::{Pool2d, PoolRows, max_pool_places};
use crate::plan::concrete::Concrete;
use crate::plan::context::{Context, Location, Shared, Step};

/// The pooling of whole images.
struct Pool {
    pool: Pool2d,
    images: usize,
    images_per_task: usize,
    source: Location,
    output: Location,
    places: Option<Location>,
}

impl Step for Pool {
    unsafe fn run(&self, context: &Context<'_>) -> Result<()> {
        let pool = &self.pool;
        let source = Shared(context.pointer(self.source).cast::<f32>());
        let output = Shared(context.pointer(self.output).cast::<f32>());
        let places = Shared(
            self.places
                .map_or(std::ptr::null_mut(), |places| context.pointer(places)),
        );
        let tasks = self.images.div_ceil(self.images_per_task);
        context.pool.run(tasks, &|task| {
            let first = task * self.images_per_task;
            for image in first..(first + self.images_per_task).min(self.images) {
                let at = image * pool.output_length();
                let call = PoolRows {
                    pool,
                    source: source.get().wrapping_add(image * pool.input_length()),
                    first_row: 0,
                    destination: output.get().wrapping_add(at),
                    places: offset(places.get(), at),
                    bias: std::ptr::null(),
                };
                // SAFETY: the operand is whole images, and a task writes its own.
                unsafe { max_pool_places(context.isa, 0..pool.output[0], call) };
            }
        });
        Ok(())
    }
}

/// So many places on, or still nowhere.
fn offset(places: *mut u8, count: usize) -> *mut u8 {
    if places.is_null() {
        places
    } else {
        places.wrapping_add(count)
    }
}

/// The kernel of a max-pooling that notes places.
pub(super) fn kernel(
    operation: &MaxPool2d,
    inputs: &[&Concrete],
    node: &Concrete,
) -> Option<Kernel> {
    let shape = &inputs[0].shape;
    let pool = crate::fuse::pooling::geometry(&operation.window, shape, &node.shape);
    let images = node.shape[0];
    let nanoseconds = pool.input_length() / 8 + 1;
    let images_per_task = if images * nanoseconds < WORTH_SHARING {
        images
    } else {
        (WORTH_SHARING / 4 / nanoseconds).max(1)
    };
    Some(Kernel::new(0, move |operands: Operands| {
        Box::new(Pool {
            pool,
            images,
            images_per_task,
            source: operands.inputs[0],
            output: operands.output,
            places: operands.places,
        })
    }))
}

impl super::PooledResult {
    /// Pools a piece of a convolution's result, rows `rows` (counted through all images) of which the first begins at `piece`; with a bias
    /// (or none: null) and ReLU before.
    ///
    /// # Safety
    /// The rows are there, and with them whole windows; no other task has the same windows.
    pub(super) unsafe fn follow(
        &self,
        context: &Context<'_>,
        rows: std::ops::Range<usize>,
        piece: *const f32,
        bias: *const f32,
    ) {
        let pool = &self.pool;
        let [height, width] = pool.input;
        let output = context.pointer(self.output).cast::<f32>();
        let places = self
            .places
            .map_or(std::ptr::null_mut(), |places| context.pointer(places));
        let mut row = rows.start;
        while row < rows.end {
            let (image, y) = (row / height, row % height);
            let end = (rows.end - row + y).min(height);
            let first = y / pool.stride[0];
            // The last windows of an image may be cut short, and rows may be left over.
            let last = if end == height {
                pool.output[0]
            } else {
                end / pool.stride[0]
            };
            let at = (image * pool.output[0] + first) * pool.row_length();
            let call = PoolRows {
                pool,
                source: piece.wrapping_add((row - rows.start) * width * pool.channels),
                first_row: y,
                destination: output.wrapping_add(at),
                places: offset(places, at),
                bias,
            };
            if first < last {
                // SAFETY: the caller's promise.
                unsafe { max_pool_places(context.isa, first..last, call) };
            }
            row += end - y;
        }
    }
}
