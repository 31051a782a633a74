//! Matrix products and convolutions.

use danlu_graph::operations::{ConvolutionOptions, MatMul};
use danlu_graph::{DType, Result};

use super::{Kernel, Operands};
use crate::buffer::aligned;
use crate::fuse::tape::Tape;
use crate::kernels::product::{
    BatchAxis, Convolution2dShape, ConvolutionForwardPlan, ConvolutionInputGradientPlan,
    ConvolutionWeightGradientPlan, Epilogue, MOST_STREAMS, MatmulPlan, MatmulShape, Target, Tile,
};
use crate::plan::concrete::Concrete;
use crate::plan::context::{Context, Location, Step};
use crate::simd::Isa;
use crate::threads::Pool;

/// What the plans of this family share.
trait ProductPlan: Send + Sync + 'static {
    fn scratch_bytes(&self) -> usize;
    fn tile_elements(&self) -> Option<usize>;

    /// # Safety
    /// As the plan's own `run`.
    unsafe fn run(
        &self,
        pool: &Pool,
        a: *const f32,
        b: *const f32,
        c: Target<'_>,
        scratch: *mut u8,
        epilogue: Epilogue<'_>,
    );
}

macro_rules! product_plans {
    ($($plan:ty),*) => {
        $(impl ProductPlan for $plan {
            fn scratch_bytes(&self) -> usize {
                self.scratch_bytes()
            }
            fn tile_elements(&self) -> Option<usize> {
                self.tile_elements()
            }
            unsafe fn run(
                &self,
                pool: &Pool,
                a: *const f32,
                b: *const f32,
                c: Target<'_>,
                scratch: *mut u8,
                epilogue: Epilogue<'_>,
            ) {
                // SAFETY: the caller's promise.
                unsafe { self.run(pool, a, b, c, scratch, epilogue) }
            }
        })*
    };
}

product_plans!(
    MatmulPlan,
    ConvolutionForwardPlan,
    ConvolutionInputGradientPlan,
    ConvolutionWeightGradientPlan
);

struct Product<P> {
    plan: P,
    sources: [Location; 2],
    output: Location,
    scratch: Option<Location>,
    columns: usize,
    pass: Option<Tape>,
    /// What the pass reads element for element.
    streams: Vec<Location>,
}

impl<P: ProductPlan> Step for Product<P> {
    unsafe fn run(&self, context: &Context<'_>) -> Result<()> {
        let [a, b] = self
            .sources
            .map(|source| context.pointer(source).cast_const().cast());
        let scratch = self
            .scratch
            .map_or(std::ptr::null_mut(), |scratch| context.pointer(scratch));
        let c = match self.output {
            Location::Tile => Target::tiles(
                scratch.wrapping_add(self.plan.scratch_bytes()).cast(),
                self.plan.tile_elements().map_or(0, aligned_elements),
            ),
            output => Target::from(context.pointer(output).cast::<f32>()),
        };
        let mut streams = [std::ptr::null(); MOST_STREAMS];
        for (pointer, &stream) in streams.iter_mut().zip(&self.streams) {
            *pointer = context.pointer(stream).cast_const().cast();
        }
        let c = c.with_streams(&streams[..self.streams.len()]);
        let epilogue = self.pass.as_ref().map(|tape| {
            move |tile: Tile, place: *mut f32| {
                let context =
                    context.with_tile(place.wrapping_sub(tile.row_start * self.columns).cast());
                let context = &context;
                let width = tile.column_end - tile.column_start;
                if width == self.columns {
                    let (start, end) = (tile.row_start * width, tile.row_end * width);
                    // SAFETY: the caller's promise; regions do not overlap.
                    unsafe { tape.run(context, start, end) };
                } else {
                    for row in tile.row_start..tile.row_end {
                        let start = row * self.columns + tile.column_start;
                        // SAFETY: as above.
                        unsafe { tape.run(context, start, start + width) };
                    }
                }
            }
        });
        let epilogue = epilogue
            .as_ref()
            .map(|pass| pass as &(dyn Fn(Tile, *mut f32) + Sync));
        // SAFETY: the operands have the shapes that the plan was made for, and the scratch its size.
        unsafe { self.plan.run(context.pool, a, b, c, scratch, epilogue) };
        Ok(())
    }
}

/// Elements from one thread's tile to the next.
fn aligned_elements(elements: usize) -> usize {
    aligned(elements * size_of::<f32>()) / size_of::<f32>()
}

/// Larger tiles than this leave the second-level cache: then the whole result may as well go to memory.
const LARGEST_TILE: usize = 512 * 1024;

