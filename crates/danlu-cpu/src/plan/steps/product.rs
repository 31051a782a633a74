//! Matrix products and convolutions.

use std::sync::atomic::{AtomicU64, Ordering};

use danlu_graph::operations::{ConvolutionOptions, MatMul};
use danlu_graph::{DType, Result};

use super::{Kernel, Operands, PooledResult};
use crate::buffer::aligned;
use crate::fuse::tape::Tape;
use crate::kernels::pooling::Pool2d;
use crate::kernels::product::{
    BatchAxis, Convolution2dShape, ConvolutionForwardPlan, ConvolutionInputGradientPlan,
    ConvolutionWeightGradientPlan, Epilogue, ImageOperand, MatmulPlan, MatmulShape, PoolInto, Room,
    ShapeError, Target, Tile, Use,
};
use crate::plan::concrete::{Concrete, Pooling};
use crate::plan::context::{Context, Location, Shared, Step};
use crate::simd::Isa;
use crate::threads::Pool;

/// What the plans of this family share.
trait ProductPlan: Send + Sync + 'static {
    fn scratch_bytes(&self) -> usize;
    fn kept_bytes(&self) -> usize;
    fn tile_elements(&self) -> Option<usize>;

    /// # Safety
    /// As the plan's own `run`.
    unsafe fn run(
        &self,
        pool: &Pool,
        operands: [*const f32; 2],
        places: *const u8,
        c: Target,
        room: Room,
        epilogue: Epilogue<'_>,
    );

    /// How many tiles an epilogue is given, if they are whole rows and known beforehand.
    fn tiles(&self) -> usize {
        0
    }

    /// Which of them begins at a row.
    fn tile_at(&self, _row: usize) -> usize {
        0
    }

    /// Whether [`ProductPlan::run_pooled`] does anything.
    fn pools(&self) -> bool {
        false
    }

    /// # Safety
    /// As the plan's own `run_pooled`.
    unsafe fn run_pooled(
        &self,
        _pool: &Pool,
        _operands: [*const f32; 2],
        _into: PoolInto,
        _room: Room,
    ) {
    }
}

macro_rules! product_plans {
    ($($plan:ty: |$a:ident, $b:ident, $places:ident| $operands:expr $(, $more:item)*;)*) => {
        $(impl ProductPlan for $plan {
            fn scratch_bytes(&self) -> usize {
                self.scratch_bytes()
            }
            fn kept_bytes(&self) -> usize {
                self.kept_bytes()
            }
            fn tile_elements(&self) -> Option<usize> {
                self.tile_elements()
            }
            unsafe fn run(
                &self,
                pool: &Pool,
                [$a, $b]: [*const f32; 2],
                $places: *const u8,
                c: Target,
                room: Room,
                epilogue: Epilogue<'_>,
            ) {
                let (a, b) = $operands;
                // SAFETY: the caller's promise.
                unsafe { self.run(pool, a, b, c, room, epilogue) }
            }
            $($more)*
        })*
    };
}

product_plans! {
    MatmulPlan: |a, b, _places| (a, b);
    ConvolutionForwardPlan: |a, b, _places| (a, b),
        fn tiles(&self) -> usize {
            self.tiles()
        },
        fn tile_at(&self, row: usize) -> usize {
            self.tile_at(row)
        },
        fn pools(&self) -> bool {
            self.pools()
        },
        unsafe fn run_pooled(
            &self,
            pool: &Pool,
            [x, weights]: [*const f32; 2],
            into: PoolInto,
            room: Room,
        ) {
            // SAFETY: the caller's promise.
            unsafe { self.run_pooled(pool, x, weights, into, room) }
        };
    ConvolutionInputGradientPlan: |a, b, places| (ImageOperand::pooled(a, places), b),
        fn tiles(&self) -> usize {
            self.tiles()
        },
        fn tile_at(&self, row: usize) -> usize {
            self.tile_at(row)
        };
    ConvolutionWeightGradientPlan: |a, b, places| (a, ImageOperand::pooled(b, places));
}

/// Where a product works, and keeps what it packed.
struct Scratch {
    weights: Location,
    place: Option<Location>,
    /// Where packed weights stay, and how many bytes of the plan's scratch that are.
    kept: Option<(Location, usize)>,
    /// The version of the weights that they were packed from.
    made_from: AtomicU64,
}

impl Scratch {
    fn pointer(&self, context: &Context<'_>) -> *mut u8 {
        self.place
            .map_or(std::ptr::null_mut(), |place| context.pointer(place))
    }

    fn room(&self, context: &Context<'_>) -> Room {
        let scratch = self.pointer(context);
        match self.kept {
            Some((kept, _)) => {
                let version = match self.weights {
                    Location::State(state) => context.versions[state],
                    _ => context.steady,
                };
                let ready = self.made_from.swap(version, Ordering::Relaxed) == version;
                Room::keeping(scratch, context.pointer(kept), ready)
            }
            None => Room::from(scratch),
        }
    }

    /// What lies behind the plan's own scratch.
    fn behind(&self, context: &Context<'_>, scratch_bytes: usize) -> *mut f32 {
        let own = scratch_bytes - self.kept.map_or(0, |(_, bytes)| bytes);
        self.pointer(context).wrapping_add(own).cast()
    }
}

struct Product<P> {
    plan: P,
    sources: [Location; 2],
    output: Location,
    scratch: Scratch,
    columns: usize,
    pass: Option<Tape>,
    /// Bytes of the scratch for the sums of the pass.
    sums: usize,
    /// Where the places of a spread gradient are.
    places: Option<Location>,
    pooled: Option<PooledResult>,
    /// The bias of a pass that adds it and takes the positive part, if a pooling follows: then it does that while it reads.
    bias: Option<Location>,
}

impl<P: ProductPlan> Step for Product<P> {
    unsafe fn run(&self, context: &Context<'_>) -> Result<()> {
        let operands = self
            .sources
            .map(|source| context.pointer(source).cast_const().cast());
        let places = self.places.map_or(std::ptr::null(), |places| {
            context.pointer(places).cast_const()
        });
        let room = self.scratch.room(context);
        let c = match self.output {
            Location::Tile => Target::tiles(
                self.scratch
                    .behind(context, self.plan.scratch_bytes() + self.sums),
                self.plan.tile_elements().map_or(0, aligned_elements),
            ),
            output => Target::from(context.pointer(output).cast::<f32>()),
        };
        let bias = self
            .bias
            .map_or(std::ptr::null_mut(), |bias| context.pointer(bias));
        let bias = Shared(bias.cast::<f32>());
        let totals = self.pass.as_ref().map(Tape::totals);
        let totals = totals.filter(|totals| !totals.is_empty());
        let pieces = Shared(self.scratch.behind(context, self.plan.scratch_bytes()));
        let follows = |tile: Tile, place: *mut f32| {
            let mut context =
                context.with_tile(place.wrapping_sub(tile.row_start * self.columns).cast());
            if let Some(totals) = totals {
                let piece = self.plan.tile_at(tile.row_start) * totals.piece_elements();
                context = context.with_sums(pieces.get().wrapping_add(piece));
            }
            let context = &context;
            if let (Some(tape), None) = (&self.pass, self.bias) {
                // SAFETY: the caller's promise; tiles do not overlap.
                unsafe { self.pass_over(tape, context, tile) };
            }
            if let Some(pooled) = &self.pooled {
                let width = pooled.pool.input[1];
                let rows = tile.row_start / width..tile.row_end / width;
                // SAFETY: the plan was asked for tiles that hold whole windows.
                unsafe { pooled.follow(context, rows, place, bias.get()) };
            }
        };
        let wanted = self.pass.is_some() || self.pooled.is_some();
        let epilogue = wanted.then_some(&follows as &(dyn Fn(Tile, *mut f32) + Sync));
        // SAFETY: the operands have the shapes that the plan was made for, and the scratch its size.
        unsafe {
            self.plan
                .run(context.pool, operands, places, c, room, epilogue);
            if let Some(totals) = totals {
                totals.join(context, pieces.get(), self.plan.tiles());
            }
        };
        Ok(())
    }
}

/// A convolution that pools its result while that is in registers.
struct PooledProduct<P> {
    plan: P,
    sources: [Location; 2],
    scratch: Scratch,
    bias: Option<Location>,
    output: Location,
    places: Option<Location>,
}

impl<P: ProductPlan> Step for PooledProduct<P> {
    unsafe fn run(&self, context: &Context<'_>) -> Result<()> {
        let at = |location: Option<Location>| {
            location.map_or(std::ptr::null_mut(), |location| context.pointer(location))
        };
        let operands = self
            .sources
            .map(|source| context.pointer(source).cast_const().cast());
        let into = PoolInto {
            bias: at(self.bias).cast_const().cast(),
            values: context.pointer(self.output).cast(),
            places: at(self.places),
        };
        // SAFETY: the operands have the shapes that the plan was made for, and the scratch its size.
        unsafe {
            self.plan
                .run_pooled(context.pool, operands, into, self.scratch.room(context))
        };
        Ok(())
    }
}