fn product<P: ProductPlan>(plan: P, columns: usize, threads: usize) -> Kernel {
    let bytes = |elements| aligned_elements(elements) * size_of::<f32>();
    let tile = plan.tile_elements().map(bytes);
    let tiles = tile.filter(|&tile| tile <= LARGEST_TILE);
    let kernel = Kernel::new(plan.scratch_bytes(), move |operands: Operands| {
        let streams = operands.pass.as_ref().map_or(Vec::new(), Tape::streams);
        Box::new(Product {
            plan,
            streams,
            sources: [operands.inputs[0], operands.inputs[1]],
            output: operands.output,
            scratch: operands.scratch,
            columns,
            pass: operands.pass,
        })
    });
    kernel.with_tiles(tiles.map(|tile| tile * threads))
}

/// The shape of an operand of a product of this rank. Of more axes, as [`contraction`](crate::fuse::contraction) leaves
/// them, the first ones belong to the contraction.
fn contracted(operand: &Concrete, rank: usize) -> Vec<usize> {
    let joined = operand.shape.len().saturating_sub(rank);
    let mut shape = operand.shape[joined..].to_vec();
    shape[0] *= operand.shape[..joined].iter().product::<usize>();
    shape
}

/// The plan of a matrix product in f32.
pub(super) fn matmul(
    product_of: &MatMul,
    inputs: &[&Concrete],
    node: &Concrete,
    isa: Isa,
    threads: usize,
) -> Result<Option<Kernel>> {
    if node.dtype != DType::F32 {
        return Ok(None);
    }
    let rank = node.shape.len();
    let (left, right) = (&contracted(inputs[0], rank), &contracted(inputs[1], rank));
    let (m, n) = (node.shape[rank - 2], node.shape[rank - 1]);
    let k = left[left.len() - if product_of.transpose_left { 2 } else { 1 }];
    let strides = |rows: usize, columns: usize, transposed: bool| {
        if transposed {
            [1, rows as isize]
        } else {
            [columns as isize, 1]
        }
    };
    // Element strides of an operand's leading axes, 0 where it is repeated.
    let leading = |shape: &[usize]| -> Vec<isize> {
        let own = shape.len() - 2;
        let mut stride = (shape[own] * shape[own + 1]) as isize;
        let mut strides = vec![0; rank - 2];
        for axis in (0..own).rev() {
            if shape[axis] != 1 {
                strides[axis + (rank - 2) - own] = stride;
            }
            stride *= shape[axis] as isize;
        }
        strides
    };
    let (left_strides, right_strides) = (leading(left), leading(right));
    let batch = (0..rank - 2)
        .map(|axis| BatchAxis {
            size: node.shape[axis],
            a_stride: left_strides[axis],
            b_stride: right_strides[axis],
        })
        .collect();
    let shape = MatmulShape {
        batch,
        m,
        n,
        k,
        a: strides(m, k, product_of.transpose_left),
        b: strides(k, n, product_of.transpose_right),
    };
    let plan = MatmulPlan::new(isa, shape, threads);
    Ok(Some(product(plan, n, threads)))
}

/// The kernels' description of a convolution, from the shapes of its input and kernel.
fn convolution(
    options: &ConvolutionOptions,
    input: &[usize],
    kernel: &[usize],
) -> Convolution2dShape {
    Convolution2dShape {
        batch: input[0],
        height: input[1],
        width: input[2],
        channels: input[3],
        filters: kernel[3],
        kernel: [kernel[0], kernel[1]],
        stride: options.strides,
        dilation: options.dilations,
        padding: options.padding,
        groups: options.groups,
    }
}

/// `input` and `kernel` find the convolution's own shapes, whichever of the three it is.
macro_rules! convolutions {
    ($($(#[$meta:meta])* $name:ident = $plan:ident, $input:expr, $kernel:expr, $columns:ident;)*) => {
        $(
            $(#[$meta])*
            pub(super) fn $name(
                options: &ConvolutionOptions,
                inputs: &[&Concrete],
                node: &Concrete,
                isa: Isa,
                threads: usize,
            ) -> Result<Option<Kernel>> {
                if node.dtype != DType::F32 {
                    return Ok(None);
                }
                let (input, kernel): (Shape, Shape) = ($input, $kernel);
                let shape = convolution(options, input(inputs, node), kernel(inputs, node));
                let columns = shape.$columns;
                let plan = $plan::new(isa, shape, threads).map_err(|error| node.error(&error.to_string()))?;
                Ok(Some(product(plan, columns, threads)))
            }
        )*
    };
}

/// Finds a shape among a node and its inputs.
type Shape = for<'a> fn(&[&'a Concrete], &'a Concrete) -> &'a [usize];

convolutions! {
    /// The plan of a convolution in f32.
    forward = ConvolutionForwardPlan, |inputs, _| &inputs[0].shape, |inputs, _| &inputs[1].shape, filters;
    /// The plan of a convolution's gradient with respect to its input.
    input_gradient = ConvolutionInputGradientPlan, |_, node| &node.shape, |inputs, _| &inputs[1].shape, channels;
    /// The plan of a convolution's gradient with respect to its kernel.
    weight_gradient = ConvolutionWeightGradientPlan, |inputs, _| &inputs[0].shape, |_, node| &node.shape, filters;
}