impl<P> Product<P> {
    /// Runs the pass over a tile.
    ///
    /// # Safety
    /// As [`Step::run`]; no other task has these elements.
    unsafe fn pass_over(&self, tape: &Tape, context: &Context<'_>, tile: Tile) {
        let width = tile.column_end - tile.column_start;
        if width == self.columns {
            // SAFETY: the caller's promise.
            unsafe { tape.run(context, tile.row_start * width, tile.row_end * width) };
        } else {
            let start = tile.row_start * self.columns + tile.column_start;
            let rows = tile.row_end - tile.row_start;
            // SAFETY: as above.
            unsafe { tape.run_rows(context, start, [rows, width, self.columns]) };
        }
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
    let kept = plan.kept_bytes();
    let pieces = plan.tiles();
    let kernel = Kernel::new(plan.scratch_bytes(), move |operands: Operands| {
        let bias = match (&operands.pass, &operands.pooled) {
            (Some(tape), Some(pooled)) => tape.adds_bias_and_relu(pooled.pool.channels),
            _ => None,
        };
        let scratch = Scratch {
            weights: operands.inputs[1],
            place: operands.scratch,
            kept: operands.kept.map(|place| (place, kept)),
            made_from: AtomicU64::new(u64::MAX),
        };
        if let Some(pooled) = &operands.pooled
            && (bias.is_some() || operands.pass.is_none())
            && plan.pools()
        {
            return Box::new(PooledProduct {
                plan,
                bias,
                sources: [operands.inputs[0], operands.inputs[1]],
                scratch,
                output: pooled.output,
                places: pooled.places,
            }) as Box<dyn Step>;
        }
        Box::new(Product {
            plan,
            bias,
            sources: [operands.inputs[0], operands.inputs[1]],
            output: operands.output,
            scratch,
            columns,
            pass: operands.pass,
            sums: operands.sums,
            places: operands.places,
            pooled: operands.pooled,
        })
    });
    kernel
        .with_tiles(tiles.map(|tile| tile * threads))
        .keeping(kept)
        .in_pieces(pieces)
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
    usage: Use,
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
    let plan = MatmulPlan::new(isa, shape, threads, usage.steady);
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

/// The pooling whose gradient a convolution's gradient spreads.
fn spread(node: &Concrete) -> Option<Pool2d> {
    match node.pooling {
        Pooling::Spreads(pool) => Some(pool),
        Pooling::No | Pooling::Notes => None,
    }
}

/// The plan of a convolution in f32.
pub(super) fn forward(
    options: &ConvolutionOptions,
    inputs: &[&Concrete],
    node: &Concrete,
    isa: Isa,
    threads: usize,
    usage: Use,
) -> Result<Option<Kernel>> {
    let shape = convolution(options, &inputs[0].shape, &inputs[1].shape);
    let plan = ConvolutionForwardPlan::used_as(isa, shape, threads, usage);
    kernel(plan, node, shape.filters, threads)
}

/// The plan of a convolution's gradient with respect to its input.
pub(super) fn input_gradient(
    options: &ConvolutionOptions,
    inputs: &[&Concrete],
    node: &Concrete,
    isa: Isa,
    threads: usize,
) -> Result<Option<Kernel>> {
    let shape = convolution(options, &node.shape, &inputs[1].shape);
    let plan = ConvolutionInputGradientPlan::of_pooled(isa, shape, threads, spread(node));
    kernel(plan, node, shape.channels, threads)
}

/// The plan of a convolution's gradient with respect to its kernel.
pub(super) fn weight_gradient(
    options: &ConvolutionOptions,
    inputs: &[&Concrete],
    node: &Concrete,
    isa: Isa,
    threads: usize,
) -> Result<Option<Kernel>> {
    let shape = convolution(options, &inputs[0].shape, &node.shape);
    let plan = ConvolutionWeightGradientPlan::of_pooled(isa, shape, threads, spread(node));
    kernel(plan, node, shape.filters, threads)
}

/// The kernel of a planned convolution, where there is one for the dtype.
fn kernel<P: ProductPlan>(
    plan: std::result::Result<P, ShapeError>,
    node: &Concrete,
    columns: usize,
    threads: usize,
) -> Result<Option<Kernel>> {
    if node.dtype != DType::F32 {
        return Ok(None);
    }
    let plan = plan.map_err(|error| node.error(&error.to_string()))?;
    Ok(Some(product(plan, columns, threads)))
}
